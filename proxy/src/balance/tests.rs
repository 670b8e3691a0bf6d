use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{
    model::{Topology, sample},
    snapshot::{BackendSnapshot, Candidates, Condition, Division, Live, Maglev, Schedule},
};

/// A pool of which some backends are eligible: `(tier, weight, is eligible)`.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) topology: Topology,
    pub(crate) live: Live,
    pub(crate) snapshot: PoolSnapshot,
}

impl World {
    pub(crate) fn new(
        balance: Balance,
        active_tier: Option<usize>,
        backends: &[(usize, u32, bool)],
    ) -> Self {
        let plain: Vec<_> = backends.iter().map(|&(tier, weight, _)| (tier, weight)).collect();
        let mut pool = sample::pool("api", &plain);
        pool.balance = balance;
        let tiers = (0..pool.tier_count()).map(|tier| {
            let eligible: Vec<usize> = (0..backends.len())
                .filter(|&at| backends[at].0 == tier && backends[at].2)
                .collect();
            let weights: Vec<_> = eligible.iter().map(|&at| (at, backends[at].1)).collect();
            TierSnapshot { schedule: Schedule::new(&weights), eligible, trusted: None }
        });
        let table = |tier: usize| {
            let of_tier = pool.backends.iter().enumerate().filter(|(_, it)| it.tier == tier);
            let named = of_tier.map(|(at, it)| (at, &*it.name, it.weight.get()));
            Maglev::new(&named.collect::<Vec<_>>())
        };
        let tables = if balance == Balance::Hash {
            (0..pool.tier_count()).map(table).collect()
        } else {
            Vec::new()
        };
        let snapshot = PoolSnapshot {
            active_tier,
            tables: tables.into(),
            tiers: tiers.collect(),
            weights: backends.iter().map(|&(_, weight, _)| weight).collect(),
            backends: backends.iter().map(|&(_, _, it)| backend(it)).collect(),
            ..PoolSnapshot::default()
        };
        let topology = sample::topology(vec![pool]);
        let live = Live::new(&topology);
        Self { topology, live, snapshot }
    }

    pub(crate) fn pick(&self, tried: &[usize], random: &mut fastrand::Rng) -> Option<Pick> {
        self.pick_at(0, Idempotence::Idempotent, tried, random)
    }

    fn pick_at(
        &self,
        millis: u64,
        idempotence: Idempotence,
        tried: &[usize],
        random: &mut fastrand::Rng,
    ) -> Option<Pick> {
        let (pool, live) = (&self.topology.pools[0], &self.live.pools[0]);
        let now = Timestamp::from_millis(millis);
        let request = Request { tried, idempotence, hash: None, home: None };
        pick(pool, &self.snapshot, live, request, random, now).ok()
    }

    /// Withdraws the trust in some backends.
    pub(crate) fn suspect(mut self, suspected: &[usize]) -> Self {
        for &index in suspected {
            self.snapshot.backends[index].condition = Condition::Suspected;
        }
        for tier in &mut self.snapshot.tiers {
            let trusted: Vec<usize> =
                tier.eligible.iter().copied().filter(|it| !suspected.contains(it)).collect();
            if trusted.len() < tier.eligible.len() {
                let weight_of = |index: usize| self.topology.pools[0].backends[index].weight.get();
                let weights: Vec<_> = trusted.iter().map(|&at| (at, weight_of(at))).collect();
                tier.trusted = Some(Arc::new(TierSnapshot {
                    schedule: Schedule::new(&weights),
                    eligible: trusted,
                    trusted: None,
                }));
            }
        }
        self
    }

    pub(crate) fn grant(&self, index: usize, millis: u64) {
        self.live.pools[0].backends[index].trial_from.store(millis, Relaxed);
    }
}

pub(crate) fn plain(tried: &[usize]) -> Request<'_> {
    Request { tried, idempotence: Idempotence::Idempotent, hash: None, home: None }
}

fn backend(is_eligible: bool) -> BackendSnapshot {
    let condition = if is_eligible { Condition::Healthy } else { Condition::Unhealthy };
    BackendSnapshot::sample(condition, Timestamp::ZERO)
}

