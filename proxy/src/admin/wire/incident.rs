//! `GET /incidents`: the record of each failover.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    admin::wire::error_ratio,
    clock,
    event::{self, LossReason},
    incident::{self, Cause, LatencySummary},
};

/// A list of incidents.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Incidents {
    /// See [`SCHEMA`](crate::admin::wire::SCHEMA).
    pub schema: u32,
    /// Newest first.
    pub incidents: Vec<Incident>,
}

/// One incident.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Incident {
    /// Its pool's name, and its number there.
    pub id: String,
    /// The pool's name.
    pub pool: String,
    /// The backend that was lost.
    pub backend: String,
    /// How far the story has got.
    pub state: IncidentState,
    /// The class of the failure.
    pub cause: Cause,
    /// What took the backend out.
    pub detected_by: DetectedBy,
    /// Whether an operator asked for it.
    pub requested: bool,
    /// The tier that served before.
    pub from_tier: usize,
    /// The tier that took over; `null` while none has.
    pub to_tier: Option<usize>,
    /// The first eligible backend of that tier.
    pub to_backend: Option<String>,
    /// The first signs of trouble.
    pub evidence: Vec<Evidence>,
    /// When each part of the story happened.
    pub moments: Moments,
    /// From the first sign of trouble to the decision.
    pub detection_seconds: f64,
    /// From the decision to the first success elsewhere.
    pub switch_seconds: Option<f64>,
    /// What the counts cover.
    pub window: Window,
    /// What the failover cost.
    pub requests: Requests,
    /// What it did to latency.
    pub latency: Latencies,
    /// Whether the proxy ended before the story did: what came after is not known.
    #[serde(default)]
    pub interrupted: bool,
}

impl Incident {
    /// Returns one that was kept of a process that is no more: its story has ended, told or not.
    #[must_use]
    pub(crate) fn of_the_past(mut self) -> Self {
        if self.state != IncidentState::Closed {
            self.state = IncidentState::Closed;
            self.interrupted = true;
        }
        self
    }

    /// Tells whether nothing happened in it from `at` on, and nothing will. Times are written in one
    /// way, in which earlier ones sort first.
    pub(crate) fn is_over_before(&self, at: &str) -> bool {
        let Moments { decided_at, serving_at, stable_at, recovered_at, failed_back_at, .. } =
            &self.moments;
        let later = [serving_at, stable_at, recovered_at, failed_back_at, &self.window.to];
        let last = later.into_iter().flatten().fold(decided_at, Ord::max);
        self.state == IncidentState::Closed && last.as_str() < at
    }
}

/// How far an incident's story has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// The backend is lost; traffic has not settled.
    Open,
    /// Traffic has settled on other backends.
    Serving,
    /// The lost backend may be picked again.
    Recovered,
    /// The story has ended.
    Closed,
}

/// What took a backend out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetectedBy {
    /// Requests failed there.
    Traffic,
    /// Health checks failed.
    HealthCheck,
    /// Somebody asked for it.
    Operator,
}

/// Who saw a sign of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A request's attempt.
    Traffic,
    /// A health check.
    HealthCheck,
}

/// One sign of trouble.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Evidence {
    /// When it was seen.
    pub at: String,
    /// Who saw it.
    pub source: Source,
    /// What was seen.
    pub detail: String,
}

/// When each part of the story happened.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Moments {
    /// The first sign of trouble.
    pub suspected_at: String,
    /// The backend was taken out.
    pub decided_at: String,
    /// The first success elsewhere.
    pub serving_at: Option<String>,
    /// The first second without a failed attempt began.
    pub stable_at: Option<String>,
    /// The backend was fit to be picked again.
    pub recovered_at: Option<String>,
    /// Traffic returned to the tier.
    pub failed_back_at: Option<String>,
}

/// What the counts cover, in whole 100 ms.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Window {
    /// The first slot begins.
    pub from: String,
    /// The last slot ends; `null` while traffic has not settled.
    pub to: Option<String>,
}

