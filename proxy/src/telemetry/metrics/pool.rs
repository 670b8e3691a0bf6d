//! What is counted by pool: retries, health checks, failovers and what they cost.

use std::sync::{Arc, Mutex};

use prometheus::{
    Error, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
};

use crate::{
    event::{Ejection, Rescue},
    incident::Cause,
    telemetry::metrics::{
        family,
        label::{Direction, FailoverReason, Rejection, RetryOutcome},
        placement::Placement,
        table,
    },
};

#[derive(Debug)]
pub(crate) struct PoolFamilies {
    retries: IntCounterVec,
    hedges: IntCounterVec,
    rejected: IntCounterVec,
    queued: IntCounterVec,
    queue_length: IntGaugeVec,
    queue_duration: HistogramVec,
    check_duration: HistogramVec,
    ejections: IntCounterVec,
    active_tier: IntGaugeVec,
    held_tier: IntGaugeVec,
    failovers: IntCounterVec,
    in_progress: IntGaugeVec,
    detection: HistogramVec,
    switch: HistogramVec,
    client_errors: HistogramVec,
    masked: IntCounterVec,
    request_duration: HistogramVec,
    last: IntGaugeVec,
    incidents: IntCounterVec,
}

impl PoolFamilies {
    pub(crate) fn new(registry: &family::Registry) -> Result<Self, Error> {
        Ok(Self {
            retries: family::counters(registry, &table::RETRIES)?,
            hedges: family::counters(registry, &table::HEDGES)?,
            rejected: family::counters(registry, &table::REJECTED)?,
            queued: family::counters(registry, &table::QUEUED)?,
            queue_length: family::gauges(registry, &table::QUEUE_LENGTH)?,
            queue_duration: family::histograms(registry, &table::QUEUE_DURATION)?,
            check_duration: family::histograms(registry, &table::HEALTH_CHECK_DURATION)?,
            ejections: family::counters(registry, &table::EJECTIONS)?,
            active_tier: family::gauges(registry, &table::POOL_ACTIVE_TIER)?,
            held_tier: family::gauges(registry, &table::POOL_HELD_TIER)?,
            failovers: family::counters(registry, &table::FAILOVERS)?,
            in_progress: family::gauges(registry, &table::FAILOVER_IN_PROGRESS)?,
            detection: family::histograms(registry, &table::FAILOVER_DETECTION)?,
            switch: family::histograms(registry, &table::FAILOVER_SWITCH)?,
            client_errors: family::histograms(registry, &table::FAILOVER_CLIENT_ERRORS)?,
            masked: family::counters(registry, &table::FAILOVER_MASKED)?,
            request_duration: family::histograms(registry, &table::FAILOVER_REQUEST_DURATION)?,
            last: family::gauges(registry, &table::FAILOVER_LAST)?,
            incidents: family::counters(registry, &table::INCIDENT_EVENTS)?,
        })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct PoolHandles {
    /// Indexed by [`RetryOutcome`].
    pub(crate) retries: [IntCounter; 4],
    pub(crate) hedges: IntCounter,
    /// Indexed by [`Rejection`].
    pub(crate) rejected: [IntCounter; 5],
    pub(crate) queued: IntCounter,
    pub(crate) queue_length: IntGauge,
    pub(crate) queue_duration: Histogram,
    pub(crate) check_duration: Histogram,
    /// Indexed by [`Ejection`].
    pub(crate) ejections: [IntCounter; 5],
    pub(crate) active_tier: IntGauge,
    pub(crate) held_tier: IntGauge,
    /// Indexed by [`Direction`], then by [`FailoverReason`].
    pub(crate) failovers: [[IntCounter; 5]; 2],
    pub(crate) in_progress: IntGauge,
    /// Indexed by [`FailoverReason`].
    pub(crate) detection: [Histogram; 5],
    pub(crate) switch: Histogram,
    pub(crate) client_errors: Histogram,
    /// Indexed as [`Rescue::NAMES`](crate::event::Rescue::NAMES).
    pub(crate) masked: [IntCounter; 2],
    pub(crate) request_duration: Histogram,
    pub(crate) last: IntGauge,
    /// Indexed as [`Cause::ALL`].
    pub(crate) incidents: [IntCounter; 11],
    /// A lock, because a move is judged by the one before it; taken a few times a minute at most,
    /// never by a request.
    pub(crate) placement: Arc<Mutex<Placement>>,
}

impl PoolHandles {
    pub(crate) fn new(families: &PoolFamilies, pool: &str) -> Self {
        let of_pool = [pool];
        let active_tier = families.active_tier.with_label_values(&of_pool);
        active_tier.set(-1);
        let held_tier = families.held_tier.with_label_values(&of_pool);
        held_tier.set(-1);
        Self {
            retries: family::each(&families.retries, &of_pool, RetryOutcome::NAMES),
            hedges: families.hedges.with_label_values(&of_pool),
            rejected: family::each(&families.rejected, &of_pool, Rejection::NAMES),
            queued: families.queued.with_label_values(&of_pool),
            queue_length: families.queue_length.with_label_values(&of_pool),
            queue_duration: families.queue_duration.with_label_values(&of_pool),
            check_duration: families.check_duration.with_label_values(&of_pool),
            ejections: family::each(&families.ejections, &[pool], Ejection::NAMES),
            active_tier,
            held_tier,
            failovers: Direction::NAMES.map(|direction| {
                family::each(&families.failovers, &[pool, direction], FailoverReason::NAMES)
            }),
            in_progress: families.in_progress.with_label_values(&of_pool),
            detection: FailoverReason::NAMES
                .map(|reason| families.detection.with_label_values(&[pool, reason])),
            switch: families.switch.with_label_values(&of_pool),
            client_errors: families.client_errors.with_label_values(&of_pool),
            masked: family::each(&families.masked, &of_pool, Rescue::NAMES),
            request_duration: families.request_duration.with_label_values(&of_pool),
            last: families.last.with_label_values(&of_pool),
            incidents: family::each(&families.incidents, &of_pool, Cause::ALL.map(Cause::name)),
            placement: Arc::default(),
        }
    }
}
