//! The shapes of `GET /proxy/health`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::event::{self, FaultMode};

/// The whole state.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Health {
    /// See [`SCHEMA`](crate::admin::wire::SCHEMA).
    pub schema: u32,
    /// When this was seen.
    pub now: String,
    /// The proxy's release.
    pub version: &'static str,
    /// When the process started to serve.
    pub started_at: String,
    /// Whether traffic may be sent to this process.
    pub ready: bool,
    /// Whether faults may be injected.
    pub fault_injection: bool,
    /// The first pool's active backend.
    pub active: Option<String>,
    /// In the order of the configuration.
    pub pools: Vec<Pool>,
}

/// One pool.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Pool {
    /// Unique.
    pub name: String,
    /// In one word.
    pub status: PoolStatus,
    /// The tier that serves; `null` when nothing can.
    pub active_tier: Option<usize>,
    /// The active tier's first eligible backend.
    pub active_backend: Option<String>,
    /// Since when the active tier serves, or nothing does.
    pub since: String,
    /// Which part of the traffic each tier gets, 0 to 1, in order of preference.
    pub shares: Vec<f64>,
    /// The return of traffic to a preferred tier, if one is waited for or under way.
    pub failback: Option<Failback>,
    /// The tier that `POST /proxy/failback` would return traffic to.
    pub returnable_tier: Option<usize>,
    /// The tier that an operator moved the pool to, until traffic is asked back.
    pub held_tier: Option<usize>,
    /// Whether nothing is eligible and requests are sent to any backend all the same.
    pub failing_open: bool,
    /// The latest incident, while it is not closed.
    pub open_incident: Option<String>,
    /// What clients got.
    pub last_minute: LastMinute,
    /// In the order of the configuration.
    pub backends: Vec<Backend>,
}

/// How a pool is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolStatus {
    /// The first tier serves, and every backend is eligible.
    Serving,
    /// The first tier serves; some backend, of whichever tier, is not eligible.
    Degraded,
    /// A later tier serves.
    FailedOver,
    /// Nothing is eligible.
    Down,
}

/// A return of traffic that waits for its hold-down, or is under way.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Failback {
    /// The tier that gets its traffic back.
    pub to_tier: usize,
    /// When all of it is back, if the tier stays able to serve.
    pub at: String,
    /// How long until then.
    pub remaining_seconds: f64,
    /// Which part of the traffic has returned, 0 to 1.
    pub share: f64,
}

/// The requests that finished in the last sixty seconds, or since the start if that is less.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct LastMinute {
    /// All that finished.
    pub requests: u64,
    /// Ended in an error of the proxy's or a backend's making.
    pub lost: u64,
    /// Answered well after a failed attempt.
    pub rescued: u64,
    /// Lost ones in all, 0 to 1.
    pub error_ratio: f64,
    /// On average.
    pub requests_per_second: f64,
    /// Median latency; `null` without requests.
    pub p50_seconds: Option<f64>,
    /// 99th percentile of latency; `null` without requests.
    pub p99_seconds: Option<f64>,
}

/// One backend.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Backend {
    /// Unique in its pool.
    pub name: String,
    /// As configured.
    pub url: String,
    /// 0 is preferred.
    pub tier: usize,
    /// In relation to those of its tier, as last ordered.
    pub weight: u32,
    /// The same, as configured.
    pub configured_weight: u32,
    /// What operators want of it: `enabled`, `draining` or `disabled`.
    pub intent: &'static str,
    /// Whether an operator has ejected it.
    pub ejected_by_operator: bool,
    /// In one word.
    pub state: BackendState,
    /// Whether it may be picked.
    pub eligible: bool,
    /// Whether it is eligible and of a tier that gets traffic.
    pub active: bool,
    /// The latest sign of trouble, until all is well again.
    pub reason: Option<String>,
    /// Since when it is in this state.
    pub since: String,
    /// When it may be picked again, if it is ejected.
    pub ejected_until: Option<String>,
    /// Attempts that have begun and not ended.
    pub in_flight: u64,
    /// Attempts that ended, ever.
    pub requests: u64,
    /// Attempts that failed, ever.
    pub failures: u64,
    /// The latest health check.
    pub last_check: Option<LastCheck>,
    /// What an operator injected, while it lasts.
    pub fault: Option<Fault>,
}

/// How a backend is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendState {
    /// All is well.
    Up,
    /// Something looks wrong; it is still eligible.
    Failing,
    /// Health checks say no.
    Down,
    /// Real traffic said no.
    Ejected,
    /// Not checked yet.
    Unknown,
}

/// The latest health check.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct LastCheck {
    /// When it ended.
    pub at: String,
    /// How it ended.
    pub result: CheckResult,
    /// How long it took.
    pub duration_seconds: f64,
    /// In words.
    pub detail: String,
}

/// How a health check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckResult {
    /// The backend is well.
    Pass,
    /// It is not.
    Fail,
    /// It did not say in time.
    Timeout,
}

/// A fault under way.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Fault {
    /// What goes wrong, and for whom.
    #[serde(flatten)]
    pub terms: FaultTerms,
    /// When it ends by itself.
    pub ends_at: String,
    /// How long until then.
    pub remaining_seconds: f64,
}

/// What goes wrong, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema, Serialize)]
pub struct FaultTerms {
    /// What goes wrong.
    pub mode: &'static str,
    /// For whom: `all`, `traffic` or `checks`.
    pub scope: &'static str,
    /// The share of those, 1 to 100.
    pub percent: u8,
    /// The status answered, with the mode `error`.
    pub status: Option<u16>,
    /// The least that answers are late by, with the mode `slow`.
    pub delay_min_seconds: Option<f64>,
    /// The most that answers are late by, with the mode `slow`.
    pub delay_max_seconds: Option<f64>,
}

impl FaultTerms {
    /// Returns what of `fault` has a meaning in its mode.
    pub fn of(fault: &event::Fault) -> Self {
        let delay = (fault.mode == FaultMode::Slow).then_some(fault.delay);
        Self {
            mode: fault.mode.name(),
            scope: fault.scope.name(),
            percent: fault.percent.value(),
            status: (fault.mode == FaultMode::Error).then_some(fault.status),
            delay_min_seconds: delay.map(|it| it.min().as_secs_f64()),
            delay_max_seconds: delay.map(|it| it.max().as_secs_f64()),
        }
    }
}
