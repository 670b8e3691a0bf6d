//! Waiting for an answer: one attempt, watched, and a second beside it when the first overstays.
//!
//! An attempt by itself waits for ever. What ends or doubles it: its own deadline, the request's,
//! the loss of its backend, suspicion of its backend, and the client's going away.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use pingora::{Error, Result, protocols::http::ServerSession};
use tokio::{
    sync::futures::Notified,
    time::{Instant, sleep_until},
};

use crate::{
    clock::{self, Timestamp},
    event::{AttemptOutcome, Idempotence, Rescue, Strike, Symptom},
    exchange::{
        Exchange,
        advance::{Stage, Step},
        attempts::Remains,
        hold::Answer,
        plan::{Plan, Progress},
        request::{Attempt, RequestContext},
        unserved,
    },
    fleet::Input,
    model::BackendId,
    retry::{self, Connection, Delivery, HedgeFacts},
    snapshot::{Candidates, Condition},
    suspicion::{self, Verdict},
    telemetry::{metrics::Drained, requests::trail::Mark},
};

/// How long after the first look at a wait that has taken too long it is judged. When a process goes on
/// that was stopped, its timers go off before it has been told what it has received; within this time
/// it is.
const SECOND_LOOK: Duration = Duration::from_millis(1);

/// How the wait for an answer ended.
#[derive(Debug)]
pub(crate) enum Waited {
    /// A response may be passed on; it came from this attempt.
    Answered(Attempt, Box<Answer>),
    /// Every attempt under way has failed; this one last.
    Failed(Attempt, Remains),
    /// An injected fault answered this attempt with this status.
    Struck(Attempt, u16),
}

/// What to do after something has happened.
#[derive(Debug)]
enum Next {
    /// Wait on.
    Wait,
    /// Begin a second attempt.
    Hedge,
    /// Wait no longer.
    Over(Waited),
}

/// The attempts that are waited for.
struct Watch<'a> {
    plan: &'a Plan<'a>,
    /// The first attempt and the one beside it, while they are under way.
    attempts: [Option<Attempt>; 2],
    /// When to look at them again.
    due: Timestamp,
    /// When to judge them, once they have been looked at in time.
    second_look: Option<Timestamp>,
    is_hedged: bool,
    has_overstayed: bool,
    /// The first attempt, if it was a trial and the second was faster.
    outrun: Option<Attempt>,
}

impl Exchange {
    /// Waits for the answer to an attempt that has got to `stage`.
    pub(crate) async fn wait(
        self: &Arc<Self>,
        plan: &Plan<'_>,
        attempt: Attempt,
        stage: Stage,
        session: &mut ServerSession,
        ctx: &mut RequestContext,
    ) -> Result<Waited> {
        let id = attempt.backend;
        let mut watch = Watch::new(plan, attempt, self.patience(plan, id, ctx));
        let waited = self.watch(&mut watch, stage, session, ctx).await;
        if waited.is_err() {
            for attempt in watch.attempts.iter_mut().flatten() {
                self.report(attempt, AttemptOutcome::Abandoned);
            }
        }
        waited
    }

