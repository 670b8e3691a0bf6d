//! Taking turns.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::{
    balance::{self, Open},
    snapshot::TierSnapshot,
};

/// Picks whose turn it is.
///
/// A retry does not take a turn but draws at random by weight. If it took one, then with two
/// backends of which one fails, first attempts and retries would alternate in step with the
/// schedule: every request would meet the failing backend first. If it only looked at the next
/// turn, all requests that one crash interrupts would descend on one backend. Nor does the next in
/// turn get what a full backend cannot take, or it would get twice its share.
pub(crate) fn pick(
    weights: &[u32],
    tier: &TierSnapshot,
    cursor: &AtomicUsize,
    open: Open<'_>,
    random: &mut fastrand::Rng,
) -> Option<usize> {
    if open.tried.is_empty() {
        let turn = tier.schedule.turn(cursor.fetch_add(1, Relaxed));
        if let Some(index) = turn.filter(|&index| open.has(index)) {
            return Some(index);
        }
    }
    balance::draw(weights, tier, random, |index| open.has(index))
}
