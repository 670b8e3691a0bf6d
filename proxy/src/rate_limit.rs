//! Rate limits: may this request pass, or has its client asked too often?
//!
//! Each key, an address or the value of a header, has a bucket of `burst` tokens, of which a request
//! takes one, and which is refilled at the rate `requests` by `per`. It is kept as one number, the
//! moment at which the bucket will be full again: the generic cell rate algorithm (ATM Forum TM 4.1,
//! section 4.4.2). Nothing has to be refilled in the background, and a bucket that is full says as
//! much as none.
//!
//! The buckets of a limit are in a table of fixed size, made of small sets; a key has its place in one
//! of them. Where a set is full, the bucket that is nearest to being full is forgotten, and its key
//! starts again with a full one: with more keys at a time than there is room for, some get more than
//! their rate, and none gets less. Keys are hashes with a secret of this process, so that nobody can
//! choose whose bucket shares a set with theirs.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{
    clock::Timestamp,
    model::{RateKey, RateLimit},
};

/// Buckets in a set: enough that sets fill evenly, few enough to look through.
const WAYS: usize = 8;
/// Sets of a table: with 32 bytes to a bucket and room for 65,536 of them, two mebibytes.
const SETS: usize = 8192;

/// What a request is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether it may pass.
    pub verdict: Verdict,
    /// Requests that may follow at once.
    pub remaining: u64,
    /// Whether the bucket of another key, not full, had to be forgotten for this one's.
    pub has_forgotten: bool,
}

/// Whether a request may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Admitted {
        /// When the bucket will be full, if nobody else comes.
        full_in: Duration,
    },
    /// It may not.
    Refused {
        /// When one like it might.
        retry_in: Duration,
    },
}

/// The buckets of one limit.
#[derive(Debug)]
pub struct Buckets {
    limit: RateLimit,
    /// Each locked for the time of a few comparisons.
    sets: Box<[Mutex<[Bucket; WAYS]>]>,
}

/// One key's bucket.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    key: u64,
    /// When it is full. The unit is the nanosecond divided by the number of `requests`: in it the
    /// time for one token is whole, so that refilling is exact.
    full_at: u128,
}

impl Buckets {
    /// Makes the table of a limit, all buckets full.
    pub fn new(limit: &RateLimit) -> Self {
        let sets = if limit.key == RateKey::Route { 1 } else { SETS };
        Self::with_sets(limit, sets)
    }

    fn with_sets(limit: &RateLimit, sets: usize) -> Self {
        Self { limit: limit.clone(), sets: (0..sets).map(|_| Mutex::default()).collect() }
    }

    /// Takes a token for a request with this key at `now`, if there is one.
    pub fn ask(&self, key: u64, now: Timestamp) -> Answer {
        let at = usize::try_from(key % self.sets.len() as u64).unwrap_or(0);
        // A thread that panicked while it held the lock has left numbers, whatever they are.
        let mut set = self.sets[at].lock().unwrap_or_else(PoisonError::into_inner);
        let known = set.iter().position(|it| it.key == key);
        let fullest = || (0..WAYS).min_by_key(|&it| set[it].full_at).unwrap_or(0);
        let place = known.unwrap_or_else(fullest);
        let bucket = &mut set[place];
        let has_forgotten = known.is_none() && units(now, &self.limit) < bucket.full_at;
        if known.is_none() {
            *bucket = Bucket { key, full_at: 0 };
        }
        let (verdict, remaining) = take(&mut bucket.full_at, &self.limit, now);
        Answer { verdict, remaining, has_forgotten }
    }
}

/// Takes a token from a bucket, if it has one. Returns how many are left, too.
fn take(full_at: &mut u128, limit: &RateLimit, now: Timestamp) -> (Verdict, u64) {
    let now = units(now, limit);
    let token = limit.per.as_nanos();
    let next = (*full_at).max(now) + token;
    let latest = now + u128::from(limit.burst.get()) * token;
    let nanos = |units: u128| {
        let nanos = units.div_ceil(u128::from(limit.requests.get()));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    };
    if latest < next {
        return (Verdict::Refused { retry_in: nanos(next - latest) }, 0);
    }
    *full_at = next;
    let remaining = u64::try_from((latest - next) / token).unwrap_or(u64::MAX);
    (Verdict::Admitted { full_in: nanos(next - now) }, remaining)
}

fn units(at: Timestamp, limit: &RateLimit) -> u128 {
    u128::from(at.as_nanos()) * u128::from(limit.requests.get())
}

#[cfg(test)]
mod tests;
