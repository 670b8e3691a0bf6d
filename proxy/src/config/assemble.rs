//! From a file without mistakes to the [`Topology`] it describes.

use std::{
    collections::BTreeSet,
    num::{NonZeroU16, NonZeroUsize},
    path::Path,
    thread::available_parallelism,
};

use crate::{
    config::{
        file::{Admin, File, Level, LogFormat, Logging, Named, Route, pool},
        units::{
            Name,
            http::{Host, Method, Origin, UrlPath},
            net::Network,
        },
    },
    model,
};

/// Returns what `file` describes; relative paths start at `base`. `None` if a rule was broken that
/// should have been checked before.
pub(crate) fn assemble(file: File, base: &Path) -> Option<model::Topology> {
    let names: Vec<Name> = file.pools.0.iter().map(|(name, _)| name.clone()).collect();
    let threads =
        file.threads.or_else(|| available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    Some(model::Topology {
        threads,
        listeners: listeners(file.listeners),
        routes: routes(file.routes, &names)?,
        pools: file.pools.0.into_iter().map(|(name, it)| pool(name, it)).collect(),
        admin: admin(file.admin, base),
        logging: logging(&file.logging),
    })
}

fn listeners(listeners: Named<crate::config::file::Listener>) -> Vec<model::Listener> {
    let listener = |(Name(name), it): (Name, crate::config::file::Listener)| model::Listener {
        name,
        address: it.address.0,
        trusted_proxies: it.trusted_proxies.into_iter().map(|Network(it)| it).collect(),
    };
    listeners.0.into_iter().map(listener).collect()
}

fn routes(routes: Vec<Route>, pools: &[Name]) -> Option<Vec<model::Route>> {
    let mut names: BTreeSet<String> =
        routes.iter().filter_map(|route| route.name.as_ref().map(|it| it.0.clone())).collect();
    routes
        .into_iter()
        .enumerate()
        .map(|(index, route)| {
            let name = match route.name {
                Some(Name(name)) => name,
                None => unused_name(&mut names, index + 1),
            };
            let target = match route.pool {
                Some(pool) => {
                    model::Target::Pool(model::PoolId(pools.iter().position(|it| *it == pool)?))
                }
                None => model::Target::Sidecar,
            };
            let whole = |UrlPath(path)| model::Rewrite::Path(path);
            let prefix = |UrlPath(path)| model::Rewrite::StripPrefix(path);
            let rewrite =
                route.rewrite.and_then(|it| it.path.map(whole).or(it.strip_prefix.map(prefix)));
            let exact = |UrlPath(path)| model::PathMatch::Exact(path);
            let below = |UrlPath(path)| model::PathMatch::Prefix(path);
            let matches = model::Match {
                hosts: route.matches.hosts.into_iter().map(|Host(it)| it).collect(),
                path: route.matches.path.map(exact).or(route.matches.path_prefix.map(below)),
                methods: route.matches.methods.into_iter().map(|Method(it)| it).collect(),
            };
            Some(model::Route { name, matches, rewrite, target, timeout: route.timeout.0 })
        })
        .collect()
}

/// Returns `route-N`, lengthened until no route has that name, and takes it.
fn unused_name(names: &mut BTreeSet<String>, position: usize) -> String {
    let mut name = format!("route-{position}");
    while !names.insert(name.clone()) {
        name.push_str("-unnamed");
    }
    name
}

fn pool(Name(name): Name, pool: pool::Pool) -> model::Pool {
    let outlier = &pool.outlier_detection;
    model::Pool {
        name,
        balance: match pool.balance {
            pool::Balance::RoundRobin => model::Balance::RoundRobin,
            pool::Balance::LeastRequests => model::Balance::LeastRequests,
        },
        tiers: model::TierPolicy {
            fail_over_below: pool.tiers.fail_over_below,
            failback_after: pool.tiers.failback.after.0,
        },
        outlier_detection: model::OutlierPolicy {
            consecutive_failures: outlier.consecutive_failures,
            eject_base: outlier.eject_for.base.0,
            eject_max: outlier.eject_for.max.0,
            max_ejected: outlier.max_ejected.0,
        },
        timeouts: model::Timeouts {
            connect: pool.timeouts.connect.0,
            between_reads: pool.timeouts.between_reads.0,
            idle: pool.timeouts.idle.0,
        },
        health_check: health_check(pool.health_check),
        retries: retries(pool.retries),
        backends: pool.backends.into_iter().map(backend).collect(),
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
    let kind = match (check.http, check.tcp) {
        (None, Some(pool::TcpCheck {})) => model::CheckKind::Tcp,
        (http, _) => {
            let http = http.unwrap_or_default();
            model::CheckKind::Http { path: http.path.0, expect: http.expect.0 }
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
        per_try_timeout: retries.per_try_timeout.0,
        budget_ratio: retries.budget.ratio.0,
        budget_min_per_second: retries.budget.min_per_second,
    }
}

fn admin(admin: Admin, base: &Path) -> model::Admin {
    let wide = |number: NonZeroU16| NonZeroUsize::from(number);
    model::Admin {
        address: admin.address.0,
        // `join` keeps an absolute path as it is.
        token_file: admin.token_file.map(|it| base.join(it.0)),
        allow_origins: admin.allow_origins.into_iter().map(|Origin(it)| it).collect(),
        fault_injection: admin.fault_injection,
        log_stream: model::LogStreamLimits {
            buffer: wide(admin.log_stream.buffer),
            clients: wide(admin.log_stream.clients),
        },
    }
}

fn logging(logging: &Logging) -> model::Logging {
    model::Logging {
        level: match logging.level {
            Level::Error => model::Level::Error,
            Level::Warn => model::Level::Warn,
            Level::Info => model::Level::Info,
            Level::Debug => model::Level::Debug,
        },
        format: match logging.format {
            LogFormat::Text => model::LogFormat::Text,
            LogFormat::Json => model::LogFormat::Json,
        },
    }
}
