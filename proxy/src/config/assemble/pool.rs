//! From a file without mistakes to the [`Pool`](model::Pool)s it describes.

use std::path::Path;

use crate::{
    config::{
        assemble::affinity::{hash, sticky},
        file::{
            listener::TlsVersion,
            pool::{self, Protocol, WhenDown},
        },
        units::{FilePath, Name, check::Text, http::Host, number},
    },
    model,
};

/// Returns the pool called `name`; relative paths start at `base`.
pub(crate) fn pool(Name(name): Name, pool: pool::Pool, base: &Path) -> model::Pool {
    model::Pool {
        name,
        balance: match pool.balance {
            pool::Balance::RoundRobin => model::Balance::RoundRobin,
            pool::Balance::LeastRequests => model::Balance::LeastRequests,
            pool::Balance::PeakEwma => model::Balance::PeakEwma,
            pool::Balance::Hash => model::Balance::Hash,
        },
        hash_bound: pool.hash.as_ref().and_then(|it| it.bound).map(|it| it.0),
        hash: pool.hash.map_or(model::HashKey::ClientAddress, hash),
        sticky: pool.sticky.map(|it| sticky(it, base)),
        tiers: tiers(&pool.tiers),
        backends: pool.backends.into_iter().map(backend).collect(),
        health_check: health_check(pool.health_check),
        outlier_detection: outlier_detection(&pool.outlier_detection),
        retries: retries(pool.retries),
        suspicion: model::SuspicionPolicy {
            is_enabled: pool.suspicion.enabled,
            floor: pool.suspicion.floor.0,
            factor: pool.suspicion.factor.0,
            hedge: pool.suspicion.hedge,
        },
        hold_back: model::HoldBack {
            size: pool.hold_back.size.0,
            memory: pool.hold_back.memory.0,
            patience: pool.hold_back.patience.0,
        },
        protocol: match pool.protocol {
            Protocol::Http1 => model::Protocol::Http1,
            Protocol::Http2 => model::Protocol::Http2,
        },
        tls: tls(pool.tls, base),
        proxy_protocol: match pool.proxy_protocol {
            pool::ProxyProtocol::None => None,
            pool::ProxyProtocol::V1 => Some(model::ProxyVersion::V1),
            pool::ProxyProtocol::V2 => Some(model::ProxyVersion::V2),
        },
        slow_start: pool.slow_start.0,
        when_down: match pool.when_down {
            WhenDown::Reject => model::WhenDown::Reject,
            WhenDown::FailOpen => model::WhenDown::FailOpen,
        },
        limits: limits(&pool.limits),
        timeouts: model::Timeouts {
            connect: pool.timeouts.connect.0,
            between_reads: pool.timeouts.between_reads.0,
            stream_idle: pool.timeouts.stream_idle.0,
            websocket_idle: pool.timeouts.websocket_idle.0,
            idle: pool.timeouts.idle.0,
            idle_connections: pool.timeouts.idle_connections,
        },
    }
}

fn tls(tls: pool::Tls, base: &Path) -> model::BackendTls {
    // `join` keeps an absolute path as it is.
    let path = |FilePath(path): FilePath| base.join(path);
    let identity = |(cert, key)| model::ClientIdentity { cert: path(cert), key: path(key) };
    model::BackendTls {
        verify: tls.verify,
        ca: tls.ca.map(path),
        identity: tls.cert.zip(tls.key).map(identity),
        server_name: tls.server_name.map(|Host(name)| name),
        min_version: match tls.min_version {
            TlsVersion::Tls12 => model::TlsVersion::Tls12,
            TlsVersion::Tls13 => model::TlsVersion::Tls13,
        },
    }
}

fn limits(limits: &pool::Limits) -> model::PoolLimits {
    model::PoolLimits {
        max_requests: limits.max_requests,
        max_connections: limits.max_connections,
        queue: limits.queue,
        queue_timeout: limits.queue_timeout.0,
        spill_over: limits.spill_over,
    }
}

fn tiers(tiers: &pool::Tiers) -> model::TierPolicy {
    let failback = &tiers.failback;
    model::TierPolicy {
        fail_over_below: match tiers.fail_over_below {
            number::Capacity::Backends(number) => model::Capacity::Backends(number),
            number::Capacity::Share(share) => model::Capacity::Share(share.0),
        },
        spill_over: tiers.spill_over,
        failback: match failback.mode {
            pool::FailbackMode::Automatic => model::FailbackMode::Automatic,
            pool::FailbackMode::Manual => model::FailbackMode::Manual,
        },
        failback_after: failback.after.0,
        failback_after_max: failback.max_after.0,
        failback_ramp: failback.ramp.0,
    }
}

fn outlier_detection(outlier: &pool::OutlierDetection) -> model::OutlierPolicy {
    model::OutlierPolicy {
        consecutive_failures: outlier.consecutive_failures,
        failure_ratio: outlier.failure_ratio.0,
        failure_ratio_min: outlier.failure_ratio_min,
        latency_factor: outlier.latency_factor.0,
        eject_base: outlier.eject_for.base.0,
        eject_max: outlier.eject_for.max.0,
        max_ejected: outlier.max_ejected.0,
    }
}

fn backend(backend: pool::Backend) -> model::Backend {
    model::Backend {
        name: backend.name.0,
        url: backend.url.text,
        address: backend.url.address,
        tier: backend.tier,
        weight: backend.weight,
    }
}

fn health_check(check: pool::HealthCheck) -> model::HealthCheck {
    let kind = match (check.http, check.grpc, check.tcp) {
        (None, Some(grpc), _) => model::CheckKind::Grpc { service: grpc.service.0 },
        (None, None, Some(pool::TcpCheck {})) => model::CheckKind::Tcp,
        (http, _, _) => {
            let http = http.unwrap_or_default();
            model::CheckKind::Http(model::HttpCheck {
                path: http.path.0,
                expect: http.expect.0,
                host: http.host.map(|Host(host)| host),
                headers: http.headers.into_iter().map(|it| (it.name, it.value)).collect(),
                body_contains: http.body_contains.map(|Text(text)| text),
            })
        }
    };
    model::HealthCheck {
        kind,
        interval: check.interval.0,
        interval_fast: check.fast_interval.min(check.interval).0,
        jitter: check.jitter.0,
        timeout: check.timeout.0,
        rise: check.rise,
        fall: check.fall,
    }
}

fn retries(retries: pool::Retries) -> model::RetryPolicy {
    model::RetryPolicy {
        max_attempts: retries.max_attempts,
        statuses: retries.statuses,
        grpc_statuses: retries.grpc_statuses,
        per_try_timeout: retries.per_try_timeout.0,
        budget_ratio: retries.budget.ratio.0,
        budget_min_per_second: retries.budget.min_per_second,
        backoff: retries.backoff.0,
        replay_size: retries.replay.size.0,
        replay_memory: retries.replay.memory.0,
        fresh_after: retries.fresh_after.0,
        on_proof: retries.on_proof,
    }
}
