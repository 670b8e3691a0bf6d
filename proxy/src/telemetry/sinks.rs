//! Where records of requests go.
//!
//! Sinks belong to the process, not to a configuration: each record carries the topology that it was
//! made under, and what it says of the access log and of tracing holds for it. So a new configuration
//! has nothing to swap here, and nothing is lost between two of them. The threads start with the
//! first record.

use std::io;

use crate::{
    model::Topology,
    telemetry::{access_log::AccessLines, log_file, metrics::Totals, traces::Traces},
};

/// Where records of requests go.
#[derive(Debug, Default)]
pub struct Sinks {
    /// The access log.
    pub access: AccessLines,
    /// Traces.
    pub traces: Traces,
}

impl Sinks {
    /// Returns what has become of all records.
    pub fn totals(&self) -> Totals {
        let dropped = self.traces.dropped();
        Totals {
            lines: self.access.written(),
            lines_dropped: self.access.dropped(),
            spans: self.traces.exported(),
            spans_dropped: [dropped.queue_full, dropped.unsent, dropped.rejected],
        }
    }

    /// Waits until what was recorded has been written and sent; for two seconds at most.
    pub fn flush(&self) {
        self.access.flush();
        self.traces.flush();
    }
}

/// Tells whether what `topology` writes into can be written into, and nothing else happens.
///
/// # Errors
/// When a file of the access log cannot be made or opened; it names the file.
pub fn review(topology: &Topology) -> io::Result<()> {
    match topology.logging.access.as_ref().and_then(|it| it.file.as_deref()) {
        Some(path) => log_file::review(path),
        None => Ok(()),
    }
}
