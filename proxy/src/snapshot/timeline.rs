//! What happened to requests, by the moment at which they finished.
//!
//! An incident's record and the page's charts ask for counts and latencies of arbitrary windows,
//! some of which began before anybody knew that they would matter. So every request is counted in
//! a slot of 100 ms, in a ring that covers the last five minutes. A slot is cleared long before
//! its turn comes ([`Timeline::clear_ahead`]), not by the request that finds it stale: no request
//! is lost to a race between clearing and counting, and none pays for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{
    clock::Timestamp,
    event::{Fate, Rescue},
};

/// The length of one slot: windows are multiples of it.
pub const SLOT: Duration = Duration::from_millis(100);
const SLOT_MILLIS: u64 = 100;
/// Slots kept: five minutes, what the charts show.
const SLOTS: u64 = 3_000;
/// Slots kept clear ahead of the present. The clearer may be late by almost this much.
const AHEAD: u64 = 100;

/// Latency buckets: each bound is a quarter above the one before, from 50 µs to over a minute.
const BUCKETS: usize = 64;
const BUCKET_BASE_SECONDS: f64 = 50e-6;
const BUCKET_GROWTH: f64 = 1.25;

/// Counts of requests by when they finished, for one pool.
#[derive(Debug)]
pub struct Timeline {
    ring: Arc<Ring>,
    /// Attempts answered, by backend, then by slot.
    answered: Vec<Arc<[AtomicU32]>>,
}

/// What is counted of a pool as a whole.
#[derive(Debug)]
struct Ring {
    slots: Vec<Slot>,
    /// The last slot that is known to be clear, or to have been when its turn came.
    cleared_to: AtomicU64,
}

#[derive(Debug)]
struct Slot {
    requests: AtomicU32,
    lost: AtomicU32,
    rescued_by_retry: AtomicU32,
    rescued_by_hedge: AtomicU32,
    extra_attempts: AtomicU32,
    latencies: [AtomicU32; BUCKETS],
}

impl Slot {
    fn new() -> Self {
        Self {
            requests: AtomicU32::new(0),
            lost: AtomicU32::new(0),
            rescued_by_retry: AtomicU32::new(0),
            rescued_by_hedge: AtomicU32::new(0),
            extra_attempts: AtomicU32::new(0),
            latencies: [const { AtomicU32::new(0) }; BUCKETS],
        }
    }

    fn clear(&self) {
        self.requests.store(0, Relaxed);
        self.lost.store(0, Relaxed);
        self.rescued_by_retry.store(0, Relaxed);
        self.rescued_by_hedge.store(0, Relaxed);
        self.extra_attempts.store(0, Relaxed);
        for bucket in &self.latencies {
            bucket.store(0, Relaxed);
        }
    }
}

/// Sums over a window of a [`Timeline`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowCounts {
    /// Requests that finished.
    pub requests: u64,
    /// Of those, the ones that ended in an error of the proxy's or a backend's making.
    pub lost: u64,
    /// Of those, the ones that were answered well after a failed attempt.
    pub rescued_by_retry: u64,
    /// Of those, the ones that were answered well by an attempt begun beside a slow one.
    pub rescued_by_hedge: u64,
    /// Attempts that they needed beyond the first of each.
    pub extra_attempts: u64,
    /// How long they took.
    pub latencies: Latencies,
}

impl WindowCounts {
    /// Returns the requests that were rescued, in whichever way.
    pub fn rescued(&self) -> u64 {
        self.rescued_by_retry + self.rescued_by_hedge
    }

    /// Adds the sums of another window.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.lost += other.lost;
        self.rescued_by_retry += other.rescued_by_retry;
        self.rescued_by_hedge += other.rescued_by_hedge;
        self.extra_attempts += other.extra_attempts;
        self.latencies.add(&other.latencies);
    }
}

/// A histogram of latencies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latencies([u64; BUCKETS]);

