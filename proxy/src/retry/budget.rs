//! The retry budget: retries as a share of requests.
//!
//! A limit per request does not bound what a pool is asked to do. When a backend is slow because
//! it is overloaded, every request fails, every one is retried, and with three attempts each the
//! backend that could not carry its load is handed three times as much: the retries keep it down
//! after the cause is gone. A limit on the *share* of requests that may be retried does not have
//! that failure. While little fails, it is never felt, and each request may use all its attempts.
//! When everything fails, retries would not have helped anyway, and load rises by that share and
//! no more.
//!
//! A share of nothing is nothing, and a pool with one request a minute has no storm to fear, so a
//! few retries per second are allowed in any case. Both sides of the comparison are counts over
//! the same ten seconds: long enough that a crash under steady load finds the seconds before it
//! to draw on, short enough that a burst an hour ago pays for nothing. Nothing is saved up beyond
//! that, as a bucket of tokens would. A window of counts is also easy to check from outside: the
//! metrics show both numbers.

use crate::{clock::Timestamp, model::RetryPolicy, snapshot::PoolLive};

/// What [`crate::snapshot::RateWindow`] looks back on.
const WINDOW_SECONDS: u32 = 10;

/// Tells whether one more retry fits into the budget. The caller adds the retry to
/// [`PoolLive::retries`] if it makes it.
///
/// Threads that ask at the same moment may each be allowed the last one, so the bound can be
/// exceeded by the number of threads less one; a lock would cost more than that.
pub fn allows(policy: &RetryPolicy, live: &PoolLive, now: Timestamp) -> bool {
    fits(policy, live.requests.count(now), live.retries.count(now))
}

#[expect(clippy::cast_precision_loss, reason = "counts of ten seconds fit an f64")]
fn fits(policy: &RetryPolicy, requests: u64, retries: u64) -> bool {
    let floor = f64::from(policy.budget_min_per_second) * f64::from(WINDOW_SECONDS);
    let share = policy.budget_ratio * requests as f64;
    (retries + 1) as f64 <= floor + share
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::{model::sample, snapshot::Live};

    fn policy(budget_ratio: f64, budget_min_per_second: u32) -> RetryPolicy {
        let mut policy = sample::pool("api", &[(0, 1)]).retries;
        policy.budget_ratio = budget_ratio;
        policy.budget_min_per_second = budget_min_per_second;
        policy
    }

    #[test]
    fn a_few_retries_are_allowed_without_any_traffic() {
        assert!(fits(&policy(0.2, 3), 0, 29));
        assert!(!fits(&policy(0.2, 3), 0, 30));
    }

    #[test]
    fn traffic_buys_retries() {
        assert!(fits(&policy(0.2, 0), 1_000, 199));
        assert!(!fits(&policy(0.2, 0), 1_000, 200));
        assert!(!fits(&policy(0.0, 0), 1_000, 0));
    }

    #[test]
    fn a_spent_budget_is_whole_again_after_ten_seconds() {
        let topology = sample::topology(vec![sample::pool("api", &[(0, 1)])]);
        let live = Live::new(&topology);
        let policy = policy(0.2, 3);
        let start = Timestamp::from_millis(5_000);
        let mut spent = 0;
        while allows(&policy, &live.pools[0], start) {
            live.pools[0].retries.add(start);
            spent += 1;
        }
        assert_eq!(spent, 30);
        assert!(!allows(&policy, &live.pools[0], start + Duration::from_secs(9)));
        assert!(allows(&policy, &live.pools[0], start + Duration::from_secs(10)));
    }

    proptest! {
        /// Each step: how long after the last, and whether a retry is wanted.
        #[test]
        fn retries_in_any_window_never_exceed_the_budget(
            steps in prop::collection::vec((0_u64..400, any::<bool>()), 1..400),
            percent in 0_u32..60,
            minimum in 0_u32..3,
        ) {
            let topology = sample::topology(vec![sample::pool("api", &[(0, 1)])]);
            let live = &Live::new(&topology).pools[0];
            let policy = policy(f64::from(percent) / 100.0, minimum);
            let mut now = 0;
            for (wait, is_wanted) in steps {
                now += wait;
                let now = Timestamp::from_millis(now);
                live.requests.add(now);
                if is_wanted && allows(&policy, live, now) {
                    live.retries.add(now);
                    let requests = u32::try_from(live.requests.count(now)).unwrap();
                    let retries = u32::try_from(live.retries.count(now)).unwrap();
                    prop_assert!(100 * retries <= 1_000 * minimum + percent * requests);
                }
            }
        }
    }
}
