//! HTTP/2 connections, each shared by many requests.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::uri::Scheme;
use tokio::sync::watch;

use crate::{
    clock::Timestamp,
    event::Symptom,
    exchange::{
        connection::Connection,
        http2::{self, Handle, LEGS_ASSUMED, Pings},
    },
    model::{BackendId, Pool, Timeouts, Topology},
};

/// How an idle peer is asked whether it is still there: a connection that nobody would notice to be
/// dead is found out before a request is lost on it.
const PINGS: Pings = Pings { interval: Duration::from_secs(10), timeout: Duration::from_secs(5) };

/// The HTTP/2 connections to every backend of a topology.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Indexed by pool, then as in the topology.
    pools: Vec<Vec<Arc<Place>>>,
}

/// The connections to one backend. Locked for the time of looking through a few handles.
#[derive(Debug, Default)]
struct Place(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    /// The first with room is taken, so that those behind it become idle when they are not needed.
    kept: Vec<Kept>,
    /// The connection that is being made; its maker is gone when that is over.
    flight: Option<watch::Receiver<Option<Symptom>>>,
    /// How many requests at once the backend was last seen to admit on a connection.
    admitted: Option<usize>,
    /// Set once nobody will take anything from here any more.
    is_retired: bool,
}

#[derive(Debug)]
struct Kept {
    handle: Handle,
    /// The backend's epoch when the connection was made.
    epoch: u64,
    /// When it was first seen with nothing on it since it was last taken.
    idle_since: Option<Timestamp>,
}

/// A connection in the making.
#[derive(Debug)]
pub(crate) enum Flight {
    /// The caller is to make it.
    Own(Maker),
    /// Somebody else is making it.
    Others(Landing),
}

/// Whoever makes a connection that others wait for; dropped when it is there, or given up.
#[derive(Debug)]
pub(crate) struct Maker(watch::Sender<Option<Symptom>>);

/// The end of somebody else's making a connection.
#[derive(Debug)]
pub(crate) struct Landing(watch::Receiver<Option<Symptom>>);

impl Maker {
    /// Tells all who wait that the backend could not be connected to.
    pub(crate) fn fail(self, symptom: Symptom) {
        _ = self.0.send(Some(symptom));
    }
}

impl Landing {
    /// Waits until it is over. Returns how it failed; `None` if it did not, or was given up.
    pub(crate) async fn failure(&mut self) -> Option<Symptom> {
        self.0.wait_for(Option::is_some).await.ok().and_then(|it| *it)
    }
}

impl Shared {
    pub(crate) fn new(topology: &Topology) -> Self {
        let places = |pool: &Pool| pool.backends.iter().map(|_| Arc::default()).collect();
        Self { pools: topology.pools.iter().map(places).collect() }
    }

    /// Has a backend share its connections with what it was before, among `others`.
    pub(crate) fn share(&mut self, id: BackendId, others: &Self, before: BackendId) {
        let own = &mut self.pools[id.pool.0][id.index];
        Arc::clone_from(own, &others.pools[before.pool.0][before.index]);
    }

    /// Lets go of all connections to a backend, and keeps none any more; what is under way on them
    /// goes on.
    pub(crate) fn retire(&self, id: BackendId) {
        let mut inside = self.lock(id);
        inside.is_retired = true;
        inside.kept.clear();
    }

    /// Returns a connection from this epoch that has room for another request. Forgets those that
    /// are closed, and those from before a loss: what is under way on them goes on.
    pub(crate) fn take(&self, id: BackendId, epoch: u64) -> Option<Handle> {
        let mut inside = self.lock(id);
        inside.kept.retain(|it| it.epoch == epoch && it.handle.is_usable());
        let has_room = |it: &&mut Kept| it.handle.open_legs() < it.handle.max_legs();
        let kept = inside.kept.iter_mut().find(has_room)?;
        kept.idle_since = None;
        Some(kept.handle.clone())
    }

    /// Says who makes the next connection to a backend: the caller, if nobody does yet.
    pub(crate) fn flight(&self, id: BackendId) -> Flight {
        let mut inside = self.lock(id);
        if let Some(flight) = inside.flight.as_ref().filter(|it| it.has_changed().is_ok()) {
            return Flight::Others(Landing(flight.clone()));
        }
        // Those that are there have said so by now. Without this, all who wait for the new one would
        // rush to it, and most be refused.
        inside.admitted =
            inside.kept.iter().map(|it| it.handle.max_legs()).min().or(inside.admitted);
        let (maker, flight) = watch::channel(None);
        inside.flight = Some(flight);
        Flight::Own(Maker(maker))
    }

    /// Lets go of connections to a backend that are closed, from before a loss, or idle for too long
    /// or too many; what is under way on them goes on.
    pub(crate) fn reap(&self, id: BackendId, epoch: u64, timeouts: &Timeouts, now: Timestamp) {
        let mut idle = 0;
        self.lock(id).kept.retain_mut(|it| {
            if it.epoch != epoch || !it.handle.is_usable() {
                return false;
            }
            if it.handle.open_legs() != 0 {
                it.idle_since = None;
                return true;
            }
            idle += 1;
            let since = *it.idle_since.get_or_insert(now);
            now.since(since) < timeouts.idle && idle <= timeouts.idle_connections
        });
    }

    /// Begins HTTP/2 on a new connection, and keeps it for others if it may be shared.
    pub(crate) async fn begin(
        &self,
        connection: Connection,
        scheme: Scheme,
        is_shared: bool,
    ) -> Result<Handle, Symptom> {
        let (id, epoch) = (connection.backend, connection.epoch);
        let assumed = self.lock(id).admitted.unwrap_or(LEGS_ASSUMED);
        let begun = http2::handshake(connection, scheme, Some(PINGS), assumed).await;
        let (handle, driver) = begun.map_err(|_| Symptom::ConnectFailed)?;
        // It ends with the connection, which ends when the last handle and leg are gone.
        drop(tokio::spawn(driver));
        let mut inside = self.lock(id);
        if is_shared && !inside.is_retired {
            inside.kept.push(Kept { handle: handle.clone(), epoch, idle_since: None });
        }
        drop(inside);
        Ok(handle)
    }

    /// A thread that panicked while it held the lock has left the list whole.
    fn lock(&self, id: BackendId) -> MutexGuard<'_, Inside> {
        self.pools[id.pool.0][id.index].0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
