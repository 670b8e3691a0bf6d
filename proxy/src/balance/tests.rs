use std::sync::atomic::Ordering::Relaxed;

use proptest::prelude::*;

use super::*;
use crate::{
    clock::Timestamp,
    model::{Topology, sample},
    snapshot::{BackendSnapshot, Candidates, Condition, Live, Schedule},
};

/// A pool of which some backends are eligible: `(tier, weight, is eligible)`.
#[derive(Debug)]
struct World {
    topology: Topology,
    live: Live,
    snapshot: PoolSnapshot,
}

impl World {
    fn new(balance: Balance, active_tier: Option<usize>, backends: &[(usize, u32, bool)]) -> Self {
        let plain: Vec<_> = backends.iter().map(|&(tier, weight, _)| (tier, weight)).collect();
        let mut pool = sample::pool("api", &plain);
        pool.balance = balance;
        let tiers = (0..pool.tier_count()).map(|tier| {
            let eligible: Vec<usize> = (0..backends.len())
                .filter(|&at| backends[at].0 == tier && backends[at].2)
                .collect();
            let weights: Vec<_> = eligible.iter().map(|&at| (at, backends[at].1)).collect();
            TierSnapshot { schedule: Schedule::new(&weights), eligible }
        });
        let snapshot = PoolSnapshot {
            active_tier,
            since: Timestamp::ZERO,
            failback: None,
            tiers: tiers.collect(),
            backends: backends.iter().map(|&(_, _, it)| backend(it)).collect(),
        };
        let topology = sample::topology(vec![pool]);
        let live = Live::new(&topology);
        Self { topology, live, snapshot }
    }

    fn pick(&self, tried: &[usize], random: &mut fastrand::Rng) -> Option<Pick> {
        pick(&self.topology.pools[0], &self.snapshot, &self.live.pools[0], tried, random)
    }
}

fn backend(is_eligible: bool) -> BackendSnapshot {
    BackendSnapshot {
        condition: if is_eligible { Condition::Healthy } else { Condition::Unhealthy },
        trouble: None,
        since: Timestamp::ZERO,
        epoch: 0,
        last_check: None,
    }
}

#[test]
fn the_active_tier_comes_first_then_the_preferred_ones() {
    let all = [(0, 1, true), (1, 1, true), (2, 1, true)];
    let world = World::new(Balance::RoundRobin, Some(1), &all);
    let mut random = fastrand::Rng::with_seed(1);
    let mut tried = Vec::new();
    for expected in [1, 0, 2] {
        let pick = world.pick(&tried, &mut random).unwrap();
        assert_eq!(pick, Pick { index: expected, tier: expected, is_untried: true });
        tried.push(pick.index);
    }
    let again = world.pick(&tried, &mut random).unwrap();
    assert_eq!(again, Pick { index: 1, tier: 1, is_untried: false });
}

#[test]
fn whatever_is_eligible_is_picked_though_no_tier_is_active() {
    let world = World::new(Balance::RoundRobin, None, &[(0, 1, false), (1, 1, true)]);
    let mut random = fastrand::Rng::with_seed(1);
    assert_eq!(world.pick(&[], &mut random).map(|pick| pick.index), Some(1));
}

#[test]
fn nothing_eligible_means_no_pick() {
    for balance in [Balance::RoundRobin, Balance::LeastRequests] {
        let world = World::new(balance, None, &[(0, 1, false), (1, 1, false)]);
        let mut random = fastrand::Rng::with_seed(1);
        assert_eq!(world.pick(&[], &mut random), None);
        assert_eq!(world.pick(&[0], &mut random), None);
    }
}

#[test]
fn retries_do_not_disturb_the_turns_of_first_attempts() {
    let world = World::new(Balance::RoundRobin, Some(0), &[(0, 1, true), (0, 1, true)]);
    let mut random = fastrand::Rng::with_seed(1);
    let mut firsts = Vec::new();
    for _ in 0..4 {
        let first = world.pick(&[], &mut random).unwrap().index;
        firsts.push(first);
        if first == 0 {
            assert_eq!(world.pick(&[0], &mut random).unwrap().index, 1);
        }
    }
    assert_eq!(firsts, [0, 1, 0, 1]);
}

#[test]
fn the_less_busy_of_two_is_picked_in_relation_to_its_weight() {
    let world = World::new(Balance::LeastRequests, Some(0), &[(0, 10, true), (0, 1, true)]);
    let mut random = fastrand::Rng::with_seed(7);
    let backends = &world.live.pools[0].backends;
    for (busy, expected) in [([5, 0], 0), ([8, 0], 0), ([12, 0], 1), ([30, 4], 0)] {
        backends[0].in_flight.store(busy[0], Relaxed);
        backends[1].in_flight.store(busy[1], Relaxed);
        assert_eq!(world.pick(&[], &mut random).unwrap().index, expected, "{busy:?}");
    }
}

