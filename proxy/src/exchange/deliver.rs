//! A response on its way to the client.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Version};
use pingora::{Error, ErrorType, Result, http::ResponseHeader, protocols::http::ServerSession};
use tokio::time::timeout;

use crate::{
    event::{AttemptOutcome, FaultMode, Symptom},
    exchange::{
        Exchange, client,
        edits::edit_lines,
        hold::{Answer, status_in},
        http1::Happened,
        leg::Leg,
        lines::Lines,
        memory::Reservation,
        outgoing::Outgoing,
        pace::Pace,
        request::{Attempt, RequestContext},
        upload::Upload,
    },
    model::{BackendId, HeaderEdits, Pool, ProxyStatusAnswers, RetryPolicy},
    telemetry::metrics::Drained,
    wire::{
        Header,
        connection::Nominated,
        grpc,
        proxy_status::{PROXY_STATUS, ProxyStatus},
        response::{BodyLength, Event, HttpVersion, ResponseHead},
    },
};

/// How much of a body is sent with its head: no more than is gathered for one write, so that a client
/// that takes it slowly is not waited for longer than for any piece.
const SHORT: usize = 8 * 1024;

/// What there is of a response when it begins to be sent.
struct Begun {
    header: ResponseHeader,
    /// Whether nothing follows the head.
    is_head_all: bool,
    held: Vec<Bytes>,
    /// What `held` takes.
    reserved: Reservation,
    /// Whether the response ends with `held`.
    is_all: bool,
}

impl Exchange {
    /// Sends a response to the client, and what is still to come of it as it comes.
    ///
    /// # Errors
    /// When the client has gone away, or when the response breaks off. The client's connection must
    /// then be closed, so that a response that is not whole does not look so.
    pub(crate) async fn deliver(
        &self,
        attempt: &mut Attempt,
        answer: Box<Answer>,
        outgoing: &Outgoing,
        upload: &mut Upload,
        session: &mut ServerSession,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        let header = self.header_for_client(attempt.backend, &answer, outgoing, session, ctx)?;
        if let (Some(call), Some(code)) = (&mut ctx.call, answer.grpc_status()) {
            call.meant = Some(grpc::http_of_status(code));
        }
        let is_head_all = answer.is_head_all();
        let Answer { head, held, trailers, rest, is_cut, reserved, .. } = *answer;
        let is_all = rest.is_none() && trailers.is_empty() && !is_cut;
        let begun = Begun { header, is_head_all, held, reserved, is_all };
        upload.let_go();
        if !upload.is_complete() {
            // What the client is still sending cannot be told from its next request.
            client::end_connection(session);
        }
        if self.departure.has_begun() {
            // The response says so before the connection ends: no request may be on its way then.
            client::end_connection(session);
        }
        let mut pace = self.pace(ctx);
        if self.send_begun(begun, session, &mut pace, ctx).await? {
            attempt.mark.delivered();
            return Ok(());
        }
        if is_cut {
            let cut = Symptom::Injected(FaultMode::Truncate);
            self.report(attempt, AttemptOutcome::Failed(cut));
            return Err(broke_off());
        }
        let mut trailers = match rest {
            None => trailers,
            Some(leg) => {
                let gap = gap_of(self.topology.pool(attempt.backend.pool), ctx);
                let client = (&mut *session, &mut pace);
                let relayed = self.relay(leg, attempt, outgoing, upload, client, gap);
                let relayed = Box::pin(relayed).await;
                if relayed.is_err() && ctx.call.is_some() {
                    // A call is over when its trailers say so; otherwise its client must guess.
                    _ = session.write_response_trailers(broken_call()).await;
                }
                relayed.inspect_err(|error| {
                    let is_cut = *error.esource() == pingora::ErrorSource::Upstream;
                    let cut = AttemptOutcome::Failed(Symptom::ResponseCut);
                    self.report(attempt, if is_cut { cut } else { AttemptOutcome::Abandoned });
                })?
            }
        };
        attempt.mark.delivered();
        if let (Some(call), Some(code)) = (&mut ctx.call, status_in(&trailers)) {
            call.meant = Some(grpc::http_of_status(code));
        }
        if !trailers.is_empty() {
            // RFC 9110 §7.6.1: what `Connection` names goes no further, as a trailer neither.
            let options = head.values("connection");
            let nominated = Nominated::by_backend(options);
            trailers.retain(|it| nominated.passes(&it.name));
        }
        client::finish(session, &mut pace, &trailers).await
    }

