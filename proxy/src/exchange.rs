//! The engine: forwards one exchange, attempt by attempt.
//!
//! Pingora's own path joins two halves by channels and retries one attempt after another; what it
//! cannot do is what makes a failover unnoticed. Here an exchange is one function that reads from
//! top to bottom, [`Exchange::forward`]: pick a backend, send the request, wait for a response that
//! may be passed on; if it fails, ask whether another attempt may be made; else deliver. Because
//! the engine holds both sides itself,
//!
//! - a response is held back until it is whole, up to a bound, so that one that breaks off is retried
//!   instead of delivered (`advance.rs`);
//! - a request that waits at a backend that is lost is called back and sent elsewhere, and one that
//!   waits out of line is sent to a second backend, too (`race.rs`);
//! - a suspected backend is heard out, though another has answered its trial's request (`trial.rs`);
//! - a connection that closes under a request is judged by what the kernel can prove (`http1.rs`);
//! - a request's body is kept for as long as it may be sent again (`upload.rs`).
//!
//! What few requests need, and takes much room to wait for, waits in a box of its own (`Box::pin`): a
//! new connection, HTTP/2, a body that comes piece by piece, a place in the queue. The future of a
//! request has room for whatever it may ever wait for, and is copied once for each request.
//!
//! It decides nothing: whom to ask is `balance`'s, whether to ask again `retry`'s, what to think of
//! a wait `suspicion`'s.

mod advance;
pub(crate) mod attempts;
mod burst;
pub(crate) mod client;
pub(crate) mod connection;
mod connections;
mod deliver;
pub(crate) mod dial;
pub(crate) mod draft;
pub(crate) mod edits;
mod generation;
mod hold;
mod http1;
mod http2;
mod http2_leg;
mod leg;
pub(crate) mod lines;
mod memory;
pub(crate) mod mirror;
mod outgoing;
mod pace;
mod plan;
pub(crate) mod question;
mod race;
pub(crate) mod request;
mod send;
pub(crate) mod sessions;
mod shared;
mod tls;
mod trial;
pub(crate) mod upload;
mod wait;

use std::{ops::Deref, sync::Arc};

use pingora::{Error, ErrorType, Result, protocols::http::ServerSession};
use tokio::time::sleep;

pub use connections::Connections;
pub use generation::{Generation, GenerationCell, Unmakeable};
pub use sessions::Sessions;
pub use tls::TlsError;

use crate::{
    clock,
    departure::Departure,
    event::{AttemptOutcome, FaultMode, Rescue, Strike, Symptom},
    exchange::{
        advance::Stage,
        attempts::Remains,
        draft::Draft,
        hold::Answer,
        memory::Memory,
        mirror::Mirrors,
        outgoing::Outgoing,
        plan::Plan,
        race::Waited,
        request::{Attempt, Failure, RequestContext},
        send::Sent,
        upload::Upload,
    },
    model::{Mirror, PoolId},
    retry::{self, Body, Connection, Delivery, Reason, Response},
    routing,
    snapshot::Kind,
    suspicion,
    telemetry::metrics::MirrorOutcome,
};

/// Forwards the exchanges of one generation.
#[derive(Debug)]
pub struct Exchange {
    generation: Arc<Generation>,
    /// The end of the process.
    pub departure: Departure,
    /// Response bodies held back.
    held: Memory,
    /// Request bodies kept.
    kept: Memory,
    /// Copies of requests under way.
    mirrors: Mirrors,
}

/// An engine reads all that its generation consists of, at nearly every step.
impl Deref for Exchange {
    type Target = Generation;

    fn deref(&self) -> &Generation {
        &self.generation
    }
}

impl Exchange {
    /// Makes an engine that has forwarded nothing yet.
    pub fn new(generation: Arc<Generation>) -> Self {
        let (held, kept) = (Memory::default(), Memory::default());
        let (mirrors, departure) = (Mirrors::default(), Departure::default());
        Self { generation, departure, held, kept, mirrors }
    }