/// The requests that finished inside the window.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Requests {
    /// All that finished.
    pub total: u64,
    /// Answered well by another attempt than the first; the sum of the next two.
    pub rescued: u64,
    /// After a failed attempt.
    pub rescued_by_retry: u64,
    /// By an attempt begun beside a slow one.
    pub rescued_by_hedge: u64,
    /// Ended in an error of the proxy's or a backend's making.
    pub lost: u64,
    /// Attempts beyond the first of each: what the failure added to the load.
    pub extra_attempts: u64,
    /// Lost ones in all, 0 to 1.
    pub error_ratio: f64,
}

/// Latency before, inside and after the window.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Latencies {
    /// The ten seconds before the window.
    pub before: Option<Latency>,
    /// The window.
    pub during: Option<Latency>,
    /// The ten seconds after it, once they have passed.
    pub after: Option<Latency>,
}

/// Latency over some time.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Latency {
    /// How many were measured.
    pub requests: u64,
    /// Median.
    pub p50_seconds: Option<f64>,
    /// 99th percentile.
    pub p99_seconds: Option<f64>,
}

/// Returns the record of `incident`.
pub fn incident(incident: &incident::Incident) -> Incident {
    let moments = &incident.moments;
    Incident {
        id: incident.id(),
        pool: incident.pool.clone(),
        backend: incident.backend.clone(),
        state: match incident.state {
            incident::IncidentState::Open => IncidentState::Open,
            incident::IncidentState::Serving => IncidentState::Serving,
            incident::IncidentState::Recovered => IncidentState::Recovered,
            incident::IncidentState::Closed => IncidentState::Closed,
        },
        cause: incident.cause,
        detected_by: match incident.detected_by {
            LossReason::HealthCheck => DetectedBy::HealthCheck,
            LossReason::Outlier => DetectedBy::Traffic,
            LossReason::Drained | LossReason::Manual => DetectedBy::Operator,
        },
        requested: incident.is_requested,
        from_tier: incident.from_tier,
        to_tier: incident.heir.map(|heir| heir.tier),
        to_backend: incident.heir_name.clone(),
        evidence: incident.evidence.iter().map(evidence).collect(),
        moments: Moments {
            suspected_at: clock::rfc3339_of(moments.suspected),
            decided_at: clock::rfc3339_of(moments.decided),
            serving_at: moments.serving.map(clock::rfc3339_of),
            stable_at: moments.stable.map(clock::rfc3339_of),
            recovered_at: moments.recovered.map(clock::rfc3339_of),
            failed_back_at: moments.failed_back.map(clock::rfc3339_of),
        },
        detection_seconds: moments.decided.since(moments.suspected).as_secs_f64(),
        switch_seconds: moments.serving.map(|at| at.since(moments.decided).as_secs_f64()),
        window: Window {
            from: clock::rfc3339_of(incident.window_from),
            to: incident.window_to.map(clock::rfc3339_of),
        },
        requests: Requests {
            total: incident.requests.total,
            rescued: incident.requests.rescued(),
            rescued_by_retry: incident.requests.rescued_by_retry,
            rescued_by_hedge: incident.requests.rescued_by_hedge,
            lost: incident.requests.lost,
            extra_attempts: incident.requests.extra_attempts,
            error_ratio: error_ratio(incident.requests.lost, incident.requests.total),
        },
        latency: Latencies {
            before: incident.before.map(latency),
            during: incident.during.map(latency),
            after: incident.after.map(latency),
        },
        interrupted: false,
    }
}

fn evidence(evidence: &event::Evidence) -> Evidence {
    Evidence {
        at: clock::rfc3339_of(evidence.at),
        source: match evidence.source {
            event::Source::Traffic => Source::Traffic,
            event::Source::HealthCheck => Source::HealthCheck,
        },
        detail: evidence.symptom.to_string(),
    }
}

fn latency(summary: LatencySummary) -> Latency {
    Latency {
        requests: summary.requests,
        p50_seconds: summary.p50_seconds,
        p99_seconds: summary.p99_seconds,
    }
}
