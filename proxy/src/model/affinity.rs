//! What keeps requests that belong together at one backend.

use std::{path::PathBuf, time::Duration};

/// What requests have in common that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// The address of their client.
    ClientAddress,
    /// The value of this header, in small letters.
    Header(String),
    /// The value of this cookie.
    Cookie(String),
    /// Their path, without the query, as the client sent it.
    Path,
}

/// How a client is kept at one backend, by a cookie that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sticky {
    /// The cookie's name.
    pub cookie: String,
    /// How long a cookie is good; it is renewed in the second half of that.
    pub ttl: Duration,
    /// Whether browsers send it over HTTPS only.
    pub secure: bool,
    /// With which requests from other sites browsers send it.
    pub same_site: SameSite,
    /// Where the secret is read from, at start, with which cookies are signed.
    pub secret: Secret,
}

/// With which requests from other sites browsers send a cookie (RFC 6265bis, section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// With none.
    Strict,
    /// With those that follow a link.
    Lax,
    /// With all.
    None,
}

/// Where a secret is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// A file.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
    /// Nowhere: one is made at start, and known to nobody else.
    Random,
}
