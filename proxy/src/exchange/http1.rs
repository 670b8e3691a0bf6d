//! One request and its response on an HTTP/1.1 connection.
//!
//! What happened to a request whose connection breaks matters as much as what comes back, so this
//! leg keeps account of what was sent, what was received, and what the kernel can prove.
//!
//! ## Proof that nothing was received
//!
//! When a backend closes an idle connection while a request is on its way there, nobody executes
//! the request, and the client of a `POST` would like to know that it is safe to send it again.
//! Most signs prove nothing:
//!
//! - *No response* proves nothing: the backend may have died after executing the request.
//! - *No byte acknowledged* proves nothing: Linux delays acknowledgements, so an application may
//!   have read and executed what is not acknowledged yet; one that rides on a reset is not counted.
//! - *A reset or a timeout* proves nothing: a process that is killed in the middle of a request
//!   resets its connections too.
//!
//! But a **FIN seen, and no byte of the request acknowledged**, is proof. The FIN is a segment like
//! any other and carries an acknowledgement of everything that the backend's kernel had received
//! when the backend gave up its sending side. If that covers nothing of the request, then the
//! application, which can read only what its kernel has received, had read nothing of it when it
//! closed, and it can no longer answer. One case remains: an application that shuts down its sending
//! side, goes on reading, and *executes* what it can no longer answer. Servers that close that way
//! (lingering close) read in order to discard. Whoever runs one that does not turns
//! `retries.on_proof` off.
//!
//! It holds on Linux, without TLS (there a library answers for the application), and when no byte
//! of a response has come.

use std::{
    io,
    mem::MaybeUninit,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use http::Method;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::{
    event::Symptom,
    exchange::connection::Connection,
    retry::{self, Delivery},
    wire::response::{BadEnd, BodyLength, Cut, Event, ResponseParser},
};

/// Interim responses that a backend may send before the final one. Nobody sends more than two; a
/// flood of them would keep a request from noticing that time passes.
pub(crate) const INTERIMS: u32 = 32;
/// How much is read first, to a place that is used by all in turn: nearly all that is read of most
/// responses. Only what has come is kept, beside other small things, instead of at the beginning of much
/// room of its own.
const FIRST: usize = 16 * 1024;
/// Room made for reads after that, until one has filled it: then it doubles.
const ROOM: usize = 16 * 1024;
const ROOM_MOST: usize = 64 * 1024;
/// With less room than this, more is made. What has been read shares its memory with the room behind
/// it, so new room for each of many small reads would keep many times what was read.
const LITTLE: usize = 2 * 1024;

/// One request and its response.
#[derive(Debug)]
pub(crate) struct Http1Leg {
    connection: Connection,
    parser: ResponseParser,
    received: BytesMut,
    /// How much room is made for what comes next; 0 until something has come.
    room: usize,
    /// What is still to be sent.
    unsent: Bytes,
    /// Whether all of the request has been given to be sent.
    is_whole: bool,
    /// Bytes that the kernel has taken, or TLS: where that fails, some may have left all the same.
    sent: u64,
    /// What the other side will have confirmed once it has got all that was sent before the first byte;
    /// `None` if no proof is wanted.
    confirmed_before: Option<u64>,
    /// The first error of the connection; nothing is written after it.
    write_error: Option<io::ErrorKind>,
    /// Whether the head of the final response has come.
    has_head: bool,
    /// Interim responses so far.
    interims: u32,
}

/// What happened next.
#[derive(Debug)]
pub(crate) enum Happened {
    /// All that was given to be sent has been sent.
    Sent,
    /// The backend said something.
    Said(Event),
}

/// How a leg failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LegError {
    pub(crate) symptom: Symptom,
    pub(crate) delivery: Delivery,
}

impl Http1Leg {
    /// Begins an exchange. With `wants_proof`, notes what is needed to prove that nothing was
    /// received.
    pub(crate) fn new(connection: Connection, method: &Method, wants_proof: bool) -> Self {
        let confirmed_before = if wants_proof { connection.confirmed_when_all_is() } else { None };
        Self {
            connection,
            parser: ResponseParser::new(method),
            received: BytesMut::new(),
            room: 0,
            unsent: Bytes::new(),
            is_whole: false,
            sent: 0,
            confirmed_before,
            write_error: None,
            has_head: false,
            interims: 0,
        }
    }

    /// Gives bytes to be sent; [`Http1Leg::next`] sends them. Only when all before have been sent.
    pub(crate) fn send(&mut self, bytes: Bytes) {
        debug_assert!(self.unsent.is_empty(), "sent in order");
        self.unsent = bytes;
    }

    /// Says that the request ends with what has been given.
    pub(crate) fn end(&mut self) {
        self.is_whole = true;
    }

    /// Tells whether all of the request has been given to be sent.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Tells whether all that was given has been sent, or can no longer be.
    pub(crate) fn is_sent(&self) -> bool {
        self.unsent.is_empty()
    }

    pub(crate) fn connection_use(&self) -> retry::Connection {
        if self.connection.is_used { retry::Connection::Reused } else { retry::Connection::Fresh }
    }

    /// Returns the length of the response's body, as far as its head tells.
    pub(crate) fn body(&self) -> BodyLength {
        self.parser.body()
    }

