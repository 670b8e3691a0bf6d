//! Wake-ups for requests that wait at a backend whose condition has changed.
//!
//! Verdicts reach new requests through the snapshot. A request that already waits at a backend
//! reads no snapshot: it has to be told. An alarm carries no news itself; whoever is woken reads
//! the snapshot.

use tokio::sync::{Notify, futures::Notified};

use crate::model::{BackendId, Topology};

/// One alarm for each backend of a topology.
#[derive(Debug)]
pub struct Alarms {
    /// Indexed by pool, then as in the topology.
    pools: Vec<Vec<Notify>>,
}

impl Alarms {
    /// Makes the alarms of `topology`; none has been raised.
    pub fn new(topology: &Topology) -> Self {
        let silent = |count: usize| (0..count).map(|_| Notify::new()).collect();
        Self { pools: topology.pools.iter().map(|pool| silent(pool.backends.len())).collect() }
    }

    /// Wakes everybody who waits at this backend. The snapshot must have been swapped before.
    pub fn raise(&self, id: BackendId) {
        self.pools[id.pool.0][id.index].notify_waiters();
    }

    /// Returns a future that ends when the alarm is next raised, counted from this call.
    pub fn raised(&self, id: BackendId) -> Notified<'_> {
        self.pools[id.pool.0][id.index].notified()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::model::{PoolId, sample};

    #[test]
    fn an_alarm_wakes_those_who_wait_at_that_backend_and_nobody_else() {
        let alarms = Alarms::new(&sample::tiers(&[0, 1]));
        let id = |index| BackendId { pool: PoolId(0), index };
        let (first, second) = (alarms.raised(id(0)), alarms.raised(id(1)));
        alarms.raise(id(0));
        assert!(first.now_or_never().is_some());
        assert!(second.now_or_never().is_none());
        assert!(alarms.raised(id(0)).now_or_never().is_none());
    }
}
