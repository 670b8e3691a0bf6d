//! Whose request it is: the peer's, or that of somebody for whom the peer speaks.

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderName};

use crate::access::is_same_secret;

/// By which the data plane proves that it relays: a secret made at the start of the process.
pub const RELAY_KEY_HEADER: HeaderName = HeaderName::from_static(RELAY_KEY);
/// With it, the address of the client for whom it relays.
pub const RELAY_CLIENT_HEADER: HeaderName = HeaderName::from_static(RELAY_CLIENT);
/// The name of [`RELAY_KEY_HEADER`].
pub const RELAY_KEY: &str = "x-bascule-relay";
/// The name of [`RELAY_CLIENT_HEADER`].
pub const RELAY_CLIENT: &str = "x-bascule-client";

/// Headers by which a reverse proxy says for whom it speaks.
const FORWARDED: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The peer's address, or the one that the data plane vouches for. Unspecified (`0.0.0.0`)
    /// when the data plane does not know.
    pub address: IpAddr,
    /// Which way the request came.
    pub arrival: Arrival,
    /// Whether it is on this machine and speaks for nobody elsewhere.
    pub is_local: bool,
}

/// Which way a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// To the sidecar's own address.
    Direct,
    /// Through a listener of the data plane, by a route that leads to the sidecar.
    DataPlane,
}

impl Client {
    /// Works out who asks. Without the right key, the data plane's headers mean nothing.
    pub fn of(peer: IpAddr, headers: &HeaderMap, relay_key: &str) -> Self {
        let is_relayed = only(headers, &RELAY_KEY_HEADER)
            .is_some_and(|key| !key.is_empty() && is_same_secret(key, relay_key.as_bytes()));
        let (address, arrival) = if is_relayed {
            (relayed_client(headers), Arrival::DataPlane)
        } else {
            (peer, Arrival::Direct)
        };
        // An IPv4 client of an IPv6 socket has an address such as ::ffff:127.0.0.1.
        let address = address.to_canonical();
        let is_local = address.is_loopback() && !speaks_for_others(headers);
        Self { address, arrival, is_local }
    }
}

impl Client {
    /// Tells whether it came through a listener of the data plane.
    pub fn is_relayed(self) -> bool {
        self.arrival == Arrival::DataPlane
    }
}

fn relayed_client(headers: &HeaderMap) -> IpAddr {
    only(headers, &RELAY_CLIENT_HEADER)
        .and_then(|text| std::str::from_utf8(text).ok()?.parse().ok())
        .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.as_bytes();
    values.next().is_none().then_some(value)
}

/// Tells whether a header names anybody who is not on this machine, or whom we cannot place.
fn speaks_for_others(headers: &HeaderMap) -> bool {
    FORWARDED
        .iter()
        .flat_map(|name| headers.get_all(*name).iter().map(move |value| (*name, value)))
        .any(|(name, value)| match value.to_str() {
            Ok(text) if name == "forwarded" => forwarded_for(text).any(|it| !is_loopback(it)),
            Ok(text) => text.split(',').any(|it| !is_loopback(it)),
            Err(_) => true,
        })
}

/// Returns who is named in a `Forwarded` header; an element that names nobody counts as unknown.
fn forwarded_for(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(|element| {
        element
            .split(';')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| key.trim().eq_ignore_ascii_case("for"))
            .map_or("unknown", |(_, node)| node)
    })
}

