//! Shedding: which share of requests is turned away because the proxy itself has too much to do?
//!
//! What is measured is lag: how much later than asked the event loop runs a task that does nothing,
//! which is what every request waits each time it has something to do. As in CoDel (RFC 8289), the
//! least lag of an interval counts: a burst or a pause makes some of it, and only when even the least
//! is too much is there a queue that does not drain. While that is so, each interval turns a larger
//! share away; once it is not, half as much, so that the share settles near what must go.

use std::time::Duration;

/// How long lag is measured before it is judged.
pub const INTERVAL: Duration = Duration::from_millis(100);

/// How much more is turned away after an interval that was too slow.
const STEP: f64 = 0.05;
/// Somebody is always let in: without requests nobody could see that all is well again.
const MOST: f64 = 0.95;
/// Less is nothing.
const LEAST: f64 = 0.01;

/// Decides which share of requests is turned away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shedder {
    share: f64,
    /// The least lag of the interval under way.
    least: Option<Duration>,
}

impl Shedder {
    /// Takes in a measurement.
    pub fn measured(&mut self, lag: Duration) {
        self.least = Some(self.least.map_or(lag, |least| least.min(lag)));
    }

    /// Ends an interval. Returns the share of requests to turn away in the next, 0 to 1, and the least
    /// lag of this one.
    pub fn judge(&mut self, max_lag: Duration) -> (f64, Duration) {
        let least = self.least.take().unwrap_or_default();
        self.share = if max_lag < least { (self.share + STEP).min(MOST) } else { self.share / 2.0 };
        if self.share < LEAST {
            self.share = 0.0;
        }
        (self.share, least)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: Duration = Duration::from_millis(20);

    fn interval(shedder: &mut Shedder, lags: &[u64]) -> f64 {
        lags.iter().for_each(|&lag| shedder.measured(Duration::from_millis(lag)));
        shedder.judge(MAX).0
    }

    #[test]
    fn a_pause_turns_nobody_away_and_a_standing_queue_more_and_more() {
        let mut shedder = Shedder::default();
        assert_eq!(interval(&mut shedder, &[900, 3, 500]), 0.0);
        assert_eq!(interval(&mut shedder, &[]), 0.0);
        let shares: Vec<f64> = (0..4).map(|_| interval(&mut shedder, &[30, 21])).collect();
        assert!(shares.is_sorted() && 0.15 < shares[3], "{shares:?}");
        assert_eq!(interval(&mut shedder, &[30, 20]), shares[3] / 2.0);
    }

    proptest! {
        #[test]
        fn somebody_is_always_let_in_and_everybody_soon_after_the_queue_has_drained(
            lags in prop::collection::vec(prop::collection::vec(0_u64..100, 0..10), 0..200),
        ) {
            let mut shedder = Shedder::default();
            for lags in &lags {
                let share = interval(&mut shedder, lags);
                prop_assert!((0.0..=MOST).contains(&share));
            }
            prop_assert_eq!((0..8).map(|_| interval(&mut shedder, &[0])).last(), Some(0.0));
        }
    }
}
