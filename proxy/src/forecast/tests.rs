use std::{num::NonZeroU32, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::{
    clock::Timestamp,
    event::Symptom,
    fleet::{Fleet, Input, Output, Pace},
    model::{
        BackendId, CheckKind, HealthCheck, HostMatch, PoolId, SameSite, Secret, Sticky, sample,
    },
    snapshot::Recent,
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn found(pool: &Pool, failure: Failure) -> Detection {
    *of_pool(pool).detections.iter().find(|it| it.failure == failure).unwrap()
}

fn kinds(change: impl FnOnce(&mut Pool)) -> Vec<TrapKind> {
    let mut pool = sample::pool("api", &[(0, 1), (1, 1)]);
    pool.timeouts.idle = Duration::from_secs(55);
    pool.hold_back.size = 64 * 1024;
    change(&mut pool);
    let topology = sample::topology(vec![pool]);
    forecast(&topology).traps.into_iter().map(|it| it.kind).collect()
}

#[test]
fn a_crash_is_found_an_interval_and_the_fast_checks_later() {
    let mut pool = sample::pool("api", &[(0, 1), (1, 1)]);
    // 1s ± 20%, fast 100ms, timeout 500ms, fall 2.
    assert_eq!(found(&pool, Failure::Crash).by_checks, Some(ms(1200 + 120)));
    assert_eq!(found(&pool, Failure::Hang).by_checks, Some(ms(1200 + 2 * 500)));
    pool.health_check.fall = NonZeroU32::new(4).unwrap();
    assert_eq!(found(&pool, Failure::Crash).by_checks, Some(ms(1200 + 3 * 120)));
    assert_eq!(found(&pool, Failure::Hang).by_checks, Some(ms(1200 + 4 * 500)));
    pool.health_check.fall = NonZeroU32::MIN;
    assert_eq!(found(&pool, Failure::Hang).by_checks, Some(ms(1700)));
}

/// What chance decides of one backend's checks.
#[derive(Clone, Debug)]
struct Chance {
    /// Share of an interval after which the backend fails, from the start.
    fails_after: f64,
    hangs: bool,
    /// Whether the checker hears of the fast pace before it begins to wait.
    hears_early: bool,
    /// How far within the jitter each interval lies, -1 to 1.
    lots: Vec<f64>,
}

/// Plays a checker as `control` has it against the fleet. Returns how long after its failure the
/// backend is lost.
fn measured(check: &HealthCheck, chance: &Chance) -> Duration {
    let mut pool = sample::pool("api", &[(0, 1), (0, 1)]);
    pool.health_check = check.clone();
    let mut fleet = Fleet::new(Arc::new(sample::topology(vec![pool])), Timestamp::ZERO);
    let id = |index| BackendId { pool: PoolId(0), index };
    let none = Recent { attempts: 0, failures: 0 };
    let passed =
        |backend| Input::Checked { backend, failure: None, took: Duration::ZERO, recent: none };
    fleet.handle(passed(id(1)), Timestamp::ZERO);
    let fails_at = Timestamp::ZERO + check.interval.mul_f64(chance.fails_after);
    let (mut began, mut pace) = (Timestamp::ZERO, Pace::Normal);
    for lot in chance.lots.iter().cycle() {
        let fails = fails_at <= began;
        let took = if fails && chance.hangs { check.timeout } else { Duration::ZERO };
        let failure = fails.then_some(Symptom::ConnectionRefused);
        let ended = began + took;
        fleet.handle(Input::Checked { backend: id(0), failure, took, recent: none }, ended);
        if !fleet.snapshot().backend(id(0)).is_eligible() {
            return ended.since(fails_at);
        }
        let before = pace;
        while let Some(output) = fleet.poll_output() {
            if let Output::Pace(backend, new) = output
                && backend == id(0)
            {
                pace = new;
            }
        }
        let is_woken = before == Pace::Normal && pace == Pace::Fast && !chance.hears_early;
        let interval = if pace == Pace::Fast { check.interval_fast } else { check.interval };
        let turn = began + interval.mul_f64(1.0 + check.jitter * lot);
        began = if is_woken { ended } else { turn.max(ended) };
    }
    Duration::MAX
}

proptest! {
    #[test]
    fn no_failure_is_found_later_than_promised(
        (interval, fast, timeout) in (20_u64..3_000, 10_u64..600, 5_u64..2_000),
        (jitter, fall) in (0.0..0.5, 1_u32..6),
        (fails_after, hangs, hears_early) in (0.1..5.0, any::<bool>(), any::<bool>()),
        lots in prop::collection::vec(-1.0..1.0, 1..12),
    ) {
        let mut pool = sample::pool("api", &[(0, 1), (0, 1)]);
        let check = &mut pool.health_check;
        (check.interval, check.interval_fast) = (ms(interval), ms(fast.min(interval)));
        (check.timeout, check.jitter) = (ms(timeout), jitter);
        check.fall = NonZeroU32::new(fall).unwrap();
        let took = measured(check, &Chance { fails_after, hangs, hears_early, lots });
        let failure = if hangs { Failure::Hang } else { Failure::Crash };
        let promised = found(&pool, failure).by_checks.unwrap();
        // Rounding of a float to nanoseconds.
        prop_assert!(took <= promised + Duration::from_micros(1), "{took:?} {promised:?}");
    }
}

#[test]
fn the_promise_is_no_longer_than_it_has_to_be() {
    let pool = sample::pool("api", &[(0, 1), (0, 1)]);
    let chance = Chance { fails_after: 0.001, hangs: false, hears_early: true, lots: vec![1.0] };
    let took = measured(&pool.health_check, &chance);
    let promised = found(&pool, Failure::Crash).by_checks.unwrap();
    assert!(promised.saturating_sub(took) < ms(5), "{took:?} {promised:?}");
}

#[test]
fn checks_that_only_connect_see_neither_hangs_nor_errors() {
    let mut pool = sample::pool("api", &[(0, 1), (1, 1)]);
    pool.health_check.kind = CheckKind::Tcp;
    for failure in [Failure::Hang, Failure::Errors] {
        assert_eq!(found(&pool, failure).by_checks, None);
        assert!(matches!(found(&pool, failure).verdict, Verdict::Attempts(3)));
    }
    assert!(found(&pool, Failure::Partition).by_checks.is_some());
    pool.backends.truncate(1);
    assert_eq!(found(&pool, Failure::Hang).verdict, Verdict::Never);
}

#[test]
fn a_sound_pool_has_no_traps() {
    assert_eq!(kinds(|_| {}), []);
}

#[test]
fn every_trap_is_seen() {
    use TrapKind::*;
    assert_eq!(kinds(|it| it.backends.truncate(1)), [NoSpare]);
    assert_eq!(kinds(|it| it.slow_start = Duration::from_secs(3600)), [ColdFailback]);
    assert_eq!(kinds(|it| it.health_check.kind = CheckKind::Tcp), [BlindCheck]);
    assert_eq!(kinds(|it| it.suspicion.is_enabled = false), [SlowSuspicion]);
    assert_eq!(kinds(|it| it.retries.budget_ratio = 1.0), [RetryStorm]);
    assert_eq!(kinds(|it| it.retries.max_attempts = NonZeroU32::MIN), [NeverRetried]);
    assert_eq!(kinds(|it| it.hold_back.size = 100), [HoldsBackLittle]);
    assert_eq!(kinds(|it| it.timeouts.idle = Duration::from_secs(90)), [IdleTooLong]);
    let tight = |it: &mut Pool| {
        it.retries.per_try_timeout = Duration::from_secs(10);
        it.retries.max_attempts = NonZeroU32::new(3).unwrap();
    };
    assert_eq!(kinds(tight), [DeadlineTooShort]);
    let patient = |it: &mut Pool| {
        it.limits.max_requests = NonZeroU32::new(5);
        it.limits.queue = 1;
        it.limits.queue_timeout = Duration::from_secs(60);
    };
    assert_eq!(kinds(patient), [PatientQueue]);
    let many = |it: &mut Pool| {
        it.backends = sample::pool("api", &[(0, 1); 5]).backends;
        it.outlier_detection.max_ejected = 0.1;
    };
    assert_eq!(kinds(many), [OneEjection]);
    let mut topology = sample::topology(vec![sample::pool("api", &[(0, 1), (1, 1)])]);
    topology.shutdown.drain = ms(100);
    assert_eq!(forecast(&topology).traps[0].kind, ShortDrain);
}

#[test]
fn one_backend_rescues_nobody_and_says_so() {
    let pool = sample::pool("api", &[(0, 1)]);
    let rescues = rescue::rescues(&pool, &pool.retries);
    assert!(rescues.iter().all(|it| it.outcome != Outcome::Rescued), "{rescues:?}");
    let pair = sample::pool("api", &[(0, 1), (0, 1)]);
    let rescues = rescue::rescues(&pair, &pair.retries);
    assert_eq!(rescues[0].outcome, Outcome::Rescued);
    assert_eq!(rescues[1].outcome, Outcome::RescuedUnsent);
}

#[test]
fn the_text_names_every_failure_and_every_route() {
    let topology = sample::topology(vec![sample::pool("api", &[(0, 1), (1, 1)])]);
    let text = forecast(&topology).to_string();
    for word in ["pool api: 2 backends in 2 tiers", "crash", "partition", "failback", "to pool api"]
    {
        assert!(text.contains(word), "{word} is not in\n{text}");
    }
    assert_eq!(rescue::write_size(64 * 1024), "64KiB");
}

#[test]
fn pools_that_share_a_cookie_are_told_of_where_clients_of_one_host_reach_both() {
    let sticky = |name: &str| {
        let mut pool = sample::pool(name, &[(0, 1), (1, 1)]);
        pool.sticky = Some(Sticky {
            cookie: "bascule".to_owned(),
            ttl: Duration::from_secs(60),
            secure: false,
            same_site: SameSite::Lax,
            secret: Secret::Random,
        });
        pool
    };
    let shared = |hosts: [Option<HostMatch>; 2]| {
        let mut topology = sample::topology(vec![sticky("one"), sticky("two")]);
        let route = topology.routes[0].clone();
        topology.routes = hosts
            .into_iter()
            .enumerate()
            .map(|(pool, host)| {
                let mut route = route.clone();
                route.matches.hosts = host.into_iter().collect();
                route.destination = Destination::Pool(PoolId(pool));
                route
            })
            .collect();
        forecast(&topology).traps.iter().any(|it| it.kind == TrapKind::SharedCookie)
    };
    let exact = |host: &str| Some(HostMatch::Exact(host.to_owned()));
    let below = |host: &str| Some(HostMatch::Below(host.to_owned()));
    assert!(shared([None, None]));
    assert!(shared([exact("a.example"), None]));
    assert!(shared([exact("a.example"), exact("a.example")]));
    assert!(shared([exact("x.a.example"), below("a.example")]));
    assert!(shared([below("b.a.example"), below("a.example")]));
    assert!(!shared([exact("a.example"), exact("b.example")]));
    assert!(!shared([exact("a.example"), below("a.example")]));
    assert!(!shared([below("a.example"), below("ba.example")]));
}
