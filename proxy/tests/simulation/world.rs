//! A world: backends that fail by a script, clients that do not wait, checks, and the core in
//! virtual time between them.

use std::{collections::BTreeMap, fmt::Write, sync::Arc, time::Duration};

use bascule::{
    clock::Timestamp,
    event::{Event, Symptom},
    fleet::{Command, Input, Pace, Subject, Target},
    model::Intent,
};
use fastrand::Rng;

use crate::{
    backends::Backend,
    core::{Core, Said},
    laws::{Finished, Laws},
    mail::Mail,
    policy::{self, Load, stream},
    requests::{Attempt, Request},
    script::{self, Fault, Kind, OVER},
};

/// What happened in a world whose laws all held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chronicle {
    /// Every event and every request's end, a line each.
    pub(crate) lines: String,
    pub(crate) requests: u64,
    pub(crate) lost: u64,
    pub(crate) retries: u64,
    pub(crate) hedges: u64,
    /// Trials that went on though their request had been answered.
    pub(crate) heard_out: u64,
    /// How often everything stood still.
    pub(crate) stalls: u64,
    pub(crate) failovers: u64,
    /// Returns of traffic along a ramp, and those that were broken off.
    pub(crate) ramps: u64,
    pub(crate) aborts: u64,
    /// Attempts that a tier after the active one got as its part of the traffic, and those that were
    /// made though nobody was eligible.
    pub(crate) spilled: u64,
    pub(crate) hoped: u64,
    /// Orders that were carried out, and those that were refused.
    pub(crate) orders: u64,
    pub(crate) refused: u64,
    /// Incidents, by cause.
    pub(crate) incidents: BTreeMap<&'static str, u64>,
}

/// A law that was broken, and what led to it.
#[derive(Clone, Debug)]
pub(crate) struct Breach {
    pub(crate) law: String,
    pub(crate) at: Timestamp,
    pub(crate) lines: String,
}

/// What happens at some moment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happening {
    FaultBegins(usize),
    FaultEnds(usize),
    Arrival,
    /// A check of this backend begins, unless it was planned anew.
    CheckBegins(usize, u64),
    /// A check of this backend ends, unless it was planned anew.
    CheckEnds(usize, u64, Option<Symptom>),
    /// An attempt's request has its turn at the backend.
    Turn(u64),
    /// An attempt fails before it has its turn.
    Fails(u64, Symptom),
    /// An attempt has waited for as long as one may, at this moment.
    Late(u64, Timestamp),
    /// An attempt has waited for longer than is usual, at this moment.
    Overstays(u64, Timestamp),
    /// An attempt has waited for as long as is usual, and its backend was suspected.
    Looks(u64),
    /// A request's client goes away.
    Leaves(u64),
    /// A fact that was on its way arrives.
    Arrives(Input),
    /// The machine stands still: whatever happens meanwhile is noticed late.
    Stall,
    /// An operator asks for something.
    Order,
    /// A request's back-off is over.
    Again(u64),
    /// A request has no time left.
    Deadline(u64),
    Housekeeping,
    /// Everybody should be well again.
    Calm,
}

#[derive(Clone, Copy, Debug)]
struct Checker {
    pace: Pace,
    began: Timestamp,
    /// When the check under way ends.
    due: Timestamp,
    is_under_way: bool,
    plan: u64,
}

