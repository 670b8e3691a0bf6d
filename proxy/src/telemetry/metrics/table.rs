//! Every metric: name, kind, labels, help. Nowhere else names one.

/// One metric, as declared.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// The full name.
    pub name: &'static str,
    /// What it measures with.
    pub kind: Kind,
    /// In the order in which values are given.
    pub labels: &'static [&'static str],
    /// One sentence, for people.
    pub help: &'static str,
}

/// What a metric measures with.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts observations by size; the bounds are inclusive.
    Histogram(&'static [f64]),
}

/// Requests and attempts. Finer than what OpenTelemetry advises, because a proxy that adds half a
/// millisecond must see it; 0.1 is a bound because objectives are set there.
const REQUEST_SECONDS: Kind = Kind::Histogram(&[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
]);
/// What takes one round trip on a local network when all is well.
const SHORT_SECONDS: Kind =
    Kind::Histogram(&[0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0]);
/// From one missed health check at the fast interval to several at slow ones.
const DETECTION_SECONDS: Kind =
    Kind::Histogram(&[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0]);
/// Zero has its own bucket: it is the promise.
const CLIENT_ERRORS: Kind =
    Kind::Histogram(&[0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0]);

macro_rules! table {
    ($($id:ident = $kind:expr, $name:literal, [$($label:literal),*], $help:literal;)*) => {
        $(pub(crate) const $id: Metric =
            Metric { name: $name, kind: $kind, labels: &[$($label),*], help: $help };)*

        /// Every metric but the process's own (`process_…`), in the order of the documentation.
        pub const TABLE: &[Metric] = &[$($id),*];
    };
}

