//! What the proxy adds to requests on their way to a backend, and believes on their way in.

use std::net::IpAddr;

use http::{
    HeaderName, Method, Version,
    header::{CONNECTION, UPGRADE},
};
use ipnet::IpNet;
use pingora::http::RequestHeader;

use crate::{
    access::{RELAY_CLIENT, RELAY_KEY},
    exchange::{draft::Draft, mirror::MARK},
    wire::{connection, forwarded},
};

/// Names the request from end to end.
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Makes a request repeatable, whatever its method.
pub(crate) static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What a proxy in front says of the client; backends believe it, and so it is believed only of a
/// trusted one.
const CLAIMS: [&str; 8] = [
    CLIENT_CERTIFICATE,
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    MARK,
];

/// Tells backends of the client's certificate.
const CLIENT_CERTIFICATE: &str = "x-forwarded-client-cert";

/// A client of whom nothing is known; the sidecar takes it to be elsewhere.
const UNKNOWN: &str = "unknown";

/// Longest request id taken over from a client; more is replaced.
const REQUEST_ID_MAX: usize = 128;

/// Takes the request id over from the client if it `is_kept`, or makes one: 128 random bits in
/// hexadecimal.
pub(crate) fn request_id(
    request: &RequestHeader,
    is_kept: bool,
    random: &mut fastrand::Rng,
) -> String {
    request
        .headers
        .get(&REQUEST_ID)
        .filter(|_| is_kept)
        .and_then(|value| value.to_str().ok())
        .filter(|id| !id.is_empty() && id.len() <= REQUEST_ID_MAX)
        .filter(|id| id.bytes().all(|byte| byte.is_ascii_graphic()))
        .map_or_else(|| hexadecimal(random.u128(..)), str::to_owned)
}

/// Writes a number in full. One is made for nearly every request, and formatting takes ten times as
/// long.
fn hexadecimal(number: u128) -> String {
    let digit = |byte: u8| char::from(b"0123456789abcdef"[usize::from(byte)]);
    let mut digits = String::with_capacity(32);
    for byte in number.to_be_bytes() {
        digits.push(digit(byte >> 4));
        digits.push(digit(byte & 15));
    }
    digits
}

/// Tells whether a client wants to speak WebSocket: by a `GET` of HTTP/1.1 (RFC 6455 §4.1). Some
/// clients offer other upgrades with any request; those get an ordinary answer.
pub(crate) fn is_websocket(request: &RequestHeader) -> bool {
    let has = |name: HeaderName, word: &str| {
        let values = request.headers.get_all(name).iter().map(|it| it.as_bytes());
        connection::lists(values, word)
    };
    request.method == Method::GET
        && request.version == Version::HTTP_11
        && has(UPGRADE, "websocket")
        && has(CONNECTION, "upgrade")
}

/// The client's side of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Downstream<'a> {
    pub(crate) peer: Option<IpAddr>,
    /// The same as text.
    pub(crate) peer_text: Option<&'a str>,
    pub(crate) trusted_proxies: &'a [IpNet],
    pub(crate) is_tls: bool,
    /// `Host`, or `:authority`.
    pub(crate) host: Option<&'a str>,
    /// The version of HTTP that the client speaks.
    pub(crate) version: Version,
    /// What is told of the client's certificate, if it has shown one.
    pub(crate) certificate: Option<&'a str>,
}

