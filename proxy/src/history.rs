//! What happened to requests, second by second, for a day: what charts show.
//!
//! The [timeline](crate::snapshot::Timeline) that requests count into reaches back five minutes. From it
//! every second is read once it is over, by [`History::sample`], and kept as part of its minute
//! (`minute.rs`). Nothing here is on a request's path: requests change atomics, and this reads them.

mod code;
mod minute;
mod shelf;
mod table;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use minute::Span;
pub use table::{Grid, SECONDS_MAX, Table};

use crate::{
    clock::{self, Timestamp},
    history::{minute::SECONDS, shelf::Shelf},
    model::{PoolId, Topology},
    snapshot::{Live, Timeline, WindowCounts},
};

/// After the end of a second, until it is read: who finishes a request reads the clock first and counts
/// then, and may be held up in between.
const SETTLE: Duration = Duration::from_millis(200);

/// What is known of the past. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Held for as long as it takes to read a second's atomics or a day's minutes, by nobody who serves
    /// a client.
    shelf: Arc<Mutex<Shelf>>,
}

impl History {
    /// Takes in every second that is over and has not been taken in. To be called more often than the
    /// timeline reaches back; calling it often is harmless.
    pub fn sample(&self, topology: &Topology, live: &Live, now: Timestamp) {
        let end = clock::wall_of(now).saturating_sub(SETTLE).as_secs();
        let mut shelf = self.shelf();
        let oldest = end.saturating_sub(Timeline::reach().as_secs());
        let first = shelf.next.unwrap_or(clock::wall_of(Timestamp::ZERO).as_secs()).max(oldest);
        for second in first..end {
            take_in(&mut shelf, topology, live, second, now);
        }
        shelf.next = Some(first.max(end));
    }

    /// Returns what is known of a pool, by its name, in the points of a grid. `end` is the Unix time of
    /// the last point's end; without it, or if it is later, the last second that is known of ends it.
    pub fn table(&self, pool: &str, seconds: u64, end: Option<u64>) -> Table {
        let shelf = self.shelf();
        let known = shelf.next.unwrap_or(0);
        let grid = Grid::new(seconds, end.map_or(known, |it| it.min(known)));
        let mut table = Table::new(grid);
        for (minute, body) in shelf.minutes(pool, grid.minutes()) {
            table.fill(minute, &body);
        }
        table
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // What a thread left that panicked holds all the same: each change of it is whole by itself.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
