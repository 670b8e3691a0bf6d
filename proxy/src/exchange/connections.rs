//! Idle connections, kept for the next request.
//!
//! Every connection is looked at when it is taken: one that its backend has closed is not used. For
//! a request that must not be repeated that is not enough, because the close may be under way: such
//! a request takes none that has been idle for long, where "long" is learned from how soon the
//! backend has been seen to close. Where another attempt is free if it was closed just now, what the
//! event loop has heard will do.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{
    clock::Timestamp,
    exchange::{connection::Connection, dial::Dial, shared::Shared, tls::TlsError},
    model::{BackendId, Pool, PoolId, SharedTopology, Succession, Topology},
    snapshot::Live,
};

/// An idle age that every backend is taken to allow, though nothing has been seen of it yet.
const ALLOWED: Duration = Duration::from_millis(20);
/// Share of the time that a backend says it keeps an idle connection after which it is not used.
const KEPT_SHARE: f64 = 0.8;
/// By how much what was learned of a backend's closing is relaxed at each [`Connections::reap`]:
/// after a minute without another early close, little of it is left.
const FORGETTING: f64 = 1.05;

/// The connections to every backend of a topology: those that are idle, and how new ones are made.
#[derive(Debug)]
pub struct Connections {
    /// Indexed by pool, then as in the topology.
    pools: Vec<Vec<Arc<Shelf>>>,
    /// Those that many requests share.
    pub(crate) shared: Shared,
    /// Who makes new ones.
    pub(crate) dial: Dial,
}

/// The idle connections to one backend, youngest last.
#[derive(Debug, Default)]
struct Shelf {
    /// Locked for the time of a push or a pop.
    kept: Mutex<Vec<Kept>>,
    /// Set once nobody will take anything from here any more.
    is_retired: AtomicBool,
    /// The youngest age, in microseconds, at which an idle connection was found closed; 0 when none
    /// was.
    closed_at_age: AtomicU64,
    /// The greatest age, in microseconds, at which one was found open.
    open_at_age: AtomicU64,
}

#[derive(Debug)]
struct Kept {
    connection: Connection,
    since: Timestamp,
}

/// How idle a connection may have been to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaxIdle {
    /// As long as the pool keeps it.
    Kept,
    /// For requests that must not be repeated: no longer than this, and no longer than half of what
    /// the backend has been seen to allow; see [`Shelf::safe_age`].
    Fresh(Duration),
}

/// Who is asked whether a connection still stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// The kernel: what it knows now.
    Kernel,
    /// The event loop: what it has heard, which takes no system call.
    EventLoop,
}

impl Connections {
    /// Makes room for the connections to the backends of `topology`; there are none yet.
    ///
    /// # Errors
    /// When what TLS needs cannot be read, or does not fit together.
    pub fn new(topology: &SharedTopology, live: &Arc<Live>) -> Result<Self, TlsError> {
        let shelves = |pool: &Pool| pool.backends.iter().map(|_| Arc::default()).collect();
        let pools = topology.pools.iter().map(shelves).collect();
        Ok(Self { pools, shared: Shared::new(topology), dial: Dial::new(topology, live)? })
    }

    /// Makes room for the connections to the backends of `topology`, which follows another: those to
    /// backends that go on there, and are reached in the same way, can be used by requests of both.
    ///
    /// `heritage` says where each backend was before.
    ///
    /// # Errors
    /// When what TLS needs cannot be read, or does not fit together; nothing has changed then.
    pub fn succeeded_by(
        &self,
        topology: &SharedTopology,
        live: &Arc<Live>,
        heritage: &Succession,
    ) -> Result<Self, TlsError> {
        let mut next = Self::new(topology, live)?;
        for id in topology.backend_ids() {
            let Some(before) = heritage.backend(id) else { continue };
            if is_same_way(topology.pool(id.pool), self.dial.topology().pool(before.pool)) {
                let own = &mut next.pools[id.pool.0][id.index];
                Arc::clone_from(own, &self.pools[before.pool.0][before.index]);
                next.shared.share(id, &self.shared, before);
            }
        }
        Ok(next)
    }

    /// Closes idle connections to backends that `next`, which follows this, does not take over, and
    /// keeps none any more. What is under way goes on.
    pub fn retire(&self, next: &Self) {
        let taken_over: HashSet<*const Shelf> =
            next.pools.iter().flatten().map(Arc::as_ptr).collect();
        for (pool, shelves) in self.pools.iter().enumerate() {
            for (index, shelf) in shelves.iter().enumerate() {
                if !taken_over.contains(&Arc::as_ptr(shelf)) {
                    shelf.is_retired.store(true, Relaxed);
                    drop(std::mem::take(&mut *lock(&shelf.kept)));
                    self.shared.retire(BackendId { pool: PoolId(pool), index });
                }
            }
        }
    }

