//! Latency: is a backend far out of line with its tier?
//!
//! A backend that answers everything, five times later than its equals, fails no attempt and no
//! check. It is judged by comparison, never by an absolute bound: when everything is slow, nobody is
//! out of line. The measures come every half second and cover ten seconds, so that one long pause
//! cannot condemn, and two of them in a row must agree.
//!
//! Where half of the answers are quick and half are slow (a cache that hits every other time), medians
//! jump from the one to the other by chance. A slow backend's quick answers are slow as well: three
//! quarters of its answers must be out of line with the others' median.
//!
//! When everything becomes slow at once, the medians of two backends turn at slightly different
//! times, the more so the fewer answers they stand for. So a backend is compared with what the others
//! take *at most*: over ten seconds, or over the last two, whichever is longer.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    model::{OutlierPolicy, SuspicionPolicy},
    snapshot::Measure,
};

/// Answers that a median must stand for.
const ANSWERS: u64 = 20;
/// Nobody is ejected for answers faster than this, however fast the others are.
const FLOOR: Duration = Duration::from_millis(10);
/// Measures in a row that must be out of line.
const RUN: u32 = 2;
/// A median that is older is not compared with: its backend gets no traffic any more.
const FRESH: Duration = Duration::from_secs(2);

/// Follows one backend's medians.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Latency {
    latest: Option<(Timestamp, Measure)>,
    /// The latest median that was in line.
    usual: Duration,
    /// Measures out of line, in a row.
    run: u32,
}

impl Latency {
    /// Returns what to compare others with.
    pub(crate) fn at_most(&self, now: Timestamp) -> Option<Duration> {
        let (at, measure) = self.latest?;
        (now.since(at) <= FRESH).then(|| measure.median.max(measure.latest))
    }

    /// Tells whether others have to be looked at to judge this measure.
    pub(crate) fn is_comparable(measure: &Measure) -> bool {
        ANSWERS <= measure.answers && FLOOR <= measure.quartile
    }

    /// Takes in a measure, to be compared with `others`. Tells whether the backend is out of line.
    pub(crate) fn measured(
        &mut self,
        measure: Measure,
        others: Option<Duration>,
        policy: &OutlierPolicy,
        now: Timestamp,
    ) -> bool {
        let Measure { quartile, median, answers, .. } = measure;
        if answers < ANSWERS {
            self.forget();
            return false;
        }
        self.latest = Some((now, measure));
        let limit = others.map(|others| others.mul_f64(policy.latency_factor).max(FLOOR));
        if limit.is_none_or(|limit| quartile < limit) {
            self.usual = median;
            self.run = 0;
            return false;
        }
        self.run += 1;
        RUN <= self.run
    }

    /// Forgets the medians so far: the backend does not serve as the others do.
    pub(crate) fn forget(&mut self) {
        self.latest = None;
        self.run = 0;
    }

    /// Returns how long a trial's answer may take: some times what was usual, as the pool suspects
    /// waits, with its floor in place of faster or unknown times.
    pub(crate) fn in_time(&self, policy: &SuspicionPolicy) -> Duration {
        self.usual.max(policy.floor).mul_f64(policy.factor)
    }
}

