//! How long answers usually take: learned from every answer, read by every request.
//!
//! One backend serves quick and slow requests side by side, and a wait that is long for the one is
//! short for the other. Times are therefore kept by *kind* of request, 64 kinds to a backend. Two
//! kinds may share a place, and a kind may cover what takes long and what does not (a query makes
//! no kind of its own). What is rarer there than one answer in a thousand is then judged by the
//! times of the rest: falsely suspected, for as long as three trials take, and hedged.
//!
//! Two questions are asked of them, and each has counts of its own. *Is this wait out of line?* is
//! answered from all that is remembered, because what is rare must not be forgotten quickly. *Is
//! this backend slower than its equals?* is answered from the last ten seconds alone: otherwise one
//! that answers more would notice first that everybody has become slower, and one that stands by
//! would be judged by what it did last week.
//!
//! Equals may get different kinds: two clients that ask in turn can give one of two backends all that
//! is quick. What is compared is therefore *evened*: each answer as long as it would have taken if its
//! kind were the average one, by what all backends of the pool take for either ([`Usual`]).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{clock::Timestamp, snapshot::RateWindow};

/// Places for kinds of requests.
const KINDS: usize = 64;
/// Upper edges of buckets rise by half an octave, from 50 µs to 75 s.
const BUCKETS: usize = 42;
const FIRST_EDGE_MICROS: f64 = 50.0;
/// Answers without which nothing is known of a kind.
const ENOUGH: u64 = 50;
/// Answers remembered of a kind: when it has more, all counts are halved, so that what is known
/// follows what changes.
const REMEMBERED: u64 = 4096;
/// Share of answers that took no longer than the usual longest.
const NEARLY_ALL: f64 = 0.999;
/// An answer counts as no longer than this multiple of the longest known: a single hang teaches
/// little, and what has really become slower is learned in a few steps.
const STEP: u32 = 2;
/// Answers that an average goes by, more or less.
const AVERAGED: i64 = 64;
/// Seconds, the present one included, that tell how long answers take just now.
const JUST_NOW: u64 = 2;

/// What requests have in common that take about as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(usize);

impl Kind {
    /// Tells the kind of a request by its route, method and path. Parts of the path that look like
    /// names of single things (with a digit in them, or very long) are left out: `/users/17` and
    /// `/users/18` are of one kind.
    pub fn of(route: usize, method: &str, path: &str) -> Self {
        // FNV-1a: a few bytes, no key to keep secret, as one place is as good as another.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325 ^ (route as u64);
        let mut eat = |bytes: &[u8]| {
            for &byte in bytes {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        };
        eat(method.as_bytes());
        for part in path.as_bytes().split(|&byte| byte == b'/') {
            let is_single = 24 < part.len() || part.iter().any(u8::is_ascii_digit);
            eat(if is_single { b"/*" } else { b"/" });
            if !is_single {
                eat(part);
            }
        }
        Self(usize::try_from((hash >> 32) % KINDS as u64).unwrap_or(0))
    }
}

/// What answers take on the average at all backends of a pool, by kind and altogether, in
/// nanoseconds; 0 while nothing is known.
#[derive(Debug)]
pub struct Usual {
    kinds: [AtomicU64; KINDS],
    all: AtomicU64,
}

impl Default for Usual {
    fn default() -> Self {
        Self { kinds: std::array::from_fn(|_| AtomicU64::new(0)), all: AtomicU64::new(0) }
    }
}

impl Usual {
    /// Learns from an answer, and returns how long it would have taken if its kind were the average.
    fn even(&self, kind: Kind, took: Duration) -> Duration {
        let (of_kind, of_all) = (average(&self.kinds[kind.0], took), average(&self.all, took));
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(match took.checked_mul(of_all) {
            // Of a few seconds at most, as nearly always: a division by one word.
            Some(product) => product / of_kind,
            None => (u128::from(took) * u128::from(of_all) / u128::from(of_kind))
                .try_into()
                .unwrap_or(u64::MAX),
        })
    }
}

/// Moves an average a little towards `took`, and returns it; 1 at least. What another thread learns
/// at the same moment may be lost, which is nothing.
fn average(cell: &AtomicU64, took: Duration) -> u64 {
    let took = i64::try_from(took.as_nanos()).unwrap_or(i64::MAX).max(1);
    let before = i64::try_from(cell.load(Relaxed)).unwrap_or(i64::MAX);
    let after = if before == 0 { took } else { before + (took - before) / AVERAGED };
    let after = after.unsigned_abs().max(1);
    cell.store(after, Relaxed);
    after
}

/// The times of one backend's answers.
#[derive(Debug)]
pub struct Times {
    kinds: Vec<KindTimes>,
    /// What its pool's backends take.
    usual: Arc<Usual>,
    /// The answers of the last ten seconds, by how long they took, evened.
    recent: [RateWindow; BUCKETS],
    /// Microseconds at which the backend last answered anybody.
    answered: AtomicU64,
}

#[derive(Debug)]
struct KindTimes {
    buckets: [AtomicU32; BUCKETS],
    /// The usual longest, in microseconds, as last worked out; 0 while too little is known.
    longest_micros: AtomicU64,
}

impl Default for Times {
    fn default() -> Self {
        Self::beside(&Arc::default())
    }
}

impl Times {
    /// Knows nothing yet of a backend of the pool whose backends take what is `usual`.
    pub fn beside(usual: &Arc<Usual>) -> Self {
        let kind = || KindTimes {
            buckets: std::array::from_fn(|_| AtomicU32::new(0)),
            longest_micros: AtomicU64::new(0),
        };
        Self {
            kinds: (0..KINDS).map(|_| kind()).collect(),
            usual: Arc::clone(usual),
            recent: std::array::from_fn(|_| RateWindow::default()),
            answered: AtomicU64::new(0),
        }
    }
}

/// How long the answers of the last ten seconds took, evened, from sending the request to the
/// beginning of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// What a quarter of them stayed below.
    pub quartile: Duration,
    /// The median.
    pub median: Duration,
    /// The median of the last two seconds, or of all ten if there was no answer in them.
    pub latest: Duration,
    /// How many there were.
    pub answers: u64,
}

