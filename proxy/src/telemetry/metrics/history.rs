//! How the history fares.

use prometheus::{Error, IntCounter, IntGauge};

use crate::telemetry::metrics::{family, table};

/// How the history fares.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistoryTotals {
    /// Whether it is written to a file.
    pub is_stored: bool,
    /// What the file weighs.
    pub bytes: u64,
    /// Changes written to it, ever.
    pub writes: u64,
    /// Parts that were not written when they were to be, ever.
    pub dropped: u64,
    /// Failures of the file, ever.
    pub failures: u64,
}

#[derive(Debug)]
pub(crate) struct HistoryHandles {
    is_stored: IntGauge,
    bytes: IntGauge,
    writes: IntCounter,
    dropped: IntCounter,
    failures: IntCounter,
}

impl HistoryHandles {
    pub(crate) fn new(registry: &family::Registry) -> Result<Self, Error> {
        let gauge = |metric| -> Result<IntGauge, Error> {
            Ok(family::gauges(registry, metric)?.with_label_values::<&str>(&[]))
        };
        let counter = |metric| -> Result<IntCounter, Error> {
            Ok(family::counters(registry, metric)?.with_label_values::<&str>(&[]))
        };
        Ok(Self {
            is_stored: gauge(&table::HISTORY_STORED)?,
            bytes: gauge(&table::HISTORY_BYTES)?,
            writes: counter(&table::HISTORY_WRITES)?,
            dropped: counter(&table::HISTORY_DROPPED)?,
            failures: counter(&table::HISTORY_FAILURES)?,
        })
    }

    /// Shows totals. They never fall, and only one thread shows them at a time.
    pub(crate) fn show(&self, totals: HistoryTotals) {
        self.is_stored.set(totals.is_stored.into());
        self.bytes.set(i64::try_from(totals.bytes).unwrap_or(i64::MAX));
        self.writes.inc_by(totals.writes.saturating_sub(self.writes.get()));
        self.dropped.inc_by(totals.dropped.saturating_sub(self.dropped.get()));
        self.failures.inc_by(totals.failures.saturating_sub(self.failures.get()));
    }
}
