//! Orders: what operators ask of the fleet, and what it refuses.
//!
//! An order is judged and carried out in one step, by the one who owns the fleet: two operators who
//! each drain one of the last two backends, or who both expect to be the first, cannot both be
//! right. Orders name their backend, because positions change with a reload.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    event::Event,
    fleet::{Fleet, backend::BackendMachine},
    model::{BackendId, Intent, PoolId, WhenDown},
    snapshot::PoolSnapshot,
};

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The pool's name.
    pub pool: String,
    /// What shall be done, and to what of it.
    pub target: Target,
    /// What must be so; else nothing is done.
    pub expected: Expectation,
    /// Whether it may take out the last eligible backend, or move the pool to a tier that has less
    /// left than it needs.
    pub is_forced: bool,
}

/// What shall be done, and to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To this backend.
    Backend(String, Command),
    /// Traffic shall move to this tier and stay there: the one named, or that of the backend named,
    /// or the next one that can serve.
    FailOver(Option<Subject>),
    /// Traffic shall return without waiting any longer, and be kept nowhere.
    FailBack,
}

/// Where an operator wants traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// In this tier.
    Tier(usize),
    /// In the tier of this backend.
    Backend(String),
}

/// What shall be done to a backend. Whatever is so already is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// To want this of it.
    Intend(Intent),
    /// To let it weigh this.
    Weigh(u32),
    /// To eject it for so long.
    Eject(Duration),
    /// To end its ejection, whoever began it.
    Readmit,
}

impl Command {
    /// Tells whether the backend may not be picked afterwards.
    fn takes_out(self) -> bool {
        match self {
            Self::Intend(intent) => !intent.is_enabled(),
            Self::Eject(_) => true,
            Self::Weigh(_) | Self::Readmit => false,
        }
    }
}

/// What an operator takes to be so. Whatever is not said may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectation {
    /// What operators want of the backend.
    pub intent: Option<Intent>,
    /// What it weighs.
    pub weight: Option<u32>,
    /// Its condition, by [`Condition::name`](crate::snapshot::Condition::name).
    pub condition: Option<String>,
    /// Whether it may be picked.
    pub is_eligible: Option<bool>,
    /// Whether it is eligible and of a tier that gets traffic.
    pub is_active: Option<bool>,
    /// The active tier's first eligible backend, by name; or `tier 1`, the active tier.
    pub active: Option<String>,
}

/// An order that was carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Ordered {
    /// The pool.
    pub pool: PoolId,
    /// Index of the backend in it, if the order was about one.
    pub index: Option<usize>,
    /// How everything was.
    pub before: PoolSnapshot,
    /// How everything is.
    pub after: PoolSnapshot,
}

/// Why an order was not carried out. Nothing has changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// There is no such pool.
    UnknownPool,
    /// The pool has no such backend.
    UnknownBackend,
    /// The pool has no such tier.
    UnknownTier,
    /// What was expected is not so.
    Changed {
        /// The pool.
        pool: PoolId,
        /// Index of the backend in it, if the order was about one.
        index: Option<usize>,
        /// What of it is not so.
        field: &'static str,
        /// How everything is.
        present: Box<PoolSnapshot>,
    },
    /// Nobody else of the pool may be picked, or would be where it fails open.
    LastEligible,
    /// The tier cannot serve as it should; `is_any` is whether anything of it is eligible, so that
    /// it could be forced.
    NotAble {
        /// The tier.
        tier: usize,
        /// Whether anything of it is eligible.
        is_any: bool,
    },
    /// No other tier can serve.
    NoOtherTier,
    /// There is no tier to return to: the first one serves, or none before the one that does can, and
    /// nobody keeps traffic there.
    NothingToFailBack,
}

impl Fleet {
    /// Carries out an order of `now`, or says why not.
    ///
    /// # Errors
    /// When something named does not exist, something expected is not so, or it would take out the
    /// last eligible backend and is not forced.
    pub fn order(&mut self, order: &Order, now: Timestamp) -> Result<Ordered, Refusal> {
        let pool = self.topology.pool_named(&order.pool).ok_or(Refusal::UnknownPool)?;
        let index = match &order.target {
            Target::Backend(name, _) => Some(self.index_of(pool, name)?),
            Target::FailOver(_) | Target::FailBack => None,
        };
        let before = self.pool_snapshot(pool);
        if let Some(field) = self.unexpected(pool, index, &before, &order.expected) {
            return Err(Refusal::Changed { pool, index, field, present: Box::new(before) });
        }
        match (&order.target, index) {
            (Target::Backend(_, command), Some(index)) => {
                let id = BackendId { pool, index };
                if !order.is_forced && self.takes_last(id, *command) {
                    return Err(Refusal::LastEligible);
                }
                self.command(id, *command, now);
            }
            (Target::FailOver(to), _) => {
                let tier = self.tier_meant(pool, to.as_ref(), order.is_forced)?;
                if !self.fail_over(pool, tier, order.is_forced, now) {
                    let is_any = self.fitness(pool)[tier].eligible != 0;
                    return Err(Refusal::NotAble { tier, is_any });
                }
            }
            (Target::FailBack, _) => {
                // To be kept nowhere is something to ask for, too.
                if before.returnable.is_none() && before.held.is_none() {
                    return Err(Refusal::NothingToFailBack);
                }
                self.fail_back(pool, now);
            }
            (Target::Backend(..), None) => return Err(Refusal::UnknownBackend),
        }
        self.judge_tiers(pool, now);
        self.renew_picks();
        Ok(Ordered { pool, index, before, after: self.pool_snapshot(pool) })
    }

