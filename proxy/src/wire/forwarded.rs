//! `Forwarded` (RFC 7239): whom each proxy on the way had before it.

use std::net::IpAddr;

use crate::wire::{is_token, request::is_host};

/// Appends whom a request came from, for which host and by which scheme. `peer` is an address.
pub fn put_element(peer: Option<&str>, host: Option<&str>, is_tls: bool, out: &mut String) {
    out.push_str("for=");
    put_address(peer.unwrap_or("unknown"), out);
    if let Some(host) = host.filter(|it| !it.is_empty() && is_host(it.as_bytes())) {
        out.push_str(";host=");
        put_word(host, out);
    }
    out.push_str(if is_tls { ";proto=https" } else { ";proto=http" });
}

/// Appends what the lines of `Forwarded` say of those before, each followed by a comma. Where nobody
/// has written it, the addresses of `X-Forwarded-For` stand for it (RFC 7239 §7.4), so that nobody is
/// left out who is named there.
pub fn put_chain<'a>(
    forwarded: impl Iterator<Item = &'a [u8]>,
    x_forwarded_for: impl Iterator<Item = &'a [u8]>,
    out: &mut String,
) {
    let start = out.len();
    for line in forwarded.filter_map(text) {
        out.push_str(line);
        out.push_str(", ");
    }
    if out.len() != start {
        return;
    }
    for name in x_forwarded_for.filter_map(text).flat_map(|line| line.split(',')) {
        out.push_str("for=");
        put_sender(name.trim(), out);
        out.push_str(", ");
    }
}

/// Returns a value that is text, and not empty.
fn text(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok().filter(|_| is_text(value));
    text.filter(|it| !it.trim().is_empty())
}

/// Tells whether a value is text that every reader takes for the same: ASCII, without controls.
pub fn is_text(value: &[u8]) -> bool {
    value.iter().all(|byte| *byte == b'\t' || matches!(byte, b' '..=b'~'))
}

/// What `X-Forwarded-For` names: an address, with a port or without.
fn put_sender(name: &str, out: &mut String) {
    match name.parse::<IpAddr>() {
        Ok(ip) => put_address(&ip.to_string(), out),
        Err(_) if !name.is_empty() && is_host(name.as_bytes()) => put_word(name, out),
        Err(_) => out.push_str("unknown"),
    }
}

/// An address; one of IPv6 has brackets and quotes (RFC 7239 §6).
fn put_address(address: &str, out: &mut String) {
    if address.contains(':') {
        out.extend(["\"[", address, "]\""]);
    } else {
        out.push_str(address);
    }
}

/// A token, or else a quoted text. Nothing that can be a host needs a backslash there.
fn put_word(text: &str, out: &mut String) {
    if text.bytes().all(is_token) {
        out.push_str(text);
    } else {
        out.extend(["\"", text, "\""]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_names_client_host_and_scheme() {
        let check = |peer: &str, host, is_tls, expected| {
            let mut element = String::new();
            put_element(Some(peer).filter(|it| !it.is_empty()), host, is_tls, &mut element);
            assert_eq!(element, expected);
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
            let lines = |of: &'static str| {
                headers.iter().filter(move |it| it.0 == of).map(|it| it.1.as_bytes())
            };
            let mut chain = String::new();
            put_chain(lines("forwarded"), lines("x-forwarded-for"), &mut chain);
            assert_eq!(chain + "for=b", expected);
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
