//! Attempts: whom the next one goes to, what the last one taught, whether another may follow.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use pingora::{Error, ErrorType, Result, upstreams::peer::HttpPeer};
use pingora_proxy::Session;

use crate::{
    balance,
    clock::{self, Timestamp},
    event::{AttemptOutcome, Fault, FaultMode, Symptom},
    fleet::Input,
    gateway::{
        Gateway,
        context::{Attempt, Failure, RequestContext},
        has_answered, headers,
        peer::{Expectation, peer_of},
    },
    model::{BackendId, Pool, PoolId},
    retry::{self, Body, Connection, Cost, Decision, Facts, Idempotence, Reason, Response},
    telemetry::metrics::RetryOutcome,
};

impl Gateway {
    /// Begins the next attempt, with injected faults played on the way: a faulty attempt is over
    /// before Pingora hears of it.
    pub(crate) async fn next_attempt(
        &self,
        pool: PoolId,
        session: &mut Session,
        ctx: &mut RequestContext,
    ) -> Result<Box<HttpPeer>> {
        loop {
            let id = self.pick(pool, ctx)?;
            let live = self.live.backend(id);
            let Some(fault) = live.fault(clock::now()) else {
                return self.peer(id, session, ctx);
            };
            let limit = expected(self.topology.pool(pool), session, ctx).limit();
            let symptom = suffer(fault, limit, ctx.time_left(clock::now())).await;
            let Some(symptom) = symptom else { return self.peer(id, session, ctx) };
            if !self.may_retry(symptom, Connection::Fresh, session, ctx) {
                return Err(refused());
            }
        }
    }

    /// Picks the backend of the next attempt and begins it.
    fn pick(&self, pool: PoolId, ctx: &mut RequestContext) -> Result<BackendId> {
        let now = clock::now();
        if ctx.time_left(now).is_zero() {
            ctx.failure = Some(Failure::DeadlinePassed);
            return Err(refused());
        }
        let snapshot = self.snapshot.load();
        let picked = balance::pick(
            self.topology.pool(pool),
            snapshot.pool(pool),
            self.live.pool(pool),
            &ctx.tried,
            &mut fastrand::Rng::new(),
        );
        let Some(picked) = picked else {
            ctx.failure = Some(Failure::NoBackend);
            return Err(refused());
        };
        let id = BackendId { pool, index: picked.index };
        ctx.tried.push(picked.index);
        ctx.attempts += 1;
        ctx.attempt = Some(Attempt::new(id, now, &self.live));
        Ok(id)
    }

    /// Describes the attempt under way to Pingora.
    fn peer(
        &self,
        id: BackendId,
        session: &Session,
        ctx: &mut RequestContext,
    ) -> Result<Box<HttpPeer>> {
        let pool = self.topology.pool(id.pool);
        let backend = self.topology.backend(id);
        let Some(address) = self.live.backend(id).address() else {
            // Eligible, so it was checked; its name cannot have been unknown then.
            ctx.failure = Some(Failure::NoBackend);
            return Err(refused());
        };
        let epoch = self.snapshot.load().backend(id).epoch;
        let expectation = expected(pool, session, ctx);
        let time_left = ctx.time_left(clock::now()).max(Duration::from_millis(1));
        Ok(Box::new(peer_of(
            &backend.address,
            address,
            epoch,
            &pool.timeouts,
            expectation,
            time_left,
        )))
    }

    /// Takes in that the attempt under way failed. Returns whether another may follow.
    pub(crate) fn may_retry(
        &self,
        symptom: Symptom,
        connection: Connection,
        session: &mut Session,
        ctx: &mut RequestContext,
    ) -> bool {
        let Some(id) = ctx.attempt.as_ref().map(|attempt| attempt.backend) else { return false };
        ctx.symptom = Some(symptom);
        let now = clock::now();
        let facts = Facts {
            symptom,
            idempotence: ctx.idempotence,
            response: if has_answered(session) { Response::Started } else { Response::NotStarted },
            body: body_of(session),
            connection,
            attempts_made: ctx.attempts,
            candidates: self.snapshot.load().pool(id.pool).candidates(&ctx.tried),
            time_left: ctx.time_left(now),
        };
        let live = self.live.pool(id.pool);
        let decision = retry::decide(&facts, &self.topology.pool(id.pool).retries, live, now);
        let is_stale = connection == Connection::Reused && symptom == Symptom::ConnectionClosed;
        self.report(
            ctx,
            match decision {
                // The end of an idle connection says nothing of the backend, unless it cost a request.
                Decision::Retry(_) if is_stale => AttemptOutcome::Abandoned,
                Decision::Retry(_) | Decision::GiveUp(_) => AttemptOutcome::Failed(symptom),
            },
        );
        match decision {
            Decision::Retry(cost) => {
                if cost == Cost::Budget {
                    live.retries.add(now);
                }
                true
            }
            Decision::GiveUp(reason) => {
                ctx.failure = Some(Failure::GivenUp(reason));
                self.count_denial(id.pool, reason);
                false
            }
        }
    }