fn backends() -> impl Strategy<Value = Vec<(usize, u32, bool)>> {
    prop::collection::vec((0_usize..3, 1_u32..8, any::<bool>()), 1..7)
}

fn balance() -> impl Strategy<Value = Balance> {
    prop_oneof![Just(Balance::RoundRobin), Just(Balance::LeastRequests)]
}

fn weights() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(1_u32..10, 2..5)
}

fn one_tier(balance: Balance, weights: &[u32]) -> World {
    let backends: Vec<_> = weights.iter().map(|&weight| (0, weight, true)).collect();
    World::new(balance, Some(0), &backends)
}

/// Asserts that `counts` are in proportion to `weights`, give or take `tolerance` of the whole.
fn check_shares(counts: &[u64], weights: &[u32], tolerance: f64) -> Result<(), TestCaseError> {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let total = counts.iter().sum::<u64>() as f64;
    let weight_total = f64::from(weights.iter().sum::<u32>());
    for (&count, &weight) in counts.iter().zip(weights) {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let off = count as f64 / total - f64::from(weight) / weight_total;
        prop_assert!(off.abs() < tolerance, "{counts:?} for {weights:?}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn only_eligible_backends_are_picked_and_untried_ones_first(
        balance in balance(),
        backends in backends(),
        active in prop::option::of(0_usize..3),
        tried in prop::collection::vec(0_usize..7, 0..5),
        seed in any::<u64>(),
    ) {
        let world = World::new(balance, active, &backends);
        let mut random = fastrand::Rng::with_seed(seed);
        let untried_left =
            (0..backends.len()).any(|index| backends[index].2 && !tried.contains(&index));
        let candidates = world.snapshot.candidates(&tried);
        prop_assert_eq!(candidates == Candidates::Untried, untried_left);
        for _ in 0..20 {
            match world.pick(&tried, &mut random) {
                Some(pick) => {
                    prop_assert!(backends[pick.index].2, "ineligible");
                    prop_assert_eq!(backends[pick.index].0, pick.tier);
                    prop_assert_eq!(pick.is_untried, untried_left);
                    prop_assert_eq!(pick.is_untried, !tried.contains(&pick.index));
                }
                None => prop_assert_eq!(candidates, Candidates::Nobody),
            }
        }
    }

    #[test]
    fn turns_match_weights_exactly(weights in weights()) {
        let world = one_tier(Balance::RoundRobin, &weights);
        let mut random = fastrand::Rng::with_seed(1);
        let mut counts = vec![0; weights.len()];
        for _ in 0..weights.iter().sum::<u32>() {
            counts[world.pick(&[], &mut random).unwrap().index] += 1;
        }
        prop_assert_eq!(counts, weights);
    }

    #[test]
    fn an_idle_pool_is_used_as_the_weights_say(weights in weights(), seed in any::<u64>()) {
        let world = one_tier(Balance::LeastRequests, &weights);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut counts = vec![0; weights.len()];
        for _ in 0..4_000 {
            counts[world.pick(&[], &mut random).unwrap().index] += 1;
        }
        check_shares(&counts, &weights, 0.05)?;
    }

    #[test]
    fn requests_in_flight_are_shared_as_the_weights_say(
        weights in weights(),
        seed in any::<u64>(),
    ) {
        let world = one_tier(Balance::LeastRequests, &weights);
        let mut random = fastrand::Rng::with_seed(seed);
        let backends = &world.live.pools[0].backends;
        for _ in 0..2_000 {
            let pick = world.pick(&[], &mut random).unwrap();
            backends[pick.index].in_flight.fetch_add(1, Relaxed);
        }
        let counts: Vec<u64> = backends.iter().map(|it| it.in_flight.load(Relaxed)).collect();
        check_shares(&counts, &weights, 0.02)?;
    }

    #[test]
    fn retries_are_shared_among_the_untried_as_the_weights_say(
        balance in balance(),
        weights in prop::collection::vec(1_u32..10, 3..5),
        seed in any::<u64>(),
    ) {
        let world = one_tier(balance, &weights);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut counts = vec![0; weights.len()];
        for _ in 0..4_000 {
            counts[world.pick(&[0], &mut random).unwrap().index] += 1;
        }
        prop_assert_eq!(counts[0], 0);
        check_shares(&counts[1..], &weights[1..], 0.05)?;
    }
}
