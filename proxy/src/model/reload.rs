//! How a configuration is followed by another.

use std::time::Duration;

/// How another configuration takes this one's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    /// Whether it is loaded again when its files change.
    pub watch: bool,
    /// For what is under way at backends that are configured no more.
    pub drain: Duration,
}

impl Default for Reload {
    /// As when the configuration says nothing of it.
    fn default() -> Self {
        Self { watch: false, drain: Duration::from_secs(5 * 60) }
    }
}
