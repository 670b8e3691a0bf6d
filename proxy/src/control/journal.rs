//! Says in the log what happened to the fleet.

use tracing::{info, warn};

use crate::{
    clock,
    event::{Event, Fault, FaultMode, TierReason},
    incident::{Entry, News},
    model::{BackendId, Topology},
    telemetry::logging::AUDIT,
};

/// Writes an event to the log: changes of state as `info`, what needs watching as `warn`.
pub(crate) fn log_event(event: &Event, topology: &Topology) {
    let pool_of = |id: BackendId| topology.pool(id.pool).name.as_str();
    let name_of = |id: BackendId| topology.backend(id).name.as_str();
    match event {
        Event::BackendSuspected { backend, evidence } => info!(
            target: "bascule::fleet", pool = pool_of(*backend), backend = name_of(*backend),
            source = evidence.source.name(), reason = %evidence.symptom, "backend suspected"
        ),
        Event::EvidenceGathered { backend, evidence } => tracing::debug!(
            target: "bascule::fleet", pool = pool_of(*backend), backend = name_of(*backend),
            source = evidence.source.name(), reason = %evidence.symptom, "evidence gathered"
        ),
        Event::BackendCleared { backend } => info!(
            target: "bascule::fleet", pool = pool_of(*backend), backend = name_of(*backend),
            "backend cleared of suspicion"
        ),
        Event::BackendLost { backend, reason, heir, .. } => {
            let heir = heir.map_or("none", |heir| {
                topology.pool(backend.pool).backends[heir.index].name.as_str()
            });
            warn!(
                target: "bascule::fleet", pool = pool_of(*backend), backend = name_of(*backend),
                reason = reason.name(), heir, "backend lost"
            );
        }
        Event::BackendEjected { backend, ejection } => info!(
            target: "bascule::fleet", pool = pool_of(*backend), backend = name_of(*backend),
            reason = ejection.name(), "backend ejected"
        ),
        Event::BackendRegained { backend } => info!(
            target: "bascule::fleet", pool = pool_of(*backend), backend = name_of(*backend),
            "backend regained"
        ),
        Event::EvidenceDisagreed { backend, well } => warn!(
            target: "bascule::fleet", pool = pool_of(*backend), backend = name_of(*backend),
            well = well.name(), "health checks and traffic disagree"
        ),
        Event::EvidenceAgreed { backend } => info!(
            target: "bascule::fleet", pool = pool_of(*backend), backend = name_of(*backend),
            "health checks and traffic agree again"
        ),
        Event::TierChanged { pool, from, to, reason } => {
            log_tier_change(topology.pool(*pool).name.as_str(), *from, *to, *reason);
        }
        Event::FailbackBegan { pool, to } => info!(
            target: "bascule::fleet", pool = topology.pool(*pool).name, to, "pool begins to fail back"
        ),
        Event::FailbackAborted { pool, to } => warn!(
            target: "bascule::fleet", pool = topology.pool(*pool).name, to,
            "failback aborted: the returning tier failed"
        ),
        Event::BackendServed { backend } => info!(
            target: "bascule::fleet", pool = pool_of(*backend), backend = name_of(*backend),
            "first success since traffic moved here"
        ),
        Event::FaultRequested { backend, mode } => {
            log_order(pool_of(*backend), name_of(*backend), Some(*mode));
        }
        Event::FaultWithdrawn { backend } => log_order(pool_of(*backend), name_of(*backend), None),
    }
}

fn log_order(pool: &str, backend: &str, mode: Option<FaultMode>) {
    match mode {
        Some(mode) => {
            warn!(target: "bascule::fleet", pool, backend, %mode, "an operator asked for a failure");
        }
        None => info!(
            target: "bascule::fleet", pool, backend,
            "the failure that was asked for did not come about"
        ),
    }
}

/// Writes that an injected fault has ended by itself, where its beginning was written.
pub(crate) fn log_fault_end(backend: BackendId, fault: &Fault, topology: &Topology) {
    info!(
        target: AUDIT, pool = topology.pool(backend.pool).name,
        backend = topology.backend(backend).name, mode = %fault.mode,
        "injected fault ended by itself"
    );
}

fn log_tier_change(pool: &str, from: Option<usize>, to: Option<usize>, reason: TierReason) {
    let (from, to) = (tier_name(from), tier_name(to));
    match reason {
        TierReason::Lost(reason) => {
            warn!(target: "bascule::fleet", pool, from, to, reason = reason.name(), "pool failed over");
        }
        TierReason::HoldDownEnded | TierReason::Requested => {
            info!(target: "bascule::fleet", pool, from, to, "pool failed back");
        }
        TierReason::Regained => info!(target: "bascule::fleet", pool, to, "pool serves"),
        TierReason::Reconfigured => {
            info!(target: "bascule::fleet", pool, from, to, "pool serves from other tiers than before");
        }
    }
}

/// Writes what is new of an incident to the log.
pub(crate) fn log_entry(entry: &Entry) {
    let incident = &entry.incident;
    let (pool, backend, id) = (&incident.pool, &incident.backend, incident.id());
    let cause = incident.cause.name();
    match entry.news {
        News::Opened => warn!(
            target: "bascule::incident", pool, backend, id, cause,
            suspected_at = clock::rfc3339_of(incident.moments.suspected),
            detection_seconds = incident.detection().as_secs_f64(), "incident opened"
        ),
        News::Serving => info!(
            target: "bascule::incident", pool, backend, id,
            switch_seconds = incident.switch().unwrap_or_default().as_secs_f64(),
            "incident: served elsewhere"
        ),
        News::Settled | News::Recounted => info!(
            target: "bascule::incident", pool, backend, id, cause, requests = incident.requests.total,
            rescued = incident.requests.rescued(), lost = incident.requests.lost,
            error_ratio = incident.requests.error_ratio(), "incident: traffic has settled"
        ),
        News::Recovered => info!(
            target: "bascule::incident", pool, backend, id, "incident: backend recovered"
        ),
        News::Closed => {
            info!(target: "bascule::incident", pool, backend, id, cause, "incident closed");
        }
    }
}

fn tier_name(tier: Option<usize>) -> String {
    tier.map_or_else(|| "none".to_owned(), |tier| tier.to_string())
}
