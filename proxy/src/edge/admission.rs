//! How many connections there may be: of everybody, and of each client.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicU32, AtomicUsize,
            Ordering::{AcqRel, Relaxed},
        },
    },
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Counts the connections of each client.
///
/// Clients on IPv6 are counted by their network of 64 bits: everybody has one, and all of its
/// addresses. What is kept is bounded by the number of connections.
#[derive(Debug)]
pub(crate) struct PerClient {
    most: AtomicU32,
    /// Locked for the time of a look-up, once at the beginning and once at the end of a connection.
    counts: Mutex<HashMap<IpAddr, u32>>,
}

/// One connection of a client, until dropped.
#[derive(Debug)]
pub(crate) struct Counted {
    clients: Arc<PerClient>,
    client: IpAddr,
}

impl PerClient {
    pub(crate) fn new(most: NonZeroU32) -> Arc<Self> {
        Arc::new(Self { most: AtomicU32::new(most.get()), counts: Mutex::default() })
    }

    /// Lets each client have so many from now on.
    pub(crate) fn adjust(&self, most: NonZeroU32) {
        self.most.store(most.get(), Relaxed);
    }

    /// Counts a connection; `None` if the client has as many as it may.
    pub(crate) fn admit(self: &Arc<Self>, client: IpAddr) -> Option<Counted> {
        let client = network_of(client);
        let mut counts = self.lock();
        let count = counts.entry(client).or_insert(0);
        if self.most.load(Relaxed) <= *count {
            return None;
        }
        *count += 1;
        Some(Counted { clients: Arc::clone(self), client })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        // A thread that panicked while it held the lock has left the counts whole.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.clients.lock();
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

/// So many connections may there be.
#[derive(Debug)]
pub(crate) struct Slots(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    free: Arc<Semaphore>,
    /// How many there are, taken ones included.
    most: Mutex<usize>,
    /// How many that are taken are to go when they are given back.
    surplus: AtomicUsize,
}

/// One of them, until dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Inside>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Slots {
    pub(crate) fn new(most: NonZeroU32) -> Self {
        let most = bounded(most);
        let free = Arc::new(Semaphore::new(most));
        Self(Arc::new(Inside { free, most: Mutex::new(most), surplus: AtomicUsize::new(0) }))
    }

    /// Waits for one.
    pub(crate) async fn take(&self) -> Slot {
        // An error would say that the semaphore is closed, which it never is.
        let permit = Arc::clone(&self.0.free).acquire_owned().await.ok();
        Slot { slots: Arc::clone(&self.0), permit }
    }

    /// Takes one if there is one.
    pub(crate) fn try_take(&self) -> Option<Slot> {
        let permit = Arc::clone(&self.0.free).try_acquire_owned().ok()?;
        Some(Slot { slots: Arc::clone(&self.0), permit: Some(permit) })
    }

    /// Has so many of them from now on. Those that are taken beyond that go as they are given back.
    pub(crate) fn adjust(&self, most: NonZeroU32) {
        let wanted = bounded(most);
        // A thread that panicked while it held the lock has left a number.
        let mut most = self.0.most.lock().unwrap_or_else(PoisonError::into_inner);
        let (more, fewer) = (wanted.saturating_sub(*most), most.saturating_sub(wanted));
        *most = wanted;
        if more != 0 {
            let owed = |it: usize| Some(it.saturating_sub(more));
            let before = self.0.surplus.fetch_update(AcqRel, Relaxed, owed).unwrap_or(0);
            self.0.free.add_permits(more.saturating_sub(before));
        }
        let gone = self.0.free.forget_permits(fewer);
        self.0.surplus.fetch_add(fewer - gone, AcqRel);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let one_less = |it: usize| it.checked_sub(1);
        if self.slots.surplus.fetch_update(AcqRel, Relaxed, one_less).is_ok()
            && let Some(permit) = self.permit.take()
        {
            permit.forget();
        }
    }
}

fn bounded(most: NonZeroU32) -> usize {
    (most.get() as usize).min(Semaphore::MAX_PERMITS)
}

/// Returns what stands for a client.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_client_has_so_many_and_gets_them_back() {
        let clients = PerClient::new(NonZeroU32::new(2).unwrap());
        let first = clients.admit(ip("192.0.2.1")).unwrap();
        let _second = clients.admit(ip("::ffff:192.0.2.1")).unwrap();
        assert!(clients.admit(ip("192.0.2.1")).is_none());
        let _other = clients.admit(ip("192.0.2.2")).unwrap();
        drop(first);
        assert!(clients.admit(ip("192.0.2.1")).is_some());
    }

    #[test]
    fn a_network_of_64_bits_is_one_client() {
        let clients = PerClient::new(NonZeroU32::MIN);
        let _one = clients.admit(ip("2001:db8:0:1::1")).unwrap();
        assert!(clients.admit(ip("2001:db8:0:1:ffff::2")).is_none());
        assert!(clients.admit(ip("2001:db8:0:2::1")).is_some());
    }

    #[tokio::test]
    async fn slots_can_become_more_or_fewer_while_they_are_taken() {
        let number = |it| NonZeroU32::new(it).unwrap();
        let slots = Slots::new(number(3));
        let free = |slots: &Slots| slots.0.free.available_permits();
        let mut taken = Vec::new();
        for _ in 0..3 {
            taken.push(slots.take().await);
        }
        slots.adjust(number(1));
        taken.pop();
        taken.pop();
        assert_eq!((free(&slots), taken.len()), (0, 1));
        taken.pop();
        assert_eq!(free(&slots), 1);
        taken.push(slots.take().await);
        slots.adjust(number(4));
        assert_eq!(free(&slots), 3);
        for _ in 0..3 {
            taken.push(slots.take().await);
        }
        slots.adjust(number(2));
        slots.adjust(number(3));
        taken.clear();
        assert_eq!(free(&slots), 3);
    }

    #[test]
    fn nothing_is_kept_of_clients_that_are_gone() {
        let clients = PerClient::new(NonZeroU32::MIN);
        drop(clients.admit(ip("192.0.2.1")));
        assert!(clients.lock().is_empty());
    }
}
