//! A request's body on its way from the client, kept for as long as it may be sent again.

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, header::CONNECTION};
use pingora::{Error, ErrorType, Result, protocols::http::ServerSession};

use crate::{
    clock,
    exchange::{client, memory::Reservation, pace::Pace},
    model::RetryPolicy,
    retry::Body,
    wire::{Header, connection::Nominated, request::BodyFraming},
};

/// Bodies up to this length are read whole before the first attempt, if they may be kept. They
/// nearly always come with the head, and an attempt whose request is all there can be sent in one
/// write, sent again, and sent to two backends at once.
const READ_FIRST: u64 = 64 * 1024;

/// All of a body, and what follows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole<'a> {
    pub(crate) pieces: &'a [Bytes],
    pub(crate) trailers: &'a [Header],
}

/// A request's body.
#[derive(Debug)]
pub(crate) struct Upload {
    /// What has been read and kept, from the beginning.
    kept: Vec<Bytes>,
    /// Pieces of `kept` that the attempt under way has been given.
    given: usize,
    /// Bytes in `kept`.
    bytes: usize,
    /// Bytes that it may have.
    limit: u64,
    /// Whether all of it has been read from the client.
    is_complete: bool,
    /// Whether what was read was too much to be kept.
    is_gone: bool,
    /// What came behind it.
    trailers: Vec<Header>,
    /// How slow the client may be; `None` once the response has begun. Then each side may wait for
    /// the other, as in a conversation, and what bounds it is the backend.
    pace: Option<Pace>,
    reserved: Reservation,
}

impl Upload {
    /// Makes ready to read the body, if there is one, of at most `limit` bytes.
    pub(crate) fn begin(
        has_body: bool,
        limit: Option<u64>,
        pace: Pace,
        reserved: Reservation,
    ) -> Self {
        Self {
            kept: Vec::new(),
            given: 0,
            bytes: 0,
            limit: limit.unwrap_or(u64::MAX),
            is_complete: !has_body,
            is_gone: false,
            trailers: Vec::new(),
            pace: Some(pace),
            reserved,
        }
    }

    /// Asks for the body, if the client waits to be asked, and reads it if it is short.
    ///
    /// Which backend gets the body, and how often, is for the proxy to decide, so the asking is, too
    /// (RFC 9110 §10.1.1).
    pub(crate) async fn read_short(
        &mut self,
        framing: BodyFraming,
        session: &mut ServerSession,
        policy: &RetryPolicy,
    ) -> Result<()> {
        // What is sent before the final response closes nothing. Whether that comes before the body
        // is complete, and the connection must not be used again, is looked at when it is sent.
        session.set_close_on_response_before_downstream_finish(false);
        if let (false, Some(pace), true) =
            (self.is_complete, &mut self.pace, expects_continue(session))
        {
            client::ask(session, pace).await?;
        }
        match framing {
            BodyFraming::Length(length) if !self.is_complete && self.reserve(length, policy) => {
                self.read_whole(length, session).await
            }
            BodyFraming::Length(_) | BodyFraming::Chunked | BodyFraming::None => Ok(()),
        }
    }

    /// Makes room for a body of this length. Returns whether all of it will be kept: what is read
    /// before it can be sent must not get lost.
    fn reserve(&mut self, length: u64, policy: &RetryPolicy) -> bool {
        let Ok(bytes) = usize::try_from(length) else { return false };
        length <= READ_FIRST
            && bytes <= policy.replay_size
            && self.reserved.grow(bytes + size_of::<Bytes>(), policy.replay_memory)
    }

    /// Reads all of a body for which room has been made, into one piece.
    async fn read_whole(&mut self, length: u64, session: &mut ServerSession) -> Result<()> {
        let mut gathered = BytesMut::new();
        while !self.is_complete {
            let Some(piece) = self.receive(session).await? else { continue };
            if gathered.is_empty() && piece.len() as u64 == length {
                self.kept.push(piece);
                continue;
            }
            if gathered.is_empty() {
                gathered.reserve(usize::try_from(length).unwrap_or(0));
            }
            gathered.extend_from_slice(&piece);
        }
        if !gathered.is_empty() {
            self.kept.push(gathered.freeze());
        }
        Ok(())
    }

