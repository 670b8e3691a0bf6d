//! The live log: recent lines in memory, and new ones to whoever watches.
//!
//! The thread that logs never waits for a reader. It makes the line, takes one lock, puts the line
//! into the ring and, if anybody watches, into one channel that all readers share; there the
//! oldest line makes way, and a reader that fell behind learns how many it missed.
//!
//! The lock is needed so that a new reader gets each line exactly once, either as recent or as
//! new, and so that numbers rise in the order of the ring. It is held for a push and a send: no
//! formatting, no I/O, nothing that a reader does can lengthen it. Formatting fields happens
//! before, making JSON after, in the reader, once for all of them.

mod filter;
mod layer;
mod line;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::sync::broadcast::{self, error::RecvError};

pub use filter::Filter;
pub use line::Line;

use crate::{
    clock,
    model::LogStreamLimits,
    telemetry::{log_level::LogLevel, log_stream::line::Entry},
};

/// The channel's slots are allocated at the start; more than this is a slip, not an intention.
const BUFFER_MAX: usize = 65_536;

/// The live log. Clones are the same log.
///
/// As a [`tracing_subscriber::Layer`] it takes every event that the subscriber lets through.
#[derive(Clone, Debug)]
pub struct LogStream {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// See the module's documentation for why there is a lock, and why it is short.
    ring: Mutex<Ring>,
    capacity: usize,
    watch: broadcast::Sender<Arc<Line>>,
    clients_max: usize,
    clients: AtomicUsize,
    dropped: AtomicU64,
    /// At which level lines get here, once that is known.
    level: OnceLock<LogLevel>,
}

#[derive(Debug)]
struct Ring {
    next_seq: u64,
    lines: VecDeque<Arc<Line>>,
}

impl LogStream {
    /// Makes an empty log.
    pub fn new(limits: LogStreamLimits) -> Self {
        let capacity = limits.buffer.get().min(BUFFER_MAX);
        let ring = Ring { next_seq: 1, lines: VecDeque::with_capacity(capacity) };
        let shared = Shared {
            ring: Mutex::new(ring),
            capacity,
            watch: broadcast::Sender::new(capacity),
            clients_max: limits.clients.get(),
            clients: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            level: OnceLock::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Begins to watch: the recent lines, then every new one. `None` when as many watch as may.
    pub fn subscribe(&self) -> Option<Subscription> {
        let place = Place::take(&self.shared)?;
        let ring = self.ring();
        let receiver = self.shared.watch.subscribe();
        let recent = ring.lines.iter().map(Arc::clone).collect();
        drop(ring);
        Some(Subscription { recent, receiver, place })
    }

    /// Returns the level at which lines are written here and elsewhere, if it can be changed.
    pub fn level(&self) -> Option<&LogLevel> {
        self.shared.level.get()
    }

    /// Notes how the level is changed. Only the first word counts.
    pub(crate) fn has_level(&self, level: LogLevel) {
        _ = self.shared.level.set(level);
    }

    /// Returns the number of readers.
    pub fn clients(&self) -> usize {
        self.shared.clients.load(Relaxed)
    }

    /// Returns how many may watch at a time.
    pub fn clients_max(&self) -> usize {
        self.shared.clients_max
    }

    /// Returns the number of lines that readers missed, all readers added, ever.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Relaxed)
    }

    fn append(&self, entry: Entry) {
        let at = clock::now();
        let mut ring = self.ring();
        let line = Arc::new(Line::new(ring.next_seq, at, entry));
        ring.next_seq += 1;
        let oldest =
            if ring.lines.len() < self.shared.capacity { None } else { ring.lines.pop_front() };
        ring.lines.push_back(Arc::clone(&line));
        if 0 < self.shared.watch.receiver_count() {
            // Fails only when the last reader has just left.
            _ = self.shared.watch.send(line);
        }
        drop(ring);
        // Frees a line's strings, so after the lock.
        drop(oldest);
    }

    fn ring(&self) -> std::sync::MutexGuard<'_, Ring> {
        // A panic while the lock is held leaves the ring as it was or one line longer.
        self.shared.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One reader's place in the live log, given up when dropped.
#[derive(Debug)]
pub struct Subscription {
    recent: Vec<Arc<Line>>,
    receiver: broadcast::Receiver<Arc<Line>>,
    place: Place,
}

/// What a reader gets next.
#[derive(Clone, Debug)]
pub enum Received {
    /// A line.
    Line(Arc<Line>),
    /// This many lines were missed, whether or not a filter would have shown them.
    Dropped(u64),
}

impl Subscription {
    /// Takes the lines that were there at the beginning, oldest first; empty the second time.
    pub fn take_recent(&mut self) -> Vec<Arc<Line>> {
        std::mem::take(&mut self.recent)
    }

    /// Waits for what comes next. `None` when the log has ended. May be cancelled without loss.
    pub async fn next(&mut self) -> Option<Received> {
        match self.receiver.recv().await {
            Ok(line) => Some(Received::Line(line)),
            Err(RecvError::Lagged(missed)) => {
                self.place.0.dropped.fetch_add(missed, Relaxed);
                Some(Received::Dropped(missed))
            }
            Err(RecvError::Closed) => None,
        }
    }
}

#[derive(Debug)]
struct Place(Arc<Shared>);

impl Place {
    fn take(shared: &Arc<Shared>) -> Option<Self> {
        let one_more = |clients| (clients < shared.clients_max).then_some(clients + 1);
        shared.clients.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        Some(Self(Arc::clone(shared)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests;
