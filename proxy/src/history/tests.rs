use proptest::prelude::*;

use super::{minute::Minute, *};
use crate::history::minute::TEN;

/// One request: its second within a minute, its bucket of latency, its fate, who answered.
type Request = (usize, usize, u8, u8);

fn requests() -> impl Strategy<Value = Vec<Request>> {
    proptest::collection::vec((0..SECONDS, 0..64_usize, 0_u8..4, 0_u8..3), 0..200)
}

fn counts_of<'a>(requests: impl Iterator<Item = &'a Request>) -> WindowCounts {
    let mut counts = WindowCounts::default();
    for &(_, bucket, fate, _) in requests {
        counts.requests += 1;
        counts.lost += u64::from(fate == 1);
        counts.rescued_by_retry += u64::from(fate == 2);
        counts.rescued_by_hedge += u64::from(fate == 3);
        counts.latencies.fill(bucket, 1);
    }
    counts
}

/// Returns the minute in which all of them finished, of a proxy that ran in those seconds only.
fn minute_of(requests: &[Request], seconds: std::ops::Range<usize>) -> Minute {
    let mut minute = Minute::default();
    for second in seconds {
        let of_second = || requests.iter().filter(move |it| it.0 == second);
        let names = ["a", "b", "ö"].iter().enumerate();
        let answers = names.map(|(index, name)| {
            (*name, of_second().filter(|it| usize::from(it.3) == index).count() as u64)
        });
        minute.note(second, &counts_of(of_second()), answers);
    }
    minute
}

proptest! {
    #[test]
    fn a_minute_is_read_as_it_was_written(all in requests(), from in 0..SECONDS, to in 0..=SECONDS) {
        let minute = minute_of(&all, from..to);
        prop_assert_eq!(code::decoded(&code::encoded(&minute)), Some(minute));
    }

    #[test]
    fn bytes_of_anybody_are_read_without_harm(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = code::decoded(&bytes);
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        let _ = code::decoded(&bytes);
    }

    #[test]
    fn a_damaged_minute_is_read_without_harm(all in requests(), place: prop::sample::Index, byte: u8) {
        let mut bytes = code::encoded(&minute_of(&all, 0..SECONDS));
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let _ = code::decoded(&bytes);
        let _ = code::decoded(&bytes[..place]);
    }

    /// Quantiles of a longer span are those of all its requests at once, and not made of quantiles.
    #[test]
    fn a_roll_up_is_what_counting_at_once_would_give(all in requests(), ten in 0..6_usize) {
        let minute = minute_of(&all, 0..SECONDS);
        for (from, length) in [(0, SECONDS), (TEN * ten, TEN), (7, 1)] {
            let within = || all.iter().filter(move |it| (from..from + length).contains(&it.0));
            let (span, counts) = (minute.span(from, length).unwrap(), counts_of(within()));
            prop_assert_eq!(span.requests, counts.requests);
            prop_assert_eq!(span.lost, counts.lost);
            prop_assert_eq!(span.rescued, counts.rescued());
            let micros = |it: Option<f64>| it.map(|it| Duration::from_secs_f64(it).as_micros());
            let rounded = |it: Option<Duration>| it.map(|it| it.as_micros());
            for (found, q) in [(span.p50, 0.5), (span.p99, 0.99)] {
                let (found, expected) = (rounded(found), micros(counts.latencies.quantile(q)));
                prop_assert!(
                    found.unwrap_or(0).abs_diff(expected.unwrap_or(0)) <= 1, "{found:?} {expected:?}"
                );
            }
            let answered: u64 = minute.answers(from, length).map(|it| it.1).sum();
            prop_assert_eq!(answered, within().filter(|it| it.3 < 3).count() as u64);
        }
    }

    /// Whoever of two processes served a request, and whenever they took turns: nothing is lost.
    #[test]
    fn two_processes_make_one_minute(all in requests(), turn in 0..SECONDS, overlap in 0..SECONDS) {
        let until = (turn + overlap).min(SECONDS);
        let (mine, others): (Vec<_>, Vec<_>) = all.iter().copied().partition(|it| it.0 < turn);
        let mut minute = minute_of(&mine, 0..until);
        minute.absorb(&minute_of(&others, turn..SECONDS));
        let whole = minute_of(&all, 0..SECONDS);
        prop_assert_eq!(minute.span(0, SECONDS), whole.span(0, SECONDS));
        for second in 0..SECONDS {
            prop_assert_eq!(minute.span(second, 1), whole.span(second, 1));
        }
    }

    #[test]
    fn a_grid_covers_what_was_asked_for_in_no_more_points_than_a_chart_has(
        seconds in 1..=86_400_u64, end in 1_000_000_000..2_000_000_000_u64,
    ) {
        let grid = Grid::new(seconds, end, 0);
        prop_assert!(grid.points <= 1_500, "{grid:?}");
        prop_assert_eq!(grid.start % grid.step, 0);
        let last = grid.start + grid.points * grid.step;
        prop_assert!(last <= end && end - last < grid.step, "{grid:?}");
        prop_assert!(grid.start <= end - seconds || end - seconds - grid.start < grid.step);
        prop_assert_eq!(seconds <= 900, grid.step == 1);
    }
}

#[test]
fn an_idle_minute_weighs_next_to_nothing() {
    let minute = minute_of(&[], 0..SECONDS);
    assert!(code::encoded(&minute).len() < 25, "{}", code::encoded(&minute).len());
    assert_eq!(minute.span(0, SECONDS).unwrap(), Span::default());
}

/// What a day of a pool with two backends weighs at 300 requests a second, most of which take some
/// milliseconds; the reference of `history.max_size` says it.
#[test]
fn a_busy_day_weighs_what_the_reference_says() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut minute = Minute::default();
    for second in 0..SECONDS {
        let mut counts = WindowCounts { requests: 300, ..WindowCounts::default() };
        for _ in 0..300 {
            // A sum of draws has a middle and a tail.
            let bucket = 12 + (0..4).map(|_| random.usize(0..6)).sum::<usize>();
            counts.latencies.fill(bucket, 1);
        }
        minute.note(second, &counts, [("primary", 150), ("secondary", 150)].into_iter());
    }
    let day = code::encoded(&minute).len() * 24 * 60;
    assert!((1_400_000..1_600_000).contains(&day), "{day}");
}
