//! A small world: backends that fail for a while, checks at the pace that the fleet asks for, and
//! requests that go where the picks send them.

use proptest::prelude::*;

use super::*;
use crate::model::sample;

/// How finely time passes.
const STEP: Duration = Duration::from_millis(5);
/// When the last trouble is over.
const CALM: Timestamp = Timestamp::from_millis(8_000);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// Attempts and checks fail.
    Outage,
    /// Attempts fail, checks pass.
    Errors,
    /// Every third attempt fails, checks pass.
    Flaky,
    /// Checks fail, attempts succeed.
    Checks,
}

/// When, at which backend, and what.
type Plan = Vec<(u64, u64, usize, Trouble)>;

/// How many steps lie between requests; none means no traffic. And what requests are like.
type Load = (Option<u64>, Requests);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Requests {
    Repeatable,
    Once,
}

struct World {
    fleet: Fleet,
    now: Timestamp,
    plan: Plan,
    paces: [Pace; 3],
    checked: [Timestamp; 3],
    trials: [Option<Timestamp>; 3],
    watched: [bool; 3],
    runs: [u32; 3],
    /// When attempts ended, and whether they failed.
    ended: [VecDeque<(Timestamp, bool)>; 3],
    turn: usize,
    granted: u64,
    tried: u64,
}

impl World {
    fn new(topology: SharedTopology, plan: Plan) -> Self {
        Self {
            fleet: Fleet::new(topology, Timestamp::ZERO),
            now: Timestamp::ZERO,
            plan,
            paces: [Pace::Normal; 3],
            checked: [Timestamp::ZERO; 3],
            trials: [None; 3],
            watched: [false; 3],
            runs: [0; 3],
            ended: [const { VecDeque::new() }; 3],
            turn: 0,
            granted: 0,
            tried: 0,
        }
    }

    fn trouble(&self, index: usize) -> Option<Trouble> {
        let millis = self.now.as_millis();
        self.plan
            .iter()
            .find(|(from, to, at, _)| *at == index && (*from..*to).contains(&millis))
            .map(|it| it.3)
    }

    fn recent(&self, index: usize, window: u64) -> Recent {
        let from = self.now.minus(Duration::from_secs(window));
        let inside = self.ended[index].iter().filter(|(at, _)| from <= *at);
        let (attempts, failures) =
            inside.fold((0, 0), |(all, bad), it| (all + 1, bad + u64::from(it.1)));
        Recent { attempts, failures }
    }

    fn step(&mut self, number: u64, (every, requests): Load) {
        self.now = self.now + STEP;
        if self.fleet.next_deadline().is_some_and(|at| at <= self.now) {
            self.fleet.handle_deadline(self.now);
            self.perform();
        }
        for index in 0..3 {
            let interval = match self.paces[index] {
                Pace::Normal => Duration::from_secs(1),
                Pace::Fast => Duration::from_millis(100),
                Pace::Never => continue,
            };
            if interval <= self.now.since(self.checked[index]) || number == 0 {
                self.check(index);
            }
        }
        if every.is_some_and(|every| number.is_multiple_of(every)) {
            self.request(requests);
        }
    }

    fn check(&mut self, index: usize) {
        self.checked[index] = self.now;
        let failure = match self.trouble(index) {
            Some(Trouble::Outage | Trouble::Checks) => Some(Symptom::ConnectionRefused),
            Some(Trouble::Errors | Trouble::Flaky) | None => None,
        };
        let backend = BackendId { pool: PoolId(0), index };
        let recent = self.recent(index, 2);
        self.tell(Input::Checked { backend, failure, took: Duration::ZERO, recent });
    }

    /// Sends one request, and another attempt elsewhere if that fails.
    fn request(&mut self, requests: Requests) {
        let Some(first) = self.pick(requests) else { return };
        self.attempt(first);
    }

    fn pick(&mut self, requests: Requests) -> Option<usize> {
        let snapshot = self.fleet.snapshot();
        let pool = &snapshot.pools[0];
        let of = |trust: fn(&TierSnapshot) -> &TierSnapshot| -> Vec<usize> {
            pool.tiers
                .iter()
                .map(trust)
                .find(|it| !it.eligible.is_empty())
                .map_or_else(Vec::new, |it| it.eligible.clone())
        };
        let (trusted, eligible) = (of(TierSnapshot::trusted), of(|tier| tier));
        self.turn += 1;
        let late = self.now.minus(Duration::from_secs(1));
        let trial = (0..3).find(|&index| {
            self.trials[index].is_some_and(|from| requests == Requests::Repeatable || from <= late)
        });
        if let Some(index) = trial
            && !trusted.is_empty()
        {
            self.trials[index] = None;
            self.tried += 1;
            return Some(index);
        }
        let picks = if trusted.is_empty() { eligible } else { trusted };
        picks.get(self.turn % picks.len().max(1)).copied()
    }

