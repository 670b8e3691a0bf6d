//! What a sidecar answers, as far as this program shows it.
//!
//! Read with goodwill: keys that are not known are passed over, and those that an older proxy does
//! not have yet are empty, so that a new program can still look at an old proxy. What only passes
//! through, with `--format json`, is passed through whole.

use serde::Deserialize;

/// `GET /proxy/health`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Health {
    pub(crate) now: String,
    pub(crate) version: String,
    pub(crate) started_at: String,
    pub(crate) ready: bool,
    pub(crate) fault_injection: bool,
    pub(crate) pools: Vec<Pool>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Pool {
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) active_tier: Option<u64>,
    pub(crate) active_backend: Option<String>,
    pub(crate) since: String,
    pub(crate) shares: Vec<f64>,
    pub(crate) failback: Option<Failback>,
    pub(crate) returnable_tier: Option<u64>,
    pub(crate) failing_open: bool,
    pub(crate) open_incident: Option<String>,
    pub(crate) last_minute: LastMinute,
    pub(crate) backends: Vec<Backend>,
}

impl Pool {
    /// Tells whether requests can be served.
    pub(crate) fn is_served(&self) -> bool {
        self.active_tier.is_some()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Failback {
    pub(crate) to_tier: u64,
    pub(crate) remaining_seconds: f64,
    pub(crate) share: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct LastMinute {
    pub(crate) requests: u64,
    pub(crate) lost: u64,
    pub(crate) rescued: u64,
    pub(crate) requests_per_second: f64,
    pub(crate) p50_seconds: Option<f64>,
    pub(crate) p99_seconds: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Backend {
    /// Only where backends are listed by themselves.
    pub(crate) pool: String,
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) tier: u64,
    pub(crate) weight: u64,
    pub(crate) configured_weight: Option<u64>,
    pub(crate) share: Option<f64>,
    #[serde(alias = "condition")]
    pub(crate) state: String,
    /// What operators want of it; an older proxy knows nothing of that.
    pub(crate) intent: Option<String>,
    #[serde(alias = "is_eligible")]
    pub(crate) eligible: bool,
    #[serde(alias = "is_active")]
    pub(crate) active: bool,
    #[serde(alias = "trouble")]
    pub(crate) reason: Option<String>,
    pub(crate) since: String,
    pub(crate) ejected_until: Option<String>,
    pub(crate) in_flight: u64,
    pub(crate) requests: u64,
    pub(crate) failures: u64,
    pub(crate) last_check: Option<LastCheck>,
    pub(crate) fault: Option<Fault>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct LastCheck {
    pub(crate) at: String,
    pub(crate) result: String,
    pub(crate) duration_seconds: f64,
    pub(crate) detail: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Fault {
    /// Only where faults are listed by themselves.
    pub(crate) pool: String,
    pub(crate) backend: String,
    pub(crate) mode: String,
    pub(crate) scope: String,
    pub(crate) percent: Option<u64>,
    pub(crate) status: Option<u64>,
    pub(crate) delay_min_seconds: Option<f64>,
    pub(crate) delay_max_seconds: Option<f64>,
    pub(crate) remaining_seconds: f64,
}

/// `GET /incidents`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Incidents {
    pub(crate) incidents: Vec<Incident>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Incident {
    pub(crate) id: String,
    pub(crate) pool: String,
    pub(crate) backend: String,
    pub(crate) state: String,
    pub(crate) cause: String,
    pub(crate) detected_by: String,
    pub(crate) requested: bool,
    pub(crate) from_tier: u64,
    pub(crate) to_tier: Option<u64>,
    pub(crate) to_backend: Option<String>,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) moments: Moments,
    pub(crate) detection_seconds: f64,
    pub(crate) switch_seconds: Option<f64>,
    pub(crate) requests: Requests,
    pub(crate) latency: Latencies,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Evidence {
    pub(crate) at: String,
    pub(crate) source: String,
    pub(crate) detail: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Moments {
    pub(crate) suspected_at: String,
    pub(crate) decided_at: String,
    pub(crate) serving_at: Option<String>,
    pub(crate) stable_at: Option<String>,
    pub(crate) recovered_at: Option<String>,
    pub(crate) failed_back_at: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Requests {
    pub(crate) total: u64,
    pub(crate) rescued: u64,
    pub(crate) rescued_by_retry: u64,
    pub(crate) rescued_by_hedge: u64,
    pub(crate) lost: u64,
    pub(crate) extra_attempts: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Latencies {
    pub(crate) before: Option<Latency>,
    pub(crate) during: Option<Latency>,
    pub(crate) after: Option<Latency>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Latency {
    pub(crate) p50_seconds: Option<f64>,
    pub(crate) p99_seconds: Option<f64>,
}
