//! How long answers usually take: learned from every answer, read by every request.
//!
//! One backend serves quick and slow requests side by side, and a wait that is long for the one is
//! short for the other. Times are therefore kept by *kind* of request, 64 kinds to a backend. Two
//! kinds may share a place; the place then knows the slower one's times, and judges the quicker
//! one late, never falsely.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::clock::Timestamp;

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

/// The times of one backend's answers.
#[derive(Debug)]
pub struct Times {
    kinds: Vec<KindTimes>,
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
        let kind = || KindTimes {
            buckets: std::array::from_fn(|_| AtomicU32::new(0)),
            longest_micros: AtomicU64::new(0),
        };
        Self { kinds: (0..KINDS).map(|_| kind()).collect(), answered: AtomicU64::new(0) }
    }
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

    /// Learns that an answer to a request of this kind took so long.
    pub fn learn(&self, kind: Kind, took: Duration) {
        self.kinds[kind.0].buckets[bucket_of(took)].fetch_add(1, Relaxed);
    }

    /// Returns what nearly all answers to requests of this kind stayed below; `None` while too
    /// little is known.
    pub fn longest(&self, kind: Kind) -> Option<Duration> {
        let micros = self.kinds[kind.0].longest_micros.load(Relaxed);
        (micros != 0).then(|| Duration::from_micros(micros))
    }

    /// Works out anew what [`Times::longest`] returns, and forgets what is old. For one caller, a
    /// few times a second. Returns the median of everything that is remembered, and how many
    /// answers that is.
    pub fn digest(&self) -> Option<(Duration, u64)> {
        let mut sums = [0_u64; BUCKETS];
        for kind in &self.kinds {
            let mut counts = [0_u64; BUCKETS];
            for (count, bucket) in counts.iter_mut().zip(&kind.buckets) {
                *count = u64::from(bucket.load(Relaxed));
            }
            let total: u64 = counts.iter().sum();
            if total == 0 {
                continue;
            }
            for (sum, count) in sums.iter_mut().zip(&counts) {
                *sum += count;
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
        let total: u64 = sums.iter().sum();
        (total != 0).then(|| (Duration::from_micros(micros_at(&sums, 0.5)), total))
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
mod tests {
    use super::*;

    fn learn(times: &Times, kind: Kind, millis: u64, answers: usize) {
        for _ in 0..answers {
            times.learn(kind, Duration::from_millis(millis));
        }
    }

    #[test]
    fn nothing_is_known_until_there_were_enough_answers() {
        let (times, kind) = (Times::default(), Kind::of(0, "GET", "/a"));
        learn(&times, kind, 10, 49);
        times.digest();
        assert_eq!(times.longest(kind), None);
        learn(&times, kind, 10, 1);
        times.digest();
        let longest = times.longest(kind).unwrap();
        assert!((10..15).contains(&longest.as_millis()), "{longest:?}");
    }

    #[test]
    fn a_slow_kind_does_not_change_what_is_known_of_a_quick_one() {
        let times = Times::default();
        let (quick, slow) = (Kind::of(0, "GET", "/quick"), Kind::of(0, "GET", "/slow"));
        assert_ne!(quick, slow);
        learn(&times, quick, 2, 5000);
        learn(&times, slow, 900, 100);
        let (median, answers) = times.digest().unwrap();
        assert!(median.as_millis() <= 3 && answers == 5100, "{median:?} of {answers}");
        assert!(times.longest(quick).unwrap() < Duration::from_millis(3));
        assert!(Duration::from_millis(900) <= times.longest(slow).unwrap());
    }

    #[test]
    fn ids_in_a_path_do_not_make_a_kind_of_their_own() {
        let kind = |path| Kind::of(3, "GET", path);
        assert_eq!(kind("/users/17/orders"), kind("/users/18/orders"));
        assert_ne!(kind("/users/17/orders"), kind("/users/17"));
        assert_ne!(Kind::of(3, "POST", "/users"), kind("/users"));
    }

    #[test]
    fn what_is_known_follows_what_changes() {
        let (times, kind) = (Times::default(), Kind::of(0, "GET", "/a"));
        learn(&times, kind, 5, 10_000);
        times.digest();
        for _ in 0..3 {
            learn(&times, kind, 400, 1_000);
            times.digest();
        }
        assert!(Duration::from_millis(400) <= times.longest(kind).unwrap());
        for _ in 0..30 {
            learn(&times, kind, 5, 4_000);
            times.digest();
        }
        assert!(times.longest(kind).unwrap() < Duration::from_millis(8));
    }

    #[test]
    fn every_duration_has_a_bucket_whose_edge_is_not_below_it() {
        for micros in [0, 1, 49, 50, 51, 99, 1_000, 123_456, 60_000_000] {
            let edge = edge_micros(bucket_of(Duration::from_micros(micros)));
            assert!(micros <= edge + 1, "{micros} above {edge}");
        }
        assert_eq!(bucket_of(Duration::from_secs(86_400)), BUCKETS - 1);
    }
}
