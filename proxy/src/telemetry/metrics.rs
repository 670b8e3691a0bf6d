//! Metrics: what Prometheus scrapes.
//!
//! Everything is resolved when the topology is known: a request reaches its counters by index,
//! without looking a label up and without allocating. Label values come from the configuration
//! and from closed sets, never from a client. What alerts ask of is there from the start, at
//! zero: a counter that appears with its first increment hides that increment from `rate()`.

mod backend;
mod connection;
mod family;
mod history;
mod label;
mod listener;
mod names;
mod placement;
mod pool;
mod reload;
mod request;
mod route;
mod sidecar;
mod sink;
mod table;

use std::{
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use prometheus::{Error, Gauge, IntCounter, IntCounterVec, IntGauge, TextEncoder};

use crate::{
    clock::{self, Timestamp},
    event::{AttemptOutcome, Event, Symptom, TierReason},
    incident::{Cause, Requests},
    model::{BackendId, Pool, PoolId, Succession, Target, Topology},
    snapshot::{Condition, Live, Snapshot},
    telemetry::metrics::{
        backend::{BackendFamilies, BackendHandles},
        connection::{ConnectionFamilies, ConnectionHandles},
        family::Registry,
        history::HistoryHandles,
        label::Origin,
        listener::{ListenerFamilies, ListenerHandles, ResponseHandles},
        names::Names,
        pool::{PoolFamilies, PoolHandles},
        reload::ReloadHandles,
        route::{RouteFamilies, RouteHandles},
        sidecar::SidecarHandles,
        sink::SinkHandles,
    },
};

pub use connection::{OpenConnection, Turned};
pub use family::Marked;
pub use history::HistoryTotals;
pub use label::{FailoverReason, MirrorOutcome, Rejection, RetryOutcome, Trigger, UpgradeResult};
pub use reload::{Drained, ReloadResult};
pub use request::{Answer, FinishedRequest};
pub use sink::Totals;
pub(crate) use table::UPSTREAM_DURATION;
pub use table::{Kind, Metric, TABLE};

/// Pool label of requests that the sidecar answered. A pool of that name would share its series.
const POOL_SIDECAR: &str = "sidecar";
/// Pool label of requests that need no pool or took no route. A pool of that name would share its series.
const POOL_NONE: &str = "none";

/// Every metric of one topology.
#[derive(Debug)]
pub struct Metrics {
    /// Shared with the metrics of the topologies before and after.
    families: Arc<Families>,
    /// Indexed as in the topology.
    listeners: Vec<ListenerHandles>,
    /// Indexed as in the topology.
    connections: Vec<ConnectionHandles>,
    /// The pools', then the sidecar's, then those of no route.
    responses: Vec<ResponseHandles>,
    /// Indexed by [`PoolId`].
    pools: Vec<PoolHandles>,
    /// Indexed by [`PoolId`], then as in the topology.
    backends: Vec<Vec<BackendHandles>>,
    /// Indexed by [`PoolId`], then by [`MirrorOutcome`]; for pools that routes mirror to.
    mirrored: Vec<Option<[IntCounter; 4]>>,
    /// Indexed as in the topology; `None` for routes without a rate limit.
    routes: Vec<Option<RouteHandles>>,
}

/// Shows how late the data plane runs.
#[derive(Clone, Debug)]
pub struct LagGauge(Gauge);

impl LagGauge {
    /// Shows it.
    pub fn set(&self, lag: Duration) {
        self.0.set(lag.as_secs_f64());
    }
}

/// The metrics themselves, whatever is configured.
#[derive(Debug)]
struct Families {
    registry: Registry,
    listener: ListenerFamilies,
    connection: ConnectionFamilies,
    response: IntCounterVec,
    backend: BackendFamilies,
    pool: PoolFamilies,
    route: RouteFamilies,
    mirrored: IntCounterVec,
    lag: Gauge,
    evidence_dropped: IntCounter,
    log_stream_clients: IntGauge,
    log_lines_dropped: IntCounter,
    sidecar: SidecarHandles,
    reload: ReloadHandles,
    sinks: SinkHandles,
    history: HistoryHandles,
    /// Indexed by [`UpgradeResult`].
    upgrades: [IntCounter; 3],
    process_generation: IntGauge,
}

impl Families {
    fn new() -> Result<Self, Error> {
        let registry = Registry::default();
        let build_info = family::gauges(&registry, &table::BUILD_INFO)?;
        build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        register_process(registry.scraped())?;
        Ok(Self {
            listener: ListenerFamilies::new(&registry)?,
            connection: ConnectionFamilies::new(&registry)?,
            response: family::counters(&registry, &table::RESPONSES)?,
            backend: BackendFamilies::new(&registry)?,
            pool: PoolFamilies::new(&registry)?,
            route: RouteFamilies::new(&registry)?,
            mirrored: family::counters(&registry, &table::MIRRORED)?,
            lag: family::real_gauge(&registry, &table::LAG)?,
            evidence_dropped: single_counter(&registry, &table::EVIDENCE_DROPPED)?,
            log_stream_clients: family::gauges(&registry, &table::LOG_STREAM_CLIENTS)?
                .with_label_values::<&str>(&[]),
            log_lines_dropped: single_counter(&registry, &table::LOG_LINES_DROPPED)?,
            sidecar: SidecarHandles::new(&registry)?,
            reload: ReloadHandles::new(&registry)?,
            sinks: SinkHandles::new(&registry)?,
            history: HistoryHandles::new(&registry)?,
            upgrades: family::each(
                &family::counters(&registry, &table::UPGRADES)?,
                &[],
                UpgradeResult::NAMES,
            ),
            process_generation: family::gauges(&registry, &table::PROCESS_GENERATION)?
                .with_label_values::<&str>(&[]),
            registry,
        })
    }
}

impl Metrics {
    /// Makes the metrics of `topology`, all at zero and in their own registry.
    ///
    /// # Errors
    /// When the table contradicts itself.
    pub fn new(topology: &Topology) -> Result<Self, Error> {
        let families = Arc::new(Families::new()?);
        let pools = topology.pools.iter().map(|it| PoolHandles::new(&families.pool, &it.name));
        let metrics = Self::of(&families, topology, pools.collect());
        for backend in metrics.backends.iter().flatten() {
            backend.set_health(Condition::Unknown);
        }
        Ok(metrics)
    }

    /// Makes the metrics of `topology`, which follows another: series of what is called the same go
    /// on. `heritage` says where its pools and backends were before.
    #[must_use]
    pub fn succeeded_by(&self, topology: &Topology, heritage: &Succession) -> Self {
        let pools = topology.pools.iter().enumerate().map(|(index, pool)| {
            match heritage.pool(PoolId(index)) {
                Some(before) => self.pools[before.0].clone(),
                None => PoolHandles::new(&self.families.pool, &pool.name),
            }
        });
        let next = Self::of(&self.families, topology, pools.collect());
        for id in topology.backend_ids() {
            if heritage.backend(id).is_none() {
                next.backend(id).set_health(Condition::Unknown);
            }
        }
        next
    }

    fn of(families: &Arc<Families>, topology: &Topology, pools: Vec<PoolHandles>) -> Self {
        let mut labels: Vec<&str> = topology.pools.iter().map(|it| it.name.as_str()).collect();
        labels.extend([POOL_SIDECAR, POOL_NONE]);
        let listeners = topology.listeners.iter();
        let backends = topology.pools.iter().map(|pool| {
            let of_pool = pool.backends.iter();
            of_pool.map(|it| BackendHandles::new(&families.backend, &pool.name, it)).collect()
        });
        let connections =
            listeners.clone().map(|it| ConnectionHandles::new(&families.connection, it));
        let routes = topology
            .routes
            .iter()
            .map(|it| it.rate_limit.as_ref().map(|_| RouteHandles::new(&families.route, &it.name)));
        Self {
            connections: connections.collect(),
            listeners: listeners
                .map(|it| ListenerHandles::new(&families.listener, &it.name, &labels))
                .collect(),
            responses: labels
                .iter()
                .map(|label| ResponseHandles::new(&families.response, label))
                .collect(),
            backends: backends.collect(),
            pools,
            mirrored: mirrored(&families.mirrored, topology),
            routes: routes.collect(),
            families: Arc::clone(families),
        }
    }

    /// Counts a request that has begun on `listener`, an index in [`Topology::listeners`].
    pub fn request_started(&self, listener: usize) {
        self.listeners[listener].in_flight.inc();
    }

    /// Counts a request that was counted by [`Metrics::request_started`] and has ended.
    pub fn request_finished(&self, request: &FinishedRequest) {
        let label = match request.target {
            Some(Target::Pool(pool)) => pool.0,
            Some(Target::Sidecar) => self.pools.len(),
            Some(Target::Proxy) | None => self.pools.len() + 1,
        };
        let responses = &self.responses[label];
        let class = match request.answer {
            Answer::Upstream(status) => {
                responses.get(status, Origin::Upstream).inc();
                label::class_of(status)
            }
            Answer::Proxy(status) => {
                responses.get(status, Origin::Proxy).inc();
                label::class_of(status)
            }
            Answer::Aborted => label::ABORTED,
        };
        let listener = &self.listeners[request.listener];
        listener.in_flight.dec();
        listener.bytes_in.inc_by(request.bytes_in);
        listener.bytes_out.inc_by(request.bytes_out);
        listener.requests[label].by_class[class].inc();
        listener.requests[label].duration.observe(request.took.as_secs_f64());
    }

    /// Counts a request of `pool` that ended inside an incident's window, beside
    /// [`Metrics::request_finished`].
    pub fn request_in_incident(&self, pool: PoolId, took: Duration) {
        self.pools[pool.0].request_duration.observe(took.as_secs_f64());
    }

    /// Counts an attempt that has ended; one that the client abandoned is not counted.
    pub fn attempt_finished(&self, backend: BackendId, outcome: AttemptOutcome, took: Duration) {
        let Some(outcome) = label::outcome_of(outcome) else { return };
        let backend = self.backend(backend);
        backend.attempts[outcome].inc();
        backend.attempt_duration.observe(took.as_secs_f64());
    }

    /// Counts a retry that has ended or was denied.
    pub fn retry(&self, pool: PoolId, outcome: RetryOutcome) {
        self.pools[pool.0].retries[outcome as usize].inc();
    }

    /// Counts a second attempt begun beside another.
    pub fn hedged(&self, pool: PoolId) {
        self.pools[pool.0].hedges.inc();
    }

    /// Counts a copy of a request for this pool, to which a route mirrors.
    pub fn mirrored(&self, pool: PoolId, outcome: MirrorOutcome) {
        if let Some(counters) = &self.mirrored[pool.0] {
            counters[outcome as usize].inc();
        }
    }

    /// Counts a request that has to wait for a backend that is not full.
    pub fn queued(&self, pool: PoolId) {
        self.pools[pool.0].queued.inc();
    }

    /// Observes that a request has waited that long, and has got a backend.
    pub fn queue_left(&self, pool: PoolId, waited: Duration) {
        self.pools[pool.0].queue_duration.observe(waited.as_secs_f64());
    }

    /// Shows how many requests wait.
    pub fn queue_length(&self, pool: PoolId, length: usize) {
        self.pools[pool.0].queue_length.set(family::small(length));
    }

    /// Counts a request that the rate limit of this route, an index in [`Topology::routes`], turned
    /// away.
    pub fn rate_limited(&self, route: usize) {
        if let Some(Some(route)) = self.routes.get(route) {
            route.limited.inc();
        }
    }

    /// Counts a client that the rate limit of this route had to forget before its time.
    pub fn rate_forgotten(&self, route: usize) {
        if let Some(Some(route)) = self.routes.get(route) {
            route.forgotten.inc();
        }
    }

    /// Counts a request that was answered without an attempt.
    pub fn rejected(&self, pool: PoolId, reason: Rejection) {
        self.pools[pool.0].rejected[reason as usize].inc();
    }

    /// Counts a health check that has ended; `failure` is `None` when it passed.
    pub fn health_check(&self, backend: BackendId, failure: Option<Symptom>, took: Duration) {
        self.backend(backend).checks[label::check_result_of(failure)].inc();
        self.pools[backend.pool.0].check_duration.observe(took.as_secs_f64());
    }

    /// Returns where it is shown how late the data plane runs, whatever is configured.
    pub fn lag_gauge(&self) -> LagGauge {
        LagGauge(self.families.lag.clone())
    }

    /// Counts outcomes of attempts that were not judged.
    pub fn evidence_dropped(&self, count: u64) {
        self.families.evidence_dropped.inc_by(count);
    }

    /// Shows how many read the live log.
    pub fn log_stream_clients(&self, count: usize) {
        self.families.log_stream_clients.set(family::small(count));
    }

    /// Counts an attempt to let another process take over.
    pub fn upgrade(&self, result: UpgradeResult) {
        self.families.upgrades[result as usize].inc();
    }

    /// Sets how many processes there have been that took over one from another.
    pub fn process_generation(&self, count: u64) {
        self.families.process_generation.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Counts lines that readers of the live log missed.
    pub fn log_lines_dropped(&self, count: u64) {
        self.families.log_lines_dropped.inc_by(count);
    }

    /// Shows what has become of records of requests.
    pub fn sinks(&self, totals: Totals) {
        self.families.sinks.show(totals);
    }

    /// Shows how the history fares.
    pub fn history(&self, totals: HistoryTotals) {
        self.families.history.show(totals);
    }

    /// Counts `event`, which happened at `now`. `trigger` matters for changes of tier only, and is
    /// what the incident says of the loss that led to this one.
    pub fn event(&self, event: &Event, trigger: Trigger, now: Timestamp) {
        match *event {
            Event::BackendEjected { backend, ejection } => {
                self.pools[backend.pool.0].ejections[ejection as usize].inc();
            }
            Event::TierChanged { pool, from, to, reason } => {
                let loss = match reason {
                    TierReason::Lost(loss) => Some(FailoverReason::new(loss, trigger)),
                    TierReason::Manual => Some(FailoverReason::Manual),
                    TierReason::HoldDownEnded | TierReason::Requested | TierReason::Regained => {
                        None
                    }
                    TierReason::Reconfigured => return self.tier_renamed(pool, to),
                };
                self.tier_changed(pool, from, to, loss, now);
            }
            Event::EvidenceDisagreed { backend, .. } => {
                self.backend(backend).disagreement.set(1);
            }
            Event::EvidenceAgreed { backend } => self.backend(backend).disagreement.set(0),
            Event::BackendSuspected { .. }
            | Event::EvidenceGathered { .. }
            | Event::BackendCleared { .. }
            | Event::BackendLost { .. }
            | Event::BackendRegained { .. }
            | Event::BackendDrained { .. }
            | Event::BackendEnabled { .. }
            | Event::WeightChanged { .. }
            | Event::FailoverRequested { .. }
            | Event::FailoverEnded { .. }
            | Event::FailbackBegan { .. }
            | Event::FailbackAborted { .. }
            | Event::BackendServed { .. }
            | Event::FaultRequested { .. }
            | Event::FaultWithdrawn { .. } => {}
        }
    }

    /// Observes that a loss was decided, `detection` after the first sign of trouble.
    pub fn failover_decided(&self, pool: PoolId, reason: FailoverReason, detection: Duration) {
        self.pools[pool.0].detection[reason as usize].observe(detection.as_secs_f64());
    }

    /// Observes the first success elsewhere, `switch` after the decision.
    pub fn failover_served(&self, pool: PoolId, switch: Duration) {
        self.pools[pool.0].switch.observe(switch.as_secs_f64());
    }

    /// Counts an incident whose window has ended: its cause, and what became of its requests.
    pub fn incident_counted(&self, pool: PoolId, cause: Cause, requests: Requests) {
        self.observe_lost(pool, requests);
        self.count_rescued(pool, requests);
        if let Some(index) = Cause::ALL.iter().position(|&it| it == cause) {
            self.pools[pool.0].incidents[index].inc();
        }
    }

    /// Counts what an incident cost beyond what was counted before. Where that includes requests
    /// that were lost, they are one more observation: a histogram takes nothing back.
    pub fn incident_recounted(&self, pool: PoolId, more: Requests) {
        if more.lost != 0 {
            self.observe_lost(pool, more);
        }
        self.count_rescued(pool, more);
    }

    fn observe_lost(&self, pool: PoolId, requests: Requests) {
        #[expect(clippy::cast_precision_loss, reason = "the buckets end at 3000")]
        self.pools[pool.0].client_errors.observe(requests.lost as f64);
    }

    fn count_rescued(&self, pool: PoolId, requests: Requests) {
        let rescued = [requests.rescued_by_retry, requests.rescued_by_hedge];
        for (counter, rescued) in self.pools[pool.0].masked.iter().zip(rescued) {
            counter.inc_by(rescued);
        }
    }

    /// Shows the condition of everything at `now`. Repeating it is harmless.
    pub fn publish(&self, topology: &Topology, snapshot: &Snapshot, live: &Live, now: Timestamp) {
        for (index, handles) in self.pools.iter().enumerate() {
            let pool = snapshot.pool(PoolId(index));
            handles.active_tier.set(pool.active_tier.map_or(-1, family::small));
            handles.held_tier.set(pool.held.map_or(-1, family::small));
            let is_open = &live.pool(PoolId(index)).incident_is_open;
            handles.in_progress.set(i64::from(is_open.load(Relaxed)));
        }
        for id in topology.backend_ids() {
            let is_serving = 0.0 < snapshot.pool(id.pool).part(topology.backend(id).tier);
            let handles = self.backend(id);
            handles.set_condition(snapshot.backend(id), is_serving);
            handles.fault_active.set(i64::from(live.backend(id).fault(now).is_some()));
        }
    }

    /// Takes out the series of what `topology` does not have, if it was so at the last look, too. Returns
    /// those of which it is so since.
    pub fn sweep(&self, topology: &Topology, last: &Marked) -> Marked {
        let names = Names::of(topology);
        self.families.registry.sweep(last, |labels| !names.know(labels))
    }

    /// Returns all metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.families.registry.scraped().gather())
            .unwrap_or_else(|error| {
                // Not a comment: Prometheus refuses the scrape and shows this line.
                format!("metrics could not be rendered: {error}\n")
            })
    }

    fn tier_changed(
        &self,
        pool: PoolId,
        from: Option<usize>,
        to: Option<usize>,
        loss: Option<FailoverReason>,
        now: Timestamp,
    ) {
        let pool = &self.pools[pool.0];
        let mut placement = pool.placement.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((direction, reason)) = placement.moved(from, to, loss) else { return };
        pool.failovers[direction as usize][reason as usize].inc();
        let at = clock::wall_of(now).as_secs();
        pool.last.set(i64::try_from(at).unwrap_or(i64::MAX));
    }

    /// Takes in that traffic is in a tier of that number, without having moved there.
    fn tier_renamed(&self, pool: PoolId, to: Option<usize>) {
        let placement = &self.pools[pool.0].placement;
        placement.lock().unwrap_or_else(PoisonError::into_inner).renamed(to);
    }

    fn backend(&self, id: BackendId) -> &BackendHandles {
        &self.backends[id.pool.0][id.index]
    }
}

fn single_counter(registry: &Registry, metric: &Metric) -> Result<IntCounter, Error> {
    Ok(family::counters(registry, metric)?.with_label_values::<&str>(&[]))
}

/// Makes the counters of copies, for those pools that routes mirror to.
fn mirrored(family: &IntCounterVec, topology: &Topology) -> Vec<Option<[IntCounter; 4]>> {
    let is_mirror = |pool: usize| {
        topology.routes.iter().any(|it| it.mirror.is_some_and(|it| it.pool.0 == pool))
    };
    let counters = |(index, pool): (usize, &Pool)| {
        is_mirror(index).then(|| family::each(family, &[&pool.name], MirrorOutcome::NAMES))
    };
    topology.pools.iter().enumerate().map(counters).collect()
}

/// Registers `process_…`: processor time, memory, descriptors, threads, start.
#[cfg(target_os = "linux")]
fn register_process(registry: &prometheus::Registry) -> Result<(), Error> {
    use prometheus::process_collector::ProcessCollector;
    registry.register(Box::new(ProcessCollector::for_self()))
}

/// The library knows how to read these numbers on Linux only.
#[cfg(not(target_os = "linux"))]
fn register_process(_: &prometheus::Registry) -> Result<(), Error> {
    Ok(())
}

#[cfg(test)]
mod tests;
