//! The part of a configuration file that describes a pool.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod affinity;
mod attempts;
mod judging;
mod limits;
mod tiers;
mod transport;

pub(crate) use crate::config::file::pool::{
    affinity::{Hash, SameSite, Sticky},
    attempts::{HoldBack, Retries, Timeouts},
    judging::{HealthCheck, OutlierDetection, Suspicion, TcpCheck},
    limits::Limits,
    tiers::{FailbackMode, Tiers},
    transport::{ProxyProtocol, Tls},
};
use crate::config::units::{Name, duration::Wait, net::Url};

/// A set of interchangeable backends.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pool {
    /// How one of a tier's eligible backends is picked.
    #[serde(default)]
    pub(crate) balance: Balance,
    /// What requests have in common that go to the same backend, with `balance: hash`. Without it,
    /// their client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hash: Option<Hash>,
    /// How a client is kept at one backend, by a cookie that the proxy sets. Without it, it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sticky: Option<Sticky>,
    /// When a tier hands over to the next, and when it gets its traffic back.
    #[serde(default)]
    pub(crate) tiers: Tiers,
    /// The addresses that serve.
    #[schemars(length(min = 1))]
    pub(crate) backends: Vec<Backend>,
    /// What is spoken with the backends.
    #[serde(default)]
    pub(crate) protocol: Protocol,
    /// What is asked of backends with an `https` URL, and shown to them.
    #[serde(default)]
    pub(crate) tls: Tls,
    /// How backends are told the address of the client, where headers do not tell it. Every request
    /// then gets a connection of its own, because one says whose it is.
    #[serde(default)]
    pub(crate) proxy_protocol: ProxyProtocol,
    /// How long a backend that may be picked again takes to get its full share, so that cold caches
    /// do not make it fail at once. `0s`: no time.
    #[serde(default)]
    pub(crate) slow_start: Wait,
    /// What happens to requests while no backend may be picked.
    #[serde(default)]
    pub(crate) when_down: WhenDown,
    /// How and how often each backend is asked whether it is well.
    #[serde(default)]
    pub(crate) health_check: HealthCheck,
    /// How real traffic is judged: a backend that fails it, or that answers far later than its
    /// tier, is ejected for a while.
    #[serde(default)]
    pub(crate) outlier_detection: OutlierDetection,
    /// When a backend that leaves requests waiting is suspected, so that others get the new ones
    /// before any timeout.
    #[serde(default)]
    pub(crate) suspicion: Suspicion,
    /// When a failed attempt is followed by another.
    #[serde(default)]
    pub(crate) retries: Retries,
    /// Which responses are held back until they are whole, so that one that breaks off can be
    /// retried. Longer ones are passed on as they come.
    #[serde(default)]
    pub(crate) hold_back: HoldBack,
    /// How much each backend is asked at a time, and what becomes of more. Without `max_requests`
    /// and `max_connections`, as much as there is.
    #[serde(default)]
    pub(crate) limits: Limits,
    /// Bounds on what one attempt may take.
    #[serde(default)]
    pub(crate) timeouts: Timeouts,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Balance {
    /// In turn, as often as the weights say, spread evenly.
    #[default]
    RoundRobin,
    /// The less busy, in relation to its weight, of two picked at random.
    LeastRequests,
    /// The one of two picked at random that should answer sooner.
    PeakEwma,
    /// The one that the request's key belongs to.
    Hash,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Protocol {
    /// HTTP/1.1, one request at a time on a connection.
    #[default]
    Http1,
    /// HTTP/2: over TLS by ALPN, without TLS with prior knowledge.
    Http2,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WhenDown {
    /// They are answered with 503 at once.
    #[default]
    Reject,
    /// They are sent to any backend, in the hope that the verdicts are wrong.
    FailOpen,
}

/// One address that serves.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backend {
    /// Unique in its pool; also a metric label.
    pub(crate) name: Name,
    /// Scheme, host and port, `http://127.0.0.1:3001`, or a Unix socket, `unix:/run/app.sock`. With
    /// `https`, the certificate must bear the host, or the pool's `tls.server_name`.
    pub(crate) url: Url,
    /// Preference: 0 first. A later tier serves only when those before it cannot.
    #[serde(default)]
    #[schemars(
        range(min = 0, max = 31),
        extend("x-remedy" = "number tiers from 0, which is preferred, without gaps")
    )]
    pub(crate) tier: usize,
    /// Share within its tier, in relation to the others' weights.
    #[serde(default = "Backend::default_weight")]
    #[schemars(
        range(min = 1, max = 256),
        extend("x-remedy" = "write 1 to 256; to send a backend nothing, remove it from the list")
    )]
    pub(crate) weight: NonZeroU32,
}

impl Backend {
    pub(crate) fn default_weight() -> NonZeroU32 {
        const { NonZeroU32::MIN.saturating_add(99) }
    }
}
