//! The core under test, called as the shells call it. Nothing else here calls it.

use std::{collections::VecDeque, sync::atomic::Ordering::Relaxed, time::Duration};

use bascule::{
    balance::{self, Request},
    clock::Timestamp,
    event::{Event, Fate, Idempotence, Symptom},
    fleet::{Fleet, Input, Output, Pace},
    incident::{Book, Incident},
    model::{BackendId, Pool, PoolId, SharedTopology},
    retry::{
        self, Body, Connection, Cost, Decision, Delivery, Facts, HedgeFacts, Reason, Response,
    },
    snapshot::{BackendLive, Candidates, Condition, Live, PoolLive, PoolSnapshot, Snapshot},
};
use fastrand::Rng;

const POOL: PoolId = PoolId(0);

/// The core of one world.
pub(crate) struct Core {
    topology: SharedTopology,
    live: Live,
    snapshot: Snapshot,
    fleet: Fleet,
    book: Book,
    random: Rng,
    said: VecDeque<Said>,
}

/// What the core said that others act on.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Event(Event),
    Pace(usize, Pace),
}

/// A request, as far as decisions need it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plea<'a> {
    pub(crate) idempotence: Idempotence,
    pub(crate) attempts: u32,
    pub(crate) tried: &'a [usize],
    pub(crate) time_left: Duration,
}

impl Core {
    pub(crate) fn new(topology: SharedTopology, random: Rng) -> Self {
        let live = Live::new(&topology);
        let fleet = Fleet::new(topology.clone(), Timestamp::ZERO);
        let book = Book::new(topology.clone());
        let snapshot = fleet.snapshot();
        Self { topology, live, snapshot, fleet, book, random, said: VecDeque::new() }
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

    /// Keeps the timeline clear ahead, as `control` does now and then.
    pub(crate) fn keep_house(&self, now: Timestamp) {
        self.pool_live().timeline.clear_ahead(now);
    }

    pub(crate) fn measured(
        &mut self,
        index: usize,
        median: Duration,
        answers: u64,
        now: Timestamp,
    ) {
        self.tell(Input::Measured { backend: id(index), median, answers }, now);
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
        let live = self.live.pool(POOL);
        let trials = || live.backends.iter().map(|it| it.trial_from.load(Relaxed));
        let before: Vec<u64> = trials().collect();
        let pick = balance::pick(
            self.topology.pool(POOL),
            self.snapshot.pool(POOL),
            live,
            Request { tried: plea.tried, idempotence: plea.idempotence, hash: None, home: None },
            &mut self.random,
            now,
        )
        .ok()?;
        let is_trial = trials().nth(pick.index) != before.get(pick.index).copied();
        Some((pick.index, is_trial))
    }

    pub(crate) fn began(&self, index: usize) {
        self.backend_live(index).in_flight.fetch_add(1, Relaxed);
    }

    /// Notes that an attempt is over, however it ended.
    pub(crate) fn ended(&self, index: usize) {
        self.backend_live(index).in_flight.fetch_sub(1, Relaxed);
    }

    /// Reports an answer. Returns the run of failures that it ended.
    pub(crate) fn answered(&mut self, index: usize, took: Duration, now: Timestamp) -> u32 {
        let run = self.backend_live(index).failure_run.load(Relaxed);
        self.pool_live().timeline.record_answer(now, index);
        if self.backend_live(index).succeeded(now) {
            self.tell(Input::AttemptSucceeded { backend: id(index), took }, now);
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
        self.tell(Input::Overstayed { backend, symptom, waited, at: now }, now);
    }

    /// Decides whether another attempt follows the one that ended with `symptom`, and pays for it.
    pub(crate) fn decide(
        &mut self,
        plea: Plea<'_>,
        symptom: Symptom,
        connection: Connection,
        now: Timestamp,
    ) -> Result<Cost, Reason> {
        let facts = Facts {
            symptom,
            idempotence: plea.idempotence,
            response: Response::NotStarted,
            body: Body::Buffered,
            connection,
            delivery: Delivery::Possible,
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
            body: Body::Buffered,
            attempts_made: plea.attempts,
            candidates: self.candidates(plea),
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
        self.tell(Input::AttemptFailed { backend, symptom, waited, run, recent, at: now }, now);
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
