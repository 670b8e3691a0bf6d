//! How the process ends.

use std::time::Duration;

/// How long each part of the process's end may take, one after the other but for the last three,
/// which begin together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// Not ready and still serving, so that whoever sends clients here takes note.
    pub delay: Duration,
    /// For a connection without a request, before it is closed.
    pub idle: Duration,
    /// Within which WebSockets are told.
    pub websocket_grace: Duration,
    /// For what is under way.
    pub drain: Duration,
}

impl Default for Shutdown {
    /// As when the configuration says nothing of it.
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            idle: Duration::from_secs(1),
            websocket_grace: Duration::from_secs(5),
            drain: Duration::from_secs(25),
        }
    }
}
