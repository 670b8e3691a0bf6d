//! One backend: what checks and traffic say of it, put together.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    event::{Ejection, LossReason, Source, Symptom},
    fleet::{
        health::{CheckResult, Health, HealthTracker},
        latency::Latency,
        outlier::{self, Ejections, WINDOW},
        suspicion::{Ruling, Suspicion},
    },
    model::{HealthCheck, OutlierPolicy, Pool},
    snapshot::{BackendSnapshot, Condition, LastCheck, Measure, Recent},
};

/// Follows one backend.
#[derive(Clone, Debug)]
pub(crate) struct BackendMachine {
    health: HealthTracker,
    ejections: Ejections,
    suspicion: Suspicion,
    latency: Latency,
    /// Checks say no, but traffic says yes, and nobody else is known to be better: it stays in.
    is_upheld: bool,
    /// Whether the present trouble has been told of.
    is_on_record: bool,
    /// Who speaks for the backend while checks and traffic contradict each other.
    dispute: Option<Source>,
    /// When it was last regained. Attempts that began before belong to its loss.
    regained: Option<Timestamp>,
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
pub(crate) struct Reaction {
    /// Whether it is the first sign since all was well, or since the backend was regained.
    pub(crate) is_first: bool,
    /// Why the backend is lost, if it was one sign too many.
    pub(crate) loss: Option<LossReason>,
    /// What of traffic led to that.
    pub(crate) ejection: Option<Ejection>,
    /// Whether it says nothing of the backend as it is now: the attempt began before its latest turn.
    pub(crate) is_stale: bool,
}

/// What else is known when a check fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The backend's attempts of the last two seconds.
    pub(crate) recent: Recent,
    /// Who could take over.
    pub(crate) others: Others,
}

/// Who could take over from a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// An eligible backend whose latest check passed.
    Vouched,
    /// Nobody of whom checks speak any better.
    NoBetter,
}

/// A failed attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FailedAttempt {
    pub(crate) symptom: Symptom,
    pub(crate) began: Timestamp,
    /// Failures in a row.
    pub(crate) run: u32,
    /// The backend's attempts of the last ten seconds.
    pub(crate) recent: Recent,
}

