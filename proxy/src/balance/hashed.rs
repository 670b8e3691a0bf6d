//! By hash: requests with the same key go to the same backend, for as long as it can be picked.

use std::{cell::LazyCell, sync::atomic::Ordering::Relaxed};

use crate::{
    balance::Open,
    snapshot::{Maglev, TierSnapshot, again},
};

/// How often a key whose backend cannot be picked is hashed again before all are compared.
const TURNS: usize = 16;

/// Picks the backend that a key belongs to; where it is not open, another, always the same one as
/// long as the same backends are open.
///
/// With a `bound`, a backend that has more than that many times its due of the requests under way is
/// passed over for the next in the key's order (Mirrokni, Thorup and Zadimoghaddam, "Consistent
/// Hashing with Bounded Loads", SODA 2018). Somebody is always below it, for not all can have more
/// than their due.
pub(crate) fn pick(
    table: &Maglev,
    weights: &[u32],
    tier: &TierSnapshot,
    open: Open<'_>,
    hash: u64,
    bound: Option<f64>,
) -> Option<usize> {
    // Worked out only for one who has something under way: it takes a look at everybody.
    let limit = bound.map(|bound| LazyCell::new(move || Limit::of(bound, weights, tier, open)));
    let is_open = |&index: &usize| tier.eligible.binary_search(&index).is_ok() && open.has(index);
    let is_within = |index: &usize| {
        is_open(index)
            && limit.as_ref().is_none_or(|limit| {
                is_idle(*index, weights, open) || limit.has_room(*index, weights, open)
            })
    };
    let mut turn = hash;
    for _ in 0..TURNS {
        if let Some(index) = table.of(turn).filter(is_within) {
            return Some(index);
        }
        turn = again(turn);
    }
    // A backend that weighs nothing is a spare.
    let preferred = |&index: &usize| (weights[index] != 0, table.preference(hash, index));
    let all = || tier.eligible.iter().copied();
    let within = all().filter(is_within).max_by_key(preferred);
    within.or_else(|| all().filter(is_open).max_by_key(preferred))
}

/// Tells whether a backend has nothing under way and is due something. Dues are rounded up, so it has
/// room for one.
fn is_idle(index: usize, weights: &[u32], open: Open<'_>) -> bool {
    weights[index] != 0 && open.live.backends[index].in_flight.load(Relaxed) == 0
}

/// How much a backend of a tier may have under way.
struct Limit {
    /// For each unit of weight, this request included.
    per_weight: f64,
}

impl Limit {
    fn of(bound: f64, weights: &[u32], tier: &TierSnapshot, open: Open<'_>) -> Self {
        let (mut under_way, mut weight) = (1, 0.0);
        for &index in &tier.eligible {
            under_way += open.live.backends[index].in_flight.load(Relaxed);
            weight += f64::from(weights[index]);
        }
        #[expect(clippy::cast_precision_loss, reason = "what is under way fits an f64")]
        let due = bound * under_way as f64;
        // Where nobody weighs anything, there is no due.
        Self { per_weight: if weight == 0.0 { f64::INFINITY } else { due / weight } }
    }

    /// Tells whether a backend may have one more. Dues are rounded up, or a few requests would have
    /// nowhere to go.
    fn has_room(&self, index: usize, weights: &[u32], open: Open<'_>) -> bool {
        let most = (self.per_weight * f64::from(weights[index])).ceil();
        #[expect(clippy::cast_precision_loss, reason = "what is under way fits an f64")]
        let with_this = (open.live.backends[index].in_flight.load(Relaxed) + 1) as f64;
        with_this <= most
    }
}
