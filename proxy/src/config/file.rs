//! What the user writes: the shape of a configuration file, key by key.
//!
//! These types are the only description of the file. The decoder, the checker, the JSON Schema
//! and the reference are made from them, doc comments and defaults included.

use std::num::{NonZeroU16, NonZeroUsize};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) mod defaults;
pub(crate) mod limits;
pub(crate) mod listener;
pub(crate) mod logging;
mod named;
pub(crate) mod pool;
pub(crate) mod reload;
pub(crate) mod route;
pub(crate) mod shutdown;

pub(crate) use crate::config::file::named::Named;
use crate::config::{
    file::{
        defaults::Defaults,
        limits::Limits,
        listener::Listener,
        logging::{Logging, Tracing},
        pool::Pool,
        reload::Reload,
        route::Route,
        shutdown::Shutdown,
    },
    units::{FilePath, http::Origin, net::Address},
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

/// The sidecar: where state is read and changed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Admin {
    /// The IP address and port to listen on. One that other machines can reach needs `token_file`.
    pub(crate) address: Address,
    /// The file with the token that callers from other machines must show to change state.
    /// `bascule token new` makes one. A relative path starts at the folder of this file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<FilePath>,
    /// Origins of web pages, beside the sidecar's own, that may change state.
    pub(crate) allow_origins: Vec<Origin>,
    /// Whether `POST /proxy/fail` does anything. For demonstrations and drills.
    pub(crate) fault_injection: bool,
    /// Bounds on the live log.
    pub(crate) log_stream: LogStream,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            address: Address(([127, 0, 0, 1], 9901).into()),
            token_file: None,
            allow_origins: Vec::new(),
            fault_injection: false,
            log_stream: LogStream::default(),
        }
    }
}

/// Bounds on the live log.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogStream {
    /// Recent lines kept, and lines that may wait for one slow reader.
    #[schemars(range(min = 1, max = 50_000))]
    pub(crate) buffer: NonZeroU16,
    /// Readers at a time.
    #[schemars(range(min = 1, max = 1024))]
    pub(crate) clients: NonZeroU16,
}

impl Default for LogStream {
    fn default() -> Self {
        const BUFFER: NonZeroU16 = NonZeroU16::MIN.saturating_add(999);
        const CLIENTS: NonZeroU16 = NonZeroU16::MIN.saturating_add(31);
        Self { buffer: BUFFER, clients: CLIENTS }
    }
}
