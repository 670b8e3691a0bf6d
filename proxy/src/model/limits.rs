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

/// What the process lets in.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessLimits {
    /// Requests to pools under way at a time; `None` for no bound.
    pub max_requests: Option<NonZeroU32>,
    /// How late the data plane may run before requests are turned away; `None` for ever so late.
    pub max_lag: Option<Duration>,
}

/// How often a route may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests that may pass in each `per`, spread evenly.
    pub requests: NonZeroU32,
    /// At most a day.
    pub per: Duration,
    /// Requests that may pass at once after a time without any.
    pub burst: NonZeroU32,
    /// Whose requests are counted together.
    pub key: RateKey,
}

/// Whose requests are counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RateKey {
    /// Those of one client's address; of IPv6, those of one network of 64 bits.
    ClientAddress,
    /// Those with the same value of this header, in small letters; without one, as by address.
    Header(String),
    /// All of the route.
    Route,
}
