//! What becomes of requests: an attempt engine in virtual time, by the rules of the real one.
//!
//! A request that may be repeated is given up at one backend after `per_try_timeout`, hedged when
//! it overstays, and saved when its backend is lost. One that must not be repeated waits until it
//! is answered or its time is over. Wherever the real engine judges, the real judge is asked.

use std::time::Duration;

use bascule::{
    clock::Timestamp,
    event::{Fate, Idempotence, Rescue, Symptom},
    retry::{Body, Connection, Cost, Delivery},
    snapshot::{Candidates, Kind},
    suspicion::Verdict,
};

use crate::{
    backends::{Meeting, Service},
    core::Plea,
    laws::Finished,
    script::OVER,
    world::{Happening, World},
};

/// A round trip, for what a connection meets at once.
const NEAR: Duration = Duration::from_micros(100);

/// One request of a client.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    began: Timestamp,
    deadline: Timestamp,
    idempotence: Idempotence,
    body: Body,
    tried: Vec<usize>,
    attempts: u32,
    /// Of those, the ones that reached nobody.
    unreached: u32,
    /// Attempts under way: two while it is hedged.
    running: Vec<u64>,
    back_offs: u32,
}

impl Request {
    fn plea(&self, now: Timestamp) -> Plea<'_> {
        Plea {
            idempotence: self.idempotence,
            body: self.body,
            attempts: self.attempts,
            tried: &self.tried,
            time_left: self.deadline.since(now),
        }
    }
}

/// One try of a request at one backend. It is kept until the backend is done with it, too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    request: u64,
    idempotence: Idempotence,
    backend: usize,
    kind: Kind,
    began: Timestamp,
    connection: Connection,
    part: Part,
    is_running: bool,
    is_trial: bool,
    /// Whether it goes on without its request, which another backend has answered.
    is_heard_out: bool,
    has_overstayed: bool,
}

/// Which of its request's attempts it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    First,
    Retry,
    Hedge,
}

impl World {
    pub(crate) fn arrive(&mut self) {
        self.begun += 1;
        let number = self.begun;
        let is_idempotent = self.service.f64() < self.load.idempotent;
        self.chronicle.requests += 1;
        self.core.arrived(self.now);
        self.laws.arrived(self.now);
        let request = Request {
            began: self.now,
            deadline: self.now + self.load.timeout,
            idempotence: if is_idempotent {
                Idempotence::Idempotent
            } else {
                Idempotence::NotIdempotent
            },
            body: if self.clients.f64() < self.load.long { Body::Gone } else { Body::Buffered },
            tried: Vec::new(),
            attempts: 0,
            unreached: 0,
            running: Vec::new(),
            back_offs: 0,
        };
        self.requests.insert(number, request);
        self.plan(self.load.timeout, Happening::Deadline(number));
        if self.clients.f64() < self.load.impatient {
            let after = Duration::from_micros(self.clients.u64(..400_000));
            self.plan(after, Happening::Leaves(number));
        }
        self.begin(number, Part::First);
    }

    /// Begins another attempt of a request that is not over.
    pub(crate) fn attempt(&mut self, number: u64) {
        if self.requests.contains_key(&number) {
            self.begin(number, Part::Retry);
        }
    }

    fn begin(&mut self, number: u64, part: Part) {
        let request = &self.requests[&number];
        let Some((index, is_trial)) = self.core.pick(request.plea(self.now), self.now) else {
            return self.finish(number, Fate::Lost);
        };
        let (pool, snapshot) = (self.core.pool(), self.core.snapshot());
        self.laws.picked(index, is_trial, &request.tried, pool, snapshot);
        let tier = pool.backends[index].tier;
        let is_spilled = snapshot.active_tier < Some(tier) && 0.0 < snapshot.part(tier);
        self.chronicle.spilled += u64::from(is_spilled);
        self.chronicle.hoped += u64::from(snapshot.is_failing_open);
        let is_reused = self.service.u8(..10) < 7;
        self.begun += 1;
        let id = self.begun;
        let attempt = Attempt {
            request: number,
            idempotence: request.idempotence,
            backend: index,
            kind: kind_of(request.idempotence),
            began: self.now,
            connection: if is_reused { Connection::Reused } else { Connection::Fresh },
            part,
            is_running: true,
            is_trial,
            is_heard_out: false,
            has_overstayed: false,
        };
        self.attempts.insert(id, attempt);
        if is_trial {
            self.laws.tried(index, id, self.now);
        }
        if let Some(request) = self.requests.get_mut(&number) {
            request.tried.push(index);
            request.attempts += 1;
            request.running.push(id);
            let reached = request.attempts - request.unreached;
            self.laws.attempted(reached, self.core.pool());
        }
        self.core.began(index);
        self.send(id, attempt);
    }

