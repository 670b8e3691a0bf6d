//! The core under test, called as the shells call it. Nothing else here calls it.

use std::{collections::VecDeque, sync::atomic::Ordering::Relaxed, time::Duration};

use bascule::{
    balance::{self, Request},
    clock::Timestamp,
    event::{Event, Fate, FaultMode, Idempotence, Symptom},
    fleet::{Expectation, Fleet, Input, Order, Output, Pace, Target},
    incident::{Book, Incident},
    model::{BackendId, Pool, PoolId, SharedTopology},
    retry::{
        self, Body, Connection, Cost, Decision, Delivery, Facts, HedgeFacts, Reason, Response,
    },
    snapshot::{BackendLive, Candidates, Condition, Kind, Live, PoolLive, PoolSnapshot, Snapshot},
    suspicion::{self, Verdict},
};
use fastrand::Rng;

use crate::mail::{Carried, Mail};

const POOL: PoolId = PoolId(0);

/// The core of one world.
pub(crate) struct Core {
    topology: SharedTopology,
    live: Live,
    snapshot: Snapshot,
    fleet: Fleet,
    book: Book,
    random: Rng,
    /// What becomes of facts on their way.
    mail: Mail,
    said: VecDeque<Said>,
}

/// What the core said that others act on.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Event(Event),
    Pace(usize, Pace),
    /// A fact arrives, after this long.
    Later(Duration, Input),
}

/// A request, as far as decisions need it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plea<'a> {
    pub(crate) idempotence: Idempotence,
    pub(crate) body: Body,
    pub(crate) attempts: u32,
    pub(crate) tried: &'a [usize],
    pub(crate) time_left: Duration,
}

impl Core {
    pub(crate) fn new(topology: SharedTopology, random: Rng, mail: Mail) -> Self {
        let live = Live::new(&topology);
        let fleet = Fleet::new(topology.clone(), Timestamp::ZERO);
        let book = Book::new(topology.clone());
        let snapshot = fleet.snapshot();
        Self { topology, live, snapshot, fleet, book, random, mail, said: VecDeque::new() }
    }

    pub(crate) fn pool(&self) -> &Pool {
        self.topology.pool(POOL)
    }

    pub(crate) fn snapshot(&self) -> &PoolSnapshot {
        self.snapshot.pool(POOL)
    }

    pub(crate) fn is_suspected(&self, index: usize) -> bool {
        self.snapshot().backends[index].condition == Condition::Suspected
    }

    pub(crate) fn poll(&mut self) -> Option<Said> {
        self.said.pop_front()
    }

    pub(crate) fn incidents(&self) -> Vec<std::sync::Arc<Incident>> {
        self.book.incidents()
    }

