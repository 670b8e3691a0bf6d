//! How long a backend's answers take at present, with more heed paid to what is slower.
//!
//! A moving average in which an answer weighs as much as the time for which it is the latest, so that
//! neither few nor many requests distort it; but an answer slower than the average becomes the
//! average at once. A backend that slows down is thus avoided after one answer, and trusted again
//! little by little. This is the "peak EWMA" of Twitter's Finagle. Without answers the cost decays:
//! whom nobody asks because it was slow is asked again in time.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::clock::Timestamp;

/// The time after which two thirds of the past are forgotten; Finagle's.
const DECAY_MILLIS: f64 = 10_000.0;

/// The cost of one backend, changed without a lock.
#[derive(Debug, Default)]
pub struct PeakEwma(AtomicU64);

/// What is known: packed into one word, so that both parts change together.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Microseconds; not zero once anything is known.
    micros: f32,
    /// Milliseconds since the clock's start, without what does not fit.
    at: u32,
}

impl PeakEwma {
    /// Learns how long an answer took that came at `now`.
    pub fn observe(&self, took: Duration, now: Timestamp) {
        self.change(took, now, |known, took, kept| {
            if known * kept <= took { took } else { known * kept + took * (1.0 - kept) }
        });
    }

    /// Learns that an attempt failed after so long: which can make a backend look slower, never
    /// quicker.
    pub fn observe_failure(&self, took: Duration, now: Timestamp) {
        self.change(took, now, |known, took, kept| (known * kept).max(took));
    }

    /// Returns how long an answer should take, in microseconds; `None` while nothing is known.
    pub fn cost(&self, now: Timestamp) -> Option<f64> {
        let known = Known::unpack(self.0.load(Relaxed))?;
        Some(f64::from(known.micros) * known.kept(now))
    }

    #[expect(clippy::cast_possible_truncation, reason = "seven digits are plenty")]
    fn change(&self, took: Duration, now: Timestamp, cost: impl Fn(f64, f64, f64) -> f64) {
        let took = took.as_secs_f64() * 1e6;
        _ = self.0.fetch_update(Relaxed, Relaxed, |word| {
            let micros = Known::unpack(word)
                .map_or(took, |known| cost(f64::from(known.micros), took, known.kept(now)));
            Some(
                Known { micros: (micros as f32).max(f32::MIN_POSITIVE), at: low_millis(now) }
                    .pack(),
            )
        });
    }
}

impl Known {
    fn pack(self) -> u64 {
        (u64::from(self.micros.to_bits()) << 32) | u64::from(self.at)
    }

    #[expect(clippy::cast_possible_truncation, reason = "each half of the word is one number")]
    fn unpack(word: u64) -> Option<Self> {
        (word != 0).then(|| Self { micros: f32::from_bits((word >> 32) as u32), at: word as u32 })
    }

    /// Returns which share of the past still counts at `now`. A thread that was slower to look at
    /// the clock than another one sees nothing decay.
    fn kept(self, now: Timestamp) -> f64 {
        let age = low_millis(now).wrapping_sub(self.at);
        let age = if u32::MAX / 2 < age { 0 } else { age };
        (-f64::from(age) / DECAY_MILLIS).exp()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "differences are right after an overflow, too")]
fn low_millis(at: Timestamp) -> u32 {
    at.as_millis() as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_slow_answer_counts_at_once_and_quick_ones_little_by_little() {
        let cost = PeakEwma::default();
        assert_eq!(cost.cost(at(1)), None);
        cost.observe(millis(10), at(1));
        cost.observe(millis(100), at(2));
        assert!((cost.cost(at(2)).unwrap() - 100_000.0).abs() < 1.0);
        cost.observe(millis(10), at(3));
        assert!(99_000.0 < cost.cost(at(3)).unwrap());
        for step in 0..4_000 {
            cost.observe(millis(10), at(3 + 10 * step));
        }
        assert!(cost.cost(at(39_993)).unwrap() < 12_000.0);
    }

    #[test]
    fn without_answers_the_cost_decays_and_a_quick_failure_does_not_lower_it() {
        let cost = PeakEwma::default();
        cost.observe(millis(100), at(0));
        cost.observe_failure(millis(1), at(0));
        assert!(99_000.0 < cost.cost(at(0)).unwrap());
        cost.observe_failure(millis(500), at(1));
        assert!(499_000.0 < cost.cost(at(1)).unwrap());
        let later = cost.cost(at(10_001)).unwrap() / cost.cost(at(1)).unwrap();
        assert!((later - (-1.0_f64).exp()).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn the_cost_lies_between_what_was_seen_and_nothing(
            answers in prop::collection::vec((0_u64..5_000, 0_u64..10_000), 1..100),
            start in any::<u32>(),
        ) {
            let cost = PeakEwma::default();
            let (mut now, mut slowest) = (u64::from(start), 0);
            for (took, later) in answers {
                now += later;
                slowest = slowest.max(took);
                cost.observe(millis(took), at(now));
                let known = cost.cost(at(now)).unwrap();
                #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                let (took, slowest) = (took as f64 * 1e3, slowest as f64 * 1e3);
                prop_assert!(took * 0.999 <= known && known <= slowest * 1.001 + 1.0);
                let decayed = cost.cost(at(now + 1_000)).unwrap();
                prop_assert!(decayed <= known);
                // Who looks at an older clock sees no more than what was learned.
                prop_assert!(cost.cost(at(now.saturating_sub(50))).unwrap() <= known * 1.000_001);
            }
        }
    }
}
