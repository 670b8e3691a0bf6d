//! One request and its response on an HTTP/2 connection, in the engine's words.

use bytes::Bytes;
use http::{HeaderMap, Response};

use crate::{
    event::Symptom,
    exchange::{
        http1::{Happened, INTERIMS, LegError},
        http2::{self, Head, LegDown, Rest},
    },
    retry::{Connection, Delivery},
    wire::{
        Header,
        fields::Fields,
        request::is_trailer,
        response::{BodyLength, Event, HttpVersion, ResponseHead},
    },
};

/// One request and its response.
#[derive(Debug)]
pub(crate) struct Http2Leg {
    leg: http2::Leg,
    connection: Connection,
    body: BodyLength,
    is_head_request: bool,
    stage: Stage,
    /// Whether all of the request has been given to be sent.
    is_whole: bool,
    /// Pieces of the body that wait behind the one being sent.
    waiting: Vec<(Bytes, Rest)>,
    /// Interim responses so far.
    interims: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Head,
    Data,
    Trailers,
    End,
}

impl Http2Leg {
    /// Takes over a leg whose request head has been sent; `connection` is whether it is the first
    /// on its connection.
    pub(crate) fn new(leg: http2::Leg, connection: Connection, is_head_request: bool) -> Self {
        Self {
            leg,
            connection,
            body: BodyLength::Known(0),
            is_head_request,
            stage: Stage::Head,
            is_whole: false,
            waiting: Vec::new(),
            interims: 0,
        }
    }

    /// Gives pieces of the body to be sent, of which the last is followed by `rest`.
    pub(crate) fn send(&mut self, pieces: &[Bytes], rest: &Rest) {
        self.is_whole |= !matches!(rest, Rest::Follows);
        let last = pieces.len().saturating_sub(1);
        let follows = |at: usize| if at == last { rest.clone() } else { Rest::Follows };
        if pieces.is_empty() {
            self.waiting.push((Bytes::new(), rest.clone()));
        }
        self.waiting.extend(pieces.iter().enumerate().map(|(at, it)| (it.clone(), follows(at))));
        self.waiting.reverse();
    }

    /// Says that the request ends with what has been given.
    pub(crate) fn end(&mut self) {
        self.is_whole = true;
    }

    /// Tells whether all of the request has been given to be sent.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    pub(crate) fn is_sent(&self) -> bool {
        self.leg.up.is_ended() || (self.waiting.is_empty() && self.leg.up.is_flushed())
    }

    pub(crate) fn body(&self) -> BodyLength {
        self.body
    }

    pub(crate) fn connection_use(&self) -> Connection {
        self.connection
    }

    /// Sends and receives until something happens. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Result<Happened, LegError> {
        while !self.is_sent() {
            if self.leg.up.is_flushed()
                && let Some((piece, rest)) = self.waiting.pop()
            {
                self.leg.up.offer(piece, rest);
            }
            let http2::Leg { up, down } = &mut self.leg;
            tokio::select! {
                biased;
                flushed = up.flush() => {
                    if flushed.is_err() {
                        // What came back tells why.
                        self.waiting.clear();
                    }
                    if self.is_sent() {
                        return Ok(Happened::Sent);
                    }
                }
                // A backend that answers as it reads stops reading when nobody takes its answer.
                came = come(down, self.stage) => match came {
                    Came::Head(head) => return self.headed(head).map(Happened::Said),
                    Came::Data(data) => match data.map_err(|error| cut(&error))? {
                        Some(data) => return Ok(Happened::Said(Event::Data(data))),
                        // The answer is complete: what is left of the request is of no use.
                        None => {
                            self.stage = Stage::Trailers;
                            self.waiting.clear();
                            break;
                        }
                    },
                },
            }
        }
        self.receive().await.map(Happened::Said)
    }

    async fn receive(&mut self) -> Result<Event, LegError> {
        if self.stage == Stage::Head {
            let head = self.leg.down.head().await;
            return self.headed(head);
        }
        if self.stage == Stage::Data {
            match self.leg.down.data().await.map_err(|error| cut(&error))? {
                Some(data) => return Ok(Event::Data(data)),
                None => self.stage = Stage::Trailers,
            }
        }
        if self.stage == Stage::Trailers {
            let trailers = self.leg.down.trailers().await.map_err(|error| cut(&error))?;
            self.stage = Stage::End;
            if let Some(trailers) = trailers.filter(|it| !it.is_empty()) {
                let mut trailers = headers_of(&trailers);
                trailers.retain(|it| is_trailer(&it.name));
                return Ok(Event::Trailers(trailers));
            }
        }
        self.stage = Stage::End;
        Ok(Event::End)
    }

    fn headed(&mut self, head: Result<Head, http2::LegError>) -> Result<Event, LegError> {
        match head.map_err(|error| unanswered(&error))? {
            Head::Interim(_) if self.interims == INTERIMS => {
                Err(LegError { symptom: Symptom::Garbage, delivery: Delivery::Possible })
            }
            Head::Interim(response) => {
                self.interims += 1;
                Ok(Event::Interim(head_of(&response)))
            }
            Head::Final(response) => {
                self.body = self.length_of(&response);
                self.stage = Stage::Data;
                Ok(Event::Head(head_of(&response)))
            }
        }
    }

    /// The stream's end frames the body; its announced length says whether it is worth holding.
    fn length_of(&self, response: &Response<()>) -> BodyLength {
        let status = response.status().as_u16();
        if self.is_head_request || matches!(status, 204 | 304) || self.leg.down.is_complete() {
            return BodyLength::Known(0);
        }
        let announced = response.headers().get(http::header::CONTENT_LENGTH);
        announced
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map_or(BodyLength::Chunked, BodyLength::Known)
    }
}

/// What came while the request was being sent.
enum Came {
    Head(Result<Head, http2::LegError>),
    Data(Result<Option<Bytes>, http2::LegError>),
}

async fn come(down: &mut LegDown, stage: Stage) -> Came {
    match stage {
        Stage::Head => Came::Head(down.head().await),
        Stage::Data => Came::Data(down.data().await),
        Stage::Trailers | Stage::End => std::future::pending().await,
    }
}

fn head_of(response: &Response<()>) -> ResponseHead {
    let headers = response.headers().iter();
    let headers = headers.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    ResponseHead::new(response.status(), HttpVersion::Http2, Fields::copied(headers))
}

fn headers_of(map: &HeaderMap) -> Vec<Header> {
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| Header {
        name: Bytes::copy_from_slice(name.as_str().as_bytes()),
        value: value.clone(),
    };
    map.iter().map(header).collect()
}

/// Says what it means that a leg failed before the head of its response.
fn unanswered(error: &http2::LegError) -> LegError {
    let (symptom, delivery) = match error {
        http2::LegError::Refused | http2::LegError::Unsendable(_) => {
            (Symptom::ConnectionClosed, Delivery::Disproved)
        }
        http2::LegError::Closed | http2::LegError::Reset(_) => {
            (Symptom::ConnectionClosed, Delivery::Possible)
        }
        http2::LegError::Garbage => (Symptom::Garbage, Delivery::Possible),
    };
    LegError { symptom, delivery }
}

/// Says what it means that a leg failed within the body of its response.
fn cut(error: &http2::LegError) -> LegError {
    let symptom = match error {
        http2::LegError::Garbage => Symptom::Garbage,
        http2::LegError::Refused
        | http2::LegError::Unsendable(_)
        | http2::LegError::Closed
        | http2::LegError::Reset(_) => Symptom::ResponseCut,
    };
    LegError { symptom, delivery: Delivery::Possible }
}