    /// Takes the connection that was used last, if one is fit for use.
    pub(crate) fn take(
        &self,
        id: BackendId,
        epoch: u64,
        (max_idle, look): (MaxIdle, Look),
        pool: &Pool,
        now: Timestamp,
    ) -> Option<Connection> {
        let shelf = &self.pools[id.pool.0][id.index];
        let limit = match max_idle {
            MaxIdle::Kept => pool.timeouts.idle,
            MaxIdle::Fresh(limit) => limit.min(shelf.safe_age()),
        };
        loop {
            let mut kept = {
                let mut all = lock(&shelf.kept);
                // The youngest is last: if it is too old, all are.
                if all.last().is_some_and(|it| limit < now.since(it.since)) {
                    return None;
                }
                all.pop()?
            };
            if kept.connection.epoch != epoch {
                continue;
            }
            let age = now.since(kept.since);
            if kept.connection.kept_for.is_some_and(|it| it.mul_f64(KEPT_SHARE) < age) {
                continue;
            }
            let is_open = match look {
                Look::EventLoop => kept.connection.seems_open(),
                Look::Kernel => kept.connection.is_open(),
            };
            if is_open {
                shelf.found_open(age);
                // Who kept it may have known the backend by another number.
                kept.connection.backend = id;
                return Some(kept.connection);
            }
            shelf.found_closed(age);
        }
    }

    /// Keeps a connection that its request has left fit for another, if there is room.
    pub(crate) fn keep(&self, connection: Connection, pool: &Pool, now: Timestamp) {
        let id = connection.backend;
        let shelf = &self.pools[id.pool.0][id.index];
        let mut all = lock(&shelf.kept);
        // Asked under the lock, so that what is kept here is found by whoever retires it.
        if all.len() < pool.timeouts.idle_connections && !shelf.is_retired.load(Relaxed) {
            all.push(Kept { connection, since: now });
        }
    }

    /// Closes idle connections, oldest first, so that one can be made without there being more in all
    /// than the pool allows. `in_use` counts those that attempts use, the new one included.
    pub(crate) fn make_room(&self, id: BackendId, pool: &Pool, in_use: u64) {
        let Some(most) = pool.limits.max_connections else { return };
        let left = u64::from(most.get()).saturating_sub(in_use);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let surplus: Vec<Kept> = {
            let mut all = lock(&self.pools[id.pool.0][id.index].kept);
            let surplus = all.len().saturating_sub(left);
            all.drain(..surplus).collect()
        };
        drop(surplus);
    }

    /// Closes what is too old, was closed by its backend, or is from before `epoch_of` its backend.
    /// For one caller, a few times a second.
    pub fn reap(&self, topology: &Topology, epoch_of: impl Fn(BackendId) -> u64, now: Timestamp) {
        for id in topology.backend_ids() {
            let shelf = &self.pools[id.pool.0][id.index];
            let idle = topology.pool(id.pool).timeouts.idle;
            let epoch = epoch_of(id);
            self.shared.reap(id, epoch, &topology.pool(id.pool).timeouts, now);
            let mut dropped = Vec::new();
            // Looked at outside the lock: requests do not wait for it, they find an empty shelf.
            let mut all = std::mem::take(&mut *lock(&shelf.kept));
            all.retain_mut(|it| {
                let age = now.since(it.since);
                if age < idle && it.connection.epoch == epoch && it.connection.is_open() {
                    shelf.found_open(age);
                    return true;
                }
                dropped.push((age < idle && it.connection.epoch == epoch).then_some(age));
                false
            });
            let most = topology.pool(id.pool).timeouts.idle_connections;
            let surplus: Vec<Kept> = {
                let mut kept = lock(&shelf.kept);
                all.append(&mut kept);
                let surplus = all.len().saturating_sub(most);
                let surplus = all.drain(..surplus).collect();
                *kept = all;
                surplus
            };
            drop(surplus);
            // As long as the backend is seen to close, what is known of it is not old.
            if dropped.iter().flatten().next().is_none() {
                shelf.forget();
            }
            dropped.into_iter().flatten().for_each(|age| shelf.found_closed(age));
        }
    }
}

impl Shelf {
    /// Returns the age up to which the backend has been seen to keep connections and not to close
    /// them, with a margin of as much again: a close that we see now was decided earlier. What
    /// nothing is known of yet is not risked.
    fn safe_age(&self) -> Duration {
        let open = Duration::from_micros(self.open_at_age.load(Relaxed)).max(ALLOWED);
        let allowed = match self.closed_at_age.load(Relaxed) {
            0 => open,
            micros => open.min(Duration::from_micros(micros)),
        };
        allowed / 2
    }

    fn found_open(&self, age: Duration) {
        let micros = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
        if self.open_at_age.load(Relaxed) < micros {
            self.open_at_age.fetch_max(micros, Relaxed);
        }
    }

    fn found_closed(&self, age: Duration) {
        let micros = u64::try_from(age.as_micros()).unwrap_or(u64::MAX).max(1);
        let shorter = |known: u64| (known == 0 || micros < known).then_some(micros);
        _ = self.closed_at_age.fetch_update(Relaxed, Relaxed, shorter);
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "microseconds of minutes"
    )]
    fn forget(&self) {
        let known = self.closed_at_age.load(Relaxed);
        if known != 0 {
            let longer = ((known as f64 * FORGETTING) as u64).max(known + 1);
            let longer = if 600_000_000 < longer { 0 } else { longer };
            // If an earlier close is found in between, that is kept.
            _ = self.closed_at_age.compare_exchange(known, longer, Relaxed, Relaxed);
        }
    }
}

/// Tells whether the backends of two pools are connected to in the same way.
fn is_same_way(one: &Pool, other: &Pool) -> bool {
    one.protocol == other.protocol
        && one.proxy_protocol == other.proxy_protocol
        && one.tls == other.tls
}

/// A thread that panicked while it held the lock has left the list whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
