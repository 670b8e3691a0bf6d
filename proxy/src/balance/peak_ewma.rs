//! The quicker of two: how long answers take at present, times how many are waited for.
//!
//! Two backends are drawn at random by weight, as for the less busy of two. The one is picked whose
//! expected wait is shorter. Of a backend that has never answered nothing is known: it gets one
//! request to show how long it takes, and no more until it has; many would get one cold backend
//! into trouble, and waiting for it would be in vain.

use std::sync::atomic::Ordering::Relaxed;

use crate::{
    balance::{self, Open},
    clock::Timestamp,
    snapshot::TierSnapshot,
};

/// Picks the open backend of two that should answer sooner.
pub(crate) fn pick(
    weights: &[u32],
    tier: &TierSnapshot,
    open: Open<'_>,
    random: &mut fastrand::Rng,
    now: Timestamp,
) -> Option<usize> {
    let first = balance::draw(weights, tier, random, |index| open.has(index))?;
    // A spare is no second choice.
    let is_other = |index: usize| index != first && weights[index] != 0 && open.has(index);
    let second = balance::draw(weights, tier, random, is_other);
    let Some(second) = second else { return Some(first) };
    let in_flight = |index: usize| open.live.backends[index].in_flight.load(Relaxed);
    // Idle is idle: the draw has already paid heed to weights.
    let is_quiet = in_flight(first) == 0 && in_flight(second) == 0;
    let wait = |index: usize| {
        let weight = if is_quiet { 1 } else { weights[index] };
        expected(open.live.backends[index].peak_ewma.cost(now), in_flight(index), weight)
    };
    Some(if wait(second) < wait(first) { second } else { first })
}

/// Returns how long a request should have to wait that comes after those in flight.
#[expect(clippy::cast_precision_loss, reason = "no more than thousands are in flight")]
fn expected(cost: Option<f64>, in_flight: u64, weight: u32) -> f64 {
    match cost {
        None if in_flight == 0 => 0.0,
        None => f64::INFINITY,
        Some(cost) => cost * (in_flight as f64 + 1.0) / f64::from(weight),
    }
}
