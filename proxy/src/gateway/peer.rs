//! Our backend as Pingora's peer.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use pingora::{
    Error, ErrorType, OrErr, Result,
    connectors::L4Connect,
    protocols::l4::{socket::SocketAddr as PeerAddress, stream::Stream, virt::VirtualSocketStream},
    upstreams::peer::HttpPeer,
};
use tokio::net::TcpStream;

use crate::{
    alarms::Alarms,
    departure::Departure,
    event::Symptom,
    exchange::{Connections, dial::Wanted},
    gateway::tunnel::Tunnel,
    model::{BackendId, Place, Protocol, Timeouts},
    wire::preamble::Speaker,
};

/// What an exchange is expected to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expectation {
    /// A response that should begin within this time.
    ResponseWithin(Duration),
    /// A connection that both sides use as they like, and that may be silent for this long.
    Upgrade(Duration),
}

impl Expectation {
    /// Returns how long to wait for the response to begin.
    pub(crate) fn limit(self) -> Duration {
        match self {
            Self::ResponseWithin(limit) | Self::Upgrade(limit) => limit,
        }
    }
}

/// Describes one attempt's connection to Pingora.
///
/// `dial` goes into the key under which Pingora keeps idle connections, so that none from before a
/// backend was lost is used after.
pub(crate) fn peer_of(
    place: &Place,
    dial: Option<BackendDial>,
    timeouts: &Timeouts,
    expectation: Expectation,
    time_left: Duration,
) -> Result<HttpPeer> {
    let mut peer = match place {
        Place::Ip(address) => HttpPeer::new(*address, false, String::new()),
        Place::Unix(path) => HttpPeer::new_uds(&path.to_string_lossy(), false, String::new())?,
    };
    let options = &mut peer.options;
    let connect = timeouts.connect.min(time_left);
    options.connection_timeout = Some(connect);
    options.total_connection_timeout = Some(connect);
    options.idle_timeout = Some(timeouts.idle);
    options.write_timeout = Some(timeouts.between_reads);
    options.read_timeout = Some(match expectation {
        Expectation::ResponseWithin(limit) => limit.min(time_left),
        Expectation::Upgrade(idle) => idle,
    });
    if let Some(dial) = dial {
        peer.group_key = dial.epoch;
        peer.options.custom_l4 = Some(Arc::new(BackendDial { limit: connect, ..dial }));
    }
    Ok(peer)
}

/// Connects to a backend as the engine does, in Pingora's stead: one reading of what was configured
/// serves both.
#[derive(Clone, Debug)]
pub(crate) struct BackendDial {
    pub(crate) connections: Arc<Connections>,
    pub(crate) backend: BackendId,
    pub(crate) epoch: u64,
    /// For whom, where backends are told.
    pub(crate) speaker: Speaker,
    /// When both sides are told that the process ends.
    pub(crate) departure: Departure,
    /// When they are told that the backend is drained.
    pub(crate) alarms: Arc<Alarms>,
    /// For all of it, TLS included.
    pub(crate) limit: Duration,
}

impl BackendDial {
    /// Ends when the process or the backend lets its conversations go.
    fn goodbye(&self) -> impl Future<Output = ()> + Send + 'static {
        let departure = self.departure.clone();
        let grace = departure.policy().websocket_grace;
        let drained = self.alarms.goodbye(self.backend, grace);
        async move {
            tokio::select! {
                () = departure.goodbye() => {}
                () = drained => {}
            }
        }
    }
}

#[async_trait]
impl L4Connect for BackendDial {
    async fn connect(&self, _: &PeerAddress) -> Result<Stream> {
        // What goes this way are upgrades, which HTTP/2 does not have.
        let dial = &self.connections.dial;
        let wanted = Wanted { protocol: Protocol::Http1, speaker: self.speaker };
        let opened = dial.connect(self.backend, self.epoch, wanted, self.limit).await;
        match opened {
            Ok(connection) => {
                let tunnel = Tunnel::new(connection, self.goodbye());
                Ok(VirtualSocketStream::new(Box::new(tunnel)).into())
            }
            Err(symptom) => Error::e_explain(error_of(symptom), symptom.to_string()),
        }
    }
}

/// Connects to the sidecar for an upgrade, which ends as those of backends do.
#[derive(Clone, Debug)]
pub(crate) struct SidecarDial {
    pub(crate) address: SocketAddr,
    pub(crate) departure: Departure,
}

#[async_trait]
impl L4Connect for SidecarDial {
    async fn connect(&self, _: &PeerAddress) -> Result<Stream> {
        // Pingora bounds how long it takes.
        let stream = TcpStream::connect(self.address).await;
        let stream = stream.or_err(ErrorType::ConnectError, "the sidecar")?;
        // A system that refuses is merely slower.
        _ = stream.set_nodelay(true);
        Ok(VirtualSocketStream::new(Box::new(Tunnel::new(
            stream,
            self.departure.clone().goodbye(),
        )))
        .into())
    }
}

/// Returns Pingora's word for why there is no connection.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else ends an attempt to connect")]
fn error_of(symptom: Symptom) -> ErrorType {
    match symptom {
        Symptom::ConnectionRefused => ErrorType::ConnectRefused,
        Symptom::ConnectTimedOut => ErrorType::ConnectTimedout,
        Symptom::TlsFailed => ErrorType::TLSHandshakeFailure,
        Symptom::BadCertificate => ErrorType::InvalidCert,
        _ => ErrorType::ConnectError,
    }
}
