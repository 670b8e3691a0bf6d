//! The validated vocabulary: what the proxy was told to do, with nothing left to doubt.
//!
//! A [`Topology`] is only made by `config`, which rejects everything that could not work. The
//! rest of the crate therefore needs no checks: every route names a pool that exists, every pool
//! has a backend, every threshold is at least one.

mod admin;
mod affinity;
mod check;
mod history;
mod intent;
mod limits;
mod listener;
mod logging;
mod pattern;
mod reload;
mod route;
#[cfg(test)]
pub(crate) mod sample;
mod shutdown;
mod succession;
mod traces;
mod transport;

use std::{
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

pub use admin::{
    Admin, AuditTrail, Auth, HashSource, LogStreamLimits, NamedCertificate, NamedToken, Role,
};
pub use affinity::{HashKey, SameSite, Secret, Sticky};
pub use check::{CheckKind, HttpCheck};
pub use history::History;
pub use intent::Intent;
pub use limits::{PoolLimits, ProcessLimits, RateKey, RateLimit};
#[cfg(test)]
pub(crate) use listener::sample as sample_listener;
pub use listener::{
    CertificateFiles, ClientAuth, ListenAddress, Listener, ListenerLimits, ListenerTimeouts,
    ListenerTls, ProxyProtocol, ProxyStatusAnswers, ProxyStatusPolicy, TlsVersion,
};
pub use logging::{
    AccessField, AccessFormat, AccessLog, Always, ClientDetail, Level, LogFormat, Logging,
    Redaction, Trusted,
};
pub use succession::Succession;
pub use traces::{Collector, CollectorProtocol, Tracing};
pub use transport::{BackendAddress, BackendTls, ClientIdentity, Place, ProxyVersion};

pub use pattern::Pattern;
pub use reload::Reload;
pub use route::{
    Destination, FixedResponse, HeaderEdits, HostMatch, Location, Match, Mirror, PathMatch,
    Redirect, Rewrite, Route, Split, SplitKey, Target, ValueMatch,
};
pub use shutdown::Shutdown;

/// Index of a pool in [`Topology::pools`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolId(pub usize);

/// Names one backend: its pool, and its index in [`Pool::backends`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendId {
    /// The pool that the backend belongs to.
    pub pool: PoolId,
    /// Index in [`Pool::backends`].
    pub index: usize,
}

/// Everything that one configuration describes.
#[derive(Clone, Debug)]
pub struct Topology {
    /// Worker threads of the data plane.
    pub threads: NonZeroUsize,
    /// Where clients connect.
    pub listeners: Vec<Listener>,
    /// In order of precedence: the first match wins.
    pub routes: Vec<Route>,
    /// What routes refer to by [`PoolId`].
    pub pools: Vec<Pool>,
    /// What the process lets in.
    pub limits: ProcessLimits,
    /// How the process ends.
    pub shutdown: Shutdown,
    /// How another configuration takes this one's place.
    pub reload: Reload,
    /// What is kept of the past.
    pub history: History,
    /// The sidecar.
    pub admin: Admin,
    /// What is logged, and how.
    pub logging: Logging,
    /// How requests are traced; `None` if they are not.
    pub traces: Option<Tracing>,
}

impl Topology {
    /// Returns the pool named by `id`.
    pub fn pool(&self, id: PoolId) -> &Pool {
        &self.pools[id.0]
    }

    /// Returns how attempts at this pool are repeated for requests of a route, an index in
    /// [`Topology::routes`].
    pub fn retries(&self, route: Option<usize>, pool: PoolId) -> &RetryPolicy {
        let of_route = route.and_then(|it| self.routes.get(it));
        of_route
            .and_then(|route| route.retries.iter().find(|(id, _)| *id == pool))
            .map_or_else(|| &self.pool(pool).retries, |(_, policy)| policy)
    }

    /// Returns the backend named by `id`.
    pub fn backend(&self, id: BackendId) -> &Backend {
        &self.pools[id.pool.0].backends[id.index]
    }

    /// Returns every backend's id, pool by pool, in the order of the configuration.
    pub fn backend_ids(&self) -> impl Iterator<Item = BackendId> + '_ {
        self.pools.iter().enumerate().flat_map(|(pool, it)| {
            (0..it.backends.len()).map(move |index| BackendId { pool: PoolId(pool), index })
        })
    }

    /// Returns the pool called `name`.
    pub fn pool_named(&self, name: &str) -> Option<PoolId> {
        self.pools.iter().position(|pool| pool.name == name).map(PoolId)
    }
}

