//! One backend: what checks and traffic say of it, put together.

pub(crate) mod record;

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
    model::{Backend, HealthCheck, Intent, OutlierPolicy, Pool},
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
    intent: Intent,
    /// What an operator said that it weighs, in place of what is configured.
    weight: Option<u32>,
    /// Whether it was in use, and is checked anew before it is again.
    is_returning: bool,
    /// Since when it is checked, if it was not for a time.
    checked_since: Timestamp,
}

/// How often a backend is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At the configured interval.
    Normal,
    /// At the fast interval, beginning at once.
    Fast,
    /// Not at all; and at once when that is over.
    Never,
}

/// What of a backend others look at, to compare before and after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Face {
    pub(crate) condition: Condition,
    pub(crate) is_eligible: bool,
    pub(crate) intent: Intent,
    /// What an operator said that it weighs.
    pub(crate) weight: Option<u32>,
    pub(crate) pace: Pace,
    pub(crate) has_trial: bool,
    pub(crate) dispute: Option<Source>,
    is_known: bool,
}

impl Face {
    pub(crate) fn of(machine: &BackendMachine) -> Self {
        Self {
            condition: machine.condition(),
            is_eligible: machine.is_eligible(),
            intent: machine.intent,
            weight: machine.weight,
            pace: machine.pace(),
            has_trial: machine.has_trial(),
            dispute: machine.dispute,
            is_known: machine.is_returning || machine.condition() != Condition::Unknown,
        }
    }

    /// Tells whether `after` is the backend's return. A backend that begins with the proxy returns
    /// from nowhere.
    pub(crate) fn is_regained(&self, after: &Self) -> bool {
        !self.is_eligible && after.is_eligible && self.is_known
    }
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
            intent: Intent::default(),
            weight: None,
            is_returning: false,
            checked_since: Timestamp::ZERO,
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

    /// Tells whether it may be picked: it is fit to be, and operators want it to be.
    pub(crate) fn is_eligible(&self) -> bool {
        self.is_fit() && self.intent.is_enabled()
    }

    /// Tells whether it may be picked, if operators want it to be.
    pub(crate) fn is_fit(&self) -> bool {
        self.condition().is_eligible()
    }

    /// Returns what operators want of it.
    pub(crate) fn intent(&self) -> Intent {
        self.intent
    }

    /// Returns what it weighs when it is not warming up.
    pub(crate) fn weight(&self, backend: &Backend) -> u32 {
        self.weight.unwrap_or(backend.weight.get())
    }

    pub(crate) fn is_ejected(&self) -> bool {
        self.ejections.until().is_some()
    }

    /// Tells whether it is out on the word of traffic alone: checks have passed since, and operators
    /// want it to serve.
    pub(crate) fn is_vouched_for(&self) -> bool {
        self.is_ejected()
            && self.dispute == Some(Source::HealthCheck)
            && self.intent.is_enabled()
            && self.is_passing()
    }

    /// Tells whether it is out on the word of traffic, and not on an operator's.
    pub(crate) fn is_condemned(&self) -> bool {
        self.is_ejected() && !self.ejections.is_by_hand()
    }

    /// Tells whether a check that began then says something: not before an operator last said that
    /// there shall be checks again.
    pub(crate) fn hears(&self, began: Timestamp) -> bool {
        self.intent.is_checked() && self.checked_since <= began
    }

    /// Tells whether the latest check passed.
    pub(crate) fn is_passing(&self) -> bool {
        self.health.is_passing()
    }

    /// Tells whether successes must be heard of.
    pub(crate) fn wants_successes(&self) -> bool {
        self.suspicion.wants_successes()
    }

    /// Tells whether one request may try the backend although it is suspected. None is sent where
    /// operators want none.
    pub(crate) fn has_trial(&self) -> bool {
        self.suspicion.has_trial() && self.intent.is_enabled() && self.weight != Some(0)
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

    pub(crate) fn snapshot(&self, backend: &Backend) -> BackendSnapshot {
        BackendSnapshot {
            condition: self.condition(),
            intent: self.intent,
            weight: self.weight(backend),
            is_ejected_by_hand: self.ejections.is_by_hand(),
            trouble: self.trouble,
            since: self.since,
            epoch: self.epoch,
            last_check: self.last_check.clone(),
        }
    }

    /// Returns how often the backend should be checked: fast while its verdict is in doubt.
    pub(crate) fn pace(&self) -> Pace {
        if !self.intent.is_checked() {
            return Pace::Never;
        }
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
                // Checks saw the failure that traffic saw, and have now seen its end. What an
                // operator saw is for him to say.
                if !self.ejections.is_by_hand() {
                    self.ejections.readmit(now);
                }
                self.suspicion.forget();
            }
        }
        self.suspicion.check_passed(self.health.passes(), now);
        let is_disputed = self.is_condemned() && self.health.verdict() == Health::Healthy;
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
        let is_lost = before.is_eligible() && !self.is_fit();
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
        let ruling = if self.is_fit() && !self.is_of_loss(began) {
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
            self.end_ejection(now);
        }
        self.suspicion.handle_deadline(now);
        self.settle(before, now);
    }

    fn end_ejection(&mut self, now: Timestamp) {
        self.ejections.readmit(now);
        self.dispute = None;
        if self.health.verdict() == Health::Healthy {
            self.suspicion.readmitted(now);
        }
    }

    /// Takes in what an operator wants of it. One that was not checked is checked before it is used
    /// again: nobody knows how it is.
    pub(crate) fn intend(&mut self, intent: Intent, now: Timestamp) {
        let before = self.condition();
        if !self.intent.is_checked() && intent.is_checked() {
            self.health = HealthTracker::new();
            self.suspicion.forget();
            self.latency.forget();
            self.is_upheld = false;
            self.dispute = None;
            self.is_returning = true;
            self.checked_since = now;
        }
        self.intent = intent;
        self.settle(before, now);
    }

    /// Takes in what an operator says that it weighs; `None` for what is configured.
    pub(crate) fn weigh(&mut self, weight: Option<u32>) {
        self.weight = weight;
    }

    /// Takes in that an operator ejects it until then. Returns what follows.
    pub(crate) fn eject(&mut self, until: Timestamp, now: Timestamp) -> Reaction {
        let before = self.condition();
        self.ejections.eject_by_hand(until, now);
        self.dispute = None;
        self.settle(before, now);
        let loss = before.is_eligible().then_some(LossReason::Manual);
        Reaction { is_first: false, loss, ejection: Some(Ejection::Manual), is_stale: false }
    }

    /// Takes in that an operator ends its ejection, whoever began it. It is on probation then, if
    /// checks agree.
    pub(crate) fn readmit(&mut self, now: Timestamp) {
        if self.is_ejected() {
            let before = self.condition();
            self.end_ejection(now);
            self.settle(before, now);
        }
    }

    /// Asks what a failed attempt means; nothing, if the backend is lost, or was when it began.
    fn rule(&mut self, began: Timestamp, now: Timestamp) -> Ruling {
        if self.is_fit() && !self.is_of_loss(began) {
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
            if before != Condition::Unknown || std::mem::take(&mut self.is_returning) {
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
