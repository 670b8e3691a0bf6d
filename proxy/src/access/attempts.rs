//! How often somebody may show what is wrong.
//!
//! Tokens are beyond guessing; what is bounded here is the noise that trying makes, and how fast a token
//! could be found that an operator has chosen badly. The first failures cost nothing, for people who
//! mistype; each further one doubles the wait. Whoever shows nothing is not concerned.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use http::HeaderMap;

use crate::{access::Client, clock::Timestamp};

/// Failures in a row without a wait.
const FREE: u32 = 10;
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(5 * 60);
/// Longer than the longest wait.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10 * 60);
/// Addresses remembered. When there are more, the one that has been quiet for longest is forgotten.
const ADDRESSES_MAX: usize = 4_096;

/// Who has shown something wrong lately.
#[derive(Debug, Default)]
pub struct Attempts {
    addresses: BTreeMap<IpAddr, Failures>,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Timestamp,
    /// Until then, nothing that is shown is looked at.
    until: Timestamp,
}

impl Attempts {
    /// Returns how long `address` has to wait before what it shows is looked at again.
    pub fn wait(&self, address: IpAddr, now: Timestamp) -> Option<Duration> {
        let failures = self.addresses.get(&network_of(address))?;
        let wait = failures.until.since(now);
        (!wait.is_zero()).then_some(wait)
    }

    /// Takes in that what `address` showed was wrong.
    pub fn failed(&mut self, address: IpAddr, now: Timestamp) {
        let address = network_of(address);
        if !self.addresses.contains_key(&address) && ADDRESSES_MAX <= self.addresses.len() {
            let quietest = self.addresses.iter().min_by_key(|(_, it)| it.last).map(|(it, _)| *it);
            if let Some(quietest) = quietest {
                self.addresses.remove(&quietest);
            }
        }
        let none = Failures { count: 0, last: now, until: now };
        let failures = self.addresses.entry(address).or_insert(none);
        if FORGOTTEN_AFTER <= now.since(failures.last) {
            *failures = none;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
        if let Some(beyond) = failures.count.checked_sub(FREE) {
            let wait = WAIT_MIN.saturating_mul(1_u32.checked_shl(beyond).unwrap_or(u32::MAX));
            failures.until = now + wait.min(WAIT_MAX);
        }
    }

    /// Takes in that what `address` showed was right.
    pub fn succeeded(&mut self, address: IpAddr) {
        self.addresses.remove(&network_of(address));
    }
}

/// Returns the address that a client's failures are counted under. A relay on this machine passes on
/// whom it speaks for, and its clients are told apart by that: the last one named is whom the relay
/// itself has seen.
pub fn counted_address(client: Client, headers: &HeaderMap) -> IpAddr {
    if client.is_local || !client.address.is_loopback() {
        return client.address;
    }
    let last = headers.get_all("x-forwarded-for").iter().next_back();
    let named = last
        .and_then(|it| it.to_str().ok()?.rsplit(',').next()?.trim().parse().ok())
        .unwrap_or(client.address);
    named.to_canonical()
}

/// Whoever has one IPv6 address mostly has a whole network of 64 bits.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Arrival;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_000 * seconds)
    }

    #[test]
    fn waits_begin_after_ten_failures_and_double_up_to_five_minutes() {
        let mut attempts = Attempts::default();
        let (who, other) = (address("192.0.2.1"), address("192.0.2.2"));
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..20 {
            attempts.failed(who, now);
            let wait = attempts.wait(who, now).unwrap_or_default();
            waits.push(wait.as_secs());
            assert_eq!(attempts.wait(other, now), None);
            now = now + wait;
            assert_eq!(attempts.wait(who, now), None, "the wait ends when it says");
        }
        assert_eq!(waits[..9], [0; 9]);
        assert_eq!(waits[9..], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    }

    #[test]
    fn a_success_and_time_make_all_well() {
        let mut attempts = Attempts::default();
        let who = address("192.0.2.1");
        let fail = |attempts: &mut Attempts, now| (0..10).for_each(|_| attempts.failed(who, now));
        fail(&mut attempts, at(0));
        attempts.succeeded(who);
        attempts.failed(who, at(0));
        assert_eq!(attempts.wait(who, at(0)), None);
        fail(&mut attempts, at(0));
        assert!(attempts.wait(who, at(0)).is_some());
        attempts.failed(who, at(600));
        assert_eq!(attempts.wait(who, at(600)), None);
    }

    #[test]
    fn the_addresses_of_one_network_are_one() {
        let mut attempts = Attempts::default();
        for host in 0..10 {
            attempts.failed(address(&format!("2001:db8::{host:x}")), at(0));
        }
        assert!(attempts.wait(address("2001:db8::ffff:1"), at(0)).is_some());
        assert_eq!(attempts.wait(address("2001:db8:0:1::1"), at(0)), None);
    }

    #[test]
    fn memory_is_bounded_and_the_quietest_is_forgotten_first() {
        let mut attempts = Attempts::default();
        let who = address("192.0.2.1");
        (0..10).for_each(|_| attempts.failed(who, at(1)));
        attempts.failed(address("192.0.2.2"), at(0));
        for host in 0..u32::try_from(ADDRESSES_MAX).unwrap() - 1 {
            attempts.failed(IpAddr::V4((0x0a00_0000 + host).into()), at(2));
        }
        assert_eq!(attempts.addresses.len(), ADDRESSES_MAX);
        assert!(attempts.wait(who, at(1)).is_some(), "another was quieter");
        attempts.failed(address("192.0.2.3"), at(3));
        assert_eq!(attempts.addresses.len(), ADDRESSES_MAX);
        assert_eq!(attempts.wait(who, at(1)), None);
    }

    #[test]
    fn relays_on_this_machine_are_told_apart_by_whom_they_speak_for() {
        let check = |peer: &str, is_local, forwarded: &[&'static str], expected: &str| {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append("x-forwarded-for", value.parse().unwrap());
            }
            let client = Client { address: address(peer), arrival: Arrival::Direct, is_local };
            assert_eq!(counted_address(client, &headers), address(expected), "{forwarded:?}");
        };
        check("127.0.0.1", false, &["203.0.113.9"], "203.0.113.9");
        check("127.0.0.1", false, &["198.51.100.1, 203.0.113.9"], "203.0.113.9");
        check("127.0.0.1", false, &["198.51.100.1", "203.0.113.9"], "203.0.113.9");
        check("127.0.0.1", false, &["nonsense"], "127.0.0.1");
        check("127.0.0.1", true, &["127.0.0.1"], "127.0.0.1");
        check("10.0.0.9", false, &["203.0.113.9"], "10.0.0.9");
    }
}
