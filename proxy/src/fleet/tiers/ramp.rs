//! The ramp: a tier that is failed back to gets its traffic little by little, and loses it at once
//! if it fails.
//!
//! The tier that serves in the meantime stays the active one until the ramp is over, so that "failed
//! back" means that all traffic is back. What is under way anywhere is left to finish there.

use crate::{clock::Timestamp, event::TierReason, fleet::climb::Climb, model::TierPolicy};

/// The returning tier fails clearly more often than the others from this multiple on. One and a
/// half would be chance too often, with the few failures that there are.
const CLEARLY: f64 = 2.0;

/// A return under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ramp {
    /// The returning tier.
    pub(crate) to: usize,
    /// Why traffic returns.
    pub(crate) reason: TierReason,
    climb: Climb,
    /// Signs of trouble that traffic gave in the returning tier, and in the others.
    failures: u32,
    failures_elsewhere: u32,
}

impl Ramp {
    pub(crate) fn new(to: usize, reason: TierReason, now: Timestamp) -> Self {
        Self { to, reason, climb: Climb::new(now), failures: 0, failures_elsewhere: 0 }
    }

    /// Returns the same return, where its tier has another number.
    pub(crate) fn renumbered(self, to: usize) -> Self {
        Self { to, ..self }
    }

    /// Returns the returning tier's share of all traffic, above 0 and below 1.
    pub(crate) fn share(&self) -> f64 {
        self.climb.share()
    }

    /// Climbs as far as `now` says. Tells whether all traffic is due.
    pub(crate) fn advance(&mut self, policy: &TierPolicy, now: Timestamp) -> bool {
        self.climb.advance(policy.failback_ramp, now);
        self.climb.is_over()
    }

    pub(crate) fn next_deadline(&self, policy: &TierPolicy) -> Timestamp {
        self.climb.next_deadline(policy.failback_ramp)
    }

    pub(crate) fn end(&self, policy: &TierPolicy) -> Timestamp {
        self.climb.end(policy.failback_ramp)
    }

    /// Takes in that traffic met trouble in `tier`. Tells whether the return must be broken off.
    ///
    /// A single failure is enough while nobody else fails: there is no hurry to return. Where
    /// others fail as well, it takes a share of the failures that is clearly larger than the
    /// share of the traffic; otherwise a backend that everybody's bad requests fail at would never
    /// get its traffic back.
    pub(crate) fn is_worse_after(&mut self, tier: usize) -> bool {
        if tier != self.to {
            self.failures_elsewhere += 1;
            return false;
        }
        self.failures += 1;
        if self.failures_elsewhere == 0 {
            return true;
        }
        let traffic = self.climb.mean_share() / (1.0 - self.climb.mean_share());
        // One more elsewhere, as the next failure could as well have been there.
        let expected = f64::from(self.failures_elsewhere + 1) * traffic;
        CLEARLY * expected < f64::from(self.failures)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::model::sample;

    /// Plays failures in the returning tier 0, in tier 1, and steps of the ramp's twenty (`.`).
    /// Returns the position of the failure that broke it off.
    fn check(script: &str, expected: Option<usize>) {
        let policy = TierPolicy {
            failback_ramp: Duration::from_secs(19),
            ..sample::pool("api", &[(0, 1), (1, 1)]).tiers
        };
        let mut ramp = Ramp::new(0, TierReason::HoldDownEnded, Timestamp::ZERO);
        let mut seconds = 0;
        let found = script.chars().position(|letter| match letter {
            '0' => ramp.is_worse_after(0),
            '1' => ramp.is_worse_after(1),
            _ => {
                seconds += 1;
                assert!(!ramp.advance(&policy, Timestamp::from_millis(seconds * 1_000)));
                false
            }
        });
        assert_eq!(found, expected, "{script}");
    }

    #[test]
    fn the_first_failure_breaks_it_off_while_nobody_else_fails() {
        check("0", Some(0));
        check(".................0", Some(17));
        check(".................", None);
    }

    #[test]
    fn what_fails_everywhere_does_not() {
        check("11111111111111111111111111111111111111110", None);
        check("..........1010101010", None);
        check("1111111111.........1111100.........10", None);
    }

    #[test]
    fn what_fails_clearly_more_often_does() {
        check("10", Some(1));
        check("11111000", Some(5));
        check(".........1000000", Some(11));
    }
    proptest! {
        /// Failures in the returning tier (`true`) and elsewhere, at these parts of the climb.
        #[test]
        fn only_a_failure_in_the_returning_tier_breaks_it_off_and_the_first_alone_does(
            failures in prop::collection::vec((any::<bool>(), 0_u64..19), 1..60),
        ) {
            let policy = TierPolicy {
                failback_ramp: Duration::from_secs(19),
                ..sample::pool("api", &[(0, 1), (1, 1)]).tiers
            };
            let mut failures = failures;
            failures.sort_by_key(|it| it.1);
            let mut ramp = Ramp::new(0, TierReason::HoldDownEnded, Timestamp::ZERO);
            let (mut here, mut elsewhere) = (0_u32, 0_u32);
            for (is_here, second) in failures {
                ramp.advance(&policy, Timestamp::from_millis(second * 1_000));
                let is_worse = ramp.is_worse_after(if is_here { 0 } else { 1 });
                here += u32::from(is_here);
                elsewhere += u32::from(!is_here);
                prop_assert!(is_here || !is_worse);
                if is_here && elsewhere == 0 {
                    prop_assert!(is_worse);
                }
                // With a half of the traffic or less, it fails more often than the others, or not.
                if is_worse && 0 < elsewhere && second <= 9 {
                    let traffic = ramp.share() / (1.0 - ramp.share());
                    prop_assert!(f64::from(elsewhere) * traffic < f64::from(here) * 2.0);
                }
            }
        }
    }
}
