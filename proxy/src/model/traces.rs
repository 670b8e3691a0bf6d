//! How requests are traced.

use std::{path::PathBuf, time::Duration};

use crate::model::{Always, Redaction, Trusted};

/// How requests are traced.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracing {
    /// Whose trace is continued.
    pub trust: Trusted,
    /// Whether `baggage` of somebody trusted is passed on.
    pub baggage: bool,
    /// The share of traces begun here that is recorded by chance, 0 to 1.
    pub sample: f64,
    /// Which requests are recorded in any case.
    pub always: Always,
    /// What counts as slow.
    pub slow: Duration,
    /// What is not told of a request; as in the access log.
    pub redact: Redaction,
    /// Names this proxy among all that is traced.
    pub service: String,
    /// Where spans are sent; `None` if they are not.
    pub collector: Option<Collector>,
}

/// Who takes spans by OTLP.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Collector {
    /// Its host, as it is named in TLS.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether TLS is spoken.
    pub is_tls: bool,
    /// The path of a request.
    pub path: String,
    /// What is spoken.
    pub protocol: CollectorProtocol,
    /// Where further headers are read from: a line each, `name: value`.
    pub headers_file: Option<PathBuf>,
    /// Whose certificates are believed; `None` for those that the system trusts.
    pub ca: Option<PathBuf>,
    /// How long it may take to answer.
    pub timeout: Duration,
}

/// How spans are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CollectorProtocol {
    /// Protocol buffers over HTTP/1.1.
    Http,
    /// gRPC.
    Grpc,
}
