//! The fleet: the condition of every backend, and the machine that decides who serves.
//!
//! Facts go in by [`Fleet::handle`], the passing of time by [`Fleet::handle_deadline`]; decisions
//! come out of [`Fleet::poll_output`] until it returns `None`. The machine never waits, never
//! fails and never asks for the time, so that the same code runs in production, in property tests
//! and in a simulation.

mod backend;
mod health;
mod outlier;
mod tiers;

use std::{collections::VecDeque, time::Duration};

pub use backend::Pace;

use crate::{
    clock::Timestamp,
    event::{Event, Evidence, FaultMode, Heir, LossReason, Source, Symptom},
    fleet::{
        backend::{BackendMachine, Reaction},
        outlier::ejectable,
        tiers::{Fitness, Tiers},
    },
    model::{BackendId, Pool, PoolId, SharedTopology},
    snapshot::{Condition, LastCheck, PoolSnapshot, Schedule, Snapshot, TierSnapshot},
};

/// What the fleet is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A health check ended.
    Checked {
        /// Whose.
        backend: BackendId,
        /// `None` when it passed.
        failure: Option<Symptom>,
        /// How long it took.
        took: Duration,
    },
    /// An attempt of a client's request failed.
    AttemptFailed {
        /// Where.
        backend: BackendId,
        /// How.
        symptom: Symptom,
        /// Failures in a row at this backend, this one included.
        run: u32,
        /// When: before the request was counted as lost or rescued, so that an incident that
        /// begins with it includes it.
        at: Timestamp,
    },
    /// An attempt succeeded at a backend that is being watched.
    AttemptSucceeded {
        /// Where.
        backend: BackendId,
    },
    /// An operator asked for this backend to fail.
    FaultRequested {
        /// Which one.
        backend: BackendId,
        /// How.
        mode: FaultMode,
    },
}

/// What the fleet wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Something changed that others want to know of.
    Event(Event),
    /// Check this backend at this pace from now on.
    Pace(BackendId, Pace),
    /// Report successes of this backend ([`Input::AttemptSucceeded`]) from now on, or no longer.
    Watch(BackendId, bool),
}

/// The condition of every backend, and the machine that decides who serves.
#[derive(Debug)]
pub struct Fleet {
    topology: SharedTopology,
    pools: Vec<PoolMachine>,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
struct PoolMachine {
    tiers: Tiers,
    /// What requests pick from, kept until the set of eligible backends changes.
    picks: Vec<TierSnapshot>,
    backends: Vec<BackendMachine>,
    /// Backends whose first success is awaited.
    watched: Vec<bool>,
}

impl Fleet {
    /// Makes the fleet of `topology`, of which nothing is known yet.
    pub fn new(topology: SharedTopology, now: Timestamp) -> Self {
        let pools = topology
            .pools
            .iter()
            .map(|pool| PoolMachine {
                tiers: Tiers::new(pool.tier_count(), now),
                picks: vec![TierSnapshot::default(); pool.tier_count()],
                backends: vec![BackendMachine::new(now); pool.backends.len()],
                watched: vec![false; pool.backends.len()],
            })
            .collect();
        Self { topology, pools, outputs: VecDeque::new() }
    }

    /// Takes in one fact, learned at `now`.
    pub fn handle(&mut self, input: Input, now: Timestamp) {
        match input {
            Input::Checked { backend, failure: None, took } => {
                let check = LastCheck { at: now, failure: None, took };
                self.change(backend, now, |machine, pool| {
                    machine.check_passed(check, &pool.health_check);
                    None
                });
            }
            Input::Checked { backend, failure: Some(symptom), took } => {
                let check = LastCheck { at: now, failure: Some(symptom), took };
                let evidence = Evidence { at: now, source: Source::HealthCheck, symptom };
                self.change(backend, now, |machine, pool| {
                    Some((evidence, machine.check_failed(symptom, check, &pool.health_check)))
                });
            }
            Input::AttemptFailed { backend, symptom, run, at } => {
                let spare = self.may_eject(backend);
                let evidence = Evidence { at, source: Source::Traffic, symptom };
                self.change(backend, now, |machine, pool| {
                    let policy = &pool.outlier_detection;
                    Some((evidence, machine.attempt_failed(symptom, run, || spare, policy, now)))
                });
            }
            Input::AttemptSucceeded { backend } => self.served(backend),
            Input::FaultRequested { backend, mode } => {
                self.emit(Event::FaultRequested { backend, mode });
            }
        }
    }

