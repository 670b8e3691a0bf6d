//! Control: the one task that owns the fleet.
//!
//! Facts come in through one bounded queue, decisions go out: a snapshot for requests, events for
//! the log, the metrics and the incidents, a pace for every checker. It runs on a thread of its
//! own, so that neither a flood of requests nor one of readers delays it.

mod check;
mod checker;
mod checkers;
mod journal;
mod predecessors;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::sleep_until,
};

use crate::{
    alarms::Farewell,
    clock::{self, Timestamp},
    control::{
        checkers::Checkers,
        journal::{log_entry, log_event, log_fault_end},
        predecessors::Predecessors,
    },
    event::Event,
    exchange::Generation,
    fleet::{Fleet, FleetRecord, Input, Output},
    inbox::Fact,
    incident::{Book, Entry, Incident, News},
    model::{PoolId, Succession},
    orders::Placed,
    pulse::Pulse,
    telemetry::metrics::{FailoverReason, Marked, Trigger},
};

/// Facts that may wait for the fleet. At 20,000 failures a second it takes them all for 50 ms;
/// beyond that more of the same teaches nothing.
pub const INBOX: usize = 1024;

/// How often gauges are renewed and the timelines cleared ahead.
const HOUSEKEEPING: Duration = Duration::from_millis(500);

/// How often at most the view changes for what no event tells of: the latest checks, the steps of a ramp.
/// With thousands of backends a check ends at any moment, and each view is of all of them.
const LATEST: Duration = Duration::from_millis(50);

/// How long series stay of what is configured no more, at least; at most twice as long. A last scrape
/// shall find how it ended, and the slowest usual scrape comes once a minute.
const SERIES_STAY: Duration = Duration::from_secs(150);

/// Where incidents are read, oldest first.
pub type IncidentCell = Arc<ArcSwap<Vec<Arc<Incident>>>>;

/// A generation that the fleet is to take over.
#[derive(Debug)]
pub struct Adoption {
    /// Which one. Its snapshot is empty until then.
    pub generation: Arc<Generation>,
    /// Told when it has been.
    pub done: oneshot::Sender<()>,
}

/// Owns the fleet and the book of incidents.
#[derive(Debug)]
pub struct Control {
    current: Arc<Generation>,
    earlier: Predecessors,
    incidents: IncidentCell,
    fleet: Fleet,
    book: Book,
    checkers: Checkers,
    housekept: Timestamp,
    /// When requests and operators were last shown what the fleet knows.
    shown: Timestamp,
    /// Whether anything has happened since of which no event tells.
    is_outdated: bool,
    /// When series of what is configured no more are to go, and which of them were so at the last look.
    sweep: Option<(Timestamp, Marked)>,
    pulse: Arc<Pulse>,
    /// Who wants to know what the fleet knows.
    questions: mpsc::Receiver<Question>,
    numbers: watch::Receiver<Numbers>,
}

/// The highest number that an incident of each pool has had, by the pool's name.
pub type Numbers = BTreeMap<String, u64>;

/// Asks for what the fleet knows; the answer goes there.
pub type Question = oneshot::Sender<FleetRecord>;

impl Control {
    /// Makes the fleet of the first generation. Nothing happens before [`Control::run`].
    pub fn new(first: Arc<Generation>, incidents: IncidentCell) -> Self {
        let now = clock::now();
        let fleet = Fleet::new(Arc::clone(&first.topology), now);
        first.snapshot.store(Arc::new(fleet.snapshot()));
        let book = Book::new(Arc::clone(&first.topology));
        Self {
            current: first,
            earlier: Predecessors::default(),
            incidents,
            fleet,
            book,
            checkers: Checkers::default(),
            housekept: now,
            shown: now,
            is_outdated: false,
            sweep: None,
            pulse: Arc::default(),
            questions: mpsc::channel(1).1,
            numbers: watch::channel(Numbers::new()).1,
        }
    }

    /// Gives a sign of life to `pulse` at least every half second.
    #[must_use]
    pub fn with_pulse(self, pulse: Arc<Pulse>) -> Self {
        Self { pulse, ..self }
    }

    /// Numbers incidents on from these.
    #[must_use]
    pub fn numbering_from(mut self, numbers: Numbers) -> Self {
        self.book.number_from(numbers);
        self
    }

