//! From a file without mistakes to the [`Topology`] it describes.

use std::{
    collections::BTreeSet,
    num::{NonZeroU16, NonZeroUsize},
    path::Path,
    thread::available_parallelism,
};

mod listener;
mod pool;

use crate::{
    config::{
        assemble::{listener::listeners, pool::pool},
        file::{Admin, File, Level, LogFormat, Logging, Route},
        units::{
            Name,
            http::{Host, Method, Origin, UrlPath},
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
        listeners: listeners(file.listeners, base),
        routes: routes(file.routes, &names)?,
        pools: file.pools.0.into_iter().map(|(name, it)| pool(name, it)).collect(),
        admin: admin(file.admin, base),
        logging: logging(&file.logging),
    })
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
