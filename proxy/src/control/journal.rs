//! Says in the log what happened to the fleet.

use tracing::{info, warn};

use crate::{
    clock,
    event::{Event, Fault, FaultMode, Heir, LossReason, TierReason},
    incident::{Entry, News},
    model::{BackendId, Intent, Topology},
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
        Event::BackendCleared { backend } => {
            log_turn(*backend, "backend cleared of suspicion", topology);
        }
        Event::BackendLost { backend, reason, heir, .. } => {
            log_loss(*backend, *reason, *heir, topology);
        }
        Event::BackendEjected { backend, ejection } => info!(
            target: "bascule::fleet", pool = pool_of(*backend), backend = name_of(*backend),
            reason = ejection.name(), "backend ejected"
        ),
        Event::BackendRegained { backend } => log_turn(*backend, "backend regained", topology),
        Event::EvidenceDisagreed { backend, well } => warn!(
            target: "bascule::fleet", pool = pool_of(*backend), backend = name_of(*backend),
            well = well.name(), "health checks and traffic disagree"
        ),
        Event::EvidenceAgreed { backend } => {
            log_turn(*backend, "health checks and traffic agree again", topology);
        }
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
        Event::BackendServed { backend } => {
            log_turn(*backend, "first success since traffic moved here", topology);
        }
        Event::FaultRequested { backend, mode } => {
            log_order(pool_of(*backend), name_of(*backend), Some(*mode));
        }
        Event::FaultWithdrawn { backend } => log_order(pool_of(*backend), name_of(*backend), None),
        Event::BackendDrained { backend, intent, heir, .. } => {
            log_drain(*backend, *intent, *heir, topology);
        }
        Event::BackendEnabled { backend } => log_turn(*backend, "backend enabled", topology),
        Event::WeightChanged { backend, from, to } => {
            log_weight(pool_of(*backend), name_of(*backend), *from, *to);
        }
        Event::FailoverRequested { backend, from, heir } => {
            log_failover_order(pool_of(*backend), *from, *heir);
        }
        Event::FailoverEnded { pool, tier } => {
            log_failover_end(&topology.pool(*pool).name, *tier);
        }
    }
}

fn log_turn(backend: BackendId, turn: &str, topology: &Topology) {
    info!(
        target: "bascule::fleet", pool = topology.pool(backend.pool).name,
        backend = topology.backend(backend).name, "{turn}"
    );
}

fn log_loss(backend: BackendId, reason: LossReason, heir: Option<Heir>, topology: &Topology) {
    warn!(
        target: "bascule::fleet", pool = topology.pool(backend.pool).name,
        backend = topology.backend(backend).name, reason = reason.name(),
        heir = heir_name(backend, heir, topology), "backend lost"
    );
}

fn log_drain(backend: BackendId, intent: Intent, heir: Option<Heir>, topology: &Topology) {
    info!(
        target: "bascule::fleet", pool = topology.pool(backend.pool).name,
        backend = topology.backend(backend).name, intent = intent.name(),
        heir = heir_name(backend, heir, topology), "backend drained: it gets nothing new"
    );
}

fn heir_name(backend: BackendId, heir: Option<Heir>, topology: &Topology) -> &str {
    heir.map_or("none", |heir| topology.pool(backend.pool).backends[heir.index].name.as_str())
}

fn log_weight(pool: &str, backend: &str, from: u32, to: u32) {
    info!(target: "bascule::fleet", pool, backend, from, to, "backend weighs otherwise");
}

fn log_failover_end(pool: &str, tier: usize) {
    warn!(
        target: "bascule::fleet", pool, tier,
        "the tier that an operator moved the pool to cannot serve any more"
    );
}

fn log_failover_order(pool: &str, from: usize, heir: Option<Heir>) {
    let to = tier_name(heir.map(|heir| heir.tier));
    info!(target: "bascule::fleet", pool, from, to, "an operator moves the pool");
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
        TierReason::Manual => {
            info!(target: "bascule::fleet", pool, from, to, "pool moved by an operator");
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
