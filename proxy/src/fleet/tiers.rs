//! Which tier of a pool serves: failover at once, failback after a hold-down.
//!
//! Going to a later tier is urgent: clients are failing. Coming back is not, and coming back to a
//! backend that is about to fail again costs twice. So a preferred tier must have been able to
//! serve for the whole [hold-down](hold_down), without a break, before traffic returns to it;
//! unless the tier that serves fails in the meantime, or an operator asks for it. It returns at
//! once or along a [ramp].
//!
//! While no tier can serve as it should, the one with most left does. It takes over at once from one
//! that has lost a backend; when another has merely regained one, that waits for the hold-down, too.
//!
//! The *active* tier is the first that can serve and is not in its hold-down. Normally it gets all
//! traffic. While one returns, the active tier is the one that is being left; with spill-over, those
//! after the active one get what it cannot [carry](capacity).

mod capacity;
mod hold_down;
mod ramp;
pub(crate) mod record;

pub(crate) use capacity::Fitness;

use crate::{
    clock::Timestamp,
    event::{LossReason, TierReason},
    fleet::tiers::{
        capacity::{division, fittest},
        hold_down::HoldDown,
        ramp::Ramp,
    },
    model::{FailbackMode, TierPolicy},
    snapshot::{Division, Failback},
};

/// What the tiers decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The active tier changed.
    Changed { from: Option<usize>, to: Option<usize>, reason: TierReason },
    /// Traffic begins to return, along a ramp.
    FailbackBegan { to: usize },
    /// The return was broken off: the active tier has all traffic again.
    FailbackAborted { to: usize },
}

/// A backend was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) tier: usize,
    pub(crate) reason: LossReason,
}

/// A tier that an operator moved the pool to. It serves for as long as it can, or until traffic is
/// asked back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    tier: usize,
    /// Whether it can serve, to him, while anything of it is eligible.
    is_forced: bool,
}

/// The tier cannot serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAble;

/// Follows the tiers of one pool.
#[derive(Clone, Debug)]
pub(crate) struct Tiers {
    active: Option<usize>,
    since: Timestamp,
    /// Whether a tier was ever active.
    is_started: bool,
    /// Since when each tier has been able to serve without a break.
    able_since: Vec<Option<Timestamp>>,
    /// While no tier is able: one that has more left than the active one, and since when.
    fitter: Option<(usize, Timestamp)>,
    hold_down: HoldDown,
    /// Where an operator wants traffic to stay.
    held: Option<Held>,
    /// The tier of which that is over, until it has been told.
    released: Option<usize>,
    ramp: Option<Ramp>,
    division: Division,
}

impl Tiers {
    pub(crate) fn new(count: usize, now: Timestamp) -> Self {
        Self {
            active: None,
            since: now,
            is_started: false,
            able_since: vec![None; count],
            fitter: None,
            hold_down: HoldDown::default(),
            held: None,
            released: None,
            ramp: None,
            division: Division::default(),
        }
    }

    /// Returns these as they go on in a pool of `count` tiers, where `numbers` says which of those each
    /// one is, if it is there. To be judged before anybody reads what they decide.
    ///
    /// `is_serving_left` tells whether who served is still there; if not, nothing serves yet.
    pub(crate) fn renumbered(
        self,
        count: usize,
        numbers: &[Option<usize>],
        is_serving_left: bool,
        now: Timestamp,
    ) -> Self {
        let number = |tier: usize| numbers.get(tier).copied().flatten();
        let active = self.active.and_then(number).filter(|_| is_serving_left);
        let mut able_since = vec![None; count];
        for (tier, since) in self.able_since.iter().enumerate() {
            if let Some(place) = number(tier).map(|tier| &mut able_since[tier]) {
                *place = [*place, *since].into_iter().flatten().min();
            }
        }
        let held = self.held.and_then(|held| Some(Held { tier: number(held.tier)?, ..held }));
        let ramp = self.ramp.and_then(|ramp| Some(ramp.renumbered(number(ramp.to)?)));
        Self {
            since: if active == self.active { self.since } else { now },
            is_started: self.is_started && is_serving_left,
            able_since,
            fitter: None,
            hold_down: self.hold_down,
            held: held.filter(|held| held.tier != 0 && Some(held.tier) == active),
            released: None,
            // A return is one to a better tier.
            ramp: ramp.filter(|ramp| active.is_some_and(|active| ramp.to < active)),
            active,
            division: Division::default(),
        }
    }

    pub(crate) fn active(&self) -> Option<usize> {
        self.active
    }

    pub(crate) fn since(&self) -> Timestamp {
        self.since
    }

    /// Returns how traffic is divided among the tiers.
    pub(crate) fn division(&self) -> &Division {
        &self.division
    }