    /// Begins again with what has been kept, for another attempt.
    pub(crate) fn rewind(&mut self) {
        self.given = 0;
        if let Some(pace) = self.pace.as_mut().filter(|it| it.is_waiting()) {
            pace.stop(clock::now());
        }
    }

    /// Returns the next piece that was kept and that the attempt under way has not been given.
    pub(crate) fn next_kept(&mut self) -> Option<Bytes> {
        let piece = self.kept.get(self.given)?.clone();
        self.given += 1;
        Some(piece)
    }

    /// Keeps nothing any more, and nothing that is still to come: there will be no other attempt.
    pub(crate) fn let_go(&mut self) {
        self.is_gone = true;
        let given = self.given.min(self.kept.len());
        self.kept.drain(..given);
        self.given = 0;
        self.pace = None;
        self.reserved.clear();
    }

    /// Reads what comes next from the client, keeps it, and returns it; `None` at the end. To be
    /// called once all that was kept has been given. May be dropped and called again.
    pub(crate) async fn read(
        &mut self,
        session: &mut ServerSession,
        policy: &RetryPolicy,
    ) -> Result<Option<Bytes>> {
        let read = self.receive(session).await?;
        // Pingora returns an empty piece where only the end of a chunk has come.
        if let Some(chunk) = read.as_ref().filter(|it| !it.is_empty()) {
            self.keep(chunk, policy);
        }
        Ok(read)
    }

    async fn receive(&mut self, session: &mut ServerSession) -> Result<Option<Bytes>> {
        let read = match &mut self.pace {
            Some(pace) => client::read(session, pace).await?,
            None => session.read_request_body().await.map_err(|error| error.into_down())?,
        };
        self.is_complete |= read.is_none() || session.is_body_done();
        if self.is_complete {
            let options = session.req_header().headers.get_all(CONNECTION);
            let nominated = Nominated::by_client(options.iter().map(HeaderValue::as_bytes));
            let nominated = nominated.unwrap_or_default();
            self.trailers = client::trailers(session);
            self.trailers.retain(|it| nominated.passes(&it.name));
        }
        self.bytes += read.as_ref().map_or(0, Bytes::len);
        if self.limit < self.bytes as u64 {
            return Err(too_long());
        }
        Ok(read)
    }

    fn keep(&mut self, chunk: &Bytes, policy: &RetryPolicy) {
        let taken = chunk.len() + size_of::<Bytes>();
        let fits = self.bytes <= policy.replay_size;
        if self.is_gone || !fits || !self.reserved.grow(taken, policy.replay_memory) {
            self.is_gone = true;
            self.kept = Vec::new();
            self.reserved.clear();
        } else {
            self.kept.push(chunk.clone());
        }
        self.given = self.kept.len();
    }

    /// Tells whether all of the body has been read from the client.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Returns the fields behind the body, once it is complete.
    pub(crate) fn trailers(&self) -> &[Header] {
        &self.trailers
    }

    /// Returns all of the body, once it is complete, as far as it was kept.
    pub(crate) fn whole(&self) -> Option<Whole<'_>> {
        let whole = Whole { pieces: &self.kept, trailers: &self.trailers };
        self.is_complete.then_some(whole)
    }

    /// Returns what has been kept, from the beginning.
    pub(crate) fn kept(&self) -> &[Bytes] {
        &self.kept
    }

    /// Tells whether the body can be sent again.
    pub(crate) fn body(&self) -> Body {
        if self.is_gone {
            Body::Gone
        } else if self.kept.is_empty() {
            Body::Untouched
        } else {
            Body::Buffered
        }
    }
}

/// The error with which a request ends whose body is longer than its route allows.
pub(crate) fn too_long() -> Box<Error> {
    Error::explain(TOO_LONG, "the request's body is too long").into_down()
}

/// Tells whether an error is [`too_long`].
pub(crate) fn is_too_long(error: &Error) -> bool {
    *error.etype() == TOO_LONG
}

const TOO_LONG: ErrorType = ErrorType::HTTPStatus(413);

fn expects_continue(session: &ServerSession) -> bool {
    let request = session.req_header();
    http::Version::HTTP_11 <= request.version
        && request
            .headers
            .get(http::header::EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
