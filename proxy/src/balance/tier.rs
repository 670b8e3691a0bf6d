//! Which tier an attempt asks first, and which after that.

use crate::snapshot::{PoolSnapshot, TierSnapshot};

/// Returns the tier that an attempt of a request which has tried the backends in `tried` asks first.
///
/// First attempts are divided among the tiers that serve. A retry is rare, and has failed somewhere:
/// it goes to the active tier, which is not the one whose return is just being tried.
pub(crate) fn first(
    snapshot: &PoolSnapshot,
    tried: &[usize],
    random: &mut fastrand::Rng,
) -> Option<usize> {
    let drawn = if tried.is_empty() { snapshot.division.draw(|| random.u32(..)) } else { None };
    drawn.or(snapshot.active_tier)
}

/// Returns the tier `first`, then the active one, then the others, preferred ones first.
pub(crate) fn by_preference(
    snapshot: &PoolSnapshot,
    first: Option<usize>,
) -> impl Iterator<Item = (usize, &TierSnapshot)> {
    let active = snapshot.active_tier.filter(|&active| first != Some(active));
    let others = (0..snapshot.tiers.len())
        .filter(move |&number| first != Some(number) && active != Some(number));
    first
        .into_iter()
        .chain(active)
        .chain(others)
        .filter_map(|number| snapshot.tiers.get(number).map(|tier| (number, tier)))
}
