//! Sending a request whose body is still coming from the client.

use std::pin::pin;

use bytes::Bytes;
use pingora::{Result, protocols::http::ServerSession};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    clock,
    event::{Idempotence, Symptom},
    exchange::{
        Exchange,
        advance::Stage,
        attempts::Remains,
        http1::{Happened, LegError},
        leg::Leg,
        outgoing::Outgoing,
        plan::Plan,
        request::{Attempt, Call, Failure, RequestContext},
        unserved,
        upload::Upload,
    },
    model::{Pool, RetryPolicy},
    retry::{Connection, Delivery},
    strike::{Patience, play},
    telemetry::metrics::Drained,
    wire::{request::BodyFraming, response::Event},
};

/// How sending a request piece by piece ended.
#[derive(Debug)]
pub(crate) enum Sent {
    /// All of it was given to the leg, or the response has begun before.
    All(Stage),
    /// The attempt failed.
    Failed(Remains),
}

/// What happened while a request was being sent.
enum News {
    /// The leg has something to say.
    Leg(std::result::Result<Happened, LegError>),
    /// The client has sent a piece, or the end.
    Piece(Option<Bytes>),
    /// The backend's condition has changed.
    Alarm,
    /// Too much time has passed.
    Late,
}

impl Exchange {
    /// Reads a short body from the client before anything is sent.
    ///
    /// # Errors
    /// When the client goes away, or has not sent all of it by the deadline.
    pub(crate) async fn receive_short(
        &self,
        upload: &mut Upload,
        framing: BodyFraming,
        policy: &RetryPolicy,
        session: &mut ServerSession,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        let deadline = Instant::from_std(clock::instant_of(ctx.deadline));
        match timeout_at(deadline, upload.read_short(framing, session, policy)).await {
            Ok(read) => read,
            Err(_) => Err(self.unfinished(ctx)),
        }
    }

    /// Sends a request: first what has been kept of its body, then what comes from the client. Ends
    /// when all is sent, or when the response begins, which it may before.
    pub(crate) async fn send(
        &self,
        attempt: &Attempt,
        outgoing: &Outgoing,
        upload: &mut Upload,
        session: &mut ServerSession,
        ctx: &mut RequestContext,
    ) -> Result<Sent> {
        let id = attempt.backend;
        let pool = self.topology.pool(id.pool);
        let retries = self.topology.retries(ctx.route, id.pool);
        let mut alarm = pin!(self.alarms.raised(id));
        alarm.as_mut().enable();
        let mut leg = match self.open_struck(attempt, outgoing, upload, ctx).await {
            Ok(leg) => leg,
            Err(remains) => return Ok(Sent::Failed(remains)),
        };
        leg.send_request(outgoing, attempt.mark.parent(), None);
        upload.rewind();
        loop {
            leg.send_on(upload, outgoing.framing);
            if leg.is_whole() {
                return Ok(Sent::All(Stage::Waiting(leg)));
            }
            let late = sleep_until(late_at(&leg, pool, retries, ctx));
            let news = tokio::select! {
                biased;
                happened = leg.next() => News::Leg(happened),
                read = upload.read(session, retries), if leg.is_sent() => News::Piece(read?),
                () = alarm.as_mut() => News::Alarm,
                () = late => News::Late,
            };
            let failure = match news {
                News::Leg(Ok(Happened::Sent)) | News::Piece(None) => continue,
                News::Leg(Ok(Happened::Said(Event::Head(head)))) => {
                    attempt.mark.answered();
                    return Ok(Sent::All(Stage::Headed(leg, head)));
                }
                News::Leg(Ok(Happened::Said(Event::Interim(head)))) => {
                    self.pass_interim(session, &head, ctx).await?;
                    continue;
                }
                News::Piece(Some(piece)) => {
                    leg.send_piece(piece, outgoing.framing);
                    continue;
                }
                News::Alarm if self.gives_up(attempt, outgoing, upload, ctx) => {
                    plain(Symptom::BackendLost)
                }
                News::Alarm => {
                    alarm.set(self.alarms.raised(id));
                    alarm.as_mut().enable();
                    continue;
                }
                // The backend has taken all that there is: nobody is to blame but the client.
                News::Late if leg.is_sent() && ctx.call.is_some_and(is_over) => {
                    ctx.failure = Some(Failure::DeadlinePassed);
                    return Err(unserved());
                }
                News::Late if leg.is_sent() => return Err(self.unfinished(ctx)),
                News::Late => plain(Symptom::ResponseTimedOut),
                News::Leg(Ok(Happened::Said(_))) => plain(Symptom::Garbage),
                News::Leg(Err(error)) => error,
            };
            let plan = plan(pool, retries, outgoing, upload, ctx);
            return Ok(Sent::Failed(plan.broken(&leg, failure)));
        }
    }

