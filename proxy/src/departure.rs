//! The process's end, as those see it who serve clients: when to let them go, and who is still there.
//!
//! It begins at most once, with [`Departure::begin`]. From then on nobody new is accepted, each
//! response over HTTP/1.1 says that it is its connection's last, HTTP/2 is told to go elsewhere, and
//! each WebSocket hears of it at a moment of its own. What is under way is finished.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{sync::watch, time::sleep};

use crate::model::Shutdown;

/// The end of the process; a handle that all share.
#[derive(Clone, Debug)]
pub struct Departure(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    policy: Arc<ArcSwap<Shutdown>>,
    /// The same as `leaving`, for those who ask with each response: it is read without a lock.
    has_begun: AtomicBool,
    leaving: watch::Sender<bool>,
    counts: Arc<Counts>,
}

/// Who is there.
#[derive(Debug, Default)]
struct Counts {
    connections: AtomicUsize,
    busy: AtomicUsize,
}

/// Counts one connection, or one that is busy, until dropped.
#[derive(Debug)]
pub struct Present {
    counts: Arc<Counts>,
    is_busy: bool,
}

impl Departure {
    /// Makes one that has not begun.
    pub fn new(policy: Shutdown) -> Self {
        Self(Arc::new(Shared {
            policy: Arc::new(ArcSwap::from_pointee(policy)),
            has_begun: AtomicBool::new(false),
            leaving: watch::Sender::new(false),
            counts: Arc::default(),
        }))
    }

    /// Makes one of a part of the process, which may begin before the rest's. Who is there is counted
    /// here, too.
    #[must_use]
    pub fn of_a_part(&self) -> Self {
        Self(Arc::new(Shared {
            policy: Arc::clone(&self.0.policy),
            has_begun: AtomicBool::new(false),
            leaving: watch::Sender::new(false),
            counts: Arc::clone(&self.0.counts),
        }))
    }

    /// Returns how long each part of it may take.
    pub fn policy(&self) -> Shutdown {
        **self.0.policy.load()
    }

    /// Goes by another policy from now on.
    pub fn adopt(&self, policy: Shutdown) {
        self.0.policy.store(Arc::new(policy));
    }

    /// Begins it. Repeating it is harmless.
    pub fn begin(&self) {
        self.0.has_begun.store(true, Relaxed);
        self.0.leaving.send_replace(true);
    }

    /// Tells whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.0.has_begun.load(Relaxed)
    }

    /// Becomes true when it begins.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.0.leaving.subscribe()
    }

    /// Waits until it begins.
    pub async fn begun(&self) {
        // The sender lives as long as this.
        _ = self.watch().wait_for(|it| *it).await;
    }

    /// Waits until a conversation without an end of its own is to be closed: at a moment within the
    /// grace that is drawn by lot, or all of its clients would come back to somebody at once.
    pub async fn goodbye(self) {
        self.begun().await;
        sleep(self.policy().websocket_grace.mul_f64(fastrand::f64())).await;
    }

    /// Counts a client's connection.
    pub fn connection(&self) -> Present {
        self.0.counts.connections.fetch_add(1, Relaxed);
        Present { counts: Arc::clone(&self.0.counts), is_busy: false }
    }

    /// Counts a connection on which a request has begun to come or is being served, or one that
    /// must not be cut for another reason.
    pub fn busy(&self) -> Present {
        self.0.counts.busy.fetch_add(1, Relaxed);
        Present { counts: Arc::clone(&self.0.counts), is_busy: true }
    }

    /// Returns how many clients are connected.
    pub fn connections(&self) -> usize {
        self.0.counts.connections.load(Relaxed)
    }

    /// Returns on how many connections a request has begun to come or is being served, or may be:
    /// of HTTP/2, that is not told apart.
    pub fn busy_connections(&self) -> usize {
        self.0.counts.busy.load(Relaxed)
    }
}

impl Default for Departure {
    fn default() -> Self {
        Self::new(Shutdown::default())
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let count = if self.is_busy { &self.counts.busy } else { &self.counts.connections };
        count.fetch_sub(1, Relaxed);
    }
}

/// Longest wait for what crosses a connection's end on its way: a client of HTTP/2 must have read
/// that it is to go elsewhere before that holds, and a client of HTTP/1.1 must have seen its idle
/// connection closed. Beyond, it is not there.
pub const CROSSING: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_there_is_counted_until_gone() {
        let departure = Departure::default();
        let (one, two) = (departure.connection(), departure.connection());
        let busy = departure.busy();
        assert_eq!((departure.connections(), departure.busy_connections()), (2, 1));
        drop((one, busy));
        assert_eq!((departure.connections(), departure.busy_connections()), (1, 0));
        drop(two);
        assert_eq!(departure.connections(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn goodbyes_are_spread_over_the_grace() {
        let grace = Duration::from_secs(10);
        let departure = Departure::new(Shutdown { websocket_grace: grace, ..Shutdown::default() });
        let began = tokio::time::Instant::now();
        departure.begin();
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let goodbye = departure.clone().goodbye();
            all.spawn(async move {
                goodbye.await;
                began.elapsed()
            });
        }
        let moments = all.join_all().await;
        assert!(moments.iter().all(|it| *it <= grace + Duration::from_millis(1)), "{moments:?}");
        let early = moments.iter().filter(|it| **it < grace / 2).count();
        assert!((1..100).contains(&early), "{moments:?}");
    }
}