impl BackendMachine {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            health: HealthTracker::new(),
            ejections: Ejections::default(),
            suspicion: Suspicion::default(),
            latency: Latency::default(),
            is_upheld: false,
            is_on_record: false,
            dispute: None,
            regained: None,
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
            (None, Health::Unhealthy) if self.is_upheld => Condition::Suspected,
            (None, Health::Unhealthy) => Condition::Unhealthy,
            (None, Health::Healthy) if self.suspicion.is_absent() => Condition::Healthy,
            (None, Health::Healthy) => Condition::Suspected,
        }
    }

    pub(crate) fn is_eligible(&self) -> bool {
        self.condition().is_eligible()
    }

    pub(crate) fn is_ejected(&self) -> bool {
        self.ejections.until().is_some()
    }

    /// Tells whether the latest check passed.
    pub(crate) fn is_passing(&self) -> bool {
        self.health.is_passing()
    }

    /// Tells whether successes must be heard of.
    pub(crate) fn wants_successes(&self) -> bool {
        self.suspicion.wants_successes()
    }

    /// Tells whether one request may try the backend although it is suspected.
    pub(crate) fn has_trial(&self) -> bool {
        self.suspicion.has_trial()
    }

    /// Returns who speaks for the backend while checks and traffic contradict each other.
    pub(crate) fn dispute(&self) -> Option<Source> {
        self.dispute
    }

    /// Returns how long its answers take at most, if that is known by now.
    pub(crate) fn takes_at_most(&self, now: Timestamp) -> Option<Duration> {
        self.latency.at_most(now)
    }

    /// Returns when [`BackendMachine::handle_deadline`] must be called next.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        // Only an eligible backend is suspected, so never both.
        self.ejections.until().or_else(|| self.suspicion.deadline())
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

    /// Takes in a passed check. It may end the backend's trouble.
    pub(crate) fn check_passed(&mut self, check: LastCheck, policy: &HealthCheck) {
        let now = check.at;
        self.last_check = Some(check);
        let before = self.condition();
        let flip = self.health.record(CheckResult::Pass, policy);
        if flip == Some(Health::Healthy) {
            self.is_upheld = false;
            if !before.is_eligible() {
                // Checks saw the failure that traffic saw, and have now seen its end.
                self.ejections.readmit(now);
                self.suspicion.forget();
            }
        }
        self.suspicion.check_passed(self.health.passes(), now);
        let is_disputed = self.is_ejected() && self.health.verdict() == Health::Healthy;
        self.dispute = is_disputed.then_some(Source::HealthCheck);
        self.settle(before, now);
    }

    /// Takes in a failed check.
    ///
    /// Checks that fail are not believed alone: when nobody else is known to be better, a backend
    /// of which traffic speaks well stays eligible, as a suspect.
    pub(crate) fn check_failed(
        &mut self,
        symptom: Symptom,
        check: LastCheck,
        standing: Standing,
        policy: &HealthCheck,
    ) -> Reaction {
        let now = check.at;
        self.last_check = Some(check);
        let before = self.condition();
        self.health.record(CheckResult::Fail, policy);
        let is_disputed =
            self.health.verdict() == Health::Unhealthy && outlier::is_well(standing.recent);
        self.is_upheld = is_disputed && before.is_eligible() && standing.others == Others::NoBetter;
        // Traffic that has just accused the backend, and then gone elsewhere, says nothing for it.
        let is_accused = self.suspicion.wants_successes() || !before.is_eligible();
        // A backend that checks took from traffic is asked nothing more: what traffic said stands.
        let is_parted = !before.is_eligible() && self.dispute == Some(Source::Traffic);
        let is_dispute = self.is_upheld || is_parted || is_disputed && !is_accused;
        self.dispute = is_dispute.then_some(Source::Traffic);
        if before.is_eligible() {
            self.suspicion.check_failed();
        }
        let is_first = self.note(symptom, before);
        self.settle(before, now);
        let is_lost = before.is_eligible() && !self.is_eligible();
        let loss = is_lost.then_some(LossReason::HealthCheck);
        Reaction { is_first, loss, ejection: None, is_stale: false }
    }

    /// Takes in a failed attempt. `may_eject` is whether the pool can do without this backend.
    pub(crate) fn attempt_failed(
        &mut self,
        failed: &FailedAttempt,
        may_eject: impl FnOnce() -> bool,
        policy: &OutlierPolicy,
        now: Timestamp,
    ) -> Reaction {
        let before = self.condition();
        let ruling = self.rule(failed.began, now);
        let is_condemned = match ruling {
            Ruling::Stale | Ruling::Noted => false,
            Ruling::Repeated => !outlier::is_rare(failed.recent),
            Ruling::Convicted => true,
        };
        let due = if self.is_of_loss(failed.began) {
            None
        } else if Ejections::is_due(failed.run, policy) {
            Some(Ejection::ConsecutiveFailures)
        } else if self.is_comparable(now) && Ejections::is_due_by_share(failed.recent, policy) {
            Some(Ejection::FailureRatio)
        } else {
            is_condemned.then_some(Ejection::Suspicion)
        };
        let ejection = due.filter(|_| before.is_eligible() && may_eject());
        self.decide(before, failed.symptom, ruling, ejection, policy, now)
    }

    /// Takes in that an attempt, begun at `began`, waits longer than the backend has ever let
    /// anybody wait, and that it answers nobody else either.
    pub(crate) fn overstayed(
        &mut self,
        symptom: Symptom,
        began: Timestamp,
        may_eject: impl FnOnce() -> bool,
        policy: &OutlierPolicy,
        now: Timestamp,
    ) -> Reaction {
        let before = self.condition();
        let ruling = if self.is_eligible() && !self.is_of_loss(began) {
            self.suspicion.overstayed(began, now)
        } else {
            Ruling::Stale
        };
        let is_condemned = match ruling {
            Ruling::Stale | Ruling::Noted => false,
            Ruling::Repeated | Ruling::Convicted => true,
        };
        let ejection = (is_condemned && may_eject()).then_some(Ejection::Suspicion);
        self.decide(before, symptom, ruling, ejection, policy, now)
    }

    /// Takes in that a request has taken the trial at `at`.
    pub(crate) fn trial_taken(&mut self, at: Timestamp) {
        self.suspicion.trial_taken(at);
    }

    /// Takes in an answer that took so long. It may end the suspicion.
    pub(crate) fn attempt_succeeded(&mut self, took: Duration, pool: &Pool, now: Timestamp) {
        let before = self.condition();
        let in_time = self.latency.in_time(&pool.suspicion);
        let spacing = pool.health_check.interval_fast;
        self.suspicion.attempt_succeeded(now.minus(took), in_time, spacing, now);
        self.settle(before, now);
    }

    /// Takes in how long its answers take, to be compared with those of `others` in its tier.
    /// Returns a reaction if it is out of line: it is ejected, or suspected if the pool cannot do
    /// without it.
    pub(crate) fn measured(
        &mut self,
        measure: Measure,
        others: Option<Duration>,
        may_eject: impl FnOnce() -> bool,
        policy: &OutlierPolicy,
        now: Timestamp,
    ) -> Option<Reaction> {
        // Whoever gets trials alone, or had its loss within the window, is not comparable.
        let before = self.condition();
        if !before.is_trusted() || !self.is_comparable(now) {
            self.latency.forget();
            return None;
        }
        if !self.latency.measured(measure, others, policy, now) {
            return None;
        }
        let ejection = may_eject().then_some(Ejection::Latency);
        let ruling = self.suspicion.attempt_failed(now, now);
        Some(self.decide(before, Symptom::OutOfLine, ruling, ejection, policy, now))
    }

    /// Acts on what is due: the end of an ejection, a trial, the end of a suspicion. A backend
    /// whose ejection has ended is eligible, on probation, if checks agree.
    pub(crate) fn handle_deadline(&mut self, now: Timestamp) {
        let before = self.condition();
        if self.ejections.until().is_some_and(|until| until <= now) {
            self.ejections.readmit(now);
            self.dispute = None;
            if self.health.verdict() == Health::Healthy {
                self.suspicion.readmitted(now);
            }
        }
        self.suspicion.handle_deadline(now);
        self.settle(before, now);
    }

    /// Asks what a failed attempt means; nothing, if the backend is lost, or was when it began.
    fn rule(&mut self, began: Timestamp, now: Timestamp) -> Ruling {
        if self.is_eligible() && !self.is_of_loss(began) {
            self.suspicion.attempt_failed(began, now)
        } else {
            Ruling::Stale
        }
    }

    /// Tells whether an attempt that began then belongs to the latest loss.
    fn is_of_loss(&self, began: Timestamp) -> bool {
        self.regained.is_some_and(|at| began < at)
    }

    /// Tells whether the windows over its traffic hold nothing from before the latest loss.
    fn is_comparable(&self, now: Timestamp) -> bool {
        self.regained.is_none_or(|at| at + WINDOW <= now)
    }

    /// Keeps what follows from a sign that traffic gave: notes it, and ejects the backend if that is
    /// decided.
    fn decide(
        &mut self,
        before: Condition,
        symptom: Symptom,
        ruling: Ruling,
        ejection: Option<Ejection>,
        policy: &OutlierPolicy,
        now: Timestamp,
    ) -> Reaction {
        if !before.is_eligible() && self.dispute == Some(Source::Traffic) {
            self.dispute = None;
        }
        let is_stale = ejection.is_none() && ruling == Ruling::Stale;
        let is_news = !is_stale || !before.is_eligible();
        let is_first = is_news && self.note(symptom, before);
        if ejection.is_some() {
            self.ejections.eject(policy, now);
        }
        self.settle(before, now);
        Reaction { is_first, loss: ejection.map(|_| LossReason::Outlier), ejection, is_stale }
    }

    /// Notes a sign of trouble. Tells whether it is the first of an eligible backend.
    fn note(&mut self, symptom: Symptom, before: Condition) -> bool {
        self.trouble = Some(symptom);
        before.is_eligible() && !std::mem::replace(&mut self.is_on_record, true)
    }

    /// Keeps what follows from a change of condition.
    fn settle(&mut self, before: Condition, now: Timestamp) {
        let after = self.condition();
        if before.is_eligible() && !after.is_eligible() {
            self.epoch += 1;
            self.suspicion.forget();
            self.latency.forget();
            self.is_upheld = false;
        }
        if !before.is_eligible() && after.is_eligible() {
            self.is_on_record = false;
            if before != Condition::Unknown {
                self.regained = Some(now);
            }
        }
        if after == Condition::Healthy {
            self.trouble = None;
            self.is_on_record = false;
        }
        if std::mem::discriminant(&before) != std::mem::discriminant(&after) {
            self.since = now;
        }
    }
}
