//! What all readers of the feed have in common: the changes of the last minutes, each made once.
//!
//! Nothing runs while nobody reads. Whoever does looks, and the first to look makes the change that
//! all others send, too.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    admin::{Sidecar, api, incidents, wire},
    clock::{self, Timestamp},
    incident::Incident,
};

/// How often numbers are looked at that change all the time. What the fleet decides is told at once.
const EVERY: Duration = Duration::from_secs(1);
/// Changes kept for readers that are slow, or come again: four minutes of them.
const CHANGES: usize = 256;
/// What those may weigh.
const CHANGES_BYTES: usize = 4 << 20;
/// Incidents that a snapshot holds.
const INCIDENTS: usize = 100;

/// The changes that readers are told.
#[derive(Debug)]
pub(crate) struct Hub {
    /// Held for as long as it takes to look at the state, by nobody who serves a client.
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    /// Of the change that was made last.
    seq: u64,
    /// How everything was then.
    seen: Option<Seen>,
    /// The changes up to `seq`, oldest first, without a gap.
    changes: VecDeque<(u64, Arc<str>)>,
    bytes: usize,
}

#[derive(Debug)]
struct Seen {
    at: Timestamp,
    health: wire::Health,
    incidents: Vec<wire::Incident>,
    /// Replaced whenever the fleet has decided something.
    list: Arc<Vec<Arc<Incident>>>,
    generation: u64,
}

/// What a reader has to be sent next.
pub(crate) enum Next {
    /// Nothing: it knows all there is.
    Nothing,
    /// These frames; the last one has that number.
    Changes(Vec<Arc<str>>, u64),
    /// All there is, of that number.
    Snapshot(String, u64),
}

impl Hub {
    /// Makes one without readers. Numbers begin at the process's start, in microseconds, so that those
    /// of an earlier process are known as such.
    pub(crate) fn new(started_at: Timestamp) -> Self {
        let micros = clock::wall_of(started_at).as_micros();
        let seq = u64::try_from(micros).unwrap_or_default();
        let book = Book { seq, seen: None, changes: VecDeque::new(), bytes: 0 };
        Self { book: Mutex::new(book) }
    }

    /// Looks whether anything has changed, and returns what somebody must be sent who knows everything
    /// up to the change `known`.
    pub(crate) fn next(&self, sidecar: &Sidecar, known: Option<u64>) -> Next {
        let mut book = self.book();
        book.look(sidecar);
        match known {
            Some(known) if known == book.seq => Next::Nothing,
            Some(known) if book.reaches_back_to(known) => {
                let missing = book.changes.iter().filter(|it| known < it.0);
                Next::Changes(missing.map(|it| Arc::clone(&it.1)).collect(), book.seq)
            }
            Some(_) | None => book.snapshot(),
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // What a thread left that panicked is at worst an old state, which the next look renews.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn look(&mut self, sidecar: &Sidecar) {
        let state = &sidecar.state;
        let (now, list) = (clock::now(), state.incidents.load_full());
        let generation = state.generation().number;
        if let Some(seen) = &self.seen
            && now.since(seen.at) < EVERY
            && Arc::ptr_eq(&seen.list, &list)
            && seen.generation == generation
        {
            return;
        }
        let (health, incidents) = (api::state(sidecar), incidents::newest(state, INCIDENTS));
        let seen = Seen { at: now, health, incidents, list, generation };
        let before = self.seen.replace(seen);
        let Some((before, seen)) = before.zip(self.seen.as_ref()) else { return };
        match wire::changed(&before.health, &seen.health) {
            Some(health) => {
                let is_new = |it: &&wire::Incident| !before.incidents.contains(it);
                let incidents = seen.incidents.iter().filter(is_new).cloned().collect();
                self.seq += 1;
                let frame = wire::FeedFrame::Change { seq: self.seq, health, incidents };
                self.keep(text(&frame));
            }
            None => {
                // Everybody gets a snapshot.
                self.seq += 1;
                self.changes.clear();
                self.bytes = 0;
            }
        }
    }

    fn keep(&mut self, text: String) {
        self.bytes += text.len();
        self.changes.push_back((self.seq, text.into()));
        while CHANGES < self.changes.len() || CHANGES_BYTES < self.bytes {
            let Some((_, oldest)) = self.changes.pop_front() else { return };
            self.bytes -= oldest.len();
        }
    }

    /// Tells whether every change after that one is here.
    fn reaches_back_to(&self, known: u64) -> bool {
        known < self.seq && self.changes.front().is_some_and(|it| it.0 <= known + 1)
    }

    fn snapshot(&self) -> Next {
        let Some(seen) = &self.seen else { return Next::Nothing };
        let frame = wire::FeedFrame::Snapshot {
            schema: wire::SCHEMA,
            seq: self.seq,
            health: seen.health.clone(),
            incidents: seen.incidents.clone(),
        };
        Next::Snapshot(text(&frame), self.seq)
    }
}

/// Returns a frame as it is sent.
pub(crate) fn text(frame: &wire::FeedFrame) -> String {
    // Frames hold nothing that JSON has no form for.
    serde_json::to_string(frame).unwrap_or_default()
}