    /// Returns when [`Fleet::handle_deadline`] must be called next.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.pools
            .iter()
            .zip(&self.topology.pools)
            .flat_map(|(machine, pool)| {
                let failback = machine.tiers.failback(&pool.tiers).map(|failback| failback.at);
                let readmissions =
                    machine.backends.iter().filter_map(BackendMachine::ejected_until);
                failback.into_iter().chain(readmissions)
            })
            .min()
    }

    /// Acts on every deadline up to `now`. Calling it early or twice is harmless.
    pub fn handle_deadline(&mut self, now: Timestamp) {
        let ids: Vec<BackendId> = self.topology.backend_ids().collect();
        for id in ids {
            let due = self.machine(id).ejected_until().is_some_and(|until| until <= now);
            if due {
                self.change(id, now, |machine, _| {
                    machine.readmit_if_due(now);
                    None
                });
            }
        }
        for index in 0..self.pools.len() {
            self.judge_tiers(PoolId(index), None, now);
        }
    }

    /// Returns the next decision; `None` when all have been fetched.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns the view that requests and operators read.
    pub fn snapshot(&self) -> Snapshot {
        let pools = self
            .pools
            .iter()
            .zip(&self.topology.pools)
            .map(|(machine, pool)| PoolSnapshot {
                active_tier: machine.tiers.active(),
                since: machine.tiers.since(),
                failback: machine.tiers.failback(&pool.tiers),
                tiers: machine.picks.clone(),
                backends: machine.backends.iter().map(BackendMachine::snapshot).collect(),
            })
            .collect();
        Snapshot { pools }
    }

    fn machine(&self, id: BackendId) -> &BackendMachine {
        &self.pools[id.pool.0].backends[id.index]
    }

