//! Responses as events: heads, slices of the body, the end.

pub(crate) mod chunks;
mod head;

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};

pub use head::{BodyLength, HttpVersion, ResponseHead};

use crate::wire::{
    Header,
    response::{
        chunks::{Chunks, Piece},
        head::HeadReader,
    },
};

const CONNECTION: &[u8] = b"connection";
const DATE: &[u8] = b"date";

/// What a backend said, in the order in which it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An interim response (1xx); the final one is still to come.
    Interim(ResponseHead),
    /// The head of the final response. [`ResponseParser::body`] tells what follows.
    Head(ResponseHead),
    /// A piece of the body, never empty; it shares the memory it was received in.
    Data(Bytes),
    /// Trailers, at least one; only the end follows.
    Trailers(Vec<Header>),
    /// The response is complete.
    End,
}

/// What is wrong with bytes that are no HTTP/1.1 response, or one with two readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Garbage {
    /// The status line or a header.
    #[error("the response's head is malformed")]
    Head,
    /// Longer than 1 MiB, or more than 256 headers.
    #[error("the response's head is too long")]
    HeadTooLong,
    /// 101, though no upgrade was asked for.
    #[error("the backend switched protocols unasked")]
    SwitchedProtocols,
    /// Any coding but exactly `chunked`, or any in HTTP/1.0.
    #[error("the response's transfer coding is not `chunked`")]
    TransferEncoding,
    /// No number, or several that differ.
    #[error("the response's content length is malformed or ambiguous")]
    ContentLength,
    /// A chunk's size line, or what follows its bytes.
    #[error("a chunk of the response is malformed")]
    Chunk,
    /// The lines after the last chunk.
    #[error("the response's trailers are malformed or too long")]
    Trailers,
}

/// Where a connection ended too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Before any byte of a response.
    BeforeFirstByte,
    /// Before the final head was complete; interim responses may have come.
    InHead,
    /// Within the body or the trailers.
    InBody,
}

/// Why a response has no good end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEnd {
    /// The bytes are no response.
    #[error(transparent)]
    Garbage(#[from] Garbage),
    /// The rest is missing.
    #[error("the connection ended before the response did")]
    Cut(Cut),
}

/// Turns the bytes of one response into events.
///
/// The owner reads into a buffer and calls [`next`](Self::next) until it wants more bytes. The
/// parser takes from the buffer's front what belongs to the response, and leaves the rest.
#[derive(Debug)]
pub struct ResponseParser {
    is_head_request: bool,
    stage: Stage,
    body: BodyLength,
    is_persistent: bool,
    has_begun: bool,
}

#[derive(Debug)]
enum Stage {
    Head(HeadReader),
    Length(u64),
    Chunked(Chunks),
    UntilClose,
    /// All bytes are there; the end has not been told yet.
    Ending,
    Ended,
    Failed(Garbage),
}

impl ResponseParser {
    /// Returns a parser for the response to a request with `method`; not for `CONNECT`.
    pub fn new(method: &Method) -> ResponseParser {
        ResponseParser {
            is_head_request: method == Method::HEAD,
            stage: Stage::Head(HeadReader::default()),
            body: BodyLength::Known(0),
            is_persistent: false,
            has_begun: false,
        }
    }

