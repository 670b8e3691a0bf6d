//! What happened: to requests, second by second, for a day, then minute by minute; and every incident.
//!
//! The [timeline](crate::snapshot::Timeline) that requests count into reaches back five minutes. From it
//! every second is read once it is over, by [`History::sample`], and kept as part of its minute
//! (`minute.rs`), in memory and, where there is a place for it, in a file (`store.rs`), from which the next
//! process goes on. Nothing here is on a request's path: requests change atomics, and this reads them. What
//! is to be written goes through a short queue to a thread of its own (`writer.rs`); whatever becomes of
//! the disk, the history is served from memory.

mod code;
mod minute;
mod past;
mod shelf;
mod store;
mod table;
mod writer;

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, sync_channel},
    },
    time::Duration,
};

pub use minute::Span;
pub use store::StoredIncident;
pub use table::{Grid, SECONDS_MAX, Table};
pub use writer::Place;

use crate::{
    clock::{self, Timestamp},
    history::{
        minute::SECONDS,
        past::Past,
        shelf::Shelf,
        store::{Batch, Store, StoreError},
        writer::{Queue, Report},
    },
    model::{PoolId, Topology},
    snapshot::{Live, SLOT, Timeline, WindowCounts},
};

/// After the end of a second, until it is read: who finishes a request reads the clock first and counts
/// then, and may be held up in between.
const SETTLE: Duration = Duration::from_millis(200);
/// Minutes that are kept second by second: a day.
const FINE_MINUTES: u64 = 24 * 60;
/// For how long the end of the process waits for the disk.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// What is known of the past. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct History {
    shared: Arc<Shared>,
}

/// What whoever reads and the thread that writes have in common.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Held for as long as it takes to read a second's atomics or a day's minutes, by nobody who serves
    /// a client.
    shelf: Mutex<Shelf>,
    /// Held as shortly.
    past: Mutex<Past>,
    report: Report,
    /// The way to the thread that writes; `None` where all is in memory.
    queue: Option<Queue>,
}

/// How the history fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether it is written to a file at present.
    pub is_stored: bool,
    /// What the file weighs.
    pub bytes: u64,
    /// Changes written to it.
    pub writes: u64,
    /// Batches that there was no room for in the queue, and incidents whose number another one had.
    pub dropped: u64,
    /// How often the file failed.
    pub failures: u64,
}