    fn command(&mut self, id: BackendId, command: Command, now: Timestamp) {
        let backend = self.topology.backend(id);
        let configured = backend.weight.get();
        let weighed = self.pools[id.pool.0].backends[id.index].weight(backend);
        self.change(id, now, |machine, _| match command {
            Command::Intend(intent) => {
                machine.intend(intent, now);
                None
            }
            Command::Weigh(weight) => {
                machine.weigh((weight != configured).then_some(weight));
                None
            }
            Command::Eject(length) => Some((None, machine.eject(now + length, now))),
            Command::Readmit => {
                machine.readmit(now);
                None
            }
        });
        if let Command::Weigh(to) = command
            && to != weighed
        {
            self.emit(Event::WeightChanged { backend: id, from: weighed, to });
        }
    }

    fn index_of(&self, pool: PoolId, name: &str) -> Result<usize, Refusal> {
        let backends = &self.topology.pool(pool).backends;
        backends.iter().position(|it| it.name == name).ok_or(Refusal::UnknownBackend)
    }

    /// Tells whether the command would take out the backend and nobody else of its pool may be
    /// picked. Where a pool fails open, those that operators want are picked.
    fn takes_last(&self, id: BackendId, command: Command) -> bool {
        let backends = &self.pools[id.pool.0].backends;
        let is_failing_open = self.topology.pool(id.pool).when_down == WhenDown::FailOpen
            && !backends.iter().any(BackendMachine::is_eligible);
        // Failing open asks the ejected, too.
        let is_picked = |it: &BackendMachine| match command {
            Command::Intend(_) if is_failing_open => it.intent().is_enabled(),
            Command::Intend(_) | Command::Weigh(_) | Command::Eject(_) | Command::Readmit => {
                it.is_eligible()
            }
        };
        let mut others = backends.iter().enumerate().filter(|(index, _)| *index != id.index);
        command.takes_out()
            && is_picked(&backends[id.index])
            && !others.any(|(_, it)| is_picked(it))
    }

    fn tier_meant(
        &self,
        pool: PoolId,
        to: Option<&Subject>,
        is_forced: bool,
    ) -> Result<usize, Refusal> {
        match to {
            Some(Subject::Tier(tier)) if *tier < self.topology.pool(pool).tier_count() => Ok(*tier),
            Some(Subject::Tier(_)) => Err(Refusal::UnknownTier),
            Some(Subject::Backend(name)) => {
                Ok(self.topology.pool(pool).backends[self.index_of(pool, name)?].tier)
            }
            None => {
                let policy = &self.topology.pool(pool).tiers;
                let active = self.pools[pool.0].tiers.active();
                let fitness = self.fitness(pool);
                let is_fit = |tier: &usize| {
                    let fitness = &fitness[*tier];
                    fitness.is_able(policy) || is_forced && fitness.eligible != 0
                };
                let later = (0..fitness.len()).filter(|&tier| active < Some(tier));
                let earlier = (0..fitness.len()).filter(|&tier| Some(tier) < active);
                later.chain(earlier).find(is_fit).ok_or(Refusal::NoOtherTier)
            }
        }
    }

    /// Returns the first thing expected that is not so.
    fn unexpected(
        &self,
        pool: PoolId,
        index: Option<usize>,
        present: &PoolSnapshot,
        expected: &Expectation,
    ) -> Option<&'static str> {
        let topology = self.topology.pool(pool);
        if let Some(active) = &expected.active {
            let is_name =
                present.active_backend().is_some_and(|at| topology.backends[at].name == *active);
            let is_tier = present.active_tier.is_some_and(|tier| format!("tier {tier}") == *active);
            if !is_name && !is_tier {
                return Some("active");
            }
        }
        let index = index?;
        let backend = &present.backends[index];
        let is_active = backend.is_eligible() && 0.0 < present.part(topology.backends[index].tier);
        let differs = |expected: Option<bool>, found: bool| expected.is_some_and(|it| it != found);
        if expected.intent.is_some_and(|it| it != backend.intent) {
            Some("intent")
        } else if expected.weight.is_some_and(|it| it != backend.weight) {
            Some("weight")
        } else if expected.condition.as_ref().is_some_and(|it| it != backend.condition.name()) {
            Some("condition")
        } else if differs(expected.is_eligible, backend.is_eligible()) {
            Some("is_eligible")
        } else if differs(expected.is_active, is_active) {
            Some("is_active")
        } else {
            None
        }
    }

    fn pool_snapshot(&self, pool: PoolId) -> PoolSnapshot {
        self.pools[pool.0].snapshot(self.topology.pool(pool))
    }
}
