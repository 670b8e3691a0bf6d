//! The hold-down: how long a preferred tier must be able to serve before traffic returns to it.
//!
//! A tier that fails soon after its traffic has returned was not well; each time that happens the
//! next hold-down is twice as long, up to a limit. However fast a tier flaps, traffic follows it
//! only as often as the hold-down takes to grow longer than its good spells. A return that holds
//! for as long as that limit makes good: the next hold-down is as configured.

use std::time::Duration;

use crate::{clock::Timestamp, model::TierPolicy};

/// Twice nothing is nothing: a shorter hold-down is doubled as if it were this.
const DOUBLED_FROM: Duration = Duration::from_millis(100);
/// A hold-down 2³¹ times as long as configured is beyond any limit.
const DOUBLINGS_MAX: u32 = 31;

/// Follows the returns of one pool's traffic.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HoldDown {
    doublings: u32,
    returned: Option<Return>,
}

#[derive(Clone, Copy, Debug)]
struct Return {
    at: Timestamp,
    /// Whether it has proved too early: each return does that once.
    is_counted: bool,
}

impl HoldDown {
    /// Returns how long the next one is.
    pub(crate) fn length(&self, policy: &TierPolicy) -> Duration {
        let first = if self.doublings == 0 { Duration::ZERO } else { DOUBLED_FROM };
        policy.failback_after.max(first).saturating_mul(1 << self.doublings).min(max(policy))
    }

    /// Takes in that all traffic is back.
    pub(crate) fn returned(&mut self, now: Timestamp) {
        self.returned = Some(Return { at: now, is_counted: false });
    }

    /// Takes in that traffic left a preferred tier.
    pub(crate) fn failed_over(&mut self, policy: &TierPolicy, now: Timestamp) {
        match &mut self.returned {
            Some(it) if now.since(it.at) <= max(policy) => {
                if !std::mem::replace(&mut it.is_counted, true) {
                    self.double(policy);
                }
            }
            Some(_) | None => self.doublings = 0,
        }
    }

    /// Takes in that a return was broken off.
    pub(crate) fn aborted(&mut self, policy: &TierPolicy, now: Timestamp) {
        self.double(policy);
        self.returned = Some(Return { at: now, is_counted: true });
    }

    fn double(&mut self, policy: &TierPolicy) {
        if self.length(policy) < max(policy) {
            self.doublings = (self.doublings + 1).min(DOUBLINGS_MAX);
        }
    }
}

fn max(policy: &TierPolicy) -> Duration {
    policy.failback_after_max.max(policy.failback_after)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::sample;

    /// Plays words such as `5<` (traffic is back at 5 s), `6>` (it leaves), `7x` (a return is
    /// broken off) with a hold-down of 10 s, at most 60 s. Returns its length after each.
    fn check(script: &str, expected: &[u64]) {
        let policy = TierPolicy {
            failback_after: Duration::from_secs(10),
            failback_after_max: Duration::from_secs(60),
            ..sample::pool("api", &[(0, 1)]).tiers
        };
        let mut hold_down = HoldDown::default();
        let lengths: Vec<u64> = script
            .split_whitespace()
            .map(|word| {
                let (at, what) = word.split_at(word.len() - 1);
                let now = Timestamp::from_millis(at.parse::<u64>().unwrap() * 1_000);
                match what {
                    "<" => hold_down.returned(now),
                    ">" => hold_down.failed_over(&policy, now),
                    _ => hold_down.aborted(&policy, now),
                }
                hold_down.length(&policy).as_secs()
            })
            .collect();
        assert_eq!(lengths, expected, "{script}");
    }

    #[test]
    fn a_failover_soon_after_a_failback_doubles_it_up_to_the_limit() {
        check("1> 10< 11> 40< 70> 100< 130> 200< 201>", &[10, 10, 20, 20, 40, 40, 60, 60, 60]);
    }

    #[test]
    fn a_return_that_held_makes_good() {
        check("1> 10< 11> 40< 101>", &[10, 10, 20, 20, 10]);
    }

    #[test]
    fn a_cascade_after_one_return_counts_once() {
        check("10< 11> 12> 13>", &[10, 20, 20, 20]);
    }

    #[test]
    fn without_a_hold_down_flapping_makes_one() {
        let policy = TierPolicy {
            failback_after: Duration::ZERO,
            failback_after_max: Duration::from_millis(700),
            ..sample::pool("api", &[(0, 1)]).tiers
        };
        let mut hold_down = HoldDown::default();
        let lengths = [0; 5].map(|_| {
            let length = hold_down.length(&policy);
            hold_down.aborted(&policy, Timestamp::ZERO);
            length.as_millis()
        });
        assert_eq!(lengths, [0, 200, 400, 700, 700]);
    }

    #[test]
    fn a_return_broken_off_doubles_it_too() {
        check("1> 10x 30x 70< 71>", &[10, 20, 40, 40, 60]);
    }
    proptest! {
        /// Returns, departures and aborted returns, each so many seconds after the one before.
        #[test]
        fn it_is_doubled_once_for_each_return_and_keeps_to_its_bounds(
            facts in prop::collection::vec((0_u8..3, 0_u64..100), 1..60),
        ) {
            let policy = TierPolicy {
                failback_after: Duration::from_secs(10),
                failback_after_max: Duration::from_secs(60),
                ..sample::pool("api", &[(0, 1)]).tiers
            };
            let mut hold_down = HoldDown::default();
            let mut now = Timestamp::ZERO;
            let mut returned = None;
            for (kind, wait) in facts {
                now = now + Duration::from_secs(wait);
                let before = hold_down.length(&policy);
                match kind {
                    0 => hold_down.returned(now),
                    1 => hold_down.failed_over(&policy, now),
                    _ => hold_down.aborted(&policy, now),
                }
                let after = hold_down.length(&policy);
                prop_assert!(policy.failback_after <= after && after <= policy.failback_after_max);
                let doubled = (before * 2).min(policy.failback_after_max);
                let has_held = returned.is_none_or(|(at, _)| Duration::from_secs(60) < now.since(at));
                match (kind, returned) {
                    (0, _) => prop_assert_eq!(after, before),
                    (1, _) if has_held => prop_assert_eq!(after, policy.failback_after),
                    (1, Some((_, true))) => prop_assert_eq!(after, before),
                    _ => prop_assert_eq!(after, doubled),
                }
                returned = match kind {
                    0 => Some((now, false)),
                    1 => returned.map(|(at, _)| (at, true)),
                    _ => Some((now, true)),
                };
            }
        }
    }
}