    /// Reports how the attempt under way ended, once.
    pub(crate) fn report(&self, ctx: &mut RequestContext, outcome: AttemptOutcome) {
        let Some(attempt) = ctx.attempt.as_mut().filter(|attempt| !attempt.is_reported) else {
            return self.report_cut(ctx, outcome);
        };
        attempt.is_reported = true;
        let (id, now) = (attempt.backend, clock::now());
        let took = now.since(attempt.began);
        self.count_attempt(id, outcome, took);
        match outcome {
            AttemptOutcome::Answered { .. } => {
                attempt.run_ended = Some(self.live.backend(id).failure_run.load(Relaxed));
                self.succeeded(id, now);
            }
            AttemptOutcome::Failed(symptom) => {
                let run = self.live.backend(id).failed();
                self.tell(Input::AttemptFailed { backend: id, symptom, run, at: now });
            }
            AttemptOutcome::Abandoned => {}
        }
    }

    /// Reports that a response broke off of which the head had been taken for an answer. The run
    /// of failures that the head ended goes on: a backend all of whose answers break off has no
    /// success between them. The attempt itself has been counted.
    fn report_cut(&self, ctx: &RequestContext, outcome: AttemptOutcome) {
        let AttemptOutcome::Failed(symptom @ Symptom::ResponseCut) = outcome else { return };
        let Some(Attempt { backend, run_ended: Some(run_ended), .. }) = ctx.attempt else { return };
        let live = self.live.backend(backend);
        live.failures.fetch_add(1, Relaxed);
        let more = run_ended.saturating_add(1);
        let run = live.failure_run.fetch_add(more, Relaxed).saturating_add(more);
        self.tell(Input::AttemptFailed { backend, symptom, run, at: clock::now() });
    }

    fn succeeded(&self, id: BackendId, now: Timestamp) {
        let pool = self.live.pool(id.pool);
        pool.timeline.record_answer(now, id.index);
        if pool.backends[id.index].succeeded() {
            self.tell(Input::AttemptSucceeded { backend: id });
        }
    }

    /// Tells the fleet; a request never waits for it. What does not fit is counted, and does no
    /// harm: a full queue holds more than enough of the same evidence.
    fn tell(&self, input: Input) {
        if self.inbox.try_send(input).is_err() {
            self.metrics.evidence_dropped(1);
        }
    }

    fn count_denial(&self, pool: PoolId, reason: Reason) {
        match reason {
            Reason::Budget => self.metrics.retry(pool, RetryOutcome::DeniedBudget),
            Reason::NotIdempotent | Reason::BodyNotReplayable => {
                self.metrics.retry(pool, RetryOutcome::DeniedMethod);
            }
            Reason::ResponseStarted
            | Reason::AttemptsExhausted
            | Reason::Deadline
            | Reason::NoBackend => {}
        }
    }
}

/// Returns what the exchange is expected to be like.
///
/// Only a request that may be repeated is cut short: the first answer of a non-idempotent one is
/// the only one it gets, so it is waited for until the route's timeout.
fn expected(pool: &Pool, session: &Session, ctx: &RequestContext) -> Expectation {
    let request = session.req_header();
    let accepts_events = request
        .headers
        .get("accept")
        .is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
    if headers::is_websocket(request) {
        Expectation::Upgrade
    } else if accepts_events {
        Expectation::Stream
    } else if ctx.idempotence == Idempotence::Idempotent {
        Expectation::ResponseWithin(pool.retries.per_try_timeout)
    } else {
        Expectation::ResponseWithin(Duration::MAX)
    }
}

/// Plays a fault on an attempt. Returns the symptom, unless the attempt may go on.
async fn suffer(fault: Fault, limit: Duration, time_left: Duration) -> Option<Symptom> {
    let patience = limit.min(time_left);
    match fault.mode {
        FaultMode::Crash | FaultMode::Refuse | FaultMode::Error => {}
        FaultMode::Slow if fault.delay < patience => {
            tokio::time::sleep(fault.delay).await;
            return None;
        }
        FaultMode::Hang | FaultMode::Slow => tokio::time::sleep(patience).await,
    }
    Some(Symptom::Injected(fault.mode))
}

/// Tells whether the request's body can be sent again.
fn body_of(session: &mut Session) -> Body {
    if session.as_downstream().retry_buffer_truncated() {
        Body::Gone
    } else if session.as_downstream_mut().is_body_empty() {
        Body::Untouched
    } else {
        Body::Buffered
    }
}

/// The error with which an attempt that was never made ends; `ctx.failure` says why.
fn refused() -> Box<Error> {
    let mut error = Error::explain(ErrorType::InternalError, "no attempt can be made");
    error.as_in();
    error.set_retry(false);
    error
}
