//! The part of a configuration file that says how another one takes its place.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{config::units::duration::Wait, model};

/// How another configuration takes this one's place while the proxy runs: on SIGHUP, on
/// `POST /config/reload`, and when its files change, if `watch` says so. It is checked as a whole
/// first; one with a mistake changes nothing.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Reload {
    /// Whether the files are loaded again when they change. Off, because a file that somebody is
    /// editing is not yet what is meant; turn it on where files are replaced as a whole, as
    /// Kubernetes does with a ConfigMap.
    pub(crate) watch: bool,
    /// How long requests under way and WebSockets may go on at a backend that is configured no more.
    /// What is left then is ended: WebSockets with close code 1001, spread over
    /// `shutdown.websocket_grace` before, requests with 502 or visibly broken off.
    pub(crate) drain: Wait,
}

impl Default for Reload {
    fn default() -> Self {
        let model::Reload { watch, drain } = model::Reload::default();
        Self { watch, drain: Wait(drain) }
    }
}
