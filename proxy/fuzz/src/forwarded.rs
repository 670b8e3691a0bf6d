//! `Forwarded` and `X-Forwarded-For`: whatever was said before stays within its own elements.

use std::net::{IpAddr, Ipv4Addr};

use bascule::{
    access::{Arrival, Client},
    wire::forwarded::{put_chain, put_element},
};
use http::{HeaderMap, HeaderName, HeaderValue};

pub fn check(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|it| *it == b'\n') {
        let Some((kind, value)) = line.split_first() else { continue };
        let name = match kind {
            b'f' => "forwarded",
            b'r' => "x-real-ip",
            b'k' => "x-bascule-relay",
            b'c' => "x-bascule-client",
            _ => "x-forwarded-for",
        };
        let Ok(value) = HeaderValue::from_bytes(value) else { continue };
        headers.append(HeaderName::from_static(name), value);
    }
    let host = headers.get("forwarded").and_then(|it| it.to_str().ok());
    let mut here = String::new();
    put_element(Some("192.0.2.1"), host, bytes.len().is_multiple_of(2), &mut here);
    assert_eq!(elements(&here), 1, "the host breaks out of nothing: {here}");
    let lines = |name| headers.get_all(name).into_iter().map(HeaderValue::as_bytes);
    let mut all = String::new();
    put_chain(lines("forwarded"), lines("x-forwarded-for"), &mut all);
    all.push_str(&here);
    assert!(HeaderValue::from_str(&all).is_ok());
    assert!(all.ends_with(&here), "who asks here stands last");
    if !headers.contains_key("forwarded") {
        let named = headers.get_all("x-forwarded-for").iter().filter_map(|it| it.to_str().ok());
        let named: usize =
            named.filter(|it| !it.trim().is_empty()).map(|it| it.split(',').count()).sum();
        assert_eq!(elements(&all), named + 1, "an element for each address: {all}");
    }

    // Without the key, nobody is relayed; a peer elsewhere is never on this machine.
    let far = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));
    let client = Client::of(far, &headers, "the key, which is not in the corpus");
    assert_eq!((client.address, client.arrival, client.is_local), (far, Arrival::Direct, false));
    let near = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let client = Client::of(near, &headers, "the key, which is not in the corpus");
    let claims = ["forwarded", "x-forwarded-for", "x-real-ip"];
    assert!(client.is_local || claims.iter().any(|it| headers.contains_key(*it)));
}

/// Counts elements as RFC 7239 §4 separates them: by commas outside of quotes.
fn elements(text: &str) -> usize {
    let mut is_quoted = false;
    let is_comma = |it: &char| {
        is_quoted ^= *it == '"';
        *it == ',' && !is_quoted
    };
    let commas = text.chars().filter(is_comma).count();
    assert!(!is_quoted, "a quote is left open: {text}");
    commas + 1
}
