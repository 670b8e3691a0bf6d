//! A backend's end of an upgraded connection, as Pingora's path needs it.
//!
//! Pingora's two halves tell each other that the request has no body, and that the response has
//! begun. If the half that faces the backend hears of the response first, it takes the end of the
//! request's body for the client's end of the conversation, and closes what has just been opened
//! (`proxy_handle_upstream` of pingora-proxy 0.9.1; which comes first is drawn at random). A backend
//! that answers within microseconds loses one conversation in a few that way. So the first look for
//! an answer finds none: by the second, the end of the body has been dealt with.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use pingora::{
    Error, ErrorType, OrErr, Result,
    connectors::L4Connect,
    protocols::l4::{
        socket::SocketAddr as PeerAddress,
        stream::Stream,
        virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream},
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};

/// Connects for an upgrade.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UpgradeDial {
    pub(crate) address: SocketAddr,
    pub(crate) limit: Duration,
}

#[async_trait]
impl L4Connect for UpgradeDial {
    async fn connect(&self, _: &PeerAddress) -> Result<Stream> {
        let connected = timeout(self.limit, TcpStream::connect(self.address)).await;
        let stream = connected.or_err(ErrorType::ConnectTimedout, "for an upgrade")?;
        let stream = stream.map_err(|error| {
            let is_refused = error.kind() == io::ErrorKind::ConnectionRefused;
            let kind = if is_refused { ErrorType::ConnectRefused } else { ErrorType::ConnectError };
            Error::because(kind, "for an upgrade", error)
        })?;
        // A system that refuses is merely slower.
        _ = stream.set_nodelay(true);
        Ok(VirtualSocketStream::new(Box::new(Upgraded { stream, has_looked: false })).into())
    }
}

#[derive(Debug)]
struct Upgraded {
    stream: TcpStream,
    has_looked: bool,
}

impl VirtualSocket for Upgraded {
    /// Does nothing: the connection has been made as it shall be.
    fn set_socket_option(&self, _: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.has_looked {
            self.has_looked = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
