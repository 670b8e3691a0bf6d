//! Slow start: a backend that was lost and is regained gets its share of its tier little by little.
//!
//! Its caches are cold and its connections not made; the full share at once would slow it down, or
//! bring it down again. It is a share among the eligible backends of the tier, so that a backend
//! which is alone there gets everything, warm or not.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    fleet::climb::{Climb, PARTS},
};

/// The longest schedule of which each turn is divided into parts. Weights that make a longer one
/// are so large that whole turns are fine enough.
const DIVIDED_UP_TO: u64 = 1_000;

/// Follows the backends of one pool that are warming up.
#[derive(Clone, Debug)]
pub(crate) struct SlowStart(Vec<Option<Climb>>);

impl SlowStart {
    pub(crate) fn new(backends: usize) -> Self {
        Self(vec![None; backends])
    }

    /// Takes in that this backend was regained.
    pub(crate) fn begin(&mut self, index: usize, length: Duration, now: Timestamp) {
        self.0[index] = (!length.is_zero()).then(|| Climb::new(now));
    }

    /// Has a backend go on climbing as one of another pool's did.
    pub(crate) fn take_over(&mut self, index: usize, others: &Self, before: usize) {
        self.0[index] = others.0[before];
    }

    /// Takes in that this backend was lost.
    pub(crate) fn end(&mut self, index: usize) {
        self.0[index] = None;
    }

    pub(crate) fn next_deadline(&self, length: Duration) -> Option<Timestamp> {
        self.0.iter().flatten().map(|climb| climb.next_deadline(length)).min()
    }

    /// Climbs as far as `now` says. Returns the indices of those whose share changed.
    pub(crate) fn advance(&mut self, length: Duration, now: Timestamp) -> Vec<usize> {
        let mut risen = Vec::new();
        for (index, slot) in self.0.iter_mut().enumerate() {
            if slot.as_mut().is_some_and(|climb| climb.advance(length, now)) {
                risen.push(index);
            }
            if slot.is_some_and(Climb::is_over) {
                *slot = None;
            }
        }
        risen
    }

    /// Turns the configured weights of a tier's eligible backends, `(index, weight)`, into those
    /// that count at present.
    pub(crate) fn weigh(&self, shares: &mut [(usize, u32)]) {
        let parts = |index: usize| self.0[index].map_or(PARTS, Climb::parts);
        if shares.iter().all(|&(index, _)| parts(index) == PARTS) {
            return;
        }
        let divisor = shares.iter().fold(0, |divisor, &(_, weight)| gcd(divisor, weight)).max(1);
        let turns: u64 = shares.iter().map(|&(_, weight)| u64::from(weight / divisor)).sum();
        for (index, weight) in shares {
            if *weight == 0 {
                continue;
            }
            let parts = parts(*index);
            *weight = if turns <= DIVIDED_UP_TO {
                *weight / divisor * parts
            } else {
                let part = u64::from(*weight) * u64::from(parts) / u64::from(PARTS);
                u32::try_from(part).unwrap_or(u32::MAX).max(1)
            };
        }
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LENGTH: Duration = Duration::from_secs(19);

    /// The weights of a tier whose first backend was regained `seconds` ago.
    fn weights(seconds: u64, configured: &[u32]) -> Vec<u32> {
        let mut slow_start = SlowStart::new(configured.len());
        slow_start.begin(0, LENGTH, Timestamp::ZERO);
        slow_start.advance(LENGTH, Timestamp::from_millis(seconds * 1_000));
        let mut shares: Vec<_> = configured.iter().copied().enumerate().collect();
        slow_start.weigh(&mut shares);
        shares.into_iter().map(|(_, weight)| weight).collect()
    }

    #[test]
    fn the_share_rises_from_a_twentieth_to_all() {
        assert_eq!(weights(0, &[100, 100]), [1, 20]);
        assert_eq!(weights(9, &[100, 100]), [10, 20]);
        assert_eq!(weights(9, &[300, 100]), [30, 20]);
        assert_eq!(weights(18, &[1, 1, 2]), [19, 20, 40]);
        assert_eq!(weights(19, &[100, 100]), [100, 100]);
    }

    #[test]
    fn uneven_weights_are_not_made_finer_and_get_at_least_one_turn() {
        assert_eq!(weights(0, &[7, 997]), [1, 997]);
        assert_eq!(weights(9, &[2_000, 1_999]), [1_000, 1_999]);
    }

    proptest! {
        #[test]
        fn a_share_never_falls_while_it_rises_and_ends_as_configured(
            configured in prop::collection::vec(1_u32..2_000, 2..6),
        ) {
            let share = |weights: &[u32]| {
                f64::from(weights[0]) / weights.iter().copied().map(f64::from).sum::<f64>()
            };
            let mut before = 0.0;
            for seconds in 0..=19 {
                let weights = weights(seconds, &configured);
                prop_assert!(weights.iter().all(|&weight| 0 < weight));
                prop_assert!(before <= share(&weights) + 1e-9);
                before = share(&weights);
            }
            prop_assert!((before - share(&configured)).abs() < 1e-9);
        }
    }

    #[test]
    fn a_loss_ends_it_and_deadlines_end_with_it() {
        let mut slow_start = SlowStart::new(2);
        assert_eq!(slow_start.next_deadline(LENGTH), None);
        slow_start.begin(1, LENGTH, Timestamp::ZERO);
        assert_eq!(slow_start.next_deadline(LENGTH), Some(Timestamp::from_millis(1_000)));
        assert_eq!(slow_start.advance(LENGTH, Timestamp::from_millis(1_000)), [1]);
        slow_start.end(1);
        assert_eq!(slow_start.next_deadline(LENGTH), None);
        slow_start.begin(1, Duration::ZERO, Timestamp::ZERO);
        assert_eq!(slow_start.next_deadline(LENGTH), None);
    }
}
