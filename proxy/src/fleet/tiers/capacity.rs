//! How much traffic the tiers can carry, and how it is divided among them.

use crate::{
    model::{Capacity, TierPolicy},
    snapshot::Division,
};

/// Weights are whole numbers and shares are not; equal ones may differ by this much.
const ROUNDING: f64 = 1e-9;

/// How fit one tier is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Fitness {
    /// Backends of the tier.
    pub(crate) size: usize,
    /// Of those, the ones that may be picked.
    pub(crate) eligible: usize,
    /// Of those, the ones whose first check is still waited for.
    pub(crate) unknown: usize,
    /// What the backends weigh.
    pub(crate) weight: f64,
    /// What the ones that may be picked weigh.
    pub(crate) weight_eligible: f64,
}

impl Fitness {
    /// Tells whether the tier can serve. One that may hand over a part of its traffic can serve as
    /// long as anything of it is left.
    pub(crate) fn is_able(&self, policy: &TierPolicy) -> bool {
        self.eligible != 0 && (policy.spill_over || 1.0 <= self.capacity(policy))
    }

    /// Returns which part of all traffic the tier can carry, 0 to 1.
    fn capacity(&self, policy: &TierPolicy) -> f64 {
        let capacity = match policy.fail_over_below {
            // A tier smaller than the threshold is able while all of it is.
            Capacity::Backends(needed) => ratio(self.eligible, needed.get().min(self.size)),
            Capacity::Share(needed) => self.share() / needed,
        };
        if 1.0 - ROUNDING <= capacity { 1.0 } else { capacity }
    }

    /// Returns the share of the tier's weight that may be picked, 0 to 1.
    fn share(&self) -> f64 {
        if self.weight <= 0.0 { 0.0 } else { self.weight_eligible / self.weight }
    }
}

/// Returns the tier with the largest share left, of equals the `active` one, or else the first;
/// `None` when nothing is eligible.
pub(crate) fn fittest(fitness: &[Fitness], active: Option<usize>) -> Option<usize> {
    let mut best: Option<usize> = active.filter(|&active| fitness[active].eligible != 0);
    for (tier, it) in fitness.iter().enumerate().filter(|(_, it)| it.eligible != 0) {
        if best.is_none_or(|best| fitness[best].share() + ROUNDING < it.share()) {
            best = Some(tier);
        }
    }
    best
}

/// Divides the traffic: `returning` is the tier that is being failed back to, and its share.
///
/// Without spill-over, the active tier gets the rest. With it, the active tier and those after it
/// each get what they can carry of what those before them cannot; if all together cannot carry
/// everything, they share it in the same proportion. Tiers before the active one, but for the
/// returning one, are in their hold-down.
pub(crate) fn division(
    fitness: &[Fitness],
    active: Option<usize>,
    returning: Option<(usize, f64)>,
    policy: &TierPolicy,
) -> Division {
    let Some(active) = active else { return Division::default() };
    let mut parts = Vec::new();
    let mut rest = 1.0;
    if let Some((tier, share)) = returning {
        let part = share * fitness[tier].capacity(policy);
        parts.push((tier, part));
        rest -= part;
    }
    if policy.spill_over {
        let carried = carried(&fitness[active..], policy);
        let total: f64 = carried.iter().sum();
        let shares = carried.iter().map(|part| rest * part / total.max(ROUNDING));
        parts.extend((active..).zip(shares));
    } else {
        parts.push((active, rest));
    }
    Division::new(&parts)
}