    /// Returns when [`Core::pass`] must be called next.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.fleet.next_deadline().into_iter().chain(self.book.next_deadline()).min()
    }

    /// Acts on every deadline up to `now`.
    pub(crate) fn pass(&mut self, now: Timestamp) {
        if self.fleet.next_deadline().is_some_and(|at| at <= now) {
            self.fleet.handle_deadline(now);
            self.perform(now);
        }
        if self.book.next_deadline().is_some_and(|at| at <= now) {
            self.book.handle_deadline(&self.live, now);
        }
    }

    /// Keeps the timeline clear ahead and learns how long answers take, as `control` does.
    pub(crate) fn keep_house(&mut self, now: Timestamp) {
        self.pool_live().timeline.clear_ahead(now);
        for index in 0..self.pool().backends.len() {
            let times = &self.backend_live(index).times;
            times.digest();
            if let Some(measure) = times.measure(now) {
                self.tell(Input::Measured { backend: id(index), measure }, now);
            }
        }
    }

    /// Takes in a fact that was on its way for a while.
    pub(crate) fn arrives(&mut self, input: Input, now: Timestamp) {
        self.tell(input, now);
    }

    /// An operator asks for traffic to return.
    pub(crate) fn fail_back(&mut self, now: Timestamp) {
        self.tell(Input::FailbackRequested { pool: POOL }, now);
    }

    /// An operator gives an order. Tells whether it was carried out.
    pub(crate) fn give(&mut self, target: Target, now: Timestamp) -> bool {
        let pool = self.pool().name.clone();
        let order = Order { pool, target, expected: Expectation::default(), is_forced: false };
        let is_done = self.fleet.order(&order, now).is_ok();
        self.perform(now);
        is_done
    }

    /// An operator asks for a failure; whether it comes about is another matter.
    pub(crate) fn request_fault(&mut self, index: usize, comes_about: bool, now: Timestamp) {
        let backend = id(index);
        self.tell(Input::FaultRequested { backend, mode: FaultMode::Crash }, now);
        if !comes_about {
            self.tell(Input::FaultWithdrawn { backend }, now);
        }
    }

    /// Returns how long a request of this kind may wait at a backend before that is judged.
    pub(crate) fn patience(&self, index: usize, kind: Kind) -> Option<Duration> {
        suspicion::patience(&self.backend_live(index).times, kind, &self.pool().suspicion)
    }

    /// Returns how long one usually waits there at the longest.
    pub(crate) fn usual(&self, index: usize, kind: Kind) -> Duration {
        self.backend_live(index).times.longest(kind).unwrap_or(self.pool().suspicion.floor)
    }

    /// Judges a wait that began at `began` and was to be judged at `due`.
    pub(crate) fn judge(
        &self,
        index: usize,
        kind: Kind,
        (began, due): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Option<Verdict> {
        let patience = self.patience(index, kind)?;
        let last_answer = self.backend_live(index).times.last_answer();
        Some(suspicion::judge(began, due, patience, last_answer, now))
    }

    pub(crate) fn checked(
        &mut self,
        index: usize,
        failure: Option<Symptom>,
        took: Duration,
        now: Timestamp,
    ) {
        if failure.is_none() {
            self.book.check_passed(id(index), now.minus(took));
        }
        let recent = self.backend_live(index).just_now(now);
        self.tell(Input::Checked { backend: id(index), failure, took, recent }, now);
    }

    /// Counts a request that has arrived.
    pub(crate) fn arrived(&self, now: Timestamp) {
        self.pool_live().requests.add(now);
    }

    /// Counts a request that is over.
    pub(crate) fn finished(&self, fate: Fate, took: Duration, attempts: u32, now: Timestamp) {
        self.pool_live().timeline.record(now, took, fate, attempts);
    }

    /// Picks whom the next attempt of a request goes to. Tells also whether that is a trial.
    pub(crate) fn pick(&mut self, plea: Plea<'_>, now: Timestamp) -> Option<(usize, bool)> {
        let pick = balance::pick(
            self.topology.pool(POOL),
            self.snapshot.pool(POOL),
            self.live.pool(POOL),
            Request { tried: plea.tried, idempotence: plea.idempotence, hash: None, home: None },
            &mut self.random,
            now,
        )
        .ok()?;
        if pick.is_trial {
            self.send(Input::TrialTaken { backend: id(pick.index), at: now }, now);
        }
        Some((pick.index, pick.is_trial))
    }

    pub(crate) fn began(&self, index: usize) {
        self.backend_live(index).in_flight.fetch_add(1, Relaxed);
    }

    /// Notes that an attempt is over, however it ended.
    pub(crate) fn ended(&self, index: usize) {
        self.backend_live(index).in_flight.fetch_sub(1, Relaxed);
    }

    /// Reports an answer. Returns the run of failures that it ended.
    pub(crate) fn answered(
        &mut self,
        index: usize,
        (kind, is_trial): (Kind, bool),
        took: Duration,
        now: Timestamp,
    ) -> u32 {
        let times = &self.backend_live(index).times;
        times.answered(now);
        if self.snapshot().backends[index].condition.is_eligible() {
            if is_trial && suspicion::is_disproof(times, kind, took, &self.pool().suspicion) {
                times.forget();
            }
            times.learn(kind, took, now);
        }
        let run = self.backend_live(index).failure_run.load(Relaxed);
        self.pool_live().timeline.record_answer(now, index);
        if self.backend_live(index).succeeded(now) {
            self.send(Input::AttemptSucceeded { backend: id(index), took }, now);
        }
        run
    }

    /// Reports a failed attempt.
    pub(crate) fn failed(
        &mut self,
        index: usize,
        symptom: Symptom,
        waited: Duration,
        now: Timestamp,
    ) {
        let run = self.backend_live(index).failed(now);
        self.tell_failed(index, symptom, waited, run, now);
    }

    /// Reports that a response broke off whose head had ended `run` failures.
    pub(crate) fn cut(&mut self, index: usize, run: u32, now: Timestamp) {
        let live = self.backend_live(index);
        live.failures.fetch_add(1, Relaxed);
        live.recent_failures.add(now);
        let run = live.failure_run.fetch_add(run + 1, Relaxed) + run + 1;
        self.tell_failed(index, Symptom::ResponseCut, Duration::ZERO, run, now);
    }

    pub(crate) fn overstayed(&mut self, index: usize, waited: Duration, now: Timestamp) {
        let (backend, symptom) = (id(index), Symptom::Overstayed);
        self.send(Input::Overstayed { backend, symptom, waited, at: now }, now);
    }

    /// Decides whether another attempt follows the one that ended with `symptom`, and pays for it.
    pub(crate) fn decide(
        &mut self,
        plea: Plea<'_>,
        symptom: Symptom,
        (connection, delivery): (Connection, Delivery),
        now: Timestamp,
    ) -> Result<Cost, Reason> {
        let facts = Facts {
            symptom,
            idempotence: plea.idempotence,
            response: Response::NotStarted,
            body: plea.body,
            connection,
            delivery,
            attempts_made: plea.attempts,
            candidates: self.candidates(plea),
            time_left: plea.time_left,
        };
        match retry::decide(&facts, &self.pool().retries, self.pool_live(), now) {
            Decision::Retry(cost) => {
                if cost == Cost::Budget {
                    self.pool_live().retries.add(now);
                }
                Ok(cost)
            }
            Decision::GiveUp(reason) => Err(reason),
        }
    }

    /// Decides whether a request that overstays is sent to a second backend, too, and pays for it.
    pub(crate) fn may_hedge(&self, plea: Plea<'_>, now: Timestamp) -> bool {
        let pool = self.pool();
        let facts = HedgeFacts {
            idempotence: plea.idempotence,
            body: plea.body,
            attempts_made: plea.attempts,
            candidates: self.snapshot().trusted_candidates(plea.tried),
        };
        let may =
            pool.suspicion.hedge && retry::may_hedge(&facts, &pool.retries, self.pool_live(), now);
        if may {
            self.pool_live().retries.add(now);
        }
        may
    }

    /// Tells whether only backends are left that this request has tried.
    pub(crate) fn candidates(&self, plea: Plea<'_>) -> Candidates {
        self.snapshot().candidates(plea.tried)
    }

    fn tell_failed(
        &mut self,
        index: usize,
        symptom: Symptom,
        waited: Duration,
        run: u32,
        now: Timestamp,
    ) {
        let recent = self.backend_live(index).recent(now);
        let backend = id(index);
        self.send(Input::AttemptFailed { backend, symptom, waited, run, recent, at: now }, now);
    }

    /// Sends a fact the way that requests do: by a queue that may be full, and is read in turn.
    fn send(&mut self, input: Input, now: Timestamp) {
        match self.mail.carry(&input) {
            Carried::AtOnce => self.tell(input, now),
            Carried::Later(after) => self.said.push_back(Said::Later(after, input)),
            Carried::Never => {}
        }
    }

    fn tell(&mut self, input: Input, now: Timestamp) {
        self.fleet.handle(input, now);
        self.perform(now);
    }

    fn perform(&mut self, now: Timestamp) {
        self.snapshot = self.fleet.snapshot();
        while let Some(output) = self.fleet.poll_output() {
            match output {
                Output::Event(event) => {
                    if let Event::BackendRegained { backend } = event {
                        self.live.backend(backend).regained();
                    }
                    self.book.handle(&event, &self.live, now);
                    self.said.push_back(Said::Event(event));
                }
                Output::Pace(id, pace) => self.said.push_back(Said::Pace(id.index, pace)),
                Output::Watch(id, is_watched) => {
                    self.backend_live(id.index).is_watched.store(is_watched, Relaxed);
                }
                Output::Trial(id) => {
                    let from = now.as_millis().max(1);
                    self.backend_live(id.index).trial_from.store(from, Relaxed);
                }
                Output::TrialOver(id) => {
                    self.backend_live(id.index).trial_from.store(0, Relaxed);
                }
            }
        }
        while self.book.poll_entry().is_some() {}
    }

    fn pool_live(&self) -> &PoolLive {
        self.live.pool(POOL)
    }

    fn backend_live(&self, index: usize) -> &BackendLive {
        self.live.backend(id(index))
    }
}

fn id(index: usize) -> BackendId {
    BackendId { pool: POOL, index }
}
