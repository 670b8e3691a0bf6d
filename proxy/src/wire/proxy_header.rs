//! PROXY headers, versions 1 and 2: how a proxy in front tells who the client is, before the first
//! byte of the client's own (HAProxy's `doc/proxy-protocol.txt`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const V1_START: &[u8] = b"PROXY ";
/// Longest line of version 1, line end included (§2.1).
const V1_MAX: usize = 107;
const V2_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_FIXED: usize = 16;
/// Longest part behind the fixed one of version 2. Addresses need 216 bytes at most; what may follow
/// them is not looked at.
const V2_REST_MAX: usize = 4096;

/// Longest header of either version.
pub const LONGEST: usize = V2_FIXED + V2_REST_MAX;

/// What the start of a connection says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// More bytes are needed to tell.
    Unfinished,
    /// There is no PROXY header.
    Absent,
    /// There is one.
    Present {
        /// Its length in bytes.
        length: usize,
        /// Who the client is; `None` if that is not said: the peer speaks for itself, or it does not
        /// know.
        client: Option<SocketAddr>,
    },
}

/// A PROXY header that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the PROXY header is malformed")]
pub struct Malformed;

/// Reads what a connection begins with; to be shown the same bytes and more until it can tell.
pub fn read(bytes: &[u8]) -> Result<ProxyHeader, Malformed> {
    if bytes.starts_with(V1_START) {
        return read_v1(bytes);
    }
    if bytes.starts_with(V2_START) {
        return read_v2(bytes);
    }
    let is_beginning = V1_START.starts_with(bytes) || V2_START.starts_with(bytes);
    Ok(if is_beginning { ProxyHeader::Unfinished } else { ProxyHeader::Absent })
}

fn read_v1(bytes: &[u8]) -> Result<ProxyHeader, Malformed> {
    let start = &bytes[..bytes.len().min(V1_MAX)];
    let Some(feed) = memchr::memchr(b'\n', start) else {
        return if V1_MAX <= bytes.len() { Err(Malformed) } else { Ok(ProxyHeader::Unfinished) };
    };
    let line = start[..feed].strip_suffix(b"\r").ok_or(Malformed)?;
    let line = std::str::from_utf8(line).map_err(|_| Malformed)?;
    let mut words = line.split(' ').skip(1);
    let client = match words.next() {
        Some("UNKNOWN") => None,
        Some(family @ ("TCP4" | "TCP6")) => {
            let mut next = || words.next().ok_or(Malformed);
            let (from, to) = (ip(family, next()?)?, ip(family, next()?)?);
            let (from_port, to_port) = (port(next()?)?, port(next()?)?);
            if words.next().is_some() {
                return Err(Malformed);
            }
            _ = SocketAddr::new(to, to_port);
            Some(SocketAddr::new(from, from_port))
        }
        Some(_) | None => return Err(Malformed),
    };
    Ok(ProxyHeader::Present { length: feed + 1, client })
}

fn ip(family: &str, text: &str) -> Result<IpAddr, Malformed> {
    let address = match family {
        "TCP4" => text.parse::<Ipv4Addr>().map(IpAddr::from),
        _ => text.parse::<Ipv6Addr>().map(IpAddr::from),
    };
    address.map_err(|_| Malformed)
}

/// Reads a port as §2.1 wants it: digits alone, without zeros before them.
fn port(text: &str) -> Result<u16, Malformed> {
    let is_plain =
        text.bytes().all(|it| it.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain).ok_or(Malformed)
}

fn read_v2(bytes: &[u8]) -> Result<ProxyHeader, Malformed> {
    let Some(fixed) = bytes.get(V2_START.len()..V2_FIXED) else {
        return Ok(ProxyHeader::Unfinished);
    };
    let (version, command) = (fixed[0] >> 4, fixed[0] & 0xf);
    let rest = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    if version != 2 || 1 < command || V2_REST_MAX < rest {
        return Err(Malformed);
    }
    let length = V2_FIXED + rest;
    let Some(addresses) = bytes.get(V2_FIXED..length) else { return Ok(ProxyHeader::Unfinished) };
    // Command 0 is LOCAL: the proxy speaks for itself, as in its health checks.
    let client = match (command, fixed[1] >> 4) {
        (0, _) | (1, 0 | 3) => None,
        (1, 1) => {
            let (from, rest) = addresses.split_first_chunk::<4>().ok_or(Malformed)?;
            Some(SocketAddr::new(IpAddr::from(*from), port_at(rest, 4)?))
        }
        (1, 2) => {
            let (from, rest) = addresses.split_first_chunk::<16>().ok_or(Malformed)?;
            Some(SocketAddr::new(IpAddr::from(*from), port_at(rest, 16)?))
        }
        (_, _) => return Err(Malformed),
    };
    Ok(ProxyHeader::Present { length, client })
}