    /// Returns the return of traffic that is waited for or under way: to the most preferred tier
    /// that can serve.
    pub(crate) fn failback(&self, policy: &TierPolicy) -> Option<Failback> {
        if let Some(ramp) = &self.ramp {
            return Some(Failback { to_tier: ramp.to, at: ramp.end(policy) });
        }
        let (to_tier, since) = self.waiting()?;
        match policy.failback {
            FailbackMode::Automatic => {
                let at = since + self.hold_down.length(policy) + policy.failback_ramp;
                Some(Failback { to_tier, at })
            }
            FailbackMode::Manual => None,
        }
    }

    /// Returns the tier that traffic could return to if an operator asked for it.
    pub(crate) fn returnable(&self) -> Option<usize> {
        self.ramp.map(|ramp| ramp.to).or_else(|| self.preferred().map(|(tier, _)| tier))
    }

    /// Returns the tier where an operator wants traffic to stay.
    pub(crate) fn held(&self) -> Option<usize> {
        self.held.map(|held| held.tier)
    }

    /// Returns the tier of which that is over because it cannot serve, once.
    pub(crate) fn take_released(&mut self) -> Option<usize> {
        self.released.take()
    }

    /// Returns when [`Tiers::judge`] must be called next.
    pub(crate) fn next_deadline(&self, policy: &TierPolicy) -> Option<Timestamp> {
        if let Some((_, since)) = self.fitter {
            return Some(since + self.hold_down.length(policy));
        }
        match (&self.ramp, policy.failback) {
            (Some(ramp), _) => Some(ramp.next_deadline(policy)),
            (None, FailbackMode::Automatic) => self.hold_down_end(policy).map(|(_, end)| end),
            (None, FailbackMode::Manual) => None,
        }
    }

    /// Takes in how fit the tiers are and returns the step that follows, if any.
    ///
    /// `loss` is the backend that was lost, when one was. Calling it again with the same facts is
    /// harmless.
    pub(crate) fn judge(
        &mut self,
        fitness: &[Fitness],
        loss: Option<Loss>,
        policy: &TierPolicy,
        now: Timestamp,
    ) -> Option<Step> {
        for (tier, (since, fitness)) in self.able_since.iter_mut().zip(fitness).enumerate() {
            let is_enough = self.held.is_some_and(|held| held.tier == tier && held.is_forced);
            let is_able = fitness.is_able(policy) || is_enough && fitness.eligible != 0;
            *since = is_able.then(|| since.unwrap_or(now));
        }
        if self.held.is_some_and(|held| self.able_since[held.tier].is_none()) {
            self.released = self.held.take().map(|held| held.tier);
        }
        let may_be_fitter = self.active.is_some() && self.able_since.iter().all(Option::is_none);
        let fitter =
            fittest(fitness, self.active).filter(|&it| may_be_fitter && Some(it) != self.active);
        self.fitter = fitter.map(|it| match self.fitter {
            Some((known, since)) if known == it => (it, since),
            Some(_) | None => (it, now),
        });
        let step = self.step(fitness, loss, policy, now);
        self.divide(fitness, policy);
        step
    }

    /// Takes in that traffic met trouble in `tier`. Returns the step that follows, if any.
    pub(crate) fn disturbed(
        &mut self,
        tier: usize,
        fitness: &[Fitness],
        policy: &TierPolicy,
        now: Timestamp,
    ) -> Option<Step> {
        let is_worse = self.ramp.as_mut()?.is_worse_after(tier);
        let step = if is_worse { self.abort(policy, now) } else { None };
        self.divide(fitness, policy);
        step
    }

    /// Lets traffic return without waiting for the hold-down, because an operator asks for it. It is kept
    /// nowhere any more, also when there is nothing to return to at present.
    ///
    /// Harmless when it is returning already.
    pub(crate) fn fail_back(
        &mut self,
        fitness: &[Fitness],
        policy: &TierPolicy,
        now: Timestamp,
    ) -> Option<Step> {
        if self.ramp.is_some() {
            return None;
        }
        self.held = None;
        let (to, _) = self.preferred()?;
        let step = self.begin_failback(to, TierReason::Requested, policy, now);
        self.divide(fitness, policy);
        Some(step)
    }

    /// Moves traffic to a tier that an operator chose, where it stays. `is_forced` is whether anything
    /// eligible of it is enough.
    pub(crate) fn fail_over(
        &mut self,
        to: usize,
        is_forced: bool,
        fitness: &[Fitness],
        policy: &TierPolicy,
        now: Timestamp,
    ) -> Result<Option<Step>, NotAble> {
        let is_enough = is_forced && fitness[to].eligible != 0;
        if !fitness[to].is_able(policy) && !is_enough {
            return Err(NotAble);
        }
        self.able_since[to].get_or_insert(now);
        // Nothing is preferred to the first: there is nothing to keep traffic from.
        self.held = (to != 0).then_some(Held { tier: to, is_forced });
        self.released = None;
        let step = if self.active == Some(to) {
            self.ramp.take().map(|ramp| Step::FailbackAborted { to: ramp.to })
        } else {
            Some(self.change(Some(to), TierReason::Manual, policy, now))
        };
        self.divide(fitness, policy);
        Ok(step)
    }

