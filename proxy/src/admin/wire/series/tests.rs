use super::*;
use crate::{
    admin::wire::topology_for_tests,
    event::{Fate, Rescue},
};

/// Returns the first moment after `at` that is a whole second of the wall clock.
fn next_second(at: Timestamp) -> Timestamp {
    let into = u64::from(clock::wall_of(at).subsec_nanos());
    at + Duration::from_nanos(1_000_000_000 - into)
}

fn found(timeline: &Timeline, seconds: usize, now: Timestamp) -> Series {
    let topology = topology_for_tests();
    series(&topology.pools[0], timeline, seconds, Timestamp::ZERO, now)
}

#[test]
fn a_point_is_a_whole_second_of_the_wall_clock() {
    let timeline = Timeline::new(2);
    let second = next_second(Timestamp::from_millis(50_000));
    let middle = second + Duration::from_millis(500);
    timeline.record(middle, Duration::from_millis(3), Fate::Served, 1);
    timeline.record(middle, Duration::from_millis(3), Fate::Lost, 1);
    timeline.record(middle, Duration::from_millis(3), Fate::Rescued(Rescue::Retry), 2);
    timeline.record_answer(middle, 1);
    let now = second + Duration::from_millis(1_700);
    let series = found(&timeline, 3, now);
    assert_eq!(Duration::from_secs(series.start + 2), clock::wall_of(second));
    assert_eq!(series.requests, [0, 0, 3]);
    assert_eq!(series.lost, [0, 0, 1]);
    assert_eq!(series.rescued, [0, 0, 1]);
    assert_eq!(series.p50_seconds[..2], [None, None]);
    assert!(series.p50_seconds[2].is_some() && series.p99_seconds[2].is_some());
    assert_eq!(series.backends["primary"], [0, 0, 0]);
    assert_eq!(series.backends["secondary"], [0, 0, 1]);
}

#[test]
fn every_request_falls_into_exactly_one_point() {
    let timeline = Timeline::new(2);
    let start = Timestamp::from_millis(50_000);
    for step in 0..1_000 {
        let at = start + Duration::from_millis(17 * step);
        timeline.record(at, Duration::from_millis(1), Fate::Served, 1);
    }
    let series = found(&timeline, 60, start + Duration::from_secs(30));
    assert_eq!(series.requests.iter().sum::<u64>(), 1_000);
}

#[test]
fn the_second_under_way_is_left_out() {
    let timeline = Timeline::new(2);
    let second = next_second(Timestamp::from_millis(50_000));
    timeline.record(second + Duration::from_millis(200), Duration::ZERO, Fate::Served, 1);
    let series = found(&timeline, 5, second + Duration::from_millis(900));
    assert_eq!(series.requests, [0, 0, 0, 0, 0]);
}

#[test]
fn there_are_no_points_before_the_process_or_beyond_the_timelines_reach() {
    let timeline = Timeline::new(2);
    assert!(found(&timeline, 300, Timestamp::ZERO).requests.is_empty());
    assert!(found(&timeline, 300, Timestamp::from_millis(10_000)).requests.len() <= 10);
    let series = found(&timeline, 300, Timestamp::from_millis(1_000_000));
    let reach = usize::try_from(Timeline::reach().as_secs()).unwrap();
    assert!((reach - 1..=reach).contains(&series.requests.len()), "{}", series.requests.len());
    for column in [&series.lost, &series.rescued, &series.backends["primary"]] {
        assert_eq!(column.len(), series.requests.len());
    }
}