/// Returns which part of everything each tier carries, in order.
fn carried(fitness: &[Fitness], policy: &TierPolicy) -> Vec<f64> {
    let mut left = 1.0;
    fitness
        .iter()
        .map(|tier| {
            let part = tier.capacity(policy).min(left);
            left = if left - part < ROUNDING { 0.0 } else { left - part };
            part
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "numbers of backends fit an f64")]
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use proptest::prelude::*;

    use super::*;
    use crate::model::sample;

    fn policy(fail_over_below: Capacity, spill_over: bool) -> TierPolicy {
        TierPolicy { fail_over_below, spill_over, ..sample::pool("api", &[(0, 1)]).tiers }
    }

    /// A tier with `eligible` of `size` backends, of weight 1 each.
    fn tier(eligible: u32, size: u32) -> Fitness {
        Fitness {
            size: size as usize,
            eligible: eligible as usize,
            unknown: 0,
            weight: f64::from(size),
            weight_eligible: f64::from(eligible),
        }
    }

    #[test]
    fn a_tier_is_able_down_to_its_threshold() {
        let check = |needed, (eligible, size), expected| {
            let is_able = tier(eligible, size).is_able(&policy(needed, false));
            assert_eq!(is_able, expected, "{needed:?} {eligible} of {size}");
        };
        let two = Capacity::Backends(NonZeroUsize::new(2).unwrap());
        check(two, (2, 3), true);
        check(two, (1, 3), false);
        check(two, (1, 1), true);
        check(two, (0, 1), false);
        for (share, eligible, size) in [(0.5, 1, 2), (0.7, 7, 10), (1.0, 3, 3), (1.0 / 3.0, 1, 3)] {
            check(Capacity::Share(share), (eligible, size), true);
            check(Capacity::Share(share), (eligible - 1, size), false);
        }
        check(Capacity::Share(0.001), (1, 900), true);
    }

    #[test]
    fn the_weight_counts_and_not_the_number() {
        let heavy_lost = Fitness { weight: 10.0, weight_eligible: 2.0, ..tier(2, 3) };
        assert!(!heavy_lost.is_able(&policy(Capacity::Share(0.5), false)));
    }

    #[test]
    fn the_fittest_has_the_largest_share_and_comes_first_among_equals() {
        assert_eq!(fittest(&[tier(1, 3), tier(1, 2), tier(2, 4)], None), Some(1));
        assert_eq!(fittest(&[tier(1, 3), tier(1, 2), tier(2, 4)], Some(2)), Some(2));
        assert_eq!(fittest(&[tier(0, 3), tier(1, 9)], Some(0)), Some(1));
        assert_eq!(fittest(&[tier(0, 3), tier(0, 1)], Some(1)), None);
    }

    /// The parts, in percent, of these tiers above a threshold of 71 %.
    fn spilled(active: usize, returning: Option<(usize, f64)>, tiers: &[(u32, u32)]) -> Vec<i32> {
        let fitness: Vec<_> = tiers.iter().map(|&(eligible, size)| tier(eligible, size)).collect();
        let policy = policy(Capacity::Share(1.0 / 1.4), true);
        let division = division(&fitness, Some(active), returning, &policy);
        #[expect(clippy::cast_possible_truncation, reason = "percent")]
        let percent = |tier| (division.part(tier).unwrap_or(-0.01) * 100.0).round() as i32;
        (0..tiers.len()).map(percent).collect()
    }

    #[test]
    fn what_a_tier_cannot_carry_goes_to_the_next() {
        // As in Envoy, whose factor of 1.4 is this threshold.
        assert_eq!(spilled(0, None, &[(10, 10), (10, 10)]), [-1, -1]);
        assert_eq!(spilled(0, None, &[(72, 100), (100, 100)]), [-1, -1]);
        assert_eq!(spilled(0, None, &[(71, 100), (100, 100)]), [99, 1]);
        assert_eq!(spilled(0, None, &[(50, 100), (100, 100)]), [70, 30]);
        assert_eq!(spilled(0, None, &[(25, 100), (25, 100), (100, 100)]), [35, 35, 30]);
        assert_eq!(spilled(0, None, &[(25, 100), (0, 100)]), [-1, -1]);
        assert_eq!(spilled(0, None, &[(20, 100), (20, 100)]), [50, 50]);
        assert_eq!(spilled(0, None, &[(10, 100), (20, 100)]), [33, 67]);
    }

    #[test]
    fn a_tier_in_its_hold_down_gets_nothing_and_a_returning_one_its_share() {
        assert_eq!(spilled(1, None, &[(100, 100), (50, 100), (100, 100)]), [0, 70, 30]);
        let parts = spilled(1, Some((0, 0.4)), &[(50, 100), (50, 100), (100, 100)]);
        assert_eq!(parts, [28, 50, 22]);
    }

    proptest! {
        #[test]
        fn all_of_the_traffic_is_divided_and_only_among_those_who_can(
            tiers in prop::collection::vec((0_u32..5, 0_u32..5), 1..4),
            threshold in 0.05_f64..1.0,
            spill_over in any::<bool>(),
        ) {
            let fitness: Vec<_> =
                tiers.iter().map(|&(eligible, lost)| tier(eligible, eligible + lost)).collect();
            let policy = policy(Capacity::Share(threshold), spill_over);
            let able = fitness.iter().position(|it| it.is_able(&policy));
            let active = able.or_else(|| fittest(&fitness, None));
            let division = division(&fitness, active, None, &policy);
            let parts: Vec<_> = (0..fitness.len()).filter_map(|it| division.part(it)).collect();
            if !parts.is_empty() {
                prop_assert!(spill_over);
                prop_assert!((parts.iter().sum::<f64>() - 1.0).abs() < 1e-6);
                for (part, fitness) in parts.iter().zip(&fitness) {
                    prop_assert!(fitness.eligible != 0 || *part < 1e-6);
                }
            }
        }
    }
}
