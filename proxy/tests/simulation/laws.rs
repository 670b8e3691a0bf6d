//! What must hold after every step, judged from what the core says and from what the world saw:
//! never from the core's own books alone.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bascule::{
    clock::Timestamp,
    event::{Event, Fate, Idempotence, LossReason, Rescue},
    incident::{Incident, IncidentState},
    model::{Intent, Pool},
    retry::Cost,
    snapshot::{Condition, PoolSnapshot},
};

use crate::tiers::{Ruling, TierLaws};

/// Watches one world. The first law that is broken stays.
#[derive(Debug)]
pub(crate) struct Laws {
    broken: Option<String>,
    views: Vec<View>,
    /// Trials that were taken since the backend was first suspected, or regained, and wait.
    trials: Vec<BTreeMap<u64, Timestamp>>,
    /// Of whom checks and traffic say the opposite.
    disputed: Vec<bool>,
    /// Whom operators want to serve, and who has not been regained since they want it again.
    wanted: Vec<bool>,
    returning: Vec<bool>,
    tiers: TierLaws,
    /// Seconds in which requests arrived, and in which retries were paid for.
    arrivals: VecDeque<u64>,
    paid: VecDeque<u64>,
}

/// A request that is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finished {
    pub(crate) at: Timestamp,
    pub(crate) fate: Fate,
    pub(crate) attempts: u32,
}

/// A backend's condition, as its events tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    Unknown,
    Healthy,
    Suspected,
    Lost,
    /// It may be picked again; whether on probation remains to be seen.
    Regained,
    Probation,
}

impl View {
    const ALL: [Self; 6] = [
        Self::Unknown,
        Self::Healthy,
        Self::Suspected,
        Self::Lost,
        Self::Regained,
        Self::Probation,
    ];
}

impl Laws {
    pub(crate) fn new(pool: &Pool) -> Self {
        Self {
            broken: None,
            views: vec![View::Unknown; pool.backends.len()],
            trials: vec![BTreeMap::new(); pool.backends.len()],
            disputed: vec![false; pool.backends.len()],
            wanted: vec![true; pool.backends.len()],
            returning: vec![false; pool.backends.len()],
            tiers: TierLaws::new(pool),
            arrivals: VecDeque::new(),
            paid: VecDeque::new(),
        }
    }

