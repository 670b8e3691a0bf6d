//! A request as backends get it: written once, sent with every attempt.

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, Version, header::TRANSFER_ENCODING};
use memchr::memmem;
use pingora::http::RequestHeader;

use crate::{
    exchange::http2,
    model::Protocol,
    wire::{
        request::{self, BodyFraming, RequestLine, Unsendable},
        trace_context::{self, TraceParent},
    },
};

/// A request, ready to be sent any number of times.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// The method, which also says whether the response has a body.
    pub(crate) method: Method,
    /// How the body is framed.
    pub(crate) framing: BodyFraming,
    /// The head as HTTP/1.1 puts it.
    pub(crate) head: Bytes,
    /// The same, for HTTP/2.
    pub(crate) header: RequestHeader,
}

impl Outgoing {
    /// Writes the head of `header`, whose body `has_body` and is as long as it says.
    pub(crate) fn new(
        header: RequestHeader,
        has_body: bool,
        protocol: Protocol,
    ) -> Result<Self, Unsendable> {
        // HTTP/2 has no place for a path that is not text.
        if protocol == Protocol::Http2 && !header.raw_path_is_utf8() {
            return Err(Unsendable::Target);
        }
        // What cannot be sent is the client's fault, so it must not be found out in an attempt.
        if protocol == Protocol::Http2 {
            http2::check_head(&header.method, &header.uri, &header.headers)?;
        }
        let is_chunked = |it: &HeaderValue| it.as_bytes().eq_ignore_ascii_case(b"chunked");
        if !header.headers.get_all(TRANSFER_ENCODING).iter().all(is_chunked) {
            return Err(Unsendable::TransferEncoding);
        }
        let framing = framing_of(&header, has_body);
        let authority = match header.version {
            Version::HTTP_2 => header.uri.authority().map(|it| it.as_str().as_bytes()),
            _ => None,
        };
        let line = RequestLine { method: &header.method, target: header.raw_path(), authority };
        let mut head = BytesMut::with_capacity(1024);
        if header.has_case() {
            let headers = || header.case_header_iter().map(|(n, v)| (n.as_slice(), v.as_bytes()));
            request::request_head(line, headers, framing, &mut head)?;
        } else {
            let headers =
                || header.headers.iter().map(|(n, v)| (n.as_str().as_bytes(), v.as_bytes()));
            request::request_head(line, headers, framing, &mut head)?;
        }
        Ok(Self { method: header.method.clone(), framing, head: head.freeze(), header })
    }

    /// Tells whether a body follows the head.
    pub(crate) fn has_body(&self) -> bool {
        match self.framing {
            BodyFraming::None | BodyFraming::Length(0) => false,
            BodyFraming::Length(_) | BodyFraming::Chunked => true,
        }
    }

    /// Returns the head as HTTP/1.1 puts it, for an attempt that is at this place of a trace.
    pub(crate) fn head_for(&self, place: Option<TraceParent>) -> Bytes {
        let Some((old, new)) = self.moved(place) else { return self.head.clone() };
        let Some(at) = memmem::find(&self.head, old.as_bytes()) else { return self.head.clone() };
        let mut head = BytesMut::from(&self.head[..]);
        head[at..at + new.len()].copy_from_slice(new.as_bytes());
        head.freeze()
    }

    /// Returns what stands for the place in a trace, and what should, where that differs: the head was
    /// written for the first attempt. `None` also where a route takes the header out.
    fn moved(&self, place: Option<TraceParent>) -> Option<(&HeaderValue, String)> {
        let new = place?.write();
        let old = self.header.headers.get(trace_context::PARENT)?;
        (old.len() == new.len() && old.as_bytes() != new.as_bytes()).then_some((old, new))
    }

    /// Returns the head for HTTP/2, for an attempt that is at this place of a trace.
    pub(crate) fn request(&self, place: Option<TraceParent>) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.header.uri.clone();
        *request.headers_mut() = self.header.headers.clone();
        let moved = self.moved(place).and_then(|(_, new)| HeaderValue::from_str(&new).ok());
        if let Some(new) = moved {
            request.headers_mut().insert(trace_context::PARENT, new);
        }
        request
    }
}

/// Returns how the body is framed: by the length that the client told, else in chunks. Pingora has
/// refused requests that tell their length in two ways.
fn framing_of(header: &RequestHeader, has_body: bool) -> BodyFraming {
    let length = header
        .headers
        .get(http::header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.trim().parse().ok());
    match length {
        Some(length) => BodyFraming::Length(length),
        None if has_body => BodyFraming::Chunked,
        None => BodyFraming::None,
    }
}
