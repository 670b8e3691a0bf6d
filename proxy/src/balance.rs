//! Balancing: which backend receives this attempt?
//!
//! The active tier is asked first, then the others in order of preference: a retry may cross
//! tiers, because any eligible backend is better than an error. A backend that this request has
//! tried comes last, after every tier. Picking neither allocates nor locks nor waits.

mod least_requests;
mod round_robin;

use crate::{
    model::{Balance, Pool},
    snapshot::{PoolLive, PoolSnapshot, TierSnapshot},
};

/// A backend to send an attempt to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// Index of the backend in its pool.
    pub index: usize,
    /// The backend's tier.
    pub tier: usize,
    /// Whether this request has not tried the backend before.
    pub is_untried: bool,
}

/// Picks an eligible backend for the next attempt of a request that has tried those in `tried`.
///
/// A backend in `tried` is picked only when no other is eligible in any tier. `None` means that
/// nothing is eligible at all. The snapshot and the live numbers must be of `pool`.
pub fn pick(
    pool: &Pool,
    snapshot: &PoolSnapshot,
    live: &PoolLive,
    tried: &[usize],
    random: &mut fastrand::Rng,
) -> Option<Pick> {
    if let Some((tier, index)) = pick_excluding(pool, snapshot, live, tried, random) {
        return Some(Pick { index, tier, is_untried: true });
    }
    if tried.is_empty() {
        return None;
    }
    let (tier, index) = pick_excluding(pool, snapshot, live, &[], random)?;
    Some(Pick { index, tier, is_untried: false })
}

fn pick_excluding(
    pool: &Pool,
    snapshot: &PoolSnapshot,
    live: &PoolLive,
    tried: &[usize],
    random: &mut fastrand::Rng,
) -> Option<(usize, usize)> {
    by_preference(snapshot).find_map(|(number, tier)| {
        if !has_candidate(tier, tried) {
            return None;
        }
        let index = match pool.balance {
            Balance::RoundRobin => {
                round_robin::pick(pool, tier, &live.cursors[number], tried, random)
            }
            Balance::LeastRequests => least_requests::pick(pool, tier, live, tried, random),
        };
        index.map(|index| (number, index))
    })
}

/// Returns the active tier, then the others, preferred ones first.
fn by_preference(snapshot: &PoolSnapshot) -> impl Iterator<Item = (usize, &TierSnapshot)> {
    let active = snapshot.active_tier;
    let others = (0..snapshot.tiers.len()).filter(move |&number| Some(number) != active);
    active
        .into_iter()
        .chain(others)
        .filter_map(|number| snapshot.tiers.get(number).map(|tier| (number, tier)))
}

fn has_candidate(tier: &TierSnapshot, tried: &[usize]) -> bool {
    tier.eligible.iter().any(|index| !tried.contains(index))
}

/// Draws one of the tier's eligible backends that are candidates, as often as its weight says.
///
/// A random position of the schedule is a draw by weight in one step. When it hits no candidate,
/// the candidates' weights are walked instead; both steps together still give each candidate
/// exactly its share among the candidates.
fn draw(
    pool: &Pool,
    tier: &TierSnapshot,
    random: &mut fastrand::Rng,
    is_candidate: impl Fn(usize) -> bool,
) -> Option<usize> {
    let guess = tier.schedule.turn(random.usize(..))?;
    if is_candidate(guess) {
        return Some(guess);
    }
    let weight_of = |index: usize| u64::from(pool.backends[index].weight.get());
    let candidates = || tier.eligible.iter().copied().filter(|&index| is_candidate(index));
    let total: u64 = candidates().map(weight_of).sum();
    if total == 0 {
        return None;
    }
    let mut left = random.u64(..total);
    candidates().find(|&index| {
        let is_drawn = left < weight_of(index);
        left = left.saturating_sub(weight_of(index));
        is_drawn
    })
}

#[cfg(test)]
mod tests;
