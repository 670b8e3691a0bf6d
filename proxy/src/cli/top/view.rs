//! The screen of `bascule top`. Pure: what was seen in, lines out.

use crate::cli::{
    answers::Health,
    console::Size,
    format,
    status::{verdict, view as status_view},
    table::{Align, Table},
    text::{Line, Tone},
    top::sample::{Row, Sort},
};

/// What whoever watches has chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) sort: Sort,
    pub(crate) is_reversed: bool,
    /// Rows that have been scrolled away.
    pub(crate) scrolled: usize,
}

/// What is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'s> {
    pub(crate) health: &'s Health,
    pub(crate) rows: &'s [Row],
    /// What the rates cover, in seconds; 0 while there is nothing to compare with.
    pub(crate) window: f64,
    pub(crate) place: &'s str,
    /// Why there is nothing newer, and for how many seconds.
    pub(crate) lost: Option<(&'s str, f64)>,
}

/// Lines above the table, and below.
const AROUND: usize = 4;

/// Returns exactly as many lines as the terminal has rows.
pub(crate) fn screen(seen: &Seen<'_>, choice: Choice, size: Size) -> Vec<Line> {
    let mut lines = head(seen);
    let mut table = table(&sorted(seen.rows, choice)).into_iter();
    lines.extend(table.next().map(|heading| heading.toned(Tone::Bar).padded(size.columns)));
    let room = size.rows.saturating_sub(AROUND);
    let scrolled = choice.scrolled.min(most_scrolled(seen.rows.len(), size));
    let rows = table.skip(scrolled).take(room);
    lines.extend(rows.map(|row| if seen.lost.is_some() { row.toned(Tone::Faint) } else { row }));
    lines.resize(size.rows.saturating_sub(1), Line::default());
    lines.push(foot(seen.rows.len(), scrolled, room, choice));
    lines.into_iter().take(size.rows).map(|line| line.cut(size.columns)).collect()
}

/// How far the rows can be scrolled.
pub(crate) fn most_scrolled(rows: usize, size: Size) -> usize {
    rows.saturating_sub(size.rows.saturating_sub(AROUND))
}

/// Returns the table alone, for `--once`.
pub(crate) fn plain(seen: &Seen<'_>, choice: Choice) -> Vec<Line> {
    let mut lines = head(seen);
    lines.extend(table(&sorted(seen.rows, choice)));
    lines
}

/// Returns the rows as they are chosen to be sorted.
pub(crate) fn sorted(rows: &[Row], choice: Choice) -> Vec<Row> {
    let mut rows = rows.to_vec();
    choice.sort.sort(&mut rows);
    if choice.is_reversed {
        rows.reverse();
    }
    rows
}

fn head(seen: &Seen<'_>) -> Vec<Line> {
    let Seen { health, window, place, .. } = *seen;
    let (served, failed) = seen.rows.iter().fold((0.0, 0.0), |(served, failed), row| {
        (served + row.requests_per_second, failed + row.failures_per_second)
    });
    let first = match seen.lost {
        None => verdict::sentence(health),
        Some((why, seconds)) => {
            let text = format!("Not connected for {}", format::span(seconds));
            Line::of(Tone::Bad, text).with(Tone::Plain, format!(": {why}."))
        }
    };
    let rates = if window <= 0.0 {
        "looking for the first time".to_owned()
    } else {
        format!(
            "attempts over {}: {}/s, {}/s failed",
            format::span(window),
            format::rate(served),
            format::rate(failed),
        )
    };
    let time = format::time_of_day(&health.now);
    let second = format!("bascule {} at {place}, {time}; {rates}", health.version);
    vec![first, Line::of(Tone::Faint, second)]
}

fn table(rows: &[Row]) -> Vec<Line> {
    let mut table = Table::new(&[
        ("BACKEND", Align::Left),
        ("TIER", Align::Right),
        ("REQ/S", Align::Right),
        ("ERR/S", Align::Right),
        ("P50", Align::Right),
        ("P99", Align::Right),
        ("FLIGHT", Align::Right),
        ("CONDITION", Align::Left),
        ("TROUBLE", Align::Left),
    ]);
    for row in rows {
        let backend = &row.backend;
        let failing = if row.failures_per_second <= 0.0 { Tone::Faint } else { Tone::Bad };
        let name = if backend.active { Tone::Strong } else { Tone::Plain };
        table.row(vec![
            Line::of(Tone::Faint, format!("{}/", row.pool)).with(name, &backend.name),
            Line::plain(backend.tier.to_string()),
            Line::plain(format::rate(row.requests_per_second)),
            Line::of(failing, format::rate(row.failures_per_second)),
            Line::plain(format::length_or_none(row.p50_seconds)),
            Line::plain(format::length_or_none(row.p99_seconds)),
            Line::plain(format::count(backend.in_flight)),
            condition(row),
            Line::plain(backend.reason.clone().unwrap_or_default()),
        ]);
    }
    table.lines()
}

