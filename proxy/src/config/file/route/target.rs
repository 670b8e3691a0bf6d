//! The part of a configuration file that says where a route leads, when it is not one pool.

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{
    file::named::Named,
    units::{
        Name, Percent,
        http::{Host, UrlPath},
        matching::FieldValue,
        response::{Body, Location, RedirectStatus},
    },
};

/// A pool and its share of a route's requests.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    /// The pool whose backends answer.
    pub(crate) pool: Name,
    /// Share of the requests, in relation to the others' weights. 0: none.
    #[schemars(range(min = 0, max = 10_000))]
    pub(crate) weight: u32,
}

/// What keeps a client on its side of a split. Needs exactly one of its keys.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SplitBy {
    /// The name of a header: requests with the same value go to the same pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) header: Option<Name>,
    /// The name of a cookie, which the application sets: requests with the same value go to the same
    /// pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cookie: Option<Name>,
    /// `true`: requests from the same address go to the same pool. A proxy in `trusted_proxies` is
    /// believed whom it speaks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_address: Option<bool>,
}

/// A pool that gets copies of requests. Its answers are thrown away: clients see nothing of them,
/// and neither do verdicts on its backends.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mirror {
    /// The pool. Not one that the route leads to.
    pub(crate) pool: Name,
    /// Share of the requests that are copied.
    #[serde(default = "Mirror::default_percent")]
    pub(crate) percent: Percent,
}

impl Mirror {
    pub(crate) fn default_percent() -> Percent {
        Percent(1.0)
    }
}

/// Sends clients elsewhere. What is not given stays as the client asked.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Redirect {
    /// With 308 and 307 clients keep the method, with 303 they send GET; 301 and 308 are for ever,
    /// and browsers remember them.
    pub(crate) status: RedirectStatus,
    /// The whole location, for all requests. Not together with the keys below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<Location>,
    /// The scheme.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scheme: Option<Scheme>,
    /// The host. Without it, the one that the client asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<Host>,
    /// The port. Without it, where the scheme or the host changes, the scheme's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub(crate) port: Option<NonZeroU16>,
    /// The whole path. To change a part of it, use the route's `rewrite`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<UrlPath>,
    /// Whether the query stays.
    pub(crate) keep_query: bool,
}

impl Default for Redirect {
    fn default() -> Self {
        Self {
            status: RedirectStatus(302),
            location: None,
            scheme: None,
            host: None,
            port: None,
            path: None,
            keep_query: true,
        }
    }
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

/// An answer that needs no backend.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Respond {
    /// The status.
    #[schemars(range(min = 200, max = 599))]
    pub(crate) status: u16,
    /// The body, up to 64 KiB.
    pub(crate) body: Body,
    /// What the body is.
    pub(crate) content_type: FieldValue,
    /// Further headers, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) headers: Option<Named<FieldValue>>,
}

impl Default for Respond {
    fn default() -> Self {
        Self {
            status: 200,
            body: Body::default(),
            content_type: FieldValue("text/plain; charset=utf-8".to_owned()),
            headers: None,
        }
    }
}