    /// Numbers incidents on from these, whenever they change: not all may be known at the start.
    #[must_use]
    pub fn numbering_on(mut self, mut numbers: watch::Receiver<Numbers>) -> Self {
        self.book.number_from(numbers.borrow_and_update().clone());
        Self { numbers, ..self }
    }

    /// Answers `questions`.
    #[must_use]
    pub fn with_questions(self, questions: mpsc::Receiver<Question>) -> Self {
        Self { questions, ..self }
    }

    /// Goes on from what the fleet of another process knew.
    pub fn inherit(&mut self, record: &FleetRecord) {
        let now = clock::now();
        self.fleet.inherit(record, now);
        let has_changed = self.perform(now);
        self.publish(has_changed);
        self.show_latest();
    }

    /// Starts the checkers and drives the fleet for as long as the process runs.
    pub async fn run(
        mut self,
        mut facts: mpsc::Receiver<Fact>,
        mut adoptions: mpsc::Receiver<Adoption>,
        mut orders: mpsc::Receiver<Placed>,
    ) {
        self.checkers.assign(&self.current, &Succession::default());
        loop {
            let deadline = self.next_deadline();
            tokio::select! {
                biased;
                Some(adoption) = adoptions.recv() => self.adopt(adoption, &mut facts),
                // First: orders are few, and an operator waits.
                Some(placed) = orders.recv() => self.carry_out(placed),
                fact = facts.recv() => match fact {
                    Some(fact) => self.take_in(fact, &mut facts),
                    None => return,
                },
                Some(question) = self.questions.recv() => {
                    // Whoever asked may have gone away.
                    _ = question.send(self.fleet.record(clock::now()));
                }
                Ok(()) = self.numbers.changed() => {
                    self.book.number_from(self.numbers.borrow_and_update().clone());
                }
                () = sleep_until(clock::instant_of(deadline).into()) => {}
            }
            self.pass_time();
        }
    }

    /// Takes over another generation: what is known of the backends that go on there is kept, and the
    /// others are checked from now on.
    fn adopt(&mut self, adoption: Adoption, facts: &mut mpsc::Receiver<Fact>) {
        // What has been said so far is said of what was configured so far.
        if let Ok(fact) = facts.try_recv() {
            self.take_in(fact, facts);
        }
        let now = clock::now();
        let next = adoption.generation;
        let before = std::mem::replace(&mut self.current, Arc::clone(&next));
        self.fleet.adopt(Arc::clone(&next.topology), now);
        let snapshot = self.fleet.snapshot();
        let active = snapshot.pools.iter().map(|it| it.active_tier).collect();
        self.book.adopt(Arc::clone(&next.topology), active);
        next.snapshot.store(Arc::new(snapshot));
        self.earlier.push(&before, &next.topology);
        self.earlier.part(&before, &next.topology, now);
        self.checkers.assign(&next, &Succession::between(&before.topology, &next.topology));
        self.record_entries();
        self.perform(now);
        self.publish(true);
        // Not put off if one is due already: who reloads all the time has some swept all the time.
        self.sweep.get_or_insert_with(|| (now + SERIES_STAY, Marked::default()));
        // Whoever asked may have given up waiting.
        _ = adoption.done.send(());
    }

    /// Takes in a fact, and those that wait behind it, then publishes what follows from them. No
    /// more than a full queue, however fast it fills: time passes, too.
    fn take_in(&mut self, first: Fact, facts: &mut mpsc::Receiver<Fact>) {
        let mut has_changed = self.learn(first);
        for _ in 1..INBOX {
            let Ok(fact) = facts.try_recv() else { break };
            has_changed |= self.learn(fact);
        }
        self.publish(has_changed);
    }

    /// Carries out an order, publishes what follows from it, then answers.
    fn carry_out(&mut self, placed: Placed) {
        let now = clock::now();
        let answer = self.fleet.order(&placed.order, now);
        let has_changed = self.perform(now);
        self.publish(has_changed);
        self.show_latest();
        // Who does not wait any more finds it done all the same.
        _ = placed.reply.send(answer);
    }