/// A named set of interchangeable backends.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Unique name, also a metric label.
    pub name: String,
    /// How one of a tier's eligible backends is picked.
    pub balance: Balance,
    /// What requests have in common that belong together, for [`Balance::Hash`].
    pub hash: HashKey,
    /// The most requests under way at a backend, as a multiple of its due, before a key's go to the
    /// next: 1 and up.
    pub hash_bound: Option<f64>,
    /// How a client is kept at one backend.
    pub sticky: Option<Sticky>,
    /// When a tier hands over, and when it gets its traffic back.
    pub tiers: TierPolicy,
    /// In the order of the configuration; at least one.
    pub backends: Vec<Backend>,
    /// How health is checked.
    pub health_check: HealthCheck,
    /// How real traffic is judged.
    pub outlier_detection: OutlierPolicy,
    /// When a failed attempt is followed by another.
    pub retries: RetryPolicy,
    /// When a backend that answers late is suspected, and what happens then.
    pub suspicion: SuspicionPolicy,
    /// Which responses are held back until they are whole.
    pub hold_back: HoldBack,
    /// What is spoken with the backends.
    pub protocol: Protocol,
    /// What is asked of those that speak TLS, and shown to them.
    pub tls: BackendTls,
    /// How they are told who connects, if they are.
    pub proxy_protocol: Option<ProxyVersion>,
    /// How long a backend that may be picked again takes to get its full share; zero is at once.
    pub slow_start: Duration,
    /// What happens to requests while no backend may be picked.
    pub when_down: WhenDown,
    /// How much each backend is asked at a time, and what becomes of more.
    pub limits: PoolLimits,
    /// Bounds on what one attempt may take.
    pub timeouts: Timeouts,
}

impl Pool {
    /// Returns the number of tiers; they are numbered from 0, which is preferred, without gaps.
    pub fn tier_count(&self) -> usize {
        self.backends.iter().map(|backend| backend.tier + 1).max().unwrap_or(0)
    }

    /// Returns how many attempts may be under way at each backend; `None` for as many as there are.
    ///
    /// With HTTP/1.1, where a connection carries one at a time, a bound on connections is one on
    /// attempts, too.
    pub fn slots(&self) -> Option<u64> {
        let connections = match self.protocol {
            Protocol::Http1 => self.limits.max_connections,
            Protocol::Http2 => None,
        };
        let bounds = [self.limits.max_requests, connections];
        bounds.into_iter().flatten().map(|it| u64::from(it.get())).min()
    }
}

/// How one of a tier's eligible backends is picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// In turn, as often as the weights say, spread evenly.
    RoundRobin,
    /// The less busy, in relation to its weight, of two picked at random.
    LeastRequests,
    /// The one of two picked at random that should answer sooner, by how long its answers take at
    /// present.
    PeakEwma,
    /// The one that the request's key belongs to; see [`Pool::hash`].
    Hash,
}

/// One address that serves.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Unique in its pool, also a metric label.
    pub name: String,
    /// As configured, for people.
    pub url: String,
    /// Where it is reached.
    pub address: BackendAddress,
    /// 0 is preferred.
    pub tier: usize,
    /// Share within its tier, in relation to the others' weights.
    pub weight: NonZeroU32,
}

/// When a tier hands over to the next, and when it gets its traffic back.
#[derive(Clone, Copy, Debug)]
pub struct TierPolicy {
    /// What a tier needs in order to carry all traffic.
    pub fail_over_below: Capacity,
    /// Whether a tier below that keeps the part of the traffic that it can carry. Otherwise all of
    /// it goes to the next tier.
    pub spill_over: bool,
    /// Whether traffic returns to a preferred tier by itself.
    pub failback: FailbackMode,
    /// How long a preferred tier must be able to serve before traffic returns to it.
    pub failback_after: Duration,
    /// The longest hold-down: each failover soon after a failback doubles the next hold-down, up
    /// to this.
    pub failback_after_max: Duration,
    /// How long a returning tier takes to get all traffic; zero is at once.
    pub failback_ramp: Duration,
}

/// What a tier needs in order to carry all traffic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Capacity {
    /// So many eligible backends; or all, in a tier that has fewer.
    Backends(NonZeroUsize),
    /// This share of the tier's weight must be eligible, above 0 and up to 1.
    Share(f64),
}

/// Whether traffic returns to a preferred tier by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailbackMode {
    /// After the hold-down.
    Automatic,
    /// When an operator says so, or when nothing else can serve.
    Manual,
}

/// What happens to requests while no backend of a pool may be picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenDown {
    /// They are answered with 503 at once.
    Reject,
    /// They are sent to any backend, in the hope that the verdicts are wrong.
    FailOpen,
}