/// Sets `X-Forwarded-*`, `Forwarded` and `Via`, and the request id.
///
/// What a trusted proxy says of the client is kept and added to, and whether the request is a copy
/// of another. From anybody else it is replaced: a client must not be able to choose the address that
/// a backend sees.
pub(crate) fn forward<'a>(
    request: &mut Draft<'a>,
    downstream: Downstream<'a>,
    request_id: &'a str,
) {
    let is_trusted = downstream.peer.is_some_and(|ip| {
        let ip = ip.to_canonical();
        downstream.trusted_proxies.iter().any(|net| net.contains(&ip))
    });
    if !is_trusted {
        request.retain(|name| !is_claim(name));
    }
    if let Some(certificate) = downstream.certificate {
        request.set(CLIENT_CERTIFICATE, certificate.as_bytes());
    }
    if downstream.version == Version::HTTP_2 {
        join_cookies(request);
    }
    let mut chain = String::with_capacity(96);
    let (before, addresses) = (request.all("forwarded"), request.all("x-forwarded-for"));
    forwarded::put_chain(before, addresses, &mut chain);
    forwarded::put_element(downstream.peer_text, downstream.host, downstream.is_tls, &mut chain);
    if let Some(address) = downstream.peer_text {
        let before = request.all("x-forwarded-for");
        let mut addresses: Vec<&[u8]> = before.filter(|it| forwarded::is_text(it)).collect();
        if addresses.is_empty() {
            request.set("X-Forwarded-For", address.as_bytes());
        } else {
            addresses.push(address.as_bytes());
            let addresses = addresses.join(&b", "[..]);
            request.set("X-Forwarded-For", addresses);
        }
    }
    if request.get("x-forwarded-proto").is_none() {
        let scheme = if downstream.is_tls { "https" } else { "http" };
        request.set("X-Forwarded-Proto", scheme.as_bytes());
    }
    if let (None, Some(host)) = (request.get("x-forwarded-host"), downstream.host) {
        request.set("X-Forwarded-Host", host.as_bytes());
    }
    request.set("Forwarded", chain.into_bytes());
    let via = match downstream.version {
        Version::HTTP_09 | Version::HTTP_10 => "1.0 bascule",
        Version::HTTP_2 => "2 bascule",
        _ => "1.1 bascule",
    };
    request.add("Via", via.as_bytes());
    request.set("X-Request-Id", request_id.as_bytes());
}

/// Tells whether a header is one of [`CLAIMS`].
fn is_claim(name: &[u8]) -> bool {
    // Most headers begin with neither of these letters.
    matches!(name.first(), Some(b'f' | b'F' | b'x' | b'X'))
        && CLAIMS.iter().any(|it| it.as_bytes().eq_ignore_ascii_case(name))
}

/// Makes one `Cookie` of the crumbs that HTTP/2 allows: before HTTP/2, there is one line of it
/// (RFC 9113 §8.2.3).
fn join_cookies(request: &mut Draft<'_>) {
    let crumbs: Vec<&[u8]> = request.all("cookie").collect();
    if 1 < crumbs.len() {
        let joined = crumbs.join(&b"; "[..]);
        request.set("cookie", joined);
    }
}

/// Makes sure that no client can pretend to be the data plane.
pub(crate) fn strip_relay(request: &mut Draft<'_>) {
    request.remove(RELAY_KEY);
    request.remove(RELAY_CLIENT);
}

/// Tells the sidecar for whom the data plane asks.
pub(crate) fn add_relay<'a>(request: &mut Draft<'a>, key: &'a str, client: Option<IpAddr>) {
    request.set(RELAY_KEY, key.as_bytes());
    let client = client.map_or_else(|| UNKNOWN.to_owned(), |ip| ip.to_canonical().to_string());
    request.set(RELAY_CLIENT, client.into_bytes());
}

