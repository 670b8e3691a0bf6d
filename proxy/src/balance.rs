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

mod hashed;
mod least_requests;
mod peak_ewma;
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

/// What a request asks of a pick.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The backends that it has tried.
    pub tried: &'a [usize],
    /// Whether it may be repeated.
    pub idempotence: Idempotence,
    /// What its key hashes to, if the pool balances by hash and it has the key.
    pub hash: Option<u64>,
    /// The backend at which its client is kept.
    pub home: Option<usize>,
}

/// Why nobody can be picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpicked {
    /// Nobody is eligible.
    Nobody,
    /// Everybody who could be picked is full: has as many attempts under way as the pool allows.
    Full,
}

/// Picks an eligible backend for the next attempt of a request.
///
/// Its home is picked if it is trusted, not full, untried, and in a tier that gets traffic: a client
/// follows its pool from tier to tier. A backend that it has tried is picked only when no other may
/// be picked in any tier, a suspected one only when no other is trusted in any tier, or on trial. A full one is not picked; unless the pool's
/// tiers spill over, nobody else is then than others of its tier, because a busy tier is not a lost
/// one. The snapshot and the live numbers must be of `pool`.
///
/// # Errors
/// When nobody may be picked, or only backends that are full.
pub fn pick(
    pool: &Pool,
    snapshot: &PoolSnapshot,
    live: &PoolLive,
    request: Request<'_>,
    random: &mut fastrand::Rng,
    now: Timestamp,
) -> Result<Pick, Unpicked> {
    let Request { tried, idempotence, hash, home } = request;
    let open = Open { tried, live, slots: pool.slots() };
    if let Some(index) = home
        && let Some(tier) = home_tier(pool, snapshot, index)
        && open.has(index)
    {
        return Ok(Pick { index, tier, is_untried: true, is_trial: false });
    }
    match pick_among(pool, snapshot, open, hash, random, now) {
        Ok((tier, index)) => {
            let trial = if tried.is_empty() {
                take_trial(snapshot, open, tier, idempotence, now)
            } else {
                None
            };
            let is_trial = trial.is_some();
            let (tier, index) = trial.unwrap_or((tier, index));
            Ok(Pick { index, tier, is_untried: true, is_trial })
        }
        Err(Unpicked::Nobody) if !tried.is_empty() => {
            let open = Open { tried: &[], ..open };
            let (tier, index) = pick_among(pool, snapshot, open, hash, random, now)?;
            Ok(Pick { index, tier, is_untried: false, is_trial: false })
        }
        Err(unpicked) => Err(unpicked),
    }
}

/// Returns the tier of a backend at which a client may be kept.
fn home_tier(pool: &Pool, snapshot: &PoolSnapshot, index: usize) -> Option<usize> {
    let number = pool.backends.get(index)?.tier;
    let tier = snapshot.tiers.get(number)?.trusted();
    let is_kept = 0.0 < snapshot.part(number) && tier.eligible.binary_search(&index).is_ok();
    is_kept.then_some(number)
}

/// Tells whether a first attempt would find a backend that is not full, in a tier that gets traffic
/// or, with `anywhere`, in any.
pub fn has_room(pool: &Pool, snapshot: &PoolSnapshot, live: &PoolLive, anywhere: bool) -> bool {
    let open = Open { tried: &[], live, slots: pool.slots() };
    let is_asked =
        |number: usize| anywhere || pool.limits.spill_over || 0.0 < snapshot.part(number);
    let mut tiers = snapshot.tiers.iter().enumerate();
    tiers.any(|(number, tier)| is_asked(number) && open.is_any(tier))
}

/// Which backends are open to an attempt.
#[derive(Clone, Copy, Debug)]
struct Open<'a> {
    tried: &'a [usize],
    live: &'a PoolLive,
    /// Attempts that may be under way at each backend.
    slots: Option<u64>,
}

