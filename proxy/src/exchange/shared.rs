//! HTTP/2 connections, each shared by many requests.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::uri::Scheme;

use crate::{
    event::Symptom,
    exchange::{
        connection::Connection,
        http2::{self, Handle, Pings},
    },
    model::{BackendId, Pool, Topology},
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

/// The connections to one backend.
#[derive(Debug, Default)]
struct Place {
    /// Locked for the time of looking through a few handles.
    handles: Mutex<Vec<(u64, Handle)>>,
}

impl Shared {
    pub(crate) fn new(topology: &Topology) -> Self {
        let places = |pool: &Pool| pool.backends.iter().map(|_| Arc::default()).collect();
        Self { pools: topology.pools.iter().map(places).collect() }
    }

    /// Returns a connection from this epoch that has room for another request. Forgets those that
    /// are closed, and those from before a loss: what is under way on them goes on.
    pub(crate) fn take(&self, id: BackendId, epoch: u64) -> Option<Handle> {
        let mut handles = lock(&self.pools[id.pool.0][id.index].handles);
        handles.retain(|(made, handle)| *made == epoch && handle.is_usable());
        let has_room = |handle: &Handle| handle.open_legs() < handle.max_legs();
        handles.iter().map(|(_, handle)| handle).find(|it| has_room(it)).cloned()
    }

    /// Begins HTTP/2 on a new connection, and keeps it for others if it may be shared.
    pub(crate) async fn begin(
        &self,
        connection: Connection,
        scheme: Scheme,
        is_shared: bool,
    ) -> Result<Handle, Symptom> {
        let (id, epoch) = (connection.backend, connection.epoch);
        let begun = http2::handshake(connection, scheme, Some(PINGS)).await;
        let (handle, driver) = begun.map_err(|_| Symptom::ConnectFailed)?;
        // It ends with the connection, which ends when the last handle and leg are gone.
        drop(tokio::spawn(driver));
        if is_shared {
            lock(&self.pools[id.pool.0][id.index].handles).push((epoch, handle.clone()));
        }
        Ok(handle)
    }
}

/// A thread that panicked while it held the lock has left the list whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
