//! Picks by home, by key and by cost.

use proptest::prelude::*;

use super::{
    tests::{World, plain},
    *,
};
use crate::snapshot::{Division, again};

impl World {
    fn with(&self, request: Request<'_>, millis: u64, random: &mut fastrand::Rng) -> usize {
        let (pool, live) = (&self.topology.pools[0], &self.live.pools[0]);
        let now = Timestamp::from_millis(millis);
        pick(pool, &self.snapshot, live, request, random, now).unwrap().index
    }

    fn hashed(&self, key: u64, tried: &[usize]) -> usize {
        let request = Request { hash: Some(again(key)), ..plain(tried) };
        self.with(request, 0, &mut fastrand::Rng::with_seed(1))
    }

    fn answered(&self, index: usize, took: u64, at: u64) {
        let backend = &self.live.pools[0].backends[index];
        backend.peak_ewma.observe(Duration::from_millis(took), Timestamp::from_millis(at));
    }
}

#[test]
fn a_client_is_kept_at_its_home_while_that_is_trusted_and_its_tier_serves() {
    let all = [(0, 1, true), (0, 1, true), (1, 1, true)];
    let mut random = fastrand::Rng::with_seed(1);
    let mut kept = |world: &World, home, tried: &[usize]| {
        let request = Request { home: Some(home), ..plain(tried) };
        (0..20).all(|_| world.with(request, 0, &mut random) == home)
    };
    let world = World::new(Balance::RoundRobin, Some(0), &all);
    assert!(kept(&world, 0, &[]) && kept(&world, 1, &[]));
    // The other tier does not serve; it has been tried; it is not known any more.
    assert!(!kept(&world, 2, &[]) && !kept(&world, 0, &[0]) && !kept(&world, 9, &[]));
    let mut shared = World::new(Balance::RoundRobin, Some(0), &all);
    shared.snapshot.division = Division::new(&[(0, 0.5), (1, 0.5)]);
    assert!(kept(&shared, 2, &[]));
    assert!(!kept(&World::new(Balance::RoundRobin, Some(0), &all).suspect(&[0]), 0, &[]));
    assert!(!kept(&world.limit(1, &[1, 0, 0]), 0, &[]));
}

#[test]
fn the_quicker_of_two_is_picked_until_it_is_busy_and_a_cold_one_gets_one_request() {
    let world = World::new(Balance::PeakEwma, Some(0), &[(0, 1, true), (0, 1, true)]);
    let mut random = fastrand::Rng::with_seed(1);
    let mut pick = |at| world.with(plain(&[]), at, &mut random);
    let backends = &world.live.pools[0].backends;
    world.answered(0, 10, 1);
    assert_eq!([(); 9].map(|()| pick(2)), [1; 9], "nothing is known of it");
    backends[1].in_flight.store(1, Relaxed);
    assert_eq!([(); 9].map(|()| pick(2)), [0; 9], "one request will tell");
    backends[1].in_flight.store(0, Relaxed);
    world.answered(1, 40, 3);
    assert_eq!([(); 9].map(|()| pick(3)), [0; 9]);
    backends[0].in_flight.store(5, Relaxed);
    assert_eq!([(); 9].map(|()| pick(3)), [1; 9]);
    // Whom nobody asks because it was slow is asked again in time.
    backends[0].in_flight.store(0, Relaxed);
    world.answered(0, 10, 30_000);
    assert_eq!(pick(30_000), 1);
}

proptest! {
    #[test]
    fn losing_a_backend_moves_its_keys_and_no_others(
        weights in prop::collection::vec(1_u32..5, 2..8),
        lost in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        let whole: Vec<_> = weights.iter().map(|&weight| (0, weight, true)).collect();
        let mut fewer = whole.clone();
        for index in &lost {
            fewer[index.index(weights.len())].2 = false;
        }
        prop_assume!(fewer.iter().any(|it| it.2));
        let (before, after) = (
            World::new(Balance::Hash, Some(0), &whole),
            World::new(Balance::Hash, Some(0), &fewer),
        );
        for key in 0..300 {
            let owner = before.hashed(key, &[]);
            let heir = after.hashed(key, &[]);
            let is_right = if fewer[owner].2 { heir == owner } else { fewer[heir].2 };
            prop_assert!(is_right, "{key}: {owner} {heir}");
            prop_assert_eq!(heir, after.hashed(key, &[]));
            if weights.len() > 1 {
                prop_assert_ne!(before.hashed(key, &[owner]), owner);
            }
        }
    }
}

#[test]
fn a_key_moves_only_while_its_backend_has_more_than_its_bound() {
    let mut world = World::new(Balance::Hash, Some(0), &[(0, 1, true); 4]);
    let owners: Vec<usize> = (0..500).map(|key| world.hashed(key, &[])).collect();
    world.topology.pools[0].hash_bound = Some(1.25);
    let backends = &world.live.pools[0].backends;
    // With 40 under way, ten each are due, and 13 of 41 are within the bound.
    for (backend, busy) in backends.iter().zip([12, 13, 9, 6]) {
        backend.in_flight.store(busy, Relaxed);
    }
    let heirs: Vec<usize> = (0..500).map(|key| world.hashed(key, &[])).collect();
    for (owner, heir) in owners.iter().zip(&heirs) {
        assert!(if *owner == 1 { *heir != 1 } else { heir == owner }, "{owner} {heir}");
    }
    let moved_to =
        |index: usize| owners.iter().zip(&heirs).filter(|it| *it.0 == 1 && *it.1 == index).count();
    assert!([0, 2, 3].into_iter().all(|it| 0 < moved_to(it)), "each key has an order of its own");
}

proptest! {
    /// Whatever keys come, and however few: nobody ever has more than the bound allows, and somebody
    /// is always picked.
    #[test]
    fn the_bound_holds_for_any_keys_and_weights(
        weights in prop::collection::vec(1_u32..5, 1..7),
        keys in prop::collection::vec(0_u64..4, 1..120),
        bound in 1.0_f64..3.0,
    ) {
        let all: Vec<_> = weights.iter().map(|&weight| (0, weight, true)).collect();
        let mut world = World::new(Balance::Hash, Some(0), &all);
        world.topology.pools[0].hash_bound = Some(bound);
        let sum = f64::from(weights.iter().sum::<u32>());
        for (count, key) in keys.into_iter().enumerate() {
            let index = world.hashed(key, &[]);
            let backend = &world.live.pools[0].backends[index].in_flight;
            let has = backend.fetch_add(1, Relaxed) + 1;
            let due = (count + 1) as f64 * f64::from(weights[index]) / sum;
            prop_assert!(has as f64 <= (bound * due).ceil(), "{has} of {due} due");
        }
    }
}