impl History {
    /// Keeps the history in a file. What is returned beside it is told when the file has been tried to
    /// open for the first time; whatever came of it, the history works.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn on_disk(place: Place) -> io::Result<(Self, Receiver<()>)> {
        let (queue, orders) = writer::queue();
        let shared = Arc::new(Shared {
            shelf: Mutex::new(Shelf::for_file()),
            queue: Some(queue),
            ..Shared::default()
        });
        let (opened, is_opened) = sync_channel(1);
        writer::start(place, Arc::clone(&shared), orders, opened)?;
        Ok((Self { shared }, is_opened))
    }

    /// Takes in every second that is over and has not been taken in. To be called more often than the
    /// timeline reaches back; calling it often is harmless.
    pub fn sample(&self, topology: &Topology, live: &Live, now: Timestamp) {
        let end = clock::wall_of(now).saturating_sub(SETTLE).as_secs();
        self.sample_until(end, topology, live, now);
    }

    fn sample_until(&self, end: u64, topology: &Topology, live: &Live, now: Timestamp) {
        let mut shelf = self.shared.shelf();
        let oldest = end.saturating_sub(Timeline::reach().as_secs());
        let first = shelf.next.unwrap_or(clock::wall_of(Timestamp::ZERO).as_secs()).max(oldest);
        for second in first..end {
            take_in(&mut shelf, topology, live, second, now);
        }
        shelf.next = Some(first.max(end));
    }

    /// Has what has come in since the last time written, and `incidents`, new or changed. Never waits.
    pub fn write(&self, incidents: Vec<StoredIncident>) {
        self.shared.past().extend(incidents.iter().cloned());
        let Some(queue) = &self.shared.queue else { return };
        // Held until it is in the queue: what is taken later is newer, and comes after it.
        let mut shelf = self.shared.shelf();
        if queue.is_closed() {
            return;
        }
        let (minutes, is_all) = shelf.unwritten();
        if minutes.is_empty() && incidents.is_empty() {
            return;
        }
        if !queue.write(Batch { minutes, incidents, is_all }) {
            self.shared.report.dropped.fetch_add(1, Relaxed);
            self.shared.report.wants_incidents.store(true, Relaxed);
            shelf.all_is_unwritten();
        }
    }

    /// Tells whether incidents that were given to [`History::write`] may not have been written, and
    /// shall be given again. Says so once.
    pub fn wants_incidents_again(&self) -> bool {
        self.shared.report.wants_incidents.swap(false, Relaxed)
    }

    /// Writes all that is known, the second under way included, and gives the file up for another
    /// process. From here on nothing is written.
    pub fn close(&self, topology: &Topology, live: &Live, incidents: Vec<StoredIncident>) {
        let Some(queue) = &self.shared.queue else { return };
        let now = clock::now();
        self.sample_until(end_of(now), topology, live, now);
        self.write(incidents);
        let shelf = self.shared.shelf();
        let is_first = queue.shut();
        drop(shelf);
        if is_first {
            queue.give_up(CLOSE_WITHIN);
        }
    }

    /// Returns what is known of a pool, by its name, in the points of a grid. `end` is the Unix time of
    /// the last point's end; without it, or if it is later, the last second that is known of ends it.
    ///
    /// Reads the file, and may take as long as the disk does.
    pub fn table(&self, pool: &str, seconds: u64, end: Option<u64>) -> Table {
        let shelf = self.shared.shelf();
        let known = shelf.next.unwrap_or(0);
        let minute = u64::try_from(SECONDS).unwrap_or(u64::MAX);
        let fine_from = known.saturating_sub(FINE_MINUTES * minute);
        let grid = Grid::new(seconds, end.map_or(known, |it| it.min(known)), fine_from);
        let mut table = Table::new(grid);
        let mut missing = grid.minutes().collect::<std::collections::BTreeSet<u64>>();
        for (minute, body) in shelf.minutes(pool, grid.minutes()) {
            table.fill(minute, &body);
            missing.remove(&minute);
        }
        drop(shelf);
        let (Some(&first), Some(&last)) = (missing.first(), missing.last()) else { return table };
        let Some(store) = self.shared.report.store() else { return table };
        match store.minutes(pool, first..=last) {
            Ok(found) => {
                for (minute, bytes) in found.iter().filter(|it| missing.contains(&it.0)) {
                    if let Some(body) = code::decoded(bytes) {
                        table.fill(*minute, &body);
                    }
                }
            }
            Err(error) => {
                self.shared.report.failures.fetch_add(1, Relaxed);
                tracing::warn!(target: "bascule::history", %error, "the history's file cannot be read");
            }
        }
        table
    }

    /// Returns the Unix time up to which every second has been taken in.
    pub fn known_until(&self) -> u64 {
        self.shared.shelf().next.unwrap_or(0)
    }

    /// Returns the incidents that are known, newest first: those of processes before this one, and those
    /// that were given to [`History::write`], as they were last.
    pub fn incidents(&self) -> Vec<Arc<StoredIncident>> {
        self.shared.past().newest_first()
    }

    /// Returns the highest number that an incident of each pool has had in the file.
    pub fn numbers(&self) -> BTreeMap<String, u64> {
        self.shared.past().numbers.clone()
    }

    /// Returns how it fares; `None` where all is in memory because nothing else is wanted.
    pub fn status(&self) -> Option<Status> {
        let report = &self.shared.report;
        self.shared.queue.as_ref()?;
        Some(Status {
            is_stored: report.store().is_some(),
            bytes: report.bytes.load(Relaxed),
            writes: report.writes.load(Relaxed),
            dropped: report.dropped.load(Relaxed),
            failures: report.failures.load(Relaxed),
        })
    }
}

impl Shared {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // What a thread left that panicked holds all the same: each change of it is whole by itself.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns what a file holds that has been opened: what came in meanwhile is joined with it, and is to
    /// be written.
    pub(crate) fn join(&self, store: &Store) -> Result<(), StoreError> {
        let (incidents, numbers) = (store.incidents()?, store.numbers()?);
        let seconds = u64::try_from(SECONDS).unwrap_or(u64::MAX);
        let begun = clock::wall_of(Timestamp::ZERO).as_secs() / seconds;
        let minutes = store.minutes_from(begun)?;
        let mut past = self.past();
        past.inherit(incidents, numbers);
        drop(past);
        self.shelf().join(minutes);
        self.report.wants_incidents.store(true, Relaxed);
        Ok(())
    }

    /// Remembers that what was to be written has not been.
    pub(crate) fn all_is_unwritten(&self) {
        self.shelf().all_is_unwritten();
        self.report.wants_incidents.store(true, Relaxed);
    }
}

/// Returns the Unix time at which the second ends that the slot of `now` counts to: the one after, if
/// that begins within the slot.
fn end_of(now: Timestamp) -> u64 {
    clock::wall_of(Timeline::floor(now) + SLOT).as_secs() + 1
}

fn take_in(shelf: &mut Shelf, topology: &Topology, live: &Live, second: u64, now: Timestamp) {
    let [from, to] = [second, second + 1].map(|it| clock::at_wall(Duration::from_secs(it)));
    let seconds = u64::try_from(SECONDS).unwrap_or(u64::MAX);
    let place = usize::try_from(second % seconds).unwrap_or_default();
    for (index, pool) in topology.pools.iter().enumerate() {
        let timeline = &live.pool(PoolId(index)).timeline;
        let counts: WindowCounts = timeline.window(from, to, now);
        let names = pool.backends.iter().map(|it| it.name.as_str());
        let answers =
            names.enumerate().map(|(index, name)| (name, timeline.answers(from, to, now, index)));
        shelf.minute(&pool.name, second / seconds).note(place, &counts, answers);
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_on_disk;