impl Open<'_> {
    /// Tells whether the request has not tried this backend, and it is not full.
    fn has(&self, index: usize) -> bool {
        !self.tried.contains(&index) && !self.is_full(index)
    }

    fn is_full(&self, index: usize) -> bool {
        self.slots.is_some_and(|slots| slots <= self.live.backends[index].in_flight.load(Relaxed))
    }

    fn is_any(&self, tier: &TierSnapshot) -> bool {
        tier.eligible.iter().any(|&index| self.has(index))
    }

    /// Tells whether the tier has a backend, full or not, that the request has not tried.
    fn is_any_untried(&self, tier: &TierSnapshot) -> bool {
        tier.eligible.iter().any(|index| !self.tried.contains(index))
    }
}

fn pick_among(
    pool: &Pool,
    snapshot: &PoolSnapshot,
    open: Open<'_>,
    hash: Option<u64>,
    random: &mut fastrand::Rng,
    now: Timestamp,
) -> Result<(usize, usize), Unpicked> {
    let first = tier::elsewhere(pool, snapshot, open.tried);
    let first = first.or_else(|| tier::first(snapshot, open.tried, random));
    let weights = &*snapshot.weights;
    let mut unpicked = Unpicked::Nobody;
    let trusted = tier::by_preference(snapshot, first).map(|(it, tier)| (it, tier.trusted()));
    for (number, tier) in trusted.chain(tier::by_preference(snapshot, first)) {
        if open.is_any(tier) {
            let cursor = &open.live.cursors[number];
            let index = match pool.balance {
                Balance::RoundRobin => round_robin::pick(weights, tier, cursor, open, random),
                Balance::LeastRequests => least_requests::pick(weights, tier, open, random),
                Balance::PeakEwma => peak_ewma::pick(weights, tier, open, random, now),
                Balance::Hash => match hash {
                    Some(hash) => {
                        let (table, bound) = (&snapshot.tables[number], pool.hash_bound);
                        hashed::pick(table, weights, tier, open, hash, bound)
                    }
                    None => least_requests::pick(weights, tier, open, random),
                },
            };
            if let Some(index) = index {
                return Ok((number, index));
            }
        }
        if open.is_any_untried(tier) {
            unpicked = Unpicked::Full;
            if !pool.limits.spill_over {
                break;
            }
        }
    }
    Err(unpicked)
}

/// Takes the trial of a suspected backend, if one is granted: in a tier that gets traffic, or in one
/// that is preferred to the tier that would serve otherwise, which is `picked`.
fn take_trial(
    snapshot: &PoolSnapshot,
    open: Open<'_>,
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
        .filter(|&(_, index)| open.has(index))
        .find(|&(_, index)| {
            let grant = &open.live.backends[index].trial_from;
            let from = grant.load(Relaxed);
            let age = now.since(Timestamp::from_millis(from));
            let is_open = from != 0 && (idempotence == Idempotence::Idempotent || LATE <= age);
            // The exchange lets exactly one request have it.
            is_open && grant.compare_exchange(from, 0, Relaxed, Relaxed).is_ok()
        })
}

/// Draws one of the tier's eligible backends that are candidates, as often as its weight says.
///
/// A random position of the schedule is a draw by weight in one step. When it hits no candidate,
/// the candidates' weights are walked instead; both steps together still give each candidate
/// exactly its share among the candidates. One that weighs nothing is a spare: it is drawn when no
/// candidate weighs anything.
fn draw(
    weights: &[u32],
    tier: &TierSnapshot,
    random: &mut fastrand::Rng,
    is_candidate: impl Fn(usize) -> bool,
) -> Option<usize> {
    if let Some(guess) = tier.schedule.turn(random.usize(..))
        && is_candidate(guess)
    {
        return Some(guess);
    }
    let weight_of = |index: usize| u64::from(weights[index]);
    let candidates = || tier.eligible.iter().copied().filter(|&index| is_candidate(index));
    let total: u64 = candidates().map(weight_of).sum();
    if total == 0 {
        let spares = candidates().count();
        return if spares == 0 { None } else { candidates().nth(random.usize(..spares)) };
    }
    let mut left = random.u64(..total);
    candidates().find(|&index| {
        let is_drawn = left < weight_of(index);
        left = left.saturating_sub(weight_of(index));
        is_drawn
    })
}

#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod tests_of_affinity;
#[cfg(test)]
mod tests_of_limits;
