//! Waiting for a slot: what a request does while every backend that could serve it is full.

use std::pin::pin;

use pingora::{Error, Result, protocols::http::ServerSession};
use tokio::time::{Instant, sleep_until};

use crate::{
    alarms::Queue,
    balance,
    clock::{self, instant_of},
    exchange::{
        Exchange,
        request::{Attempt, Failure, Overload, RequestContext},
    },
    model::PoolId,
};

impl Exchange {
    /// Begins the next attempt, as soon as there is a slot for it. `None` when none can be made;
    /// `ctx.failure` then says why. `is_whole` tells whether the client has sent all of its request:
    /// only then can it be seen to leave.
    ///
    /// # Errors
    /// When the client has gone away.
    pub(crate) async fn await_attempt(
        &self,
        pool: PoolId,
        is_whole: bool,
        session: &mut ServerSession,
        ctx: &mut RequestContext,
    ) -> Result<Option<Attempt>> {
        let attempt = self.begin_attempt(pool, ctx);
        match (ctx.failure, self.alarms.queue(pool)) {
            (Some(Failure::Overloaded(_)), Some(queue)) if attempt.is_none() => {
                Box::pin(self.wait_for_slot(pool, queue, is_whole, session, ctx)).await
            }
            _ => Ok(attempt),
        }
    }

    async fn wait_for_slot(
        &self,
        pool: PoolId,
        queue: &Queue,
        is_whole: bool,
        session: &mut ServerSession,
        ctx: &mut RequestContext,
    ) -> Result<Option<Attempt>> {
        let Some(turn) = queue.join(!ctx.tried.is_empty()) else { return Ok(None) };
        let joined = clock::now();
        self.metrics.queued(pool);
        if self.has_room(pool, queue) {
            queue.wake_first();
        }
        let latest = joined + self.topology.pool(pool).limits.queue_timeout;
        let mut late = pin!(sleep_until(Instant::from_std(instant_of(latest.min(ctx.deadline)))));
        let mut left = pin!(client_left(is_whole, session));
        loop {
            tokio::select! {
                biased;
                () = turn.called() => {}
                () = late.as_mut() => {
                    ctx.failure = Some(Failure::Overloaded(Overload::QueueTimeout));
                    return Ok(None);
                }
                left = left.as_mut() => return Err(left),
            }
            // What made it wait is no reason any more for what happens next.
            ctx.failure = None;
            let attempt = self.begin_attempt_at_once(pool, ctx);
            if !matches!(ctx.failure, Some(Failure::Overloaded(_))) {
                self.metrics.queue_left(pool, clock::now().since(joined));
                return Ok(attempt);
            }
            if self.has_room(pool, queue) {
                turn.pass_on();
            }
        }
    }

    /// Tells whether there is a free slot that somebody in the queue could use.
    fn has_room(&self, pool: PoolId, queue: &Queue) -> bool {
        let snapshot = self.snapshot.load();
        let (live, anywhere) = (self.live.pool(pool), queue.has_choosy());
        balance::has_room(self.topology.pool(pool), snapshot.pool(pool), live, anywhere)
    }
}

/// Ends when the client has gone away.
async fn client_left(is_whole: bool, session: &mut ServerSession) -> Box<Error> {
    if is_whole && let Err(error) = session.read_body_or_idle(true).await {
        return error.into_down();
    }
    std::future::pending().await
}