/// One world.
pub(crate) struct World {
    pub(crate) now: Timestamp,
    queue: BTreeMap<(Timestamp, u64), Happening>,
    planned: u64,
    pub(crate) core: Core,
    pub(crate) laws: Laws,
    pub(crate) load: Load,
    script: Vec<Fault>,
    pub(crate) backends: Vec<Backend>,
    checkers: Vec<Checker>,
    pub(crate) requests: BTreeMap<u64, Request>,
    pub(crate) attempts: BTreeMap<u64, Attempt>,
    /// Requests and attempts so far.
    pub(crate) begun: u64,
    /// How often each request was executed, anywhere.
    pub(crate) executions: BTreeMap<u64, u32>,
    pub(crate) finished: Vec<Finished>,
    pub(crate) chronicle: Chronicle,
    arrivals: Rng,
    checks: Rng,
    pub(crate) service: Rng,
    pub(crate) clients: Rng,
    machine: Rng,
    /// Nothing goes wrong but for stalls.
    pub(crate) is_quiet: bool,
    calm: Timestamp,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let topology = Arc::new(policy::topology(seed));
        let mail = Mail::new(stream(seed, "mail"));
        let core = Core::new(topology, stream(seed, "picks"), mail);
        let pool = core.pool();
        let tiers: Vec<usize> = pool.backends.iter().map(|backend| backend.tier).collect();
        let load = policy::load(seed);
        let checker = Checker {
            pace: Pace::Normal,
            began: Timestamp::ZERO,
            due: Timestamp::ZERO,
            is_under_way: false,
            plan: 0,
        };
        let mut world = Self {
            now: Timestamp::ZERO,
            queue: BTreeMap::new(),
            planned: 0,
            laws: Laws::new(pool),
            load,
            script: script::draw(seed, &tiers),
            backends: vec![Backend::default(); tiers.len()],
            checkers: vec![checker; tiers.len()],
            requests: BTreeMap::new(),
            attempts: BTreeMap::new(),
            begun: 0,
            executions: BTreeMap::new(),
            finished: Vec::new(),
            chronicle: Chronicle::default(),
            arrivals: stream(seed, "arrivals"),
            checks: stream(seed, "jitter"),
            service: stream(seed, "service"),
            clients: stream(seed, "clients"),
            machine: stream(seed, "machine"),
            is_quiet: false,
            calm: OVER + recovery(&core, &load),
            core,
        };
        world.plan_all();
        world
    }

    /// Makes the world of `seed` without anything that goes wrong, on a machine that stands still
    /// now and then. Nobody may be suspected in it.
    pub(crate) fn quiet(seed: u64) -> Self {
        let mut world = Self::new(seed);
        world.script.clear();
        world.is_quiet = true;
        (world.load.closed, world.load.stalls) = (0.0, Duration::from_secs(3));
        world.queue.clear();
        world.plan_all();
        world
    }

    /// Lets everything happen. Returns what did, or the first law that was broken.
    pub(crate) fn run(mut self) -> Result<Chronicle, Breach> {
        // Requests end, windows close, and the ten seconds after them are measured.
        let end = self.calm + self.load.timeout + Duration::from_secs(15);
        while let Some(at) = self.next().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.core.pass(self.now);
            self.settle();
            let stands = self.core.next_deadline().is_none_or(|next| self.now < next);
            self.laws.hold(stands, || "a deadline that was handled is not over".to_owned());
            while let Some(happening) = self.due() {
                self.happen(happening);
                self.settle();
            }
            if let Some(law) = self.laws.broken() {
                return Err(self.breach(law.to_owned()));
            }
        }
        let left = self.requests.len();
        self.laws.hold(left == 0, || format!("{left} requests never end"));
        for incident in self.core.incidents() {
            *self.chronicle.incidents.entry(incident.cause.name()).or_default() += 1;
            self.laws.told(&incident, &self.finished);
            self.note(|| format!("{incident:?}"));
        }
        match self.laws.broken() {
            Some(law) => Err(self.breach(law.to_owned())),
            None => Ok(self.chronicle),
        }
    }

    pub(crate) fn plan(&mut self, after: Duration, happening: Happening) {
        self.plan_at(self.now + after, happening);
    }

    /// Adds a line to the chronicle.
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        let millis = self.now.as_nanos() as f64 / 1e6;
        let lines = &mut self.chronicle.lines;
        writeln!(lines, "{millis:>10.3} {}", line()).expect("a String takes everything");
    }

    fn plan_at(&mut self, at: Timestamp, happening: Happening) {
        self.planned += 1;
        self.queue.insert((at, self.planned), happening);
    }

    fn plan_all(&mut self) {
        for index in 0..self.script.len() {
            let Fault { from, to, .. } = self.script[index];
            self.plan_at(from, Happening::FaultBegins(index));
            self.plan_at(to, Happening::FaultEnds(index));
        }
        for index in 0..self.backends.len() {
            let after = Duration::from_micros(self.checks.u64(..5_000));
            self.plan(after, Happening::CheckBegins(index, 0));
        }
        self.plan(Duration::from_millis(500), Happening::Arrival);
        self.plan(Duration::ZERO, Happening::Housekeeping);
        for (every, happening) in
            [(self.load.stalls, Happening::Stall), (self.load.operator, Happening::Order)]
        {
            if !every.is_zero() {
                self.plan(every, happening);
            }
        }
        self.plan_at(self.calm, Happening::Calm);
    }

    fn next(&self) -> Option<Timestamp> {
        let planned = self.queue.first_key_value().map(|((at, _), _)| *at);
        planned.into_iter().chain(self.core.next_deadline()).min()
    }

    fn due(&mut self) -> Option<Happening> {
        let next = self.queue.first_entry()?;
        (next.key().0 <= self.now).then(|| next.remove())
    }

    fn breach(&self, law: String) -> Breach {
        Breach { law, at: self.now, lines: self.chronicle.lines.clone() }
    }

    /// Does what follows from what the core said, then looks whether all is lawful.
    fn settle(&mut self) {
        while let Some(said) = self.core.poll() {
            match said {
                Said::Pace(index, pace) => self.pace(index, pace),
                Said::Event(event) => self.hear(&event),
                Said::Later(after, input) => self.plan(after, Happening::Arrives(input)),
            }
        }
        self.laws.look(self.core.pool(), self.core.snapshot(), self.now);
    }

    fn hear(&mut self, event: &Event) {
        self.note(|| format!("{event:?}"));
        self.laws.heard(event, self.core.pool(), self.core.snapshot(), self.now);
        if self.is_quiet {
            self.laws.quiet(event);
        }
        match event {
            Event::BackendLost { backend, .. } => self.rescue(backend.index),
            Event::BackendSuspected { backend, .. } => self.alarm(backend.index),
            Event::TierChanged { from: Some(from), to: Some(to), .. } if from < to => {
                self.chronicle.failovers += 1;
            }
            Event::FailbackBegan { .. } => self.chronicle.ramps += 1,
            Event::FailbackAborted { .. } => self.chronicle.aborts += 1,
            Event::EvidenceGathered { .. }
            | Event::BackendCleared { .. }
            | Event::BackendRegained { .. }
            | Event::TierChanged { .. }
            | Event::BackendServed { .. }
            | Event::BackendEjected { .. }
            | Event::BackendDrained { .. }
            | Event::BackendEnabled { .. }
            | Event::WeightChanged { .. }
            | Event::FailoverRequested { .. }
            | Event::FailoverEnded { .. }
            | Event::EvidenceDisagreed { .. }
            | Event::EvidenceAgreed { .. }
            | Event::FaultRequested { .. }
            | Event::FaultWithdrawn { .. } => {}
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::FaultBegins(index) => self.fault_begins(self.script[index]),
            Happening::FaultEnds(index) => self.fault_ends(self.script[index]),
            Happening::Arrival => {
                if self.now < self.calm {
                    self.arrive();
                    // Recovery takes time, and a few requests see what there is to see of it.
                    let thinned = if self.now < OVER { 1.0 } else { 0.25 };
                    let mean = 1.0 / (thinned * self.load.per_second);
                    let wait = -mean * (1.0 - self.arrivals.f64()).ln();
                    self.plan(Duration::from_secs_f64(wait.min(30.0)), Happening::Arrival);
                }
            }
            Happening::CheckBegins(index, plan) => self.check_begins(index, plan),
            Happening::CheckEnds(index, plan, failure) => self.check_ends(index, plan, failure),
            Happening::Turn(number) => self.turn(number),
            Happening::Fails(number, symptom) => self.miss(number, symptom),
            Happening::Late(number, due) => self.late(number, due),
            Happening::Overstays(number, due) => self.overstay(number, due),
            Happening::Looks(number) => self.look(number),
            Happening::Leaves(number) => self.leave(number),
            Happening::Arrives(input) => self.core.arrives(input, self.now),
            Happening::Stall => self.stand_still(),
            Happening::Order => self.order(),
            Happening::Again(number) => self.attempt(number),
            Happening::Deadline(number) => self.run_out(number),
            Happening::Housekeeping => self.keep_house(),
            Happening::Calm => {
                let after = self.now.since(OVER);
                self.laws.calm(after, self.core.snapshot());
            }
        }
    }

    fn fault_begins(&mut self, fault: Fault) {
        self.note(|| format!("{fault:?} begins"));
        self.backends[fault.backend].fault_begins(fault.kind);
        if fault.kind == Kind::Gone {
            self.backends[fault.backend].limbo.clear();
            self.break_off(fault.backend);
        }
    }

    fn fault_ends(&mut self, fault: Fault) {
        self.note(|| format!("{fault:?} ends"));
        for number in self.backends[fault.backend].fault_ends(fault.kind) {
            let after = Duration::from_micros(self.service.u64(100..5_000));
            self.plan(after, Happening::Turn(number));
        }
        // A check that waited gets its answer, too.
        if self.checkers[fault.backend].is_under_way && !self.backends[fault.backend].is_silent() {
            self.plan_check_end(fault.backend);
        }
    }

    fn check_begins(&mut self, index: usize, plan: u64) {
        let checker = &mut self.checkers[index];
        if checker.plan != plan {
            return;
        }
        (checker.began, checker.is_under_way) = (self.now, true);
        self.plan_check_end(index);
    }

    /// Plans how the check under way ends, as things stand.
    fn plan_check_end(&mut self, index: usize) {
        let checker = &mut self.checkers[index];
        checker.plan += 1;
        let plan = checker.plan;
        let over = checker.began + self.core.pool().health_check.timeout;
        let (failure, after) = self.backends[index].check(over.since(self.now));
        self.checkers[index].due = self.now + after;
        self.plan(after, Happening::CheckEnds(index, plan, failure));
    }

    fn check_ends(&mut self, index: usize, plan: u64, failure: Option<Symptom>) {
        let checker = &mut self.checkers[index];
        if checker.plan != plan {
            return;
        }
        checker.is_under_way = false;
        let was_held_up = self.core.pool().health_check.timeout / 4 < self.now.since(checker.due);
        if was_held_up && failure.is_some_and(Symptom::is_timeout) {
            let plan = checker.plan;
            return self.check_begins(index, plan);
        }
        let checker = &self.checkers[index];
        let took = self.now.since(checker.began);
        self.plan_check(index);
        self.core.checked(index, failure, took, self.now);
    }

    /// Takes in a new pace: a fast one begins at once.
    fn pace(&mut self, index: usize, pace: Pace) {
        let was = std::mem::replace(&mut self.checkers[index].pace, pace);
        if self.checkers[index].is_under_way {
            return;
        }
        self.plan_check(index);
        if pace == Pace::Fast || was == Pace::Never {
            let checker = &mut self.checkers[index];
            checker.plan += 1;
            let plan = checker.plan;
            self.plan(Duration::ZERO, Happening::CheckBegins(index, plan));
        }
    }

    fn plan_check(&mut self, index: usize) {
        let policy = &self.core.pool().health_check;
        let interval = match self.checkers[index].pace {
            Pace::Normal => policy.interval,
            Pace::Fast => policy.interval_fast,
            Pace::Never => {
                self.checkers[index].plan += 1;
                return;
            }
        };
        let factor = 1.0 + policy.jitter * self.checks.f64().mul_add(2.0, -1.0);
        let checker = &mut self.checkers[index];
        checker.plan += 1;
        let (at, plan) = ((checker.began + interval.mul_f64(factor)).max(self.now), checker.plan);
        self.plan_at(at, Happening::CheckBegins(index, plan));
    }

    /// Everything waits for a while, until after the last fault.
    fn stand_still(&mut self) {
        if OVER <= self.now {
            return;
        }
        let stall =
            Duration::from_millis(self.machine.choice([20, 200, 1_000, 3_000]).unwrap_or(20));
        self.now = self.now + stall;
        self.chronicle.stalls += 1;
        self.note(|| format!("everything stood still for {stall:?}"));
        self.core.pass(self.now);
        let wait = self.load.stalls.mul_f64(2.0 * self.machine.f64());
        self.plan(wait.max(Duration::from_millis(100)), Happening::Stall);
    }

    /// An operator asks for traffic to return, or for a failure that may not come about.
    fn order(&mut self) {
        self.laws.asks(true);
        self.core.fail_back(self.now);
        self.settle();
        self.laws.asks(false);
        let index = self.machine.usize(..self.backends.len());
        let comes_about = self.machine.bool();
        self.core.request_fault(index, comes_about, self.now);
        if !self.is_quiet {
            self.operate();
        }
        self.plan(self.load.operator, Happening::Order);
    }

    /// An operator drains, weighs, ejects or moves something; before the last fault is over, all is put
    /// right.
    fn operate(&mut self) {
        if OVER <= self.now + self.load.operator {
            for index in 0..self.backends.len() {
                self.give_backend(index, Command::Intend(Intent::Enabled));
                self.give_backend(index, Command::Readmit);
            }
            self.give(Target::FailBack);
            return;
        }
        let index = self.machine.usize(..self.backends.len());
        let backend = &self.core.pool().backends[index];
        let (name, configured) = (backend.name.clone(), backend.weight.get());
        match self.machine.u8(..10) {
            0..3 => self.give_backend(index, Command::Intend(Intent::Draining)),
            3 => self.give_backend(index, Command::Intend(Intent::Disabled)),
            4..6 => self.give_backend(index, Command::Intend(Intent::Enabled)),
            6 => {
                let length = Duration::from_millis(self.machine.u64(100..4_000));
                self.give_backend(index, Command::Eject(length));
            }
            7 => self.give_backend(index, Command::Readmit),
            8 => {
                let weight = configured * self.machine.u32(1..4);
                self.give_backend(index, Command::Weigh(weight));
            }
            _ => self.give(Target::FailOver(Some(Subject::Backend(name)))),
        }
    }

    fn give_backend(&mut self, index: usize, command: Command) {
        let name = self.core.pool().backends[index].name.clone();
        self.give(Target::Backend(name, command));
    }

    /// Gives an order. None that is not forced empties a pool.
    fn give(&mut self, target: Target) {
        let left = |world: &Self| {
            world.core.snapshot().backends.iter().filter(|it| it.is_eligible()).count()
        };
        let before = left(self);
        self.note(|| format!("an operator orders {target:?}"));
        self.laws.asks(true);
        let is_done = self.core.give(target.clone(), self.now);
        let after = left(self);
        self.laws.hold(before == 0 || 0 < after, || format!("{target:?} emptied the pool"));
        self.settle();
        self.laws.asks(false);
        self.chronicle.orders += u64::from(is_done);
        self.chronicle.refused += u64::from(!is_done);
    }

    fn keep_house(&mut self) {
        self.core.keep_house(self.now);
        self.plan(Duration::from_millis(500), Happening::Housekeeping);
    }
}

/// How long after the last fault everybody is well again at the latest: the last request that met
/// a fault has ended, the longest ejection is over, checks have had time for as many passes as
/// anything takes, the hold-down has passed, and traffic has returned, by way of a tier between if
/// need be.
fn recovery(core: &Core, load: &Load) -> Duration {
    let pool = core.pool();
    let checks = &pool.health_check;
    let check = checks.interval.mul_f64(1.0 + checks.jitter) + checks.timeout;
    let passes = checks.rise.get() + checks.fall.get() + 4;
    load.timeout
        + pool.outlier_detection.eject_max
        + check * passes
        + (pool.tiers.failback_after_max + pool.tiers.failback_ramp * 2).max(pool.slow_start)
        + Duration::from_secs(2)
}
