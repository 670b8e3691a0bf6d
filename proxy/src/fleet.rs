//! The fleet: the condition of every backend, and the machine that decides who serves.
//!
//! Facts go in by [`Fleet::handle`], the passing of time by [`Fleet::handle_deadline`]; decisions
//! come out of [`Fleet::poll_output`] until it returns `None`. The machine never waits, never
//! fails and never asks for the time, so that the same code runs in production, in property tests
//! and in a simulation.

mod adoption;
mod backend;
mod climb;
mod company;
mod health;
mod latency;
mod order;
mod outlier;
mod pool;
mod record;
mod slow_start;
mod suspicion;
mod tiers;
mod traffic;

use std::{collections::VecDeque, sync::Arc, time::Duration};

pub use backend::Pace;
pub use order::{Command, Expectation, Order, Ordered, Refusal, Subject, Target};
pub(crate) use outlier::ejectable;
pub use record::{
    BackendRecord, EjectionRecord, FleetRecord, NamedRecord, PoolRecord, TiersRecord, Verdict,
};

use crate::{
    clock::Timestamp,
    event::{Event, Evidence, FaultMode, Source, Symptom},
    fleet::{
        backend::{BackendMachine, Face, FailedAttempt, Reaction, Standing},
        latency::Latency,
        slow_start::SlowStart,
        tiers::Tiers,
    },
    model::{BackendId, Pool, PoolId, SharedTopology, Succession},
    snapshot::{Condition, LastCheck, Maglev, Measure, Recent, Snapshot, TierSnapshot},
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
        /// Attempts at this backend in the current second and the one before.
        recent: Recent,
    },
    /// An attempt of a client's request failed.
    AttemptFailed {
        /// Where.
        backend: BackendId,
        /// How.
        symptom: Symptom,
        /// For how long its backend had given it no sign of life by then; zero when unknown.
        waited: Duration,
        /// Failures in a row at this backend, this one included.
        run: u32,
        /// All attempts at this backend in the last ten seconds, this one included.
        recent: Recent,
        /// When: before the request was counted as lost or rescued, so that an incident that
        /// begins with it includes it.
        at: Timestamp,
    },
    /// An attempt succeeded at a backend that is being watched.
    AttemptSucceeded {
        /// Where.
        backend: BackendId,
        /// From sending the request to the beginning of the response.
        took: Duration,
    },
    /// A request has taken the trial of a suspected backend ([`Output::Trial`]).
    TrialTaken {
        /// Whose.
        backend: BackendId,
        /// When.
        at: Timestamp,
    },
    /// An attempt has waited longer than its backend has ever let anybody wait, and the backend
    /// answers nobody else either. It may still be answered.
    Overstayed {
        /// Where.
        backend: BackendId,
        /// [`Symptom::Overstayed`], or the injected fault that holds it up.
        symptom: Symptom,
        /// For how long.
        waited: Duration,
        /// When it was noticed.
        at: Timestamp,
    },
    /// How long answers take. To be told a few times a second, of backends that answered somebody
    /// in the last ten.
    Measured {
        /// Whose.
        backend: BackendId,
        /// What was measured.
        measure: Measure,
    },
    /// An operator asked for this backend to fail.
    FaultRequested {
        /// Which one.
        backend: BackendId,
        /// How.
        mode: FaultMode,
    },
    /// The fault that was asked for did not come about.
    FaultWithdrawn {
        /// Of which backend.
        backend: BackendId,
    },
    /// An operator asked for traffic to return to a preferred tier. Harmless when none can serve.
    FailbackRequested {
        /// In which pool.
        pool: PoolId,
    },
}

impl Input {
    /// Returns the same fact of the same pool or backend, as another topology names them; `None` if it
    /// is not there.
    #[must_use]
    pub fn renamed(mut self, names: &Succession) -> Option<Self> {
        match &mut self {
            Self::Checked { backend, .. }
            | Self::AttemptFailed { backend, .. }
            | Self::AttemptSucceeded { backend, .. }
            | Self::TrialTaken { backend, .. }
            | Self::Overstayed { backend, .. }
            | Self::Measured { backend, .. }
            | Self::FaultRequested { backend, .. }
            | Self::FaultWithdrawn { backend } => *backend = names.backend(*backend)?,
            Self::FailbackRequested { pool } => *pool = names.pool(*pool)?,
        }
        Some(self)
    }
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
    /// Let one request try this backend although it is suspected.
    Trial(BackendId),
    /// No longer let a request try this backend, if none has.
    TrialOver(BackendId),
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
    /// What requests pick from, kept until somebody becomes eligible or trusted, or no longer is, or
    /// weighs more than before.
    picks: Vec<TierSnapshot>,
    /// Tiers whose picks must be worked out again before anybody reads them.
    stale: Vec<bool>,
    /// Index and weight of those who take turns, by tier, as last worked out.
    turns: Vec<Vec<(usize, u32)>>,
    /// The same of all backends, for the time when none is eligible.
    picks_of_all: Vec<TierSnapshot>,
    /// Whom keys belong to, by tier.
    tables: Arc<[Maglev]>,
    /// What each backend weighs at present.
    weights: Arc<[u32]>,
    slow_start: SlowStart,
    backends: Vec<BackendMachine>,
    /// Backends whose first success is awaited.
    heirs: Vec<bool>,
    /// Backends whose successes are reported.
    watched: Vec<bool>,
}