/// Returns the middle one of the other backends' medians: of two in the middle the greater, so that
/// a doubt acquits.
pub(crate) fn middle(mut medians: Vec<Duration>) -> Option<Duration> {
    let middle = medians.len() / 2;
    (!medians.is_empty()).then(|| *medians.select_nth_unstable(middle).1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        model::sample,
        snapshot::{Kind, Times},
    };

    /// Plays medians, in milliseconds, of `answers` each, against an `other` backend's.
    fn check(medians: &[u64], answers: u64, other: u64, expected: &[bool]) {
        let policy = sample::pool("api", &[(0, 1)]).outlier_detection;
        let mut latency = Latency::default();
        let judged: Vec<bool> = medians
            .iter()
            .map(|&median| {
                let median = Duration::from_millis(median);
                let measure = Measure { quartile: median, median, latest: median, answers };
                let other = Some(Duration::from_millis(other));
                latency.measured(measure, other, &policy, Timestamp::ZERO)
            })
            .collect();
        assert_eq!(judged, expected, "{medians:?} of {answers} beside {other}");
    }

    #[test]
    fn two_medians_in_a_row_five_times_as_long_are_out_of_line() {
        check(&[100, 100], 20, 20, &[false, true]);
        check(&[100, 99, 100], 20, 20, &[false, false, false]);
    }

    #[test]
    fn few_answers_and_fast_ones_condemn_nobody() {
        check(&[100, 100], 19, 20, &[false, false]);
        check(&[9, 9, 10, 10], 20, 1, &[false, false, false, true]);
    }

    #[test]
    fn the_greater_of_two_middles_is_compared_with() {
        let millis = |all: &[u64]| all.iter().map(|&it| Duration::from_millis(it)).collect();
        assert_eq!(middle(millis(&[])), None);
        assert_eq!(middle(millis(&[9, 1])), Some(Duration::from_millis(9)));
        assert_eq!(middle(millis(&[9, 1, 4])), Some(Duration::from_millis(4)));
    }

    #[test]
    fn who_need_not_be_compared_is_in_line_whatever_others_take() {
        let policy = sample::pool("api", &[(0, 1)]).outlier_detection;
        for (millis, answers, expected) in [(9, 20, false), (10, 19, false), (10, 20, true)] {
            let median = Duration::from_millis(millis);
            let measure = Measure { quartile: median, median, latest: median, answers };
            assert_eq!(Latency::is_comparable(&measure), expected, "{measure:?}");
            let mut latency = Latency::default();
            for _ in 0..3 {
                let others = Some(Duration::from_micros(1));
                let is_out = latency.measured(measure, others, &policy, Timestamp::ZERO);
                assert!(expected || !is_out, "{measure:?}");
            }
        }
    }

    #[test]
    fn what_the_others_take_at_most_is_compared_with_while_it_is_fresh() {
        let policy = sample::pool("api", &[(0, 1)]).outlier_detection;
        let millis = Duration::from_millis;
        let mut latency = Latency::default();
        assert_eq!(latency.at_most(Timestamp::ZERO), None);
        let measure =
            Measure { quartile: millis(5), median: millis(5), latest: millis(40), answers: 20 };
        latency.measured(measure, None, &policy, Timestamp::ZERO);
        assert_eq!(latency.at_most(Timestamp::from_millis(2_000)), Some(millis(40)));
        assert_eq!(latency.at_most(Timestamp::from_millis(2_001)), None);
    }

    proptest! {
        // Each plays half a minute in steps of a millisecond.
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Two backends, of which one answers up to ten times as often, become slower at once.
        #[test]
        fn nobody_is_out_of_line_when_everybody_becomes_slower_at_once(
            rates in (5_u64..60, 5_u64..60),
            factor in 2_u64..20,
            offset in 0_u64..100,
        ) {
            let policy = sample::pool("api", &[(0, 1)]).outlier_detection;
            let kind = Kind::of(0, "GET", "/");
            let usual = Arc::default();
            let backends = [rates.0, rates.1].map(|rate| (rate, Times::beside(&usual)));
            let mut latencies = [Latency::default(); 2];
            for millis in 0..30_000 {
                let now = Timestamp::from_millis(millis);
                let took = Duration::from_millis(if millis < 12_000 { 10 } else { 10 * factor });
                for (rate, times) in &backends {
                    if (millis + offset).is_multiple_of(1_000 / rate) {
                        times.learn(kind, took, now);
                    }
                }
                if !millis.is_multiple_of(500) {
                    continue;
                }
                for (index, (_, times)) in backends.iter().enumerate() {
                    let others = latencies[1 - index].at_most(now);
                    let Some(measure) = times.measure(now) else { continue };
                    let is_out = latencies[index].measured(measure, others, &policy, now);
                    prop_assert!(!is_out, "{} at {} ms: {:?} beside {:?}", index, millis, measure, others);
                }
            }
        }

        /// Every other answer is slow at both, and which of the two gets it is anything from chance
        /// to always the same one.
        #[test]
        fn what_is_asked_of_whom_puts_nobody_out_of_line(
            is_sorted in any::<bool>(),
            are_kinds in any::<bool>(),
            factor in 6_u64..40,
            seed in any::<u64>(),
        ) {
            // Nothing tells a slow backend from one that is always asked for what is slow.
            prop_assume!(!is_sorted || are_kinds);
            let policy = sample::pool("api", &[(0, 1)]).outlier_detection;
            let usual = Arc::default();
            let backends = [Times::beside(&usual), Times::beside(&usual)];
            let mut latencies = [Latency::default(); 2];
            let mut random = fastrand::Rng::with_seed(seed);
            for step in 0..4_000_u64 {
                let now = Timestamp::from_millis(step * 5);
                let is_slow = step.is_multiple_of(2);
                // Both are asked for everything before one gets all that is slow.
                let chance = !is_sorted || step < 1_000;
                let whom = usize::from(if chance { random.bool() } else { is_slow });
                let took = Duration::from_millis(if is_slow { 10 * factor } else { 10 });
                let path = if are_kinds && is_slow { "/slow" } else { "/" };
                backends[whom].learn(Kind::of(0, "GET", path), took, now);
                if !step.is_multiple_of(100) {
                    continue;
                }
                for (index, times) in backends.iter().enumerate() {
                    let others = latencies[1 - index].at_most(now);
                    let Some(measure) = times.measure(now) else { continue };
                    let is_out = latencies[index].measured(measure, others, &policy, now);
                    prop_assert!(!is_out, "{} at {}: {:?} beside {:?}", index, step, measure, others);
                }
            }
        }

        #[test]
        fn who_is_five_times_as_slow_for_ten_seconds_is_out_of_line(
            rates in (5_u64..60, 5_u64..60),
            factor in 11_u64..40,
        ) {
            let policy = sample::pool("api", &[(0, 1)]).outlier_detection;
            let usual = Arc::default();
            let (slow, well) = (Times::beside(&usual), Times::beside(&usual));
            let kind = Kind::of(0, "GET", "/");
            let (mut latency, mut other) = (Latency::default(), Latency::default());
            let mut is_out = false;
            for millis in 0..12_000 {
                let now = Timestamp::from_millis(millis);
                if millis.is_multiple_of(1_000 / rates.0) {
                    slow.learn(kind, Duration::from_millis(10 * factor), now);
                }
                if millis.is_multiple_of(1_000 / rates.1) {
                    well.learn(kind, Duration::from_millis(10), now);
                }
                if millis.is_multiple_of(500) {
                    other.measured(well.measure(now).unwrap(), None, &policy, now);
                    let others = other.at_most(now);
                    is_out |= latency.measured(slow.measure(now).unwrap(), others, &policy, now);
                }
            }
            prop_assert!(is_out);
        }
    }
}
