//! Outlier detection: ejects a backend whose answers to real traffic fail.
//!
//! Health checks ask one question now and then; traffic asks all of them all the time. A run of
//! failed attempts with no success between ejects the backend at once, and so does too great a share
//! of the last ten seconds' attempts; for a time that doubles with each ejection that follows soon
//! after the one before.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    clock::{Timestamp, whole_millis},
    model::OutlierPolicy,
    snapshot::Recent,
};

/// What the share of failed attempts is a share of.
pub(crate) const WINDOW: Duration = Duration::from_secs(10);
/// Attempts of the last two seconds from which it can be told whether traffic is well.
const ATTEMPTS: u64 = 20;
/// The share of failures, one in so many, up to which it is.
const WELL: u64 = 20;
/// The share of failures, one in so many, below which a repeat offence is an accident: a busy
/// backend has a stray error every few seconds, and retries make up for it.
const RARE: u64 = 100;

/// Follows one backend's ejections.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ejections {
    until: Option<Timestamp>,
    /// Ejections so far that count towards the next one's length.
    streak: u32,
    /// When the latest ejection ended that was not an operator's.
    readmitted: Timestamp,
    /// Whether the ejection under way was an operator's.
    is_by_hand: bool,
}

/// What outlier detection says of a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EjectionRecord {
    /// For how many more milliseconds it is ejected.
    pub left_ms: Option<u64>,
    /// Ejections so far that count towards the next one's length.
    pub streak: u32,
    /// Whether an operator asked for the ejection under way.
    #[serde(default)]
    pub is_by_hand: bool,
    /// How many milliseconds ago the latest one ended.
    pub readmitted_ms: u64,
}

impl Ejections {
    /// Tells what another process needs to go on from.
    pub(crate) fn record(&self, now: Timestamp) -> EjectionRecord {
        EjectionRecord {
            left_ms: self.until.map(|until| whole_millis(until.since(now))),
            streak: self.streak,
            is_by_hand: self.is_by_hand,
            readmitted_ms: whole_millis(now.since(self.readmitted)),
        }
    }

    /// Goes on from what another process knew.
    pub(crate) fn inherited(known: &EjectionRecord, now: Timestamp) -> Self {
        Self {
            until: known.left_ms.map(|left| now + Duration::from_millis(left)),
            streak: known.streak,
            is_by_hand: known.is_by_hand,
            readmitted: now.minus(Duration::from_millis(known.readmitted_ms)),
        }
    }

    /// Returns when the ejection under way ends.
    pub(crate) fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Tells whether `run` failures in a row are enough.
    pub(crate) fn is_due(run: u32, policy: &OutlierPolicy) -> bool {
        policy.consecutive_failures.get() <= run
    }

