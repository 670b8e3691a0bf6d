//! The part of a configuration file that describes how backends are judged.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::units::{
    Percent, Statuses,
    check::{HeaderLine, Service, Text},
    duration::Length,
    http::{Host, UrlPath},
    number::Factor,
};

/// How and how often a backend is asked whether it is well. With none of `http`, `grpc` and `tcp`,
/// by HTTP.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HealthCheck {
    /// `GET` a path and look at the answer, in HTTP/2 if that is the pool's protocol. Not together
    /// with `grpc` or `tcp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) http: Option<HttpCheck>,
    /// Ask by gRPC's own health checking (`grpc.health.v1`), in HTTP/2. Not together with `http` or
    /// `tcp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grpc: Option<GrpcCheck>,
    /// Only connect; write `tcp: {}`. Not together with `http` or `grpc`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tcp: Option<TcpCheck>,
    /// From the start of one check to the start of the next.
    pub(crate) interval: Length,
    /// The same, while something looks wrong.
    pub(crate) fast_interval: Length,
    /// Share of the interval by which each wait is lengthened or shortened at random, so that many
    /// proxies do not check at the same moment. At most 50%. The first wait of a new backend is shorter
    /// by up to half, so that many backends are not checked at the same moment either.
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
            grpc: None,
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

/// `GET` a path and look at the answer.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HttpCheck {
    /// The path to ask for.
    pub(crate) path: UrlPath,
    /// The statuses that pass: one, or a range.
    pub(crate) expect: Statuses,
    /// The `Host` that is asked for. By default, that of each URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<Host>,
    /// Headers that are sent, each as `Name: value`.
    pub(crate) headers: Vec<HeaderLine>,
    /// Text that must occur in the first 64 KiB of the answer's body. By default, the body is not
    /// read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body_contains: Option<Text>,
}

impl Default for HttpCheck {
    fn default() -> Self {
        Self {
            path: UrlPath("/health".to_owned()),
            expect: Statuses(200..=299),
            host: None,
            headers: Vec::new(),
            body_contains: None,
        }
    }
}

/// Ask by gRPC's own health checking.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct GrpcCheck {
    /// The service that is asked for; `""` for the server as a whole.
    pub(crate) service: Service,
}

/// Only connect.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TcpCheck {}

/// How real traffic is judged. Any one of the three signs ejects a backend.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OutlierDetection {
    /// Failed attempts in a row, with no success between, that eject a backend.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) consecutive_failures: NonZeroU32,
    /// Share of the attempts of the last ten seconds whose failure ejects a backend, for one that
    /// fails now and then and never in a row.
    pub(crate) failure_ratio: Percent,
    /// Fewest failed attempts in those ten seconds for the share to count, so that two failures in
    /// a quiet night do not.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) failure_ratio_min: NonZeroU32,
    /// A backend is ejected when three quarters of its answers take this many times as long as the
    /// median of its tier's. Requests are compared with others of their kind: of the same route,
    /// method and path. In a tier of one backend there is nothing to compare with.
    #[schemars(extend("minimum" = 1, "maximum" = 100))]
    pub(crate) latency_factor: Factor,
    /// How long an ejection lasts.
    pub(crate) eject_for: EjectFor,
    /// Share of a pool's backends that may be ejected at once; always at least one backend, never
    /// the last eligible one. When no other backend is eligible any more, an ejected one that passes
    /// its health checks is taken back at once.
    pub(crate) max_ejected: Percent,
}

impl Default for OutlierDetection {
    fn default() -> Self {
        Self {
            consecutive_failures: const { NonZeroU32::MIN.saturating_add(2) },
            failure_ratio: Percent(0.5),
            failure_ratio_min: const { NonZeroU32::MIN.saturating_add(9) },
            latency_factor: Factor(5.0),
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

/// When a backend that leaves requests waiting is suspected, and what happens then.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Suspicion {
    /// Whether waits are judged at all. Without it, only timeouts find a backend that hangs.
    pub(crate) enabled: bool,
    /// No wait shorter than this is too long, however fast the backend usually is. Set it above the
    /// pauses that are normal for your backends, such as those for collecting garbage.
    pub(crate) floor: Length,
    /// Multiple of the time in which nearly all such requests were answered, after which a wait is
    /// too long while the backend answers nobody.
    #[schemars(extend("minimum" = 1, "maximum" = 100))]
    pub(crate) factor: Factor,
    /// Whether a request that has waited too long is sent to a second backend, too, if it may be
    /// repeated. It counts as a retry, in `max_attempts` and in the budget.
    pub(crate) hedge: bool,
}

impl Default for Suspicion {
    fn default() -> Self {
        Self { enabled: true, floor: Length::millis(50), factor: Factor(4.0), hedge: true }
    }
}
