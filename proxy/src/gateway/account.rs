//! The end of a request: counts what happened, for operators and for incidents.

use std::sync::atomic::Ordering::Relaxed;

use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorSource};

use crate::{
    clock,
    event::Fate,
    exchange::request::{Failure, Overload, RequestContext},
    gateway::{Gateway, record::Ending},
    model::Target,
    telemetry::metrics::{Answer, FinishedRequest, Rejection, RetryOutcome},
};

impl Gateway {
    /// Counts a request that is over.
    pub(crate) fn account(
        &self,
        session: &ServerSession,
        error: Option<&Error>,
        ctx: &RequestContext,
    ) {
        let now = clock::now();
        let took = now.since(ctx.began);
        let written = session.response_written().map(|response| response.status.as_u16());
        // A call's status is in its trailers; its client judges by that.
        let status = ctx.call.and_then(|call| call.meant).or(written);
        let fate = fate_of(status, error, ctx);
        let answer = answer_of(status, fate, error, ctx);
        let bytes_in = session.body_bytes_read() as u64;
        let bytes_out = session.body_bytes_sent() as u64;
        self.exchange.metrics.request_finished(&FinishedRequest {
            listener: ctx.listener,
            target: ctx.target,
            answer,
            took,
            bytes_in,
            bytes_out,
        });
        let ending = Ending { at: now, written, status, fate, answer, bytes_in, bytes_out };
        self.record(session, ending, ctx);
        let Some(Target::Pool(pool)) = ctx.target else { return };
        if let Some(rejection) = rejection_of(ctx) {
            self.exchange.metrics.rejected(pool, rejection);
        }
        // What was not let in never was the pool's.
        if ctx.guard.is_none() {
            return;
        }
        let live = self.exchange.live.pool(pool);
        live.timeline.record(now, took, fate, ctx.attempts);
        if live.incident_is_open.load(Relaxed) {
            self.exchange.metrics.request_in_incident(pool, took);
        }
        if 1 < ctx.attempts {
            let outcome = match fate {
                Fate::Rescued(_) => RetryOutcome::Success,
                Fate::Served | Fate::Lost | Fate::Abandoned => RetryOutcome::Failed,
            };
            self.exchange.metrics.retry(pool, outcome);
        }
    }
}

/// Says why no attempt could be made, if that is what the client was told.
fn rejection_of(ctx: &RequestContext) -> Option<Rejection> {
    match ctx.failure? {
        Failure::NoBackend => Some(Rejection::NoBackend),
        Failure::Overloaded(Overload::QueueFull) => Some(Rejection::QueueFull),
        Failure::Overloaded(Overload::QueueTimeout) => Some(Rejection::QueueTimeout),
        Failure::Overloaded(Overload::MaxRequests) => Some(Rejection::MaxRequests),
        Failure::Overloaded(Overload::Lag) => Some(Rejection::Lag),
        Failure::DeadlinePassed if ctx.attempts == 0 => Some(Rejection::NoBackend),
        Failure::DeadlinePassed
        | Failure::RateLimited
        | Failure::GivenUp(_)
        | Failure::BodyUnfinished
        | Failure::BodyTooLong
        | Failure::Injected(_) => None,
    }
}

/// Judges how a request ended as its client would.
fn fate_of(status: Option<u16>, error: Option<&Error>, ctx: &RequestContext) -> Fate {
    let is_clients = error.is_some_and(|error| *error.esource() == ErrorSource::Downstream);
    if is_clients || ctx.failure == Some(Failure::BodyUnfinished) {
        return Fate::Abandoned;
    }
    // An error with a good status is a response that broke off, unless a fault made it whole.
    let is_injected = matches!(ctx.failure, Some(Failure::Injected(_)));
    let is_lost = status.is_none_or(|status| 500 <= status) || (error.is_some() && !is_injected);
    if is_lost { Fate::Lost } else { ctx.rescue.map_or(Fate::Served, Fate::Rescued) }
}

/// Says what the client got, and from whom.
fn answer_of(
    status: Option<u16>,
    fate: Fate,
    error: Option<&Error>,
    ctx: &RequestContext,
) -> Answer {
    let is_own = match ctx.target {
        Some(Target::Pool(_)) => ctx.failure.is_some(),
        Some(Target::Sidecar | Target::Proxy) | None => true,
    };
    let is_whole = match fate {
        Fate::Served | Fate::Rescued(_) => true,
        // The proxy's own error answers an error; a backend's response had begun before it.
        Fate::Lost => error.is_none() || is_own,
        Fate::Abandoned => status.is_some_and(|status| (400..500).contains(&status)),
    };
    match status.filter(|_| is_whole) {
        Some(status) if is_own => Answer::Proxy(status),
        Some(status) => Answer::Upstream(status),
        None => Answer::Aborted,
    }
}
