//! `Forwarded` (RFC 7239): whom each proxy on the way had before it.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};

use crate::wire::{is_token, request::is_host};

/// Says whom a request came from, for which host and by which scheme.
pub fn element(peer: Option<IpAddr>, host: Option<&str>, is_tls: bool) -> String {
    let mut element = String::with_capacity(64);
    element.push_str("for=");
    element.push_str(&peer.map_or_else(|| "unknown".to_owned(), address));
    if let Some(host) = host.filter(|it| !it.is_empty() && is_host(it.as_bytes())) {
        element.push_str(";host=");
        element.push_str(&word(host));
    }
    element.push_str(if is_tls { ";proto=https" } else { ";proto=http" });
    element
}

/// Returns what the headers say of those before, followed by `here`. Where nobody has written
/// `Forwarded`, the addresses of `X-Forwarded-For` stand for it (RFC 7239 §7.4), so that nobody is
/// left out who is named there.
pub fn chain(headers: &HeaderMap, here: &str) -> String {
    let lines = |name: &str| headers.get_all(name).into_iter().filter_map(text);
    let mut chain: Vec<String> = lines("forwarded").map(str::to_owned).collect();
    if chain.is_empty() {
        let addresses = lines("x-forwarded-for").flat_map(|line| line.split(','));
        chain = addresses.map(|it| format!("for={}", sender(it.trim()))).collect();
    }
    chain.push(here.to_owned());
    chain.join(", ")
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok().filter(|it| !it.trim().is_empty())
}

/// What `X-Forwarded-For` names: an address, with a port or without.
fn sender(name: &str) -> String {
    match name.parse() {
        Ok(ip) => address(ip),
        Err(_) if !name.is_empty() && is_host(name.as_bytes()) => word(name),
        Err(_) => "unknown".to_owned(),
    }
}

/// An address; one of IPv6 has brackets and quotes (RFC 7239 §6).
fn address(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("\"[{ip}]\""),
    }
}

/// A token, or else a quoted text. Nothing that can be a host needs a backslash there.
fn word(text: &str) -> String {
    if text.bytes().all(is_token) { text.to_owned() } else { format!("\"{text}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_names_client_host_and_scheme() {
        let check = |peer: &str, host, is_tls, expected| {
            assert_eq!(element(peer.parse().ok(), host, is_tls), expected);
        };
        check("192.0.2.7", Some("a.example"), false, "for=192.0.2.7;host=a.example;proto=http");
        check("192.0.2.7", Some("a:80"), true, "for=192.0.2.7;host=\"a:80\";proto=https");
        check("2001:db8::1", None, false, "for=\"[2001:db8::1]\";proto=http");
        check("", Some("[::1]"), false, "for=unknown;host=\"[::1]\";proto=http");
        for host in ["", "a\"b", "a\\b", "a b", "u@a", "a;\u{e4}"] {
            check("192.0.2.7", Some(host), false, "for=192.0.2.7;proto=http");
        }
    }

    #[test]
    fn a_chain_keeps_what_was_said_before() {
        let check = |headers: &[(&'static str, &'static str)], expected| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, HeaderValue::from_static(value));
            }
            assert_eq!(chain(&map, "for=b"), expected);
        };
        check(&[], "for=b");
        check(
            &[("forwarded", "for=a"), ("forwarded", "for=x, for=y")],
            "for=a, for=x, for=y, for=b",
        );
        check(&[("forwarded", "for=a"), ("x-forwarded-for", "192.0.2.1")], "for=a, for=b");
        let addresses = "192.0.2.1, 2001:db8::1,192.0.2.2:80, unknown, \"";
        let expected = "for=192.0.2.1, for=\"[2001:db8::1]\", for=\"192.0.2.2:80\", for=unknown, for=unknown, for=b";
        check(&[("x-forwarded-for", addresses)], expected);
    }
}
