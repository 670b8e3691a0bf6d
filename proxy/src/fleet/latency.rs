//! Latency: is a backend far out of line with its tier?
//!
//! A backend that answers everything, five times later than its equals, fails no attempt and no
//! check. It is judged by comparison, never by an absolute bound: when everything is slow, nobody is
//! out of line. The medians come every half second and cover ten, so that one long pause cannot
//! condemn, and two of them in a row must agree.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    model::{OutlierPolicy, SuspicionPolicy},
};

/// Answers that a median must stand for.
const ANSWERS: u64 = 20;
/// Nobody is ejected for answers faster than this, however fast the others are.
const FLOOR: Duration = Duration::from_millis(10);
/// Medians in a row that must be out of line.
const RUN: u32 = 2;
/// A median that is older is not compared with: its backend gets no traffic any more.
const FRESH: Duration = Duration::from_secs(2);

/// Follows one backend's medians.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Latency {
    latest: Option<(Timestamp, Duration)>,
    /// The latest that was in line.
    usual: Duration,
    /// Medians out of line, in a row.
    run: u32,
}

impl Latency {
    /// Returns the median to compare others with.
    pub(crate) fn median(&self, now: Timestamp) -> Option<Duration> {
        self.latest.and_then(|(at, median)| (now.since(at) <= FRESH).then_some(median))
    }

    /// Takes in a median of so many `answers`, to be compared with `others`. Tells whether the
    /// backend is out of line.
    pub(crate) fn measured(
        &mut self,
        (median, answers): (Duration, u64),
        others: Option<Duration>,
        policy: &OutlierPolicy,
        now: Timestamp,
    ) -> bool {
        if answers < ANSWERS {
            self.forget();
            return false;
        }
        self.latest = Some((now, median));
        let limit = others.map(|others| others.mul_f64(policy.latency_factor).max(FLOOR));
        if limit.is_none_or(|limit| median < limit) {
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
    medians.sort_unstable();
    medians.get(medians.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;

    /// Plays medians, in milliseconds, of `answers` each, against an `other` backend's.
    fn check(medians: &[u64], answers: u64, other: u64, expected: &[bool]) {
        let policy = sample::pool("api", &[(0, 1)]).outlier_detection;
        let mut latency = Latency::default();
        let judged: Vec<bool> = medians
            .iter()
            .map(|&median| {
                let measured = (Duration::from_millis(median), answers);
                let other = Some(Duration::from_millis(other));
                latency.measured(measured, other, &policy, Timestamp::ZERO)
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
}