#[test]
fn the_active_tier_comes_first_then_the_preferred_ones() {
    let all = [(0, 1, true), (1, 1, true), (2, 1, true)];
    let world = World::new(Balance::RoundRobin, Some(1), &all);
    let mut random = fastrand::Rng::with_seed(1);
    let mut tried = Vec::new();
    for expected in [1, 0, 2] {
        let pick = world.pick(&tried, &mut random).unwrap();
        assert_eq!(
            pick,
            Pick { index: expected, tier: expected, is_untried: true, is_trial: false }
        );
        tried.push(pick.index);
    }
    let again = world.pick(&tried, &mut random).unwrap();
    assert_eq!(again, Pick { index: 1, tier: 1, is_untried: false, is_trial: false });
}

#[test]
fn first_attempts_are_divided_and_retries_go_to_the_active_tier() {
    let all = [(0, 1, true), (1, 1, true), (1, 1, true)];
    let mut world = World::new(Balance::RoundRobin, Some(1), &all);
    world.snapshot.division = Division::new(&[(0, 0.25), (1, 0.75)]);
    let mut random = fastrand::Rng::with_seed(1);
    let mut picks = [0_u32; 3];
    for _ in 0..4_000 {
        picks[world.pick(&[], &mut random).unwrap().index] += 1;
        assert_eq!(world.pick(&[1], &mut random).unwrap().index, 2);
    }
    assert!((900..1_100).contains(&picks[0]), "{picks:?}");
    assert!(picks[1].abs_diff(picks[2]) <= 1, "{picks:?}");
    assert_eq!(world.pick(&[1, 2], &mut random).unwrap().index, 0);
}

#[test]
fn the_last_attempt_leaves_a_tier_that_has_failed_all_before() {
    let all = [(0, 1, true), (0, 1, true), (0, 1, true), (1, 1, true), (2, 1, true)];
    let mut world = World::new(Balance::RoundRobin, Some(0), &all);
    let tier_of_last = |world: &World, tried: &[usize]| {
        world.pick(tried, &mut fastrand::Rng::with_seed(1)).unwrap().tier
    };
    assert_eq!(world.topology.pools[0].retries.max_attempts.get(), 3);
    assert_eq!(tier_of_last(&world, &[0]), 0);
    assert_eq!(tier_of_last(&world, &[0, 2]), 1);
    assert_eq!(tier_of_last(&world, &[0, 3]), 0, "no tier has failed twice");
    world = world.suspect(&[3]);
    assert_eq!(tier_of_last(&world, &[0, 2]), 2, "where somebody is trusted");
    world = world.suspect(&[4]);
    assert_eq!(tier_of_last(&world, &[0, 2]), 0, "unless nobody is");
    let alone = World::new(Balance::RoundRobin, Some(0), &all[..3]);
    assert_eq!(tier_of_last(&alone, &[0, 2]), 0);
}

