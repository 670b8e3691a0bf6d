//! One question on a connection of its own, outside of any exchange: what health checks ask, and
//! what operators order.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, uri::Scheme};
use pingora::http::RequestHeader;

use crate::{
    event::Symptom,
    exchange::{
        connection::Connection,
        connections::Connections,
        dial::Wanted,
        draft::Draft,
        hold::status_in,
        http1::{Happened, Http1Leg},
        http2,
        http2_leg::Http2Leg,
        leg::Leg,
        outgoing::Outgoing,
        upload::Whole,
    },
    model::{BackendId, Protocol},
    retry,
    wire::{
        Header,
        preamble::Speaker,
        request::Unsendable,
        response::{Event, ResponseHead},
    },
};

/// A request that is the same each time.
#[derive(Debug)]
pub(crate) struct Question {
    outgoing: Outgoing,
    protocol: Protocol,
    body: Vec<Bytes>,
    /// Most bytes of the answer's body that are read; with zero, nothing after the head is.
    body_max: usize,
}

impl Connections {
    /// Connects to a backend within `limit` in order to see whether that can be done.
    pub(crate) async fn knock(
        &self,
        id: BackendId,
        protocol: Protocol,
        limit: Duration,
    ) -> Result<(), Symptom> {
        let wanted = Wanted { protocol, speaker: Speaker::Proxy };
        self.dial.connect(id, 0, wanted, limit).await.map(drop)
    }
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) head: ResponseHead,
    /// The body's beginning.
    pub(crate) body: Vec<u8>,
    /// What followed the body, if all of it was read.
    pub(crate) trailers: Vec<Header>,
}

impl Told {
    /// Returns how a call of gRPC ended.
    pub(crate) fn grpc_status(&self) -> Option<u16> {
        status_in(&self.trailers).or_else(|| self.head.grpc_status())
    }
}

impl Question {
    /// Makes a question of a request with this body. Its `Content-Length` must be in `header`.
    pub(crate) fn new(
        header: &RequestHeader,
        body: Bytes,
        protocol: Protocol,
        body_max: usize,
    ) -> Result<Self, Unsendable> {
        let outgoing = Outgoing::new(&Draft::of(header), !body.is_empty(), protocol)?;
        let body = if body.is_empty() { Vec::new() } else { vec![body] };
        Ok(Self { outgoing, protocol, body, body_max })
    }
}

impl Connections {
    /// Asks a backend on a connection made for it within `limit`. Waits for the answer as long as it
    /// takes: whoever calls this watches the clock.
    pub(crate) async fn ask(
        &self,
        id: BackendId,
        question: &Question,
        limit: Duration,
    ) -> Result<Told, Symptom> {
        let wanted = Wanted { protocol: question.protocol, speaker: Speaker::Proxy };
        let connection = self.dial.connect(id, 0, wanted, limit).await?;
        let mut leg = begin(connection, question).await?;
        let body = Whole { pieces: &question.body, trailers: &[] };
        leg.send_request(&question.outgoing, None, Some(body));
        let head = loop {
            match leg.next().await.map_err(|error| error.symptom)? {
                Happened::Sent | Happened::Said(Event::Interim(_)) => {}
                Happened::Said(Event::Head(head)) => break head,
                Happened::Said(_) => return Err(Symptom::Garbage),
            }
        };
        let mut told = Told { head, body: Vec::new(), trailers: Vec::new() };
        while told.body.len() < question.body_max {
            match leg.next().await.map_err(|error| error.symptom)? {
                Happened::Sent => {}
                Happened::Said(Event::Data(data)) => {
                    let room = question.body_max - told.body.len();
                    told.body.extend_from_slice(&data[..room.min(data.len())]);
                }
                Happened::Said(Event::Trailers(trailers)) => told.trailers = trailers,
                Happened::Said(Event::End) => break,
                Happened::Said(Event::Head(_) | Event::Interim(_)) => return Err(Symptom::Garbage),
            }
        }
        Ok(told)
    }
}

async fn begin(connection: Connection, question: &Question) -> Result<Leg, Symptom> {
    let outgoing = &question.outgoing;
    match question.protocol {
        Protocol::Http1 => {
            let leg = Http1Leg::new(connection, &outgoing.method, false);
            Ok(Leg::Http1(Box::new(leg)))
        }
        Protocol::Http2 => {
            let scheme = if connection.is_tls() { Scheme::HTTPS } else { Scheme::HTTP };
            let begun = http2::handshake(connection, scheme, None, http2::LEGS_ASSUMED).await;
            let (handle, driver) = begun.map_err(|_| Symptom::ConnectFailed)?;
            // It ends with the leg: nobody else has a handle.
            drop(tokio::spawn(driver));
            let leg = handle
                .start(outgoing.request(None), outgoing.framing)
                .map_err(|_| Symptom::ConnectionClosed)?;
            let is_head = outgoing.method == Method::HEAD;
            Ok(Leg::Http2(Box::new(Http2Leg::new(leg, retry::Connection::Fresh, is_head))))
        }
    }
}
