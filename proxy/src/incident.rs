//! Incidents: for every failover, what happened, how fast, and what it cost clients.
//!
//! An incident is a story told by events. It opens when a backend is lost and reaches back to the
//! first sign of trouble; it is complete when traffic has settled elsewhere; it ends when the
//! backend serves again. What it cost is read off the pool's timeline over a window of whole
//! 100 ms slots, so that anybody who kept a record of requests can count the same.

mod book;
mod cause;
mod signs;
mod window;

use std::time::Duration;

use crate::{
    clock::Timestamp,
    event::{Evidence, Heir, LossReason},
    model::{BackendId, PoolId},
};

pub use book::{Book, Entry, News};
pub use cause::Cause;

/// The record of one failover.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// Counts from 1 in each pool.
    pub number: u64,
    /// The name of its pool.
    pub pool: String,
    /// The name of the backend that was lost.
    pub backend: String,
    /// The same backend as the topology names it; `None` once it is not configured any more.
    pub place: Option<BackendId>,
    /// How far the story has got.
    pub state: IncidentState,
    /// What kind of failure it was, by its evidence.
    pub cause: Cause,
    /// What took the backend out.
    pub detected_by: LossReason,
    /// Whether an operator asked for the failure.
    pub is_requested: bool,
    /// The tier that served before.
    pub from_tier: usize,
    /// Who took over; `None` while nobody has.
    pub heir: Option<Heir>,
    /// The name of that backend.
    pub heir_name: Option<String>,
    /// The signs of trouble: the first sixteen.
    pub evidence: Vec<Evidence>,
    /// When each part of the story happened.
    pub moments: Moments,
    /// The start of the window, on a slot's boundary: at the first sign of trouble, or when clients
    /// were first hit, if that was shortly before.
    pub window_from: Timestamp,
    /// The end of the window, on a slot's boundary; `None` while traffic has not settled.
    pub window_to: Option<Timestamp>,
    /// What happened to the requests that finished inside the window.
    pub requests: Requests,
    /// Latency in the ten seconds before the window.
    pub before: Option<LatencySummary>,
    /// Latency inside the window.
    pub during: Option<LatencySummary>,
    /// Latency in the ten seconds after the window, once they have passed.
    pub after: Option<LatencySummary>,
}

impl Incident {
    /// Returns the name by which it is found: its pool's, and its number there.
    pub fn id(&self) -> String {
        format!("{}-{}", self.pool, self.number)
    }

    /// Tells whether it is one of this pool's, as the topology names it.
    fn is_in(&self, pool: PoolId) -> bool {
        self.place.is_some_and(|it| it.pool == pool)
    }

    /// Tells whether what its backend does still belongs to the story.
    fn is_under_way(&self) -> bool {
        self.state != IncidentState::Closed && self.moments.recovered.is_none()
    }

    /// Returns the time from the first sign of trouble to the decision.
    pub fn detection(&self) -> Duration {
        self.moments.decided.since(self.moments.suspected)
    }

    /// Returns the time from the decision to the first success elsewhere.
    pub fn switch(&self) -> Option<Duration> {
        self.moments.serving.map(|serving| serving.since(self.moments.decided))
    }
}

/// How far an incident's story has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncidentState {
    /// The backend is lost; traffic has not settled.
    Open,
    /// Traffic has settled on other backends.
    Serving,
    /// The lost backend may be picked again; traffic has not returned to its tier.
    Recovered,
    /// Traffic is back where it was before.
    Closed,
}

/// When each part of an incident's story happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moments {
    /// The first sign of trouble.
    pub suspected: Timestamp,
    /// The backend was taken out.
    pub decided: Timestamp,
    /// The first request succeeded elsewhere after that.
    pub serving: Option<Timestamp>,
    /// The first second without a failed attempt began.
    pub stable: Option<Timestamp>,
    /// The backend was fit to be picked again.
    pub recovered: Option<Timestamp>,
    /// Traffic returned to the tier, or to a better one.
    pub failed_back: Option<Timestamp>,
}

/// What happened to the requests of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// All that finished.
    pub total: u64,
    /// Answered well after a failed attempt.
    pub rescued_by_retry: u64,
    /// Answered well by an attempt begun beside a slow one.
    pub rescued_by_hedge: u64,
    /// Ended in an error of the proxy's or a backend's making.
    pub lost: u64,
    /// Attempts beyond the first of each: what the failure added to the load.
    pub extra_attempts: u64,
}

impl Requests {
    /// Returns those that were rescued, in whichever way.
    pub fn rescued(&self) -> u64 {
        self.rescued_by_retry + self.rescued_by_hedge
    }

    /// Returns what these are more than `others`, which were counted before.
    fn beyond(&self, others: &Self) -> Self {
        Self {
            total: self.total.saturating_sub(others.total),
            rescued_by_retry: self.rescued_by_retry.saturating_sub(others.rescued_by_retry),
            rescued_by_hedge: self.rescued_by_hedge.saturating_sub(others.rescued_by_hedge),
            lost: self.lost.saturating_sub(others.lost),
            extra_attempts: self.extra_attempts.saturating_sub(others.extra_attempts),
        }
    }

    /// Returns the share of requests that were lost, 0 to 1; 0 without requests.
    pub fn error_ratio(&self) -> f64 {
        if self.total == 0 {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let ratio = self.lost as f64 / self.total as f64;
        ratio
    }
}

/// Latency over a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatencySummary {
    /// Requests measured.
    pub requests: u64,
    /// Median, in seconds.
    pub p50_seconds: Option<f64>,
    /// 99th percentile, in seconds.
    pub p99_seconds: Option<f64>,
}