    /// Plans what comes of an attempt that has just begun.
    fn send(&mut self, id: u64, attempt: Attempt) {
        let pool = self.core.pool();
        let (connect, per_try) = (pool.timeouts.connect, pool.retries.per_try_timeout);
        let is_reused = attempt.connection == Connection::Reused;
        let is_once = attempt.idempotence == Idempotence::NotIdempotent;
        // Now and then an idle connection is closed just as it is reused, while things go wrong.
        let is_stale = is_reused
            && self.now < OVER
            && !self.is_quiet
            && if is_once {
                self.service.f64() < self.load.closed
            } else {
                self.service.u8(..100) == 0
            };
        let meeting = self.backends[attempt.backend].meet(&mut self.service);
        match meeting {
            Meeting::Accepted(_) if is_stale => {
                self.plan(NEAR, Happening::Fails(id, Symptom::ConnectionClosed));
            }
            Meeting::Accepted(after) => self.plan(after, Happening::Turn(id)),
            Meeting::Refused => {
                self.plan(NEAR, Happening::Fails(id, Symptom::ConnectionRefused));
            }
            // The kernel holds the connection: bytes go out and nothing comes back.
            Meeting::Void if is_reused => self.backends[attempt.backend].limbo.push(id),
            Meeting::Void => self.plan(connect, Happening::Fails(id, Symptom::ConnectTimedOut)),
        }
        if !is_once {
            self.plan(per_try, Happening::Late(id, self.now + per_try));
        }
        if let Some(patience) = self.core.patience(attempt.backend, attempt.kind) {
            self.plan(patience, Happening::Overstays(id, self.now + patience));
        }
    }

    /// A backend comes to a request, which it executes even when nobody waits for it any more.
    pub(crate) fn turn(&mut self, id: u64) {
        let Some(attempt) = self.attempts.get(&id).copied() else { return };
        let service = self.backends[attempt.backend].serve(&mut self.service);
        if service == Service::Waits {
            self.backends[attempt.backend].limbo.push(id);
            return;
        }
        self.execute(attempt);
        match service {
            Service::Waits => {}
            Service::Answers | Service::Cuts if attempt.is_heard_out => {
                _ = self.take_answer(id, attempt);
            }
            _ if !attempt.is_running && !attempt.is_heard_out => {}
            Service::Closes => self.fail(id, Symptom::ConnectionClosed),
            Service::Errs(status) => self.fail(id, Symptom::ErrorStatus(status)),
            // Held back, the client has seen nothing of it; or it was too long for that.
            Service::Cuts if self.service.bool() => self.fail(id, Symptom::ResponseCut),
            Service::Cuts => self.break_in_sight(id, attempt),
            Service::Answers => self.answer(id, attempt),
        }
        self.laws.ended(attempt.backend, id);
        self.attempts.remove(&id);
    }

    /// An attempt's time is over. Where this process was held up, an answer may lie unread.
    pub(crate) fn late(&mut self, id: u64, due: Timestamp) {
        let bearable = self.core.pool().retries.per_try_timeout / 4;
        if bearable < self.now.since(due) {
            self.plan(bearable, Happening::Late(id, self.now + bearable));
        } else {
            self.fail(id, Symptom::ResponseTimedOut);
        }
    }

    /// An attempt fails that never reached its backend.
    pub(crate) fn miss(&mut self, id: u64, symptom: Symptom) {
        self.fail(id, symptom);
        self.attempts.remove(&id);
    }

    fn is_executed(&self, request: u64) -> bool {
        self.executions.contains_key(&request)
    }

    fn execute(&mut self, attempt: Attempt) {
        let times = self.executions.entry(attempt.request).or_default();
        *times += 1;
        self.laws.executed(attempt.request, attempt.idempotence, *times);
    }

    fn answer(&mut self, id: u64, attempt: Attempt) {
        self.take_answer(id, attempt);
        let fate = match attempt.part {
            Part::First => Fate::Served,
            Part::Retry => Fate::Rescued(Rescue::Retry),
            Part::Hedge => Fate::Rescued(Rescue::Hedge),
        };
        self.finish(attempt.request, fate);
    }

