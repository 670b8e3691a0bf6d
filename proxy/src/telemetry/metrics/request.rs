//! What is told of a request that has ended.

use std::time::Duration;

use crate::model::Target;

/// A request that has ended.
#[derive(Clone, Copy, Debug)]
pub struct FinishedRequest {
    /// Index of its listener in [`crate::model::Topology::listeners`].
    pub listener: usize,
    /// Where its route leads; `None` without a route.
    pub target: Option<Target>,
    /// What the client got.
    pub answer: Answer,
    /// From its head to the end of its response.
    pub took: Duration,
    /// Bytes of its body.
    pub bytes_in: u64,
    /// Bytes of its response's body.
    pub bytes_out: u64,
}

/// What a client got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A backend's response, with this status.
    Upstream(u16),
    /// The proxy's or the sidecar's own response, with this status.
    Proxy(u16),
    /// Nothing, or a response that broke off, whoever broke it.
    Aborted,
}
