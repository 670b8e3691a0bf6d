//! A request of HTTP/1.1 and its response, as Pingora's frame gets to see them.
//!
//! Pingora has a session of its own for that, which reads heads and bodies from a stream and writes
//! them to it. What is handed over here has been read and checked already (`front.rs`), and what is
//! sent back is nearly ready to be sent: that session would parse and sort it once more, copy each body,
//! and allocate for every step; a quarter of the work for a small request. Pingora lets others bring a
//! session instead. This one is a thin layer over the [`Front`]: it knows how far the response has come
//! and whether the connection can be used again.
//!
//! Connections that are upgraded go by Pingora's.

mod frame;
mod response;

use std::{
    future::poll_fn,
    io,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{
    Version,
    header::{CONNECTION, HeaderName, HeaderValue},
};
use pingora::{
    Error, ErrorType, OrErr, Result,
    http::{RequestHeader, ResponseHeader},
    protocols::Digest,
};
use tokio::time::timeout;

use crate::{
    edge::{front::Front, session::response::Writing},
    wire::{connection::lists, incoming::Parts},
};

/// How much of a request's body is kept where Pingora forwards and may do so again.
const KEPT: usize = 64 * 1024;

/// Where a connection comes back to when its request is over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Home(Arc<Mutex<Option<Returned>>>);

/// A connection whose request is over.
#[derive(Debug)]
pub(crate) struct Returned {
    pub(crate) front: Box<Front>,
    pub(crate) end: End,
}

/// How a request has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The connection may carry another one.
    Kept,
    /// The response is whole, and the connection's last.
    Last,
    /// The response is not whole, which its client must see.
    Broken,
}

impl Home {
    /// Takes the connection out, if it has come back.
    pub(crate) fn take(&self) -> Option<Returned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, returned: Returned) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(returned);
    }
}

/// One request and its response.
#[derive(Debug)]
pub(crate) struct Session {
    /// There until it goes home.
    front: Option<Box<Front>>,
    home: Home,
    request: RequestHeader,
    digest: Digest,
    /// Whether the request has a body.
    has_body: bool,
    read: usize,
    kept: Option<Kept>,
    /// The head of the latest response, interim ones included.
    written: Option<Box<ResponseHeader>>,
    body: Writing,
    sent: usize,
    /// Whether all that was written so far is on its way.
    is_flushed: bool,
    /// Whether the connection ends with this response.
    is_last: bool,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    drain_timeout: Option<Duration>,
}

/// The beginning of a request's body.
#[derive(Debug, Default)]
struct Kept {
    bytes: BytesMut,
    is_truncated: bool,
}

impl Session {
    /// Takes the request that `front` has admitted; `None` if it is none after all. `is_last` tells whether
    /// the connection is to end with it in any case.
    pub(crate) fn begin(mut front: Box<Front>, home: &Home, is_last: bool) -> Option<Box<Self>> {
        let head = front.take_head();
        let request = request_of(&head)?;
        front.facts().aside.put_request(head);
        let options = || request.headers.get_all(CONNECTION).iter().map(HeaderValue::as_bytes);
        let is_kept = request.version == Version::HTTP_11 || lists(options(), "keep-alive");
        let is_last = is_last || !is_kept || lists(options(), "close");
        let facts = front.facts();
        let digest = Digest {
            ssl_digest: facts.tls.clone(),
            timing_digest: Vec::new(),
            proxy_digest: Some(Arc::clone(&facts.connection)),
            socket_digest: Some(Arc::clone(&facts.socket)),
        };
        Some(Box::new(Self {
            has_body: !front.is_body_over(),
            front: Some(front),
            home: home.clone(),
            request,
            digest,
            read: 0,
            kept: None,
            written: None,
            body: Writing::Nothing,
            sent: 0,
            is_flushed: true,
            is_last,
            read_timeout: None,
            write_timeout: None,
            drain_timeout: None,
        }))
    }

    /// The connection; an error once it was given up.
    pub(crate) fn front(&mut self) -> Result<&mut Front> {
        let gone = || Error::explain(ErrorType::InternalError, "the connection is gone");
        self.front.as_deref_mut().ok_or_else(gone)
    }

    pub(crate) fn is_body_over(&self) -> bool {
        self.front.as_ref().is_none_or(|it| it.is_body_over())
    }

    /// Waits for the client to go away.
    pub(crate) async fn gone(&mut self) -> Result<Option<Bytes>> {
        let front = self.front()?;
        let gone = poll_fn(|cx| front.poll_gone(cx)).await;
        self.is_last = true;
        gone.or_err(ErrorType::ReadError, "waiting for the client's end")?;
        Error::e_explain(ErrorType::ConnectionClosed, "the client has left")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let is_last = self.will_end();
        let Some(front) = self.front.take() else { return };
        let is_whole = self.body == Writing::Whole && self.is_flushed;
        let end = match (is_whole, is_last) {
            (true, false) => End::Kept,
            (true, true) => End::Last,
            (false, _) => End::Broken,
        };
        self.home.put(Returned { front, end });
    }
}

impl Kept {
    fn take(&mut self, content: &[u8]) {
        self.is_truncated |= KEPT < self.bytes.len() + content.len();
        if !self.is_truncated {
            self.bytes.extend_from_slice(content);
        }
    }
}

/// Makes a request of a head, without a copy of its values. How names are spelled is left to the head:
/// Pingora would sort that into a map of its own.
fn request_of(head: &Bytes) -> Option<RequestHeader> {
    let parts = Parts::of(head)?;
    let room = Some(parts.count());
    let mut request = RequestHeader::build_no_case(parts.method, parts.target, room).ok()?;
    request.set_version(if parts.is_http10 { Version::HTTP_10 } else { Version::HTTP_11 });
    for (name, value) in parts.headers() {
        let value = HeaderValue::from_maybe_shared(head.slice_ref(value)).ok()?;
        request.append_header(HeaderName::from_bytes(name).ok()?, value).ok()?;
    }
    Some(request)
}

/// Waits no longer than `limit`. What is done at once, as nearly everything is, needs no timer.
pub(crate) async fn within<T>(
    limit: Option<Duration>,
    late: ErrorType,
    done: impl Future<Output = io::Result<T>>,
) -> Result<io::Result<T>> {
    let mut done = pin!(done);
    let first = poll_fn(|cx: &mut Context<'_>| Poll::Ready(done.as_mut().poll(cx))).await;
    match (first, limit) {
        (Poll::Ready(done), _) => Ok(done),
        (Poll::Pending, None) => Ok(done.await),
        // Apart: a timer wants a place of its own in memory, and so would every future around it.
        (Poll::Pending, Some(limit)) => match Box::pin(timeout(limit, done)).await {
            Ok(done) => Ok(done),
            Err(_) => Error::e_explain(late, "the client is too slow"),
        },
    }
}

#[cfg(test)]
mod tests;
