//! Routes: what of a request leads where, and under which terms.

use std::{num::NonZeroU16, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use crate::model::{Pattern, PoolId, RateLimit, RetryPolicy};

/// Which requests go where.
#[derive(Clone, Debug)]
pub struct Route {
    /// Unique name.
    pub name: String,
    /// What a request must look like.
    pub matches: Match,
    /// How the path changes on the way.
    pub rewrite: Option<Rewrite>,
    /// Where the request goes.
    pub destination: Destination,
    /// How often it may be asked.
    pub rate_limit: Option<RateLimit>,
    /// From the request's head to the beginning of its response, retries included.
    pub timeout: Duration,
    /// How attempts are repeated, where it differs from what the pool says. At most one for each
    /// pool that the route leads to.
    pub retries: Vec<(PoolId, RetryPolicy)>,
    /// Longest request body, in bytes; `None` for any.
    pub max_body: Option<u64>,
    /// Where a sample of the requests goes, too.
    pub mirror: Option<Mirror>,
    /// What is changed on the way to the backend.
    pub request_headers: HeaderEdits,
    /// What is changed on the way to the client.
    pub response_headers: HeaderEdits,
}

/// A pool that gets copies of requests, whose answers nobody gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mirror {
    /// None of those that the route leads to.
    pub pool: PoolId,
    /// Share of the requests that are copied, 0 to 1.
    pub share: f64,
}

/// Changes to headers, made in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    /// All lines of these go.
    pub remove: Vec<HeaderName>,
    /// Each takes the place of all lines of its name.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Each is one more line.
    pub add: Vec<(HeaderName, HeaderValue)>,
}

/// A route's conditions; all must hold. An empty list means any.
#[derive(Clone, Debug, Default)]
pub struct Match {
    /// One of these.
    pub hosts: Vec<HostMatch>,
    /// Exact, prefix or pattern. Without one, any path.
    pub path: Option<PathMatch>,
    /// Upper case.
    pub methods: Vec<String>,
    /// Each must hold for one of the lines that a header of this name has.
    pub headers: Vec<(HeaderName, ValueMatch)>,
    /// Each must hold for one of the query's parameters of this name, as sent.
    pub query: Vec<(String, ValueMatch)>,
    /// Indices in [`Topology::listeners`](crate::model::Topology::listeners).
    pub listeners: Vec<usize>,
}

/// How a host is compared. Lower case, without port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostMatch {
    /// The host is this.
    Exact(String),
    /// The host ends with `.` and this, and has at least one label before it.
    Below(String),
}

/// How a path is compared. The first two begin with `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// The path is this, to the letter.
    Exact(String),
    /// The path is this or continues below it: `/v1/` and `/v1` match `/v1/x`, never `/v1x`.
    Prefix(String),
    /// All of the path fits this.
    Pattern(Pattern),
}

/// How the value of a header or of a query's parameter is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueMatch {
    /// It is this, to the letter.
    Exact(String),
    /// All of it fits this.
    Pattern(Pattern),
    /// There is one, whatever it is; or, with `false`, none.
    Present(bool),
}

/// How a request's path changes before it is sent to a backend. The query stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// The whole path becomes this.
    Path(String),
    /// This prefix is removed; what remains starts with `/`.
    StripPrefix(String),
    /// A path that fits the pattern becomes the template, with its groups put in.
    Pattern {
        /// What all of the path must fit.
        pattern: Pattern,
        /// Begins with `/`; see [`Pattern::expand`].
        template: String,
    },
}

/// Where a route leads.
#[derive(Clone, Debug)]
pub enum Destination {
    /// To a backend of this pool.
    Pool(PoolId),
    /// To a backend of one of these pools.
    Split(Split),
    /// To the sidecar, which then answers on the data plane's address too.
    Sidecar,
    /// Elsewhere: the client is told where.
    Redirect(Redirect),
    /// Nowhere: the answer is always this.
    Respond(FixedResponse),
}

impl Destination {
    /// Returns every pool that it may be.
    pub fn pools(&self) -> impl Iterator<Item = PoolId> + '_ {
        let (one, parts) = match self {
            Self::Pool(pool) => (Some(*pool), &[][..]),
            Self::Split(split) => (None, &split.parts[..]),
            Self::Sidecar | Self::Redirect(_) | Self::Respond(_) => (None, &[][..]),
        };
        one.into_iter().chain(parts.iter().map(|(pool, _)| *pool))
    }
}

/// Where one request of a route goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To a backend of this pool.
    Pool(PoolId),
    /// To the sidecar.
    Sidecar,
    /// Nowhere: the proxy answers by itself, as the route says.
    Proxy,
}

/// Pools that share the requests of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Each pool with its weight, in the order of the configuration. At least one weight is not
    /// zero.
    pub parts: Vec<(PoolId, u32)>,
    /// What keeps a client on its side. Without it, or where a request does not have it, chance
    /// decides anew each time.
    pub by: Option<SplitKey>,
}

/// What of a request decides on which side of a split it falls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SplitKey {
    /// The value of this header.
    Header(HeaderName),
    /// The value of this cookie.
    Cookie(String),
    /// The client's address, as far as it is known.
    ClientAddress,
}

/// Sends clients elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// Where.
    pub to: Location,
}

/// Where a redirect leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// There, whatever the request.
    Whole(String),
    /// To what the request asked for, but for what is given here.
    Changed {
        /// `http` or `https`.
        scheme: Option<String>,
        /// Lower case, IPv6 in brackets.
        host: Option<String>,
        /// Without one, and with a scheme or a host, that of the scheme.
        port: Option<NonZeroU16>,
        /// Begins with `/`.
        path: Option<String>,
        /// Whether the query stays.
        keeps_query: bool,
    },
}

/// An answer that needs no backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedResponse {
    /// 200 to 599.
    pub status: u16,
    /// Empty with 204 and 304.
    pub body: Bytes,
    /// `Content-Type` among them, if there is a body.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}