    /// Sends what there is of a response. Tells whether the response has ended with it.
    async fn send_begun(
        &self,
        begun: Begun,
        session: &mut ServerSession,
        pace: &mut Pace,
        ctx: &mut RequestContext,
    ) -> Result<bool> {
        let Begun { header, is_head_all, mut held, mut reserved, is_all } = begun;
        let is_short = held.iter().map(Bytes::len).sum::<usize>() <= SHORT;
        if is_all && is_short && client::say_all(session, &mut held) {
            self.join_burst(ctx.is_http2).await;
            client::write_head(session, pace, header).await?;
            ctx.answering();
            return Ok(true);
        }
        client::write_final_head(session, pace, header, is_head_all).await?;
        ctx.answering();
        let pieces = held.len();
        for (at, data) in held.into_iter().enumerate() {
            // A client that takes it slowly keeps no others' responses from being held.
            reserved.shrink(data.len() + size_of::<Bytes>());
            client::write(session, pace, data, is_all && at + 1 == pieces).await?;
        }
        Ok(is_all && 0 < pieces)
    }

    /// Builds the head that the client gets.
    fn header_for_client(
        &self,
        id: BackendId,
        answer: &Answer,
        outgoing: &Outgoing,
        session: &mut ServerSession,
        ctx: &RequestContext,
    ) -> Result<ResponseHeader> {
        let head = &answer.head;
        let edits = ctx.route.map(|route| &self.topology.routes[route].response_headers);
        let mut lines = Lines::with_room_for(head.headers.len());
        for it in head.headers_for_client() {
            lines.push(it.name, it.value);
        }
        let via = match head.version {
            HttpVersion::Http10 => "1.0 bascule",
            HttpVersion::Http11 => "1.1 bascule",
            HttpVersion::Http2 => "2 bascule",
        };
        lines.add("Via", via.as_bytes());
        lines.set("X-Request-Id", ctx.request_id.as_bytes());
        for (name, value) in &ctx.additions {
            lines.add_usual(name, value);
        }
        frame(&mut lines, answer, outgoing, edits, session);
        if let Some(status) = self.told_of_retries(ctx) {
            lines.add(PROXY_STATUS, status.into_bytes());
        }
        if let Some(cookie) = self.session_field(id, ctx) {
            lines.add("Set-Cookie", cookie.as_bytes().to_vec());
        }
        client::final_head(session, head.status, head.reason(), &lines, ctx.trail.is_some())
    }

    /// Returns what is told of the attempts before the one that was answered, if that is told.
    fn told_of_retries(&self, ctx: &RequestContext) -> Option<String> {
        let policy = self.topology.listeners[ctx.listener].proxy_status;
        if ctx.attempts < 2 || policy.answers != ProxyStatusAnswers::Retries {
            return None;
        }
        // No `error`: most types of it say that the proxy itself made the response.
        let details = match ctx.symptom {
            Some(symptom) => format!("attempt {}, after: {symptom}", ctx.attempts),
            None => format!("attempt {}", ctx.attempts),
        };
        Some(ProxyStatus { details: Some(&details), ..ProxyStatus::default() }.write())
    }

    /// Passes on the rest of a response as it comes, and the rest of the request the other way.
    async fn relay(
        &self,
        mut leg: Leg,
        attempt: &Attempt,
        outgoing: &Outgoing,
        upload: &mut Upload,
        (session, pace): (&mut ServerSession, &mut Pace),
        gap: Duration,
    ) -> Result<Vec<Header>> {
        let pool = self.topology.pool(attempt.backend.pool);
        // The gap begins anew when something moves in either direction: a backend that is being sent
        // a long body need not speak meanwhile. Where one takes nothing, nothing is read from the
        // client either, and it ends.
        let mut trailers = Vec::new();
        let mut over = pin!(self.alarms.over(attempt.backend));
        loop {
            leg.send_on(upload, outgoing.framing);
            let is_uploading = !upload.is_complete() && leg.is_sent();
            let happened = tokio::select! {
                biased;
                happened = timeout(gap, leg.next()) => match happened {
                    Ok(Ok(happened)) => happened,
                    Ok(Err(_)) | Err(_) => return Err(broke_off()),
                },
                read = from_client(session, upload, &pool.retries, is_uploading) => {
                    if let Some(piece) = read? {
                        leg.send_piece(piece, outgoing.framing);
                    }
                    continue;
                }
                // Its backend has been configured no more for long enough.
                () = over.as_mut() => {
                    self.metrics.cut(Drained::Backend, 1);
                    return Err(broke_off());
                }
            };
            match happened {
                Happened::Sent => {}
                Happened::Said(Event::Data(data)) => {
                    client::write(session, pace, data, false).await?;
                }
                Happened::Said(Event::Trailers(all)) => trailers = all,
                Happened::Said(Event::End) => {
                    self.keep(leg, pool);
                    return Ok(trailers);
                }
                Happened::Said(Event::Interim(_) | Event::Head(_)) => return Err(broke_off()),
            }
        }
    }

