//! What is said first on a connection to a backend that wants to know who connects: a header of the
//! PROXY protocol, version 1 or 2 (haproxy.org, `proxy-protocol.txt`, sections 2.1 and 2.2).

use std::net::{IpAddr, SocketAddr};

use bytes::{BufMut, Bytes, BytesMut};

/// The longest header of version 1 (section 2.1).
pub const V1_MAX: usize = 107;
/// What every header of version 2 begins with; no request of HTTP does.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2 and the command: the proxy itself connects.
const LOCAL: u8 = 0x20;
/// Version 2 and the command: somebody connects through it.
const PROXY: u8 = 0x21;
/// Families of addresses, over a stream.
const UNSPECIFIED: u8 = 0x00;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const UNIX: u8 = 0x31;
/// Two paths of a Unix socket, 108 bytes each.
const UNIX_LENGTH: u16 = 216;

/// Who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The proxy, for itself: to check health.
    Proxy,
    /// A client over IPv4.
    Client4(Ends<[u8; 4]>),
    /// A client over IPv6, or with an address of each kind.
    Client6(Ends<[u8; 16]>),
    /// A client on this machine, at a Unix socket.
    LocalClient,
    /// Somebody of whom nothing is known.
    Unknown,
}

/// The ends of a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends<A> {
    source: A,
    destination: A,
    source_port: u16,
    destination_port: u16,
}

impl Speaker {
    /// A client that connected from `source` to `destination`. IPv4 within IPv6 is taken for what it
    /// is.
    pub fn client(source: SocketAddr, destination: SocketAddr) -> Self {
        let (source_port, destination_port) = (source.port(), destination.port());
        match (source.ip().to_canonical(), destination.ip().to_canonical()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let (source, destination) = (source.octets(), destination.octets());
                Self::Client4(Ends { source, destination, source_port, destination_port })
            }
            (source, destination) => {
                let (source, destination) = (octets6(source), octets6(destination));
                Self::Client6(Ends { source, destination, source_port, destination_port })
            }
        }
    }
}

fn octets6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// Returns the header of version 1: a line of text of at most [`V1_MAX`] bytes.
pub fn v1(speaker: Speaker) -> Bytes {
    let line = |family: &str, source: IpAddr, destination: IpAddr, ports: (u16, u16)| {
        format!("PROXY {family} {source} {destination} {} {}\r\n", ports.0, ports.1)
    };
    let text = match speaker {
        Speaker::Client4(it) => line(
            "TCP4",
            it.source.into(),
            it.destination.into(),
            (it.source_port, it.destination_port),
        ),
        Speaker::Client6(it) => line(
            "TCP6",
            it.source.into(),
            it.destination.into(),
            (it.source_port, it.destination_port),
        ),
        Speaker::Proxy | Speaker::LocalClient | Speaker::Unknown => "PROXY UNKNOWN\r\n".to_owned(),
    };
    text.into()
}

/// Returns the header of version 2.
pub fn v2(speaker: Speaker) -> Bytes {
    let mut out = BytesMut::with_capacity(64);
    out.put_slice(SIGNATURE);
    match speaker {
        Speaker::Proxy => put_head(LOCAL, UNSPECIFIED, 0, &mut out),
        Speaker::Unknown => put_head(PROXY, UNSPECIFIED, 0, &mut out),
        Speaker::LocalClient => {
            put_head(PROXY, UNIX, UNIX_LENGTH, &mut out);
            out.put_bytes(0, UNIX_LENGTH.into());
        }
        Speaker::Client4(ends) => {
            put_head(PROXY, TCP4, 12, &mut out);
            put_ends(&ends, &mut out);
        }
        Speaker::Client6(ends) => {
            put_head(PROXY, TCP6, 36, &mut out);
            put_ends(&ends, &mut out);
        }
    }
    out.freeze()
}

fn put_head(command: u8, family: u8, length: u16, out: &mut BytesMut) {
    out.put_u8(command);
    out.put_u8(family);
    out.put_u16(length);
}

