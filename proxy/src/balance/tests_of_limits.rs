//! Picks among backends that can be full.

use std::num::NonZeroU32;

use super::{
    tests::{World, plain},
    *,
};

impl World {
    /// Bounds the attempts at each backend, of which so many are under way.
    pub(crate) fn limit(mut self, max_requests: u32, in_flight: &[u64]) -> Self {
        let pool = &mut self.topology.pools[0];
        pool.limits.max_requests = NonZeroU32::new(max_requests);
        for (backend, &number) in self.live.pools[0].backends.iter().zip(in_flight) {
            backend.in_flight.store(number, Relaxed);
        }
        self
    }

    fn why_not(&self, tried: &[usize]) -> Option<Unpicked> {
        let (pool, live) = (&self.topology.pools[0], &self.live.pools[0]);
        let (random, now) = (&mut fastrand::Rng::with_seed(1), Timestamp::ZERO);
        pick(pool, &self.snapshot, live, plain(tried), random, now).err()
    }

    fn has_room(&self, anywhere: bool) -> bool {
        has_room(&self.topology.pools[0], &self.snapshot, &self.live.pools[0], anywhere)
    }
}

#[test]
fn a_full_backend_is_passed_over_and_a_full_tier_is_waited_for() {
    for balance in [Balance::RoundRobin, Balance::LeastRequests] {
        let all = [(0, 1, true), (0, 1, true), (1, 1, true)];
        let world = World::new(balance, Some(0), &all).limit(2, &[2, 1, 0]);
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..20 {
            assert_eq!(world.pick(&[], &mut random).unwrap().index, 1);
        }
        assert_eq!(world.why_not(&[1]), Some(Unpicked::Full));
        assert!(world.has_room(false));
        let world = world.limit(2, &[2, 2, 0]);
        assert_eq!(world.why_not(&[]), Some(Unpicked::Full));
        assert_eq!([false, true].map(|it| world.has_room(it)), [false, true]);
        // Who has tried the whole tier is past it.
        assert_eq!(world.pick(&[0, 1], &mut random).unwrap().index, 2);
    }
}

#[test]
fn a_full_tier_spills_over_only_if_it_may_and_trusted_backends_come_first() {
    let all = [(0, 1, true), (0, 1, true), (1, 1, true)];
    let mut world =
        World::new(Balance::RoundRobin, Some(0), &all).suspect(&[1]).limit(1, &[1, 0, 0]);
    // Waiting for a trusted backend is better than going to a suspected one.
    assert_eq!(world.why_not(&[]), Some(Unpicked::Full));
    world.topology.pools[0].limits.spill_over = true;
    let mut random = fastrand::Rng::with_seed(1);
    assert_eq!(world.pick(&[], &mut random).unwrap().index, 2);
    assert_eq!(world.pick(&[2], &mut random).unwrap().index, 1);
    let world = world.limit(1, &[1, 1, 1]);
    assert_eq!(world.why_not(&[]), Some(Unpicked::Full));
    assert!(!world.has_room(true));
}

#[test]
fn a_trial_waits_while_its_backend_is_full_and_nobody_is_not_everybody_full() {
    let world = World::new(Balance::RoundRobin, Some(0), &[(0, 1, true), (0, 1, true)])
        .suspect(&[0])
        .limit(1, &[1, 0]);
    world.grant(0, 1);
    let mut random = fastrand::Rng::with_seed(1);
    assert_eq!(world.pick(&[], &mut random).unwrap().index, 1);
    let world = world.limit(1, &[0, 0]);
    assert_eq!(world.pick(&[], &mut random).unwrap().index, 0);
    let nobody = World::new(Balance::RoundRobin, None, &[(0, 1, false)]).limit(1, &[1]);
    assert_eq!(nobody.why_not(&[]), Some(Unpicked::Nobody));
}