impl Fleet {
    /// Makes the fleet of `topology`, of which nothing is known yet.
    pub fn new(topology: SharedTopology, now: Timestamp) -> Self {
        let pools = topology.pools.iter().map(|pool| PoolMachine::new(pool, now)).collect();
        Self { topology, pools, outputs: VecDeque::new() }
    }

    /// Takes in one fact, learned at `now`.
    pub fn handle(&mut self, input: Input, now: Timestamp) {
        self.take_in(input, now);
        self.renew_picks();
    }

    fn take_in(&mut self, input: Input, now: Timestamp) {
        match input {
            Input::Checked { backend, failure, took, recent } => {
                self.checked(backend, LastCheck { at: now, failure, took }, recent);
            }
            Input::AttemptFailed { backend, symptom, waited, run, recent, at } => {
                let spare = self.may_eject(backend);
                let failed = FailedAttempt { symptom, began: at.minus(waited), run, recent };
                let began = at.minus(waited);
                let evidence = Evidence { at, began, source: Source::Traffic, symptom };
                let reaction = self.change(backend, now, |machine, pool| {
                    let policy = &pool.outlier_detection;
                    Some((Some(evidence), machine.attempt_failed(&failed, || spare, policy, now)))
                });
                self.disturbed(backend, reaction, now);
            }
            Input::AttemptSucceeded { backend, took } => {
                self.served(backend);
                self.change(backend, now, |machine, pool| {
                    machine.attempt_succeeded(took, pool, now);
                    None
                });
            }
            Input::TrialTaken { backend, at } => {
                self.change(backend, now, |machine, _| {
                    machine.trial_taken(at);
                    None
                });
            }
            Input::Overstayed { backend, symptom, waited, at } => {
                let spare = self.may_eject(backend);
                let began = at.minus(waited);
                let evidence = Evidence { at, began, source: Source::Traffic, symptom };
                let reaction = self.change(backend, now, |machine, pool| {
                    let policy = &pool.outlier_detection;
                    Some((
                        Some(evidence),
                        machine.overstayed(symptom, began, || spare, policy, now),
                    ))
                });
                self.disturbed(backend, reaction, now);
            }
            Input::Measured { backend, measure } => self.measured(backend, measure, now),
            Input::FaultRequested { backend, mode } => {
                self.emit(Event::FaultRequested { backend, mode });
            }
            Input::FaultWithdrawn { backend } => self.emit(Event::FaultWithdrawn { backend }),
            Input::FailbackRequested { pool } => self.fail_back(pool, now),
        }
    }

    fn measured(&mut self, id: BackendId, measure: Measure, now: Timestamp) {
        // Of thousands that all answer soon, none need be compared with all the others.
        let is_comparable = Latency::is_comparable(&measure);
        let spare = is_comparable && self.may_eject(id);
        let others = if is_comparable { self.usual_beside(id, now) } else { None };
        let (source, symptom) = (Source::Traffic, Symptom::OutOfLine);
        let evidence = Evidence { at: now, began: now, source, symptom };
        self.change(id, now, |machine, pool| {
            let policy = &pool.outlier_detection;
            let reaction = machine.measured(measure, others, || spare, policy, now);
            reaction.map(|reaction| (Some(evidence), reaction))
        });
    }

    fn checked(&mut self, id: BackendId, check: LastCheck, recent: Recent) {
        let (now, began) = (check.at, check.at.minus(check.took));
        if !self.pools[id.pool.0].backends[id.index].hears(began) {
            // It was under way when an operator said that there shall be none.
            return;
        }
        let standing = Standing { recent, others: self.others(id) };
        self.change(id, now, |machine, pool| {
            let policy = &pool.health_check;
            let Some(symptom) = check.failure else {
                machine.check_passed(check, policy);
                return None;
            };
            let evidence = Evidence { at: now, began, source: Source::HealthCheck, symptom };
            Some((Some(evidence), machine.check_failed(symptom, check, standing, policy)))
        });
    }

