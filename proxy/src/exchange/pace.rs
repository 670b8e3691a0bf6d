//! How slow a client may be.
//!
//! One that sends a byte a minute, or takes one, keeps a request and what it holds for ever, and
//! never runs into a bound on a single wait. So all waits for a client during one request are added
//! up: together they may take a grace, and as much longer as the bytes that have passed would take
//! at a least rate. Who keeps to that rate is never cut off; who does not, soon is.

use std::time::Duration;

use crate::clock::Timestamp;

/// Time in which a client need not have sent or taken anything.
pub(crate) const GRACE: Duration = Duration::from_secs(30);
/// Bytes per second, for tests.
#[cfg(test)]
pub(crate) const MIN_RATE: usize = 240;
/// Longest single wait for a client.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What is left of the patience with one client, in one direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Bytes per second; 0 for no bound on all waits together.
    min_rate: usize,
    /// How long all further waits may take.
    left: Duration,
    /// Since when the client is waited for.
    since: Option<Timestamp>,
}

impl Pace {
    pub(crate) fn new(grace: Duration, min_rate: usize) -> Self {
        Self { min_rate, left: grace, since: None }
    }

    /// Begins to wait, or goes on with a wait that was begun. Returns how much longer it may last.
    pub(crate) fn wait(&mut self, now: Timestamp) -> Duration {
        let waited = now.since(*self.since.get_or_insert(now));
        self.limit().saturating_sub(waited)
    }

    /// Tells whether a wait is under way.
    pub(crate) fn is_waiting(&self) -> bool {
        self.since.is_some()
    }

    /// Ends the wait, if one is under way: what comes next is not up to the client.
    pub(crate) fn stop(&mut self, now: Timestamp) {
        if let Some(since) = self.since.take() {
            self.left = self.left.saturating_sub(now.since(since));
        }
    }

    /// Takes in that so many bytes have passed.
    pub(crate) fn record(&mut self, bytes: usize) {
        let micros = (bytes as u64).saturating_mul(1_000_000).checked_div(self.min_rate as u64);
        self.left = self.left.saturating_add(Duration::from_micros(micros.unwrap_or(0)));
    }

    /// Returns how long one wait may last.
    fn limit(&self) -> Duration {
        if self.min_rate == 0 { WAIT_MAX } else { self.left.min(WAIT_MAX) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_micros(millis * 1000)
    }

    /// Waits this long, in milliseconds, before each of these numbers of bytes. Returns after how
    /// many of them patience has ended.
    fn check(steps: &[(u64, usize)], expected: Option<usize>) {
        let (mut pace, mut now) = (Pace::new(GRACE, MIN_RATE), 0);
        let ended = steps.iter().position(|(millis, bytes)| {
            let limit = pace.wait(at(now));
            now += millis;
            pace.stop(at(now));
            pace.record(*bytes);
            limit < Duration::from_millis(*millis)
        });
        assert_eq!(ended, expected);
    }

    #[test]
    fn nobody_is_cut_off_who_keeps_to_the_rate() {
        check(&[(1000, 240); 1000], None);
        check(&[(50_000, 12_000); 100], Some(0));
        check(&[(25_000, 12_000), (50_000, 12_000), (50_000, 12_000)], None);
    }

    #[test]
    fn who_sends_a_byte_at_a_time_is_cut_off_when_the_grace_is_over() {
        check(&[(1000, 1); 100], Some(30));
        check(&[(1000, 120); 100], Some(59));
    }

    #[test]
    fn a_single_wait_is_bounded_whatever_has_passed() {
        check(&[(0, 1 << 30), (59_000, 1), (61_000, 1)], Some(2));
    }

    #[test]
    fn a_wait_that_is_interrupted_goes_on_where_it_was() {
        let mut pace = Pace::new(GRACE, MIN_RATE);
        assert_eq!(pace.wait(at(0)), GRACE);
        assert_eq!(pace.wait(at(10_000)), Duration::from_secs(20));
        assert!(pace.is_waiting());
        pace.stop(at(12_000));
        assert!(!pace.is_waiting());
        // What the backend takes is not the client's.
        assert_eq!(pace.wait(at(60_000)), Duration::from_secs(18));
    }

    #[test]
    fn without_a_rate_only_single_waits_are_bounded() {
        let mut pace = Pace::new(GRACE, 0);
        for minute in 0..100 {
            assert_eq!(pace.wait(at(minute * 60_000)), WAIT_MAX);
            pace.stop(at((minute + 1) * 60_000));
            pace.record(1);
        }
    }

    proptest! {
        #[test]
        fn all_waits_together_stay_within_the_grace_and_the_rate(
            steps in proptest::collection::vec((0_u64..70_000, 0_usize..100_000), 1..50),
            rate in 1_usize..10_000,
        ) {
            let (mut pace, mut now, mut waited, mut passed) =
                (Pace::new(GRACE, rate), 0, Duration::ZERO, 0);
            for (millis, bytes) in steps {
                let limit = pace.wait(at(now));
                let wait = Duration::from_millis(millis).min(limit);
                waited += wait;
                now += u64::try_from(wait.as_millis()).unwrap();
                pace.stop(at(now));
                let allowed = GRACE + Duration::from_micros(passed * 1_000_000 / rate as u64);
                prop_assert!(waited <= allowed + Duration::from_millis(50), "{waited:?} {allowed:?}");
                pace.record(bytes);
                passed += bytes as u64;
            }
        }
    }
}
