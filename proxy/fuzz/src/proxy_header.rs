//! PROXY headers: a verdict stays whatever follows, and what is read can be written and read again.

use std::net::SocketAddr;

use bascule::wire::{
    preamble::{Speaker, v1, v2},
    proxy_header::{LONGEST, ProxyHeader, read},
};

pub fn check(bytes: &[u8]) {
    let whole = read(bytes);
    for cut in super::cuts(bytes.len()) {
        let before = read(&bytes[..cut]);
        if before != Ok(ProxyHeader::Unfinished) {
            assert_eq!(before, whole, "the first {cut} bytes were enough to tell");
        }
    }
    match whole {
        Ok(ProxyHeader::Present { length, client }) => {
            assert!(length <= LONGEST && length <= bytes.len());
            let others: SocketAddr = match client {
                Some(SocketAddr::V6(_)) => "[2001:db8::1]:443".parse().expect("an address"),
                Some(SocketAddr::V4(_)) | None => "192.0.2.1:443".parse().expect("an address"),
            };
            let speaker = client.map_or(Speaker::Unknown, |it| Speaker::client(it, others));
            for written in [v1(speaker), v2(speaker)] {
                let Ok(ProxyHeader::Present { length, client: again }) = read(&written) else {
                    panic!("what is written can be read: {written:?}");
                };
                assert_eq!(length, written.len());
                assert_eq!(again.map(canonical), client.map(canonical));
            }
        }
        Ok(ProxyHeader::Unfinished) => assert!(bytes.len() < LONGEST),
        Ok(ProxyHeader::Absent) | Err(_) => {}
    }
}

/// One of IPv4 may be written as one of IPv6.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
