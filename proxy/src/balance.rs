//! Balancing: which backend receives this attempt?
//!
//! The active tier is asked first, or one of those that share the traffic; then the others in order
//! of preference: a retry may cross tiers, because any eligible backend is better than an error. A
//! suspected backend comes after every trusted one of every tier, and a backend that this request
//! has tried comes last. The last attempt of a request that one tier has failed twice goes to another
//! tier. Picking neither allocates nor locks nor waits.
//!
//! A suspected backend could so never prove itself. The fleet therefore grants it trials: one
//! request takes one, by swapping the grant away, and goes there though others are trusted. That is
//! its first attempt, and a request that may be repeated, so that a failed trial costs the client
//! nothing but time; when none comes for [`LATE`], any request will do.

mod least_requests;
mod round_robin;
mod tier;

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use crate::{
    clock::Timestamp,
    event::Idempotence,
    model::{Balance, Pool},
    snapshot::{PoolLive, PoolSnapshot, TierSnapshot},
};

/// How long a trial is kept for requests that may be repeated.
const LATE: Duration = Duration::from_secs(1);

/// A backend to send an attempt to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// Index of the backend in its pool.
    pub index: usize,
    /// The backend's tier.
    pub tier: usize,
    /// Whether this request has not tried the backend before.
    pub is_untried: bool,
    /// Whether the request has taken the backend's trial.
    pub is_trial: bool,
}

/// Picks an eligible backend for the next attempt of a request that has tried those in `tried`.
///
/// A backend in `tried` is picked only when no other may be picked in any tier, a suspected one only
/// when no other is trusted in any tier, or on trial. `None` means that nothing may be picked at
/// all. The snapshot and the live numbers must be of `pool`.
pub fn pick(
    pool: &Pool,
    snapshot: &PoolSnapshot,
    live: &PoolLive,
    tried: &[usize],
    idempotence: Idempotence,
    random: &mut fastrand::Rng,
    now: Timestamp,
) -> Option<Pick> {
    if let Some((tier, index)) = pick_excluding(pool, snapshot, live, tried, random) {
        let trial = if tried.is_empty() {
            take_trial(snapshot, live, tier, idempotence, now)
        } else {
            None
        };
        let is_trial = trial.is_some();
        let (tier, index) = trial.unwrap_or((tier, index));
        return Some(Pick { index, tier, is_untried: true, is_trial });
    }
    if tried.is_empty() {
        return None;
    }
    let (tier, index) = pick_excluding(pool, snapshot, live, &[], random)?;
    Some(Pick { index, tier, is_untried: false, is_trial: false })
}

fn pick_excluding(
    pool: &Pool,
    snapshot: &PoolSnapshot,
    live: &PoolLive,
    tried: &[usize],
    random: &mut fastrand::Rng,
) -> Option<(usize, usize)> {
    let first = tier::elsewhere(pool, snapshot, tried);
    let first = first.or_else(|| tier::first(snapshot, tried, random));
    let weights = &*snapshot.weights;
    let mut pick_among = |number: usize, tier: &TierSnapshot| {
        if !has_candidate(tier, tried) {
            return None;
        }
        let index = match pool.balance {
            Balance::RoundRobin => {
                round_robin::pick(weights, tier, &live.cursors[number], tried, random)
            }
            Balance::LeastRequests => least_requests::pick(weights, tier, live, tried, random),
        };
        index.map(|index| (number, index))
    };
    tier::by_preference(snapshot, first)
        .find_map(|(number, tier)| pick_among(number, tier.trusted()))
        .or_else(|| {
            tier::by_preference(snapshot, first).find_map(|(number, tier)| pick_among(number, tier))
        })
}

/// Takes the trial of a suspected backend, if one is granted: in a tier that gets traffic, or in one
/// that is preferred to the tier that would serve otherwise, which is `picked`.
fn take_trial(
    snapshot: &PoolSnapshot,
    live: &PoolLive,
    picked: usize,
    idempotence: Idempotence,
    now: Timestamp,
) -> Option<(usize, usize)> {
    tier::by_preference(snapshot, snapshot.active_tier)
        .filter_map(|(number, tier)| tier.trusted.as_deref().map(|trusted| (number, tier, trusted)))
        .filter(|&(number, ..)| number <= picked || 0.0 < snapshot.part(number))
        .flat_map(|(number, tier, trusted)| {
            let suspected = tier.eligible.iter().filter(|it| !trusted.eligible.contains(it));
            suspected.map(move |&index| (number, index))
        })
        .find(|&(_, index)| {
            let grant = &live.backends[index].trial_from;
            let from = grant.load(Relaxed);
            let age = now.since(Timestamp::from_millis(from));
            let is_open = from != 0 && (idempotence == Idempotence::Idempotent || LATE <= age);
            // The exchange lets exactly one request have it.
            is_open && grant.compare_exchange(from, 0, Relaxed, Relaxed).is_ok()
        })
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
    weights: &[u32],
    tier: &TierSnapshot,
    random: &mut fastrand::Rng,
    is_candidate: impl Fn(usize) -> bool,
) -> Option<usize> {
    let guess = tier.schedule.turn(random.usize(..))?;
    if is_candidate(guess) {
        return Some(guess);
    }
    let weight_of = |index: usize| u64::from(weights[index]);
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
