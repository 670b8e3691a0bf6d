//! Taking turns.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::{balance, snapshot::TierSnapshot};

/// Picks whose turn it is.
///
/// A retry does not take a turn but draws at random by weight. If it took one, then with two
/// backends of which one fails, first attempts and retries would alternate in step with the
/// schedule: every request would meet the failing backend first. If it only looked at the next
/// turn, all requests that one crash interrupts would descend on one backend.
pub(crate) fn pick(
    weights: &[u32],
    tier: &TierSnapshot,
    cursor: &AtomicUsize,
    tried: &[usize],
    random: &mut fastrand::Rng,
) -> Option<usize> {
    if tried.is_empty() {
        tier.schedule.turn(cursor.fetch_add(1, Relaxed))
    } else {
        balance::draw(weights, tier, random, |index| !tried.contains(&index))
    }
}
