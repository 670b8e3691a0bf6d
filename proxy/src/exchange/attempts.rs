//! Attempts: whom the next one goes to, what the last one taught, whether another may follow.
//!
//! Nothing here knows who forwards: the engine, or Pingora's own path for upgrades. Both begin,
//! report and retry attempts by these functions, so that both are counted alike.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use crate::{
    balance::{self, Pick, Request, Unpicked},
    clock::{self, Timestamp},
    event::{AttemptOutcome, FaultMode, Source, Strike, Symptom},
    exchange::{
        Exchange,
        request::{Attempt, Failure, InFlight, Overload, RequestContext},
    },
    fleet::Input,
    model::{BackendId, Balance, PoolId},
    retry::{self, Body, Connection, Cost, Decision, Delivery, Facts, Reason, Response},
    snapshot::Candidates,
    telemetry::{
        metrics::RetryOutcome,
        requests::{attempts::Role, trail::Mark},
    },
};

/// How often a pick is repeated that others were faster to use, before the request queues up.
const PICKS: usize = 4;

/// What a failed attempt leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remains {
    /// How it failed.
    pub(crate) symptom: Symptom,
    /// What it used.
    pub(crate) connection: Connection,
    /// Whether the backend may have received anything.
    pub(crate) delivery: Delivery,
    /// Whether the client has been sent a part of a response.
    pub(crate) response: Response,
    /// Whether the request's body can be sent again.
    pub(crate) body: Body,
}

impl Exchange {
    /// Picks the backend of the next attempt and begins it. `None` when none can be made;
    /// `ctx.failure` then says why. Who waits for a slot comes first.
    pub(crate) fn begin_attempt(&self, pool: PoolId, ctx: &mut RequestContext) -> Option<Attempt> {
        if self.alarms.queue(pool).is_some_and(|queue| !queue.is_empty()) {
            ctx.failure = Some(Failure::Overloaded(Overload::QueueFull));
            return None;
        }
        self.begin_attempt_at_once(pool, ctx)
    }

    /// The same for a request whose turn it is.
    pub(crate) fn begin_attempt_at_once(
        &self,
        pool: PoolId,
        ctx: &mut RequestContext,
    ) -> Option<Attempt> {
        let now = clock::now();
        if ctx.time_left(now).is_zero() {
            ctx.failure = Some(Failure::DeadlinePassed);
            return None;
        }
        // Between a pick and the slot somebody else may take it; then nobody else has a slot more.
        for _ in 0..PICKS {
            let (picked, epoch) = match self.pick(pool, ctx, now) {
                Ok(picked) => picked,
                Err(Unpicked::Nobody) => {
                    ctx.failure = Some(Failure::NoBackend);
                    return None;
                }
                Err(Unpicked::Full) => break,
            };
            let id = BackendId { pool, index: picked.index };
            if self.alarms.is_over(id) {
                // A reload has removed it, and what was under way there had its time.
                if !picked.is_untried {
                    ctx.failure = Some(Failure::NoBackend);
                    return None;
                }
                ctx.tried.extend(self.over(pool));
                continue;
            }
            let Some(guard) = InFlight::at(id, &self.live, self.alarms.queue(pool)) else {
                continue;
            };
            ctx.tried.push(id.index);
            ctx.attempts += 1;
            let mut attempt = Attempt::new(id, epoch, ctx.attempts, now, guard);
            attempt.is_trial = picked.is_trial;
            if let Some(trail) = &ctx.trail {
                let role = if ctx.attempts == 1 { Role::First } else { Role::Retry };
                attempt.mark = Mark::begin(trail, (id, ctx.attempts), role, picked.is_trial, now);
            }
            return Some(attempt);
        }
        ctx.failure = Some(Failure::Overloaded(Overload::QueueFull));
        None
    }

    /// Returns whom a request could be sent to after an attempt at this backend.
    pub(crate) fn candidates(&self, id: BackendId, ctx: &RequestContext) -> Candidates {
        let snapshot = self.snapshot.load();
        let after = |done: &[usize]| snapshot.pool(id.pool).candidates(done);
        if !self.alarms.is_over(id) {
            return after(&ctx.tried);
        }
        // So may be others of its generation, and nobody is sent there once more.
        let over = self.over(id.pool);
        match (after(&[&*over, &*ctx.tried].concat()), after(&over)) {
            (Candidates::Untried, _) => Candidates::Untried,
            (_, Candidates::Untried) => Candidates::TriedOnly,
            (_, _) => Candidates::Nobody,
        }
    }

    /// Returns the backends of a pool that a reload has removed and whose time is over.
    fn over(&self, pool: PoolId) -> Vec<usize> {
        let indices = 0..self.topology.pool(pool).backends.len();
        indices.filter(|&index| self.alarms.is_over(BackendId { pool, index })).collect()
    }

    /// Picks a backend, and tells the fleet if that takes a trial. Returns its epoch, too.
    fn pick(
        &self,
        pool: PoolId,
        ctx: &RequestContext,
        now: Timestamp,
    ) -> Result<(Pick, u64), Unpicked> {
        let snapshot = self.snapshot.load();
        let picked = balance::pick(
            self.topology.pool(pool),
            snapshot.pool(pool),
            self.live.pool(pool),
            Request {
                tried: &ctx.tried,
                idempotence: ctx.idempotence,
                hash: ctx.hash,
                home: ctx.session.map(|it| it.index),
            },
            &mut fastrand::Rng::new(),
            now,
        )?;
        let id = BackendId { pool, index: picked.index };
        if picked.is_trial {
            self.tell(Input::TrialTaken { backend: id, at: now });
        }
        Ok((picked, snapshot.backend(id).epoch))
    }

