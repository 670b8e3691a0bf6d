//! What came of a load: every request, and the sums.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::load::fate::{Fate, Record};
use crate::load::histogram::Histogram;

/// Backends that a summary tells apart; answers of further ones count without a name.
const BACKENDS_MAX: usize = 64;

/// The sums over some requests. Durations are those of successful requests, in milliseconds.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// Requests that were sent, whatever became of them.
    pub sent: u64,
    pub ok: u64,
    /// Requests without a full answer, or with a status from 400 up, or never sent.
    pub failed: u64,
    /// `failed` by kind: `status_503`, `timeout`, `connection_refused`, …, `shed`.
    pub failed_by_kind: BTreeMap<String, u64>,
    /// Answers by the backend that gave them.
    pub answered_by: BTreeMap<String, u64>,
    /// `None` without a success, as with `p99_ms` and `max_ms`.
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub max_ms: Option<f64>,
    /// The longest time without a success, the time before the first and after the last included.
    pub longest_gap_ms: f64,
    /// How much later than scheduled a request was sent at worst.
    pub late_max_ms: f64,
}

/// Everything that came of a load.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    pub started: Instant,
    /// The same by the wall clock, in seconds since 1970.
    pub started_unix: f64,
    /// When the last request was over.
    pub finished: Instant,
    pub summary: Summary,
    /// Every request in the order in which they were over, up to the plan's bound.
    pub records: Vec<Record>,
    /// Requests that the bound left out of `records`.
    pub records_left_out: u64,
}

impl Report {
    /// The sums over the recorded requests that were sent from `from` up to but not at `to`.
    pub fn summary_between(&self, from: Instant, to: Instant) -> Summary {
        let mut within: Vec<&Record> =
            self.records.iter().filter(|it| from <= it.started && it.started < to).collect();
        within.sort_by_key(|record| record.finished());
        let mut tally = Tally::new(from.max(self.started));
        within.into_iter().for_each(|record| tally.record(record));
        tally.summary()
    }

    /// The recorded requests that were no success.
    pub fn failures(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(|record| !record.is_ok())
    }
}

/// Sums as they grow, in fixed memory.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    sent: u64,
    failed_by_kind: BTreeMap<String, u64>,
    answered_by: BTreeMap<String, u64>,
    successes: Histogram,
    ok: u64,
    last_success: Instant,
    longest_gap: Duration,
    finished: Instant,
    late_max: Duration,
}

impl Tally {
    pub(crate) fn new(started: Instant) -> Tally {
        Tally {
            sent: 0,
            failed_by_kind: BTreeMap::new(),
            answered_by: BTreeMap::new(),
            successes: Histogram::new(),
            ok: 0,
            last_success: started,
            longest_gap: Duration::ZERO,
            finished: started,
            late_max: Duration::ZERO,
        }
    }

    /// Takes in a request; they come in the order in which they were over.
    pub(crate) fn record(&mut self, record: &Record) {
        let finished = record.finished();
        self.finished = self.finished.max(finished);
        self.late_max = self.late_max.max(record.late);
        if record.fate != Fate::Shed {
            self.sent += 1;
        }
        if let Some(backend) = &record.backend
            && (self.answered_by.len() < BACKENDS_MAX || self.answered_by.contains_key(backend))
        {
            *self.answered_by.entry(backend.clone()).or_default() += 1;
        }
        if let Some(kind) = record.fate.failure() {
            *self.failed_by_kind.entry(kind).or_default() += 1;
            return;
        }
        self.ok += 1;
        self.successes.record(record.took);
        let gap = finished.saturating_duration_since(self.last_success);
        self.longest_gap = self.longest_gap.max(gap);
        self.last_success = self.last_success.max(finished);
    }

    pub(crate) fn finished(&self) -> Instant {
        self.finished
    }

    pub(crate) fn summary(&self) -> Summary {
        let since_last = self.finished.saturating_duration_since(self.last_success);
        Summary {
            sent: self.sent,
            ok: self.ok,
            failed: self.failed_by_kind.values().sum(),
            failed_by_kind: self.failed_by_kind.clone(),
            answered_by: self.answered_by.clone(),
            p50_ms: self.successes.quantile(0.5).map(milliseconds),
            p99_ms: self.successes.quantile(0.99).map(milliseconds),
            max_ms: self.successes.max().map(milliseconds),
            longest_gap_ms: milliseconds(self.longest_gap.max(since_last)),
            late_max_ms: milliseconds(self.late_max),
        }
    }
}

/// With microseconds as decimals; finer would be noise.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::load::fate::FailureKind;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn record(started: Instant, took: Duration, fate: Fate) -> Record {
        let backend = fate.failure().is_none().then(|| "primary".to_owned());
        Record { id: "x".to_owned(), started, late: Duration::ZERO, took, fate, backend }
    }

    fn report(start: Instant) -> Report {
        let failed = Fate::Failed { kind: FailureKind::Timeout, error: "timed out".to_owned() };
        let records = vec![
            record(start, at(10), Fate::Ok { status: 200 }),
            record(start + at(100), at(20), Fate::Status { status: 503 }),
            record(start + at(200), at(5), Fate::Shed),
            record(start + at(400), at(10), Fate::Ok { status: 200 }),
            record(start + at(150), at(1000), failed),
        ];
        let mut tally = Tally::new(start);
        records.iter().for_each(|record| tally.record(record));
        let (finished, summary) = (tally.finished(), tally.summary());
        Report {
            started: start,
            started_unix: 1e9,
            finished,
            summary,
            records,
            records_left_out: 0,
        }
    }

    #[test]
    fn the_sums_are_those_of_the_records() {
        let summary = report(clock::now()).summary;
        let kinds = ["shed", "status_503", "timeout"].map(|kind| (kind.to_owned(), 1));
        assert_eq!((summary.sent, summary.ok, summary.failed), (4, 2, 3));
        assert_eq!(summary.failed_by_kind, BTreeMap::from(kinds));
        assert_eq!(summary.answered_by, BTreeMap::from([("primary".to_owned(), 2)]));
        assert_eq!(summary.max_ms, Some(10.0));
    }

    #[test]
    fn the_longest_gap_may_be_after_the_last_success() {
        let summary = report(clock::now()).summary;
        assert!((summary.longest_gap_ms - 740.0).abs() < 0.01, "{}", summary.longest_gap_ms);
    }

    #[test]
    fn a_slice_holds_what_was_sent_within_it() {
        let start = clock::now();
        let slice = report(start).summary_between(start + at(100), start + at(400));
        assert_eq!((slice.sent, slice.ok, slice.failed), (2, 0, 3));
        let rest = report(start).summary_between(start + at(400), start + at(10_000));
        assert_eq!((rest.sent, rest.ok, rest.longest_gap_ms), (1, 1, 10.0));
    }
}
