//! `GET /proxy/health`: every pool, every backend, and how they are.

mod shape;

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

pub use shape::{
    Backend, BackendState, CheckResult, Failback, Fault, FaultTerms, Health, LastCheck, LastMinute,
    Pool, PoolStatus,
};

use crate::{
    admin::wire::{SCHEMA, error_ratio},
    clock::{self, Timestamp},
    incident,
    model::{BackendId, PoolId, Topology},
    snapshot::{BackendSnapshot, Condition, Live, PoolSnapshot, Snapshot},
};

/// What the numbers of a pool cover.
const LAST_MINUTE: Duration = Duration::from_secs(60);

/// Everything that the answer follows from.
#[derive(Clone, Copy, Debug)]
pub struct View<'v> {
    /// What the proxy was told to do.
    pub topology: &'v Topology,
    /// What was last decided.
    pub snapshot: &'v Snapshot,
    /// What requests have counted.
    pub live: &'v Live,
    /// Oldest first.
    pub incidents: &'v [Arc<incident::Incident>],
    /// When the process started to serve.
    pub started_at: Timestamp,
    /// Whether traffic may be sent to this process.
    pub is_ready: bool,
    /// The present.
    pub now: Timestamp,
}

/// Returns the whole state, as seen in `view`.
pub fn health(view: &View<'_>) -> Health {
    let pools: Vec<_> = (0..view.topology.pools.len()).map(|at| pool(view, PoolId(at))).collect();
    Health {
        schema: SCHEMA,
        now: clock::rfc3339_of(view.now),
        version: env!("CARGO_PKG_VERSION"),
        started_at: clock::rfc3339_of(view.started_at),
        ready: view.is_ready,
        fault_injection: view.topology.admin.fault_injection,
        active: pools.first().and_then(|pool| pool.active_backend.clone()),
        pools,
    }
}

fn pool(view: &View<'_>, id: PoolId) -> Pool {
    let (pool, snapshot) = (view.topology.pool(id), view.snapshot.pool(id));
    let backends: Vec<_> = (0..pool.backends.len())
        .map(|index| backend(view, BackendId { pool: id, index }))
        .collect();
    Pool {
        name: pool.name.clone(),
        status: status(snapshot),
        active_tier: snapshot.active_tier,
        active_backend: snapshot.active_backend().map(|at| pool.backends[at].name.clone()),
        since: clock::rfc3339_of(snapshot.since),
        shares: (0..pool.tier_count()).map(|tier| rounded(snapshot.part(tier))).collect(),
        failback: snapshot.failback.map(|failback| Failback {
            to_tier: failback.to_tier,
            at: clock::rfc3339_of(failback.at),
            remaining_seconds: failback.at.since(view.now).as_secs_f64(),
            share: rounded(snapshot.part(failback.to_tier)),
        }),
        returnable_tier: snapshot.returnable,
        held_tier: snapshot.held,
        failing_open: snapshot.is_failing_open,
        open_incident: open_incident(view, id),
        last_minute: last_minute(view, id),
        backends,
    }
}

fn status(pool: &PoolSnapshot) -> PoolStatus {
    let is_whole = pool.backends.iter().all(BackendSnapshot::is_eligible);
    match pool.active_tier {
        None => PoolStatus::Down,
        Some(0) if is_whole => PoolStatus::Serving,
        Some(0) => PoolStatus::Degraded,
        Some(_) => PoolStatus::FailedOver,
    }
}

/// Returns a part as people write it: the draw that makes it true is finer.
pub(crate) fn rounded(part: f64) -> f64 {
    (part * 10_000.0).round() / 10_000.0
}

fn open_incident(view: &View<'_>, id: PoolId) -> Option<String> {
    let latest = view
        .incidents
        .iter()
        .rev()
        .find(|incident| incident.place.is_some_and(|it| it.pool == id))?;
    let is_open = latest.state != incident::IncidentState::Closed;
    is_open.then(|| latest.id())
}

fn last_minute(view: &View<'_>, id: PoolId) -> LastMinute {
    let from = view.now.minus(LAST_MINUTE);
    let counts = view.live.pool(id).timeline.window(from, view.now, view.now);
    // A process younger than a minute has not had a minute's requests.
    let seconds = view.now.since(view.started_at.max(from)).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a minute's requests fit an f64")]
    let requests_per_second =
        if 1.0 <= seconds { counts.requests as f64 / seconds } else { counts.requests as f64 };
    LastMinute {
        requests: counts.requests,
        lost: counts.lost,
        rescued: counts.rescued(),
        error_ratio: error_ratio(counts.lost, counts.requests),
        requests_per_second,
        p50_seconds: counts.latencies.quantile(0.5),
        p99_seconds: counts.latencies.quantile(0.99),
    }
}

fn backend(view: &View<'_>, id: BackendId) -> Backend {
    let (backend, live) = (view.topology.backend(id), view.live.backend(id));
    let snapshot = view.snapshot.backend(id);
    let is_eligible = snapshot.is_eligible();
    Backend {
        name: backend.name.clone(),
        url: backend.url.clone(),
        tier: backend.tier,
        weight: snapshot.weight,
        configured_weight: backend.weight.get(),
        intent: snapshot.intent.name(),
        ejected_by_operator: snapshot.is_ejected_by_hand,
        state: state(snapshot.condition),
        eligible: is_eligible,
        active: is_eligible && 0.0 < view.snapshot.pool(id.pool).part(backend.tier),
        reason: snapshot.trouble.map(|trouble| trouble.to_string()),
        since: clock::rfc3339_of(snapshot.since),
        ejected_until: ejected_until(snapshot).map(clock::rfc3339_of),
        in_flight: live.in_flight.load(Relaxed),
        requests: live.attempts.load(Relaxed),
        failures: live.failures.load(Relaxed),
        last_check: snapshot.last_check.as_ref().map(last_check),
        fault: live.fault(view.now).map(|fault| Fault {
            terms: FaultTerms::of(&fault),
            ends_at: clock::rfc3339_of(fault.ends_at),
            remaining_seconds: fault.ends_at.since(view.now).as_secs_f64(),
        }),
    }
}

fn state(condition: Condition) -> BackendState {
    match condition {
        Condition::Unknown => BackendState::Unknown,
        Condition::Healthy => BackendState::Up,
        Condition::Suspected => BackendState::Failing,
        Condition::Unhealthy => BackendState::Down,
        Condition::Ejected { .. } => BackendState::Ejected,
    }
}

fn ejected_until(backend: &BackendSnapshot) -> Option<Timestamp> {
    match backend.condition {
        Condition::Ejected { until } => Some(until),
        Condition::Unknown | Condition::Healthy | Condition::Suspected | Condition::Unhealthy => {
            None
        }
    }
}

pub(crate) fn last_check(check: &crate::snapshot::LastCheck) -> LastCheck {
    LastCheck {
        at: clock::rfc3339_of(check.at),
        result: match check.failure {
            None => CheckResult::Pass,
            Some(symptom) if symptom.is_timeout() => CheckResult::Timeout,
            Some(_) => CheckResult::Fail,
        },
        duration_seconds: check.took.as_secs_f64(),
        detail: check.failure.map_or_else(|| "passed".to_owned(), |failure| failure.to_string()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
