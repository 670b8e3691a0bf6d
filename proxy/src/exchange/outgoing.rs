//! A request as backends get it: written once, sent with every attempt.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use memchr::memmem;
use pingora::http::RequestHeader;

use crate::{
    exchange::{draft::Draft, http2},
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
    head: Bytes,
    /// The same for HTTP/2, where that is spoken.
    http2: Option<Box<(Uri, HeaderMap)>>,
    /// The place in a trace that the head tells.
    parent: Option<Box<[u8]>>,
    /// Whether the client asks for events that trickle in.
    pub(crate) wants_events: bool,
    /// The request once more, to be sent to another pool, too.
    pub(crate) copy: Option<Box<RequestHeader>>,
}

impl Outgoing {
    /// Writes the head of a request, whose body `has_body` and is as long as it says.
    pub(crate) fn new(
        draft: &Draft<'_>,
        has_body: bool,
        protocol: Protocol,
    ) -> Result<Self, Unsendable> {
        let http2 = match protocol {
            Protocol::Http1 => None,
            // HTTP/2 has no place for a path that is not text.
            Protocol::Http2 if std::str::from_utf8(draft.target()).is_err() => {
                return Err(Unsendable::Target);
            }
            Protocol::Http2 => {
                let (uri, headers) = draft.parts().map_err(|_| Unsendable::Target)?;
                // What cannot be sent is the client's fault, so it must not be found out in an
                // attempt.
                http2::check_head(draft.method(), &uri, &headers)?;
                Some(Box::new((uri, headers)))
            }
        };
        let is_chunked = |it: &[u8]| it.eq_ignore_ascii_case(b"chunked");
        if !draft.all("transfer-encoding").all(is_chunked) {
            return Err(Unsendable::TransferEncoding);
        }
        let framing = framing_of(draft, has_body);
        let authority = match draft.version() {
            Version::HTTP_2 => draft.authority().map(str::as_bytes),
            _ => None,
        };
        let line = RequestLine { method: draft.method(), target: draft.target(), authority };
        let mut head = BytesMut::with_capacity(1024);
        request::request_head(line, || draft.iter(), framing, &mut head)?;
        let accept = draft.get("accept");
        Ok(Self {
            method: draft.method().clone(),
            framing,
            head: head.freeze(),
            http2,
            parent: draft.get(trace_context::PARENT).map(Box::from),
            wants_events: accept.is_some_and(|it| it.starts_with(b"text/event-stream")),
            copy: None,
        })
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
        let Some(at) = memmem::find(&self.head, old) else { return self.head.clone() };
        let mut head = BytesMut::from(&self.head[..]);
        head[at..at + new.len()].copy_from_slice(new.as_bytes());
        head.freeze()
    }

    /// Returns what stands for the place in a trace, and what should, where that differs: the head was
    /// written for the first attempt. `None` also where a route takes the header out.
    fn moved(&self, place: Option<TraceParent>) -> Option<(&[u8], String)> {
        let new = place?.write();
        let old = self.parent.as_deref()?;
        (old.len() == new.len() && old != new.as_bytes()).then_some((old, new))
    }

    /// Returns the head for HTTP/2, for an attempt that is at this place of a trace.
    pub(crate) fn request(&self, place: Option<TraceParent>) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        if let Some((uri, headers)) = self.http2.as_deref() {
            *request.uri_mut() = uri.clone();
            *request.headers_mut() = headers.clone();
        }
        let moved = self.moved(place).and_then(|(_, new)| HeaderValue::from_str(&new).ok());
        if let Some(new) = moved {
            request.headers_mut().insert(trace_context::PARENT, new);
        }
        request
    }
}

/// Returns how the body is framed: by the length that the client told, else in chunks. Pingora has
/// refused requests that tell their length in two ways.
fn framing_of(draft: &Draft<'_>, has_body: bool) -> BodyFraming {
    let length = draft
        .get("content-length")
        .and_then(|value| std::str::from_utf8(value).ok())
        .and_then(|value| value.trim().parse().ok());
    match length {
        Some(length) => BodyFraming::Length(length),
        None if has_body => BodyFraming::Chunked,
        None => BodyFraming::None,
    }
}