/// Returns who asks, as far as can be believed; `request` is as the client sent it.
///
/// A peer that says it speaks for somebody is not the one who asks: one on this machine must not
/// lend its place to clients from anywhere. Whom it speaks for is believed of trusted proxies.
pub(crate) fn client_of(
    request: &RequestHeader,
    peer: Option<IpAddr>,
    trusted_proxies: &[IpNet],
) -> Option<IpAddr> {
    let peer = peer?.to_canonical();
    let headers = &request.headers;
    let speaks_for = headers.get_all("x-forwarded-for").iter().next_back();
    match speaks_for {
        Some(chain) if trusted_proxies.iter().any(|net| net.contains(&peer)) => {
            chain.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
        }
        None if !headers.contains_key("forwarded") && !headers.contains_key("x-real-ip") => {
            Some(peer)
        }
        Some(_) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&'static str, &'static str)]) -> RequestHeader {
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        for &(name, value) in headers {
            request.append_header(name, value).unwrap();
        }
        request
    }

    fn downstream(trusted: &[IpNet]) -> Downstream<'_> {
        Downstream {
            peer: Some("192.0.2.7".parse().unwrap()),
            peer_text: Some("192.0.2.7"),
            trusted_proxies: trusted,
            is_tls: false,
            host: Some("api.example.com"),
            version: Version::HTTP_11,
            certificate: None,
        }
    }

    /// A request as it is forwarded.
    fn forwarded<'a>(request: &'a RequestHeader, downstream: Downstream<'a>) -> Draft<'a> {
        let mut draft = Draft::of(request);
        forward(&mut draft, downstream, "id-1");
        draft
    }

    fn header<'a>(request: &'a Draft<'_>, name: &str) -> &'a str {
        request.get(name).map_or("", |value| std::str::from_utf8(value).unwrap())
    }

    #[test]
    fn a_client_cannot_choose_the_address_that_backends_see() {
        let it = request(&[
            ("X-Forwarded-For", "198.51.100.1"),
            ("Forwarded", "for=evil"),
            ("X-Bascule-Mirror", "1"),
            ("X-Real-IP", "198.51.100.1"),
            ("X-Forwarded-Port", "1"),
        ]);
        let it = forwarded(&it, downstream(&[]));
        assert_eq!((header(&it, "x-real-ip"), header(&it, "x-forwarded-port")), ("", ""));
        assert_eq!(header(&it, "x-forwarded-for"), "192.0.2.7");
        assert_eq!(header(&it, MARK), "");
        let forwarded = "for=192.0.2.7;host=api.example.com;proto=http";
        assert_eq!(header(&it, "forwarded"), forwarded);
        assert_eq!(header(&it, "x-forwarded-proto"), "http");
        assert_eq!(header(&it, "x-forwarded-host"), "api.example.com");
        assert_eq!(header(&it, "via"), "1.1 bascule");
        assert_eq!(header(&it, "x-request-id"), "id-1");
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_added_to() {
        let trusted = ["192.0.2.0/24".parse().unwrap()];
        let it = request(&[
            ("X-Forwarded-For", "198.51.100.1"),
            ("X-Forwarded-Proto", "https"),
            ("X-Real-IP", "198.51.100.1"),
            ("X-Forwarded-Port", "8443"),
        ]);
        let it = forwarded(&it, downstream(&trusted));
        assert_eq!(header(&it, "x-real-ip"), "198.51.100.1");
        assert_eq!(header(&it, "x-forwarded-port"), "8443");
        assert_eq!(header(&it, "x-forwarded-for"), "198.51.100.1, 192.0.2.7");
        assert_eq!(header(&it, "x-forwarded-proto"), "https");
    }

    #[test]
    fn a_peer_that_speaks_for_somebody_does_not_lend_its_place() {
        let local: Option<IpAddr> = Some("127.0.0.1".parse().unwrap());
        let trusted = ["127.0.0.0/8".parse().unwrap()];
        let plain = request(&[]);
        let relayed = request(&[("X-Forwarded-For", "10.1.2.3, 192.0.2.9")]);
        let vague = request(&[("Forwarded", "for=192.0.2.9")]);
        assert_eq!(client_of(&plain, local, &[]), local);
        assert_eq!(client_of(&relayed, local, &[]), None);
        assert_eq!(client_of(&relayed, local, &trusted), Some("192.0.2.9".parse().unwrap()));
        assert_eq!(client_of(&vague, local, &trusted), None);
    }

    #[test]
    fn crumbs_of_cookies_are_joined() {
        let it = request(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")]);
        let it = forwarded(&it, Downstream { version: Version::HTTP_2, ..downstream(&[]) });
        assert_eq!(it.all("cookie").collect::<Vec<_>>(), [b"a=1; b=2"]);
    }

    #[test]
    fn only_a_websocket_is_an_upgrade() {
        let upgrade = |to| request(&[("Connection", "keep-alive, Upgrade"), ("Upgrade", to)]);
        assert!(is_websocket(&upgrade("WebSocket")));
        assert!(!is_websocket(&upgrade("h2c")));
        assert!(!is_websocket(&request(&[("Upgrade", "websocket")])));
        let mut post = upgrade("websocket");
        post.set_method(Method::POST);
        assert!(!is_websocket(&post));
        let mut old = upgrade("websocket");
        old.set_version(Version::HTTP_10);
        assert!(!is_websocket(&old));
    }

    #[test]
    fn a_request_id_is_kept_if_it_is_sane_and_made_if_not() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut check = |headers: &[(&'static str, &'static str)], is_kept| {
            request_id(&request(headers), is_kept, &mut random)
        };
        let sane = [("X-Request-Id", "abc-1")];
        assert_eq!(check(&sane, true), "abc-1");
        assert_eq!(check(&sane, false).len(), 32);
        assert_eq!(check(&[("X-Request-Id", "a b")], true).len(), 32);
        assert_eq!(check(&[], true).len(), 32);
    }
}
