//! The shapes that go over the wire, and how they follow from the state.
//!
//! Times are RFC 3339 in UTC with milliseconds; lengths of time are seconds. Keys are never left
//! out: what is not known is `null`.

mod audit;
mod config;
mod control;
mod feed;
mod health;
mod incident;
mod process;
mod series;

pub use audit::{Audit, AuditEntry, AuditResult, Ticket, Who, WhoAmI};
pub use config::{Config, ConfigFault, Reload};
pub use control::{
    BackendAnswer, Backends, FaultAt, Faults, OneBackend, OrderedBackend, OrderedPool, PERSISTS,
    Persists, PoolAnswer,
};
pub(crate) use control::{backend, backends, faults, pool};
pub use feed::{FeedFrame, FeedRequest, changed};
pub use health::{
    Backend, BackendState, CheckResult, Failback, Fault, FaultTerms, Health, LastCheck, LastMinute,
    Pool, PoolStatus, View, health,
};
pub use incident::{
    DetectedBy, Evidence, Incident, IncidentState, Incidents, Latencies, Latency, Moments,
    Requests, Source, Window, incident,
};
pub use process::{Process, ProcessChanged, Upgrade};
pub use series::{Series, series};

use schemars::JsonSchema;
use serde::Serialize;

/// Rises when a shape changes in a way that a reader must know of.
pub const SCHEMA: u32 = 1;

/// The answer to `POST /proxy/fail`.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct FailAccepted {
    /// The pool's name.
    pub pool: String,
    /// The backend's name.
    pub backend: String,
    /// How it fails, and for whom.
    #[serde(flatten)]
    pub terms: FaultTerms,
    /// When.
    pub accepted_at: String,
    /// When the fault ends by itself; `null` for a crash.
    pub ends_at: Option<String>,
}

/// The answer to `POST /proxy/recover`.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Recovered {
    /// Backends that have no fault left.
    pub recovered: Vec<String>,
    /// Backends that did not say so.
    pub not_recovered: Vec<NotRecovered>,
}

/// The answer to `POST /proxy/failback`.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct FailbackAccepted {
    /// The pool's name.
    pub pool: String,
    /// The tier that traffic returns to.
    pub to_tier: usize,
    /// When.
    pub accepted_at: String,
}

/// A backend that did not say that it recovered.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct NotRecovered {
    /// The pool's name.
    pub pool: String,
    /// The backend's name.
    pub backend: String,
    /// Why not.
    pub message: String,
}

/// Returns the share of `lost` in `requests`; none lost of none is nothing lost.
#[expect(clippy::cast_precision_loss, reason = "counts of requests fit an f64")]
fn error_ratio(lost: u64, requests: u64) -> f64 {
    if requests == 0 { 0.0 } else { lost as f64 / requests as f64 }
}

#[cfg(test)]
pub(crate) use health::tests::topology as topology_for_tests;