    /// Tells whether so many of the last ten seconds' attempts failed that it is enough.
    pub(crate) fn is_due_by_share(recent: Recent, policy: &OutlierPolicy) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "ten seconds' attempts fit an f64")]
        let limit = recent.attempts as f64 * policy.failure_ratio;
        #[expect(clippy::cast_precision_loss, reason = "likewise")]
        let failures = recent.failures as f64;
        u64::from(policy.failure_ratio_min.get()) <= recent.failures && limit <= failures
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
        self.is_by_hand = false;
        until
    }

    /// Ejects the backend because an operator says so. That counts towards nothing.
    /// One of traffic's that is under way ends with it.
    pub(crate) fn eject_by_hand(&mut self, until: Timestamp, now: Timestamp) {
        self.readmit(now);
        self.until = Some(until);
        self.is_by_hand = true;
    }

    /// Tells whether an operator's ejection is under way.
    pub(crate) fn is_by_hand(&self) -> bool {
        self.until.is_some() && self.is_by_hand
    }

    /// Ends the ejection under way, if any.
    pub(crate) fn readmit(&mut self, now: Timestamp) {
        if self.until.take().is_some() && !self.is_by_hand {
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

/// Tells whether the attempts of the last two seconds speak for a backend: enough of them, and
/// hardly any failed.
pub(crate) fn is_well(recent: Recent) -> bool {
    ATTEMPTS <= recent.attempts && recent.failures.saturating_mul(WELL) <= recent.attempts
}

/// Tells whether failures are so few among the last ten seconds' attempts that two of them are an
/// accident.
pub(crate) fn is_rare(recent: Recent) -> bool {
    recent.failures.saturating_mul(RARE) < recent.attempts
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;
    use crate::model::sample;

    fn policy() -> OutlierPolicy {
        OutlierPolicy {
            consecutive_failures: NonZeroU32::new(3).unwrap(),
            eject_base: Duration::from_secs(5),
            eject_max: Duration::from_secs(60),
            max_ejected: 0.5,
            ..sample::pool("api", &[(0, 1)]).outlier_detection
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
    fn an_operators_ejection_neither_lengthens_the_next_one_nor_keeps_a_streak_alive() {
        let mut ejections = Ejections::default();
        let now = Timestamp::from_millis(1_000_000);
        let until = ejections.eject(&policy(), now);
        ejections.readmit(until);
        let by_hand = until + Duration::from_secs(58);
        ejections.eject_by_hand(by_hand + Duration::from_secs(1), by_hand);
        ejections.readmit(by_hand + Duration::from_secs(1));
        let later = until + Duration::from_secs(60);
        assert_eq!(ejections.eject(&policy(), later).since(later).as_secs(), 5);
        // One that takes the place of traffic's ends that.
        let taken_over = later + Duration::from_secs(2);
        ejections.eject_by_hand(taken_over + Duration::from_secs(100), taken_over);
        ejections.readmit(taken_over + Duration::from_secs(100));
        let soon = taken_over + Duration::from_secs(59);
        assert_eq!(ejections.eject(&policy(), soon).since(soon).as_secs(), 10);
    }

    #[test]
    fn half_of_the_attempts_is_too_many_if_they_are_ten_failures() {
        let check = |failures, attempts, expected| {
            let recent = Recent { attempts, failures };
            assert_eq!(Ejections::is_due_by_share(recent, &policy()), expected, "{recent:?}");
        };
        check(10, 20, true);
        check(10, 21, false);
        check(9, 9, false);
    }

    #[test]
    fn traffic_speaks_for_a_backend_when_there_is_enough_of_it_and_hardly_any_fails() {
        let well = |failures, attempts| is_well(Recent { attempts, failures });
        assert_eq!(
            [well(0, 19), well(0, 20), well(1, 20), well(2, 39)],
            [false, true, true, false]
        );
    }

    #[test]
    fn half_of_two_and_one_of_one_may_be_ejected() {
        assert_eq!([1, 2, 3, 4, 10].map(|n| ejectable(n, &policy())), [1, 1, 1, 2, 5]);
    }
    proptest! {
        /// Ejections, each so many milliseconds after the end of the one before.
        #[test]
        fn each_is_twice_as_long_or_begins_anew_and_none_is_longer_than_the_longest(
            gaps in prop::collection::vec(0_u64..120_000, 1..30),
        ) {
            let policy = policy();
            let mut ejections = Ejections::default();
            let mut now = Timestamp::from_millis(1_000_000);
            let mut before: Option<Duration> = None;
            for gap in gaps {
                now = now + Duration::from_millis(gap);
                let until = ejections.eject(&policy, now);
                prop_assert_eq!(ejections.until(), Some(until));
                let length = until.since(now);
                let is_soon = Duration::from_millis(gap) < policy.eject_max;
                let expected = match before {
                    Some(before) if is_soon => (before * 2).min(policy.eject_max),
                    Some(_) | None => policy.eject_base,
                };
                prop_assert_eq!(length, expected);
                before = Some(length);
                ejections.readmit(until);
                // Repeating it is harmless.
                ejections.readmit(until + Duration::from_secs(1));
                prop_assert_eq!(ejections.until(), None);
                now = until;
            }
        }
    }
}