impl Default for Latencies {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Latencies {
    /// Adds those of another histogram.
    pub fn add(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(&other.0) {
            *sum += count;
        }
    }

    /// Returns the buckets that are not empty, by number, with what they hold.
    pub fn filled(&self) -> impl Iterator<Item = (usize, u64)> {
        self.0.iter().copied().enumerate().filter(|&(_, count)| count != 0)
    }

    /// Adds `count` to a bucket, if there is one of that number.
    pub fn fill(&mut self, bucket: usize, count: u64) {
        if let Some(sum) = self.0.get_mut(bucket) {
            *sum = sum.saturating_add(count);
        }
    }

    /// Returns the latency, in seconds, below which the share `q` (0 to 1) of requests stayed.
    ///
    /// Interpolated within the bucket, so off by less than a quarter. `None` without requests.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let total: u64 = self.0.iter().sum();
        if total == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of five minutes fit an f64")]
        let rank = (q * total as f64).clamp(f64::MIN_POSITIVE, total as f64);
        let mut below = 0.0;
        for (index, &count) in self.0.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "counts of five minutes fit an f64")]
            let count = count as f64;
            if rank <= below + count && 0.0 < count {
                let lower = if index == 0 { 0.0 } else { bound_seconds(index - 1) };
                return Some(lower + (bound_seconds(index) - lower) * (rank - below) / count);
            }
            below += count;
        }
        Some(bound_seconds(BUCKETS - 1))
    }
}

impl Timeline {
    /// Makes an empty timeline for a pool of `backends` backends.
    pub fn new(backends: usize) -> Self {
        let ring = Ring {
            slots: (0..SLOTS).map(|_| Slot::new()).collect(),
            // Timestamps begin with the process: for the first turn of the ring all is clear.
            cleared_to: AtomicU64::new(SLOTS - 1),
        };
        Self { ring: Arc::new(ring), answered: (0..backends).map(|_| no_answers()).collect() }
    }

    /// Returns the timeline of the same pool with other backends, of each of which `before` says which
    /// one of this timeline it was. Both count together.
    #[must_use]
    pub fn succeeded_by(&self, before: impl Iterator<Item = Option<usize>>) -> Self {
        let answered =
            before.map(|it| it.map_or_else(no_answers, |it| Arc::clone(&self.answered[it])));
        Self { ring: Arc::clone(&self.ring), answered: answered.collect() }
    }

    /// Counts a request that finished at `now` after `took` and after so many `attempts`.
    pub fn record(&self, now: Timestamp, took: Duration, fate: Fate, attempts: u32) {
        let slot = &self.ring.slots[index_of(slot_of(now))];
        slot.requests.fetch_add(1, Relaxed);
        match fate {
            Fate::Served | Fate::Abandoned => {}
            Fate::Rescued(Rescue::Retry) => _ = slot.rescued_by_retry.fetch_add(1, Relaxed),
            Fate::Rescued(Rescue::Hedge) => _ = slot.rescued_by_hedge.fetch_add(1, Relaxed),
            Fate::Lost => _ = slot.lost.fetch_add(1, Relaxed),
        }
        if 1 < attempts {
            slot.extra_attempts.fetch_add(attempts - 1, Relaxed);
        }
        slot.latencies[bucket_of(took)].fetch_add(1, Relaxed);
    }

    /// Counts an attempt that the backend at `index` answered at `now`.
    pub fn record_answer(&self, now: Timestamp, index: usize) {
        self.answered[index][index_of(slot_of(now))].fetch_add(1, Relaxed);
    }

    /// Clears the slots whose turn comes within the next ten seconds. For one caller, and to be
    /// called more often than that; calling it early or twice is harmless.
    ///
    /// A slot is cleared once, long before its turn: requests go on counting while this runs, and
    /// by the time that `now` is acted on, its slot may be over.
    pub fn clear_ahead(&self, now: Timestamp) {
        let present = slot_of(now);
        // After a pause longer than a turn of the ring nothing that is left in it is of use.
        let first = (self.ring.cleared_to.load(Relaxed) + 1)
            .max((present + AHEAD + 1).saturating_sub(SLOTS));
        for slot in first..=present + AHEAD {
            let index = index_of(slot);
            self.ring.slots[index].clear();
            for counts in &self.answered {
                counts[index].store(0, Relaxed);
            }
        }
        self.ring.cleared_to.fetch_max(present + AHEAD, Relaxed);
    }