    /// Takes in that an attempt failed. Returns whether another may follow; if not, `ctx.failure`
    /// says why.
    pub(crate) fn may_retry(
        &self,
        attempt: &mut Attempt,
        remains: Remains,
        ctx: &mut RequestContext,
    ) -> bool {
        let id = attempt.backend;
        ctx.symptom = Some(remains.symptom);
        attempt.mark.failed(remains.symptom);
        let now = clock::now();
        let facts = Facts {
            symptom: remains.symptom,
            idempotence: ctx.idempotence,
            response: remains.response,
            body: remains.body,
            connection: remains.connection,
            delivery: remains.delivery,
            attempts_made: ctx.attempts,
            candidates: self.candidates(id, ctx),
            time_left: ctx.time_left(now),
        };
        let live = self.live.pool(id.pool);
        let decision = retry::decide(&facts, self.topology.retries(ctx.route, id.pool), live, now);
        let is_stale = remains.connection == Connection::Reused
            && remains.symptom == Symptom::ConnectionClosed;
        // The end of an idle connection says nothing of the backend, unless it cost a request; and
        // a request that was called back said nothing either.
        let says_nothing = match decision {
            Decision::Retry(_) => is_stale || remains.symptom == Symptom::BackendLost,
            Decision::GiveUp(_) => false,
        };
        let outcome = if says_nothing {
            AttemptOutcome::Abandoned
        } else {
            AttemptOutcome::Failed(remains.symptom)
        };
        self.report(attempt, outcome);
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

    /// Tells what an injected fault does to one attempt, if there is one.
    pub(crate) fn strike(&self, id: BackendId) -> Option<Strike> {
        let live = self.live.backend(id);
        if !live.has_fault() {
            return None;
        }
        let now = clock::now();
        let fault = live.fault(now)?;
        fault.strike(Source::Traffic, now, &mut fastrand::Rng::new())
    }

    /// Takes in that an injected error ended an attempt. Returns whether another may follow. A
    /// status that is no failure in this pool is an answer like any other, and where nobody else can
    /// be asked, an injected error is passed on as a backend's own is.
    pub(crate) fn may_follow_error(
        &self,
        status: u16,
        attempt: &mut Attempt,
        remains: Remains,
        ctx: &mut RequestContext,
    ) -> bool {
        let policy = self.topology.retries(ctx.route, attempt.backend.pool);
        if !policy.statuses.contains(&status) {
            self.report(attempt, AttemptOutcome::Answered { status });
        } else if self.may_retry(attempt, remains, ctx) {
            return true;
        }
        ctx.failure = Some(Failure::Injected(status));
        false
    }

    /// Reports how an attempt ended, once.
    pub(crate) fn report(&self, attempt: &mut Attempt, outcome: AttemptOutcome) {
        if attempt.is_reported {
            return self.report_cut(attempt, outcome);
        }
        attempt.is_reported = true;
        attempt.mark.ended(outcome);
        let (id, now) = (attempt.backend, clock::now());
        let took = now.since(attempt.began);
        self.metrics.attempt_finished(id, outcome, took);
        let live = self.live.backend(id);
        let costs = self.topology.pool(id.pool).balance == Balance::PeakEwma;
        match outcome {
            AttemptOutcome::Answered { .. } => {
                if costs {
                    live.peak_ewma.observe(now.since(attempt.asked), now);
                }
                attempt.run_ended = Some(live.failure_run.load(Relaxed));
                self.succeeded(id, took, now);
            }
            AttemptOutcome::Failed(symptom) => {
                if costs {
                    live.peak_ewma.observe_failure(now.since(attempt.asked), now);
                }
                let run = live.failed(now);
                let recent = live.recent(now);
                self.tell(Input::AttemptFailed {
                    backend: id,
                    symptom,
                    waited: took,
                    run,
                    recent,
                    at: now,
                });
            }
            AttemptOutcome::Abandoned => {}
        }
    }

    /// Reports that a response broke off of which the head had been taken for an answer. The run
    /// of failures that the head ended goes on: a backend all of whose answers break off has no
    /// success between them. The attempt itself has been counted.
    fn report_cut(&self, attempt: &Attempt, outcome: AttemptOutcome) {
        let AttemptOutcome::Failed(
            symptom @ (Symptom::ResponseCut | Symptom::Injected(FaultMode::Truncate)),
        ) = outcome
        else {
            return;
        };
        attempt.mark.ended(outcome);
        let (backend, Some(run_ended)) = (attempt.backend, attempt.run_ended) else { return };
        let live = self.live.backend(backend);
        let now = clock::now();
        live.failures.fetch_add(1, Relaxed);
        live.recent_failures.add(now);
        let more = run_ended.saturating_add(1);
        let run = live.failure_run.fetch_add(more, Relaxed).saturating_add(more);
        let recent = live.recent(now);
        let waited = Duration::ZERO;
        self.tell(Input::AttemptFailed { backend, symptom, waited, run, recent, at: now });
    }

    fn succeeded(&self, id: BackendId, took: Duration, now: Timestamp) {
        let pool = self.live.pool(id.pool);
        pool.timeline.record_answer(now, id.index);
        if pool.backends[id.index].succeeded(now) {
            self.tell(Input::AttemptSucceeded { backend: id, took });
        }
    }

    /// Tells the fleet; a request never waits for it. What does not fit is counted, and does no
    /// harm: a full queue holds more than enough of the same evidence.
    pub(crate) fn tell(&self, input: Input) {
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
