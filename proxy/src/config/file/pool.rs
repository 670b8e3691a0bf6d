//! The part of a configuration file that describes a pool.

use std::num::{NonZeroU32, NonZeroUsize};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::units::{
    Name, Percent, Statuses,
    duration::{Length, Wait},
    http::UrlPath,
    net::Url,
};

/// A set of interchangeable backends.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pool {
    /// How one of a tier's eligible backends is picked.
    #[serde(default)]
    pub(crate) balance: Balance,
    /// When a tier hands over to the next, and when it gets its traffic back.
    #[serde(default)]
    pub(crate) tiers: Tiers,
    /// The addresses that serve.
    #[schemars(length(min = 1))]
    pub(crate) backends: Vec<Backend>,
    /// How and how often each backend is asked whether it is well.
    #[serde(default)]
    pub(crate) health_check: HealthCheck,
    /// How real traffic is judged: failures in a row eject a backend for a while.
    #[serde(default)]
    pub(crate) outlier_detection: OutlierDetection,
    /// When a failed attempt is followed by another.
    #[serde(default)]
    pub(crate) retries: Retries,
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
}

/// When a tier hands over to the next, and when it gets its traffic back.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tiers {
    /// A tier serves while it has at least this many eligible backends.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) fail_over_below: NonZeroUsize,
    /// How traffic returns to a preferred tier.
    pub(crate) failback: Failback,
}

impl Default for Tiers {
    fn default() -> Self {
        Self { fail_over_below: NonZeroUsize::MIN, failback: Failback::default() }
    }
}

/// How traffic returns to a preferred tier.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Failback {
    /// How long a preferred tier must be able to serve before traffic returns to it. Returning
    /// late costs little; returning to a backend that fails again costs an outage.
    pub(crate) after: Wait,
}

impl Default for Failback {
    fn default() -> Self {
        Self { after: Wait(std::time::Duration::from_secs(30)) }
    }
}

/// One address that serves.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backend {
    /// Unique in its pool; also a metric label.
    pub(crate) name: Name,
    /// Scheme, host and port: `http://127.0.0.1:3001`. With `https`, the certificate must bear the
    /// host.
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

/// How and how often a backend is asked whether it is well. With neither `http` nor `tcp`, by
/// HTTP.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HealthCheck {
    /// `GET` a path and look at the status. Not together with `tcp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) http: Option<HttpCheck>,
    /// Only connect; write `tcp: {}`. Not together with `http`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tcp: Option<TcpCheck>,
    /// From the start of one check to the start of the next.
    pub(crate) interval: Length,
    /// The same, while something looks wrong.
    pub(crate) fast_interval: Length,
    /// Share of the interval by which each wait is lengthened or shortened at random, so that many
    /// proxies do not check at the same moment. At most 50%.
    pub(crate) jitter: Percent,
    /// For one whole check: connecting, asking, answering.
    pub(crate) timeout: Length,
    /// Passes in a row that make an unhealthy backend healthy.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) rise: NonZeroU32,
    /// Failures in a row that make a healthy backend unhealthy.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) fall: NonZeroU32,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            http: None,
            tcp: None,
            interval: Length::seconds(1),
            fast_interval: Length::millis(100),
            jitter: Percent(0.2),
            timeout: Length::millis(500),
            rise: const { NonZeroU32::MIN.saturating_add(2) },
            fall: const { NonZeroU32::MIN.saturating_add(1) },
        }
    }
}

/// `GET` a path and look at the status.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HttpCheck {
    /// The path to ask for.
    pub(crate) path: UrlPath,
    /// The statuses that pass: one, or a range.
    pub(crate) expect: Statuses,
}

impl Default for HttpCheck {
    fn default() -> Self {
        Self { path: UrlPath("/health".to_owned()), expect: Statuses(200..=299) }
    }
}

/// Only connect.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TcpCheck {}

/// How real traffic is judged.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OutlierDetection {
    /// Failed attempts in a row, with no success between, that eject a backend.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) consecutive_failures: NonZeroU32,
    /// How long an ejection lasts.
    pub(crate) eject_for: EjectFor,
    /// Share of a pool's backends that may be ejected at once; always at least one backend, never
    /// the last eligible one.
    pub(crate) max_ejected: Percent,
}

impl Default for OutlierDetection {
    fn default() -> Self {
        Self {
            consecutive_failures: const { NonZeroU32::MIN.saturating_add(2) },
            eject_for: EjectFor::default(),
            max_ejected: Percent(0.5),
        }
    }
}

/// How long an ejection lasts.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EjectFor {
    /// The first ejection; each further one soon after lasts twice as long.
    pub(crate) base: Length,
    /// The longest ejection.
    pub(crate) max: Length,
}

impl Default for EjectFor {
    fn default() -> Self {
        Self { base: Length::seconds(5), max: Length::seconds(5 * 60) }
    }
}

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
    /// How long one attempt may take to begin its answer.
    pub(crate) per_try_timeout: Length,
    /// How many retries there may be, so that they cannot double the load of an outage.
    pub(crate) budget: Budget,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            max_attempts: const { NonZeroU32::MIN.saturating_add(2) },
            statuses: vec![502, 503, 504],
            per_try_timeout: Length::seconds(2),
            budget: Budget::default(),
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

/// Bounds on what one attempt may take.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Timeouts {
    /// To connect, TLS included.
    pub(crate) connect: Length,
    /// Between two reads of an answer's body, and between two writes of a request's.
    pub(crate) between_reads: Length,
    /// How long an unused connection to a backend is kept. Shorter than the minute after which
    /// most servers close, so that the proxy closes first.
    pub(crate) idle: Length,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Length::millis(500),
            between_reads: Length::seconds(30),
            idle: Length::seconds(55),
        }
    }
}
