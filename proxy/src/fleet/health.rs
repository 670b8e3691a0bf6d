//! Active health: turns a stream of check results into a verdict that does not flap.

use crate::model::HealthCheck;

/// What health checks say of one backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// No check has ended yet.
    Unknown,
    Healthy,
    Unhealthy,
}

/// Follows one backend's check results.
///
/// The first result decides alone, so that a backend is used, or not, as soon as anything is
/// known of it. From then on the verdict flips only after a whole run of results against it:
/// `rise` passes or `fall` failures, with no result of the other kind between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HealthTracker {
    verdict: Health,
    results_against: u32,
    passes: u32,
}

impl HealthTracker {
    pub(crate) fn new() -> Self {
        Self { verdict: Health::Unknown, results_against: 0, passes: 0 }
    }

    /// Makes one that goes on from the verdict of another process.
    pub(crate) fn inherited(verdict: Health) -> Self {
        Self { verdict, results_against: 0, passes: u32::from(verdict == Health::Healthy) }
    }

    pub(crate) fn verdict(&self) -> Health {
        self.verdict
    }

    /// Returns the number of passes in a row, up to now.
    pub(crate) fn passes(&self) -> u32 {
        self.passes
    }

    /// Tells whether the latest check passed.
    pub(crate) fn is_passing(&self) -> bool {
        self.passes != 0
    }

    /// Takes in one result and returns the new verdict if this result flipped it.
    pub(crate) fn record(&mut self, result: CheckResult, policy: &HealthCheck) -> Option<Health> {
        self.passes = match result {
            CheckResult::Pass => self.passes.saturating_add(1),
            CheckResult::Fail => 0,
        };
        let (opposite, threshold) = match (self.verdict, result) {
            (Health::Unknown, CheckResult::Pass) => (Health::Healthy, 1),
            (Health::Unknown, CheckResult::Fail) => (Health::Unhealthy, 1),
            (Health::Healthy, CheckResult::Fail) => (Health::Unhealthy, policy.fall.get()),
            (Health::Unhealthy, CheckResult::Pass) => (Health::Healthy, policy.rise.get()),
            (Health::Healthy, CheckResult::Pass) | (Health::Unhealthy, CheckResult::Fail) => {
                self.results_against = 0;
                return None;
            }
        };
        self.results_against += 1;
        if self.results_against < threshold {
            return None;
        }
        self.verdict = opposite;
        self.results_against = 0;
        Some(opposite)
    }
}

/// How one check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheckResult {
    Pass,
    Fail,
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use super::*;
    use crate::model::CheckKind;

    fn policy() -> HealthCheck {
        HealthCheck {
            kind: CheckKind::Tcp,
            interval: Duration::from_secs(1),
            interval_fast: Duration::from_millis(100),
            jitter: 0.0,
            timeout: Duration::from_secs(1),
            rise: NonZeroU32::new(3).unwrap(),
            fall: NonZeroU32::new(2).unwrap(),
        }
    }

    /// `P` and `F` are results; the expectation has `H` or `U` where the verdict flips.
    fn check(results: &str, expected: &str) {
        let mut tracker = HealthTracker::new();
        let flips: String = results
            .chars()
            .map(|it| if it == 'P' { CheckResult::Pass } else { CheckResult::Fail })
            .map(|result| match tracker.record(result, &policy()) {
                Some(Health::Healthy) => 'H',
                Some(Health::Unhealthy) => 'U',
                Some(Health::Unknown) | None => '.',
            })
            .collect();
        assert_eq!(flips, expected, "{results}");
    }

    #[test]
    fn the_first_result_decides_alone() {
        check("P", "H");
        check("F", "U");
    }

    #[test]
    fn a_whole_run_against_it_flips_the_verdict() {
        check("PFF", "H.U");
        check("FPPP", "U..H");
    }

    #[test]
    fn one_result_of_the_other_kind_starts_the_count_again() {
        check("PFPFF", "H...U");
        check("FPPFPPP", "U.....H");
    }

    #[test]
    fn every_flip_ends_a_full_run() {
        for length in 1..=12 {
            for bits in 0..1u32 << length {
                let results: Vec<CheckResult> =
                    (0..length)
                        .map(|at| {
                            if bits >> at & 1 == 1 { CheckResult::Pass } else { CheckResult::Fail }
                        })
                        .collect();
                let mut tracker = HealthTracker::new();
                for at in 0..length {
                    let Some(flip) = tracker.record(results[at], &policy()) else { continue };
                    let (run, result) = match flip {
                        Health::Healthy => (3, CheckResult::Pass),
                        Health::Unhealthy | Health::Unknown => (2, CheckResult::Fail),
                    };
                    let full = at == 0
                        || run <= at + 1
                            && results[at + 1 - run..=at].iter().all(|it| *it == result);
                    assert!(full, "{results:?} at {at}");
                }
            }
        }
    }
}
