//! What one process tells another of a backend.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    clock::{Timestamp, whole_millis},
    fleet::{
        backend::BackendMachine,
        health::{Health, HealthTracker},
        outlier::{EjectionRecord, Ejections},
    },
    model::Intent,
    snapshot::Condition,
};

/// One backend's condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendRecord {
    /// What health checks say; `None` if nothing is known.
    pub verdict: Option<Verdict>,
    /// Whether traffic is believed against them.
    pub is_upheld: bool,
    /// Whether something looks wrong.
    pub is_suspected: bool,
    /// What outlier detection says.
    pub ejection: EjectionRecord,
    /// What operators want of it: the name of an [`Intent`].
    pub intent: String,
    /// What an operator said that it weighs, in place of what is configured.
    pub weight: Option<u32>,
    /// Whether it was in use, and is checked anew before it is again.
    pub is_returning: bool,
    /// For how many milliseconds all that has been so.
    pub since_ms: u64,
}

/// What health checks say of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It serves.
    Healthy,
    /// It does not.
    Unhealthy,
}

impl BackendMachine {
    /// Tells what is known of the backend, and what operators want of it.
    pub(crate) fn record(&self, now: Timestamp) -> BackendRecord {
        let verdict = match self.health.verdict() {
            Health::Unknown => None,
            Health::Healthy => Some(Verdict::Healthy),
            Health::Unhealthy => Some(Verdict::Unhealthy),
        };
        BackendRecord {
            verdict,
            is_upheld: self.is_upheld,
            is_suspected: self.condition() == Condition::Suspected,
            ejection: self.ejections.record(now),
            intent: self.intent.name().to_owned(),
            weight: self.weight,
            is_returning: self.is_returning,
            since_ms: whole_millis(now.since(self.since)),
        }
    }

    /// Goes on from what another process knew of the backend.
    pub(crate) fn inherit(&mut self, known: &BackendRecord, now: Timestamp) {
        self.health = HealthTracker::inherited(match known.verdict {
            None => Health::Unknown,
            Some(Verdict::Healthy) => Health::Healthy,
            Some(Verdict::Unhealthy) => Health::Unhealthy,
        });
        self.ejections = Ejections::inherited(&known.ejection, now);
        self.is_upheld = known.is_upheld;
        if known.is_suspected {
            // Whoever raised it, checks clear it: it is they who ask first.
            self.suspicion.check_failed();
        }
        let wanted = Intent::ALL.into_iter().find(|it| it.name() == known.intent);
        self.intent = wanted.unwrap_or_default();
        self.weight = known.weight;
        self.is_returning = known.is_returning;
        self.since = now.minus(Duration::from_millis(known.since_ms));
    }
}