    /// Returns the sums over `from..to`, both rounded down to whole slots.
    ///
    /// What lies more than [`Timeline::reach`] before `now` is gone and counts as nothing.
    pub fn window(&self, from: Timestamp, to: Timestamp, now: Timestamp) -> WindowCounts {
        let mut counts = WindowCounts::default();
        for slot in self.range(from, to, now) {
            let slot = &self.ring.slots[index_of(slot)];
            counts.requests += u64::from(slot.requests.load(Relaxed));
            counts.lost += u64::from(slot.lost.load(Relaxed));
            counts.rescued_by_retry += u64::from(slot.rescued_by_retry.load(Relaxed));
            counts.rescued_by_hedge += u64::from(slot.rescued_by_hedge.load(Relaxed));
            counts.extra_attempts += u64::from(slot.extra_attempts.load(Relaxed));
            for (sum, bucket) in counts.latencies.0.iter_mut().zip(&slot.latencies) {
                *sum += u64::from(bucket.load(Relaxed));
            }
        }
        counts
    }

    /// Returns the attempts answered by the backend at `index` in `from..to`.
    pub fn answers(&self, from: Timestamp, to: Timestamp, now: Timestamp, index: usize) -> u64 {
        self.range(from, to, now)
            .map(|slot| self.answered[index][index_of(slot)].load(Relaxed))
            .map(u64::from)
            .sum()
    }

    /// Returns the last slot boundary at or before `at`.
    pub fn floor(at: Timestamp) -> Timestamp {
        Timestamp::from_millis(slot_of(at) * SLOT_MILLIS)
    }

    /// Returns the first slot boundary at or after `at`.
    pub fn ceil(at: Timestamp) -> Timestamp {
        let floor = Self::floor(at);
        if floor == at { at } else { floor + SLOT }
    }

    /// Returns how far back windows may lie.
    pub fn reach() -> Duration {
        Duration::from_millis((SLOTS - AHEAD - 1) * SLOT_MILLIS)
    }

    fn range(&self, from: Timestamp, to: Timestamp, now: Timestamp) -> std::ops::Range<u64> {
        let oldest = slot_of(now.minus(Self::reach()));
        slot_of(from).max(oldest)..slot_of(to).min(slot_of(now) + 1)
    }
}

fn no_answers() -> Arc<[AtomicU32]> {
    (0..SLOTS).map(|_| AtomicU32::new(0)).collect()
}

fn slot_of(at: Timestamp) -> u64 {
    at.as_millis() / SLOT_MILLIS
}

fn index_of(slot: u64) -> usize {
    usize::try_from(slot % SLOTS).unwrap_or(0)
}

fn bound_seconds(bucket: usize) -> f64 {
    BUCKET_BASE_SECONDS * BUCKET_GROWTH.powi(i32::try_from(bucket).unwrap_or(i32::MAX))
}