    /// Takes in one fact. Returns whether anything but the latest check changed.
    fn learn(&mut self, fact: Fact) -> bool {
        let now = clock::now();
        let input = if fact.generation == self.current.number {
            Some(fact.input)
        } else {
            self.earlier.translate(fact)
        };
        // Of what is configured no more nothing need be known.
        let Some(input) = input else { return false };
        if let Input::Checked { backend, failure, took, recent: _ } = input {
            self.current.metrics.health_check(backend, failure, took);
            if failure.is_none() {
                self.book.check_passed(backend, now.minus(took));
            }
        }
        self.fleet.handle(input, now);
        self.perform(now)
    }

    /// Acts on every deadline that has passed.
    fn pass_time(&mut self) {
        let now = clock::now();
        if self.fleet.next_deadline().is_some_and(|at| at <= now) {
            self.fleet.handle_deadline(now);
            let has_changed = self.perform(now);
            self.publish(has_changed);
        }
        if self.book.next_deadline().is_some_and(|at| at <= now) {
            self.book.handle_deadline(&self.current.live, now);
            self.record_entries();
            self.publish_incidents();
        }
        if self.earlier.next_deadline().is_some_and(|at| at <= now) {
            self.earlier.end_the_overdue(now);
        }
        if HOUSEKEEPING <= now.since(self.housekept) {
            self.housekept = now;
            self.pulse.beat(now);
            for pool in &self.current.live.pools {
                pool.timeline.clear_ahead(now);
            }
            self.tidy(now);
            self.earlier.forget_the_finished();
            self.checkers.bury();
            self.publish_gauges();
        }
        if self.next_show().is_some_and(|at| at <= now) {
            self.show_latest();
        }
        if let Some((_, last)) = self.sweep.take_if(|it| it.0 <= now) {
            let marked = self.current.metrics.sweep(&self.current.topology, &last);
            self.sweep = (!marked.is_empty()).then(|| (now + SERIES_STAY, marked));
        }
    }

    /// Closes connections that are of no more use, and passes on how long answers take.
    fn tidy(&mut self, now: Timestamp) {
        let current = Arc::clone(&self.current);
        let snapshot = current.snapshot.load_full();
        current.connections.reap(&current.topology, |id| snapshot.backend(id).epoch, now);
        for backend in current.topology.backend_ids() {
            let live = current.live.backend(backend);
            live.times.digest();
            if let Some(fault) = live.expire_fault(now) {
                log_fault_end(backend, &fault, &current.topology);
            }
            if let Some(measure) = live.times.measure(now) {
                self.fleet.handle(Input::Measured { backend, measure }, now);
            }
        }
        if self.perform(now) {
            self.publish(true);
        }
    }

    fn next_deadline(&self) -> Timestamp {
        let earlier = self.earlier.next_deadline();
        let (fleet, book) = (self.fleet.next_deadline(), self.book.next_deadline());
        let sweep = self.sweep.as_ref().map(|it| it.0);
        [fleet, book, self.next_show(), sweep, earlier]
            .into_iter()
            .flatten()
            .fold(self.housekept + HOUSEKEEPING, Timestamp::min)
    }

    /// Performs what the fleet decided. The snapshot goes first: requests come before records.
    /// Returns whether anything but the latest check changed.
    fn perform(&mut self, now: Timestamp) -> bool {
        let mut has_changed = false;
        while let Some(output) = self.fleet.poll_output() {
            if !has_changed {
                self.show();
                has_changed = true;
            }
            match output {
                Output::Event(event) => self.record(&event, now),
                Output::Pace(id, pace) => self.checkers.set_pace(id, pace),
                Output::Watch(id, is_watched) => {
                    self.current.live.backend(id).is_watched.store(is_watched, Relaxed);
                }
                Output::Trial(id) => {
                    // 0 stands for none, also in the first millisecond.
                    self.current.live.backend(id).trial_from.store(now.as_millis().max(1), Relaxed);
                }
                Output::TrialOver(id) => self.current.live.backend(id).trial_from.store(0, Relaxed),
            }
        }
        has_changed
    }