    /// Returns when [`Fleet::handle_deadline`] must be called next.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.pools
            .iter()
            .zip(&self.topology.pools)
            .flat_map(|(machine, pool)| {
                let tiers = machine.tiers.next_deadline(&pool.tiers);
                let slow_start = machine.slow_start.next_deadline(pool.slow_start);
                let backends = machine.backends.iter().filter_map(BackendMachine::deadline);
                tiers.into_iter().chain(slow_start).chain(backends)
            })
            .min()
    }

    /// Acts on every deadline up to `now`. Calling it early or twice is harmless.
    pub fn handle_deadline(&mut self, now: Timestamp) {
        let ids: Vec<BackendId> = self.topology.backend_ids().collect();
        for id in ids {
            let deadline = self.pools[id.pool.0].backends[id.index].deadline();
            if deadline.is_some_and(|at| at <= now) {
                self.change(id, now, |machine, _| {
                    machine.handle_deadline(now);
                    None
                });
            }
        }
        for id in (0..self.pools.len()).map(PoolId) {
            let (pool, machine) = (self.topology.pool(id), &mut self.pools[id.0]);
            for index in machine.slow_start.advance(pool.slow_start, now) {
                machine.stale[pool.backends[index].tier] = true;
            }
            self.judge_tiers(id, now);
        }
        self.renew_picks();
    }

    fn renew_picks(&mut self) {
        for (machine, pool) in self.pools.iter_mut().zip(&self.topology.pools) {
            machine.renew_picks(pool);
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
            .map(|(machine, pool)| machine.snapshot(pool))
            .collect();
        Snapshot { pools }
    }

    fn emit(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Lets `act` change one backend, then says what followed from it. Returns the reaction to
    /// trouble, of which there is a sign unless it is an operator's word.
    fn change(
        &mut self,
        id: BackendId,
        now: Timestamp,
        act: impl FnOnce(&mut BackendMachine, &Pool) -> Option<(Option<Evidence>, Reaction)>,
    ) -> Option<Reaction> {
        let (before, trouble) = self.apply(id, now, act);
        self.recall(id, now);
        let after = Face::of(&self.pools[id.pool.0].backends[id.index]);
        let reaction = trouble.map(|(_, reaction)| reaction);
        if let Some(ejection) = reaction.and_then(|reaction| reaction.ejection) {
            self.emit(Event::BackendEjected { backend: id, ejection });
        }
        if let Some(reason) = reaction.and_then(|reaction| reaction.loss) {
            self.lost(id, reason, now);
        } else if before.intent != after.intent {
            self.intended(id, &before, &after, now);
        } else {
            self.turned(id, &before, &after, now);
        }
        // Before anybody can take a trial its success is listened for.
        self.tell_watched(id.pool);
        if before.has_trial != after.has_trial {
            let output = if after.has_trial { Output::Trial(id) } else { Output::TrialOver(id) };
            self.outputs.push_back(output);
        }
        reaction
    }

    /// Lets `act` change one backend, and says what concerns it alone. Returns what it was like before,
    /// and the sign of trouble.
    fn apply(
        &mut self,
        id: BackendId,
        now: Timestamp,
        act: impl FnOnce(&mut BackendMachine, &Pool) -> Option<(Option<Evidence>, Reaction)>,
    ) -> (Face, Option<(Option<Evidence>, Reaction)>) {
        let pool = self.topology.pool(id.pool);
        let machine = &mut self.pools[id.pool.0].backends[id.index];
        let before = Face::of(machine);
        let trouble = act(machine, pool);
        let after = Face::of(machine);
        if before.pace != after.pace {
            self.outputs.push_back(Output::Pace(id, after.pace));
        }
        if let Some((Some(evidence), reaction)) = trouble {
            self.emit(if reaction.is_first {
                Event::BackendSuspected { backend: id, evidence }
            } else {
                Event::EvidenceGathered { backend: id, evidence }
            });
        }
        if before.dispute.is_some() != after.dispute.is_some() {
            self.emit(match after.dispute {
                Some(well) => Event::EvidenceDisagreed { backend: id, well },
                None => Event::EvidenceAgreed { backend: id },
            });
        }
        self.pools[id.pool.0].adapt(self.topology.pool(id.pool), id.index, &before, now);
        (before, trouble)
    }

    /// Says what follows from a backend's turn for the better.
    fn turned(&mut self, id: BackendId, before: &Face, after: &Face, now: Timestamp) {
        if before.is_regained(after) {
            self.emit(Event::BackendRegained { backend: id });
        }
        if before.condition == Condition::Suspected && after.condition == Condition::Healthy {
            self.emit(Event::BackendCleared { backend: id });
        }
        if before.weight == after.weight {
            self.judge_tiers(id.pool, now);
        } else {
            self.weighed(id, now);
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_adoption;
#[cfg(test)]
mod tests_of_orders;
#[cfg(test)]
mod tests_of_policies;
#[cfg(test)]
mod world;