/// Reads the client's port, behind the other side's address of so many bytes; the other side's port
/// must be there, too.
fn port_at(bytes: &[u8], address: usize) -> Result<u16, Malformed> {
    match bytes.get(address..address + 4) {
        Some(&[high, low, _, _]) => Ok(u16::from_be_bytes([high, low])),
        Some(_) | None => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn present(bytes: &[u8], client: Option<&str>) {
        let client = client.map(|it| it.parse().unwrap());
        let followed = [bytes, b"GET / HTTP/1.1\r\n"].concat();
        let expected = Ok(ProxyHeader::Present { length: bytes.len(), client });
        assert_eq!(read(&followed), expected);
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]), Ok(ProxyHeader::Unfinished), "the first {end} bytes");
        }
    }

    fn v2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [V2_START, &[0x20 | command, family], &length, addresses].concat()
    }

    #[test]
    fn version_1_tells_the_client_in_words() {
        present(b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", Some("192.0.2.1:56324"));
        present(b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", Some("[2001:db8::1]:1"));
        present(b"PROXY UNKNOWN\r\n", None);
        present(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None);
    }

    #[test]
    fn version_2_tells_the_client_in_bytes() {
        let four = [192, 0, 2, 1, 192, 0, 2, 2, 0xdc, 4, 1, 0xbb];
        present(&v2(1, 0x11, &four), Some("192.0.2.1:56324"));
        present(&v2(1, 0x11, &[&four[..], &[3, 0, 1, 9]].concat()), Some("192.0.2.1:56324"));
        let mut six = [0; 36];
        (six[15], six[31], six[33]) = (1, 2, 80);
        present(&v2(1, 0x21, &six), Some("[::1]:80"));
        present(&v2(1, 0x31, &[0; 216]), None);
        present(&v2(1, 0x00, &[]), None);
        present(&v2(0, 0x11, &four), None);
        present(&v2(0, 0x00, &[]), None);
    }

    #[test]
    fn what_is_no_header_is_left_alone() {
        for bytes in [&b"GET / HTTP/1.1\r\n"[..], b"PROXX", b"\r\nGET", b"\x16\x03\x01"] {
            assert_eq!(read(bytes), Ok(ProxyHeader::Absent));
        }
    }

    #[test]
    fn a_malformed_header_is_refused() {
        for line in [
            "PROXY \r\n",
            "PROXY TCP4\r\n",
            "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
            "PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
            "PROXY TCP4 ::1 192.0.2.2 1 2\r\n",
            "PROXY TCP6 192.0.2.1 ::1 1 2\r\n",
            "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        ] {
            assert_eq!(read(line.as_bytes()), Err(Malformed), "{line:?}");
        }
        let endless = [V1_START, &[b'x'; V1_MAX][..]].concat();
        assert_eq!(read(&endless), Err(Malformed));
        assert_eq!(read(&v2(2, 0x11, &[0; 12])), Err(Malformed));
        assert_eq!(read(&v2(1, 0x11, &[0; 11])), Err(Malformed));
        assert_eq!(read(&v2(1, 0x21, &[0; 35])), Err(Malformed));
        assert_eq!(read(&v2(1, 0x41, &[0; 12])), Err(Malformed));
        assert_eq!(read(&[V2_START, &[0x10, 0, 0, 0]].concat()), Err(Malformed));
        assert_eq!(read(&[V2_START, &[0x20, 0, 0xff, 0xff]].concat()), Err(Malformed));
    }

    proptest! {
        #[test]
        fn nothing_a_peer_sends_panics(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            _ = read(&bytes);
            _ = read(&[V1_START, &bytes].concat());
            _ = read(&[V2_START, &bytes].concat());
        }
    }
}
