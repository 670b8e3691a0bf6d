//! The part of a configuration file that says how the process ends.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{config::units::duration::Wait, model};

/// How the process ends, on SIGTERM and when a newer one has taken over. First it is not ready
/// (`/readyz` says 503), then it accepts nobody new, then it finishes what is under way. It ends as
/// soon as nothing is left to wait for; a second signal ends it at once.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Shutdown {
    /// How long it goes on serving as before although it is not ready, so that load balancers and
    /// service discovery take note. Set it to what they need. SIGINT, and a process that has been
    /// taken over, skip it.
    pub(crate) delay: Wait,
    /// How long connections without a request stay open once nobody new is accepted. A request that
    /// comes meanwhile is served, and its response says that the connection ends. Clients that ask
    /// more often than this never see a connection closed on them.
    pub(crate) idle: Wait,
    /// Within what time WebSockets are told that the process ends (close code 1001), each at a
    /// moment drawn by lot, so that not all clients come back at once. At most as long as `drain`.
    pub(crate) websocket_grace: Wait,
    /// How long requests under way may take to finish. What is left is cut, counted and logged. Keep
    /// it, with `delay`, below what the service manager grants: 30 s in Kubernetes.
    pub(crate) drain: Wait,
}

impl Default for Shutdown {
    fn default() -> Self {
        let model::Shutdown { delay, idle, websocket_grace, drain } = model::Shutdown::default();
        Self {
            delay: Wait(delay),
            idle: Wait(idle),
            websocket_grace: Wait(websocket_grace),
            drain: Wait(drain),
        }
    }
}
