//! What the user writes: the shape of a configuration file, key by key.
//!
//! These types are the only description of the file. The decoder, the checker, the JSON Schema
//! and the reference are made from them, doc comments and defaults included.

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) mod admin;
pub(crate) mod defaults;
pub(crate) mod history;
pub(crate) mod limits;
pub(crate) mod listener;
pub(crate) mod logging;
mod named;
pub(crate) mod pool;
pub(crate) mod reload;
pub(crate) mod route;
pub(crate) mod shutdown;

pub(crate) use crate::config::file::named::Named;
use crate::config::file::{
    admin::Admin,
    defaults::Defaults,
    history::History,
    limits::Limits,
    listener::Listener,
    logging::{Logging, Tracing},
    pool::Pool,
    reload::Reload,
    route::Route,
    shutdown::Shutdown,
};

/// A complete configuration.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Bascule configuration")]
pub(crate) struct File {
    /// The format of the file, which is not the program's version. The only one is 1.
    #[schemars(
        range(min = 1, max = 1),
        extend("x-remedy" = "write `version: 1`; it names the file's format, of which there is one")
    )]
    pub(crate) version: u32,
    /// Worker threads of the data plane. Without it, as many as the cores the process may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Where clients connect, by name.
    pub(crate) listeners: Named<Listener>,
    /// Which requests go where. The first that matches wins.
    #[schemars(length(min = 1))]
    pub(crate) routes: Vec<Route>,
    /// Sets of interchangeable backends, by name.
    pub(crate) pools: Named<Pool>,
    /// What is said once for all listeners, routes or pools, and holds where they say nothing else.
    #[serde(default, skip_serializing_if = "Defaults::is_empty")]
    pub(crate) defaults: Defaults,
    /// What the process lets in.
    #[serde(default)]
    pub(crate) limits: Limits,
    /// How the process ends.
    #[serde(default)]
    pub(crate) shutdown: Shutdown,
    /// How another configuration takes this one's place.
    #[serde(default)]
    pub(crate) reload: Reload,
    /// What is kept of the past.
    #[serde(default)]
    pub(crate) history: History,
    /// The sidecar: where state is read and changed.
    #[serde(default)]
    pub(crate) admin: Admin,
    /// What is logged, and how.
    #[serde(default)]
    pub(crate) logging: Logging,
    /// How requests are traced. Without it, they are not, and what clients say of traces is passed
    /// on as it is; with `{}`, they are, and nothing is sent to a collector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tracing: Option<Tracing>,
}
