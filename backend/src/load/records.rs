//! The records of a load as text, one JSON object a line.

use std::io::{self, Write};

use serde::Serialize;

use crate::load::fate::{Fate, Record};
use crate::load::report::{Report, milliseconds};

/// One line. Times are in milliseconds, and count from when the request was due: a request that
/// left late has kept its user waiting all the same.
#[derive(Debug, Serialize)]
struct Line<'a> {
    id: &'a str,
    /// From the start of the load to when it was due.
    due_ms: f64,
    late_ms: f64,
    took_ms: f64,
    /// `ok`, or the kind of failure.
    fate: String,
    status: Option<u16>,
    backend: Option<&'a str>,
}

impl Report {
    /// Writes the recorded requests in the order in which they were over.
    ///
    /// # Errors
    ///
    /// When `to` cannot be written to.
    pub fn write_records(&self, to: &mut impl Write) -> io::Result<()> {
        for record in &self.records {
            serde_json::to_writer(&mut *to, &self.line(record))?;
            to.write_all(b"\n")?;
        }
        Ok(())
    }

    fn line<'a>(&self, record: &'a Record) -> Line<'a> {
        let due = record.started.saturating_duration_since(self.started + record.late);
        Line {
            id: &record.id,
            due_ms: milliseconds(due),
            late_ms: milliseconds(record.late),
            took_ms: milliseconds(record.late + record.took),
            fate: record.fate.failure().unwrap_or_else(|| "ok".to_owned()),
            status: match record.fate {
                Fate::Ok { status } | Fate::Status { status } => Some(status),
                Fate::Failed { .. } | Fate::Shed => None,
            },
            backend: record.backend.as_deref(),
        }
    }
}
