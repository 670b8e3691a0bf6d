//! A client's connection as it is accepted: TCP or a Unix socket, perhaps with bytes that were read
//! already, perhaps with TLS over it.

use std::{
    io,
    os::fd::{AsRawFd, RawFd},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, BytesMut};
use pingora_rustls::ServerTlsStream;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

/// What was accepted.
#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection, with what was read of it and put back.
#[derive(Debug)]
pub(crate) struct Socket {
    kind: Kind,
    put_back: BytesMut,
}

/// A connection, with or without TLS.
#[derive(Debug)]
pub(crate) enum Transport {
    Plain(Socket),
    Tls(Box<ServerTlsStream<Socket>>),
}

impl Socket {
    pub(crate) fn tcp(stream: TcpStream) -> Self {
        // Responses are written whole; waiting to fill a segment would only delay them. A system
        // that refuses is merely slower.
        _ = stream.set_nodelay(true);
        Self { kind: Kind::Tcp(stream), put_back: BytesMut::new() }
    }

    pub(crate) fn unix(stream: UnixStream) -> Self {
        Self { kind: Kind::Unix(stream), put_back: BytesMut::new() }
    }

    /// Reads what comes next, up to `most` bytes more than has been read by this, and keeps it to be
    /// read again. Returns all of it; nothing more comes if it is no longer than before.
    pub(crate) async fn look_ahead(&mut self, most: usize) -> io::Result<&[u8]> {
        let mut piece = [0; 512];
        let room = most.min(piece.len());
        let put_back = std::mem::take(&mut self.put_back);
        let read = self.read(&mut piece[..room]).await;
        self.put_back = put_back;
        self.put_back.extend_from_slice(&piece[..read?]);
        Ok(&self.put_back)
    }

    /// Drops so many bytes of what was read and kept.
    pub(crate) fn skip(&mut self, length: usize) {
        self.put_back.advance(length);
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        match &self.kind {
            Kind::Tcp(stream) => stream.as_raw_fd(),
            Kind::Unix(stream) => stream.as_raw_fd(),
        }
    }
}

impl AsRawFd for Transport {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Plain(socket) => socket.as_raw_fd(),
            Self::Tls(stream) => stream.get_ref().0.as_raw_fd(),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.put_back.is_empty() {
            let length = this.put_back.len().min(into.remaining());
            into.put_slice(&this.put_back.split_to(length));
            return Poll::Ready(Ok(()));
        }
        match &mut this.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_read(cx, into),
            Kind::Unix(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

/// Passes writing on to whichever variant there is.
macro_rules! writes {
    ($type:ty, $field:ident => $($variant:path),*) => {
        impl AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut().$field() {
                    $($variant(it) => Pin::new(it).poll_write(cx, bytes),)*
                }
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                pieces: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut().$field() {
                    $($variant(it) => Pin::new(it).poll_write_vectored(cx, pieces),)*
                }
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut().$field() {
                    $($variant(it) => Pin::new(it).poll_flush(cx),)*
                }
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut().$field() {
                    $($variant(it) => Pin::new(it).poll_shutdown(cx),)*
                }
            }
        }
    };
}

impl Socket {
    fn kind(&mut self) -> &mut Kind {
        &mut self.kind
    }
}

impl Transport {
    fn itself(&mut self) -> &mut Self {
        self
    }
}

writes!(Socket, kind => Kind::Tcp, Kind::Unix);
writes!(Transport, itself => Transport::Plain, Transport::Tls);

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, into),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, into),
        }
    }
}
