//! A climb in equal steps: how something that returns gets its traffic back little by little.
//!
//! A backend that has just started is slow at first, and one that is not well after all shows it
//! under a little traffic as well as under all of it. So what returns starts with a twentieth and
//! gets a twentieth more at each step, until it has all. Steps, because each makes new schedules:
//! a smooth line would make them for every request.

use std::time::Duration;

use crate::clock::Timestamp;

/// Parts that the whole is made of. With twenty, the first is a few percent, and none is a jump.
pub(crate) const PARTS: u32 = 20;

/// A climb under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Climb {
    began: Timestamp,
    /// From 1 to [`PARTS`].
    parts: u32,
}

impl Climb {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { began: now, parts: 1 }
    }

    /// Returns how many of [`PARTS`] it has, at least one.
    pub(crate) fn parts(self) -> u32 {
        self.parts
    }

    /// Returns how much of the whole it has, above 0 and up to 1.
    pub(crate) fn share(self) -> f64 {
        f64::from(self.parts) / f64::from(PARTS)
    }

    /// Returns how much of the whole it has had since it began, on average.
    pub(crate) fn mean_share(self) -> f64 {
        f64::midpoint(Self::new(self.began).share(), self.share())
    }

    pub(crate) fn is_over(self) -> bool {
        self.parts == PARTS
    }

    /// Climbs as far as `now` says, of `length` in all. Tells whether that was a step or more.
    pub(crate) fn advance(&mut self, length: Duration, now: Timestamp) -> bool {
        let elapsed = now.since(self.began);
        let steps = if length <= elapsed {
            PARTS - 1
        } else {
            let steps = elapsed.as_nanos() * u128::from(PARTS - 1) / length.as_nanos();
            u32::try_from(steps).unwrap_or(PARTS - 1)
        };
        std::mem::replace(&mut self.parts, steps + 1) != self.parts
    }

    /// Returns when the next step is due, of `length` in all.
    pub(crate) fn next_deadline(self, length: Duration) -> Timestamp {
        // Rounded up: a step that came due a nanosecond early would be due again and again.
        let nanos = (length.as_nanos() * u128::from(self.parts)).div_ceil(u128::from(PARTS - 1));
        self.began + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Returns when all of `length` will have passed.
    pub(crate) fn end(self, length: Duration) -> Timestamp {
        self.began + length
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_deadline_is_a_step_and_the_last_is_the_end(
            began in 0_u64..1 << 50,
            length in 1_u64..1 << 45,
        ) {
            let length = Duration::from_nanos(length);
            let mut climb = Climb::new(Timestamp::from_nanos(began));
            let mut before = Timestamp::from_nanos(began);
            while !climb.is_over() {
                let due = climb.next_deadline(length);
                let parts = climb.parts();
                prop_assert!(climb.advance(length, due));
                prop_assert!(before <= due && parts < climb.parts());
                before = due;
            }
            prop_assert_eq!(before, climb.end(length));
            prop_assert!(!climb.advance(length, before));
        }
    }

    #[test]
    fn it_starts_with_a_twentieth_and_is_half_way_in_the_middle() {
        let length = Duration::from_secs(19);
        let mut climb = Climb::new(Timestamp::ZERO);
        assert_eq!((climb.parts(), climb.is_over()), (1, false));
        assert!(!climb.advance(length, Timestamp::from_millis(999)));
        assert!(climb.advance(length, Timestamp::from_millis(9_000)));
        assert!((climb.share() - 0.5).abs() < 1e-9);
        assert!(climb.advance(length, Timestamp::from_millis(19_000)));
        assert!(climb.is_over());
    }

    #[test]
    fn without_a_length_it_is_over_at_once() {
        let mut climb = Climb::new(Timestamp::ZERO);
        assert!(climb.advance(Duration::ZERO, Timestamp::ZERO));
        assert!(climb.is_over());
    }
}