    /// Plays an injected fault, then finds or makes a connection.
    async fn open_struck(
        &self,
        attempt: &Attempt,
        outgoing: &Outgoing,
        upload: &Upload,
        ctx: &RequestContext,
    ) -> std::result::Result<Leg, Remains> {
        let id = attempt.backend;
        let pool = self.topology.pool(id.pool);
        let retries = self.topology.retries(ctx.route, id.pool);
        let plan = plan(pool, retries, outgoing, upload, ctx);
        if let Some(strike) = attempt.strike {
            let now = clock::now();
            let (connect, response) = (pool.timeouts.connect, plan.limit(now).since(now));
            if let Some(symptom) = play(strike, Patience { connect, response }).await {
                return Err(plan.remains(symptom, Connection::Fresh, Delivery::Possible));
            }
        }
        let deadline = Instant::from_std(clock::instant_of(ctx.deadline));
        let opened = timeout_at(deadline, self.open(&plan, id, &attempt.mark)).await;
        opened.unwrap_or_else(|_| Err(plan.unsent(Symptom::ConnectTimedOut)))
    }

    /// Gives an attempt up if its backend is lost, it may be repeated, and somebody else is there to take
    /// it; or if its backend has been configured no more for long enough.
    fn gives_up(
        &self,
        attempt: &Attempt,
        outgoing: &Outgoing,
        upload: &Upload,
        ctx: &RequestContext,
    ) -> bool {
        let id = attempt.backend;
        let retries = self.topology.retries(ctx.route, id.pool);
        let plan = plan(self.topology.pool(id.pool), retries, outgoing, upload, ctx);
        let is_over = self.alarms.is_over(id);
        let is_moved = ctx.idempotence == Idempotence::Idempotent
            && (is_over || self.is_lost(attempt))
            && self.is_another_left(&plan, attempt, true, ctx);
        if is_over && !is_moved {
            self.metrics.cut(Drained::Backend, 1);
        }
        is_over || is_moved
    }

    /// Ends a request whose client has not sent all of it in time.
    fn unfinished(&self, ctx: &mut RequestContext) -> Box<pingora::Error> {
        ctx.failure = Some(Failure::BodyUnfinished);
        unserved()
    }
}

fn plan<'a>(
    pool: &'a Pool,
    retries: &'a RetryPolicy,
    outgoing: &'a Outgoing,
    upload: &Upload,
    ctx: &RequestContext,
) -> Plan<'a> {
    Plan::new(pool, retries, outgoing, None, upload.body(), ctx)
}

/// Returns when sending has taken too long: a backend must go on reading, and the client must be
/// done by the deadline.
fn late_at(leg: &Leg, pool: &Pool, retries: &RetryPolicy, ctx: &RequestContext) -> Instant {
    let stalled = match ctx.idempotence {
        Idempotence::Idempotent => retries.per_try_timeout,
        Idempotence::NotIdempotent => pool.timeouts.between_reads,
    };
    let now = clock::now();
    let at = match ctx.call {
        // A client may send messages for as long as it likes, if it does not fall silent.
        Some(call) if leg.is_sent() => {
            let silent = now + pool.timeouts.stream_idle;
            call.latest.map_or(silent, |latest| silent.min(latest))
        }
        Some(_) => now + stalled,
        None if leg.is_sent() => ctx.deadline,
        None => ctx.deadline.min(now + stalled),
    };
    Instant::from_std(clock::instant_of(at))
}

/// Tells whether the client of a call waits no longer.
fn is_over(call: Call) -> bool {
    call.latest.is_some_and(|latest| latest <= clock::now())
}

fn plain(symptom: Symptom) -> LegError {
    LegError { symptom, delivery: Delivery::Possible }
}
