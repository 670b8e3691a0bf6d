//! How a pool's traffic is divided among its tiers.

/// Which part of the traffic each of several tiers gets; empty while one tier gets all.
///
/// Parts are kept as ends on a line as long as a `u32`, so that a request finds its tier by one
/// random number and a glance along the line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Division(Vec<(usize, u32)>);

impl Division {
    /// Divides among `(tier, part)` pairs, in proportion to the parts. Those without a part are
    /// left out; one alone is no division.
    pub fn new(parts: &[(usize, f64)]) -> Self {
        let parts: Vec<_> = parts.iter().copied().filter(|&(_, part)| 0.0 < part).collect();
        let total: f64 = parts.iter().map(|&(_, part)| part).sum();
        let Some((&(last, _), first)) = parts.split_last().filter(|(_, first)| !first.is_empty())
        else {
            return Self::default();
        };
        let mut sum = 0.0;
        let ends = first.iter().map(|&(tier, part)| {
            sum += part;
            (tier, on_line(sum / total))
        });
        Self(ends.chain([(last, u32::MAX)]).collect())
    }

    /// Returns the tier that a random number falls to; `None`, without asking for one, while
    /// nothing is divided.
    pub fn draw(&self, random: impl FnOnce() -> u32) -> Option<usize> {
        if self.0.is_empty() {
            return None;
        }
        let point = random();
        self.0.iter().find(|&&(_, end)| point <= end).map(|&(tier, _)| tier)
    }

    /// Returns which part of the traffic this tier gets, 0 to 1; `None` while nothing is divided.
    pub fn part(&self, tier: usize) -> Option<f64> {
        if self.0.is_empty() {
            return None;
        }
        let Some(at) = self.0.iter().position(|&(it, _)| it == tier) else { return Some(0.0) };
        let start = at.checked_sub(1).map_or(0, |before| self.0[before].1);
        Some(f64::from(self.0[at].1 - start) / f64::from(u32::MAX))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of the line lies on it, and the cast saturates"
)]
fn on_line(share: f64) -> u32 {
    (share * f64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_alone_is_no_division_and_costs_no_chance() {
        for parts in [&[][..], &[(0, 1.0)], &[(0, 0.0), (1, 0.7)]] {
            let division = Division::new(parts);
            assert_eq!(division, Division::default());
            assert_eq!(division.draw(|| unreachable!()), None);
            assert_eq!(division.part(0), None);
        }
    }

    #[test]
    fn every_point_of_the_line_belongs_to_the_tier_whose_part_it_is_in() {
        let division = Division::new(&[(2, 0.25), (0, 0.5), (1, 0.25)]);
        let draw = |share: f64| division.draw(|| on_line(share)).unwrap();
        assert_eq!([0.0, 0.24, 0.26, 0.74, 0.76, 1.0].map(draw), [2, 2, 0, 0, 1, 1]);
        for (tier, part) in [(0, 0.5), (1, 0.25), (2, 0.25), (3, 0.0)] {
            assert!((division.part(tier).unwrap() - part).abs() < 1e-6, "{tier}");
        }
    }

    #[test]
    fn parts_are_in_proportion() {
        let division = Division::new(&[(0, 3.0), (1, 1.0)]);
        assert!((division.part(0).unwrap() - 0.75).abs() < 1e-6);
    }
    proptest! {
        #[test]
        fn every_point_falls_to_a_tier_with_a_part_and_parts_make_a_whole(
            parts in prop::collection::vec(0.0_f64..5.0, 0..6),
            points in prop::collection::vec(any::<u32>(), 1..50),
        ) {
            let parts: Vec<(usize, f64)> = parts.into_iter().enumerate().collect();
            let total: f64 = parts.iter().map(|it| it.1).sum();
            let division = Division::new(&parts);
            let shares: Vec<f64> = parts.iter().filter_map(|it| division.part(it.0)).collect();
            if shares.is_empty() {
                prop_assert!(parts.iter().filter(|it| 0.0 < it.1).count() < 2);
                return Ok(());
            }
            prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-6);
            for ((tier, part), share) in parts.iter().zip(&shares) {
                prop_assert!((part / total - share).abs() < 1e-6, "{}", tier);
            }
            for point in points {
                let tier = division.draw(|| point).unwrap();
                prop_assert!(0.0 < parts[tier].1);
            }
        }
    }
}