    /// Carries on what `watch` watches until it is over.
    async fn watch(
        self: &Arc<Self>,
        watch: &mut Watch<'_>,
        stage: Stage,
        session: &mut ServerSession,
        ctx: &mut RequestContext,
    ) -> Result<Waited> {
        let plan = watch.plan;
        let [Some(id), _] = watch.backends() else { return Err(unserved()) };
        // One that does not begin here has sent its request.
        let is_sent = !matches!(stage, Stage::Start(_));
        let progress = [watch.progress(is_sent), Progress::new(plan.deadline, false)];
        let sent = || progress.each_ref().map(Progress::is_sent);
        let ((_, mark), mut alarms) = (watch.begun(0), (pin!(None), pin!(None)));
        self.arm(alarms.0.as_mut(), Some(id));
        // A loss between the pick and now has raised no alarm here.
        let is_gone = watch.attempts[0].as_ref().is_some_and(|it| self.is_gone(it));
        let mut next = if is_gone { self.on_alarm(watch, sent(), ctx) } else { Next::Wait };
        let mut timer = pin!(sleep_until(instant(watch.next_look())));
        let mut first = pin!(Some(self.advance(plan, id, &progress[0], &mark, stage)));
        let mut second = pin!(None);
        loop {
            match next {
                Next::Wait => {}
                Next::Over(waited) => {
                    first.set(None);
                    self.hear_out(watch.outrun.take(), &progress[0], ctx);
                    return Ok(waited);
                }
                Next::Hedge => {
                    if let Some(id) = self.begin_hedge(watch, ctx) {
                        self.arm(alarms.1.as_mut(), Some(id));
                        progress[1].restart(plan.limit(clock::now()));
                        let hedge = self.hedge(plan, id, &progress[1], watch.begun(1));
                        second.set(Some(Box::pin(hedge)));
                    }
                }
            }
            // What is no longer watched is given up, and its connection closed.
            if watch.attempts[0].is_none() {
                first.set(None);
            }
            if watch.attempts[1].is_none() {
                second.set(None);
            }
            timer.as_mut().reset(instant(watch.next_look()));
            next = tokio::select! {
                biased;
                step = run(first.as_mut()) => match step {
                    Step::Interim(leg, head) => {
                        Box::pin(self.pass_interim(session, &head, ctx)).await?;
                        let stage = Stage::Waiting(leg);
                        first.set(Some(self.advance(plan, id, &progress[0], &mark, stage)));
                        Next::Wait
                    }
                    step @ (Step::Ready(_) | Step::Failed(_)) => self.on_step(watch, 0, step, ctx),
                },
                step = run(second.as_mut()) => self.on_step(watch, 1, step, ctx),
                left = client_left(session, plan) => return Err(left),
                () = either(alarms.0.as_mut(), alarms.1.as_mut()) => {
                    let [first, second] = watch.backends();
                    self.arm(alarms.0.as_mut(), first);
                    self.arm(alarms.1.as_mut(), second);
                    self.on_alarm(watch, sent(), ctx)
                }
                () = timer.as_mut() => self.on_timer(watch, sent(), ctx),
            };
        }
    }

    /// Has an alarm go off when something happens to this backend from now on, not only once it is
    /// waited for.
    fn arm<'a>(&'a self, mut alarm: Alarm<'_, 'a>, id: Option<BackendId>) {
        alarm.set(id.map(|id| self.alarms.raised(id)));
        if let Some(alarm) = alarm.as_pin_mut() {
            alarm.enable();
        }
    }

    /// Carries on a second attempt. Its interim responses are not the client's concern: those of
    /// the first may have been passed on.
    async fn hedge(
        &self,
        plan: &Plan<'_>,
        id: BackendId,
        progress: &Progress,
        (strike, mark): (Option<Strike>, Mark),
    ) -> Step {
        let mut stage = Stage::Start(strike);
        loop {
            match self.advance(plan, id, progress, &mark, stage).await {
                Step::Interim(leg, _) => stage = Stage::Waiting(leg),
                step @ (Step::Ready(_) | Step::Failed(_)) => return step,
            }
        }
    }
}

impl Exchange {
    /// Takes in what one attempt came to.
    fn on_step(
        &self,
        watch: &mut Watch<'_>,
        index: usize,
        step: Step,
        ctx: &mut RequestContext,
    ) -> Next {
        let Some(mut attempt) = watch.attempts[index].take() else { return Next::Wait };
        let is_last = watch.attempts.iter().all(Option::is_none);
        let symptom = match &step {
            Step::Ready(answer) => {
                answer.error_status(watch.plan.retries).map(Symptom::ErrorStatus)
            }
            Step::Failed(remains) => Some(remains.symptom),
            Step::Interim(..) => None,
        };
        // While another attempt is under way, a failure of this one is no news for the client.
        if let (Some(symptom), false) = (symptom, is_last) {
            self.report(&mut attempt, AttemptOutcome::Failed(symptom));
            return watch.look_again();
        }
        match step {
            Step::Ready(answer) => {
                if index == 1 && symptom.is_none() {
                    ctx.rescue = Some(Rescue::Hedge);
                    watch.outrun = watch.attempts[0].take_if(|it| it.is_trial);
                }
                for other in watch.attempts.iter_mut().flatten() {
                    self.report(other, AttemptOutcome::Abandoned);
                }
                Next::Over(Waited::Answered(attempt, answer))
            }
            Step::Failed(remains) => Next::Over(Waited::Failed(attempt, remains)),
            Step::Interim(..) => Next::Wait,
        }
    }