    fn step(
        &mut self,
        fitness: &[Fitness],
        loss: Option<Loss>,
        policy: &TierPolicy,
        now: Timestamp,
    ) -> Option<Step> {
        if self.active.is_none_or(|active| self.able_since[active].is_none()) {
            let (to, reason) = self.successor(fitness, loss)?;
            if self.may_wait(fitness, loss, policy, now) {
                return None;
            }
            return Some(self.change(to, reason, policy, now));
        }
        if let Some(ramp) = &mut self.ramp {
            let to = ramp.to;
            // Whom operators take out has not failed; its tier goes on if it can without.
            let is_hit = loss.is_some_and(|loss| loss.tier == to && !loss.reason.is_ordered());
            if self.able_since[to].is_none() || is_hit {
                return self.abort(policy, now);
            }
            if !ramp.advance(policy, now) {
                return None;
            }
            let reason = ramp.reason;
            return Some(self.change(Some(to), reason, policy, now));
        }
        let (to, end) = self.hold_down_end(policy)?;
        let is_due = policy.failback == FailbackMode::Automatic && end <= now;
        is_due.then(|| self.begin_failback(to, TierReason::HoldDownEnded, policy, now))
    }

    /// Returns who serves in place of an active tier that cannot, or of none. `None` means that
    /// nothing changes.
    fn successor(
        &self,
        fitness: &[Fitness],
        loss: Option<Loss>,
    ) -> Option<(Option<usize>, TierReason)> {
        let first_able = self.able_since.iter().position(Option::is_some);
        let to = first_able.or_else(|| fittest(fitness, self.active));
        if !self.is_started {
            // Nothing serves yet, and the first check of somebody better is still under way.
            let better = first_able.unwrap_or(fitness.len());
            if fitness[..better].iter().any(|tier| tier.unknown != 0) {
                return None;
            }
        }
        let reason = match loss {
            Some(loss) => TierReason::Lost(loss.reason),
            None => TierReason::Regained,
        };
        (to != self.active).then_some((to, reason))
    }

    /// Tells whether the active tier, which cannot serve as it should, goes on all the same, because
    /// nothing has happened to it: another one is fitter, and has not been for the hold-down.
    fn may_wait(
        &self,
        fitness: &[Fitness],
        loss: Option<Loss>,
        policy: &TierPolicy,
        now: Timestamp,
    ) -> bool {
        let is_left = |active: usize| fitness[active].eligible != 0;
        let is_hit = loss.is_some_and(|loss| Some(loss.tier) == self.active);
        self.active.is_some_and(is_left)
            && !is_hit
            && self.fitter.is_some_and(|(_, since)| now < since + self.hold_down.length(policy))
    }

    fn begin_failback(
        &mut self,
        to: usize,
        reason: TierReason,
        policy: &TierPolicy,
        now: Timestamp,
    ) -> Step {
        if policy.failback_ramp.is_zero() {
            return self.change(Some(to), reason, policy, now);
        }
        self.ramp = Some(Ramp::new(to, reason, now));
        Step::FailbackBegan { to }
    }

    fn abort(&mut self, policy: &TierPolicy, now: Timestamp) -> Option<Step> {
        let Ramp { to, .. } = self.ramp.take()?;
        self.hold_down.aborted(policy, now);
        if let Some(since) = &mut self.able_since[to] {
            *since = now;
        }
        Some(Step::FailbackAborted { to })
    }

    fn change(
        &mut self,
        to: Option<usize>,
        reason: TierReason,
        policy: &TierPolicy,
        now: Timestamp,
    ) -> Step {
        let from = self.active;
        match reason {
            TierReason::Lost(_) if to.is_none_or(|to| from < Some(to)) => {
                self.hold_down.failed_over(policy, now);
            }
            TierReason::HoldDownEnded | TierReason::Requested => self.hold_down.returned(now),
            TierReason::Lost(_)
            | TierReason::Regained
            | TierReason::Reconfigured
            | TierReason::Manual => {}
        }
        self.active = to;
        self.since = now;
        self.is_started = true;
        self.ramp = None;
        self.fitter = None;
        Step::Changed { from, to, reason }
    }

    /// Returns the tier that traffic returns to by itself, and since when it can serve.
    fn waiting(&self) -> Option<(usize, Timestamp)> {
        if self.held.is_some() { None } else { self.preferred() }
    }

    /// Returns the most preferred tier before the active one that can serve, and since when.
    fn preferred(&self) -> Option<(usize, Timestamp)> {
        let active = self.active?;
        self.able_since[..active]
            .iter()
            .enumerate()
            .find_map(|(tier, since)| since.map(|since| (tier, since)))
    }

    fn hold_down_end(&self, policy: &TierPolicy) -> Option<(usize, Timestamp)> {
        self.waiting().map(|(tier, since)| (tier, since + self.hold_down.length(policy)))
    }

    fn divide(&mut self, fitness: &[Fitness], policy: &TierPolicy) {
        let returning = self.ramp.map(|ramp| (ramp.to, ramp.share()));
        self.division = division(fitness, self.active, returning, policy);
    }
}

#[cfg(test)]
mod tests;
