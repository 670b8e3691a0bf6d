//! What is counted by backend: attempts, health checks, condition.

use prometheus::{
    Error, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
};

use crate::{
    model::{Backend, Intent},
    snapshot::{BackendSnapshot, Condition},
    telemetry::metrics::{
        family,
        label::{CHECK_RESULTS, OUTCOMES},
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
    intent: IntGaugeVec,
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
            intent: family::gauges(registry, &table::BACKEND_INTENT)?,
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
    /// Indexed as [`Condition::NAMES`].
    health: [IntGauge; 5],
    /// Indexed as [`Intent::ALL`].
    intent: [IntGauge; 3],
    weight: IntGauge,
}

impl BackendHandles {
    pub(crate) fn new(families: &BackendFamilies, pool: &str, backend: &Backend) -> Self {
        let name = backend.name.as_str();
        let labels = [pool, name];
        let tier = backend.tier.to_string();
        families.info.with_label_values(&[pool, name, tier.as_str()]).set(1);
        let weight = families.weight.with_label_values(&labels);
        weight.set(i64::from(backend.weight.get()));
        Self {
            attempts: family::each(&families.attempts, &labels, OUTCOMES),
            attempt_duration: families.attempt_duration.with_label_values(&labels),
            checks: family::each(&families.checks, &labels, CHECK_RESULTS),
            fault_active: families.fault_active.with_label_values(&labels),
            disagreement: families.disagreement.with_label_values(&labels),
            eligible: families.eligible.with_label_values(&labels),
            active: families.active.with_label_values(&labels),
            health: Condition::NAMES
                .map(|state| families.health.with_label_values(&[pool, name, state])),
            intent: Intent::ALL
                .map(|it| families.intent.with_label_values(&[pool, name, it.name()])),
            weight,
        }
    }

    /// Shows `backend`'s condition; `is_serving` is whether its tier is the active one.
    pub(crate) fn set_condition(&self, backend: &BackendSnapshot, is_serving: bool) {
        let is_eligible = backend.is_eligible();
        self.eligible.set(i64::from(is_eligible));
        self.active.set(i64::from(is_eligible && is_serving));
        self.set_health(backend.condition);
        self.set_intent(backend.intent);
        self.weight.set(i64::from(backend.weight));
    }

    fn set_intent(&self, current: Intent) {
        for (intent, gauge) in Intent::ALL.into_iter().zip(&self.intent) {
            gauge.set(i64::from(intent == current));
        }
    }

    pub(crate) fn set_health(&self, condition: Condition) {
        let current = condition.index();
        for (state, gauge) in self.health.iter().enumerate() {
            gauge.set(i64::from(state == current));
        }
    }
}