    /// A response breaks off of which the client has seen the beginning.
    fn break_in_sight(&mut self, id: u64, attempt: Attempt) {
        let run = self.take_answer(id, attempt);
        self.core.cut(attempt.backend, run, self.now);
        self.finish(attempt.request, Fate::Lost);
    }

    /// Takes in that a response has begun. Returns the run of failures that this ended.
    fn take_answer(&mut self, id: u64, attempt: Attempt) -> u32 {
        self.stop(id);
        let took = self.now.since(attempt.began);
        self.laws.spoke(attempt.backend);
        let told = (attempt.kind, attempt.is_trial);
        self.core.answered(attempt.backend, told, took, self.now)
    }

    /// An attempt fails; another may follow.
    pub(crate) fn fail(&mut self, id: u64, symptom: Symptom) {
        let is_watched = |it: &Attempt| it.is_running || it.is_heard_out;
        let Some(attempt) = self.attempts.get(&id).copied().filter(is_watched) else {
            return;
        };
        self.stop(id);
        let waited = self.now.since(attempt.began);
        if attempt.is_heard_out {
            self.core.failed(attempt.backend, symptom, waited, self.now);
            return;
        }
        if let Some(request) = self.requests.get_mut(&attempt.request) {
            request.unreached += u32::from(symptom.is_before_request());
        }
        let request = &self.requests[&attempt.request];
        if !request.running.is_empty() {
            self.core.failed(attempt.backend, symptom, waited, self.now);
            return;
        }
        let plea = request.plea(self.now);
        let is_closed = symptom == Symptom::ConnectionClosed;
        // Sometimes the kernel can prove that nothing of the request was received.
        let is_proven = is_closed && !self.is_executed(attempt.request) && self.service.bool();
        let delivery = if is_proven || symptom.is_before_request() {
            Delivery::Disproved
        } else {
            Delivery::Possible
        };
        let reason = (attempt.connection, delivery);
        let decision = self.core.decide(plea, symptom, reason, self.now);
        // The end of an idle connection says nothing of the backend, unless it cost a request.
        let is_stale = symptom == Symptom::ConnectionClosed
            && attempt.connection == Connection::Reused
            && decision.is_ok();
        if !is_stale {
            self.core.failed(attempt.backend, symptom, waited, self.now);
        }
        match decision {
            Ok(cost) => self.repeat(attempt.request, cost),
            Err(_) => self.finish(attempt.request, Fate::Lost),
        }
    }

    /// Makes the attempt that was decided on: at once elsewhere, after a while where it was tried.
    fn repeat(&mut self, number: u64, cost: Cost) {
        self.chronicle.retries += 1;
        self.laws.repeated(cost, self.core.pool(), self.now);
        let Some(request) = self.requests.get_mut(&number) else { return };
        match self.core.candidates(request.plea(self.now)) {
            Candidates::Untried | Candidates::Nobody => self.begin(number, Part::Retry),
            Candidates::TriedOnly => {
                let wait = self.core.pool().retries.backoff * (1 << request.back_offs.min(6));
                request.back_offs += 1;
                self.plan(wait, Happening::Again(number));
            }
        }
    }

    /// An attempt has waited for long. That is a sign, once, if it is out of line.
    pub(crate) fn overstay(&mut self, id: u64, due: Timestamp) {
        let Some(attempt) = self.attempts.get(&id).copied().filter(|it| it.is_running) else {
            return;
        };
        if attempt.part == Part::Hedge || attempt.has_overstayed {
            return;
        }
        let Attempt { backend, kind, began, .. } = attempt;
        match self.core.judge(backend, kind, (began, due), self.now) {
            Some(Verdict::Overstayed) => {
                if let Some(attempt) = self.attempts.get_mut(&id) {
                    attempt.has_overstayed = true;
                }
                self.core.overstayed(backend, self.now.since(began), self.now);
                self.hedge(attempt);
            }
            Some(Verdict::WaitUntil(at)) => {
                self.plan(at.since(self.now), Happening::Overstays(id, at));
            }
            None => {}
        }
    }

    /// A backend is suspected: who has waited there for longer than usual has a reason to act.
    pub(crate) fn alarm(&mut self, index: usize) {
        for (id, attempt) in self.running_at(index) {
            let usual = attempt.began + self.core.usual(index, attempt.kind);
            self.plan(usual.since(self.now), Happening::Looks(id));
        }
    }