#[test]
fn a_share_of_a_tier_that_has_nobody_left_goes_to_the_active_one() {
    let some = [(0, 1, false), (1, 1, true), (2, 1, true)];
    let mut world = World::new(Balance::LeastRequests, Some(2), &some);
    world.snapshot.division = Division::new(&[(0, 0.5), (2, 0.5)]);
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..50 {
        assert_eq!(world.pick(&[], &mut random).unwrap().index, 2);
    }
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

#[test]
fn trusted_backends_of_any_tier_come_before_suspected_ones_and_tried_ones_last() {
    for balance in [Balance::RoundRobin, Balance::LeastRequests] {
        let all = [(0, 1, true), (0, 1, true), (1, 1, true)];
        let mut random = fastrand::Rng::with_seed(1);
        let world = World::new(balance, Some(0), &all).suspect(&[0]);
        for (tried, expected) in [(vec![], 1), (vec![1], 2), (vec![1, 2], 0), (vec![0, 1, 2], 1)] {
            assert_eq!(world.pick(&tried, &mut random).unwrap().index, expected, "{tried:?}");
        }
        let world = World::new(balance, Some(0), &all).suspect(&[0, 1]);
        assert_eq!(world.pick(&[], &mut random).unwrap().index, 2);
        let world = World::new(balance, Some(0), &all).suspect(&[0, 1, 2]);
        assert_eq!(world.pick(&[], &mut random).unwrap().tier, 0);
    }
}

#[test]
fn a_share_of_a_tier_in_which_nobody_is_trusted_goes_to_the_active_one_but_for_trials() {
    for (active, other) in [(0, 1), (1, 0)] {
        let all = [(0, 1, true), (1, 1, true), (2, 1, true)];
        let mut world = World::new(Balance::RoundRobin, Some(active), &all).suspect(&[other]);
        world.snapshot.division = Division::new(&[(active, 0.5), (other, 0.5)]);
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..20 {
            assert_eq!(world.pick(&[], &mut random).unwrap().index, active);
        }
        assert_eq!(world.pick(&[active], &mut random).unwrap().index, 2);
        assert_eq!(world.pick(&[active, 2], &mut random).unwrap().index, other);
        world.grant(other, 1);
        assert_eq!([(); 2].map(|()| world.pick(&[], &mut random).unwrap().index), [other, active]);
    }
}

#[test]
fn weights_of_the_moment_count_among_the_trusted_as_among_all() {
    let all = [(0, 9, true), (0, 9, true), (0, 9, true)];
    let mut world = World::new(Balance::LeastRequests, Some(0), &all).suspect(&[2]);
    world.snapshot.weights = [1, 3, 9].into();
    let mut random = fastrand::Rng::with_seed(1);
    let backends = &world.live.pools[0].backends;
    for (busy, expected) in [([1, 4], 1), ([1, 6], 0), ([2, 7], 1), ([2, 9], 0)] {
        backends[0].in_flight.store(busy[0], Relaxed);
        backends[1].in_flight.store(busy[1], Relaxed);
        assert_eq!(world.pick(&[], &mut random).unwrap().index, expected, "{busy:?}");
    }
}

#[test]
fn exactly_one_request_takes_a_trial() {
    let world =
        World::new(Balance::RoundRobin, Some(0), &[(0, 1, true), (0, 1, true)]).suspect(&[0]);
    let mut random = fastrand::Rng::with_seed(1);
    let mut picks =
        |tried: &[usize]| [(); 3].map(|()| world.pick(tried, &mut random).unwrap().index);
    assert_eq!(picks(&[]), [1, 1, 1]);
    world.grant(0, 5);
    assert_eq!(picks(&[]), [0, 1, 1]);
    world.grant(0, 5);
    // A retry tries nothing out; neither does one that has nobody else.
    assert_eq!(world.pick(&[1], &mut fastrand::Rng::with_seed(1)).unwrap().index, 0);
    assert_eq!(world.live.pools[0].backends[0].trial_from.load(Relaxed), 5);
}

#[test]
fn a_request_that_must_not_be_repeated_takes_a_trial_that_nobody_else_wanted() {
    let world =
        World::new(Balance::RoundRobin, Some(0), &[(0, 1, true), (0, 1, true)]).suspect(&[0]);
    let mut random = fastrand::Rng::with_seed(1);
    world.grant(0, 500);
    for (millis, expected) in [(1_499, 1), (1_500, 0), (1_501, 1)] {
        let pick = world.pick_at(millis, Idempotence::NotIdempotent, &[], &mut random);
        assert_eq!(pick.unwrap().index, expected, "{millis}");
    }
}

#[test]
fn trials_are_made_in_the_active_tier_and_in_preferred_ones_only() {
    let all = [(0, 1, true), (1, 1, true), (1, 1, true), (2, 1, true)];
    for (active, suspected, expected) in
        [(1, 0, 0), (1, 1, 1), (1, 3, 2), (0, 1, 0), (2, 0, 0), (2, 1, 1)]
    {
        let world = World::new(Balance::LeastRequests, Some(active), &all).suspect(&[suspected]);
        world.grant(suspected, 1);
        let mut random = fastrand::Rng::with_seed(1);
        let pick = world.pick(&[], &mut random).unwrap();
        let is_trial = pick.index == suspected;
        assert_eq!(is_trial, expected == suspected, "{active} {suspected} {pick:?}");
    }
}

fn backends() -> impl Strategy<Value = Vec<(usize, u32, bool)>> {
    prop::collection::vec((0_usize..3, 1_u32..8, any::<bool>()), 1..7)
}

fn balance() -> impl Strategy<Value = Balance> {
    prop_oneof![
        Just(Balance::RoundRobin),
        Just(Balance::LeastRequests),
        Just(Balance::PeakEwma),
        Just(Balance::Hash),
    ]
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