    /// Looks at what has become of the attempts' backends.
    fn on_alarm(&self, watch: &mut Watch<'_>, is_sent: [bool; 2], ctx: &RequestContext) -> Next {
        let snapshot = self.snapshot.load();
        for index in [1, 0] {
            let Some(attempt) = &watch.attempts[index] else { continue };
            let is_over = self.alarms.is_over(attempt.backend);
            if !is_over && !self.is_lost(attempt) {
                let condition = snapshot.backend(attempt.backend).condition;
                if condition == Condition::Suspected && !watch.is_hedged {
                    // Many wait here, and most of them are about to be answered, if the suspicion
                    // is wrong. Only who has waited longer than usual has a reason to act on it.
                    let usual = self.usual(watch.plan, attempt, ctx);
                    watch.due = watch.due.min(attempt.asked + usual);
                }
                continue;
            }
            if watch.attempts.iter().flatten().count() == 2 {
                // The other one goes on.
                if let Some(mut attempt) = watch.attempts[index].take() {
                    attempt.mark.failed(Symptom::BackendLost);
                    self.report(&mut attempt, AttemptOutcome::Abandoned);
                }
                _ = watch.look_again();
                continue;
            }
            let is_movable = watch.plan.idempotence == Idempotence::Idempotent || !is_sent[index];
            let is_moved =
                is_movable && self.is_another_left(watch.plan, attempt, is_sent[index], ctx);
            if is_over && !is_moved {
                self.metrics.cut(Drained::Backend, 1);
            }
            if is_over || is_moved {
                return watch.give_up(index, Symptom::BackendLost, is_sent[index]);
            }
        }
        Next::Wait
    }

    /// Looks at the attempts because time has passed.
    fn on_timer(&self, watch: &mut Watch<'_>, is_sent: [bool; 2], ctx: &RequestContext) -> Next {
        let now = clock::now();
        if watch.second_look.take().is_none() {
            watch.second_look = Some(now + SECOND_LOOK);
            return Next::Wait;
        }
        if watch.was_held_up(now) {
            return Next::Wait;
        }
        for index in [1, 0] {
            let is_late =
                watch.attempts[index].as_ref().is_some_and(|it| watch.plan.limit(it.asked) <= now);
            if !is_late {
                continue;
            }
            let Some(mut attempt) = watch.attempts[index].take() else { continue };
            let remains = timed_out(watch.plan, attempt.strike, is_sent[index]);
            if watch.attempts.iter().all(Option::is_none) {
                return Next::Over(Waited::Failed(attempt, remains));
            }
            self.report(&mut attempt, AttemptOutcome::Failed(remains.symptom));
            watch.is_hedged = false;
        }
        let due = std::mem::replace(&mut watch.due, now);
        watch.due = watch.limit();
        match &watch.attempts[0] {
            Some(attempt) if !watch.is_hedged => {
                let verdict = self.judge(watch.plan, attempt, due, ctx, now);
                let is_suspected =
                    self.snapshot.load().backend(attempt.backend).condition == Condition::Suspected;
                match verdict {
                    Some(Verdict::Overstayed) => {
                        self.tell_overstayed(watch, now);
                        self.on_overstay(watch, is_sent[0], ctx, now)
                    }
                    // Others have said it; this one has waited long enough to act on it.
                    _ if is_suspected => self.on_overstay(watch, is_sent[0], ctx, now),
                    Some(Verdict::WaitUntil(at)) => {
                        watch.due = at.min(watch.limit());
                        Next::Wait
                    }
                    None => Next::Wait,
                }
            }
            Some(_) | None => Next::Wait,
        }
    }

    /// Judges the wait of an attempt that was to be judged at `due`; `None` if nothing is known to
    /// judge it by.
    fn judge(
        &self,
        plan: &Plan<'_>,
        attempt: &Attempt,
        due: Timestamp,
        ctx: &RequestContext,
        now: Timestamp,
    ) -> Option<Verdict> {
        let patience = self.patience(plan, attempt.backend, ctx)?;
        let last_answer = self.live.backend(attempt.backend).times.last_answer();
        Some(suspicion::judge(attempt.asked, due, patience, last_answer, now))
    }

