//! Outlier detection: ejects a backend whose answers to real traffic fail.
//!
//! Health checks ask one question now and then; traffic asks all of them all the time. A run of
//! failed attempts with no success between ejects the backend at once, for a time that doubles
//! with each ejection that follows soon after the one before.

use std::time::Duration;

use crate::{clock::Timestamp, model::OutlierPolicy};

/// Follows one backend's ejections.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ejections {
    until: Option<Timestamp>,
    /// Ejections so far that count towards the next one's length.
    streak: u32,
    /// When the latest ejection ended.
    readmitted: Timestamp,
}

impl Ejections {
    /// Returns when the ejection under way ends.
    pub(crate) fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Tells whether `run` failures in a row are enough.
    pub(crate) fn is_due(run: u32, policy: &OutlierPolicy) -> bool {
        policy.consecutive_failures.get() <= run
    }

    /// Ejects the backend and returns until when.
    ///
    /// A backend that then served for longer than the longest ejection starts anew.
    pub(crate) fn eject(&mut self, policy: &OutlierPolicy, now: Timestamp) -> Timestamp {
        if policy.eject_max <= now.since(self.readmitted) {
            self.streak = 0;
        }
        let until = now + length(self.streak, policy);
        self.streak = self.streak.saturating_add(1);
        self.until = Some(until);
        until
    }

    /// Ends the ejection under way, if any.
    pub(crate) fn readmit(&mut self, now: Timestamp) {
        if self.until.take().is_some() {
            self.readmitted = now;
        }
    }
}

fn length(streak: u32, policy: &OutlierPolicy) -> Duration {
    // Beyond 2^20 times the base the maximum holds anyway.
    policy.eject_base.saturating_mul(1 << streak.min(20)).min(policy.eject_max)
}

/// Returns how many of a pool's `backends` may be ejected at once: the configured share of them,
/// rounded down, but always one, or a pool of two could never lose its bad half.
pub(crate) fn ejectable(backends: usize, policy: &OutlierPolicy) -> usize {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share between 0 and 1 of a count far below 2^52"
    )]
    let share = (backends as f64 * policy.max_ejected) as usize;
    share.max(1)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn policy() -> OutlierPolicy {
        OutlierPolicy {
            consecutive_failures: NonZeroU32::new(3).unwrap(),
            eject_base: Duration::from_secs(5),
            eject_max: Duration::from_secs(60),
            max_ejected: 0.5,
        }
    }

    #[test]
    fn each_ejection_soon_after_another_is_twice_as_long_up_to_the_maximum() {
        let mut ejections = Ejections::default();
        let mut now = Timestamp::from_millis(1_000_000);
        let mut lengths = Vec::new();
        for _ in 0..6 {
            let until = ejections.eject(&policy(), now);
            lengths.push(until.since(now).as_secs());
            ejections.readmit(until);
            now = until + Duration::from_secs(1);
        }
        assert_eq!(lengths, [5, 10, 20, 40, 60, 60]);
    }

    #[test]
    fn a_long_time_without_trouble_is_forgiven() {
        let mut ejections = Ejections::default();
        let now = Timestamp::from_millis(1_000_000);
        let until = ejections.eject(&policy(), now);
        ejections.readmit(until);
        let later = until + Duration::from_secs(60);
        assert_eq!(ejections.eject(&policy(), later).since(later).as_secs(), 5);
    }

    #[test]
    fn half_of_two_and_one_of_one_may_be_ejected() {
        assert_eq!([1, 2, 3, 4, 10].map(|n| ejectable(n, &policy())), [1, 1, 1, 2, 5]);
    }
}
