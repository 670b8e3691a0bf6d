//! The part of a configuration file that describes attempts: how long, how often, what is kept.

use std::{num::NonZeroU32, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::units::{
    Percent,
    duration::{Length, Wait},
    size::Size,
};

/// When a failed attempt is followed by another.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Retries {
    /// Attempts in all, the first included; 1 means no retry.
    #[schemars(range(min = 1, max = 10))]
    pub(crate) max_attempts: NonZeroU32,
    /// Answers of a backend that count as a failed attempt. `[]` for none.
    #[schemars(inner(range(min = 400, max = 599)))]
    pub(crate) statuses: Vec<u16>,
    /// Statuses of gRPC, by number, that count as a failed attempt if they end a call without a
    /// message; 14 is `UNAVAILABLE`. `[]` for none.
    #[schemars(inner(range(min = 1, max = 16)))]
    pub(crate) grpc_statuses: Vec<u16>,
    /// How long one attempt may take to begin its answer.
    pub(crate) per_try_timeout: Length,
    /// How many retries there may be, so that they cannot double the load of an outage.
    pub(crate) budget: Budget,
    /// Wait before a retry at a backend that this request has tried; each further one waits twice
    /// as long. Another backend is asked at once.
    pub(crate) backoff: Wait,
    /// Which request bodies are kept for a retry.
    pub(crate) replay: Replay,
    /// A request that must not be repeated, such as a `POST`, uses no connection that was idle for
    /// longer, since the backend may just be closing it. `0s`: it always uses a new one.
    pub(crate) fresh_after: Wait,
    /// Whether a request that must not be repeated is sent again when its connection was closed and
    /// the kernel proves that the backend received nothing of it.
    pub(crate) on_proof: bool,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            max_attempts: const { NonZeroU32::MIN.saturating_add(2) },
            statuses: vec![502, 503, 504],
            grpc_statuses: vec![14],
            per_try_timeout: Length::seconds(2),
            budget: Budget::default(),
            backoff: Wait(Duration::from_millis(25)),
            replay: Replay::default(),
            fresh_after: Wait(Duration::from_secs(1)),
            on_proof: true,
        }
    }
}

/// How many retries there may be.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Budget {
    /// Share of recent requests that may be retried.
    pub(crate) ratio: Percent,
    /// Retries allowed in any case, per second.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(crate) min_per_second: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { ratio: Percent(0.2), min_per_second: 3 }
    }
}

/// Which request bodies are kept for a retry.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Replay {
    /// Longest request body that is kept; a request with a longer one is not retried once it is
    /// under way. `0B`: none is kept.
    pub(crate) size: Size,
    /// Bound on what all request bodies kept at a time may take, those of other pools included.
    /// Beyond it, no further one is kept.
    pub(crate) memory: Size,
}

impl Default for Replay {
    fn default() -> Self {
        Self { size: Size::mebibytes(1), memory: Size::mebibytes(64) }
    }
}

/// Which responses are held back until they are whole.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HoldBack {
    /// Longest response body that is held back, at most `16MiB`. `0B`: none is held back.
    pub(crate) size: Size,
    /// Bound on what all responses held back at a time may take, those of other pools included.
    /// Beyond it, they are passed on as they come.
    pub(crate) memory: Size,
    /// How long a body of unknown length is held back at most, so that a stream of events is not
    /// delayed for longer.
    pub(crate) patience: Wait,
}

impl Default for HoldBack {
    fn default() -> Self {
        Self {
            size: Size::kibibytes(64),
            memory: Size::mebibytes(64),
            patience: Wait(Duration::from_millis(100)),
        }
    }
}

/// Bounds on what one attempt may take.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Timeouts {
    /// To connect, TLS included.
    pub(crate) connect: Length,
    /// Between two reads of an answer's body, and between two writes of a request's.
    pub(crate) between_reads: Length,
    /// How long a call of gRPC may be silent in both directions, in place of `between_reads`.
    pub(crate) stream_idle: Length,
    /// How long a WebSocket's backend may be silent. Long, because silence is normal there; below the
    /// interval of its pings, conversations are cut off.
    pub(crate) websocket_idle: Length,
    /// How long an unused connection to a backend is kept. Shorter than the minute after which
    /// most servers close, so that the proxy closes first.
    pub(crate) idle: Length,
    /// Unused connections kept to each backend. More cost file descriptors on both sides; fewer
    /// cost time to connect. `0`: none is kept.
    #[schemars(range(min = 0, max = 65_535))]
    pub(crate) idle_connections: usize,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Length::millis(500),
            between_reads: Length::seconds(30),
            stream_idle: Length::seconds(5 * 60),
            websocket_idle: Length::seconds(60 * 60),
            idle: Length::seconds(55),
            idle_connections: 1024,
        }
    }
}