    /// Tells the fleet, once, that the first attempt's wait is out of line.
    fn tell_overstayed(&self, watch: &mut Watch<'_>, now: Timestamp) {
        if let (Some(attempt), false) = (&watch.attempts[0], watch.has_overstayed) {
            let (backend, waited) = (attempt.backend, now.since(attempt.asked));
            let symptom = attempt
                .strike
                .map_or(Symptom::Overstayed, |strike| Symptom::Injected(strike.mode()));
            attempt.mark.overstayed();
            self.tell(Input::Overstayed { backend, symptom, waited, at: now });
            watch.has_overstayed = true;
        }
    }

    /// Acts on a wait that is out of line.
    fn on_overstay(
        &self,
        watch: &mut Watch<'_>,
        is_sent: bool,
        ctx: &RequestContext,
        now: Timestamp,
    ) -> Next {
        let Some(attempt) = &watch.attempts[0] else { return Next::Wait };
        let plan = watch.plan;
        if !is_sent && self.is_another_left(plan, attempt, is_sent, ctx) {
            return watch.give_up(0, Symptom::Overstayed, is_sent);
        }
        let pool = attempt.backend.pool;
        let facts = HedgeFacts {
            idempotence: plan.idempotence,
            body: plan.replay,
            attempts_made: ctx.attempts,
            // Where everybody is suspected, asking another one as well only adds to the trouble.
            candidates: self.snapshot.load().pool(pool).trusted_candidates(&ctx.tried),
        };
        let is_whole = plan.body.is_some() && !plan.is_stream;
        let live = self.live.pool(pool);
        if is_whole
            && plan.pool.suspicion.hedge
            && retry::may_hedge(&facts, plan.retries, live, now)
        {
            return Next::Hedge;
        }
        Next::Wait
    }

    /// Begins a second attempt beside the first. Returns where.
    fn begin_hedge(&self, watch: &mut Watch<'_>, ctx: &mut RequestContext) -> Option<BackendId> {
        let pool = watch.attempts[0].as_ref()?.backend.pool;
        watch.is_hedged = true;
        let failure = ctx.failure;
        let attempt = self.begin_attempt(pool, ctx);
        // Without a second attempt the first is still under way: nothing has failed.
        ctx.failure = failure;
        let mut attempt = attempt?;
        attempt.strike = self.strike(attempt.backend);
        attempt.mark.hedges();
        self.live.pool(pool).retries.add(clock::now());
        self.metrics.hedged(pool);
        let id = attempt.backend;
        watch.attempts[1] = Some(attempt);
        watch.due = watch.limit();
        Some(id)
    }

    /// Tells whether an attempt's backend has been lost since the attempt began. (Where nothing is
    /// eligible and the pool fails open, attempts begin at backends that were lost before.)
    pub(crate) fn is_lost(&self, attempt: &Attempt) -> bool {
        attempt.epoch < self.snapshot.load().backend(attempt.backend).epoch
    }

    /// Tells whether an attempt's backend has been lost since it began, or a reload has removed it and
    /// its time is over.
    pub(crate) fn is_gone(&self, attempt: &Attempt) -> bool {
        self.is_lost(attempt) || self.alarms.is_over(attempt.backend)
    }

    /// Tells whether a request could be sent to a backend that it has not tried.
    pub(crate) fn is_another_left(
        &self,
        plan: &Plan<'_>,
        attempt: &Attempt,
        is_sent: bool,
        ctx: &RequestContext,
    ) -> bool {
        self.candidates(attempt.backend, ctx) == Candidates::Untried
            && plan.replay != retry::Body::Gone
            && (!is_sent || ctx.attempts < plan.retries.max_attempts.get())
    }

    /// Returns how long a wait at this backend may be before it is judged.
    fn patience(&self, plan: &Plan<'_>, id: BackendId, ctx: &RequestContext) -> Option<Duration> {
        // How long a call takes says nothing of its backend: many wait for what is yet to happen.
        if plan.is_stream || plan.is_call {
            return None;
        }
        let times = &self.live.backend(id).times;
        suspicion::patience(times, ctx.kind, &plan.pool.suspicion)
    }

    /// Returns how long a wait at this attempt's backend usually is at the longest.
    fn usual(&self, plan: &Plan<'_>, attempt: &Attempt, ctx: &RequestContext) -> Duration {
        let longest = self.live.backend(attempt.backend).times.longest(ctx.kind);
        longest.unwrap_or(plan.pool.suspicion.floor)
    }
}