    fn emit(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Lets `act` change one backend, then says what followed from it.
    fn change(
        &mut self,
        id: BackendId,
        now: Timestamp,
        act: impl FnOnce(&mut BackendMachine, &Pool) -> Option<(Evidence, Reaction)>,
    ) {
        let pool = self.topology.pool(id.pool);
        let machine = &mut self.pools[id.pool.0].backends[id.index];
        let (before, pace) = (machine.condition(), machine.pace());
        let trouble = act(machine, pool);
        let (after, new_pace) = (machine.condition(), machine.pace());
        if pace != new_pace {
            self.outputs.push_back(Output::Pace(id, new_pace));
        }
        let mut loss = None;
        if let Some((evidence, reaction)) = trouble {
            loss = self.tell_trouble(id, evidence, reaction, before);
        }
        if before.is_eligible() != after.is_eligible() {
            self.renew_picks(id);
        }
        if let Some(reason) = loss {
            self.lost(id, reason, now);
            return;
        }
        if !before.is_eligible() && after.is_eligible() && before != Condition::Unknown {
            self.emit(Event::BackendRegained { backend: id });
        }
        if before == Condition::Suspected && after == Condition::Healthy {
            self.emit(Event::BackendCleared { backend: id });
        }
        self.judge_tiers(id.pool, None, now);
    }

    /// Says that a sign of trouble was seen. Returns why the backend is lost, if it is.
    fn tell_trouble(
        &mut self,
        id: BackendId,
        evidence: Evidence,
        reaction: Reaction,
        before: Condition,
    ) -> Option<LossReason> {
        let is_first = before == Condition::Healthy;
        self.emit(if is_first {
            Event::BackendSuspected { backend: id, evidence }
        } else {
            Event::EvidenceGathered { backend: id, evidence }
        });
        match reaction {
            Reaction::Lost(reason) => Some(reason),
            Reaction::Suspected | Reaction::Gathered => None,
        }
    }

    /// Decides who takes over from a backend that has just been lost, and says so.
    fn lost(&mut self, id: BackendId, reason: LossReason, now: Timestamp) {
        let topology = self.topology.clone();
        let pool = topology.pool(id.pool);
        let fitness = self.fitness(id.pool);
        let machine = &mut self.pools[id.pool.0];
        let served = machine.tiers.active();
        let change = machine.tiers.judge(&fitness, Some(reason), &pool.tiers, now);
        let heir = machine.tiers.active().and_then(|tier| {
            machine.picks[tier].eligible.first().map(|&index| Heir { tier, index })
        });
        self.emit(Event::BackendLost { backend: id, reason, served, heir });
        if let Some(change) = change {
            self.emit(Event::TierChanged {
                pool: id.pool,
                from: change.from,
                to: change.to,
                reason: change.reason,
            });
        }
        self.watch_active(id.pool);
    }

    fn judge_tiers(&mut self, pool: PoolId, loss: Option<LossReason>, now: Timestamp) {
        let fitness = self.fitness(pool);
        let topology = self.topology.clone();
        let machine = &mut self.pools[pool.0];
        let Some(change) = machine.tiers.judge(&fitness, loss, &topology.pool(pool).tiers, now)
        else {
            return;
        };
        self.emit(Event::TierChanged {
            pool,
            from: change.from,
            to: change.to,
            reason: change.reason,
        });
        self.watch_active(pool);
    }

    /// Asks to hear of the first success of every backend that now gets traffic.
    fn watch_active(&mut self, pool: PoolId) {
        let machine = &mut self.pools[pool.0];
        let Some(tier) = machine.tiers.active() else { return };
        for &index in &machine.picks[tier].eligible {
            if !machine.watched[index] {
                machine.watched[index] = true;
                self.outputs.push_back(Output::Watch(BackendId { pool, index }, true));
            }
        }
    }

    fn served(&mut self, id: BackendId) {
        // One success answers the question; the other backends need no watching any more.
        let machine = &mut self.pools[id.pool.0];
        if !std::mem::take(&mut machine.watched[id.index]) {
            return;
        }
        for (index, watched) in machine.watched.iter_mut().enumerate() {
            if std::mem::take(watched) || index == id.index {
                let backend = BackendId { pool: id.pool, index };
                self.outputs.push_back(Output::Watch(backend, false));
            }
        }
        self.emit(Event::BackendServed { backend: id });
    }

    /// Tells whether the pool can do without this backend: enough others are left in, and one of
    /// them may be picked.
    fn may_eject(&self, id: BackendId) -> bool {
        let machine = &self.pools[id.pool.0];
        let pool = self.topology.pool(id.pool);
        let ejected = machine.backends.iter().filter(|it| it.is_ejected()).count();
        let others = machine
            .backends
            .iter()
            .enumerate()
            .any(|(index, it)| index != id.index && it.is_eligible());
        others && ejected < ejectable(pool.backends.len(), &pool.outlier_detection)
    }

    fn fitness(&self, pool: PoolId) -> Vec<Fitness> {
        let machine = &self.pools[pool.0];
        let mut fitness = vec![Fitness { size: 0, eligible: 0, unknown: 0 }; machine.picks.len()];
        for (it, backend) in machine.backends.iter().zip(&self.topology.pool(pool).backends) {
            let tier = &mut fitness[backend.tier];
            tier.size += 1;
            tier.eligible += usize::from(it.is_eligible());
            tier.unknown += usize::from(it.condition() == Condition::Unknown);
        }
        fitness
    }

    /// Works out again who is picked, and in which order, in the tier of `id`.
    fn renew_picks(&mut self, id: BackendId) {
        let pool = self.topology.pool(id.pool);
        let machine = &mut self.pools[id.pool.0];
        let tier = pool.backends[id.index].tier;
        let shares: Vec<(usize, u32)> = pool
            .backends
            .iter()
            .enumerate()
            .filter(|(index, it)| it.tier == tier && machine.backends[*index].is_eligible())
            .map(|(index, it)| (index, it.weight.get()))
            .collect();
        machine.picks[tier] = TierSnapshot {
            eligible: shares.iter().map(|&(index, _)| index).collect(),
            schedule: Schedule::new(&shares),
        };
    }
}

#[cfg(test)]
mod tests;
