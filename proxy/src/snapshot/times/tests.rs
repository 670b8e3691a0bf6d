//! What is learned of answers, how it follows what changes, and how backends are measured by it.

use proptest::prelude::*;

use super::*;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn learn(times: &Times, kind: Kind, millis: u64, answers: usize) {
    for _ in 0..answers {
        times.learn(kind, Duration::from_millis(millis), at(500));
    }
}

#[test]
fn nothing_is_known_until_there_were_enough_answers() {
    let (times, kind) = (Times::default(), Kind::of(0, "GET", "/a"));
    learn(&times, kind, 10, 49);
    times.digest();
    assert_eq!(times.longest(kind), None);
    learn(&times, kind, 10, 1);
    times.digest();
    let longest = times.longest(kind).unwrap();
    assert!((10..15).contains(&longest.as_millis()), "{longest:?}");
    times.forget();
    assert_eq!(times.longest(kind), None);
    learn(&times, kind, 10, 49);
    times.digest();
    assert_eq!(times.longest(kind), None, "what was forgotten must be learned anew");
}

#[test]
fn a_slow_kind_does_not_change_what_is_known_of_a_quick_one() {
    let times = Times::default();
    let (quick, slow) = (Kind::of(0, "GET", "/quick"), Kind::of(0, "GET", "/slow"));
    assert_ne!(quick, slow);
    learn(&times, quick, 2, 5000);
    learn(&times, slow, 900, 100);
    times.digest();
    let Measure { median, answers, .. } = times.measure(at(500)).unwrap();
    assert!(median.as_millis() <= 3 && answers == 5100, "{median:?} of {answers}");
    assert!(times.longest(quick).unwrap() < Duration::from_millis(3));
    assert!(Duration::from_millis(900) <= times.longest(slow).unwrap());
}

#[test]
fn ids_in_a_path_do_not_make_a_kind_of_their_own() {
    let kind = |path| Kind::of(3, "GET", path);
    assert_eq!(kind("/users/17/orders"), kind("/users/18/orders"));
    assert_ne!(kind("/users/17/orders"), kind("/users/17"));
    assert_ne!(Kind::of(3, "POST", "/users"), kind("/users"));
}

#[test]
fn what_is_known_follows_what_changes() {
    let (times, kind) = (Times::default(), Kind::of(0, "GET", "/a"));
    learn(&times, kind, 5, 10_000);
    times.digest();
    for _ in 0..9 {
        learn(&times, kind, 400, 1_000);
        times.digest();
    }
    assert!(Duration::from_millis(400) <= times.longest(kind).unwrap());
    for _ in 0..30 {
        learn(&times, kind, 5, 4_000);
        times.digest();
    }
    assert!(times.longest(kind).unwrap() < Duration::from_millis(8));
}

#[test]
fn one_hang_teaches_little() {
    let (times, kind) = (Times::default(), Kind::of(0, "GET", "/a"));
    learn(&times, kind, 10, 100);
    times.digest();
    let before = times.longest(kind).unwrap();
    learn(&times, kind, 7_000, 1);
    times.digest();
    assert!(times.longest(kind).unwrap() <= before * 3);
}

#[test]
fn only_the_answers_of_ten_seconds_are_measured_and_none_is_no_measure() {
    let (times, kind) = (Times::default(), Kind::of(0, "GET", "/a"));
    let took = |millis| Duration::from_millis(millis);
    for second in 0..10 {
        for _ in 0..1_000 {
            times.learn(kind, took(5), at(second * 1_000));
        }
    }
    assert_eq!(times.measure(at(9_000)).unwrap().answers, 10_000);
    // A tenth of the load, and slower; what came before weighs as long as it is in the window.
    for _ in 0..100 {
        times.learn(kind, took(50), at(15_000));
    }
    let measure = times.measure(at(15_000)).unwrap();
    assert!(measure.median < took(8) && took(50) <= measure.latest, "{measure:?}");
    let measure = times.measure(at(19_500)).unwrap();
    assert_eq!(measure.answers, 100);
    assert!(took(50) <= measure.median, "{measure:?}");
    // It stands by: nothing is said of it any more.
    assert_eq!(times.measure(at(25_000)), None);
}

#[test]
fn every_duration_has_a_bucket_whose_edge_is_not_below_it() {
    for micros in [0, 1, 49, 50, 51, 99, 1_000, 123_456, 60_000_000] {
        let edge = edge_micros(bucket_of(Duration::from_micros(micros)));
        assert!(micros <= edge + 1, "{micros} above {edge}");
    }
    assert_eq!(bucket_of(Duration::from_secs(86_400)), BUCKETS - 1);
}

proptest! {
    /// Answers at these milliseconds, of so many microseconds each.
    #[test]
    fn a_median_is_that_of_the_window_but_for_its_bucket(
        answers in prop::collection::vec((0_u64..30_000, 60_u64..50_000_000), 1..200),
    ) {
        let (times, kind) = (Times::default(), Kind::of(0, "GET", "/a"));
        let mut answers = answers;
        answers.sort_unstable();
        let now = answers.last().map_or(0, |it| it.0);
        for &(millis, micros) in &answers {
            times.learn(kind, Duration::from_micros(micros), at(millis));
        }
        // The window is of whole seconds, the present one included.
        let oldest = (now / 1_000 + 1).saturating_sub(10) * 1_000;
        let mut inside: Vec<u64> =
            answers.iter().filter(|it| oldest <= it.0).map(|it| it.1).collect();
        inside.sort_unstable();
        let measure = times.measure(at(now)).unwrap();
        prop_assert_eq!(measure.answers, inside.len() as u64);
        let middle = inside[(inside.len() - 1) / 2];
        let median = u64::try_from(measure.median.as_micros()).unwrap();
        prop_assert!(middle <= median + 1 && median <= middle * 3 / 2, "{} for {}", median, middle);
    }

    #[test]
    fn nearly_all_answers_stay_below_the_longest(
        micros in prop::collection::vec(60_u64..10_000_000, 50..300),
    ) {
        let (times, kind) = (Times::default(), Kind::of(0, "GET", "/a"));
        for &it in &micros {
            times.learn(kind, Duration::from_micros(it), at(1));
        }
        times.digest();
        let longest = u64::try_from(times.longest(kind).unwrap().as_micros()).unwrap();
        prop_assert!(micros.iter().all(|&it| it <= longest + 1));
    }
}
