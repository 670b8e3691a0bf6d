//! What kind of failure an incident was.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The class of a failure, judged from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The process is gone: connections are refused, or broke off.
    Crash,
    /// The process holds connections and answers nothing.
    Hang,
    /// Answers come, too late.
    Slow,
    /// Answers come, and are errors.
    Errors,
    /// Traffic fails while health checks pass.
    Grey,
    /// Responses break off.
    Truncation,
    /// The network does not carry connections there.
    Partition,
    /// An operator injected a fault in the proxy.
    Injected,
    /// An operator drained or disabled the backend.
    Drained,
    /// An operator ejected the backend, or moved the pool away from it.
    Manual,
    /// The evidence fits nothing above.
    Unknown,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 11] = [
        Self::Crash,
        Self::Hang,
        Self::Slow,
        Self::Errors,
        Self::Grey,
        Self::Truncation,
        Self::Partition,
        Self::Injected,
        Self::Drained,
        Self::Manual,
        Self::Unknown,
    ];

    /// Returns the name used in the API, the log, the metrics and the page.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Hang => "hang",
            Self::Slow => "slow",
            Self::Errors => "errors",
            Self::Grey => "grey",
            Self::Truncation => "truncation",
            Self::Partition => "partition",
            Self::Injected => "injected",
            Self::Drained => "drained",
            Self::Manual => "manual",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