    /// Sends and receives until something happens. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Result<Happened, LegError> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Happened, LegError>> {
        if !self.unsent.is_empty() && self.poll_send(cx).is_ready() {
            return Poll::Ready(Ok(Happened::Sent));
        }
        loop {
            match self.parser.next(&mut self.received) {
                Ok(Some(event)) => {
                    match &event {
                        Event::Head(head) => {
                            self.has_head = true;
                            self.connection.kept_for = head.idle_timeout();
                        }
                        Event::Interim(_) if self.interims == INTERIMS => {
                            return Poll::Ready(Err(self.error(Symptom::Garbage)));
                        }
                        Event::Interim(_) => self.interims += 1,
                        Event::Data(_) | Event::Trailers(_) | Event::End => {}
                    }
                    return Poll::Ready(Ok(Happened::Said(event)));
                }
                Ok(None) => {}
                Err(_) => return Poll::Ready(Err(self.error(Symptom::Garbage))),
            }
            match ready!(self.poll_receive(cx)) {
                Ok(0) => return Poll::Ready(self.ended()),
                Ok(_) => {}
                Err(error) => {
                    self.write_error.get_or_insert(error.kind());
                    return Poll::Ready(Err(self.broken()));
                }
            }
        }
    }

    /// Sends what is unsent. Ready when all is sent, or nothing more can be: a backend that stops
    /// reading may have answered, so the error waits until it is known what came back.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.unsent.is_empty() {
            match ready!(Pin::new(&mut self.connection).poll_write(cx, &self.unsent)) {
                Ok(written) if written != 0 => {
                    self.sent += written as u64;
                    self.unsent.advance(written);
                }
                Ok(_) => self.stop_sending(io::ErrorKind::WriteZero),
                Err(error) => self.stop_sending(error.kind()),
            }
        }
        if let Err(error) = ready!(Pin::new(&mut self.connection).poll_flush(cx)) {
            self.stop_sending(error.kind());
        }
        Poll::Ready(())
    }

    fn stop_sending(&mut self, error: io::ErrorKind) {
        self.write_error.get_or_insert(error);
        self.unsent.clear();
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.room == 0 {
            let mut piece = [MaybeUninit::uninit(); FIRST];
            let mut piece = ReadBuf::uninit(&mut piece);
            ready!(Pin::new(&mut self.connection).poll_read(cx, &mut piece))?;
            self.received.extend_from_slice(piece.filled());
            self.room = ROOM;
            return Poll::Ready(Ok(piece.filled().len()));
        }
        if self.received.capacity() - self.received.len() < LITTLE {
            self.received.reserve(self.room);
        }
        let free = self.received.capacity() - self.received.len();
        // This future keeps nothing between polls, so it can be made anew for each.
        let read = ready!(pin!(self.connection.read_buf(&mut self.received)).poll(cx))?;
        if read == free {
            self.room = (2 * self.room).min(ROOM_MOST);
        }
        Poll::Ready(Ok(read))
    }

    /// Takes in that the backend has ended its side.
    fn ended(&mut self) -> Result<Happened, LegError> {
        match self.parser.at_eof(&self.received) {
            Ok(()) => Ok(Happened::Said(Event::End)),
            Err(BadEnd::Garbage(_)) => Err(self.error(Symptom::Garbage)),
            Err(BadEnd::Cut(Cut::InBody)) => Err(self.error(Symptom::ResponseCut)),
            Err(BadEnd::Cut(Cut::BeforeFirstByte | Cut::InHead)) => {
                let delivery = self.delivery(true);
                Err(LegError { symptom: Symptom::ConnectionClosed, delivery })
            }
        }
    }

    /// Says what it means that the connection broke with an error.
    fn broken(&self) -> LegError {
        if self.has_head {
            return self.error(Symptom::ResponseCut);
        }
        LegError { symptom: Symptom::ConnectionClosed, delivery: self.delivery(false) }
    }

    fn error(&self, symptom: Symptom) -> LegError {
        LegError { symptom, delivery: Delivery::Possible }
    }

    /// Judges what the backend can have received; see the module's documentation. `saw_fin` is
    /// whether the backend ended its side in good order.
    fn delivery(&self, saw_fin: bool) -> Delivery {
        if self.sent == 0 && (self.write_error.is_none() || !self.connection.is_tls()) {
            return Delivery::Disproved;
        }
        // After a reset the connection reads as ended, too: an earlier error says which it was. A
        // broken pipe is what writing after the FIN gives.
        let is_orderly = match self.write_error {
            None => saw_fin,
            Some(io::ErrorKind::BrokenPipe) => true,
            Some(_) => false,
        };
        let is_unconfirmed = || {
            let (before, now) = (self.confirmed_before, self.connection.confirmed());
            before.zip(now).is_some_and(|(before, now)| now <= before)
        };
        let is_unread = is_orderly && !self.parser.has_begun() && is_unconfirmed();
        if is_unread { Delivery::Disproved } else { Delivery::Possible }
    }

    /// Returns the connection if it may carry another request. After a response that came before
    /// all of its request was sent, it may not: the backend takes what follows for the rest.
    pub(crate) fn into_idle(mut self) -> Option<Connection> {
        let is_idle = self.is_whole
            && self.unsent.is_empty()
            && self.write_error.is_none()
            && self.parser.is_reusable(&self.received);
        self.connection.is_used = true;
        is_idle.then_some(self.connection)
    }
}

#[cfg(test)]
mod tests;