    /// Passes on an interim response (RFC 9110 §15.2), but not the one that asks for the body: the
    /// client has been asked already.
    pub(crate) async fn pass_interim(
        &self,
        session: &mut ServerSession,
        head: &ResponseHead,
        ctx: &RequestContext,
    ) -> Result<()> {
        let is_understood = Version::HTTP_11 <= session.req_header().version;
        if !is_understood || head.status.as_u16() == 100 {
            return Ok(());
        }
        client::write_head(session, &mut self.pace(ctx), copy_of(head)?).await
    }
}

/// Says in the head of a response how its body is framed for the client, and makes the changes that a
/// route asks for, which do not concern that.
fn frame<'a>(
    lines: &mut Lines<'a>,
    answer: &Answer,
    outgoing: &Outgoing,
    edits: Option<&'a HeaderEdits>,
    session: &mut ServerSession,
) {
    let is_head = outgoing.method == Method::HEAD;
    let is_empty = answer.length == BodyLength::Known(0) || is_head;
    let has_no_body = is_head || matches!(answer.head.status.as_u16(), 204 | 304);
    if is_empty && !has_no_body && lines.get("content-length").is_none() {
        // HTTP/2 ends a response without a word about its length; a client of HTTP/1.1 would wait
        // for what follows.
        lines.set("Content-Length", &b"0"[..]);
    }
    if let Some(edits) = edits {
        edit_lines(lines, edits);
    }
    // Pingora gathers a body of known length in a buffer; chunks go out at once.
    let is_counted = matches!(answer.length, BodyLength::Known(_)) && !answer.is_slow;
    match session.req_header().version {
        _ if is_empty || is_counted => {}
        Version::HTTP_11 => {
            lines.remove("content-length");
            lines.set("Transfer-Encoding", &b"chunked"[..]);
        }
        // A client of HTTP/1.0 knows no chunks (RFC 9112 §6.1): there, the connection's end is the
        // body's.
        Version::HTTP_10 | Version::HTTP_09 => client::end_connection(session),
        // HTTP/2 frames for itself.
        _ => {}
    }
}

/// Copies what of a head is for the client.
fn copy_of(head: &ResponseHead) -> Result<ResponseHeader> {
    // Room for what the proxy adds.
    let mut header = ResponseHeader::build(head.status, Some(head.headers.len() + 4))?;
    if head.status.canonical_reason() != Some(head.reason()) && !head.reason().is_empty() {
        header.set_reason_phrase(Some(head.reason()))?;
    }
    for it in head.headers_for_client() {
        header.append_header(Bytes::copy_from_slice(it.name), it.value)?;
    }
    Ok(header)
}

/// Reads on from a client that is still sending, if it may; else ends when the client goes away.
async fn from_client(
    session: &mut ServerSession,
    upload: &mut Upload,
    policy: &RetryPolicy,
    is_uploading: bool,
) -> Result<Option<Bytes>> {
    if is_uploading {
        return upload.read(session, policy).await;
    }
    if upload.is_complete() {
        session.read_body_or_idle(true).await.map_err(Error::into_down)?;
    }
    std::future::pending().await
}

/// The longest that a response's pieces may be apart when it is passed on as it comes.
fn gap_of(pool: &Pool, ctx: &RequestContext) -> Duration {
    if ctx.call.is_some() { pool.timeouts.stream_idle } else { pool.timeouts.between_reads }
}

/// What ends a call whose answer broke off.
fn broken_call() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    trailers.insert(grpc::STATUS, grpc::UNAVAILABLE.into());
    trailers.insert(grpc::MESSAGE, HeaderValue::from_static("the response broke off"));
    trailers
}

fn broke_off() -> Box<Error> {
    Error::explain(ErrorType::ConnectionClosed, "the response broke off").into_up()
}
