//! The less busy of two: "the power of two choices".
//!
//! Comparing all backends would send every proxy's next request to the same momentarily idle one;
//! comparing two drawn at random is nearly as even, and no herd forms (Mitzenmacher, 2001).
//! Weights enter twice: a heavier backend is drawn more often, and is as busy as a lighter one
//! when it has that many more requests in flight.

use std::sync::atomic::Ordering::Relaxed;

use crate::{
    balance::{self, Open},
    snapshot::{PoolLive, TierSnapshot},
};

/// Picks the less busy, in relation to its weight, of two open backends.
pub(crate) fn pick(
    weights: &[u32],
    tier: &TierSnapshot,
    open: Open<'_>,
    random: &mut fastrand::Rng,
) -> Option<usize> {
    let first = balance::draw(weights, tier, random, |index| open.has(index))?;
    let second = balance::draw(weights, tier, random, |index| index != first && open.has(index));
    match second {
        Some(second) if is_busier(weights, open.live, first, second) => Some(second),
        Some(_) | None => Some(first),
    }
}

/// Tells whether `first` would be busier than `second` if it got this request.
fn is_busier(weights: &[u32], live: &PoolLive, first: usize, second: usize) -> bool {
    let in_flight = |index: usize| live.backends[index].in_flight.load(Relaxed);
    let (first_busy, second_busy) = (in_flight(first), in_flight(second));
    if first_busy == 0 && second_busy == 0 {
        // Idle is idle: the draw has already paid heed to weights. Comparing here would send all
        // of a quiet pool's requests to its heaviest backend.
        return false;
    }
    let weight = |index: usize| u128::from(weights[index]);
    // a / wa > b / wb, without dividing.
    (u128::from(second_busy) + 1) * weight(first) < (u128::from(first_busy) + 1) * weight(second)
}