    fn attempt(&mut self, index: usize) {
        let is_failure = match self.trouble(index) {
            Some(Trouble::Outage | Trouble::Errors) => true,
            Some(Trouble::Flaky) => self.turn.is_multiple_of(3),
            Some(Trouble::Checks) | None => false,
        };
        self.ended[index].push_back((self.now, is_failure));
        let backend = BackendId { pool: PoolId(0), index };
        let took = Duration::ZERO;
        if is_failure {
            self.runs[index] += 1;
            let (run, recent, at) = (self.runs[index], self.recent(index, 10), self.now);
            let symptom = Symptom::ConnectionRefused;
            self.tell(Input::AttemptFailed { backend, symptom, waited: took, run, recent, at });
        } else {
            self.runs[index] = 0;
            if self.watched[index] {
                self.tell(Input::AttemptSucceeded { backend, took });
            }
        }
    }

    fn tell(&mut self, input: Input) {
        self.fleet.handle(input, self.now);
        self.perform();
    }

    fn perform(&mut self) {
        while let Some(output) = self.fleet.poll_output() {
            match output {
                Output::Pace(id, pace) => {
                    self.paces[id.index] = pace;
                    if pace == Pace::Fast {
                        self.checked[id.index] = Timestamp::ZERO;
                    }
                }
                Output::Watch(id, is_watched) => self.watched[id.index] = is_watched,
                Output::Trial(id) => {
                    self.granted += 1;
                    self.trials[id.index] = Some(self.now);
                }
                Output::TrialOver(id) => self.trials[id.index] = None,
                Output::Event(_) => {}
            }
        }
    }

    fn conditions(&self) -> Vec<Condition> {
        self.fleet.snapshot().pools[0].backends.iter().map(|it| it.condition).collect()
    }
}

/// A pool of two preferred backends and a spare one, whose ejections are short.
fn topology() -> SharedTopology {
    let mut pool = sample::pool("api", &[(0, 1), (0, 1), (1, 1)]);
    pool.outlier_detection.eject_base = Duration::from_secs(1);
    pool.outlier_detection.eject_max = Duration::from_secs(4);
    pool.tiers.failback_after = Duration::from_secs(1);
    Arc::new(sample::topology(vec![pool]))
}

fn plans() -> impl Strategy<Value = Plan> {
    let kind = prop_oneof![
        Just(Trouble::Outage),
        Just(Trouble::Errors),
        Just(Trouble::Flaky),
        Just(Trouble::Checks)
    ];
    let trouble = (1_000_u64..7_500, 1_u64..3_000, 0_usize..3, kind)
        .prop_map(|(from, long, index, kind)| (from, (from + long).min(8_000), index, kind));
    prop::collection::vec(trouble, 1..5)
}

fn loads() -> impl Strategy<Value = Load> {
    let every = prop_oneof![Just(None), Just(Some(1)), Just(Some(7)), Just(Some(60))];
    (every, prop_oneof![Just(Requests::Repeatable), Just(Requests::Once)])
}

proptest! {
    #[test]
    fn after_the_trouble_every_backend_is_trusted_again_in_bounded_time(
        plan in plans(),
        load in loads(),
    ) {
        let mut world = World::new(topology(), plan);
        // The longest ejection, then a probation in which every trial waits to be late.
        let end = CALM + Duration::from_secs(4 + 6);
        let mut number = 0;
        while world.now < end {
            world.step(number, load);
            number += 1;
            let ejected = |it: &&Condition| matches!(it, Condition::Ejected { .. });
            prop_assert!(world.conditions().iter().filter(ejected).count() <= 1);
            prop_assert!(world.tried <= world.granted);
        }
        prop_assert_eq!(world.conditions(), vec![Condition::Healthy; 3]);
    }
}

/// Plays one stretch of trouble at the first backend and returns for how long it was not trusted
/// after that, in milliseconds.
fn diversion(trouble: Trouble, lasts: u64, every: u64, requests: Requests) -> u64 {
    let plan = vec![(2_000, 2_000 + lasts, 0, trouble)];
    let mut world = World::new(topology(), plan);
    let mut last = 0;
    for number in 0..4_000 {
        world.step(number, (Some(every), requests));
        if !world.conditions()[0].is_trusted() {
            last = world.now.as_millis();
        }
    }
    last.saturating_sub(2_000 + lasts)
}

#[test]
fn one_stray_error_diverts_for_less_than_half_a_second() {
    // So short that exactly one request meets it.
    for every in [1, 2, 8] {
        let millis = diversion(Trouble::Errors, 5 * 2 * every, every, Requests::Repeatable);
        assert!(millis < 500, "{every}: {millis} ms");
    }
}

#[test]
fn a_pool_without_repeatable_requests_recovers_as_well() {
    let millis = diversion(Trouble::Errors, 10, 1, Requests::Once);
    assert!((2_000..4_500).contains(&millis), "{millis} ms");
}