impl<'a> Watch<'a> {
    fn new(plan: &'a Plan<'a>, attempt: Attempt, patience: Option<Duration>) -> Self {
        let limit = plan.limit(attempt.asked);
        let due = patience.map_or(limit, |patience| limit.min(attempt.asked + patience));
        let attempts = [Some(attempt), None];
        Self {
            plan,
            attempts,
            due,
            second_look: None,
            is_hedged: false,
            has_overstayed: false,
            outrun: None,
        }
    }

    /// Returns when time is to be looked at next.
    fn next_look(&self) -> Timestamp {
        self.second_look.unwrap_or(self.due)
    }

    /// Returns when the first of the attempts under way has taken too long.
    fn limit(&self) -> Timestamp {
        let limits = self.attempts.iter().flatten().map(|it| self.plan.limit(it.asked));
        limits.min().unwrap_or(self.plan.deadline)
    }

    /// Returns the progress of the first attempt.
    fn progress(&self, is_sent: bool) -> Progress {
        let progress = Progress::new(self.limit(), is_sent);
        if self.attempts[0].as_ref().is_some_and(|it| it.is_trial) {
            progress.want_leg();
        }
        progress
    }

    /// Returns what an attempt that begins needs: its fault, and its place in the trail.
    fn begun(&self, index: usize) -> (Option<Strike>, Mark) {
        let attempt = self.attempts[index].as_ref();
        attempt.map(|it| (it.strike, it.mark.clone())).unwrap_or_default()
    }

    /// Returns where the attempts under way are.
    fn backends(&self) -> [Option<BackendId>; 2] {
        self.attempts.each_ref().map(|it| it.as_ref().map(|it| it.backend))
    }

    /// Tells whether the timer is so late that this process must have been held up. Answers may lie
    /// unread, so everybody is given that much more time and some, within the request's.
    fn was_held_up(&mut self, now: Timestamp) -> bool {
        let late = now.since(self.due);
        let bearable = self.plan.retries.per_try_timeout / 4;
        let was_held_up = bearable < late;
        if was_held_up {
            for attempt in self.attempts.iter_mut().flatten() {
                attempt.asked = (attempt.asked + late + bearable).min(now);
            }
            self.due = now;
        }
        was_held_up
    }

    /// Has the attempt that is left looked at at once, now that it is alone again.
    fn look_again(&mut self) -> Next {
        self.is_hedged = false;
        self.due = clock::now();
        Next::Wait
    }

    /// Ends an attempt, so that the request can be sent elsewhere.
    fn give_up(&mut self, index: usize, symptom: Symptom, is_sent: bool) -> Next {
        let Some(attempt) = self.attempts[index].take() else { return Next::Wait };
        let delivery = if is_sent { Delivery::Possible } else { Delivery::Disproved };
        let remains = self.plan.remains(symptom, Connection::Fresh, delivery);
        Next::Over(Waited::Failed(attempt, remains))
    }
}

/// Says what an attempt leaves behind that has taken too long, because of this fault or of itself.
fn timed_out(plan: &Plan<'_>, strike: Option<Strike>, is_sent: bool) -> Remains {
    let (symptom, delivery) = if is_sent {
        (Symptom::ResponseTimedOut, Delivery::Possible)
    } else {
        (Symptom::ConnectTimedOut, Delivery::Disproved)
    };
    let symptom = strike.map_or(symptom, |strike| Symptom::Injected(strike.mode()));
    plan.remains(symptom, Connection::Fresh, delivery)
}

/// An alarm, if there is something to be heard of.
type Alarm<'a, 'b> = Pin<&'a mut Option<Notified<'b>>>;

fn instant(at: Timestamp) -> Instant {
    Instant::from_std(clock::instant_of(at))
}

/// Runs what there is, if there is something.
async fn run<F: Future>(mut future: Pin<&mut Option<F>>) -> F::Output {
    match future.as_mut().as_pin_mut() {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// Ends when either of two alarms goes off.
async fn either(first: Alarm<'_, '_>, second: Alarm<'_, '_>) {
    tokio::select! {
        () = run(first) => {}
        () = run(second) => {}
    }
}

/// Ends when the client has gone away. A client that is still sending is heard elsewhere.
async fn client_left(session: &mut ServerSession, plan: &Plan<'_>) -> Box<Error> {
    if plan.body.is_some()
        && let Err(error) = session.read_body_or_idle(true).await
    {
        return error.into_down();
    }
    std::future::pending().await
}
