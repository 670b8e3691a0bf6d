//! Which tier an attempt asks first, and which after that.

use crate::{
    model::Pool,
    snapshot::{PoolSnapshot, TierSnapshot},
};

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

/// Returns another tier for the last attempt that a request may make, if one tier has failed all
/// before it, at least two, and another has a trusted backend.
///
/// Backends that share a machine or a network die together, and sooner than anybody can know: by the
/// third of them, a request would have no attempt left for the tier that is well.
pub(crate) fn elsewhere(pool: &Pool, snapshot: &PoolSnapshot, tried: &[usize]) -> Option<usize> {
    let [.., _, last] = tried else { return None };
    if tried.len() + 1 != pool.retries.max_attempts.get() as usize {
        return None;
    }
    let tier_of = |index: &usize| pool.backends.get(*index).map(|it| it.tier);
    let failed = tier_of(last)?;
    if !tried.iter().all(|index| tier_of(index) == Some(failed)) {
        return None;
    }
    by_preference(snapshot, None)
        .find(|(number, tier)| *number != failed && !tier.trusted().eligible.is_empty())
        .map(|(number, _)| number)
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
