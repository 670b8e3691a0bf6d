//! One backend: what checks and traffic say of it, put together.

use crate::{
    clock::Timestamp,
    event::{LossReason, Symptom},
    fleet::{
        health::{CheckResult, Health, HealthTracker},
        outlier::Ejections,
    },
    model::{HealthCheck, OutlierPolicy},
    snapshot::{BackendSnapshot, Condition, LastCheck},
};

/// Passes of health checks in a row, with no other sign of trouble between, that clear a suspected
/// backend. Two, so that a single lucky pass of a failing backend does not.
const PASSES_TO_CLEAR: u32 = 2;

/// Follows one backend.
#[derive(Clone, Debug)]
pub(crate) struct BackendMachine {
    health: HealthTracker,
    ejections: Ejections,
    is_suspected: bool,
    trouble: Option<Symptom>,
    since: Timestamp,
    epoch: u64,
    last_check: Option<LastCheck>,
}

/// How often a backend is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At the configured interval.
    Normal,
    /// At the fast interval, beginning at once.
    Fast,
}

/// What a sign of trouble led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// It is the first sign.
    Suspected,
    /// One more, of a backend already suspected or lost.
    Gathered,
    /// It was one too many: the backend is lost.
    Lost(LossReason),
}

impl BackendMachine {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            health: HealthTracker::new(),
            ejections: Ejections::default(),
            is_suspected: false,
            trouble: None,
            since: now,
            epoch: 0,
            last_check: None,
        }
    }

    pub(crate) fn condition(&self) -> Condition {
        match (self.ejections.until(), self.health.verdict()) {
            (Some(until), _) => Condition::Ejected { until },
            (None, Health::Unknown) => Condition::Unknown,
            (None, Health::Unhealthy) => Condition::Unhealthy,
            (None, Health::Healthy) if self.is_suspected => Condition::Suspected,
            (None, Health::Healthy) => Condition::Healthy,
        }
    }

    pub(crate) fn is_eligible(&self) -> bool {
        self.condition().is_eligible()
    }

    pub(crate) fn is_ejected(&self) -> bool {
        self.ejections.until().is_some()
    }

    pub(crate) fn ejected_until(&self) -> Option<Timestamp> {
        self.ejections.until()
    }

    pub(crate) fn snapshot(&self) -> BackendSnapshot {
        BackendSnapshot {
            condition: self.condition(),
            trouble: self.trouble,
            since: self.since,
            epoch: self.epoch,
            last_check: self.last_check.clone(),
        }
    }

    /// Returns how often the backend should be checked: fast while its verdict is in doubt.
    pub(crate) fn pace(&self) -> Pace {
        match self.condition() {
            Condition::Suspected => Pace::Fast,
            Condition::Unknown
            | Condition::Healthy
            | Condition::Unhealthy
            | Condition::Ejected { .. } => Pace::Normal,
        }
    }

    /// Takes in a passed check. Tells whether it ended the backend's trouble: regained, or
    /// cleared of suspicion.
    pub(crate) fn check_passed(&mut self, check: LastCheck, policy: &HealthCheck) {
        let now = check.at;
        self.last_check = Some(check);
        let before = self.condition();
        let flip = self.health.record(CheckResult::Pass, policy);
        if flip == Some(Health::Healthy) {
            // Checks saw the failure that traffic saw, and have now seen its end.
            self.ejections.readmit(now);
            self.is_suspected = false;
        } else if PASSES_TO_CLEAR <= self.health.passes() {
            self.is_suspected = false;
        }
        self.settle(before, now);
    }

    /// Takes in a failed check.
    pub(crate) fn check_failed(
        &mut self,
        symptom: Symptom,
        check: LastCheck,
        policy: &HealthCheck,
    ) -> Reaction {
        let now = check.at;
        self.last_check = Some(check);
        let before = self.condition();
        self.health.record(CheckResult::Fail, policy);
        let reaction = self.trouble(symptom);
        self.settle(before, now);
        if before.is_eligible() && !self.is_eligible() {
            return Reaction::Lost(LossReason::HealthCheck);
        }
        reaction
    }

    /// Takes in a failed attempt: the `run`th in a row. `may_eject` is whether the pool can do
    /// without this backend.
    pub(crate) fn attempt_failed(
        &mut self,
        symptom: Symptom,
        run: u32,
        may_eject: impl FnOnce() -> bool,
        policy: &OutlierPolicy,
        now: Timestamp,
    ) -> Reaction {
        let before = self.condition();
        self.health.interrupt();
        let reaction = self.trouble(symptom);
        if before.is_eligible() && Ejections::is_due(run, policy) && may_eject() {
            self.ejections.eject(policy, now);
            self.settle(before, now);
            return Reaction::Lost(LossReason::Outlier);
        }
        self.settle(before, now);
        reaction
    }

    /// Ends the ejection if its time is over. The backend is then eligible if checks agree.
    pub(crate) fn readmit_if_due(&mut self, now: Timestamp) {
        if self.ejections.until().is_some_and(|until| until <= now) {
            let before = self.condition();
            self.ejections.readmit(now);
            self.is_suspected = false;
            self.settle(before, now);
        }
    }

    fn trouble(&mut self, symptom: Symptom) -> Reaction {
        self.trouble = Some(symptom);
        if self.is_suspected || !self.is_eligible() {
            return Reaction::Gathered;
        }
        self.is_suspected = true;
        Reaction::Suspected
    }

    /// Keeps what follows from a change of condition.
    fn settle(&mut self, before: Condition, now: Timestamp) {
        let after = self.condition();
        if before.is_eligible() && !after.is_eligible() {
            self.epoch += 1;
            self.is_suspected = false;
        }
        if after == Condition::Healthy {
            self.trouble = None;
        }
        if std::mem::discriminant(&before) != std::mem::discriminant(&after) {
            self.since = now;
        }
    }
}
