//! A client's connection as the parser behind may see it: one message at a time, and only what has
//! been checked of it.
//!
//! Pingora reads requests by itself, and reads on while it waits for a response. Given the socket, it
//! would accept what should be refused, and take bytes of the next request for something else. Given
//! a [`Front`], it gets the head of one request once [`incoming::inspect`] has found nothing wrong
//! with it, then just the bytes of its body, then nothing more but the end of the connection. What
//! the client sends beyond stays here and is the next request's.
//!
//! Between requests nothing is held but what little the client may have sent: no parser, no buffers.

use std::{
    io,
    os::fd::AsRawFd,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use pingora::protocols::{SocketDigest, raw_connect::ProxyDigest, tls::SslDigest};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use crate::{
    client_connection::{Aside, Said},
    edge::socket::Transport,
    wire::{
        incoming::{Body, Head, Limits, Refusal},
        response,
    },
};

/// How long a client may take to take note of the connection's end.
pub(crate) const LINGER: Duration = Duration::from_secs(2);
/// How much a client may still send meanwhile.
pub(crate) const LINGER_BYTES: usize = 1 << 20;
/// How much is read at a time where it has to be looked at. On the stack, so that an idle connection
/// has no buffer. A request with a body of a few KiB fits, so that one read takes all of it and shows
/// that there is no more, which would otherwise take two.
const PIECE: usize = 16 * 1024;
/// Responses are gathered up to this size, so that head and body leave in one write.
const GATHERED: usize = 16 * 1024;

/// Room for what follows the head of a response: its last lines, and a short body.
const SHORT: usize = 1536;

/// The end of a body in chunks without trailers.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// A client's connection, in front of whoever parses its requests.
#[derive(Debug)]
pub(crate) struct Front {
    transport: Transport,
    /// What has come and was not passed on.
    incoming: BytesMut,
    /// How many bytes at the start of `incoming` may be passed on.
    passable: usize,
    stage: Stage,
    /// What is to be sent.
    outgoing: BytesMut,
    facts: Facts,
    /// Once nothing more is sent over HTTP/2: for how long, and how many bytes, its end is waited for.
    linger: Option<(Pin<Box<Sleep>>, usize)>,
}

/// What is told of the connection.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) socket: Arc<SocketDigest>,
    pub(crate) connection: Arc<ProxyDigest>,
    /// What is told past the parser behind.
    pub(crate) aside: Arc<Aside>,
    pub(crate) tls: Option<Arc<SslDigest>>,
    /// Whether HTTP/2 is spoken.
    pub(crate) is_http2: bool,
}

#[derive(Debug)]
enum Stage {
    /// Between two requests.
    Between,
    /// In a request, whose head has been checked.
    Request { body: Body, upgrade: Upgrade },
    /// Both sides speak as they like: WebSocket, or HTTP/2 with framing of its own.
    Open,
    /// A body turned out to be malformed: nothing more is read.
    Refused(Refusal),
}

/// Whether the connection may become another protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upgrade {
    /// The client has not asked, or has been answered.
    No,
    /// The client has asked and not been answered.
    Asked,
}

impl Front {
    pub(crate) fn new(transport: Transport, facts: Facts) -> Self {
        let (incoming, outgoing) = (BytesMut::new(), BytesMut::new());
        let stage = Stage::Between;
        Self { transport, incoming, passable: 0, stage, outgoing, facts, linger: None }
    }

    /// Passes everything on from here, in both directions.
    pub(crate) fn open(&mut self) {
        self.facts.is_http2 = true;
        self.stage = Stage::Open;
    }

    /// Returns what has come and was not passed on.
    pub(crate) fn incoming(&mut self) -> &mut BytesMut {
        &mut self.incoming
    }

    /// Lets the request at the start of what has come be read: its head is so long.
    pub(crate) fn admit(&mut self, length: usize, head: Head, limits: &Limits) {
        let upgrade = if head.is_upgrade { Upgrade::Asked } else { Upgrade::No };
        self.passable = length;
        self.facts.aside.clear();
        self.stage = Stage::Request { body: Body::new(head.framing, limits), upgrade };
    }