    fn record(&mut self, event: &Event, now: Timestamp) {
        if let Event::BackendSuspected { backend, .. } | Event::BackendLost { backend, .. } = *event
        {
            self.current.alarms.raise(backend);
        }
        if let Event::BackendDrained { backend, .. } = *event {
            self.current.alarms.say(backend, Farewell::Soon);
        }
        if let Event::BackendEnabled { backend } = *event {
            self.current.alarms.say(backend, Farewell::Stay);
        }
        if let Event::BackendRegained { backend } = *event {
            self.current.live.backend(backend).regained();
        }
        log_event(event, &self.current.topology);
        self.book.handle(event, &self.current.live, now);
        let trigger = match event {
            Event::TierChanged { pool, .. } => {
                self.book.latest(*pool).map_or(Trigger::Failure, trigger_of)
            }
            Event::BackendSuspected { .. }
            | Event::EvidenceGathered { .. }
            | Event::BackendCleared { .. }
            | Event::BackendLost { .. }
            | Event::BackendEjected { .. }
            | Event::BackendRegained { .. }
            | Event::BackendDrained { .. }
            | Event::BackendEnabled { .. }
            | Event::WeightChanged { .. }
            | Event::FailoverRequested { .. }
            | Event::FailoverEnded { .. }
            | Event::FailbackBegan { .. }
            | Event::FailbackAborted { .. }
            | Event::BackendServed { .. }
            | Event::EvidenceDisagreed { .. }
            | Event::EvidenceAgreed { .. }
            | Event::FaultRequested { .. }
            | Event::FaultWithdrawn { .. } => Trigger::Failure,
        };
        self.current.metrics.event(event, trigger, now);
        self.record_entries();
    }

    fn record_entries(&mut self) {
        while let Some(entry) = self.book.poll_entry() {
            log_entry(&entry);
            self.observe(&entry);
        }
    }

    fn observe(&self, entry: &Entry) {
        let (incident, metrics) = (&entry.incident, &self.current.metrics);
        // What ends because its backend is configured no more has no series left to count it.
        let Some(pool) = incident.place.map(|it| it.pool) else { return };
        match entry.news {
            News::Opened => {
                let reason = FailoverReason::new(incident.detected_by, trigger_of(incident));
                metrics.failover_decided(pool, reason, incident.detection());
            }
            News::Serving => {
                if let Some(switch) = incident.switch() {
                    metrics.failover_served(pool, switch);
                }
            }
            News::Settled => metrics.incident_counted(pool, incident.cause, entry.counted),
            News::Recounted => metrics.incident_recounted(pool, entry.counted),
            News::Recovered | News::Closed => {}
        }
    }

    /// Shows requests what the fleet has decided, those of earlier generations, too.
    fn show(&mut self) {
        let snapshot = Arc::new(self.fleet.snapshot());
        self.earlier.show(&snapshot);
        self.current.snapshot.store(snapshot);
        (self.shown, self.is_outdated) = (clock::now(), false);
    }

    /// Shows what no event has told of. What it changes for requests is small, and those of earlier
    /// generations do without.
    fn show_latest(&mut self) {
        if self.is_outdated {
            self.current.snapshot.store(Arc::new(self.fleet.snapshot()));
            (self.shown, self.is_outdated) = (clock::now(), false);
        }
    }

    /// Returns when the latest checks are to be shown, if there are any that are not.
    fn next_show(&self) -> Option<Timestamp> {
        self.is_outdated.then(|| self.shown + LATEST)
    }

    fn publish(&mut self, has_changed: bool) {
        if !has_changed {
            self.is_outdated = true;
            return;
        }
        self.show();
        self.current.alarms.look_again();
        self.earlier.look_again();
        self.publish_incidents();
        self.publish_gauges();
    }

    fn publish_incidents(&self) {
        self.incidents.store(Arc::new(self.book.incidents()));
        for (index, pool) in self.current.live.pools.iter().enumerate() {
            let windows = self.book.windows(PoolId(index));
            if **pool.incidents.load() != windows {
                pool.incidents.store(Arc::new(windows));
            }
            pool.incident_is_open.store(self.book.is_open(PoolId(index)), Relaxed);
        }
    }

    fn publish_gauges(&self) {
        let Generation { topology, snapshot, live, metrics, alarms, .. } = &*self.current;
        for pool in (0..topology.pools.len()).map(PoolId) {
            if let Some(queue) = alarms.queue(pool) {
                metrics.queue_length(pool, queue.len());
            }
        }
        metrics.publish(topology, &snapshot.load(), live, clock::now());
    }
}

fn trigger_of(incident: &Incident) -> Trigger {
    if incident.is_requested { Trigger::Operator } else { Trigger::Failure }
}
