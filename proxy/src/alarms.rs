//! Wake-ups for requests that wait: at a backend whose condition has changed, or for a slot.
//!
//! Verdicts reach new requests through the snapshot. A request that already waits at a backend
//! reads no snapshot: it has to be told. An alarm carries no news itself; whoever is woken reads
//! the snapshot.

mod queue;

use std::sync::Arc;

use tokio::sync::{Notify, futures::Notified};

pub use queue::{Queue, Turn};

use crate::model::{BackendId, PoolId, Succession, Topology};

/// One alarm for each backend of a topology, and a queue for each pool whose backends can be full.
#[derive(Debug)]
pub struct Alarms {
    /// Indexed by pool, then as in the topology.
    pools: Vec<Vec<Arc<Notify>>>,
    /// Indexed by pool; `None` where no backend is ever full.
    queues: Vec<Option<Arc<Queue>>>,
}

impl Alarms {
    /// Makes the alarms of `topology`; none has been raised, and nobody waits.
    pub fn new(topology: &Topology) -> Self {
        let silent = |count: usize| (0..count).map(|_| Arc::default()).collect();
        let pools = topology.pools.iter();
        let queue = |slots, bound| Arc::new(Queue::new(slots, bound));
        Self {
            pools: pools.clone().map(|pool| silent(pool.backends.len())).collect(),
            queues: pools.map(|it| Some(queue(it.slots()?, it.limits.queue))).collect(),
        }
    }

    /// Makes the alarms of `topology`, which follows another: who waits at a backend or in a queue
    /// that goes on there is woken by these, too.
    ///
    /// `heritage` says where each of its pools and backends was before.
    #[must_use]
    pub fn succeeded_by(&self, topology: &Topology, heritage: &Succession) -> Self {
        let mut next = Self::new(topology);
        for id in topology.backend_ids() {
            if let Some(before) = heritage.backend(id) {
                let own = &mut next.pools[id.pool.0][id.index];
                Arc::clone_from(own, &self.pools[before.pool.0][before.index]);
            }
        }
        for (index, place) in next.queues.iter_mut().enumerate() {
            let before = heritage.pool(PoolId(index)).and_then(|it| self.queue(it));
            if let (Some(new), Some(before)) = (place, before) {
                before.adjust(new);
                Arc::clone_from(new, before);
            }
        }
        next
    }

    /// Wakes everybody who waits at this backend. The snapshot must have been swapped before.
    pub fn raise(&self, id: BackendId) {
        self.pools[id.pool.0][id.index].notify_waiters();
    }

    /// Returns a future that ends when the alarm is next raised, counted from this call.
    pub fn raised(&self, id: BackendId) -> Notified<'_> {
        self.pools[id.pool.0][id.index].notified()
    }

    /// Returns the queue of this pool, if its backends can be full.
    pub fn queue(&self, pool: PoolId) -> Option<&Arc<Queue>> {
        self.queues[pool.0].as_ref()
    }

    /// Has the queues look again, because other backends may be picked than before. The snapshot
    /// must have been swapped before.
    pub fn look_again(&self) {
        self.queues.iter().flatten().for_each(|queue| queue.wake_first());
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::model::sample;

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
