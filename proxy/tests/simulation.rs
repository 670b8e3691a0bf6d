//! The pure core in worlds made from seeds: virtual time, backends that fail in every way, clients
//! that do not wait.
//!
//! Clients go away, facts are lost, late and overtaken on their way to the fleet, operators ask for
//! things, and the whole machine stands still now and then.
//!
//! One number decides everything, so a world that breaks a law can be had again. `make test` runs
//! 200 seeds, `make soak` 50,000. `BASCULE_SEEDS=N` sets how many, `BASCULE_SEED=S` runs one and
//! shows what happened in it:
//!
//! ```text
//! BASCULE_SEED=17 cargo test -p bascule --test simulation -- --nocapture seeds_hold
//! ```
//!
//! After every step these laws hold ([`laws`]):
//!
//! 1. Nobody is picked who may not be, as the events tell it.
//! 2. No more backends are ejected than `max_ejected` allows.
//! 3. The active tier is the first that is able, but for those in their hold-down or on their ramp;
//!    where none is able, the fittest, or for a hold-down one that was. Failback is neither early nor late, whatever made its hold-down
//!    longer; failover leaves only a tier that is not able. Traffic is divided as the tiers can carry
//!    it, a returning tier and a regained backend get no more than their climb has come to, and
//!    everybody is asked exactly when a pool fails open ([`tiers`]).
//! 4. The events of a backend alternate, and those of a pool; what is published agrees with them.
//! 5. Paid retries and hedges of ten seconds stay within the budget, attempts of a request within
//!    `max_attempts`.
//! 6. What may not be repeated is executed once at most.
//! 7. A bounded time after the last fault every backend is healthy, and the first tier active.
//! 8. The same seed gives the same world, to the letter.
//! 9. Every incident ends, and counts what clients counted in its window.
//! 10. Silence clears nobody on whom a trial waits.
//! 11. Where nothing fails, nobody is suspected, though the machine stands still now and then.
//! 12. A deadline that was handled is over: the fleet's driver never spins.
//! 13. An order that is not forced empties no pool, nobody is picked whom an operator took out, and a
//!     pool that one moved stays there until he asks for the return or the tier cannot serve.

#![expect(clippy::expect_used, reason = "a test may stop at the first thing that is wrong")]
#![expect(clippy::panic, reason = "a test may stop at the first thing that is wrong")]
#![expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shares of small counts"
)]

#[path = "simulation/backends.rs"]
mod backends;
#[path = "simulation/core.rs"]
mod core;
#[path = "simulation/laws.rs"]
mod laws;
#[path = "simulation/mail.rs"]
mod mail;
#[path = "simulation/policy.rs"]
mod policy;
#[path = "simulation/requests.rs"]
mod requests;
#[path = "simulation/script.rs"]
mod script;
#[path = "simulation/tiers.rs"]
mod tiers;
#[path = "simulation/world.rs"]
mod world;

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
};

use world::{Breach, Chronicle, World};

/// Worlds of every test run.
const SEEDS: u64 = 200;

/// Lines shown of what led to a breach.
const LINES_SHOWN: usize = 60;

/// What every kind of failure is told as; all must have been seen.
const CAUSES: [&str; 9] =
    ["crash", "hang", "slow", "errors", "grey", "truncation", "partition", "drained", "manual"];

#[test]
fn seeds_hold_every_law() {
    if let Some(seed) = number("BASCULE_SEED") {
        match run(seed) {
            Ok(chronicle) => println!("{}", chronicle.lines),
            Err(breach) => panic!("{breach}"),
        }
        return;
    }
    let total = run_all(number("BASCULE_SEEDS").unwrap_or(SEEDS));
    println!("{total:?}");
    // A simulation in which nothing happens proves nothing.
    let tiers = [total.failovers, total.ramps, total.aborts, total.spilled, total.hoped];
    let orders = [total.orders, total.refused];
    let others = [total.retries, total.hedges, total.lost, total.heard_out, total.stalls];
    for count in others.into_iter().chain(tiers).chain(orders) {
        assert!(0 < count, "something never happened: {total:?}");
    }
    for cause in CAUSES {
        assert!(total.incidents.contains_key(cause), "no {cause} happened: {total:?}");
    }
}

#[test]
fn where_nothing_fails_nobody_is_suspected_however_the_machine_stands_still() {
    for seed in 0..100 {
        if let Err(breach) = World::quiet(seed).run().map_err(|breach| told(seed, &breach)) {
            panic!("{breach}");
        }
    }
}

/// Seeds of worlds in which a law was once broken, each with a test of its own that says which.
mod broken_once {
    use super::holds;

    #[test]
    fn the_story_of_a_backup_ends_when_traffic_returns_to_a_better_tier() {
        holds(9);
    }

    #[test]
    fn silence_after_a_second_grant_clears_nobody_on_whom_the_first_trial_waits() {
        holds(129);
    }
}

fn holds(seed: u64) {
    if let Err(breach) = run(seed) {
        panic!("{breach}");
    }
}

#[test]
fn the_same_seed_gives_the_same_world() {
    for seed in 1_000..1_010 {
        let worlds = [run(seed), run(seed)].map(Result::ok);
        assert!(worlds[0].is_some() && worlds[0] == worlds[1], "seed {seed} gave two worlds");
    }
}

/// Runs the worlds of the seeds below `count`, on every core, and adds up what happened. Ends soon
/// after a law is broken, with what led to it.
fn run_all(count: u64) -> Chronicle {
    let next = AtomicU64::new(0);
    let worker = || {
        let mut sum = Chronicle::default();
        loop {
            let seed = next.fetch_add(1, Relaxed);
            if count <= seed {
                return Ok(sum);
            }
            match run(seed) {
                Ok(chronicle) => add(&mut sum, &chronicle),
                Err(breach) => {
                    next.store(count, Relaxed);
                    return Err(breach);
                }
            }
        }
    };
    let ends: Vec<Result<Chronicle, String>> = thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().expect("breaches are values")).collect()
    });
    let mut total = Chronicle::default();
    for end in ends {
        match end {
            Ok(sum) => add(&mut total, &sum),
            Err(breach) => panic!("{breach}"),
        }
    }
    total
}

fn add(total: &mut Chronicle, other: &Chronicle) {
    total.requests += other.requests;
    total.lost += other.lost;
    total.retries += other.retries;
    total.hedges += other.hedges;
    total.heard_out += other.heard_out;
    total.stalls += other.stalls;
    total.failovers += other.failovers;
    total.ramps += other.ramps;
    total.aborts += other.aborts;
    total.spilled += other.spilled;
    total.hoped += other.hoped;
    total.orders += other.orders;
    total.refused += other.refused;
    for (cause, count) in &other.incidents {
        *total.incidents.entry(cause).or_default() += count;
    }
}

/// Runs the world of `seed`. An error says which law was broken, what led to it, and how to have it
/// again.
fn run(seed: u64) -> Result<Chronicle, String> {
    World::new(seed).run().map_err(|breach| told(seed, &breach))
}

fn told(seed: u64, Breach { law, at, lines }: &Breach) -> String {
    let lines: Vec<&str> = lines.lines().collect();
    let shown = lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n");
    format!(
        "{shown}\n\nseed {seed}, after {} ms: {law}\nreplay: BASCULE_SEED={seed} cargo test -p \
         bascule --test simulation -- --nocapture seeds_hold",
        at.as_millis()
    )
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().expect("a seed is a number"))
}