    /// Makes the engine of a generation that follows this one's. What both keep in memory is bounded
    /// together.
    #[must_use]
    pub fn succeeded_by(&self, generation: Arc<Generation>) -> Self {
        Self {
            generation,
            departure: self.departure.clone(),
            held: self.held.clone(),
            kept: self.kept.clone(),
            mirrors: self.mirrors.clone(),
        }
    }

    /// Returns the generation whose exchanges it forwards.
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// Ends connections with their next response once `departure` has begun.
    #[must_use]
    pub fn with_departure(self, departure: Departure) -> Self {
        Self { departure, ..self }
    }

    /// Writes a request to `pool` as its backends get it.
    ///
    /// # Errors
    /// When the client has sent what cannot be sent on.
    pub(crate) fn outgoing(
        &self,
        pool: PoolId,
        draft: &Draft<'_>,
        has_body: bool,
        ctx: &RequestContext,
    ) -> Result<Outgoing> {
        let mirror = ctx.route.and_then(|it| self.topology.routes[it].mirror.as_ref());
        let written = Outgoing::new(draft, has_body, self.topology.pool(pool).protocol);
        let mut outgoing = written.map_err(|error| {
            Error::because(ErrorType::InvalidHTTPHeader, "request", error).into_down()
        })?;
        let drawn = |it: &&Mirror| routing::is_mirrored(it, &mut fastrand::Rng::new());
        if let Some(mirror) = mirror.filter(drawn) {
            match draft.to_header() {
                Ok(header) => outgoing.copy = Some(Box::new(header)),
                Err(_) => self.metrics.mirrored(mirror.pool, MirrorOutcome::DroppedUnserved),
            }
        }
        Ok(outgoing)
    }

    /// Forwards a request to a backend of `pool` and its response to the client.
    ///
    /// # Errors
    /// When there is no response to deliver, with `ctx.failure` saying why; when the client has gone
    /// away or sent what cannot be sent on; when a response breaks off that had been begun.
    pub(crate) async fn forward(
        self: &Arc<Self>,
        pool: PoolId,
        mut outgoing: Outgoing,
        session: &mut ServerSession,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        let policy = self.topology.retries(ctx.route, pool);
        let kept = self.kept.nothing();
        let (limit, pace) = (self.max_body(ctx), self.pace(ctx));
        let mut upload = Upload::begin(outgoing.has_body(), limit, pace, kept);
        self.receive_short(&mut upload, outgoing.framing, policy, session, ctx).await?;
        self.mirror(&mut outgoing, &upload, ctx);
        // The latest answer that was not good enough, for when nothing better comes.
        let mut spare: Option<(Attempt, Box<Answer>)> = None;
        while let Some(attempt) =
            self.await_attempt(pool, upload.is_complete(), session, ctx).await?
        {
            let waited = self.attempt(attempt, &outgoing, &mut upload, session, ctx).await?;
            match waited {
                Waited::Answered(mut attempt, answer) => {
                    if self.accepts(&mut attempt, &answer, &upload, ctx) {
                        return self
                            .deliver(&mut attempt, answer, &outgoing, &mut upload, session, ctx)
                            .await;
                    }
                    if answer.rest.is_none() {
                        spare = Some((attempt, answer));
                    }
                }
                Waited::Struck(mut attempt, status) => {
                    let remains = Remains {
                        symptom: Symptom::Injected(FaultMode::Error),
                        ..error_status(status, &upload)
                    };
                    if !self.may_follow_error(status, &mut attempt, remains, ctx) {
                        break;
                    }
                }
                Waited::Failed(mut attempt, remains) => {
                    if !self.may_retry(&mut attempt, remains, ctx) {
                        break;
                    }
                }
            }
            self.back_off(pool, ctx).await;
        }
        let Some((mut attempt, answer)) = spare else { return Err(unserved()) };
        ctx.failure = None;
        self.deliver(&mut attempt, answer, &outgoing, &mut upload, session, ctx).await
    }