    /// Makes ready for the next request. Returns `false` if the last one has not been read to its
    /// end: then it is not known where the next begins.
    pub(crate) fn finish(&mut self) -> bool {
        let is_over = match &self.stage {
            Stage::Between => true,
            Stage::Request { body, .. } => body.is_over() && self.passable == 0,
            Stage::Open | Stage::Refused(_) => false,
        };
        self.stage = Stage::Between;
        // Buffers are for requests; a connection may be idle for long.
        if self.incoming.is_empty() {
            self.incoming = BytesMut::new();
        }
        self.outgoing = BytesMut::new();
        is_over
    }

    /// Reads what comes next. Returns how much; nothing is the end.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut piece = [std::mem::MaybeUninit::uninit(); PIECE];
        let mut piece = ReadBuf::uninit(&mut piece);
        ready!(Pin::new(&mut self.transport).poll_read(cx, &mut piece))?;
        self.incoming.extend_from_slice(piece.filled());
        Poll::Ready(Ok(piece.filled().len()))
    }

    /// Reads what the client still sends and drops it, up to `left` bytes, until it has closed: closing
    /// before would make the system reset the connection, and the client lose what it was sent last.
    pub(crate) fn poll_discard(&mut self, cx: &mut Context<'_>, left: &mut usize) -> Poll<()> {
        while 0 < *left {
            let mut piece = [std::mem::MaybeUninit::uninit(); PIECE];
            let mut piece = ReadBuf::uninit(&mut piece);
            let read = ready!(Pin::new(&mut self.transport).poll_read(cx, &mut piece));
            if read.is_err() || piece.filled().is_empty() {
                break;
            }
            *left = left.saturating_sub(piece.filled().len());
        }
        Poll::Ready(())
    }

    /// Waits for a client over HTTP/2 to close as well, for no longer than [`LINGER`].
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (mut timer, mut left) =
            self.linger.take().unwrap_or_else(|| (Box::pin(sleep(LINGER)), LINGER_BYTES));
        if timer.as_mut().poll(cx).is_ready() || self.poll_discard(cx, &mut left).is_ready() {
            return Poll::Ready(());
        }
        self.linger = Some((timer, left));
        Poll::Pending
    }

    /// Passes on what may be passed on.
    fn pass(&mut self, into: &mut ReadBuf<'_>) {
        let length = self.passable.min(into.remaining());
        into.put_slice(&self.incoming[..length]);
        self.incoming.advance(length);
        self.passable -= length;
    }

    /// Reads the body's next bytes.
    fn poll_body(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if 0 < self.passable {
                self.pass(into);
                return Poll::Ready(Ok(()));
            }
            let Stage::Request { body, .. } = &mut self.stage else { return self.poll_end(cx) };
            if body.is_over() {
                return self.poll_end(cx);
            }
            if !self.incoming.is_empty() {
                match body.take(&self.incoming) {
                    Ok(length) => {
                        self.passable = length;
                        if let Some(trailers) = body.take_trailers() {
                            self.facts.aside.put_trailers(trailers);
                        }
                    }
                    Err(refusal) => return Poll::Ready(Err(self.refuse(refusal))),
                }
                continue;
            }
            let plain = usize::try_from(body.plain()).unwrap_or(usize::MAX).min(into.remaining());
            if plain != 0 {
                // Nothing to be checked in these: they need not be copied.
                let mut room = ReadBuf::new(into.initialize_unfilled_to(plain));
                ready!(Pin::new(&mut self.transport).poll_read(cx, &mut room))?;
                let length = room.filled().len();
                let taken = body.take(room.filled());
                into.advance(length);
                return Poll::Ready(taken.map(drop).map_err(|refusal| self.refuse(refusal)));
            }
            if ready!(self.poll_fill(cx))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal) -> io::Error {
        self.stage = Stage::Refused(refusal);
        io::Error::new(io::ErrorKind::InvalidData, refusal)
    }

    /// Behind a request: only the end of the connection is told.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A client that has sent more is still there: it waits for its answers.
        if self.incoming.is_empty() && ready!(self.poll_fill(cx))? == 0 {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    /// Notes whether the answer to a request to upgrade accepts it.
    fn look_at_answer(&mut self, bytes: &[u8]) {
        let Stage::Request { upgrade: upgrade @ Upgrade::Asked, .. } = &mut self.stage else {
            return;
        };
        // Heads are written whole. Interim ones go before the answer (RFC 9110 §15.2).
        match bytes.get(..10) {
            Some(b"HTTP/1.1 1") if bytes[10..].starts_with(b"01 ") => self.stage = Stage::Open,
            Some(b"HTTP/1.1 1") => {}
            Some(_) | None => *upgrade = Upgrade::No,
        }
    }

    /// Gathers, in the place of what the parser behind writes, what is told past it. Returns `false`
    /// if nothing is, and the bytes go as they are.
    fn replace(&mut self, bytes: &[u8]) -> bool {
        // Also where the rest of the request is refused: an answer to it may have come before.
        if matches!(self.stage, Stage::Open) {
            return false;
        }
        match self.facts.aside.said() {
            // The parser ends a body in chunks in one write.
            Some(Said { last_chunk: Some(chunk), .. }) if bytes == LAST_CHUNK => {
                self.outgoing.extend_from_slice(&chunk);
                true
            }
            // And writes a head in one.
            Some(Said { head: Some(head), .. }) => {
                self.outgoing.reserve(head.len() + SHORT);
                response::put_whole_head(&head, bytes, &mut self.outgoing);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Sends what was gathered.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let sent = ready!(Pin::new(&mut self.transport).poll_write(cx, &self.outgoing))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.advance(sent);
        }
        Poll::Ready(Ok(()))
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }
}

impl Drop for Front {
    /// A response that broke off shall reach the client as far as it came: it is told by that. What
    /// cannot be sent at once is lost with the connection.
    fn drop(&mut self) {
        if !self.outgoing.is_empty() {
            _ = Pin::new(self).poll_flush(&mut Context::from_waker(Waker::noop()));
        }
    }
}

impl AsRawFd for Front {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.transport.as_raw_fd()
    }
}

