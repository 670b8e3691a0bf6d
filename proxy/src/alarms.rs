//! Wake-ups for requests that wait: at a backend whose condition has changed, or for a slot.
//!
//! Verdicts reach new requests through the snapshot. A request that already waits at a backend
//! reads no snapshot: it has to be told. An alarm carries no news itself; whoever is woken reads
//! the snapshot.

mod queue;

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Release},
        },
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, futures::Notified, watch},
    time::timeout,
};

pub use queue::{Queue, Turn};

use crate::model::{BackendId, PoolId, Succession, Topology};

/// What is said to those who wait at one backend.
#[derive(Debug, Default)]
struct Alarm {
    waiting: Notify,
    farewell: watch::Sender<Farewell>,
    /// Whether whatever is under way there is to end.
    is_over: AtomicBool,
}

/// A backend that is configured no more, at which something may be under way.
#[derive(Debug)]
pub struct Parting(Arc<Alarm>);

impl Parting {
    /// Tells whether anybody is left who could hear anything: a generation that began something there.
    pub fn is_heard(&self) -> bool {
        1 < Arc::strong_count(&self.0)
    }

    /// Says to those who converse with it that they are to close within the grace.
    pub fn say_soon(&self) {
        self.0.farewell.send_replace(Farewell::Soon);
    }

    /// Ends whatever is under way at any of these.
    pub fn end_all(partings: &[Self]) {
        // Set before anybody is woken, so that whoever is sees that the others are no refuge.
        for it in partings {
            it.0.is_over.store(true, Release);
        }
        for it in partings {
            it.0.farewell.send_replace(Farewell::Now);
            it.0.waiting.notify_waiters();
        }
    }
}

/// What conversations without an end of their own are told at a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Farewell {
    /// Go on.
    #[default]
    Stay,
    /// Close within the grace: the backend is drained.
    Soon,
    /// Close now.
    Now,
}

/// One alarm for each backend of a topology, and a queue for each pool whose backends can be full.
#[derive(Debug)]
pub struct Alarms {
    /// Indexed by pool, then as in the topology.
    pools: Vec<Vec<Arc<Alarm>>>,
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
        self.pools[id.pool.0][id.index].waiting.notify_waiters();
    }

    /// Returns a future that ends when the alarm is next raised, counted from this call.
    pub fn raised(&self, id: BackendId) -> Notified<'_> {
        self.pools[id.pool.0][id.index].waiting.notified()
    }

    /// Tells whether whatever is under way at this backend is to end.
    pub fn is_over(&self, id: BackendId) -> bool {
        self.pools[id.pool.0][id.index].is_over.load(Acquire)
    }

    /// Waits until whatever is under way at this backend is to end.
    pub async fn over(&self, id: BackendId) {
        loop {
            let mut raised = pin!(self.raised(id));
            // From here on, so that no end comes between the look and the wait.
            raised.as_mut().enable();
            if self.is_over(id) {
                return;
            }
            raised.await;
        }
    }

    /// Returns a hold on a backend that is configured no more.
    pub fn parting(&self, id: BackendId) -> Parting {
        Parting(Arc::clone(&self.pools[id.pool.0][id.index]))
    }

    /// Says to those who converse with this backend whether they may go on.
    pub fn say(&self, id: BackendId, farewell: Farewell) {
        self.pools[id.pool.0][id.index].farewell.send_replace(farewell);
    }

    /// Returns a future that ends when a conversation with this backend is to be closed: within the
    /// grace at a moment that is drawn by lot, or all of its clients would come to another at once.
    pub fn goodbye(
        &self,
        id: BackendId,
        grace: Duration,
    ) -> impl Future<Output = ()> + Send + 'static {
        let told = self.pools[id.pool.0][id.index].farewell.subscribe();
        let moment = grace.mul_f64(fastrand::f64());
        async move {
            if goodbye(told, moment).await.is_none() {
                // Nobody can say so any more.
                std::future::pending::<()>().await;
            }
        }
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

/// Waits until the backend's conversations have been told to end, and for as long as they may take;
/// `None` when nobody can tell them any more.
async fn goodbye(mut told: watch::Receiver<Farewell>, moment: Duration) -> Option<()> {
    loop {
        let said = *told.wait_for(|it| *it != Farewell::Stay).await.ok()?;
        if said == Farewell::Now {
            return Some(());
        }
        let other = timeout(moment, told.wait_for(|it| *it != Farewell::Soon));
        match other.await {
            Err(_) => return Some(()),
            Ok(said) => drop(said.ok()?),
        }
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

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_ends_at_a_backend_that_is_gone_for_everybody_who_knew_it() {
        let topology = sample::tiers(&[0, 1]);
        let alarms = Alarms::new(&topology);
        let id = |index| BackendId { pool: PoolId(0), index };
        let later = alarms.succeeded_by(&topology, &Succession::between(&topology, &topology));
        let parting = later.parting(id(0));
        let (mut one, mut other) = (Box::pin(alarms.over(id(0))), Box::pin(alarms.over(id(1))));
        assert!(one.as_mut().now_or_never().is_none());
        alarms.raise(id(0));
        assert!(one.as_mut().now_or_never().is_none(), "an alarm is no end");
        Parting::end_all(std::slice::from_ref(&parting));
        assert!(one.as_mut().now_or_never().is_some());
        assert!(alarms.over(id(0)).now_or_never().is_some(), "nor is anything begun there");
        assert!(other.as_mut().now_or_never().is_none());
        drop((one, other));
        assert!(parting.is_heard());
        drop((alarms, later));
        assert!(!parting.is_heard());
    }

    #[tokio::test(start_paused = true)]
    async fn conversations_with_a_drained_backend_end_within_the_grace_unless_it_is_taken_back() {
        let alarms = Alarms::new(&sample::tiers(&[0, 1]));
        let id = |index| BackendId { pool: PoolId(0), index };
        let grace = Duration::from_secs(10);
        let goodbye = |index| tokio::spawn(alarms.goodbye(id(index), grace));
        let (one, other) = (goodbye(0), goodbye(1));
        alarms.say(id(0), Farewell::Soon);
        tokio::time::sleep(grace + Duration::from_millis(1)).await;
        assert!(one.is_finished() && !other.is_finished());
        alarms.say(id(1), Farewell::Soon);
        alarms.say(id(1), Farewell::Stay);
        tokio::time::sleep(grace * 2).await;
        assert!(!other.is_finished());
        alarms.say(id(1), Farewell::Now);
        tokio::task::yield_now().await;
        assert!(other.is_finished());
    }
}