fn bucket_of(took: Duration) -> usize {
    let steps = (took.as_secs_f64() / BUCKET_BASE_SECONDS).ln() / BUCKET_GROWTH.ln();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the buckets' indices; a float cast saturates"
    )]
    let bucket = steps.ceil().max(0.0) as usize;
    bucket.min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_window_holds_what_finished_in_it_and_no_more() {
        let timeline = Timeline::new(2);
        let took = Duration::from_millis(1);
        timeline.record(at(999), took, Fate::Served, 1);
        timeline.record(at(1_000), took, Fate::Rescued(Rescue::Retry), 3);
        timeline.record(at(1_010), took, Fate::Rescued(Rescue::Hedge), 2);
        timeline.record(at(1_499), took, Fate::Lost, 0);
        timeline.record(at(1_500), took, Fate::Served, 1);
        timeline.record_answer(at(1_100), 1);
        let counts = timeline.window(at(1_000), at(1_500), at(2_000));
        assert_eq!((counts.requests, counts.lost, counts.rescued()), (3, 1, 2));
        assert_eq!((counts.rescued_by_retry, counts.rescued_by_hedge), (1, 1));
        assert_eq!(counts.extra_attempts, 3);
        assert_eq!(timeline.answers(at(1_000), at(1_500), at(2_000), 1), 1);
        assert_eq!(timeline.answers(at(1_000), at(1_500), at(2_000), 0), 0);
    }

    #[test]
    fn slots_are_empty_again_after_a_turn_of_the_ring() {
        let timeline = Timeline::new(1);
        timeline.record(at(50), Duration::from_millis(1), Fate::Served, 2);
        timeline.record_answer(at(50), 0);
        let later = at(SLOTS * SLOT_MILLIS);
        timeline.clear_ahead(later.minus(Duration::from_secs(1)));
        let counts = timeline.window(later, later + SLOT, later + SLOT);
        assert_eq!((counts.requests, counts.extra_attempts), (0, 0));
        assert_eq!(timeline.answers(later, later + SLOT, later + SLOT, 0), 0);
    }

    #[test]
    fn what_was_counted_while_somebody_was_about_to_clear_stays() {
        let timeline = Timeline::new(1);
        for turn in 0..4_000 {
            let read = at(turn * 500);
            // The clearer read the time, and then had other things to do first.
            let counted = read + Duration::from_millis(450);
            timeline.record(counted, Duration::from_millis(1), Fate::Lost, 1);
            timeline.clear_ahead(read);
            let counts = timeline.window(counted, counted + SLOT, counted);
            assert_eq!(counts.lost, 1, "at {counted:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Requests and calls of the clearer, each so many milliseconds after the one before, the
        /// clearer's time being that much old when it acts.
        #[test]
        fn a_window_holds_what_was_counted_in_it_whenever_somebody_clears(
            steps in prop::collection::vec((0_u64..9_000, 0_u64..900, any::<bool>()), 1..200),
        ) {
            let timeline = Timeline::new(1);
            let (mut now, mut counted, mut cleared) = (0, Vec::new(), 0);
            for (wait, old, is_clearer) in steps {
                now += wait;
                if is_clearer || cleared + 9_000 <= now {
                    timeline.clear_ahead(at(now.saturating_sub(old)));
                    cleared = now.saturating_sub(old);
                }
                timeline.record(at(now), Duration::from_millis(1), Fate::Served, 1);
                timeline.record_answer(at(now), 0);
                counted.push(now);
            }
            let reach = u64::try_from(Timeline::reach().as_millis()).unwrap();
            let from = now.saturating_sub(reach) / 100 * 100;
            let (from, to) = (at(from), at(now) + SLOT);
            let expected = counted.iter().filter(|&&it| from <= at(it)).count() as u64;
            prop_assert_eq!(timeline.window(from, to, at(now)).requests, expected);
            prop_assert_eq!(timeline.answers(from, to, at(now), 0), expected);
        }
    }

    #[test]
    fn quantiles_are_off_by_less_than_a_quarter() {
        let timeline = Timeline::new(1);
        for millis in 1..=1_000 {
            timeline.record(at(10), Duration::from_millis(millis), Fate::Served, 1);
        }
        let latencies = timeline.window(at(0), at(100), at(100)).latencies;
        for (q, expected) in [(0.5, 0.5), (0.99, 0.99)] {
            let found = latencies.quantile(q).unwrap();
            assert!((found / expected - 1.0).abs() < 0.25, "{q}: {found}");
        }
        assert_eq!(timeline.window(at(100), at(200), at(200)).latencies.quantile(0.5), None);
    }
}
