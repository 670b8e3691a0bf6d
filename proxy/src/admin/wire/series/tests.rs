use super::*;
use crate::{
    admin::wire::topology_for_tests,
    clock::{self, Timestamp},
    event::{Fate, Rescue},
    history::History,
    model::PoolId,
    snapshot::Live,
};

/// Returns the first moment after `at` that is a whole second of the wall clock.
fn next_second(at: Timestamp) -> Timestamp {
    let into = u64::from(clock::wall_of(at).subsec_nanos());
    at + Duration::from_nanos(1_000_000_000 - into)
}

struct World {
    topology: model::Topology,
    live: Live,
    history: History,
}

impl World {
    fn new() -> Self {
        let topology = topology_for_tests();
        let live = Live::new(&topology);
        Self { topology, live, history: History::default() }
    }

    fn timeline(&self) -> &crate::snapshot::Timeline {
        &self.live.pool(PoolId(0)).timeline
    }

    fn series(&self, seconds: u64, now: Timestamp) -> Series {
        self.history.sample(&self.topology, &self.live, now);
        let pool = &self.topology.pools[0];
        series(pool, &self.history.table(&pool.name, seconds, None))
    }
}

#[test]
fn a_point_is_a_whole_second_of_the_wall_clock() {
    let world = World::new();
    let second = next_second(Timestamp::from_millis(50_000));
    let middle = second + Duration::from_millis(500);
    let timeline = world.timeline();
    timeline.record(middle, Duration::from_millis(3), Fate::Served, 1);
    timeline.record(middle, Duration::from_millis(3), Fate::Lost, 1);
    timeline.record(middle, Duration::from_millis(3), Fate::Rescued(Rescue::Retry), 2);
    timeline.record_answer(middle, 1);
    let series = world.series(3, second + Duration::from_millis(1_700));
    assert_eq!(Duration::from_secs(series.start + 2), clock::wall_of(second));
    assert_eq!(series.requests, [Some(0), Some(0), Some(3)]);
    assert_eq!(series.lost, [Some(0), Some(0), Some(1)]);
    assert_eq!(series.rescued, [Some(0), Some(0), Some(1)]);
    assert_eq!(series.p50_seconds[..2], [None, None]);
    assert!(series.p50_seconds[2].is_some() && series.p99_seconds[2].is_some());
    assert_eq!(series.backends["primary"], [Some(0), Some(0), Some(0)]);
    assert_eq!(series.backends["secondary"], [Some(0), Some(0), Some(1)]);
}

#[test]
fn every_request_falls_into_exactly_one_point() {
    let world = World::new();
    let start = Timestamp::from_millis(50_000);
    for step in 0..1_000 {
        let at = start + Duration::from_millis(17 * step);
        world.timeline().record(at, Duration::from_millis(1), Fate::Served, 1);
        if step % 100 == 0 {
            world.series(1, at);
        }
    }
    for seconds in [200, 900, 901, 20_000] {
        let series = world.series(seconds, start + Duration::from_secs(140));
        assert_eq!(series.requests.iter().flatten().sum::<u64>(), 1_000, "{seconds}");
    }
}

#[test]
fn the_second_under_way_is_left_out() {
    let world = World::new();
    let second = next_second(Timestamp::from_millis(50_000));
    world.timeline().record(second + Duration::from_millis(200), Duration::ZERO, Fate::Served, 1);
    let series = world.series(5, second + Duration::from_millis(900));
    assert_eq!(series.requests, [Some(0); 5]);
    assert_eq!(Duration::from_secs(series.start + 5), clock::wall_of(second));
}

#[test]
fn where_the_proxy_did_not_run_nothing_is_claimed() {
    let world = World::new();
    let now = Timestamp::from_millis(100_000);
    let series = world.series(300, now);
    let is_known = |column: &[Option<u64>]| column.iter().filter(|it| it.is_some()).count();
    assert_eq!(series.requests.len(), 300);
    assert!((99..=101).contains(&is_known(&series.requests)), "{}", is_known(&series.requests));
    for column in [&series.lost, &series.rescued, &series.backends["primary"]] {
        let places = |it: &[Option<u64>]| it.iter().map(Option::is_some).collect::<Vec<_>>();
        assert_eq!(places(column), places(&series.requests));
    }
    // What the timeline has forgotten was missed.
    let later = now + Duration::from_secs(1_000);
    assert_eq!(world.series(900, later).requests[200], None);
}
