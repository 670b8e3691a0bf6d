//! The order in which the backends of a tier take turns.

use std::sync::Arc;

/// The longest sequence. Weights that would make a longer one are rounded.
const LONGEST: u64 = 1 << 16;

/// A repeating sequence in which each backend comes as often as its weight says, spread evenly.
///
/// It is worked out beforehand: requests then only count, with one atomic addition and no lock. A
/// backend of weight `w` has `w` turns at equal distances along a line of length 1, beginning at a
/// point of its own, so that light backends do not all come at once; the sequence is the order of
/// all turns on that line. (nginx's smooth weighted round robin is a little more even and takes the
/// square of the time, which is seconds for hundreds of backends.) It is as long as the sum of the
/// weights divided by their greatest common divisor; copies share it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule(Arc<[usize]>);

impl Schedule {
    /// Works out the sequence for `(index, weight)` pairs. Who weighs nothing takes no turns.
    pub fn new(backends: &[(usize, u32)]) -> Self {
        let backends: Vec<_> = backends.iter().copied().filter(|it| it.1 != 0).collect();
        let divisor = backends.iter().fold(0, |divisor, &(_, weight)| gcd(divisor, weight)).max(1);
        let total: u64 = backends.iter().map(|&(_, weight)| u64::from(weight / divisor)).sum();
        let count = f64::from(u32::try_from(backends.len()).unwrap_or(u32::MAX));
        let mut turns = Vec::new();
        let mut start = 0.5 / count;
        for (index, weight) in backends {
            let weight = scaled(weight / divisor, total);
            for turn in 0..weight {
                turns.push(((f64::from(turn) + start) / f64::from(weight), index));
            }
            start += 1.0 / count;
        }
        // The order of the configuration decides ties, for the sort is stable.
        turns.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        Self(turns.into_iter().map(|(_, index)| index).collect())
    }

    /// Returns whose turn it is at position `cursor` of the endlessly repeated sequence.
    pub fn turn(&self, cursor: usize) -> Option<usize> {
        let position = cursor.checked_rem(self.0.len())?;
        Some(self.0[position])
    }

    /// Returns the length of the sequence before it repeats.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether nobody takes turns.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Rounds one of the weights that make `total`, if that is too much.
fn scaled(weight: u32, total: u64) -> u32 {
    if total <= LONGEST {
        return weight;
    }
    u32::try_from(u64::from(weight) * LONGEST / total).unwrap_or(u32::MAX).max(1)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(backends: &[(usize, u32)], expected: &[usize]) {
        assert_eq!(*Schedule::new(backends).0, *expected);
    }

    #[test]
    fn equal_weights_take_turns() {
        check(&[(0, 100), (1, 100), (2, 100)], &[0, 1, 2]);
    }

    #[test]
    fn a_heavy_backend_is_spread_between_the_light_ones() {
        check(&[(0, 4), (1, 1), (2, 1)], &[0, 0, 1, 0, 0, 2]);
        check(&[(0, 2), (1, 4)], &[0, 1, 1]);
    }

    #[test]
    fn two_hundred_backends_of_any_weights_take_no_time_to_speak_of() {
        let backends: Vec<(usize, u32)> =
            (0..200).map(|at| (at, 1 + (at as u32 * 97) % 1_000_000)).collect();
        for _ in 0..20 {
            assert!(Schedule::new(&backends).len() <= (LONGEST + 200) as usize);
        }
    }

    proptest! {
        #[test]
        fn everybody_has_as_many_turns_as_his_weight_says_in_either_half(
            weights in prop::collection::vec(1_u32..300, 1..40),
        ) {
            let backends: Vec<(usize, u32)> = weights.iter().copied().enumerate().collect();
            let schedule = Schedule::new(&backends);
            let divisor = weights.iter().fold(0, |divisor, &weight| gcd(divisor, weight));
            for &(index, weight) in &backends {
                let turns = |range: std::ops::Range<usize>| {
                    range.filter(|&at| schedule.turn(at) == Some(index)).count()
                };
                prop_assert_eq!(turns(0..schedule.len()), (weight / divisor) as usize);
                let half = schedule.len() / 2;
                let (first, second) = (turns(0..half), turns(half..schedule.len()));
                let slack = 2 + 2 * (weight / divisor) as usize * weights.len() / schedule.len();
                prop_assert!(first.abs_diff(second) <= slack, "{} and {}", first, second);
            }
        }
    }

    #[test]
    fn an_empty_tier_has_no_turns() {
        assert_eq!(Schedule::new(&[]).turn(7), None);
    }
}
