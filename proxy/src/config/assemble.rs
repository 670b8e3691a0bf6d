//! From a file without mistakes to the [`Topology`] it describes.

use std::{num::NonZeroUsize, path::Path, thread::available_parallelism};

mod admin;
mod affinity;
mod limits;
mod listener;
mod logging;
mod pool;
mod route;

use crate::{
    config::{
        assemble::{
            admin::admin,
            limits::process_limits,
            listener::listeners,
            logging::{logging, redacted, tracing},
            pool::pool,
            route::{Known, routes},
        },
        file::{File, history::History, shutdown::Shutdown},
        units::FilePath,
    },
    model,
};

/// Returns what `file` describes; relative paths start at `base`. `None` if a rule was broken that
/// should have been checked before.
pub(crate) fn assemble(file: File, base: &Path) -> Option<model::Topology> {
    let threads =
        file.threads.or_else(|| available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let listeners = listeners(file.listeners, base);
    let pools: Vec<model::Pool> =
        file.pools.0.into_iter().map(|(name, it)| pool(name, it, base)).collect();
    let known = Known { listeners: &listeners, pools: &pools };
    // What is not written into the access log is not traced either.
    let redact = redacted(&file.logging);
    Some(model::Topology {
        threads,
        routes: routes(file.routes, known)?,
        listeners,
        pools,
        limits: process_limits(&file.limits),
        shutdown: shutdown(&file.shutdown),
        reload: model::Reload { watch: file.reload.watch, drain: file.reload.drain.0 },
        history: history(file.history, base),
        admin: admin(file.admin, base),
        logging: logging(file.logging, base)?,
        traces: match file.tracing {
            Some(it) => Some(tracing(it, redact, base)?),
            None => None,
        },
    })
}

fn history(history: History, base: &Path) -> model::History {
    model::History {
        persist: history.persist,
        file: history.file.map(|FilePath(path)| base.join(path)),
        max_size: u64::try_from(history.max_size.0).unwrap_or(u64::MAX),
        days: history.days.get().into(),
    }
}

fn shutdown(shutdown: &Shutdown) -> model::Shutdown {
    model::Shutdown {
        delay: shutdown.delay.0,
        idle: shutdown.idle.0,
        websocket_grace: shutdown.websocket_grace.0,
        drain: shutdown.drain.0,
    }
}
