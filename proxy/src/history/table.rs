//! Points of equal length, put together from minutes.

use std::{collections::BTreeMap, ops::RangeInclusive};

use crate::history::minute::{Minute, SECONDS, Span, TEN};

/// Longest stretch that a table is made of.
pub const SECONDS_MAX: usize = 86_400;
/// Longest stretch whose points are seconds: the longest that the page shows second by second.
const BY_SECONDS: u64 = 900;
/// Most points of any table: more than a chart has pixels.
const POINTS: u64 = 1_500;

/// Points of equal length, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// The Unix time of the first point; a whole number of steps since the epoch.
    pub start: u64,
    /// Seconds from one point to the next: 1, 10 or 60.
    pub step: u64,
    /// How many there are.
    pub points: u64,
}

impl Grid {
    /// Returns the points that cover the `seconds` before the Unix time `end`: the finest that are not
    /// too many. Of what lies before `fine_from` only minutes are known. They begin and end where the clock shows a whole step, so the last one may end
    /// before `end`, and the first begin earlier.
    pub fn new(seconds: u64, end: u64, fine_from: u64) -> Self {
        let ten = count(TEN);
        let step = match seconds {
            _ if end.saturating_sub(seconds) < fine_from => count(SECONDS),
            ..=BY_SECONDS => 1,
            _ if seconds <= POINTS * ten => ten,
            _ => count(SECONDS),
        };
        let points = seconds.div_ceil(step).min(POINTS).min(end / step);
        Self { start: (end / step - points) * step, step, points }
    }

    /// Returns the numbers of the minutes that it touches.
    pub(crate) fn minutes(&self) -> RangeInclusive<u64> {
        let last = self.start + (self.points * self.step).saturating_sub(1);
        self.start / count(SECONDS)..=last / count(SECONDS)
    }
}

/// What is known of a pool, in the points of a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Where the points are.
    pub grid: Grid,
    /// What happened to requests; `None` where the proxy did not run.
    pub points: Vec<Option<Span>>,
    /// Attempts answered, by the backend's name, of every backend that answered any.
    pub answers: BTreeMap<String, Vec<u64>>,
}

impl Table {
    /// Makes one of which nothing is known.
    pub(crate) fn new(grid: Grid) -> Self {
        let points = (0..grid.points).map(|_| None).collect();
        Self { grid, points, answers: BTreeMap::new() }
    }

    /// Takes in a minute, by its number.
    pub(crate) fn fill(&mut self, number: u64, minute: &Minute) {
        let Grid { start, step, .. } = self.grid;
        let length = index(step);
        for from in (0..SECONDS).step_by(length) {
            let Some(after) = (number * count(SECONDS) + count(from)).checked_sub(start) else {
                continue;
            };
            let place = index(after / step);
            let Some(point) = self.points.get_mut(place) else { return };
            *point = minute.span(from, length);
            for (name, answered) in minute.answers(from, length).filter(|it| it.1 != 0) {
                let column = match self.answers.get_mut(name) {
                    Some(column) => column,
                    None => self
                        .answers
                        .entry(name.to_owned())
                        .or_insert_with(|| vec![0; self.points.len()]),
                };
                column[place] = answered;
            }
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
