//! The part of a configuration file that describes a route.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod headers;
mod target;

pub(crate) use crate::config::file::route::{
    headers::{HeaderEdits, Headers},
    target::{Mirror, Part, Redirect, Respond, Scheme, SplitBy},
};
use crate::config::{
    file::{limits::RateLimit, named::Named},
    path::Path,
    units::{
        Name,
        duration::Length,
        http::{Method, UrlPath},
        matching::{FieldValue, HostPattern, PathTemplate, Pattern},
        size::Size,
    },
};

/// Which requests go where. Needs exactly one of `pool`, `split`, `redirect`, `respond` and
/// `sidecar: true`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Route {
    /// Unique. Without it, `route-1`, `route-2`, … by position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<Name>,
    /// What a request must look like; all that is given must hold. Without it, any request.
    #[serde(default, rename = "match")]
    pub(crate) matches: Match,
    /// How the path changes on its way to the backend. The query stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rewrite: Option<Rewrite>,
    /// The pool whose backends answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pool: Option<Name>,
    /// Pools that share the requests, each in proportion to its weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub(crate) split: Option<Vec<Part>>,
    /// What keeps a client on its side of `split`. A request that does not have it goes where chance
    /// says, as all do without this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) split_by: Option<SplitBy>,
    /// Where the client is told to go. It keeps path and query unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) redirect: Option<Redirect>,
    /// The answer, always the same, from no backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) respond: Option<Respond>,
    /// `true`: the sidecar answers, on the listener's address too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sidecar: Option<bool>,
    /// Where a sample of the requests goes, too. A copy bears `X-Bascule-Mirror: 1`. Requests with a
    /// body of more than 64 KiB, or of unknown length, are not copied, nor is any while 64 copies
    /// are under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mirror: Option<Mirror>,
    /// How headers change on their way.
    #[serde(default)]
    pub(crate) headers: Headers,
    /// How attempts are repeated, where it differs from what the pool says.
    #[serde(default)]
    pub(crate) retries: RouteRetries,
    /// Longest request body; a longer one is answered with 413 as soon as that is known. Without it,
    /// any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_body: Option<Size>,
    /// How often the route may be asked. Without it, as often as anybody likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rate_limit: Option<RateLimit>,
    /// From the head of a request to the beginning of its response, retries included.
    #[serde(default = "Route::default_timeout")]
    pub(crate) timeout: Length,
}

impl Route {
    /// Returns a route that leads all requests to this pool.
    pub(crate) fn to(pool: Name) -> Self {
        Self {
            name: None,
            matches: Match::default(),
            rewrite: None,
            pool: Some(pool),
            split: None,
            split_by: None,
            redirect: None,
            respond: None,
            sidecar: None,
            headers: Headers::default(),
            retries: RouteRetries::default(),
            max_body: None,
            mirror: None,
            rate_limit: None,
            timeout: Self::default_timeout(),
        }
    }

    /// Returns every pool that requests of this route may go to, with the path of its name below
    /// `path`, the route's.
    pub(crate) fn pools(&self, path: &Path) -> Vec<(&Name, Path)> {
        let one = self.pool.iter().map(|it| (it, path.key("pool")));
        let parts = self.split.iter().flatten().enumerate();
        let split = parts.map(|(at, it)| (&it.pool, path.key("split").item(at).key("pool")));
        one.chain(split).collect()
    }

    pub(crate) fn default_timeout() -> Length {
        Length::seconds(15)
    }
}

/// What a request must look like.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Match {
    /// Hosts, without port. `*.example.com` is every host below `example.com`, at any depth, but not
    /// `example.com` itself. Without it, any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub(crate) hosts: Vec<HostPattern>,
    /// The path, to the letter. Not together with `path_prefix` or `path_regex`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<UrlPath>,
    /// This path and all below it: `/v1` matches `/v1` and `/v1/x`, never `/v1x`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path_prefix: Option<UrlPath>,
    /// A regular expression that the whole path must fit. No path fits of which a server may take a
    /// segment for `..`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path_regex: Option<Pattern>,
    /// Methods, in capitals. Without it, any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub(crate) methods: Vec<Method>,
    /// Headers, by name. Each condition must hold for one of the lines that the header has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) headers: Option<Named<ValueMatch>>,
    /// Parameters of the query, by name. Names and values are compared as they are sent; nothing is
    /// decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) query: Option<Named<ValueMatch>>,
    /// Names of listeners: only requests that came in there. Without it, any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub(crate) listeners: Vec<Name>,
}

/// How one value is compared. Needs exactly one of its keys.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ValueMatch {
    /// The value, to the letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exact: Option<FieldValue>,
    /// A regular expression that the whole value must fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) regex: Option<Pattern>,
    /// `true`: any value. `false`: only requests without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) present: Option<bool>,
}

/// How a path changes. Needs exactly one of its keys.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rewrite {
    /// The whole path becomes this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<UrlPath>,
    /// This prefix is removed: with `/v1`, `/v1/x` becomes `/x`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) strip_prefix: Option<UrlPath>,
    /// A path that fits a pattern is put together anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) regex: Option<RewriteRegex>,
}

/// How a path is put together anew.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RewriteRegex {
    /// A regular expression that the whole path must fit; other paths stay as they are.
    pub(crate) pattern: Pattern,
    /// The new path. `$1` or `$name` stands for what that group of the pattern took; before a letter
    /// or a digit, write `$${1}`. A path in which a server may take a segment for `..` is not made.
    pub(crate) to: PathTemplate,
}

/// How attempts are repeated. What is not given is as the pool says, and so are the budget and all
/// else.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RouteRetries {
    /// Attempts in all, the first included; 1 means no retry.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub(crate) max_attempts: Option<NonZeroU32>,
    /// Answers of a backend that count as a failed attempt. `[]` for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(inner(range(min = 400, max = 599)))]
    pub(crate) statuses: Option<Vec<u16>>,
    /// How long one attempt may take to begin its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) per_try_timeout: Option<Length>,
}
