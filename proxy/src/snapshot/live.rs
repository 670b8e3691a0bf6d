//! The few numbers that requests change.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::{
    clock::Timestamp,
    event::Fault,
    model::{Backend, BackendId, Place, Pool, PoolId, Succession, Topology},
    snapshot::{PeakEwma, RateWindow, Timeline, Times, Usual},
};

/// Everything that requests count or read live, for one topology.
#[derive(Debug)]
pub struct Live {
    /// Indexed by [`PoolId`].
    pub pools: Vec<PoolLive>,
    /// Requests that have begun and not ended, on all listeners.
    pub requests_in_flight: Arc<AtomicU64>,
}

impl Live {
    /// Makes the numbers of `topology`, all at zero.
    pub fn new(topology: &Topology) -> Self {
        Self {
            pools: topology.pools.iter().map(PoolLive::new).collect(),
            requests_in_flight: Arc::default(),
        }
    }

    /// Makes the numbers of `topology`, which follows another: what goes on there is shared with
    /// these, so that requests of both count together.
    ///
    /// `heritage` says where each of its pools and backends was before.
    #[must_use]
    pub fn succeeded_by(&self, topology: &Topology, heritage: &Succession) -> Self {
        let pools = topology.pools.iter().enumerate().map(|(index, pool)| {
            let id = PoolId(index);
            match heritage.pool(id) {
                Some(before) => self.pool(before).succeeded_by(pool, |index| {
                    heritage.backend(BackendId { pool: id, index }).map(|it| it.index)
                }),
                None => PoolLive::new(pool),
            }
        });
        Self { pools: pools.collect(), requests_in_flight: Arc::clone(&self.requests_in_flight) }
    }

    /// Returns the pool named by `id`.
    pub fn pool(&self, id: PoolId) -> &PoolLive {
        &self.pools[id.0]
    }

    /// Returns the backend named by `id`.
    pub fn backend(&self, id: BackendId) -> &BackendLive {
        &self.pools[id.pool.0].backends[id.index]
    }
}

/// The live numbers of one pool.
#[derive(Debug)]
pub struct PoolLive {
    /// Whose turn it is, per tier.
    pub cursors: Vec<AtomicUsize>,
    /// Requests of the last seconds: what the retry budget is a share of.
    pub requests: Arc<RateWindow>,
    /// Retries of the last seconds: what the budget was spent on.
    pub retries: Arc<RateWindow>,
    /// Requests by when they finished, how they ended and how long they took.
    pub timeline: Timeline,
    /// What answers take at all backends together.
    usual: Arc<Usual>,
    /// Whether an incident of this pool is in its window.
    pub incident_is_open: Arc<AtomicBool>,
    /// The latest incidents, newest first, for whoever asks which of them counts a request.
    pub incidents: Arc<ArcSwap<Vec<IncidentWindow>>>,
    /// Indexed as in the topology.
    pub backends: Vec<Arc<BackendLive>>,
}

impl PoolLive {
    fn new(pool: &Pool) -> Self {
        let usual = Arc::default();
        let backend = |it: &Backend| Arc::new(BackendLive::new(it, &usual));
        Self {
            backends: pool.backends.iter().map(backend).collect(),
            cursors: (0..pool.tier_count()).map(|_| AtomicUsize::new(0)).collect(),
            requests: Arc::default(),
            retries: Arc::default(),
            timeline: Timeline::new(pool.backends.len()),
            incident_is_open: Arc::default(),
            incidents: Arc::default(),
            usual,
        }
    }

    /// Returns the number of the incident that counts a request which finished at `ended`, as far as
    /// is known by now.
    pub fn incident_at(&self, ended: Timestamp) -> Option<u64> {
        let windows = self.incidents.load();
        let counts = |it: &&IncidentWindow| it.from <= ended && it.to.is_none_or(|to| ended < to);
        windows.iter().find(counts).map(|it| it.number)
    }

