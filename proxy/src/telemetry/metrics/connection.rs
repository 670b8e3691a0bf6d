//! What is counted of clients' connections, by listener.

use prometheus::{Error, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use crate::{
    model::Listener,
    telemetry::metrics::{Metrics, family, table},
    wire::incoming::Refusal,
};

/// Why a client's connection was closed before its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// The client's address has as many as it may have.
    TooManyOfClient,
    /// It began with no PROXY header where one is needed, or with a malformed one, or its peer may
    /// not send one.
    ProxyHeader,
    /// TLS could not be agreed on.
    Handshake,
    /// What comes before the first request took too long.
    HandshakeTimedOut,
}

impl Turned {
    const NAMES: [&'static str; 4] = ["client_limit", "proxy_header", "tls", "timeout"];
}

#[derive(Debug)]
pub(crate) struct ConnectionFamilies {
    open: IntGaugeVec,
    limit: IntGaugeVec,
    accepted: IntCounterVec,
    turned: IntCounterVec,
    refused: IntCounterVec,
    expiry: IntGaugeVec,
}

impl ConnectionFamilies {
    pub(crate) fn new(registry: &family::Registry) -> Result<Self, Error> {
        Ok(Self {
            open: family::gauges(registry, &table::CONNECTIONS_OPEN)?,
            limit: family::gauges(registry, &table::CONNECTIONS_LIMIT)?,
            accepted: family::counters(registry, &table::CONNECTIONS)?,
            turned: family::counters(registry, &table::CONNECTIONS_REFUSED)?,
            refused: family::counters(registry, &table::REQUESTS_REFUSED)?,
            expiry: family::gauges(registry, &table::CERTIFICATE_EXPIRY)?,
        })
    }
}

#[derive(Debug)]
pub(crate) struct ConnectionHandles {
    open: IntGauge,
    accepted: IntCounter,
    turned: [IntCounter; 4],
    refused: [IntCounter; Refusal::ALL.len()],
    /// One for each certificate.
    expiry: Vec<IntGauge>,
}

impl ConnectionHandles {
    pub(crate) fn new(families: &ConnectionFamilies, listener: &Listener) -> Self {
        let certificates = listener.tls.as_ref().map_or(0, |it| it.certificates.len());
        let limit = listener.limits.connections.get();
        let listener = listener.name.as_str();
        families.limit.with_label_values(&[listener]).set(limit.into());
        let expiry = (0..certificates).map(|index| {
            families.expiry.with_label_values(&[listener, index.to_string().as_str()])
        });
        Self {
            open: families.open.with_label_values(&[listener]),
            accepted: families.accepted.with_label_values(&[listener]),
            turned: family::each(&families.turned, &[listener], Turned::NAMES),
            refused: family::each(&families.refused, &[listener], Refusal::ALL.map(Refusal::code)),
            expiry: expiry.collect(),
        }
    }
}

/// A connection that is counted as open until this is dropped.
#[derive(Debug)]
pub struct OpenConnection(IntGauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Counts a connection that was accepted on `listener`, an index in `Topology::listeners`.
    pub fn connection_opened(&self, listener: usize) -> OpenConnection {
        let handles = &self.connections[listener];
        handles.accepted.inc();
        handles.open.inc();
        OpenConnection(handles.open.clone())
    }

    /// Counts a connection that was closed before its first request.
    pub fn connection_refused(&self, listener: usize, reason: Turned) {
        self.connections[listener].turned[reason as usize].inc();
    }

    /// Counts a request that was answered with an error before anybody acted on it.
    pub fn request_refused(&self, listener: usize, refusal: Refusal) {
        self.connections[listener].refused[refusal as usize].inc();
    }

    /// Shows when the certificates of a listener expire, in seconds of Unix time.
    pub fn certificates_expire(&self, listener: usize, expiries: &[i64]) {
        for (gauge, expiry) in self.connections[listener].expiry.iter().zip(expiries) {
            gauge.set(*expiry);
        }
    }
}
