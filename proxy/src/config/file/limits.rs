//! The parts of a configuration file that bound what is let in.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::units::{Name, duration::Length};

/// What the process lets in. What exceeds it is answered with 503 and `Retry-After`, and counts as no
/// backend's failure. Routes to the sidecar are exempt.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Requests to pools under way at a time, WebSockets included. Without it, no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub(crate) max_requests: Option<NonZeroU32>,
    /// How late the data plane may run, at best, for a tenth of a second: what every request waits
    /// each time it has something to do. Beyond it a growing share of requests is turned away, so
    /// that the rest are served in time. Without it, none: how late is too late depends on the
    /// machine and on what is asked of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_lag: Option<Length>,
}

/// How often a route may be asked. What comes more often is answered with 429 and `Retry-After`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateLimit {
    /// Requests that may pass in each `per`, spread evenly over it.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) requests: NonZeroU32,
    /// The time for that many requests.
    #[serde(default = "RateLimit::default_per")]
    pub(crate) per: Length,
    /// Requests that may pass at once after a time without any. Without it, as many as `requests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) burst: Option<NonZeroU32>,
    /// Whose requests are counted together. Without it, those of each client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<RateKey>,
}

impl RateLimit {
    pub(crate) fn default_per() -> Length {
        Length::seconds(1)
    }
}

/// Whose requests are counted together. Needs exactly one of its keys. 65,536 clients or values are
/// told apart; with more at a time, those that ask least are forgotten and start anew.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateKey {
    /// `true`: those from the same address, of IPv6 from the same network of 64 bits. A proxy in
    /// `trusted_proxies` is believed whom it speaks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_address: Option<bool>,
    /// The name of a header: those with the same value. Requests without it are counted by address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) header: Option<Name>,
    /// `true`: all requests of the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) route: Option<bool>,
}