    /// Makes the numbers of a pool that follows this one; `before` says which of this one's backends
    /// each was.
    fn succeeded_by(&self, pool: &Pool, before: impl Fn(usize) -> Option<usize>) -> Self {
        let turn = |tier: usize| self.cursors.get(tier).map_or(0, |it| it.load(Relaxed));
        let backends = pool.backends.iter().enumerate().map(|(index, it)| match before(index) {
            Some(before) => Arc::clone(&self.backends[before]),
            None => Arc::new(BackendLive::new(it, &self.usual)),
        });
        Self {
            cursors: (0..pool.tier_count()).map(|tier| AtomicUsize::new(turn(tier))).collect(),
            requests: Arc::clone(&self.requests),
            retries: Arc::clone(&self.retries),
            timeline: self.timeline.succeeded_by((0..pool.backends.len()).map(&before)),
            incident_is_open: Arc::clone(&self.incident_is_open),
            incidents: Arc::clone(&self.incidents),
            usual: Arc::clone(&self.usual),
            backends: backends.collect(),
        }
    }
}

/// When requests finished that an incident counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IncidentWindow {
    /// The incident's number in its pool.
    pub number: u64,
    /// The first moment.
    pub from: Timestamp,
    /// The first moment after it; `None` while it is open.
    pub to: Option<Timestamp>,
}

/// The latest attempts at one backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recent {
    /// That ended.
    pub attempts: u64,
    /// Of those, the ones that failed.
    pub failures: u64,
}

/// The live numbers of one backend.
#[derive(Debug)]
pub struct BackendLive {
    /// Attempts that have begun and not ended.
    pub in_flight: AtomicU64,
    /// Attempts that ended, ever.
    pub attempts: AtomicU64,
    /// Attempts that failed, ever.
    pub failures: AtomicU64,
    /// Failed attempts since the last success.
    pub failure_run: AtomicU32,
    /// Attempts that ended in the last seconds.
    pub recent_attempts: RateWindow,
    /// Of those, the ones that failed.
    pub recent_failures: RateWindow,
    /// How long its answers take.
    pub times: Times,
    /// How long its answers take at present, where balancing asks.
    pub peak_ewma: PeakEwma,
    /// Whether the fleet wants to hear of successes, too.
    pub is_watched: AtomicBool,
    /// Milliseconds at which the fleet allowed one request to try this backend although it is
    /// suspected; 0 when none may.
    pub trial_from: AtomicU64,
    /// Where the backend is: from the configuration, or as its name was last resolved.
    place: ArcSwapOption<Place>,
    /// The fault that an operator injected, if any; it may have ended.
    fault: ArcSwapOption<Fault>,
}

impl BackendLive {
    fn new(backend: &Backend, usual: &Arc<Usual>) -> Self {
        let place = backend.address.place().map(Arc::new);
        Self {
            in_flight: AtomicU64::new(0),
            attempts: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            failure_run: AtomicU32::new(0),
            recent_attempts: RateWindow::default(),
            recent_failures: RateWindow::default(),
            times: Times::beside(usual),
            peak_ewma: PeakEwma::default(),
            is_watched: AtomicBool::new(false),
            trial_from: AtomicU64::new(0),
            place: ArcSwapOption::new(place),
            fault: ArcSwapOption::empty(),
        }
    }

    /// Returns where the backend is; `None` while its name was never resolved.
    pub fn place(&self) -> Option<Arc<Place>> {
        self.place.load_full()
    }

    /// Notes where the backend's name leads.
    pub fn resolved_to(&self, address: SocketAddr) {
        let place = Place::Ip(address);
        if self.place().as_deref() != Some(&place) {
            self.place.store(Some(Arc::new(place)));
        }
    }

    /// Tells whether a fault is injected, which may have ended by itself.
    pub fn has_fault(&self) -> bool {
        self.fault.load().is_some()
    }

    /// Returns the injected fault that applies at `now`.
    pub fn fault(&self, now: Timestamp) -> Option<Fault> {
        self.fault.load().as_deref().copied().filter(|fault| fault.is_active(now))
    }