table! {
    CONNECTIONS = Kind::Counter, "bascule_connections_total", ["listener"],
        "Clients' connections accepted.";
    CONNECTIONS_OPEN = Kind::Gauge, "bascule_connections_open", ["listener"],
        "Clients' connections that are open.";
    CONNECTIONS_LIMIT = Kind::Gauge, "bascule_connections_limit", ["listener"],
        "Clients' connections that may be open; further clients wait.";
    CONNECTIONS_REFUSED = Kind::Counter, "bascule_connections_refused_total",
        ["listener", "reason"],
        "Clients' connections closed before their first request.";
    REQUESTS_REFUSED = Kind::Counter, "bascule_requests_refused_total", ["listener", "reason"],
        "Requests answered with an error before anybody acted on them: malformed, too large, too slow.";
    CERTIFICATE_EXPIRY = Kind::Gauge, "bascule_certificate_expiry_timestamp_seconds",
        ["listener", "certificate"],
        "Unix time at which a certificate expires; certificates are numbered from 0, as configured.";
    REQUESTS = Kind::Counter, "bascule_requests_total", ["listener", "pool", "code_class"],
        "Requests finished, by class of the status sent; aborted if the response did not end.";
    RESPONSES = Kind::Counter, "bascule_responses_total", ["pool", "code", "origin"],
        "Responses sent, by status and by who made them.";
    REQUEST_DURATION = REQUEST_SECONDS, "bascule_request_duration_seconds", ["listener", "pool"],
        "Time from a request's head to the end of its response, retries included.";
    REQUESTS_IN_FLIGHT = Kind::Gauge, "bascule_requests_in_flight", ["listener"],
        "Requests that have begun and not ended.";
    REQUEST_BYTES = Kind::Counter, "bascule_request_bytes_total", ["listener"],
        "Bytes of request bodies received.";
    RESPONSE_BYTES = Kind::Counter, "bascule_response_bytes_total", ["listener"],
        "Bytes of response bodies sent.";
    UPSTREAM_REQUESTS = Kind::Counter, "bascule_upstream_requests_total",
        ["pool", "backend", "outcome"],
        "Attempts ended, by outcome; those that the client abandoned are left out.";
    UPSTREAM_DURATION = REQUEST_SECONDS, "bascule_upstream_duration_seconds", ["pool", "backend"],
        "Time that attempts took; those that the client abandoned are left out.";
    RETRIES = Kind::Counter, "bascule_retries_total", ["pool", "outcome"],
        "Retries by how they ended, and retries denied that would otherwise have been made.";
    HEDGES = Kind::Counter, "bascule_hedges_total", ["pool"],
        "Second attempts begun beside one that had overstayed.";
    MIRRORED = Kind::Counter, "bascule_mirrored_requests_total", ["pool", "outcome"],
        "Copies of requests for this pool, by whether they were sent or why they were not.";
    REJECTED = Kind::Counter, "bascule_rejected_total", ["pool", "reason"],
        "Requests answered with an error because no attempt could be made.";
    QUEUED = Kind::Counter, "bascule_queued_total", ["pool"],
        "Requests that had to wait because every backend that could serve them was full.";
    QUEUE_LENGTH = Kind::Gauge, "bascule_queue_length", ["pool"],
        "Requests that wait at present for a backend that is not full.";
    QUEUE_DURATION = REQUEST_SECONDS, "bascule_queue_duration_seconds", ["pool"],
        "Time that requests waited that then got a backend.";
    RATE_LIMITED = Kind::Counter, "bascule_rate_limited_total", ["route"],
        "Requests answered with 429 because of the route's rate limit.";
    RATE_FORGOTTEN = Kind::Counter, "bascule_rate_limit_forgotten_total", ["route"],
        "Clients forgotten by the route's rate limit before their time, because of too many others.";
    BACKEND_ELIGIBLE = Kind::Gauge, "bascule_backend_eligible", ["pool", "backend"],
        "Whether the backend may be picked.";
    BACKEND_ACTIVE = Kind::Gauge, "bascule_backend_active", ["pool", "backend"],
        "Whether the backend is eligible and in a tier that gets traffic.";
    BACKEND_HEALTH = Kind::Gauge, "bascule_backend_health", ["pool", "backend", "state"],
        "Whether the backend is in this state; it is in exactly one.";
    BACKEND_INTENT = Kind::Gauge, "bascule_backend_intent", ["pool", "backend", "state"],
        "Whether operators want this of the backend; they want exactly one thing.";
    BACKEND_INFO = Kind::Gauge, "bascule_backend_info", ["pool", "backend", "tier"],
        "Always 1: the tier of the backend, as configured.";
    BACKEND_WEIGHT = Kind::Gauge, "bascule_backend_weight", ["pool", "backend"],
        "The backend's share within its tier, in relation to the others' weights, as last ordered.";
    HEALTH_CHECKS = Kind::Counter, "bascule_health_checks_total", ["pool", "backend", "result"],
        "Health checks ended, by result.";
    HEALTH_CHECK_DURATION = SHORT_SECONDS, "bascule_health_check_duration_seconds", ["pool"],
        "Time that health checks took.";
    EJECTIONS = Kind::Counter, "bascule_ejections_total", ["pool", "reason"],
        "Backends taken out because of how they treated real traffic, or by an operator.";
    POOL_ACTIVE_TIER = Kind::Gauge, "bascule_pool_active_tier", ["pool"],
        "The tier that serves, 0 being preferred; -1 when nothing is eligible.";
    POOL_HELD_TIER = Kind::Gauge, "bascule_pool_held_tier", ["pool"],
        "The tier in which an operator holds the pool; -1 when nobody holds it.";
    FAILOVERS = Kind::Counter, "bascule_failovers_total", ["pool", "direction", "reason"],
        "Moves of a pool's traffic to a later tier, and back; those back with the same reason.";
    FAILOVER_IN_PROGRESS = Kind::Gauge, "bascule_failover_in_progress", ["pool"],
        "Whether a backend was lost and traffic has not settled.";
    FAILOVER_DETECTION = DETECTION_SECONDS, "bascule_failover_detection_seconds",
        ["pool", "reason"],
        "Time from the first sign of trouble to the backend being taken out.";
    FAILOVER_SWITCH = SHORT_SECONDS, "bascule_failover_switch_seconds", ["pool"],
        "Time from a backend being taken out to the first success elsewhere.";
    FAILOVER_CLIENT_ERRORS = CLIENT_ERRORS, "bascule_failover_client_errors", ["pool"],
        "Errors that clients saw, per incident.";
    FAILOVER_MASKED = Kind::Counter, "bascule_failover_masked_requests_total",
        ["pool", "rescue"],
        "Requests inside incident windows that were saved, by what saved them.";
    FAILOVER_REQUEST_DURATION = REQUEST_SECONDS, "bascule_failover_request_duration_seconds",
        ["pool"],
        "Time that requests inside incident windows took.";
    FAILOVER_LAST = Kind::Gauge, "bascule_failover_last_timestamp_seconds", ["pool"],
        "Unix time at which traffic last moved between tiers; 0 if it never did.";
    INCIDENT_EVENTS = Kind::Counter, "bascule_incident_events_total", ["pool", "cause"],
        "Incidents whose window has ended, by cause.";
    UPGRADES = Kind::Counter, "bascule_upgrades_total", ["result"],
        "Attempts to let another process take over, by result; after one that is completed, that process counts.";
    PROCESS_GENERATION = Kind::Gauge, "bascule_process_generation", [],
        "Processes there have been that took over one from another, this one included.";
    LAG = Kind::Gauge, "bascule_data_plane_lag_seconds", [],
        "How late the data plane runs at best, where a limit on that is set.";
    EVIDENCE_DROPPED = Kind::Counter, "bascule_evidence_dropped_total", [],
        "Outcomes of attempts that were not judged because too many waited.";
    EVIDENCE_DISAGREEMENT = Kind::Gauge, "bascule_evidence_disagreement", ["pool", "backend"],
        "Whether health checks say of the backend the opposite of what real traffic says.";
    FAULT_ACTIVE = Kind::Gauge, "bascule_fault_active", ["pool", "backend"],
        "Whether a fault injected by an operator is under way.";
    LOG_STREAM_CLIENTS = Kind::Gauge, "bascule_log_stream_clients", [],
        "Readers of the live log.";
    ACCESS_LOG_LINES = Kind::Counter, "bascule_access_log_lines_total", [],
        "Lines of the access log that were written.";
    ACCESS_LOG_DROPPED = Kind::Counter, "bascule_access_log_dropped_total", [],
        "Lines of the access log that were not written: too many waited, or the disk refused them.";
    TRACE_SPANS = Kind::Counter, "bascule_trace_spans_exported_total", [],
        "Spans that the collector has taken.";
    TRACE_SPANS_DROPPED = Kind::Counter, "bascule_trace_spans_dropped_total", ["reason"],
        "Spans that no collector got: too many waited, it did not answer, or it refused them.";
    LOG_LINES_DROPPED = Kind::Counter, "bascule_log_lines_dropped_total", [],
        "Lines that readers of the live log missed because they were slow.";
    AUDIT_LOST = Kind::Counter, "bascule_audit_lost_total", [],
        "Changes of state that are missing in the audit file because it could not be written.";
    HISTORY_STORED = Kind::Gauge, "bascule_history_stored", [],
        "Whether the history is written to a file; 0 where it is in memory, by configuration or because the file failed.";
    HISTORY_BYTES = Kind::Gauge, "bascule_history_file_bytes", [],
        "What the history's file weighs.";
    HISTORY_WRITES = Kind::Counter, "bascule_history_writes_total", [],
        "Changes written to the history's file, each as a whole.";
    HISTORY_DROPPED = Kind::Counter, "bascule_history_dropped_total", [],
        "Parts of the history that were not written when they were to be, because too many waited.";
    HISTORY_FAILURES = Kind::Counter, "bascule_history_failures_total", [],
        "Failures of the history's file; what could not be written is kept in memory and tried again.";
    ADMIN_REFUSED = Kind::Counter, "bascule_admin_refused_total", ["reason"],
        "Requests to the sidecar that were refused because of who asked, by the code of the answer.";
    RELOAD_SUCCESSFUL = Kind::Gauge, "bascule_config_last_reload_successful", [],
        "Whether the latest reload of the configuration was not refused.";
    RELOAD_LAST = Kind::Gauge, "bascule_config_last_reload_timestamp_seconds", [],
        "Unix time of the latest reload of the configuration, refused ones included; 0 before any.";
    RELOADS = Kind::Counter, "bascule_config_reloads_total", ["result"],
        "Reloads of the configuration, by result.";
    CUT = Kind::Counter, "bascule_requests_cut_total", ["drained"],
        "Requests that were ended because they outlasted a drain: of a backend that is configured no \
         more, or of the process.";
    GENERATION = Kind::Gauge, "bascule_config_generation", [],
        "The number of the configuration in use, from 1, which is that at start.";
    BUILD_INFO = Kind::Gauge, "bascule_build_info", ["version"],
        "Always 1: what is running.";
}
