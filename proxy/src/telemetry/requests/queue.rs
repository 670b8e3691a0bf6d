//! A bounded queue from the threads that serve requests to one that records them.
//!
//! Nobody who puts something in ever waits: what does not fit is counted and gone. Nor does it cost a
//! wake-up each time: whoever takes out sleeps for a moment after the first thing, and then takes
//! all that has come.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use crate::clock;

/// How long the end of the process may be held up by what is still to be recorded.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

/// The end at which things are put in.
#[derive(Debug)]
pub struct Queue<T> {
    orders: SyncSender<Order<T>>,
    dropped: AtomicU64,
}

#[derive(Debug)]
enum Order<T> {
    Take(T),
    /// Record what is there, then answer.
    Flush(SyncSender<()>),
}

/// The end at which things are taken out.
#[derive(Debug)]
pub(crate) struct Taker<T> {
    inbox: Receiver<Order<T>>,
    /// How long more is waited for after the first.
    linger: Duration,
}

/// What was taken out.
#[derive(Debug)]
pub(crate) struct Taken<T> {
    /// In the order in which they were put in; may be empty.
    pub(crate) things: Vec<T>,
    /// Who is to be told when all of it has been recorded.
    pub(crate) waiting: Option<SyncSender<()>>,
}

impl<T: Send + 'static> Queue<T> {
    /// Makes a queue for that many things, and a thread called `name` that takes them out with
    /// `record`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn start(
        name: &str,
        places: usize,
        linger: Duration,
        record: impl FnOnce(Taker<T>) + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let (orders, inbox) = sync_channel(places);
        let taker = Taker { inbox, linger };
        thread::Builder::new().name(name.to_owned()).spawn(move || record(taker))?;
        Ok(Arc::new(Self { orders, dropped: AtomicU64::new(0) }))
    }

    /// Puts something in, or counts it as `weight` that were dropped.
    pub(crate) fn offer(&self, thing: T, weight: u64) {
        if self.orders.try_send(Order::Take(thing)).is_err() {
            self.dropped.fetch_add(weight, Relaxed);
        }
    }

    /// Returns what was dropped, ever.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Waits until all that was put in has been recorded; for a second at most.
    pub(crate) fn flush(&self) {
        const STEP: Duration = Duration::from_millis(5);
        let (done, is_done) = sync_channel(1);
        let deadline = clock::now() + FLUSH_WITHIN;
        while self.orders.try_send(Order::Flush(done.clone())).is_err() {
            if deadline <= clock::now() {
                return;
            }
            thread::sleep(STEP);
        }
        _ = is_done.recv_timeout(deadline.since(clock::now()));
    }
}

impl<T> Taker<T> {
    /// Waits for something, for `patience` at most, and takes up to `most` things. `None` when nobody
    /// can put anything in any more.
    pub(crate) fn take(&self, patience: Option<Duration>, most: usize) -> Option<Taken<T>> {
        let mut taken = Taken { things: Vec::new(), waiting: None };
        let first = match patience {
            None => self.inbox.recv().ok()?,
            Some(patience) => match self.inbox.recv_timeout(patience) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => return Some(taken),
                Err(RecvTimeoutError::Disconnected) => return None,
            },
        };
        taken.add(first);
        if taken.waiting.is_none() && !self.linger.is_zero() {
            thread::sleep(self.linger);
        }
        while taken.waiting.is_none() && taken.things.len() < most {
            let Ok(next) = self.inbox.try_recv() else { break };
            taken.add(next);
        }
        Some(taken)
    }
}

impl<T> Taken<T> {
    fn add(&mut self, order: Order<T>) {
        match order {
            Order::Take(thing) => self.things.push(thing),
            Order::Flush(waiting) => self.waiting = Some(waiting),
        }
    }
}