    /// Starts `fault`, in place of any other, or ends the one under way.
    pub fn inject(&self, fault: Option<Fault>) {
        self.fault.store(fault.map(Arc::new));
    }

    /// Takes away a fault that has ended by itself, and returns it, once.
    pub fn expire_fault(&self, now: Timestamp) -> Option<Fault> {
        let ended = self.fault.load_full().filter(|fault| !fault.is_active(now))?;
        // Another may have been injected in the meantime.
        let found = self.fault.compare_and_swap(&Arc::clone(&ended), None);
        found.as_ref().is_some_and(|found| Arc::ptr_eq(found, &ended)).then_some(*ended)
    }

    /// Forgets what led to a loss that is over. The backend may have been restarted, and be cold, or
    /// be another one: how long its answers took, and that its attempts failed, says nothing of it.
    pub fn regained(&self) {
        self.failure_run.store(0, Relaxed);
        self.times.forget();
    }

    /// Returns the attempts that ended in the current second and the one before.
    pub fn just_now(&self, now: Timestamp) -> Recent {
        Recent {
            attempts: self.recent_attempts.count_last(2, now),
            failures: self.recent_failures.count_last(2, now),
        }
    }

    /// Returns the attempts that ended in the last ten seconds.
    pub fn recent(&self, now: Timestamp) -> Recent {
        Recent {
            attempts: self.recent_attempts.count(now),
            failures: self.recent_failures.count(now),
        }
    }

    /// Counts the end of an attempt that was answered at `now`. Tells whether the fleet wants to
    /// hear.
    pub fn succeeded(&self, now: Timestamp) -> bool {
        self.attempts.fetch_add(1, Relaxed);
        self.recent_attempts.add(now);
        if self.failure_run.load(Relaxed) != 0 {
            self.failure_run.store(0, Relaxed);
        }
        self.is_watched.load(Relaxed)
    }

    /// Counts the end of an attempt that failed at `now`. Returns the failures in a row, this one
    /// included.
    pub fn failed(&self, now: Timestamp) -> u32 {
        self.attempts.fetch_add(1, Relaxed);
        self.failures.fetch_add(1, Relaxed);
        self.recent_attempts.add(now);
        self.recent_failures.add(now);
        self.failure_run.fetch_add(1, Relaxed).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        event::{Delay, FaultMode, FaultScope, Percent},
        model::sample,
        snapshot::Kind,
    };

    fn live() -> Live {
        Live::new(&sample::tiers(&[0]))
    }

    #[test]
    fn a_fault_that_has_ended_by_itself_is_returned_once() {
        let (live, at) = (live(), Timestamp::from_millis);
        let backend = &live.pools[0].backends[0];
        let fault = Fault {
            mode: FaultMode::Hang,
            scope: FaultScope::All,
            percent: Percent::ALL,
            delay: Delay::fixed(Duration::ZERO),
            status: 503,
            ends_at: at(1_000),
        };
        assert_eq!(backend.expire_fault(at(0)), None);
        backend.inject(Some(fault));
        assert_eq!(backend.expire_fault(at(999)), None);
        assert_eq!(backend.expire_fault(at(1_000)), Some(fault));
        assert_eq!(backend.expire_fault(at(1_000)), None);
        backend.inject(Some(fault));
        backend.inject(None);
        assert_eq!(backend.expire_fault(at(1_000)), None, "an operator has ended it");
    }

    #[test]
    fn a_backend_that_is_regained_begins_anew() {
        let (live, now) = (live(), Timestamp::from_millis(1));
        let (backend, kind) = (&live.pools[0].backends[0], Kind::of(0, "GET", "/"));
        for _ in 0..60 {
            backend.times.learn(kind, Duration::from_millis(1), now);
            backend.failed(now);
        }
        backend.times.digest();
        backend.regained();
        assert_eq!(backend.times.longest(kind), None);
        assert_eq!(backend.failed(now), 1);
    }
}
