//! Records of requests: written, sent, dropped.

use prometheus::{Error, IntCounter};

use crate::telemetry::metrics::{family, table};

/// Why spans are dropped; [`Totals::spans_dropped`] has the same order.
const REASONS: [&str; 3] = ["queue_full", "unsent", "rejected"];

/// What has become of records of requests, ever.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Lines of the access log that were written.
    pub lines: u64,
    /// Those that were not.
    pub lines_dropped: u64,
    /// Spans that a collector has taken.
    pub spans: u64,
    /// Those that it has not: because the queue was full, because it did not answer, because it
    /// refused them.
    pub spans_dropped: [u64; 3],
}

#[derive(Debug)]
pub(crate) struct SinkHandles {
    lines: IntCounter,
    lines_dropped: IntCounter,
    spans: IntCounter,
    spans_dropped: [IntCounter; 3],
}

impl SinkHandles {
    pub(crate) fn new(registry: &family::Registry) -> Result<Self, Error> {
        let single = |metric| -> Result<IntCounter, Error> {
            Ok(family::counters(registry, metric)?.with_label_values::<&str>(&[]))
        };
        let dropped = family::counters(registry, &table::TRACE_SPANS_DROPPED)?;
        Ok(Self {
            lines: single(&table::ACCESS_LOG_LINES)?,
            lines_dropped: single(&table::ACCESS_LOG_DROPPED)?,
            spans: single(&table::TRACE_SPANS)?,
            spans_dropped: family::each(&dropped, &[], REASONS),
        })
    }

    /// Shows totals. They never fall, and only one thread shows them at a time.
    pub(crate) fn show(&self, totals: Totals) {
        family::raise(&self.lines, totals.lines);
        family::raise(&self.lines_dropped, totals.lines_dropped);
        family::raise(&self.spans, totals.spans);
        for (counter, total) in self.spans_dropped.iter().zip(totals.spans_dropped) {
            family::raise(counter, total);
        }
    }
}
