//! The thread that has the file: it opens it, writes to it and gives it up.
//!
//! A disk may take minutes for a write, and be full, read-only or gone. All that happens then is that
//! batches wait in a short queue, are dropped when it is full, and are counted: what is in memory is
//! served on, and is written when the file can be had again.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use tracing::{error, info, warn};

use crate::{
    clock::{self, Timestamp},
    history::{
        Shared,
        minute::SECONDS,
        store::{self, Batch, Store, StoreError},
    },
};

/// Batches that may wait; each is of ten seconds.
const QUEUE: usize = 16;
/// How often a file is looked at that cannot be had. Another process has it for a moment at an upgrade.
const AGAIN_LOCKED: Duration = Duration::from_millis(200);
/// How often it is looked whether a full queue has room for the last order.
const LOOK: Duration = Duration::from_millis(5);
/// How often the file is made smaller.
const TIDY: Duration = Duration::from_secs(60);
/// For how long another process may have it until that is worth a word.
const LOCKED_FOR: Duration = Duration::from_secs(10);

/// Where the history is kept, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// What it may weigh.
    pub bytes_max: u64,
    /// Days kept.
    pub days: u64,
    /// After how long it is tried again when something is wrong with it.
    pub again: Duration,
}

impl Place {
    /// [`Place::again`], where nothing else is wanted.
    pub const AGAIN: Duration = Duration::from_secs(30);
}

/// What the thread is told.
#[derive(Debug)]
enum Order {
    Write(Batch),
    /// Give the file up, for good, and say so.
    Close(SyncSender<()>),
}

/// The way to the thread.
#[derive(Debug)]
pub(crate) struct Queue {
    orders: SyncSender<Order>,
    is_closed: AtomicBool,
}

/// What became of the thread's work.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) bytes: AtomicU64,
    pub(crate) writes: AtomicU64,
    /// Batches for which there was no room in the queue, and incidents that had another's number.
    pub(crate) dropped: AtomicU64,
    /// Failures of the file.
    pub(crate) failures: AtomicU64,
    /// Whether incidents shall be given again.
    pub(crate) wants_incidents: AtomicBool,
    /// The file, for who reads; `None` while it cannot be had.
    store: Mutex<Option<Arc<Store>>>,
}

impl Report {
    /// Returns the file, if it can be read.
    pub(crate) fn store(&self) -> Option<Arc<Store>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn show(&self, store: Option<Arc<Store>>) {
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = store;
    }
}

/// Makes the way to a thread, and what the thread takes orders from.
pub(crate) fn queue() -> (Queue, Orders) {
    let (orders, taken) = sync_channel(QUEUE);
    (Queue { orders, is_closed: AtomicBool::new(false) }, Orders(taken))
}

impl Queue {
    /// Has `batch` written when its turn comes. Never waits. Returns whether there was room for it.
    pub(crate) fn write(&self, batch: Batch) -> bool {
        self.orders.try_send(Order::Write(batch)).is_ok()
    }

    /// Tells whether the file has been given up for good.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Relaxed)
    }

    /// Takes nothing from here on. Tells whether it did before.
    pub(crate) fn shut(&self) -> bool {
        !self.is_closed.swap(true, Relaxed)
    }

    /// Has the file given up when all that waits is written, so that another process can have it. Waits
    /// for that, but not for a disk that does not answer.
    pub(crate) fn give_up(&self, within: Duration) {
        let (closed, is_closed) = sync_channel(1);
        let deadline = clock::now() + within;
        let mut order = Order::Close(closed);
        loop {
            match self.orders.try_send(order) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) if clock::now() < deadline => order = back,
                Err(_) => return,
            }
            thread::sleep(LOOK);
        }
        _ = is_closed.recv_timeout(deadline.since(clock::now()));
    }
}

/// What the thread takes orders from.
#[derive(Debug)]
pub(crate) struct Orders(Receiver<Order>);

/// Runs the thread. `opened` is told when the file has been tried to open for the first time.
pub(crate) fn start(
    place: Place,
    shared: Arc<Shared>,
    orders: Orders,
    opened: SyncSender<()>,
) -> std::io::Result<()> {
    let hand = Hand { place, shared, failed: None, locked: None, is_told: false };
    thread::Builder::new().name("history-writer".to_owned()).spawn(move || {
        hand.run(&orders.0, &opened);
    })?;
    Ok(())
}

struct Hand {
    place: Place,
    shared: Arc<Shared>,
    /// What was said last of why the file cannot be had.
    failed: Option<String>,
    /// Since when another process is known to have it.
    locked: Option<Timestamp>,
    /// Whether it has been said that it is locked.
    is_told: bool,
}