impl AsyncRead for Front {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Who reads has nothing to write at the moment: what was gathered need not wait for more.
        // If the client takes it slowly, this is polled again when it has taken some.
        if !this.outgoing.is_empty()
            && let Poll::Ready(Err(error)) = Pin::new(&mut *this).poll_flush(cx)
        {
            return Poll::Ready(Err(error));
        }
        match &this.stage {
            Stage::Open if this.incoming.is_empty() => {
                Pin::new(&mut this.transport).poll_read(cx, into)
            }
            Stage::Open => {
                this.passable = this.incoming.len();
                this.pass(into);
                Poll::Ready(Ok(()))
            }
            Stage::Request { .. } => this.poll_body(cx, into),
            Stage::Refused(refusal) => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, *refusal)))
            }
            Stage::Between => this.poll_end(cx),
        }
    }
}

impl AsyncWrite for Front {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.look_at_answer(bytes);
        if this.replace(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        if !matches!(this.stage, Stage::Open) && this.outgoing.len() + bytes.len() <= GATHERED {
            this.outgoing.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        while !this.outgoing.is_empty() {
            let pieces = [io::IoSlice::new(&this.outgoing), io::IoSlice::new(bytes)];
            let sent = ready!(Pin::new(&mut this.transport).poll_write_vectored(cx, &pieces))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let gathered = sent.min(this.outgoing.len());
            this.outgoing.advance(gathered);
            if gathered < sent {
                return Poll::Ready(Ok(sent - gathered));
            }
        }
        Pin::new(&mut this.transport).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if matches!(this.stage, Stage::Open) && this.outgoing.is_empty() {
            return Pin::new(&mut this.transport).poll_write_vectored(cx, pieces);
        }
        let first = pieces.iter().find(|it| !it.is_empty());
        first.map_or(Poll::Ready(Ok(0)), |it| Pin::new(this).poll_write(cx, it))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.transport).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(this.poll_send(cx))?;
            ready!(Pin::new(&mut this.transport).poll_shutdown(cx))?;
            if !this.facts.is_http2 {
                return Poll::Ready(Ok(()));
            }
        }
        // Frames of the client's may be on their way, and the last of ours not yet read.
        this.poll_linger(cx).map(Ok)
    }
}
