//! The access log: a line for each request, written by a thread of its own.
//!
//! The thread that served a request makes a record of it, puts it into a bounded queue and is done;
//! formatting and writing happen here. When writing is slow, records are dropped and counted, and no
//! request notices.
//!
//! Lines that may yet turn out to belong to an incident wait for it, for a second: a request whose
//! attempt failed is often over before anybody knows that a backend is lost.

mod escape;
mod line;
mod value;

pub(crate) use value::{fate, origin, outcome, protocol, rescue, target};

use std::{
    collections::VecDeque,
    io::{self, Write as _},
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tracing::{info, warn};

use crate::{
    clock,
    model::AccessLog,
    telemetry::{
        log_file::LogFile,
        requests::{
            queue::{Queue, Taker},
            record::Record,
        },
    },
};

/// Records that may wait: half a second at 16,000 requests a second.
const PLACES: usize = 8_192;
/// How long more records are waited for before a write: one write for all of them.
const LINGER: Duration = Duration::from_millis(10);
/// Most records taken at a time.
const BATCH: usize = 1_024;
/// Bytes written at a time.
const CHUNK: usize = 64 * 1024;
/// How long a line waits for the incident that it may belong to. Losses are decided within.
const HOLD: Duration = Duration::from_secs(1);
/// Lines that wait for an incident.
const HELD: usize = 4_096;
/// How often it is looked whether there is one.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Takes records, and has them written.
#[derive(Debug, Default)]
pub struct AccessLines {
    queue: OnceLock<Option<Arc<Queue<Arc<Record>>>>>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    lost: AtomicU64,
}

impl AccessLines {
    /// Takes a record whose topology has an access log. Never waits.
    pub fn offer(&self, record: Arc<Record>) {
        match self.queue() {
            Some(queue) => queue.offer(record, 1),
            None => _ = self.counts.lost.fetch_add(1, Relaxed),
        }
    }

    /// Returns the lines that were written, ever.
    pub fn written(&self) -> u64 {
        self.counts.written.load(Relaxed)
    }

    /// Returns the lines that were not written, ever: because too many waited, or because they could
    /// not be.
    pub fn dropped(&self) -> u64 {
        let queue = self.queue.get().and_then(Option::as_ref);
        queue.map_or(0, |it| it.dropped()) + self.counts.lost.load(Relaxed)
    }

    /// Waits until all has been written; for a second at most.
    pub fn flush(&self) {
        if let Some(Some(queue)) = self.queue.get() {
            queue.flush();
        }
    }

    /// Returns the queue, whose thread is started with the first record.
    fn queue(&self) -> Option<&Arc<Queue<Arc<Record>>>> {
        let start = || {
            let counts = Arc::clone(&self.counts);
            let record = move |taker: Taker<_>| write_all(&taker, &counts);
            Queue::start("access-log", PLACES, LINGER, record)
                .inspect_err(|error| {
                    warn!(target: "bascule::access_log", %error, "the access log cannot be started");
                })
                .ok()
        };
        self.queue.get_or_init(start).as_ref()
    }
}

fn write_all(taker: &Taker<Arc<Record>>, counts: &Counts) {
    let mut writer = Writer { counts, output: None, buffer: Buffer::default(), is_failing: false };
    let mut held: VecDeque<Arc<Record>> = VecDeque::new();
    loop {
        let patience = (!held.is_empty()).then_some(LOOK_EVERY);
        let Some(taken) = taker.take(patience, BATCH) else { return };
        let now = clock::now();
        // Those held before come first, so that a line is never more than a moment out of order.
        let limit = if taken.waiting.is_some() { Duration::ZERO } else { HOLD };
        held.retain(|record| {
            let incident = record.incident();
            let is_due = incident.is_some() || record.ended + limit <= now;
            if is_due {
                writer.line(record, incident.as_deref());
            }
            !is_due
        });
        for record in taken.things {
            let incident = record.incident();
            if record.is_uncertain && incident.is_none() && !limit.is_zero() && held.len() < HELD {
                held.push_back(record);
            } else {
                writer.line(&record, incident.as_deref());
            }
        }
        writer.flush();
        if let Some(waiting) = taken.waiting {
            _ = waiting.try_send(());
        }
    }
}

/// Lines for one destination that are still to be written.
#[derive(Debug, Default)]
struct Buffer {
    lines: Vec<u8>,
    count: u64,
    /// The record of the last of them, whose configuration says where they go.
    last: Option<Arc<Record>>,
}

#[derive(Debug)]
struct Writer<'c> {
    counts: &'c Counts,
    /// The file that was written last.
    output: Option<LogFile>,
    buffer: Buffer,
    is_failing: bool,
}

impl Writer<'_> {
    fn line(&mut self, record: &Arc<Record>, incident: Option<&str>) {
        let Some(log) = log_of(record) else { return };
        let before = self.buffer.last.as_ref().and_then(log_of);
        if before.is_some_and(|it| it.file != log.file) || CHUNK <= self.buffer.lines.len() {
            self.flush();
        }
        line::write(record, log, incident, &mut self.buffer.lines);
        self.buffer.count += 1;
        self.buffer.last = Some(Arc::clone(record));
    }

    fn flush(&mut self) {
        let Some(last) = self.buffer.last.take() else { return };
        let file = log_of(&last).and_then(|it| it.file.as_deref());
        let written = match file {
            Some(path) => self.append(path),
            None => {
                let mut out = io::stdout().lock();
                out.write_all(&self.buffer.lines).and_then(|()| out.flush())
            }
        };
        let count = std::mem::take(&mut self.buffer.count);
        self.buffer.lines.clear();
        // A line of a long path must not keep its room for ever.
        self.buffer.lines.shrink_to(2 * CHUNK);
        match written {
            Ok(()) => self.counts.written.fetch_add(count, Relaxed),
            Err(_) => self.counts.lost.fetch_add(count, Relaxed),
        };
        self.tell(written.err());
    }

    fn append(&mut self, path: &Path) -> io::Result<()> {
        let output = match self.output.take().filter(|it| it.path() == path) {
            Some(output) => output,
            None => LogFile::open(path)?,
        };
        let output = self.output.insert(output);
        // The old one goes on being written where a new one cannot be made.
        let refreshed = output.refresh(clock::now());
        output.append(&self.buffer.lines)?;
        if let Err(error) = refreshed {
            warn!(target: "bascule::access_log", %error, "the access log goes on in its old file");
        }
        Ok(())
    }

    /// Says so, once, when lines cannot be written, and when they can be again.
    fn tell(&mut self, error: Option<io::Error>) {
        match error {
            Some(error) if !self.is_failing => {
                warn!(target: "bascule::access_log", %error, "the access log cannot be written");
                self.is_failing = true;
            }
            None if self.is_failing => {
                info!(target: "bascule::access_log", "the access log is written again");
                self.is_failing = false;
            }
            Some(_) | None => {}
        }
    }
}

fn log_of(record: &Arc<Record>) -> Option<&AccessLog> {
    record.topology.logging.access.as_ref()
}

/// Returns the reference of all fields, as Markdown.
pub fn reference() -> String {
    let mut rows = String::from("| Field | Value | Meaning |\n|---|---|---|\n");
    for field in crate::model::AccessField::ALL {
        let kind = match field.kind() {
            "truth" => "`true` or `false`",
            kind => kind,
        };
        rows.push_str(&format!("| `{}` | {kind} | {} |\n", field.name(), field.meaning()));
    }
    rows
}

#[cfg(test)]
mod tests;
