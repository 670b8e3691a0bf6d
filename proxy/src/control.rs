//! Control: the one task that owns the fleet.
//!
//! Facts come in through one bounded queue, decisions go out: a snapshot for requests, events for
//! the log, the metrics and the incidents, a pace for every checker. It runs on a thread of its
//! own, so that neither a flood of requests nor one of readers delays it.

mod check;
mod checker;
mod journal;

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{mpsc, watch},
    time::sleep_until,
};

use crate::{
    alarms::Alarms,
    clock::{self, Timestamp},
    control::{
        checker::Checker,
        journal::{log_entry, log_event, log_fault_end},
    },
    event::Event,
    exchange::Connections,
    fleet::{Fleet, Input, Output, Pace},
    incident::{Book, Entry, Incident, News},
    model::{BackendId, PoolId, SharedTopology},
    snapshot::{Live, SnapshotCell},
    telemetry::metrics::{FailoverReason, Metrics, Trigger},
};

/// Facts that may wait for the fleet. At 20,000 failures a second it takes them all for 50 ms;
/// beyond that more of the same teaches nothing.
pub const INBOX: usize = 1024;

/// How often gauges are renewed and the timelines cleared ahead.
const HOUSEKEEPING: Duration = Duration::from_millis(500);

/// Where incidents are read, oldest first.
pub type IncidentCell = Arc<ArcSwap<Vec<Arc<Incident>>>>;

/// Owns the fleet and the book of incidents.
#[derive(Debug)]
pub struct Control {
    topology: SharedTopology,
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    snapshot: SnapshotCell,
    incidents: IncidentCell,
    alarms: Arc<Alarms>,
    connections: Arc<Connections>,
    fleet: Fleet,
    book: Book,
    /// Indexed as backends are listed by the topology.
    paces: Vec<(BackendId, watch::Sender<Pace>)>,
    housekept: Timestamp,
}

impl Control {
    /// Makes the fleet of `topology`. Nothing happens before [`Control::run`].
    pub fn new(
        topology: SharedTopology,
        live: Arc<Live>,
        metrics: Arc<Metrics>,
        snapshot: SnapshotCell,
        incidents: IncidentCell,
        alarms: Arc<Alarms>,
        connections: Arc<Connections>,
    ) -> Self {
        let now = clock::now();
        let fleet = Fleet::new(Arc::clone(&topology), now);
        snapshot.store(Arc::new(fleet.snapshot()));
        let paces =
            topology.backend_ids().map(|id| (id, watch::Sender::new(Pace::Normal))).collect();
        let book = Book::new(Arc::clone(&topology));
        Self {
            topology,
            live,
            metrics,
            snapshot,
            incidents,
            alarms,
            connections,
            fleet,
            book,
            paces,
            housekept: now,
        }
    }

    /// Starts the checkers and drives the fleet until nobody can send it facts any more.
    pub async fn run(mut self, inbox: mpsc::Sender<Input>, mut facts: mpsc::Receiver<Input>) {
        let mut checkers = tokio::task::JoinSet::new();
        for (id, pace) in &self.paces {
            let checker = Checker {
                id: *id,
                topology: Arc::clone(&self.topology),
                live: Arc::clone(&self.live),
                connections: Arc::clone(&self.connections),
                inbox: inbox.clone(),
                pace: pace.subscribe(),
            };
            checkers.spawn(checker.run());
        }
        drop(inbox);
        loop {
            let deadline = self.next_deadline();
            tokio::select! {
                biased;
                fact = facts.recv() => match fact {
                    Some(input) => self.take_in(input, &mut facts),
                    None => return,
                },
                () = sleep_until(clock::instant_of(deadline).into()) => {}
            }
            self.pass_time();
        }
    }

    /// Takes in a fact, and those that wait behind it, then publishes what follows from them. No
    /// more than a full queue, however fast it fills: time passes, too.
    fn take_in(&mut self, first: Input, facts: &mut mpsc::Receiver<Input>) {
        let mut has_changed = self.learn(first);
        for _ in 1..INBOX {
            let Ok(input) = facts.try_recv() else { break };
            has_changed |= self.learn(input);
        }
        self.publish(has_changed);
    }

    /// Takes in one fact. Returns whether anything but the latest check changed.
    fn learn(&mut self, input: Input) -> bool {
        let now = clock::now();
        if let Input::Checked { backend, failure, took, recent: _ } = input {
            self.metrics.health_check(backend, failure, took);
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
            self.book.handle_deadline(&self.live, now);
            self.record_entries();
            self.publish_incidents();
        }
        if HOUSEKEEPING <= now.since(self.housekept) {
            self.housekept = now;
            for pool in &self.live.pools {
                pool.timeline.clear_ahead(now);
            }
            self.tidy(now);
            self.publish_gauges();
        }
    }