/// What is spoken with a pool's backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, one request at a time on a connection.
    Http1,
    /// HTTP/2: over TLS by ALPN, without TLS with prior knowledge.
    Http2,
}

/// When a backend that answers late is suspected, and what happens then.
///
/// The proxy learns how long each kind of request takes at each backend. One that has waited
/// `factor` times as long as nearly all before it, while its backend answered nobody, has
/// overstayed.
#[derive(Clone, Copy, Debug)]
pub struct SuspicionPolicy {
    /// Whether waits are judged at all.
    pub is_enabled: bool,
    /// No wait shorter than this is too long.
    pub floor: Duration,
    /// Multiple of the learned time, 1 and up.
    pub factor: f64,
    /// Whether a request that has overstayed is sent to a second backend, too, if it may be
    /// repeated.
    pub hedge: bool,
}

/// Which responses are held back until they are whole, so that one that breaks off can be retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldBack {
    /// Longest response body held back, in bytes; zero for none.
    pub size: usize,
    /// Bound on what all responses held back at a time may take, in bytes. Beyond it they are
    /// passed on as they come.
    pub memory: usize,
    /// How long a body of unknown length is held back at most.
    pub patience: Duration,
}

/// How and how often a backend is asked whether it is well.
#[derive(Clone, Debug)]
pub struct HealthCheck {
    /// What is asked.
    pub kind: CheckKind,
    /// From the start of one check to the start of the next.
    pub interval: Duration,
    /// The same, while something looks wrong.
    pub interval_fast: Duration,
    /// Share of the interval by which each wait is lengthened or shortened at random, 0 to 1.
    pub jitter: f64,
    /// For one whole check: connecting, asking, answering.
    pub timeout: Duration,
    /// Passes in a row that make an unhealthy backend healthy.
    pub rise: NonZeroU32,
    /// Failures in a row that make a healthy backend unhealthy.
    pub fall: NonZeroU32,
}

/// How real traffic condemns a backend.
#[derive(Clone, Copy, Debug)]
pub struct OutlierPolicy {
    /// Failed attempts in a row, with no success between, that eject a backend.
    pub consecutive_failures: NonZeroU32,
    /// Share of the attempts of the last ten seconds that may fail, 0 to 1.
    pub failure_ratio: f64,
    /// Fewest failed attempts in those ten seconds for the share to count.
    pub failure_ratio_min: NonZeroU32,
    /// A backend whose median answer takes this many times as long as that of its tier is ejected;
    /// 1 and up.
    pub latency_factor: f64,
    /// The first ejection's length; each further one soon after is twice as long.
    pub eject_base: Duration,
    /// The longest ejection.
    pub eject_max: Duration,
    /// Share of a pool's backends that may be ejected at once, 0 to 1; always at least one
    /// backend, never the last eligible one.
    pub max_ejected: f64,
}

/// When a failed attempt is followed by another.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// Attempts in all, the first included.
    pub max_attempts: NonZeroU32,
    /// Answers of a backend that count as a failed attempt.
    pub statuses: Vec<u16>,
    /// The same, of calls of gRPC.
    pub grpc_statuses: Vec<u16>,
    /// How long one attempt may take to begin its answer.
    pub per_try_timeout: Duration,
    /// Share of recent requests that may be retried, 0 and up.
    pub budget_ratio: f64,
    /// Retries allowed in any case, per second.
    pub budget_min_per_second: u32,
    /// Wait before a retry at a backend that this request has tried; each further one waits twice
    /// as long. Another backend is asked at once.
    pub backoff: Duration,
    /// Longest request body kept for a retry, in bytes.
    pub replay_size: usize,
    /// Bound on what all request bodies kept at a time may take, in bytes.
    pub replay_memory: usize,
    /// A request that must not be repeated uses no connection that was idle for longer.
    pub fresh_after: Duration,
    /// Whether a request that must not be repeated is sent again when its connection was closed and
    /// the kernel proves that nothing of it was received.
    pub on_proof: bool,
}

/// Bounds on what one attempt may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// To connect, TLS included.
    pub connect: Duration,
    /// Between two reads of a response's body, and between two writes of a request's.
    pub between_reads: Duration,
    /// How long a call of gRPC may be silent in both directions.
    pub stream_idle: Duration,
    /// How long a WebSocket may be silent.
    pub websocket_idle: Duration,
    /// How long an unused connection to a backend is kept.
    pub idle: Duration,
    /// Unused connections kept to each backend.
    pub idle_connections: usize,
}

/// A topology that many parts hold.
pub type SharedTopology = Arc<Topology>;
