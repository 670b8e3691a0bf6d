//! A trial whose request another backend has answered: the suspected backend is heard out.
//!
//! A trial is made to learn what a suspected backend does. When it overstays, its request is sent to
//! a second backend, too, and the client has its answer; but if the trial were given up for that,
//! nothing would be learned from it, and a backend that has become slower for good would never be
//! trusted again. So the trial goes on without its request, until the response begins or its time
//! is over. Who gets the grant of a trial is one request at a time, which bounds how many go on.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use crate::{
    clock,
    event::{AttemptOutcome, Symptom},
    exchange::{
        Exchange,
        http1::{Happened, LegError},
        leg::Leg,
        plan::Progress,
        request::{Attempt, RequestContext},
    },
    retry::Connection,
    wire::response::Event,
};

impl Exchange {
    /// Waits for what becomes of a trial that was given up, if one was, in a task of its own, and
    /// reports it.
    pub(crate) fn hear_out(
        self: &Arc<Self>,
        trial: Option<Attempt>,
        progress: &Progress,
        ctx: &RequestContext,
    ) {
        let Some(mut trial) = trial else { return };
        let Some(mut leg) = progress.take_leg() else {
            return self.report(&mut trial, AttemptOutcome::Abandoned);
        };
        trial.mark.heard_out();
        let exchange = Arc::clone(self);
        let (route, kind) = (ctx.route, ctx.kind);
        let task = async move {
            let policy = exchange.topology.retries(route, trial.backend.pool);
            let limit = clock::instant_of(trial.asked + policy.per_try_timeout);
            let ended = timeout_at(Instant::from_std(limit), status_of(&mut leg)).await;
            let outcome = match ended {
                Ok(Ok(status)) if policy.statuses.contains(&status) => {
                    AttemptOutcome::Failed(Symptom::ErrorStatus(status))
                }
                Ok(Ok(status)) => {
                    exchange.live.backend(trial.backend).times.answered(clock::now());
                    exchange.learn(&trial, kind);
                    AttemptOutcome::Answered { status }
                }
                // The end of an idle connection says nothing of the backend.
                Ok(Err(Symptom::ConnectionClosed)) if leg.connection() == Connection::Reused => {
                    AttemptOutcome::Abandoned
                }
                Ok(Err(symptom)) => AttemptOutcome::Failed(symptom),
                Err(_) => AttemptOutcome::Failed(Symptom::ResponseTimedOut),
            };
            exchange.report(&mut trial, outcome);
        };
        // Nobody waits for it; it ends by itself, in the time of an attempt.
        drop(tokio::spawn(task));
    }
}

/// Returns the status of the final response.
async fn status_of(leg: &mut Leg) -> Result<u16, Symptom> {
    loop {
        match leg.next().await {
            Ok(Happened::Sent | Happened::Said(Event::Interim(_))) => {}
            Ok(Happened::Said(Event::Head(head))) => return Ok(head.status.as_u16()),
            Ok(Happened::Said(Event::Data(_) | Event::Trailers(_) | Event::End)) => {
                return Err(Symptom::Garbage);
            }
            Err(LegError { symptom, .. }) => return Err(symptom),
        }
    }
}
