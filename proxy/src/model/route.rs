//! Routes: what of a request leads where, and under which terms.

use std::time::Duration;

use crate::model::PoolId;

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
    pub target: Target,
    /// From the request's head to the beginning of its response, retries included.
    pub timeout: Duration,
}

/// A route's conditions; all must hold. An empty list means any.
#[derive(Clone, Debug, Default)]
pub struct Match {
    /// Lower case, without port.
    pub hosts: Vec<String>,
    /// Exact, or prefix. Without one, any path.
    pub path: Option<PathMatch>,
    /// Upper case.
    pub methods: Vec<String>,
}

/// How a path is compared. Both begin with `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// The path is this, to the letter.
    Exact(String),
    /// The path is this or continues below it: `/v1/` and `/v1` match `/v1/x`, never `/v1x`.
    Prefix(String),
}

/// How a request's path changes before it is sent to a backend. The query stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// The whole path becomes this.
    Path(String),
    /// This prefix is removed; what remains starts with `/`.
    StripPrefix(String),
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To a backend of this pool.
    Pool(PoolId),
    /// To the sidecar, which then answers on the data plane's address too.
    Sidecar,
}