impl Times {
    /// Notes that the backend answered somebody at `now`.
    pub fn answered(&self, now: Timestamp) {
        self.answered.store(now.as_micros(), Relaxed);
    }

    /// Returns when the backend last answered anybody.
    pub fn last_answer(&self) -> Timestamp {
        Timestamp::from_micros(self.answered.load(Relaxed))
    }

    /// Learns that an answer of `now` to a request of this kind took so long.
    pub fn learn(&self, kind: Kind, took: Duration, now: Timestamp) {
        self.recent[bucket_of(self.usual.even(kind, took))].add(now);
        let most = self.longest(kind).map_or(Duration::MAX, |it| it * STEP);
        self.kinds[kind.0].buckets[bucket_of(took.min(most))].fetch_add(1, Relaxed);
    }

    /// Forgets what was learned of every kind: the backend is another one than it was, or has been
    /// shown to take longer. Nothing is known again until there were enough answers.
    pub fn forget(&self) {
        for kind in &self.kinds {
            kind.longest_micros.store(0, Relaxed);
            for bucket in &kind.buckets {
                bucket.store(0, Relaxed);
            }
        }
    }

    /// Returns what nearly all answers to requests of this kind stayed below; `None` while too
    /// little is known.
    pub fn longest(&self, kind: Kind) -> Option<Duration> {
        let micros = self.kinds[kind.0].longest_micros.load(Relaxed);
        (micros != 0).then(|| Duration::from_micros(micros))
    }

    /// Works out anew what [`Times::longest`] returns, and forgets what is old. For one caller, a
    /// few times a second.
    pub fn digest(&self) {
        for kind in &self.kinds {
            let mut counts = [0_u64; BUCKETS];
            for (count, bucket) in counts.iter_mut().zip(&kind.buckets) {
                *count = u64::from(bucket.load(Relaxed));
            }
            let total: u64 = counts.iter().sum();
            if total == 0 {
                continue;
            }
            let longest = if total < ENOUGH { 0 } else { micros_at(&counts, NEARLY_ALL) };
            kind.longest_micros.store(longest, Relaxed);
            if REMEMBERED < total {
                for bucket in &kind.buckets {
                    // An answer that comes in between may be forgotten; one is nothing.
                    bucket.store(bucket.load(Relaxed) / 2, Relaxed);
                }
            }
        }
    }

    /// Returns how long the answers of the last ten seconds took; `None` if there were none.
    pub fn measure(&self, now: Timestamp) -> Option<Measure> {
        let all = self.recent.each_ref().map(|it| it.count(now));
        let answers = all.iter().sum();
        if answers == 0 {
            return None;
        }
        let just_now = self.recent.each_ref().map(|it| it.count_last(JUST_NOW, now));
        let quartile = Duration::from_micros(micros_at(&all, 0.25));
        let median = Duration::from_micros(micros_at(&all, 0.5));
        let latest = if just_now.iter().all(|&count| count == 0) {
            median
        } else {
            Duration::from_micros(micros_at(&just_now, 0.5))
        };
        Some(Measure { quartile, median, latest, answers })
    }
}

/// Returns the upper edge, in microseconds, of the bucket in which the share `q` is reached.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn micros_at(counts: &[u64; BUCKETS], q: f64) -> u64 {
    let needed = counts.iter().sum::<u64>() as f64 * q;
    let mut sum = 0;
    let reached = counts.iter().position(|count| {
        sum += count;
        needed <= sum as f64
    });
    edge_micros(reached.unwrap_or(BUCKETS - 1))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "edges lie between 50 µs and 75 s"
)]
fn edge_micros(bucket: usize) -> u64 {
    (FIRST_EDGE_MICROS * (bucket as f64 / 2.0).exp2()) as u64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "clamped to the buckets there are"
)]
fn bucket_of(took: Duration) -> usize {
    let ratio = took.as_micros() as f64 / FIRST_EDGE_MICROS;
    let bucket = (2.0 * ratio.max(1.0).log2()).ceil();
    (bucket as usize).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests;
