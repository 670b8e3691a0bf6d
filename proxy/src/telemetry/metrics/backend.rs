//! What is counted by backend: attempts, health checks, condition.

use prometheus::{
    Error, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
};

use crate::{
    model::Backend,
    snapshot::{BackendSnapshot, Condition},
    telemetry::metrics::{
        family,
        label::{self, CHECK_RESULTS, OUTCOMES, STATES},
        table,
    },
};

#[derive(Debug)]
pub(crate) struct BackendFamilies {
    attempts: IntCounterVec,
    attempt_duration: HistogramVec,
    eligible: IntGaugeVec,
    active: IntGaugeVec,
    health: IntGaugeVec,
    info: IntGaugeVec,
    weight: IntGaugeVec,
    checks: IntCounterVec,
    fault_active: IntGaugeVec,
    disagreement: IntGaugeVec,
}

impl BackendFamilies {
    pub(crate) fn new(registry: &family::Registry) -> Result<Self, Error> {
        Ok(Self {
            attempts: family::counters(registry, &table::UPSTREAM_REQUESTS)?,
            attempt_duration: family::histograms(registry, &table::UPSTREAM_DURATION)?,
            eligible: family::gauges(registry, &table::BACKEND_ELIGIBLE)?,
            active: family::gauges(registry, &table::BACKEND_ACTIVE)?,
            health: family::gauges(registry, &table::BACKEND_HEALTH)?,
            info: family::gauges(registry, &table::BACKEND_INFO)?,
            weight: family::gauges(registry, &table::BACKEND_WEIGHT)?,
            checks: family::counters(registry, &table::HEALTH_CHECKS)?,
            fault_active: family::gauges(registry, &table::FAULT_ACTIVE)?,
            disagreement: family::gauges(registry, &table::EVIDENCE_DISAGREEMENT)?,
        })
    }
}

#[derive(Debug)]
pub(crate) struct BackendHandles {
    /// Indexed as [`OUTCOMES`].
    pub(crate) attempts: [IntCounter; 5],
    pub(crate) attempt_duration: Histogram,
    /// Indexed as [`CHECK_RESULTS`].
    pub(crate) checks: [IntCounter; 3],
    pub(crate) fault_active: IntGauge,
    pub(crate) disagreement: IntGauge,
    eligible: IntGauge,
    active: IntGauge,
    /// Indexed as [`STATES`].
    health: [IntGauge; 5],
}

impl BackendHandles {
    pub(crate) fn new(families: &BackendFamilies, pool: &str, backend: &Backend) -> Self {
        let name = backend.name.as_str();
        let labels = [pool, name];
        let tier = backend.tier.to_string();
        families.info.with_label_values(&[pool, name, tier.as_str()]).set(1);
        families.weight.with_label_values(&labels).set(i64::from(backend.weight.get()));
        Self {
            attempts: family::each(&families.attempts, &labels, OUTCOMES),
            attempt_duration: families.attempt_duration.with_label_values(&labels),
            checks: family::each(&families.checks, &labels, CHECK_RESULTS),
            fault_active: families.fault_active.with_label_values(&labels),
            disagreement: families.disagreement.with_label_values(&labels),
            eligible: families.eligible.with_label_values(&labels),
            active: families.active.with_label_values(&labels),
            health: STATES.map(|state| families.health.with_label_values(&[pool, name, state])),
        }
    }

    /// Shows `backend`'s condition; `is_serving` is whether its tier is the active one.
    pub(crate) fn set_condition(&self, backend: &BackendSnapshot, is_serving: bool) {
        let is_eligible = backend.condition.is_eligible();
        self.eligible.set(i64::from(is_eligible));
        self.active.set(i64::from(is_eligible && is_serving));
        self.set_health(backend.condition);
    }

    pub(crate) fn set_health(&self, condition: Condition) {
        let current = label::state_of(condition);
        for (state, gauge) in self.health.iter().enumerate() {
            gauge.set(i64::from(state == current));
        }
    }
}
