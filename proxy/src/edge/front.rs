//! A client's connection as those behind may see it: one message at a time, and only what has been
//! checked of it.
//!
//! A request is taken from here once [`incoming::inspect`] has found nothing wrong with its head: by a
//! [`Session`](super::session::Session), or, where it asks to upgrade the connection, by Pingora, which
//! reads requests by itself, and reads on while it waits for a response. Given the socket, it would take
//! bytes of the next request for something else. Given a [`Front`], it gets the head of one request and
//! then nothing more but the end of the connection, until that is upgraded. What the client sends beyond
//! stays here and is the next request's.
//!
//! Between requests nothing is held but what little the client may have sent: no parser, no buffers.

use std::{
    io,
    os::fd::AsRawFd,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use pingora::protocols::{SocketDigest, raw_connect::ProxyDigest, tls::SslDigest};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use crate::{
    client_connection::Aside,
    edge::socket::Transport,
    wire::incoming::{Body, Head, Limits, Refusal},
};

/// How long a client may take to take note of the connection's end.
pub(crate) const LINGER: Duration = Duration::from_secs(2);
/// How much a client may still send meanwhile.
pub(crate) const LINGER_BYTES: usize = 1 << 20;
/// How much is read at a time where it has to be looked at. On the stack, so that an idle connection
/// has no buffer. A request with a body of a few KiB fits, so that one read takes all of it and shows
/// that there is no more, which would otherwise take two.
const PIECE: usize = 16 * 1024;
/// How much of a long body is read at a time.
const LARGE: usize = 64 * 1024;
/// Responses are gathered up to this size, so that head and body leave in one write.
const GATHERED: usize = 16 * 1024;

/// Room for what follows the head of a response: its last lines, and a short body.
const SHORT: usize = 1536;

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
        self.facts.aside.clear();
        is_over
    }

    /// Gives up the room that requests took: the connection may be idle for long.
    pub(crate) fn rest(&mut self) {
        if self.incoming.is_empty() {
            self.incoming = BytesMut::new();
        }
        if self.outgoing.is_empty() {
            self.outgoing = BytesMut::new();
        }
    }

    /// The same as [`Front::poll_fill`] behind a request that another is expected to follow soon: to where
    /// that one was, which nobody holds any more, without a copy.
    pub(crate) fn poll_fill_again(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.incoming.reserve(PIECE);
        pin!(self.transport.read_buf(&mut self.incoming)).poll(cx)
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

    /// Takes the head of the request that was admitted, which begins what has come.
    pub(crate) fn take_head(&mut self) -> Bytes {
        let length = std::mem::take(&mut self.passable);
        self.incoming.split_to(length).freeze()
    }

    /// Tells whether all of the request's body has been taken.
    pub(crate) fn is_body_over(&self) -> bool {
        match &self.stage {
            Stage::Request { body, .. } => body.is_over(),
            Stage::Between | Stage::Open | Stage::Refused(_) => true,
        }
    }

    /// Reads the next piece of the request's body, without what frames it; `None` behind it.
    pub(crate) fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            let body = match &mut self.stage {
                Stage::Request { body, .. } => body,
                Stage::Refused(refusal) => {
                    let error = io::Error::new(io::ErrorKind::InvalidData, *refusal);
                    return Poll::Ready(Err(error));
                }
                Stage::Between | Stage::Open => return Poll::Ready(Ok(None)),
            };
            let content = body.take_content(&mut self.incoming);
            if let Some(trailers) = body.take_trailers() {
                self.facts.aside.put_trailers(trailers);
            }
            let (is_over, plain) = (body.is_over(), body.plain());
            match content {
                Err(refusal) => return Poll::Ready(Err(self.refuse(refusal))),
                Ok(None) if !is_over => {}
                Ok(content) => return Poll::Ready(Ok(content)),
            }
            self.push_out(cx)?;
            let read = if (PIECE as u64) < plain {
                let room = usize::try_from(plain).unwrap_or(LARGE).min(LARGE);
                self.incoming.reserve(room);
                pin!(self.transport.read_buf(&mut self.incoming)).poll(cx)
            } else {
                self.poll_fill(cx)
            };
            if ready!(read)? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Waits for the client to go away, behind a request.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.push_out(cx)?;
        self.poll_end(cx)
    }

    /// Sends what was gathered, as far as the client takes it. Who reads has nothing to write at the moment:
    /// it need not wait for more. If the client takes it slowly, whoever reads polls again when it has
    /// taken some.
    fn push_out(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.outgoing.is_empty()
            && let Poll::Ready(Err(error)) = Pin::new(self).poll_flush(cx)
        {
            return Err(error);
        }
        Ok(())
    }

    /// Puts what is to be sent behind what was gathered.
    pub(crate) fn put(&mut self, parts: &[&[u8]]) {
        let length = parts.iter().map(|it| it.len()).sum::<usize>();
        // Most is put behind a head that was the first.
        self.outgoing.reserve(if self.outgoing.is_empty() { length + SHORT } else { length });
        parts.iter().for_each(|it| self.outgoing.extend_from_slice(it));
    }

    /// The same, if there is not too much of it already; `false` otherwise.
    pub(crate) fn gather(&mut self, parts: &[&[u8]]) -> bool {
        let length = self.outgoing.len() + parts.iter().map(|it| it.len()).sum::<usize>();
        let is_little = length <= GATHERED;
        if is_little {
            self.put(parts);
        }
        is_little
    }

    /// Tells whether the client asks to upgrade the connection with its request.
    pub(crate) fn wants_upgrade(&self) -> bool {
        matches!(self.stage, Stage::Request { upgrade: Upgrade::Asked, .. })
    }

    /// Sends what was gathered and `bytes` behind it. Ready when all has been taken.
    pub(crate) fn poll_send_with(
        &mut self,
        bytes: &mut &[u8],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !bytes.is_empty() {
            let taken = ready!(self.poll_send_some(bytes, cx))?;
            *bytes = &bytes[taken..];
        }
        Poll::Ready(Ok(()))
    }

    /// Sends some of what was gathered and of `bytes` behind it. Returns how many of these.
    fn poll_send_some(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let pieces = [io::IoSlice::new(&self.outgoing), io::IoSlice::new(bytes)];
        let sent = ready!(Pin::new(&mut self.transport).poll_write_vectored(cx, &pieces))?;
        if sent == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let gathered = sent.min(self.outgoing.len());
        self.outgoing.advance(gathered);
        Poll::Ready(Ok(sent - gathered))
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
        this.push_out(cx)?;
        match &this.stage {
            Stage::Open if this.incoming.is_empty() => {
                Pin::new(&mut this.transport).poll_read(cx, into)
            }
            Stage::Open => {
                this.passable = this.incoming.len();
                this.pass(into);
                Poll::Ready(Ok(()))
            }
            // A request to upgrade has no body.
            Stage::Request { .. } if this.passable == 0 => this.poll_end(cx),
            Stage::Request { .. } => {
                this.pass(into);
                Poll::Ready(Ok(()))
            }
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
        if !matches!(this.stage, Stage::Open) && this.outgoing.len() + bytes.len() <= GATHERED {
            this.outgoing.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        while !this.outgoing.is_empty() {
            let taken = ready!(this.poll_send_some(bytes, cx))?;
            if 0 < taken {
                return Poll::Ready(Ok(taken));
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
