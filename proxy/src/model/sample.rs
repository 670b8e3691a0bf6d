//! Small topologies for tests.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

use crate::model::{
    Admin, AuditTrail, Auth, Backend, BackendAddress, BackendTls, Balance, Capacity,
    CertificateFiles, CheckKind, Destination, FailbackMode, HashKey, HeaderEdits, HealthCheck,
    HoldBack, HttpCheck, Level, Listener, ListenerTls, LogFormat, LogStreamLimits, Logging, Match,
    OutlierPolicy, Pool, PoolId, PoolLimits, ProcessLimits, Protocol, Reload, RetryPolicy, Role,
    Route, SharedTopology, Shutdown, SuspicionPolicy, TierPolicy, Timeouts, TlsVersion, Topology,
    WhenDown, sample_listener,
};

/// Makes a pool of backends `b0`, `b1`, … from their tiers and weights.
pub(crate) fn pool(name: &str, backends: &[(usize, u32)]) -> Pool {
    Pool {
        name: name.to_owned(),
        balance: Balance::RoundRobin,
        hash: HashKey::ClientAddress,
        hash_bound: None,
        sticky: None,
        tiers: tier_policy(),
        backends: backends.iter().enumerate().map(backend).collect(),
        health_check: HealthCheck {
            kind: CheckKind::Http(HttpCheck::of("/health")),
            interval: Duration::from_secs(1),
            interval_fast: Duration::from_millis(100),
            jitter: 0.2,
            timeout: Duration::from_millis(500),
            rise: NonZeroU32::new(2).unwrap(),
            fall: NonZeroU32::new(2).unwrap(),
        },
        outlier_detection: OutlierPolicy {
            consecutive_failures: NonZeroU32::new(3).unwrap(),
            failure_ratio: 0.5,
            failure_ratio_min: NonZeroU32::new(10).unwrap(),
            latency_factor: 5.0,
            eject_base: Duration::from_secs(5),
            eject_max: Duration::from_secs(300),
            max_ejected: 0.5,
        },
        retries: RetryPolicy {
            max_attempts: NonZeroU32::new(3).unwrap(),
            statuses: vec![502, 503, 504],
            grpc_statuses: vec![14],
            per_try_timeout: Duration::from_secs(2),
            budget_ratio: 0.2,
            budget_min_per_second: 3,
            backoff: Duration::from_millis(25),
            replay_size: 1 << 20,
            replay_memory: 64 << 20,
            fresh_after: Duration::from_secs(1),
            on_proof: true,
        },
        suspicion: SuspicionPolicy {
            is_enabled: true,
            floor: Duration::from_millis(50),
            factor: 4.0,
            hedge: true,
        },
        hold_back: HoldBack {
            size: 64 << 10,
            memory: 64 << 20,
            patience: Duration::from_millis(100),
        },
        protocol: Protocol::Http1,
        tls: BackendTls::default(),
        proxy_protocol: None,
        slow_start: Duration::ZERO,
        when_down: WhenDown::Reject,
        limits: limits(),
        timeouts: timeouts(),
    }
}

fn timeouts() -> Timeouts {
    Timeouts {
        connect: Duration::from_millis(250),
        between_reads: Duration::from_secs(30),
        stream_idle: Duration::from_secs(300),
        websocket_idle: Duration::from_secs(3600),
        idle: Duration::from_secs(55),
        idle_connections: 1024,
    }
}

fn limits() -> PoolLimits {
    PoolLimits {
        max_requests: None,
        max_connections: None,
        queue: 100,
        queue_timeout: Duration::from_secs(1),
        spill_over: false,
    }
}

fn tier_policy() -> TierPolicy {
    TierPolicy {
        fail_over_below: Capacity::Backends(NonZeroUsize::MIN),
        spill_over: false,
        failback: FailbackMode::Automatic,
        failback_after: Duration::from_secs(30),
        failback_after_max: Duration::from_secs(30),
        failback_ramp: Duration::ZERO,
    }
}

/// Makes a topology of one pool `api` with a backend in each of these tiers, and a hold-down of ten
/// seconds.
pub(crate) fn tiers(tiers: &[usize]) -> SharedTopology {
    let backends: Vec<(usize, u32)> = tiers.iter().map(|&tier| (tier, 1)).collect();
    let mut api = pool("api", &backends);
    api.tiers.failback_after = Duration::from_secs(10);
    api.tiers.failback_after_max = Duration::from_secs(10);
    Arc::new(topology(vec![api]))
}

fn backend((index, &(tier, weight)): (usize, &(usize, u32))) -> Backend {
    let port = 3001 + u16::try_from(index).unwrap();
    Backend {
        name: format!("b{index}"),
        url: format!("http://127.0.0.1:{port}"),
        address: BackendAddress::Tcp { tls: false, host: "127.0.0.1".to_owned(), port },
        tier,
        weight: NonZeroU32::new(weight).unwrap(),
    }
}

/// Makes a topology of `pools`, with one listener, and a route that sends everything to the first.
pub(crate) fn topology(pools: Vec<Pool>) -> Topology {
    Topology {
        threads: NonZeroUsize::MIN,
        listeners: vec![listener("public")],
        routes: vec![route("rest", Match::default())],
        pools,
        limits: ProcessLimits::default(),
        shutdown: Shutdown::default(),
        reload: Reload::default(),
        history: crate::model::History::default(),
        admin: Admin {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 9901)),
            tls: None,
            token_file: None,
            auth: Auth {
                anonymous: Some(Role::Viewer),
                local: Some(Role::Operator),
                ..Auth::default()
            },
            allow_origins: Vec::new(),
            allow_hosts: Vec::new(),
            audit: AuditTrail { keep: NonZeroUsize::MIN, file: None },
            fault_injection: true,
            log_stream: LogStreamLimits {
                buffer: NonZeroUsize::new(1000).unwrap(),
                clients: NonZeroUsize::new(32).unwrap(),
            },
        },
        logging: Logging::plain(Level::Info, LogFormat::Text),
        traces: None,
    }
}

/// Makes a listener on loopback.
pub(crate) fn listener(name: &str) -> Listener {
    sample_listener(name, SocketAddr::from((Ipv4Addr::LOCALHOST, 8021)))
}

/// Makes TLS with one certificate, of which there are no files.
pub(crate) fn tls() -> ListenerTls {
    let certificate = CertificateFiles { cert: "cert.pem".into(), key: "key.pem".into() };
    ListenerTls {
        min_version: TlsVersion::Tls12,
        certificates: vec![certificate],
        client_auth: None,
    }
}

/// Makes a route to the first pool.
pub(crate) fn route(name: &str, matches: Match) -> Route {
    Route {
        name: name.to_owned(),
        matches,
        rewrite: None,
        destination: Destination::Pool(PoolId(0)),
        rate_limit: None,
        timeout: Duration::from_secs(15),
        retries: Vec::new(),
        max_body: None,
        mirror: None,
        request_headers: HeaderEdits::default(),
        response_headers: HeaderEdits::default(),
    }
}
