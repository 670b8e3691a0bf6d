//! What is known of a client's connection, carried by Pingora to whoever serves its requests.

use std::{
    any::Any,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use pingora::{
    http::ResponseHeader,
    protocols::{Digest, raw_connect::ProxyDigest},
};

use crate::wire::{Header, response::BodyLength};

/// A client's connection.
#[derive(Clone, Debug)]
pub struct ClientConnection {
    /// The client's address: the peer's, or what a PROXY header says. `None` on a Unix socket.
    pub address: Option<IpAddr>,
    /// The same as text, which goes into the headers of every request.
    pub address_text: Option<String>,
    /// The client's certificate as `X-Forwarded-Client-Cert` tells of it, if it has shown one.
    pub certificate: Option<String>,
    /// What Pingora's frame has no place for.
    pub aside: Arc<Aside>,
}

impl ClientConnection {
    /// Makes what is known of a connection of a client at this address, with this certificate.
    pub fn new(address: Option<IpAddr>, certificate: Option<String>, aside: Arc<Aside>) -> Self {
        let address_text = address.map(|it| it.to_canonical().to_string());
        Self { address, address_text, certificate, aside }
    }

    /// Packs it for a stream to carry.
    ///
    /// # Errors
    /// Never in practice: Pingora's type wants a response that nobody looks at.
    pub fn pack(self) -> pingora::Result<Arc<ProxyDigest>> {
        let response = Box::new(ResponseHeader::build(200, Some(0))?);
        Ok(Arc::new(ProxyDigest::new(response, Some(Box::new(self)))))
    }

    /// Finds it in what a session knows of its connection.
    pub fn of(digest: Option<&Digest>) -> Option<&Self> {
        digest?.proxy_digest.as_ref()?.user_data.as_ref()?.downcast_ref()
    }
}

/// What those before and behind Pingora's frame tell each other past it, about the request under way on
/// a connection of HTTP/1.1: it has no place for trailers, nor for a head that is written already, nor for a
/// request that has begun, and does not pass on that the connection is to end.
///
/// Both sides are parts of one task, so nobody ever waits for the lock.
#[derive(Debug, Default)]
pub struct Aside {
    notes: Mutex<Notes>,
    /// Whether something is noted for the response, so that most writes need not look.
    has_said: AtomicBool,
    /// Whether the connection is to end with the response.
    is_last: AtomicBool,
}

#[derive(Debug, Default)]
struct Notes {
    request: Option<Bytes>,
    head: Option<SaidHead>,
    all: Option<Vec<Bytes>>,
    last_chunk: Option<Bytes>,
    trailers: Vec<Header>,
    begun: Option<Box<dyn Any + Send + Sync>>,
}

/// What is noted for the response.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Its head.
    pub head: Option<SaidHead>,
    /// All of its body, where it is sent with the head.
    pub all: Option<Vec<Bytes>>,
    /// Its last chunk, with trailers.
    pub last_chunk: Option<Bytes>,
}

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaidHead {
    /// As `wire::response::put_head` writes it.
    pub bytes: Vec<u8>,
    /// How it frames the body, if the request and the status admit one.
    pub length: BodyLength,
}

impl Aside {
    /// Notes the head of the request, as its client has written it.
    pub fn put_request(&self, head: Bytes) {
        self.with(|notes| notes.request = Some(head));
    }

    /// Takes the head of the request.
    pub fn request(&self) -> Option<Bytes> {
        self.with(|notes| notes.request.take())
    }

    /// Notes the head of a response whose head is written next.
    pub fn say_head(&self, head: SaidHead) {
        self.with(|notes| notes.head = Some(head));
        self.has_said.store(true, Ordering::Release);
    }

    /// Notes all of the body of a response whose head is written next; the response ends with it.
    pub fn say_all(&self, all: Vec<Bytes>) {
        self.with(|notes| notes.all = Some(all));
        self.has_said.store(true, Ordering::Release);
    }

    /// Notes the last chunk, with trailers, of a response that is ended next.
    pub fn say_last_chunk(&self, chunk: Bytes) {
        self.with(|notes| notes.last_chunk = Some(chunk));
        self.has_said.store(true, Ordering::Release);
    }

    /// Takes what is noted for the response; `None` if nothing is.
    pub fn said(&self) -> Option<Said> {
        self.has_said.swap(false, Ordering::AcqRel).then(|| {
            self.with(|notes| Said {
                head: notes.head.take(),
                all: notes.all.take(),
                last_chunk: notes.last_chunk.take(),
            })
        })
    }

    /// Notes that the connection is to end with the response.
    pub fn end_connection(&self) {
        self.is_last.store(true, Ordering::Release);
    }

    /// Tells whether the connection is to end with the response.
    pub fn is_last(&self) -> bool {
        self.is_last.load(Ordering::Acquire)
    }

    /// Notes the trailers of the request.
    pub fn put_trailers(&self, trailers: Vec<Header>) {
        self.with(|notes| notes.trailers = trailers);
    }

    /// Takes the trailers of the request; none before all of its body has been read.
    pub fn trailers(&self) -> Vec<Header> {
        self.with(|notes| std::mem::take(&mut notes.trailers))
    }

    /// Notes what is known already of a request that the frame is to go on with.
    pub fn put_begun(&self, begun: Box<dyn Any + Send + Sync>) {
        self.with(|notes| notes.begun = Some(begun));
    }

    /// Takes what is known already of the request.
    pub fn begun(&self) -> Option<Box<dyn Any + Send + Sync>> {
        self.with(|notes| notes.begun.take())
    }

    /// Forgets what was noted for the last request.
    pub fn clear(&self) {
        self.with(|notes| *notes = Notes::default());
        self.has_said.store(false, Ordering::Release);
        self.is_last.store(false, Ordering::Release);
    }

    fn with<T>(&self, act: impl FnOnce(&mut Notes) -> T) -> T {
        act(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_taken_once() {
        let aside = Aside::default();
        assert_eq!(aside.said(), None);
        let bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
        let head = SaidHead { bytes, length: BodyLength::Chunked };
        aside.say_head(head.clone());
        assert_eq!(aside.said(), Some(Said { head: Some(head), ..Said::default() }));
        assert_eq!(aside.said(), None);
        aside.say_last_chunk(Bytes::from_static(b"0\r\n\r\n"));
        aside.clear();
        assert_eq!(aside.said(), None);
        assert!(aside.trailers().is_empty());
    }
}