    /// Closes connections that are of no more use, and passes on how long answers take.
    fn tidy(&mut self, now: Timestamp) {
        let snapshot = self.snapshot.load_full();
        self.connections.reap(&self.topology, |id| snapshot.backend(id).epoch, now);
        let topology = Arc::clone(&self.topology);
        for backend in topology.backend_ids() {
            let times = &self.live.backend(backend).times;
            times.digest();
            if let Some(fault) = self.live.backend(backend).expire_fault(now) {
                log_fault_end(backend, &fault, &topology);
            }
            if let Some(measure) = times.measure(now) {
                self.fleet.handle(Input::Measured { backend, measure }, now);
            }
        }
        let has_changed = self.perform(now);
        self.publish(has_changed);
    }

    fn next_deadline(&self) -> Timestamp {
        [self.fleet.next_deadline(), self.book.next_deadline()]
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
                self.snapshot.store(Arc::new(self.fleet.snapshot()));
                has_changed = true;
            }
            match output {
                Output::Event(event) => self.record(&event, now),
                Output::Pace(id, pace) => {
                    if let Some((_, sender)) = self.paces.iter().find(|(it, _)| *it == id) {
                        sender.send_replace(pace);
                    }
                }
                Output::Watch(id, is_watched) => {
                    self.live.backend(id).is_watched.store(is_watched, Relaxed);
                }
                Output::Trial(id) => {
                    // 0 stands for none, also in the first millisecond.
                    self.live.backend(id).trial_from.store(now.as_millis().max(1), Relaxed);
                }
                Output::TrialOver(id) => self.live.backend(id).trial_from.store(0, Relaxed),
            }
        }
        has_changed
    }

    fn record(&mut self, event: &Event, now: Timestamp) {
        if let Event::BackendSuspected { backend, .. } | Event::BackendLost { backend, .. } = *event
        {
            self.alarms.raise(backend);
        }
        if let Event::BackendRegained { backend } = *event {
            self.live.backend(backend).regained();
        }
        log_event(event, &self.topology);
        self.book.handle(event, &self.live, now);
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
            | Event::FailbackBegan { .. }
            | Event::FailbackAborted { .. }
            | Event::BackendServed { .. }
            | Event::EvidenceDisagreed { .. }
            | Event::EvidenceAgreed { .. }
            | Event::FaultRequested { .. }
            | Event::FaultWithdrawn { .. } => Trigger::Failure,
        };
        self.metrics.event(event, trigger, now);
        self.record_entries();
    }

    fn record_entries(&mut self) {
        while let Some(entry) = self.book.poll_entry() {
            log_entry(&entry, &self.topology);
            self.observe(&entry);
        }
    }

    fn observe(&self, entry: &Entry) {
        let incident = &entry.incident;
        let pool = incident.backend.pool;
        match entry.news {
            News::Opened => {
                let reason = FailoverReason::new(incident.detected_by, trigger_of(incident));
                self.metrics.failover_decided(pool, reason, incident.detection());
            }
            News::Serving => {
                if let Some(switch) = incident.switch() {
                    self.metrics.failover_served(pool, switch);
                }
            }
            News::Settled => {
                self.metrics.incident_counted(pool, incident.cause, entry.counted);
            }
            News::Recounted => self.metrics.incident_recounted(pool, entry.counted),
            News::Recovered | News::Closed => {}
        }
    }

    fn publish(&mut self, has_changed: bool) {
        self.snapshot.store(Arc::new(self.fleet.snapshot()));
        if has_changed {
            self.alarms.look_again();
            self.publish_incidents();
            self.publish_gauges();
        }
    }

    fn publish_incidents(&self) {
        self.incidents.store(Arc::new(self.book.incidents()));
        for index in 0..self.live.pools.len() {
            let is_open = self.book.is_open(PoolId(index));
            self.live.pools[index].incident_is_open.store(is_open, Relaxed);
        }
    }

    fn publish_gauges(&self) {
        let snapshot = self.snapshot.load();
        for pool in (0..self.topology.pools.len()).map(PoolId) {
            if let Some(queue) = self.alarms.queue(pool) {
                self.metrics.queue_length(pool, queue.len());
            }
        }
        self.metrics.publish(&self.topology, &snapshot, &self.live, clock::now());
    }
}

fn trigger_of(incident: &Incident) -> Trigger {
    if incident.is_requested { Trigger::Operator } else { Trigger::Failure }
}
