//! Our backend as Pingora's peer.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use pingora::{
    Error, ErrorType, Result,
    connectors::L4Connect,
    protocols::l4::{
        socket::SocketAddr as PeerAddress,
        stream::Stream,
        virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream},
    },
    upstreams::peer::HttpPeer,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    event::Symptom,
    exchange::{Connections, connection::Connection, dial::Wanted},
    model::{BackendId, Place, Protocol, Timeouts},
    wire::preamble::Speaker,
};

/// How long an upgraded connection (WebSocket) may be silent in one direction. Long, because
/// silence is normal there and the proxy cannot tell a quiet conversation from a dead one.
const UPGRADED_IDLE: Duration = Duration::from_secs(3600);

/// What an exchange is expected to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expectation {
    /// A response that should begin within this time.
    ResponseWithin(Duration),
    /// A connection that both sides use as they like.
    Upgrade,
}

impl Expectation {
    /// Returns how long to wait for the response to begin.
    pub(crate) fn limit(self) -> Duration {
        match self {
            Self::ResponseWithin(limit) => limit,
            Self::Upgrade => UPGRADED_IDLE,
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
        Expectation::Upgrade => UPGRADED_IDLE,
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
    /// For all of it, TLS included.
    pub(crate) limit: Duration,
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
                Ok(VirtualSocketStream::new(Box::new(Socket { connection, has_looked: false }))
                    .into())
            }
            Err(symptom) => Error::e_explain(error_of(symptom), symptom.to_string()),
        }
    }
}

/// A connection as Pingora takes it.
///
/// Pingora's two halves tell each other that the request has no body, and that the response has
/// begun. If the half that faces the backend hears of the response first, it takes the end of the
/// request's body for the client's end of the conversation, and closes what has just been opened
/// (`proxy_handle_upstream` of pingora-proxy 0.9.1; which comes first is drawn at random). A backend
/// that answers within microseconds loses one conversation in a few that way. So the first look for
/// an answer finds none: by the second, the end of the body has been dealt with.
#[derive(Debug)]
struct Socket {
    connection: Connection,
    has_looked: bool,
}

impl VirtualSocket for Socket {
    /// Does nothing: the connection has been made as it shall be.
    fn set_socket_option(&self, _: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.has_looked {
            this.has_looked = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut this.connection).poll_read(cx, into)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().connection).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().connection).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().connection).poll_shutdown(cx)
    }
}

/// Returns Pingora's word for why there is no connection.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else ends an attempt to connect")]
fn error_of(symptom: Symptom) -> ErrorType {
    match symptom {
        Symptom::ConnectionRefused => ErrorType::ConnectRefused,
        Symptom::ConnectTimedOut => ErrorType::ConnectTimedout,
        _ => ErrorType::ConnectError,
    }
}
