//! What a seed decides before anything happens: who there is, and by which rules.
//!
//! Each matter has a stream of chance of its own ([`stream`]), named by a word: a matter that is
//! added to the draw changes nothing about the others, so old seeds keep most of their worlds.

use std::{num::NonZeroU32, num::NonZeroUsize, time::Duration};

use bascule::{
    config,
    model::{
        Balance, Capacity, FailbackMode, OutlierPolicy, Pool, RetryPolicy, Topology, WhenDown,
    },
};
use fastrand::Rng;

/// Clients' requests: how many, and which.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) per_second: f64,
    /// Share of `GET`s; the others are `POST`s.
    pub(crate) idempotent: f64,
    /// From arrival to answer, at most.
    pub(crate) timeout: Duration,
    /// No wait shorter than this is an overstay.
    pub(crate) patience: Duration,
    /// Of clients, the share that goes away before it has its answer.
    pub(crate) impatient: f64,
    /// Of bodies, the share that is too long to be kept for another attempt.
    pub(crate) long: f64,
    /// Of connections that requests are sent on that must not be repeated, the share that is closed
    /// under them, with and without proof.
    pub(crate) closed: f64,
    /// How often the machine stands still, on average; never if that is zero.
    pub(crate) stalls: Duration,
    /// How often an operator asks for traffic to return; never if that is zero.
    pub(crate) operator: Duration,
}

/// Returns the chance that decides about `matter` in the world of `seed`.
pub(crate) fn stream(seed: u64, matter: &str) -> Rng {
    // FNV-1a: all that is asked of it is that words differ.
    let name = matter.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Rng::with_seed(seed ^ name)
}

pub(crate) fn load(seed: u64) -> Load {
    let mut random = stream(seed, "load");
    Load {
        per_second: random.choice([1.0, 5.0, 20.0, 60.0]).unwrap_or(5.0),
        idempotent: random.choice([0.0, 0.5, 0.8, 1.0]).unwrap_or(0.5),
        timeout: Duration::from_secs(random.u64(2..10)),
        patience: Duration::from_millis(random.u64(60..250)),
        impatient: stream(seed, "impatience").choice([0.0, 0.0, 0.05, 0.2]).unwrap_or(0.0),
        long: stream(seed, "bodies").choice([0.0, 0.2]).unwrap_or(0.0),
        closed: stream(seed, "closes").choice([0.0, 0.02]).unwrap_or(0.0),
        stalls: Duration::from_secs(stream(seed, "stalls").choice([0, 0, 3, 10]).unwrap_or(0)),
        operator: match failback(seed) {
            // Somebody has to.
            FailbackMode::Manual => Duration::from_secs(2),
            FailbackMode::Automatic => {
                Duration::from_secs(stream(seed, "operator").choice([0, 0, 3]).unwrap_or(0))
            }
        },
    }
}

fn failback(seed: u64) -> FailbackMode {
    if stream(seed, "manual").u8(..5) == 0 { FailbackMode::Manual } else { FailbackMode::Automatic }
}

pub(crate) fn topology(seed: u64) -> Topology {
    let mut random = stream(seed, "backends");
    let count = random.choice([1, 2, 2, 3, 3, 4, 6]).unwrap_or(2);
    let urls: Vec<String> =
        (0..count).map(|index| format!("http://127.0.0.1:{}", 3001 + index)).collect();
    let mut topology =
        config::from_urls(([127, 0, 0, 1], 8021).into(), &urls).expect("the URLs are well formed");
    let pool = &mut topology.pools[0];
    let mut tier = 0;
    for (index, backend) in pool.backends.iter_mut().enumerate() {
        tier += usize::from(index != 0 && tier < 2 && random.bool());
        backend.tier = tier;
        backend.weight = count_of(random.u32(1..=3));
    }
    pool.balance = if random.bool() { Balance::RoundRobin } else { Balance::LeastRequests };
    draw_checks(pool, &mut stream(seed, "checks"));
    draw_tiers(pool, &mut stream(seed, "tiers"));
    draw_shares(pool, &mut stream(seed, "shares"));
    draw_returns(pool, &mut stream(seed, "returns"));
    pool.tiers.failback = failback(seed);
    pool.suspicion.floor = load(seed).patience;
    if stream(seed, "when down").u8(..3) == 0 {
        pool.when_down = WhenDown::FailOpen;
    }
    draw_outliers(&mut pool.outlier_detection, &mut stream(seed, "outliers"));
    draw_retries(&mut pool.retries, &mut stream(seed, "retries"));
    pool.suspicion.hedge = stream(seed, "hedge").u8(..4) != 0;
    topology
}

fn draw_checks(pool: &mut Pool, random: &mut Rng) {
    let policy = &mut pool.health_check;
    policy.interval = Duration::from_millis(random.u64(300..2_000));
    policy.interval_fast = policy.interval.min(Duration::from_millis(random.u64(50..300)));
    policy.jitter = random.choice([0.0, 0.2]).unwrap_or(0.0);
    policy.timeout = policy.interval.min(Duration::from_millis(random.u64(100..800)));
    policy.rise = count_of(random.u32(1..=3));
    policy.fall = count_of(random.u32(1..=3));
}

fn draw_tiers(pool: &mut Pool, random: &mut Rng) {
    let policy = &mut pool.tiers;
    let needed = NonZeroUsize::new(random.usize(1..=2)).unwrap_or(NonZeroUsize::MIN);
    policy.fail_over_below = Capacity::Backends(needed);
    policy.failback_after = Duration::from_millis(random.u64(500..8_000));
}

fn draw_shares(pool: &mut Pool, random: &mut Rng) {
    let policy = &mut pool.tiers;
    if random.u8(..3) == 0 {
        policy.fail_over_below =
            Capacity::Share(random.choice([0.3, 0.5, 0.7, 1.0]).unwrap_or(0.5));
    }
    policy.spill_over = random.u8(..3) == 0;
}

fn draw_returns(pool: &mut Pool, random: &mut Rng) {
    let policy = &mut pool.tiers;
    let longest = policy.failback_after * random.choice([1, 2, 4]).unwrap_or(1);
    policy.failback_after_max = longest.min(policy.failback_after.max(Duration::from_secs(10)));
    policy.failback_ramp =
        Duration::from_millis(random.choice([0, 500, 3_000, 8_000]).unwrap_or(0));
    pool.slow_start = Duration::from_millis(random.choice([0, 500, 5_000]).unwrap_or(0));
}

fn draw_outliers(policy: &mut OutlierPolicy, random: &mut Rng) {
    policy.consecutive_failures = count_of(random.u32(1..=5));
    policy.eject_base = Duration::from_millis(random.u64(500..5_000));
    policy.eject_max = policy.eject_base * random.u32(1..=4);
    policy.max_ejected = random.choice([0.0, 0.34, 0.5, 1.0]).unwrap_or(0.5);
}

fn draw_retries(policy: &mut RetryPolicy, random: &mut Rng) {
    policy.max_attempts = count_of(random.u32(1..=4));
    policy.statuses = vec![502, 503, 504];
    policy.per_try_timeout = Duration::from_millis(random.u64(300..2_000));
    policy.budget_ratio = random.choice([0.0, 0.1, 0.2]).unwrap_or(0.2);
    policy.budget_min_per_second = random.choice([0, 1, 3]).unwrap_or(3);
}

fn count_of(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}
