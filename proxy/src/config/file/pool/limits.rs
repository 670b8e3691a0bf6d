//! The part of a configuration file that bounds what each backend is asked at a time.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::units::duration::Length;

/// How much each backend is asked at a time, and what becomes of more.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Requests under way at each backend at a time, retries and WebSockets included. Health checks
    /// do not count. A full backend stays healthy and eligible; requests go to the others of its
    /// tier. Without it, no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_requests: Option<NonZeroU32>,
    /// Connections to each backend at a time, unused ones included; with `protocol: http1`, where
    /// each carries one request, this bounds requests as well. Without it, no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub(crate) max_connections: Option<NonZeroU32>,
    /// Requests of the pool that may wait while all backends that could serve them are full, first
    /// come, first served. What finds the queue full is answered with 503 and `Retry-After` at
    /// once, as it is with `0`.
    #[schemars(range(min = 0, max = 100_000))]
    pub(crate) queue: usize,
    /// How long a request may wait there; the route's `timeout` bounds it, too. Then 503.
    pub(crate) queue_timeout: Length,
    /// Whether a request that finds its tier full goes to the next tier. Otherwise it waits: being
    /// busy is not being down, and the next tier is there for failures.
    pub(crate) spill_over: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_requests: None,
            max_connections: None,
            queue: 100,
            queue_timeout: Length::seconds(1),
            spill_over: false,
        }
    }
}