impl Hand {
    fn run(mut self, orders: &Receiver<Order>, opened: &SyncSender<()>) {
        let at = |after: Duration| clock::now() + after;
        let mut again = self.open().map(at);
        // Nobody may be waiting any more.
        _ = opened.try_send(());
        let mut tidied = clock::now();
        loop {
            // Whatever is asked of it meanwhile: the file is tried again when its time has come.
            let patience = again.map_or(TIDY, |it| it.since(clock::now()));
            match orders.recv_timeout(patience) {
                Ok(Order::Write(batch)) => self.write(&batch),
                Ok(Order::Close(closed)) => {
                    self.give_up();
                    _ = closed.try_send(());
                    return;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.give_up(),
            }
            if again.is_none() && self.shared.report.store().is_none() {
                again = Some(at(self.place.again));
            }
            if again.is_some_and(|it| it <= clock::now()) {
                again = self.open().map(at);
            }
            let now = clock::now();
            if TIDY <= now.since(tidied) {
                tidied = now;
                self.tidy();
            }
        }
    }

    /// Tries to open the file. Returns after which time to try again; `None` if it is open.
    fn open(&mut self) -> Option<Duration> {
        let Place { file, bytes_max, days, again } = &self.place.clone();
        let minutes_max = days * 24 * 60;
        let mut opened = Store::open(file, *bytes_max, minutes_max);
        if let Err(StoreError::Damaged(why)) = &opened {
            self.put_aside(why);
            opened = Store::open(file, *bytes_max, minutes_max);
        }
        match opened {
            Ok(store) => {
                if let Err(error) = self.shared.join(&store) {
                    self.fail(&error.to_string());
                    return Some(*again);
                }
                info!(target: "bascule::history", file = %file.display(), "the history is kept on the disk");
                self.failed = None;
                self.locked = None;
                self.shared.report.bytes.store(store.bytes(), Relaxed);
                self.shared.report.show(Some(Arc::new(store)));
                None
            }
            Err(StoreError::Locked) => {
                let since = *self.locked.get_or_insert_with(clock::now);
                if LOCKED_FOR <= clock::now().since(since) && !self.is_told {
                    self.is_told = true;
                    warn!(
                        target: "bascule::history", file = %file.display(),
                        "another process has the history's file open; give each its own `history.file`. \
                        Until then the history is kept in memory"
                    );
                }
                Some(AGAIN_LOCKED)
            }
            Err(other) => {
                self.fail(&other.to_string());
                Some(*again)
            }
        }
    }

    fn put_aside(&self, why: &str) {
        let file = &self.place.file;
        self.shared.report.failures.fetch_add(1, Relaxed);
        match store::put_aside(file, clock::wall_of(clock::now()).as_secs()) {
            Ok(aside) => error!(
                target: "bascule::history", file = %file.display(), why, aside = %aside.display(),
                "the history's file is damaged and has been put aside; a new one is begun"
            ),
            Err(error) => error!(
                target: "bascule::history", file = %file.display(), why, %error,
                "the history's file is damaged and cannot be put aside"
            ),
        }
    }

    /// Says what is wrong, once. What follows is kept in memory.
    fn fail(&mut self, why: &str) {
        self.shared.report.failures.fetch_add(1, Relaxed);
        self.shared.report.show(None);
        if self.failed.as_deref() != Some(why) {
            error!(
                target: "bascule::history", file = %self.place.file.display(), why,
                "the history's file cannot be used; the history is kept in memory"
            );
            self.failed = Some(why.to_owned());
        }
        self.shared.all_is_unwritten();
    }

    fn write(&mut self, batch: &Batch) {
        let report = &self.shared.report;
        let Some(store) = report.store() else {
            return self.shared.all_is_unwritten();
        };
        match store.write(batch) {
            Ok(left_out) => {
                report.writes.fetch_add(1, Relaxed);
                report.dropped.fetch_add(left_out as u64, Relaxed);
                report.bytes.store(store.bytes(), Relaxed);
                if batch.is_all {
                    self.shared.shelf().all_is_stored();
                }
            }
            Err(error) => self.fail(&error.to_string()),
        }
    }

    fn tidy(&mut self) {
        let Some(store) = self.shared.report.store() else { return };
        let now = clock::wall_of(clock::now()).as_secs() / SECONDS as u64;
        if let Err(error) = store.tidy(now.saturating_sub(crate::history::FINE_MINUTES), now) {
            self.fail(&error.to_string());
        }
    }

    fn give_up(&self) {
        // Closed when the last reader has let go, which is at once.
        self.shared.report.show(None);
    }
}
