//! One request and its response on a connection, whatever the protocol.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{
    exchange::{
        connection::Connection,
        http1::{Happened, Http1Leg, LegError},
        http2::Rest,
        http2_leg::Http2Leg,
        outgoing::Outgoing,
        upload::{Upload, Whole},
    },
    retry,
    wire::{
        Header, map_of,
        request::{self, BodyFraming},
        response::BodyLength,
        trace_context::TraceParent,
    },
};

/// One request and its response.
#[derive(Debug)]
pub(crate) enum Leg {
    Http1(Box<Http1Leg>),
    Http2(Box<Http2Leg>),
}

impl Leg {
    /// Sends the head, for an attempt that is at this place of a trace, and all of the body if `body`
    /// is all of it.
    pub(crate) fn send_request(
        &mut self,
        outgoing: &Outgoing,
        place: Option<TraceParent>,
        body: Option<Whole<'_>>,
    ) {
        match (self, body) {
            (Self::Http1(leg), body) => {
                leg.send(whole_request(outgoing.head_for(place), outgoing, body));
                if body.is_some() {
                    leg.end();
                }
            }
            // The head has gone with the opening of the stream.
            (Self::Http2(leg), Some(body)) if outgoing.has_body() => {
                leg.send(body.pieces, &rest_of(body.trailers));
            }
            (Self::Http2(leg), Some(_)) => leg.end(),
            (Self::Http2(_), None) => {}
        }
    }

    /// Sends a piece of the body. Only when all before has been sent.
    pub(crate) fn send_piece(&mut self, piece: Bytes, framing: BodyFraming) {
        match self {
            Self::Http1(leg) => leg.send(match framing {
                BodyFraming::Chunked => chunk(&piece),
                BodyFraming::Length(_) | BodyFraming::None => piece,
            }),
            Self::Http2(leg) => leg.send(&[piece], &Rest::Follows),
        }
    }

    /// Says that the body is complete.
    pub(crate) fn send_end(&mut self, trailers: &[Header], framing: BodyFraming) {
        match self {
            Self::Http1(leg) => {
                if framing == BodyFraming::Chunked {
                    let mut end = BytesMut::new();
                    put_last_chunk(trailers, &mut end);
                    leg.send(end.freeze());
                }
                leg.end();
            }
            Self::Http2(leg) => leg.send(&[], &rest_of(trailers)),
        }
    }

    /// Tells whether all of the request has been given to be sent.
    pub(crate) fn is_whole(&self) -> bool {
        match self {
            Self::Http1(leg) => leg.is_whole(),
            Self::Http2(leg) => leg.is_whole(),
        }
    }

    /// Gives what is there of a body that is sent while it comes, once all before has been sent.
    pub(crate) fn send_on(&mut self, upload: &mut Upload, framing: BodyFraming) {
        if self.is_whole() || !self.is_sent() {
            return;
        }
        if let Some(piece) = upload.next_kept() {
            self.send_piece(piece, framing);
        } else if upload.is_complete() {
            self.send_end(upload.trailers(), framing);
        }
    }

    /// Tells whether all that was given has been sent, or can no longer be.
    pub(crate) fn is_sent(&self) -> bool {
        match self {
            Self::Http1(leg) => leg.is_sent(),
            Self::Http2(leg) => leg.is_sent(),
        }
    }

    /// Sends and receives until something happens. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Result<Happened, LegError> {
        match self {
            Self::Http1(leg) => leg.next().await,
            Self::Http2(leg) => leg.next().await,
        }
    }

    /// Returns the length of the response's body, as far as its head tells.
    pub(crate) fn body(&self) -> BodyLength {
        match self {
            Self::Http1(leg) => leg.body(),
            Self::Http2(leg) => leg.body(),
        }
    }

    /// Returns what connection is used.
    pub(crate) fn connection(&self) -> retry::Connection {
        match self {
            Self::Http1(leg) => leg.connection_use(),
            Self::Http2(leg) => leg.connection_use(),
        }
    }

    /// Returns the connection if it may carry another request and is to be kept for one. One that
    /// many requests share is kept already.
    pub(crate) fn into_idle(self) -> Option<Connection> {
        match self {
            Self::Http1(leg) => leg.into_idle(),
            Self::Http2(_) => None,
        }
    }
}

/// Puts a request into one piece, so that it leaves in one write.
fn whole_request(head: Bytes, outgoing: &Outgoing, body: Option<Whole<'_>>) -> Bytes {
    // Also an empty body has an end, if it is in chunks.
    let is_chunked = outgoing.framing == BodyFraming::Chunked;
    let Some(body) = body.filter(|body| !body.pieces.is_empty() || is_chunked) else {
        return head;
    };
    let length: usize = body.pieces.iter().map(Bytes::len).sum();
    let mut whole = BytesMut::with_capacity(head.len() + length + 32);
    whole.put_slice(&head);
    for piece in body.pieces {
        match outgoing.framing {
            BodyFraming::Chunked => put_chunk(piece, &mut whole),
            BodyFraming::Length(_) | BodyFraming::None => whole.put_slice(piece),
        }
    }
    if is_chunked {
        put_last_chunk(body.trailers, &mut whole);
    }
    whole.freeze()
}

/// What follows the body on a stream.
fn rest_of(trailers: &[Header]) -> Rest {
    if trailers.is_empty() { Rest::Nothing } else { Rest::Trailers(map_of(trailers)) }
}

fn put_last_chunk(trailers: &[Header], out: &mut BytesMut) {
    request::last_chunk(trailers.iter().map(|it| (&it.name[..], it.value.as_bytes())), out);
}

fn chunk(piece: &Bytes) -> Bytes {
    let mut chunk = BytesMut::with_capacity(piece.len() + 20);
    put_chunk(piece, &mut chunk);
    chunk.freeze()
}

fn put_chunk(piece: &[u8], out: &mut BytesMut) {
    if !piece.is_empty() {
        request::chunk_head(piece.len(), out);
        out.put_slice(piece);
        out.put_slice(request::CHUNK_END);
    }
}
