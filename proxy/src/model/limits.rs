//! Bounds on what is under way at a time.

use std::{num::NonZeroU32, time::Duration};

/// How much each backend of a pool is asked at a time, and what becomes of more.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Requests under way at each backend; `None` for no bound.
    pub max_requests: Option<NonZeroU32>,
    /// Connections to each backend, idle ones included; `None` for no bound. HTTP/1.1 only.
    pub max_connections: Option<NonZeroU32>,
    /// Requests that may wait while every backend that could serve them is full.
    pub queue: usize,
    /// How long one may wait.
    pub queue_timeout: Duration,
    /// Whether a request that finds its tier full goes to the next one instead of waiting.
    pub spill_over: bool,
}
