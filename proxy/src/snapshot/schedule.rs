//! The order in which the backends of a tier take turns.

use std::sync::Arc;

/// A repeating sequence in which each backend comes as often as its weight says, spread evenly.
///
/// This is nginx's smooth weighted round robin, worked out beforehand: requests then only count,
/// with one atomic addition and no lock. The sequence is as long as the sum of the weights
/// divided by their greatest common divisor; copies share it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule(Arc<[usize]>);

impl Schedule {
    /// Works out the sequence for `(index, weight)` pairs. Weights are at least 1.
    pub fn new(backends: &[(usize, u32)]) -> Self {
        let divisor = backends.iter().fold(0, |divisor, &(_, weight)| gcd(divisor, weight));
        let weights: Vec<i64> =
            backends.iter().map(|&(_, weight)| i64::from(weight / divisor.max(1))).collect();
        let total: i64 = weights.iter().sum();
        let mut credit = vec![0; weights.len()];
        let mut sequence = Vec::new();
        for _ in 0..total {
            for (credit, weight) in credit.iter_mut().zip(&weights) {
                *credit += weight;
            }
            // The first of equals, so that the order of the configuration decides ties.
            let Some(next) = (0..credit.len()).rev().max_by_key(|&at| credit[at]) else { break };
            credit[next] -= total;
            sequence.push(backends[next].0);
        }
        Self(sequence.into())
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

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
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
        check(&[(0, 5), (1, 1), (2, 1)], &[0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn an_empty_tier_has_no_turns() {
        assert_eq!(Schedule::new(&[]).turn(7), None);
    }
}