    /// An attempt's backend was suspected a while ago.
    pub(crate) fn look(&mut self, id: u64) {
        if let Some(attempt) = self.attempts.get(&id).copied().filter(|it| it.is_running) {
            self.hedge(attempt);
        }
    }

    fn hedge(&mut self, attempt: Attempt) {
        let Some(request) = self.requests.get(&attempt.request) else { return };
        if request.running.len() == 1
            && self.core.is_suspected(attempt.backend)
            && self.core.may_hedge(request.plea(self.now), self.now)
        {
            self.chronicle.hedges += 1;
            self.laws.repeated(Cost::Budget, self.core.pool(), self.now);
            self.begin(attempt.request, Part::Hedge);
        }
    }

    /// A client goes away.
    pub(crate) fn leave(&mut self, number: u64) {
        self.finish(number, Fate::Abandoned);
    }

    /// Saves whom a lost backend keeps waiting, if they may be repeated.
    pub(crate) fn rescue(&mut self, index: usize) {
        for (id, attempt) in self.running_at(index) {
            let Some(request) = self.requests.get(&attempt.request) else { continue };
            if attempt.idempotence == Idempotence::NotIdempotent || 1 < request.running.len() {
                continue;
            }
            let plea = request.plea(self.now);
            let reason = (attempt.connection, Delivery::Possible);
            let decision = self.core.decide(plea, Symptom::BackendLost, reason, self.now);
            if let Ok(cost) = decision {
                self.stop(id);
                self.repeat(attempt.request, cost);
            }
        }
    }

    /// A process ends: whatever it was doing breaks off, executed or not.
    pub(crate) fn break_off(&mut self, index: usize) {
        let heard_out = |it: &Attempt| it.is_heard_out && it.backend == index;
        let trials: Vec<u64> =
            self.attempts.iter().filter(|(_, it)| heard_out(it)).map(|(&id, _)| id).collect();
        for id in trials {
            self.fail(id, Symptom::ConnectionClosed);
        }
        for (id, attempt) in self.running_at(index) {
            if self.service.bool() {
                self.execute(attempt);
            }
            self.fail(id, Symptom::ConnectionClosed);
        }
        self.attempts.retain(|_, it| it.is_running || it.backend != index);
    }

    /// A request's time is over.
    pub(crate) fn run_out(&mut self, number: u64) {
        let Some(request) = self.requests.get(&number) else { return };
        if request.running.is_empty() {
            return self.finish(number, Fate::Lost);
        }
        for id in request.running.clone() {
            self.fail(id, Symptom::ResponseTimedOut);
        }
    }

    fn running_at(&self, index: usize) -> Vec<(u64, Attempt)> {
        let at = |it: &Attempt| it.is_running && it.backend == index;
        self.attempts.iter().filter(|(_, it)| at(it)).map(|(&id, &it)| (id, it)).collect()
    }

    /// Ends the wait for an attempt; its backend may not know.
    fn stop(&mut self, id: u64) {
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        if !attempt.is_running && !attempt.is_heard_out {
            return;
        }
        (attempt.is_running, attempt.is_heard_out) = (false, false);
        self.laws.ended(attempt.backend, id);
        self.core.ended(attempt.backend);
        if let Some(request) = self.requests.get_mut(&attempt.request) {
            request.running.retain(|&it| it != id);
        }
    }

    fn finish(&mut self, number: u64, fate: Fate) {
        let running = self.requests.get(&number).map(|it| it.running.clone()).unwrap_or_default();
        for id in running {
            match self.attempts.get_mut(&id) {
                // A trial is heard out though another backend was faster.
                Some(trial) if trial.is_trial && fate == Fate::Rescued(Rescue::Hedge) => {
                    (trial.is_running, trial.is_heard_out) = (false, true);
                    self.chronicle.heard_out += 1;
                }
                Some(_) | None => self.stop(id),
            }
        }
        let Some(request) = self.requests.remove(&number) else { return };
        let took = self.now.since(request.began);
        self.chronicle.lost += u64::from(fate == Fate::Lost);
        self.core.finished(fate, took, request.attempts, self.now);
        self.finished.push(Finished { at: self.now, fate, attempts: request.attempts });
        self.note(|| format!("request {number} {fate:?} tried {:?} in {took:?}", request.tried));
    }
}

fn kind_of(idempotence: Idempotence) -> Kind {
    let method = match idempotence {
        Idempotence::Idempotent => "GET",
        Idempotence::NotIdempotent => "POST",
    };
    Kind::of(0, method, "/")
}
