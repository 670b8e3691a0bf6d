//! How many connections there may be: of everybody, and of each client.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Counts the connections of each client.
///
/// Clients on IPv6 are counted by their network of 64 bits: everybody has one, and all of its
/// addresses. What is kept is bounded by the number of connections.
#[derive(Debug)]
pub(crate) struct PerClient {
    most: NonZeroU32,
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
        Arc::new(Self { most, counts: Mutex::default() })
    }

    /// Counts a connection; `None` if the client has as many as it may.
    pub(crate) fn admit(self: &Arc<Self>, client: IpAddr) -> Option<Counted> {
        let client = network_of(client);
        let mut counts = self.lock();
        let count = counts.entry(client).or_insert(0);
        if self.most.get() <= *count {
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

    #[test]
    fn nothing_is_kept_of_clients_that_are_gone() {
        let clients = PerClient::new(NonZeroU32::MIN);
        drop(clients.admit(ip("192.0.2.1")));
        assert!(clients.lock().is_empty());
    }
}