/// Health; and what operators want, where that is not the ordinary; and a fault.
fn condition(row: &Row) -> Line {
    let backend = &row.backend;
    let line = Line::of(verdict::health_tone(backend), &backend.state);
    let line = match backend.intent.as_deref() {
        None | Some("enabled") => line,
        Some(_) => line.with(Tone::Plain, ", ").and(status_view::intent(backend)),
    };
    match &backend.fault {
        Some(_) => line.with(Tone::Plain, ", ").with(Tone::Warn, "fault"),
        None => line,
    }
}

fn foot(rows: usize, scrolled: usize, room: usize, choice: Choice) -> Line {
    let mut line = Line::of(Tone::Strong, "q").with(Tone::Plain, " quit ");
    if room < rows {
        let last = (scrolled + room).min(rows);
        let text = format!(" {}-{last} of {rows} \u{2191}\u{2193}", scrolled + 1);
        line = line.with(Tone::Faint, text);
    }
    for (key, sort, name) in Sort::KEYS {
        let tone = if sort == choice.sort { Tone::Bar } else { Tone::Plain };
        line = line
            .with(Tone::Plain, " ")
            .with(Tone::Strong, key.to_string())
            .with(Tone::Plain, " ")
            .with(tone, name);
    }
    let reversed = if choice.is_reversed { Tone::Bar } else { Tone::Plain };
    line.with(Tone::Plain, " ").with(Tone::Strong, "R ").with(reversed, "reverse")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{
        answers::{Backend, Pool},
        text::{Styling, render},
    };

    fn row(name: &str, rate: f64) -> Row {
        Row {
            pool: "api".to_owned(),
            backend: Backend {
                name: name.to_owned(),
                state: "up".to_owned(),
                ..Backend::default()
            },
            requests_per_second: rate,
            p50_seconds: Some(0.001_2),
            ..Row::default()
        }
    }

    fn drawn(rows: &[Row], choice: Choice, size: Size) -> String {
        let pool = Pool {
            name: "api".to_owned(),
            active_tier: Some(0),
            since: "2026-11-23T10:03:13.000Z".to_owned(),
            backends: rows.iter().map(|row| row.backend.clone()).collect(),
            ..Pool::default()
        };
        let health = Health {
            now: "2026-11-23T10:05:13.000Z".to_owned(),
            version: "0.1.0".to_owned(),
            pools: vec![pool],
            ..Health::default()
        };
        let seen = Seen { health: &health, rows, window: 5.0, place: "here:9901", lost: None };
        render(&screen(&seen, choice, size), Styling::None)
    }

    #[test]
    fn the_screen_fits_the_terminal_to_the_row_and_the_column() {
        let rows: Vec<Row> = (0..50).map(|at| row(&format!("backend-{at}"), 1.0)).collect();
        for (columns, lines) in [(80, 24), (120, 40), (20, 5), (1, 1)] {
            let text = drawn(&rows, Choice::default(), Size { columns, rows: lines });
            assert_eq!(text.lines().count(), lines, "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= columns), "{text}");
        }
    }

    #[test]
    fn rows_are_sorted_and_scrolled() {
        let rows: Vec<Row> = (0..9).map(|at| row(&format!("b{at}"), f64::from(at))).collect();
        let size = Size { columns: 100, rows: 8 };
        let choice = Choice { sort: Sort::Rate, is_reversed: false, scrolled: 2 };
        let text = drawn(&rows, choice, size);
        let shown: Vec<&str> = text.lines().filter_map(|it| it.strip_prefix("api/")).collect();
        assert!(shown[0].starts_with("b6 ") && shown.len() == 4, "{text}");
        assert!(text.contains("3-6 of 9"), "{text}");
        // Nobody scrolls past the end.
        let far = drawn(&rows, Choice { scrolled: 100, ..choice }, size);
        assert!(far.contains("6-9 of 9") && far.contains("api/b0"), "{far}");
    }
}