fn is_loopback(node: &str) -> bool {
    let node = node.trim().trim_matches('"');
    let inner = node.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(node);
    inner.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "the-key";

    fn check(peer: &str, headers: &[(&'static str, &str)], expected: (&str, Arrival, bool)) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let client = Client::of(peer.parse().unwrap(), &map, KEY);
        let (address, arrival, is_local) = expected;
        let expected = Client { address: address.parse().unwrap(), arrival, is_local };
        assert_eq!(client, expected, "{peer} {headers:?}");
    }

    #[test]
    fn a_peer_without_further_ado_is_itself() {
        check("127.0.0.1", &[], ("127.0.0.1", Arrival::Direct, true));
        check("127.9.9.9", &[], ("127.9.9.9", Arrival::Direct, true));
        check("::1", &[], ("::1", Arrival::Direct, true));
        check("::ffff:127.0.0.1", &[], ("127.0.0.1", Arrival::Direct, true));
        check("10.0.0.9", &[], ("10.0.0.9", Arrival::Direct, false));
        check("::ffff:10.0.0.9", &[], ("10.0.0.9", Arrival::Direct, false));
    }

    #[test]
    fn a_local_peer_that_speaks_for_others_is_not_local() {
        for header in [
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-for", "127.0.0.1, 203.0.113.9"),
            ("x-forwarded-for", ""),
            ("x-forwarded-for", "unknown"),
            ("x-real-ip", "203.0.113.9"),
            ("forwarded", "for=203.0.113.9;proto=http"),
            ("forwarded", "proto=http"),
            ("forwarded", "for=\"[2001:db8::1]\", for=127.0.0.1"),
            ("forwarded", "for=_hidden"),
        ] {
            check("127.0.0.1", &[header], ("127.0.0.1", Arrival::Direct, false));
        }
    }

    #[test]
    fn a_local_peer_that_speaks_for_the_same_machine_is_local() {
        for header in [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-for", "::1, 127.0.0.1"),
            ("forwarded", "For=\"[::1]\";proto=http"),
        ] {
            check("127.0.0.1", &[header], ("127.0.0.1", Arrival::Direct, true));
        }
    }

    #[test]
    fn a_remote_peer_cannot_make_itself_local() {
        check(
            "10.0.0.9",
            &[("x-forwarded-for", "127.0.0.1")],
            ("10.0.0.9", Arrival::Direct, false),
        );
        for key in ["", "wrong", "the-ke", "the-keyy", "THE-KEY"] {
            let headers = [("x-bascule-relay", key), ("x-bascule-client", "127.0.0.1")];
            check("10.0.0.9", &headers, ("10.0.0.9", Arrival::Direct, false));
        }
        let headers = [("x-bascule-client", "127.0.0.1")];
        check("10.0.0.9", &headers, ("10.0.0.9", Arrival::Direct, false));
    }

    #[test]
    fn the_data_plane_says_whose_request_it_is() {
        let relayed = |client| [("x-bascule-relay", KEY), ("x-bascule-client", client)];
        let peer = "127.0.0.1";
        check(peer, &relayed("10.0.0.9"), ("10.0.0.9", Arrival::DataPlane, false));
        check(peer, &relayed("127.0.0.1"), ("127.0.0.1", Arrival::DataPlane, true));
        check(peer, &relayed("unknown"), ("0.0.0.0", Arrival::DataPlane, false));
        check(peer, &relayed("127.0.0.1:80"), ("0.0.0.0", Arrival::DataPlane, false));
        check(peer, &[("x-bascule-relay", KEY)], ("0.0.0.0", Arrival::DataPlane, false));
        let twice = [("x-bascule-relay", KEY), ("x-bascule-relay", KEY)];
        check(peer, &twice, ("127.0.0.1", Arrival::Direct, true));
        let two = [
            ("x-bascule-relay", KEY),
            ("x-bascule-client", "127.0.0.1"),
            ("x-bascule-client", "10.0.0.9"),
        ];
        check(peer, &two, ("0.0.0.0", Arrival::DataPlane, false));
    }

    #[test]
    fn an_empty_key_opens_nothing() {
        let mut headers = HeaderMap::new();
        headers.append(RELAY_KEY_HEADER, "".parse().unwrap());
        let client = Client::of("127.0.0.1".parse().unwrap(), &headers, "");
        assert_eq!(client.arrival, Arrival::Direct);
    }
}
