//! By hash: requests with the same key go to the same backend, for as long as it can be picked.

use crate::{
    balance::Open,
    snapshot::{Maglev, TierSnapshot, again},
};

/// How often a key whose backend cannot be picked is hashed again before all are compared.
const TURNS: usize = 16;

/// Picks the backend that a key belongs to; where it is not open, another, always the same one as
/// long as the same backends are open.
pub(crate) fn pick(
    table: &Maglev,
    weights: &[u32],
    tier: &TierSnapshot,
    open: Open<'_>,
    hash: u64,
) -> Option<usize> {
    let is_open = |&index: &usize| tier.eligible.binary_search(&index).is_ok() && open.has(index);
    let mut turn = hash;
    for _ in 0..TURNS {
        if let Some(index) = table.of(turn).filter(is_open) {
            return Some(index);
        }
        turn = again(turn);
    }
    let candidates = tier.eligible.iter().copied().filter(is_open);
    // A backend that weighs nothing is a spare.
    candidates.max_by_key(|&index| (weights[index] != 0, table.preference(hash, index)))
}