    /// Returns the next event; `None` when more bytes are needed, or when the response has ended.
    /// After garbage, every call returns the same.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Event>, Garbage> {
        self.has_begun |= !buffer.is_empty();
        let event = self.read(buffer);
        if let Err(garbage) = event {
            self.stage = Stage::Failed(garbage);
        }
        event
    }

    /// Takes in that the connection has ended, after [`next`](Self::next) returned `None`. Returns
    /// `Ok` if the response ended with it or before.
    pub fn at_eof(&mut self, buffer: &BytesMut) -> Result<(), BadEnd> {
        self.has_begun |= !buffer.is_empty();
        match &self.stage {
            Stage::Ending | Stage::Ended => Ok(()),
            Stage::UntilClose => {
                self.stage = Stage::Ended;
                Ok(())
            }
            Stage::Failed(garbage) => Err(BadEnd::Garbage(*garbage)),
            Stage::Head(_) if !self.has_begun => Err(BadEnd::Cut(Cut::BeforeFirstByte)),
            Stage::Head(_) => {
                head::check_beginning(buffer)?;
                Err(BadEnd::Cut(Cut::InHead))
            }
            Stage::Length(_) | Stage::Chunked(_) => Err(BadEnd::Cut(Cut::InBody)),
        }
    }

    /// Returns the length of the body, as far as the head tells. Meaningful after [`Event::Head`].
    pub fn body(&self) -> BodyLength {
        self.body
    }

    /// Tells whether any byte of a response has been seen.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Tells whether all of the response has been read, though [`Event::End`] may still have to be
    /// told. A response without a body is complete with its head.
    pub fn is_complete(&self) -> bool {
        matches!(self.stage, Stage::Ending | Stage::Ended)
    }

    /// Tells whether the connection may carry another request as far as the response goes: it is
    /// complete, its framing was beyond doubt, the backend keeps the connection, and `buffer` holds
    /// nothing that nobody asked for. That the request has been sent in full is for the owner to
    /// add.
    pub fn is_reusable(&self, buffer: &BytesMut) -> bool {
        self.is_complete() && self.is_persistent && buffer.is_empty()
    }

    fn read(&mut self, buffer: &mut BytesMut) -> Result<Option<Event>, Garbage> {
        match &mut self.stage {
            Stage::Head(reader) => {
                let Some(head) = reader.read(buffer)? else { return Ok(None) };
                self.take_head(head).map(Some)
            }
            Stage::Length(_) | Stage::UntilClose if buffer.is_empty() => Ok(None),
            Stage::Length(rest) => {
                let length = usize::try_from(*rest).map_or(buffer.len(), |it| it.min(buffer.len()));
                *rest -= length as u64;
                if *rest == 0 {
                    self.stage = Stage::Ending;
                }
                Ok(Some(Event::Data(buffer.split_to(length).freeze())))
            }
            Stage::UntilClose => Ok(Some(Event::Data(buffer.split().freeze()))),
            Stage::Chunked(chunks) => Ok(match chunks.next(buffer)? {
                None => None,
                Some(Piece::Data(data)) => Some(Event::Data(data)),
                Some(Piece::End) => {
                    self.stage = Stage::Ended;
                    Some(Event::End)
                }
                Some(Piece::Trailers(trailers)) => {
                    self.stage = Stage::Ending;
                    Some(Event::Trailers(trailers))
                }
            }),
            Stage::Ending => {
                self.stage = Stage::Ended;
                Ok(Some(Event::End))
            }
            Stage::Ended => Ok(None),
            Stage::Failed(garbage) => Err(*garbage),
        }
    }

    fn take_head(&mut self, mut head: ResponseHead) -> Result<Event, Garbage> {
        if head.status.as_u16() == 101 {
            return Err(Garbage::SwitchedProtocols);
        }
        let framing = head.settle_framing(self.is_head_request)?;
        if head.status.is_informational() {
            self.stage = Stage::Head(HeadReader::default());
            return Ok(Event::Interim(head));
        }
        self.body = framing.body;
        self.is_persistent = framing.is_persistent;
        self.stage = match framing.body {
            BodyLength::Known(0) => Stage::Ending,
            BodyLength::Known(length) => Stage::Length(length),
            BodyLength::Chunked => Stage::Chunked(Chunks::default()),
            BodyLength::UntilClose => Stage::UntilClose,
        };
        Ok(Event::Head(head))
    }
}

/// Appends the head of a response, but for its end: what it says of the connection, which is known only
/// when it is sent, and the empty line.
pub fn put_head<'a>(
    status: StatusCode,
    reason: &str,
    lines: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    let usual = status.canonical_reason().unwrap_or("");
    out.extend_from_slice(if reason.is_empty() { usual } else { reason }.as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in lines {
        if !name.eq_ignore_ascii_case(CONNECTION) {
            // What has a known length takes no call.
            out.extend_from_slice(name);
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Tells whether a head that [`put_head`] wrote has a date.
pub fn has_date(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head).any(|end| {
        let line = &head[end + 1..];
        line.get(DATE.len()) == Some(&b':') && line[..DATE.len()].eq_ignore_ascii_case(DATE)
    })
}

#[cfg(test)]
mod parity;
#[cfg(test)]
mod tests;