    pub(crate) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    pub(crate) fn hold(&mut self, holds: bool, law: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            self.broken = Some(law());
        }
    }

    fn rule(&mut self, ruling: Ruling) {
        if let Err(law) = ruling {
            self.hold(false, || law);
        }
    }

    /// Nobody is picked who may not be, and nobody suspected while somebody else is not and was not
    /// `tried`, but for trials; first attempts go to tiers that have a part of the traffic.
    pub(crate) fn picked(
        &mut self,
        index: usize,
        is_trial: bool,
        tried: &[usize],
        pool: &Pool,
        snapshot: &PoolSnapshot,
    ) {
        let is_wanted = self.wanted[index];
        self.hold(is_wanted, || format!("backend {index} was picked, which is drained"));
        if snapshot.is_failing_open {
            // Anybody will do; whether it may be so is looked at elsewhere.
            return;
        }
        let view = self.views[index];
        let is_tried = tried.contains(&index);
        let is_other = |it: usize| !tried.contains(&it) && self.wanted[it];
        let mut others = self.views.iter().enumerate().filter(|(it, _)| is_other(*it));
        let may_be_picked = match view {
            View::Healthy | View::Regained => true,
            View::Suspected | View::Probation => {
                is_trial && !is_tried || !others.any(|(_, &other)| other == View::Healthy)
            }
            View::Unknown | View::Lost => false,
        };
        self.hold(may_be_picked, || format!("backend {index} was picked, which is {view:?}"));
        let tier = pool.backends[index].tier;
        let is_lead_trusted = snapshot
            .active_tier
            .is_some_and(|active| !snapshot.tiers[active].trusted().eligible.is_empty());
        let is_free = is_trial || !tried.is_empty() || !is_lead_trusted;
        self.hold(is_free || 0.0 < snapshot.part(tier), || {
            format!("backend {index} was picked, whose tier {tier} has no part of the traffic")
        });
    }

    /// A request has taken the trial of a backend.
    pub(crate) fn tried(&mut self, index: usize, attempt: u64, now: Timestamp) {
        self.trials[index].insert(attempt, now);
    }

    /// An attempt is over, or its backend has answered: nobody waits on that trial.
    pub(crate) fn ended(&mut self, index: usize, attempt: u64) {
        self.trials[index].remove(&attempt);
    }

    /// A backend has answered somebody: those that waited before do not speak alone.
    pub(crate) fn spoke(&mut self, index: usize) {
        self.trials[index].clear();
    }

    /// An operator asks for traffic to return, or has asked.
    pub(crate) fn asks(&mut self, is_asking: bool) {
        self.tiers.asks(is_asking);
    }

    /// Nothing is wrong, and nobody may say so.
    pub(crate) fn quiet(&mut self, event: &Event) {
        let is_alarm = matches!(event, Event::BackendSuspected { .. } | Event::BackendLost { .. });
        self.hold(!is_alarm, || format!("a false alarm: {event:?}"));
    }

    /// What may not be repeated is executed once at most.
    pub(crate) fn executed(&mut self, request: u64, idempotence: Idempotence, times: u32) {
        let holds = times <= 1 || idempotence == Idempotence::Idempotent;
        self.hold(holds, || format!("POST {request} was executed {times} times"));
    }

    pub(crate) fn arrived(&mut self, now: Timestamp) {
        self.arrivals.push_back(second_of(now));
    }

    /// Retries and hedges of ten seconds stay within their share of the requests. Free ones are
    /// not counted here; `max_attempts` bounds them.
    pub(crate) fn repeated(&mut self, cost: Cost, pool: &Pool, now: Timestamp) {
        if cost == Cost::Free {
            return;
        }
        let second = second_of(now);
        self.paid.push_back(second);
        for times in [&mut self.arrivals, &mut self.paid] {
            while times.front().is_some_and(|&oldest| oldest + 10 <= second) {
                times.pop_front();
            }
        }
        let policy = &pool.retries;
        let floor = f64::from(policy.budget_min_per_second) * 10.0;
        // The core may round otherwise.
        let budget = policy.budget_ratio.mul_add(self.arrivals.len() as f64, floor) + 1e-9;
        let paid = self.paid.len();
        self.hold(paid as f64 <= budget, || format!("{paid} retries of a budget of {budget}"));
    }

    pub(crate) fn attempted(&mut self, attempts: u32, pool: &Pool) {
        let most = pool.retries.max_attempts.get();
        self.hold(attempts <= most, || format!("{attempts} attempts of at most {most}"));
    }

    /// Events of a backend alternate, and those of a pool.
    pub(crate) fn heard(
        &mut self,
        event: &Event,
        pool: &Pool,
        snapshot: &PoolSnapshot,
        now: Timestamp,
    ) {
        let ruling = self.tiers.heard(event, pool, snapshot, now);
        self.rule(ruling);
        self.heard_of_trials(event, now);
        let anything = &View::ALL[..];
        let (backend, from, to): (_, &[View], _) = match event {
            Event::BackendDrained { backend, .. } => {
                self.wanted[backend.index] = false;
                return;
            }
            Event::BackendEnabled { backend } => {
                let was = std::mem::replace(&mut self.wanted[backend.index], true);
                self.returning[backend.index] = true;
                return self.hold(!was, || format!("{event:?}, which it was"));
            }
            Event::BackendSuspected { backend, .. } => {
                (backend, &[View::Healthy, View::Probation], View::Suspected)
            }
            Event::BackendCleared { backend } => {
                (backend, &[View::Suspected, View::Probation], View::Healthy)
            }
            Event::BackendLost { backend, reason: LossReason::Manual, .. } => {
                (backend, anything, View::Lost)
            }
            Event::BackendLost { backend, .. } => (backend, &[View::Suspected], View::Lost),
            Event::BackendRegained { backend } => {
                let is_wanted = self.wanted[backend.index];
                self.hold(is_wanted, || format!("{event:?}, which is drained"));
                let was_away = std::mem::take(&mut self.returning[backend.index]);
                (backend, if was_away { anything } else { &[View::Lost] }, View::Regained)
            }
            Event::EvidenceDisagreed { backend, .. } => {
                let was = std::mem::replace(&mut self.disputed[backend.index], true);
                return self.hold(!was, || format!("{event:?} again"));
            }
            Event::EvidenceAgreed { backend } => {
                let was = std::mem::replace(&mut self.disputed[backend.index], false);
                return self.hold(was, || format!("{event:?} without a dispute"));
            }
            // News of attempts that began before all was well may come at any time.
            Event::EvidenceGathered { .. }
            | Event::BackendServed { .. }
            | Event::BackendEjected { .. }
            | Event::WeightChanged { .. }
            | Event::FailoverRequested { .. }
            | Event::FailoverEnded { .. }
            | Event::TierChanged { .. }
            | Event::FailbackBegan { .. }
            | Event::FailbackAborted { .. }
            | Event::FaultRequested { .. }
            | Event::FaultWithdrawn { .. } => return,
        };
        let view = self.views[backend.index];
        // What is told of one that is drained is not followed.
        let is_away = !self.wanted[backend.index] || self.returning[backend.index];
        self.hold(is_away || from.contains(&view), || {
            format!("{event:?} while the backend was {view:?}")
        });
        self.views[backend.index] = to;
    }

    /// Silence acquits nobody on whom a trial waits.
    fn heard_of_trials(&mut self, event: &Event, now: Timestamp) {
        if let Event::BackendCleared { backend } = *event {
            let mut waiting = std::mem::take(&mut self.trials[backend.index]);
            // One that has just been taken says nothing against what was answered before.
            waiting.retain(|_, taken| Duration::from_secs(1) < now.since(*taken));
            self.hold(waiting.is_empty(), || {
                format!("{event:?}, and the trials {waiting:?} are not answered")
            });
        }
        if let Event::BackendSuspected { backend, .. } | Event::BackendRegained { backend } = *event
        {
            self.trials[backend.index].clear();
        }
    }

    /// What is published agrees with what was said, and with the policies.
    pub(crate) fn look(&mut self, pool: &Pool, snapshot: &PoolSnapshot, now: Timestamp) {
        let mut ejected = 0;
        for (index, backend) in snapshot.backends.iter().enumerate() {
            let seen = match backend.condition {
                Condition::Unknown => View::Unknown,
                Condition::Healthy => View::Healthy,
                Condition::Suspected => View::Suspected,
                Condition::Unhealthy => View::Lost,
                Condition::Ejected { .. } => {
                    ejected += usize::from(!backend.is_ejected_by_hand);
                    View::Lost
                }
            };
            let agrees = (backend.intent == Intent::Enabled) == self.wanted[index];
            self.hold(agrees, || format!("backend {index} is {:?}", backend.intent));
            let is_back = self.returning[index] && backend.is_eligible();
            self.hold(!is_back, || format!("backend {index} is back without a word"));
            let view = match self.views[index] {
                _ if !self.wanted[index] || self.returning[index] => seen,
                // The first check's verdict is no event.
                View::Unknown => seen,
                View::Regained if seen == View::Suspected => View::Probation,
                View::Regained => View::Healthy,
                view @ (View::Healthy | View::Suspected | View::Lost | View::Probation) => view,
            };
            self.views[index] = view;
            let agrees = view == seen || view == View::Probation && seen == View::Suspected;
            self.hold(agrees, || format!("backend {index} is {seen:?}, but told {view:?}"));
        }
        let most = ejectable(pool);
        self.hold(ejected <= most, || format!("{ejected} ejected of at most {most}"));
        let is_any_unknown = self.views.contains(&View::Unknown);
        let ruling = self.tiers.look(pool, snapshot, is_any_unknown, now);
        self.rule(ruling);
    }

    /// Everybody is well again.
    pub(crate) fn calm(&mut self, after: Duration, snapshot: &PoolSnapshot) {
        let views = self.views.clone();
        self.hold(views.iter().all(|&view| view == View::Healthy), || {
            format!("{after:?} after the last fault, the backends are {views:?}")
        });
        let ruling = self.tiers.calm(snapshot);
        self.rule(ruling.map_err(|law| format!("{after:?} after the last fault, {law}")));
    }

    /// Every story has ended, and its counts are those of the world.
    pub(crate) fn told(&mut self, incident: &Incident, finished: &[Finished]) {
        let number = incident.number;
        let state = incident.state;
        self.hold(state == IncidentState::Closed, || {
            format!("incident {number} is {state:?} at the end: {incident:?}")
        });
        let Some(to) = incident.window_to else {
            self.hold(false, || format!("incident {number} has a window without an end"));
            return;
        };
        let within = |it: &&Finished| incident.window_from <= it.at && it.at < to;
        let inside: Vec<&Finished> = finished.iter().filter(within).collect();
        let count = |fate: Fate| inside.iter().filter(|it| it.fate == fate).count() as u64;
        let extra: u32 = inside.iter().map(|it| it.attempts.saturating_sub(1)).sum();
        let expected = bascule::incident::Requests {
            total: inside.len() as u64,
            rescued_by_retry: count(Fate::Rescued(Rescue::Retry)),
            rescued_by_hedge: count(Fate::Rescued(Rescue::Hedge)),
            lost: count(Fate::Lost),
            extra_attempts: u64::from(extra),
        };
        let requests = incident.requests;
        self.hold(requests == expected, || {
            format!("incident {number} counts {requests:?}, clients {expected:?}")
        });
        let moments = incident.moments;
        self.hold(moments.suspected <= moments.decided, || {
            format!("incident {number} was decided before it was suspected: {moments:?}")
        });
    }
}

/// The configured share of the backends, but always one.
fn ejectable(pool: &Pool) -> usize {
    let share = pool.backends.len() as f64 * pool.outlier_detection.max_ejected;
    (share as usize).max(1)
}

fn second_of(now: Timestamp) -> u64 {
    now.as_millis() / 1_000
}
