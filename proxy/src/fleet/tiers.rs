//! Which tier of a pool serves: failover at once, failback after a hold-down.
//!
//! Going to a later tier is urgent: clients are failing. Coming back is not, and coming back to a
//! backend that is about to fail again costs twice. So a preferred tier must have been able to
//! serve for the whole hold-down, without a break, before traffic returns to it; unless the tier
//! that serves fails in the meantime.

use crate::{
    clock::Timestamp,
    event::{LossReason, TierReason},
    model::TierPolicy,
    snapshot::Failback,
};

/// How fit one tier is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fitness {
    /// Backends of the tier.
    pub(crate) size: usize,
    /// Of those, the ones that may be picked.
    pub(crate) eligible: usize,
    /// Of those, the ones of which nothing is known yet.
    pub(crate) unknown: usize,
}

/// A change of the active tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) from: Option<usize>,
    pub(crate) to: Option<usize>,
    pub(crate) reason: TierReason,
}

/// Follows the tiers of one pool.
#[derive(Clone, Debug)]
pub(crate) struct Tiers {
    active: Option<usize>,
    since: Timestamp,
    /// Whether a tier was ever active.
    is_started: bool,
    /// Since when each tier has been able to serve without a break.
    able_since: Vec<Option<Timestamp>>,
}

impl Tiers {
    pub(crate) fn new(count: usize, now: Timestamp) -> Self {
        Self { active: None, since: now, is_started: false, able_since: vec![None; count] }
    }

    pub(crate) fn active(&self) -> Option<usize> {
        self.active
    }

    pub(crate) fn since(&self) -> Timestamp {
        self.since
    }

    /// Returns the failback that is waited for: to the most preferred tier that can serve.
    pub(crate) fn failback(&self, policy: &TierPolicy) -> Option<Failback> {
        let active = self.active?;
        self.able_since[..active].iter().enumerate().find_map(|(to_tier, since)| {
            since.map(|since| Failback { to_tier, at: since + policy.failback_after })
        })
    }

    /// Takes in how fit the tiers are and returns the change that follows, if any.
    ///
    /// `loss` is why a backend was lost, when one was. Calling it again with the same facts is
    /// harmless.
    pub(crate) fn judge(
        &mut self,
        fitness: &[Fitness],
        loss: Option<LossReason>,
        policy: &TierPolicy,
        now: Timestamp,
    ) -> Option<Change> {
        for (since, fitness) in self.able_since.iter_mut().zip(fitness) {
            *since = is_able(fitness, policy).then(|| since.unwrap_or(now));
        }
        let (to, reason) = self.choose(fitness, loss, policy, now)?;
        let change = Change { from: self.active, to, reason };
        self.active = to;
        self.since = now;
        self.is_started = true;
        Some(change)
    }

    fn choose(
        &self,
        fitness: &[Fitness],
        loss: Option<LossReason>,
        policy: &TierPolicy,
        now: Timestamp,
    ) -> Option<(Option<usize>, TierReason)> {
        let first_able = self.able_since.iter().position(Option::is_some);
        let Some(active) = self.active else {
            let to = first_able.or_else(|| first_with_any(fitness))?;
            // Nothing serves yet and a better tier's first check is still under way: wait for it.
            if !self.is_started && fitness[..to].iter().any(|tier| tier.unknown != 0) {
                return None;
            }
            return Some((Some(to), TierReason::Regained));
        };
        if self.able_since[active].is_some() {
            let failback = self.failback(policy)?;
            return (failback.at <= now)
                .then_some((Some(failback.to_tier), TierReason::HoldDownEnded));
        }
        let to = first_able.or_else(|| first_with_any(fitness));
        (to != self.active)
            .then_some((to, TierReason::Lost(loss.unwrap_or(LossReason::HealthCheck))))
    }
}

fn is_able(fitness: &Fitness, policy: &TierPolicy) -> bool {
    // A tier smaller than the threshold is able while all of it is.
    let needed = policy.fail_over_below.get().min(fitness.size);
    needed <= fitness.eligible
}

fn first_with_any(fitness: &[Fitness]) -> Option<usize> {
    fitness.iter().position(|tier| tier.eligible != 0)
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroUsize, time::Duration};

    use super::*;

    /// Plays lines of `millis eligible-per-tier`, e.g. `0 1 1`, `?` for unknown, against tiers of
    /// one backend each with a hold-down of a second. Returns the active tier after each line.
    fn play(lines: &[&str]) -> Vec<Option<usize>> {
        let policy = TierPolicy {
            fail_over_below: NonZeroUsize::MIN,
            failback_after: Duration::from_secs(1),
        };
        let count = lines[0].split_whitespace().count() - 1;
        let mut tiers = Tiers::new(count, Timestamp::ZERO);
        lines
            .iter()
            .map(|line| {
                let mut words = line.split_whitespace();
                let now = Timestamp::from_millis(words.next().unwrap().parse().unwrap());
                let fitness: Vec<Fitness> = words
                    .map(|word| Fitness {
                        size: 1,
                        eligible: usize::from(word == "1"),
                        unknown: usize::from(word == "?"),
                    })
                    .collect();
                tiers.judge(&fitness, None, &policy, now);
                tiers.active()
            })
            .collect()
    }

    #[test]
    fn the_first_choice_waits_for_the_first_check_of_a_better_tier() {
        assert_eq!(play(&["0 ? 1", "5 1 1"]), [None, Some(0)]);
        assert_eq!(play(&["0 ? 1", "5 0 1"]), [None, Some(1)]);
    }

    #[test]
    fn failover_is_at_once_and_failback_waits_out_the_hold_down() {
        let active = play(&["0 1 1", "10 0 1", "20 1 1", "1019 1 1", "1020 1 1"]);
        assert_eq!(active, [Some(0), Some(1), Some(1), Some(1), Some(0)]);
    }

    #[test]
    fn a_break_starts_the_hold_down_again() {
        let active = play(&["0 1 1", "10 0 1", "20 1 1", "900 0 1", "950 1 1", "1500 1 1"]);
        assert_eq!(active.last(), Some(&Some(1)));
    }

    #[test]
    fn a_tier_in_its_hold_down_takes_over_when_the_active_one_fails() {
        assert_eq!(play(&["0 1 1", "10 0 1", "20 1 1", "30 1 0"]).last(), Some(&Some(0)));
    }

    #[test]
    fn nothing_left_is_none_and_anything_regained_serves_at_once() {
        assert_eq!(play(&["0 1 1", "10 0 0", "20 0 1"]), [Some(0), None, Some(1)]);
    }
}