    /// Makes one attempt, from sending to a response that may be passed on.
    async fn attempt(
        self: &Arc<Self>,
        mut attempt: Attempt,
        outgoing: &Outgoing,
        upload: &mut Upload,
        session: &mut ServerSession,
        ctx: &mut RequestContext,
    ) -> Result<Waited> {
        if upload.body() == Body::Gone {
            // `retry` allows no such attempt. If one were made all the same, its request would lack
            // what is gone, and the backend would take the next one for it.
            self.report(&mut attempt, AttemptOutcome::Abandoned);
            ctx.failure = Some(Failure::GivenUp(Reason::BodyNotReplayable));
            return Err(unserved());
        }
        let pool = self.topology.pool(attempt.backend.pool);
        let strike = self.strike(attempt.backend);
        attempt.strike = strike;
        if let Some(Strike::Error(status)) = strike {
            return Ok(Waited::Struck(attempt, status));
        }
        let mut stage = Stage::Start(strike);
        if !upload.is_complete() {
            let sent = Box::pin(self.send(&attempt, outgoing, upload, session, ctx)).await;
            match sent.inspect_err(|_| self.report(&mut attempt, AttemptOutcome::Abandoned))? {
                Sent::All(next) => {
                    stage = next;
                    attempt.asked = clock::now();
                    ctx.sent(attempt.asked);
                }
                Sent::Failed(remains) => return Ok(Waited::Failed(attempt, remains)),
            }
        }
        let retries = self.topology.retries(ctx.route, attempt.backend.pool);
        let plan = Plan::new(pool, retries, outgoing, upload.whole(), upload.body(), ctx);
        self.wait(&plan, attempt, stage, session, ctx).await
    }

    /// Takes in an answer. Returns whether it is to be delivered: because it is good, or because no
    /// other can be had.
    fn accepts(
        &self,
        attempt: &mut Attempt,
        answer: &Answer,
        upload: &Upload,
        ctx: &mut RequestContext,
    ) -> bool {
        let id = attempt.backend;
        let policy = self.topology.retries(ctx.route, id.pool);
        let Some(status) = answer.error_status(policy) else {
            let status = answer.head.status.as_u16();
            self.learn(attempt, ctx.kind);
            self.report(attempt, AttemptOutcome::Answered { status });
            if 1 < attempt.number {
                ctx.rescue.get_or_insert(Rescue::Retry);
            }
            return true;
        };
        if self.may_retry(attempt, error_status(status, upload), ctx) {
            return false;
        }
        // Nobody else can be asked: the backend's own answer, body and all, is the best there is.
        ctx.failure = None;
        true
    }

    /// Learns how long an answer took. One that comes from a backend that has been lost says how
    /// long the trouble lasted, not how long answers take.
    pub(crate) fn learn(&self, attempt: &Attempt, kind: Kind) {
        let id = attempt.backend;
        if !self.snapshot.load().backend(id).condition.is_eligible() {
            return;
        }
        let (now, times) = (clock::now(), &self.live.backend(id).times);
        let took = now.since(attempt.asked);
        let policy = &self.topology.pool(id.pool).suspicion;
        if attempt.is_trial && suspicion::is_disproof(times, kind, took, policy) {
            times.forget();
        }
        times.learn(kind, took, now);
    }

    /// Returns the longest body that the request may have.
    pub(crate) fn max_body(&self, ctx: &RequestContext) -> Option<u64> {
        ctx.route.and_then(|route| self.topology.routes[route].max_body)
    }

    async fn back_off(&self, pool: PoolId, ctx: &RequestContext) {
        let candidates = self.snapshot.load().pool(pool).candidates(&ctx.tried);
        let policy = self.topology.retries(ctx.route, pool);
        let wait = retry::backoff(candidates, ctx.attempts, policy);
        if !wait.is_zero() {
            sleep(wait.min(ctx.time_left(clock::now()))).await;
        }
    }
}

/// Says what an attempt that was answered with an error status leaves behind.
fn error_status(status: u16, upload: &Upload) -> Remains {
    Remains {
        symptom: Symptom::ErrorStatus(status),
        connection: Connection::Fresh,
        delivery: Delivery::Possible,
        response: Response::NotStarted,
        body: upload.body(),
    }
}

/// The error with which a request ends that no backend has answered; `ctx.failure` says why.
pub(crate) fn unserved() -> Box<Error> {
    let mut error = Error::explain(ErrorType::InternalError, "no attempt can be made");
    error.as_in();
    error.set_retry(false);
    error
}
