//! A leg: one request and its response on a stream of their own.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client::ResponseFuture};
use http::{HeaderMap, Response, StatusCode};

use crate::exchange::http2::{LegError, Seat};

/// One exchange on a connection. Its halves are apart, so that a body can be sent while the
/// response comes. Dropping both before the end resets the stream, with `CANCEL`.
#[derive(Debug)]
pub(crate) struct Leg {
    /// Towards the backend.
    pub(crate) up: LegUp,
    /// From the backend.
    pub(crate) down: LegDown,
}

/// What follows a piece of a request's body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rest {
    /// More.
    #[default]
    Follows,
    /// Nothing: this was the end.
    Nothing,
    /// These, and then nothing.
    Trailers(HeaderMap),
}

/// The backend takes no more of the body. That need not be a failure: it may have answered early
/// (RFC 9113 §8.1). [`LegDown`] has the response, or tells what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the backend takes no more of the request")]
pub(crate) struct Unwanted;

/// The request's half of a leg.
#[derive(Debug)]
pub(crate) struct LegUp {
    stream: SendStream<Bytes>,
    unsent: Bytes,
    rest: Rest,
    is_ended: bool,
}

impl LegUp {
    pub(crate) fn new(stream: SendStream<Bytes>, has_body: bool) -> LegUp {
        LegUp { stream, unsent: Bytes::new(), rest: Rest::Follows, is_ended: !has_body }
    }

    /// Takes a piece of the body over; [`flush`](Self::flush) sends it. Meant for when everything
    /// before has been flushed: otherwise the bytes are copied together.
    pub(crate) fn offer(&mut self, piece: Bytes, rest: Rest) {
        self.unsent = if self.unsent.is_empty() {
            piece
        } else {
            [&self.unsent[..], &piece[..]].concat().into()
        };
        self.rest = rest;
    }

    /// Sends what has been taken over, as fast as the backend takes it. The call may be dropped and
    /// made again: nothing is lost.
    pub(crate) async fn flush(&mut self) -> Result<(), Unwanted> {
        let flushed = self.push().await;
        if flushed.is_err() {
            self.unsent = Bytes::new();
            self.is_ended = true;
        }
        flushed
    }

    /// Tells whether everything taken over has gone into the connection.
    pub(crate) fn is_flushed(&self) -> bool {
        self.unsent.is_empty() && (self.is_ended || self.rest == Rest::Follows)
    }

    /// Tells whether the body is over: all of it has been sent, or the backend takes no more.
    pub(crate) fn is_ended(&self) -> bool {
        self.is_ended
    }

    async fn push(&mut self) -> Result<(), Unwanted> {
        if self.is_ended {
            return if self.unsent.is_empty() { Ok(()) } else { Err(Unwanted) };
        }
        while !self.unsent.is_empty() {
            self.stream.reserve_capacity(self.unsent.len());
            if self.stream.capacity() == 0 {
                let granted = poll_fn(|cx| self.stream.poll_capacity(cx)).await;
                if !matches!(granted, Some(Ok(_))) {
                    return Err(Unwanted);
                }
            }
            let piece = self.unsent.split_to(self.stream.capacity().min(self.unsent.len()));
            self.is_ended = self.unsent.is_empty() && self.rest == Rest::Nothing;
            self.stream.send_data(piece, self.is_ended).map_err(|_| Unwanted)?;
        }
        if self.is_ended {
            return Ok(());
        }
        if self.rest == Rest::Follows {
            return Ok(());
        }
        match std::mem::replace(&mut self.rest, Rest::Nothing) {
            Rest::Trailers(trailers) => self.stream.send_trailers(trailers),
            Rest::Nothing | Rest::Follows => self.stream.send_data(Bytes::new(), true),
        }
        .map_err(|_| Unwanted)?;
        self.is_ended = true;
        Ok(())
    }
}

/// A response's head.
#[derive(Debug)]
pub(crate) enum Head {
    /// 1xx: the final one is still to come.
    Interim(Response<()>),
    /// The body follows, and trailers may.
    Final(Response<()>),
}

/// The response's half of a leg. Every call may be dropped and made again.
#[derive(Debug)]
pub(crate) struct LegDown {
    stage: Stage,
    seen: Seen,
    _seat: Seat,
}

#[derive(Debug)]
enum Stage {
    Head(ResponseFuture),
    Body(RecvStream),
}

/// What of a response has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Nothing,
    Response,
}

impl LegDown {
    pub(crate) fn new(response: ResponseFuture, seat: Seat) -> LegDown {
        LegDown { stage: Stage::Head(response), seen: Seen::Nothing, _seat: seat }
    }

    /// Returns the next head; after the final one, [`LegError::Closed`].
    pub(crate) async fn head(&mut self) -> Result<Head, LegError> {
        poll_fn(|cx| self.poll_head(cx)).await
    }

    /// Returns the next piece of the body, never empty; `None` when it is complete. Before the final
    /// head it is [`LegError::Closed`]. Taking a piece lets the backend send as much again: whoever
    /// does not ask holds it up.
    pub(crate) async fn data(&mut self) -> Result<Option<Bytes>, LegError> {
        let Stage::Body(body) = &mut self.stage else { return Err(LegError::Closed) };
        loop {
            match poll_fn(|cx| body.poll_data(cx)).await {
                None => return Ok(None),
                Some(Err(error)) => return Err(classify(&error, Seen::Response)),
                Some(Ok(piece)) => {
                    // Fails only if the stream has been reset; the next call tells.
                    let _ = body.flow_control().release_capacity(piece.len());
                    if !piece.is_empty() {
                        return Ok(Some(piece));
                    }
                }
            }
        }
    }

    /// Returns the trailers, once [`data`](Self::data) has returned `None`.
    pub(crate) async fn trailers(&mut self) -> Result<Option<HeaderMap>, LegError> {
        let Stage::Body(body) = &mut self.stage else { return Err(LegError::Closed) };
        body.trailers().await.map_err(|error| classify(&error, Seen::Response))
    }

    /// Tells whether the response is known to be complete, without more data or trailers.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(&self.stage, Stage::Body(body) if body.is_end_stream())
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, LegError>> {
        let Stage::Head(response) = &mut self.stage else {
            return Poll::Ready(Err(LegError::Closed));
        };
        let head = match ready!(response.poll_informational(cx)) {
            Some(interim) => interim.map(Head::Interim),
            None => ready!(Pin::new(response).poll(cx)).map(|response| {
                let (parts, body) = response.into_parts();
                self.stage = Stage::Body(body);
                Head::Final(Response::from_parts(parts, ()))
            }),
        };
        Poll::Ready(match head {
            // RFC 9113 §8.6: there is no switching of protocols.
            Ok(Head::Interim(head)) if head.status() == StatusCode::SWITCHING_PROTOCOLS => {
                Err(LegError::Garbage)
            }
            Ok(head) => {
                self.seen = Seen::Response;
                Ok(head)
            }
            Err(error) => Err(classify(&error, self.seen)),
        })
    }
}

/// Says what an error of h2 means; the module's head has the argument.
pub(crate) fn classify(error: &h2::Error, seen: Seen) -> LegError {
    let is_refusal =
        error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM));
    match error.reason() {
        _ if is_refusal && seen == Seen::Nothing => LegError::Refused,
        Some(reason) if error.is_remote() && error.is_reset() => LegError::Reset(reason),
        Some(_) if error.is_library() => LegError::Garbage,
        Some(_) | None => LegError::Closed,
    }
}
