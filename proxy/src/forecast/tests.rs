use std::num::NonZeroU32;

use super::*;
use crate::model::{CheckKind, sample};

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
    // 1s ± 20%, fast 100ms, timeout 500ms, fall 2: the second check follows the first at once.
    assert_eq!(found(&pool, Failure::Crash).by_checks, Some(ms(1200)));
    assert_eq!(found(&pool, Failure::Hang).by_checks, Some(ms(2200)));
    pool.health_check.fall = NonZeroU32::new(4).unwrap();
    assert_eq!(found(&pool, Failure::Crash).by_checks, Some(ms(1200 + 2 * 120)));
    assert_eq!(found(&pool, Failure::Hang).by_checks, Some(ms(1200 + 4 * 500)));
    pool.health_check.fall = NonZeroU32::MIN;
    assert_eq!(found(&pool, Failure::Hang).by_checks, Some(ms(1700)));
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