fn put_ends<A: AsRef<[u8]>>(ends: &Ends<A>, out: &mut BytesMut) {
    out.put_slice(ends.source.as_ref());
    out.put_slice(ends.destination.as_ref());
    out.put_u16(ends.source_port);
    out.put_u16(ends.destination_port);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(source: &str, destination: &str) -> Speaker {
        Speaker::client(source.parse().unwrap(), destination.parse().unwrap())
    }

    #[test]
    fn version_1_is_a_line() {
        let check = |speaker, line: &str| assert_eq!(v1(speaker), line);
        check(
            client("192.0.2.1:56324", "198.51.100.9:443"),
            "PROXY TCP4 192.0.2.1 198.51.100.9 56324 443\r\n",
        );
        check(client("[2001:db8::1]:1", "[::1]:2"), "PROXY TCP6 2001:db8::1 ::1 1 2\r\n");
        check(
            client("[::ffff:192.0.2.1]:1", "192.0.2.2:2"),
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        );
        check(Speaker::Proxy, "PROXY UNKNOWN\r\n");
        check(Speaker::Unknown, "PROXY UNKNOWN\r\n");
    }

    #[test]
    fn version_2_is_binary() {
        let check = |speaker, rest: &[u8]| {
            assert_eq!(v2(speaker), [&b"\r\n\r\n\0\r\nQUIT\n"[..], rest].concat());
        };
        check(Speaker::Proxy, &[0x20, 0, 0, 0]);
        check(Speaker::Unknown, &[0x21, 0, 0, 0]);
        check(Speaker::LocalClient, &[&[0x21, 0x31, 0, 216][..], &[0; 216]].concat());
        let ends = [192, 0, 2, 1, 198, 51, 100, 9, 0xdc, 0x04, 0x01, 0xbb];
        let speaker = client("192.0.2.1:56324", "198.51.100.9:443");
        check(speaker, &[&[0x21, 0x11, 0, 12][..], &ends].concat());
    }

    /// Reads a header of version 1 as section 2.1 has it.
    fn read_v1(line: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
        let line = std::str::from_utf8(line).unwrap().strip_suffix("\r\n").unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let ["PROXY", family, source, destination, from, to] = words[..] else { return None };
        let end =
            |ip: &str, port: &str| SocketAddr::new(ip.parse().unwrap(), port.parse().unwrap());
        let ends = (end(source, from), end(destination, to));
        assert_eq!(family == "TCP4", ends.0.is_ipv4() && ends.1.is_ipv4());
        Some(ends)
    }

    /// Reads a header of version 2 as section 2.2 has it.
    fn read_v2(bytes: &[u8]) -> (SocketAddr, SocketAddr) {
        let (head, ends) = bytes.split_at(16);
        assert_eq!(usize::from(u16::from_be_bytes([head[14], head[15]])), ends.len());
        let width = if head[13] == TCP4 { 4 } else { 16 };
        let ip = |bytes: &[u8]| match <[u8; 4]>::try_from(bytes) {
            Ok(four) => IpAddr::from(four),
            Err(_) => IpAddr::from(<[u8; 16]>::try_from(bytes).unwrap()),
        };
        let port = |at: usize| u16::from_be_bytes([ends[at], ends[at + 1]]);
        let source = SocketAddr::new(ip(&ends[..width]), port(2 * width));
        (source, SocketAddr::new(ip(&ends[width..2 * width]), port(2 * width + 2)))
    }

    fn canonical(at: SocketAddr) -> SocketAddr {
        SocketAddr::new(at.ip().to_canonical(), at.port())
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(source: SocketAddr, destination: SocketAddr) {
            let speaker = Speaker::client(source, destination);
            let expected = (canonical(source), canonical(destination));
            let line = v1(speaker);
            prop_assert!(line.len() <= V1_MAX);
            let (from, to) = read_v1(&line).unwrap();
            prop_assert_eq!((canonical(from), canonical(to)), expected);
            let (from, to) = read_v2(&v2(speaker));
            prop_assert_eq!((canonical(from), canonical(to)), expected);
        }
    }
}
