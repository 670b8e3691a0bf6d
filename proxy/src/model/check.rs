//! What a health check asks, and which answers pass.

use std::ops::RangeInclusive;

/// What a health check asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// A path, by HTTP.
    Http(HttpCheck),
    /// A service, by gRPC's own health checking.
    Grpc {
        /// Its full name; empty for the server as a whole.
        service: String,
    },
    /// The connection is accepted.
    Tcp,
}

/// `GET path`, and what is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCheck {
    /// Begins with `/`.
    pub path: String,
    /// The statuses that pass.
    pub expect: RangeInclusive<u16>,
    /// The `Host` asked for; by default, that of the backend's URL.
    pub host: Option<String>,
    /// Further headers, names and values.
    pub headers: Vec<(String, String)>,
    /// What must occur in the body.
    pub body_contains: Option<String>,
}

impl HttpCheck {
    /// Returns a check of `path` that passes with any status of success.
    pub fn of(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            expect: 200..=299,
            host: None,
            headers: Vec::new(),
            body_contains: None,
        }
    }
}
