//! The head of a request, as HTTP/2 wants it (RFC 9113 §8.2.2, §8.3.1).

use http::{
    HeaderMap, HeaderValue, Method, Request, Uri, Version,
    header::{CONNECTION, CONTENT_LENGTH, HOST, TE},
    uri::{Authority, PathAndQuery, Scheme},
};

use crate::wire::{
    connection::Nominated,
    request::{BodyFraming, Unsendable, is_host, is_value, stays_here},
};

/// Tells whether [`prepare`] will find anything wrong with a request.
pub(crate) fn check_head(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(), Unsendable> {
    if method == Method::CONNECT {
        return Err(Unsendable::Method);
    }
    if headers.values().any(|value| !is_value(value.as_bytes())) {
        return Err(Unsendable::HeaderValue);
    }
    target(method, uri, headers, &Scheme::HTTP)?;
    Nominated::by_client(headers.get_all(CONNECTION).iter().map(HeaderValue::as_bytes))?;
    Ok(())
}

/// Makes a request's head fit for a stream: pseudo-headers from method, target and host; nothing that
/// concerns a connection, but `TE: trailers` where it is exactly that, because gRPC asks for it; and
/// a `Content-Length` that agrees with the body, or none.
pub(crate) fn prepare(
    head: Request<()>,
    framing: BodyFraming,
    scheme: &Scheme,
) -> Result<Request<()>, Unsendable> {
    let (mut parts, ()) = head.into_parts();
    if parts.method == Method::CONNECT {
        return Err(Unsendable::Method);
    }
    if parts.headers.values().any(|value| !is_value(value.as_bytes())) {
        return Err(Unsendable::HeaderValue);
    }
    parts.uri = target(&parts.method, &parts.uri, &parts.headers, scheme)?;
    parts.version = Version::HTTP_2;
    let headers = &mut parts.headers;
    let wants_trailers = {
        let mut values = headers.get_all(TE).iter();
        let is_exact = |it: &HeaderValue| it.as_bytes().eq_ignore_ascii_case(b"trailers");
        values.next().is_some_and(is_exact) && values.next().is_none()
    };
    let connection = headers.get_all(CONNECTION).iter().map(HeaderValue::as_bytes);
    let nominated = Nominated::by_client(connection)?;
    nominated.strip(headers);
    let ours: Vec<_> =
        headers.keys().filter(|it| stays_here(it.as_str().as_bytes())).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
    if wants_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let BodyFraming::Length(length) = framing {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    Ok(Request::from_parts(parts, ()))
}

/// Builds the target of which h2 makes `:scheme`, `:authority` and `:path`. The scheme is the
/// connection's. The authority of the target goes before `Host`, as in HTTP/1.1.
fn target(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    scheme: &Scheme,
) -> Result<Uri, Unsendable> {
    let authority = match uri.authority() {
        Some(authority) => authority.clone(),
        None => host(headers)?,
    };
    if !is_host(authority.as_str().as_bytes()) {
        return Err(Unsendable::Host);
    }
    let path = match uri.path_and_query() {
        Some(path) if path.as_str().starts_with('/') => path.clone(),
        Some(path) if path.as_str() == "*" && method == Method::OPTIONS => path.clone(),
        Some(path) if path.as_str().starts_with('?') => {
            // Displayed, it begins with a slash.
            path.to_string().parse().map_err(|_| Unsendable::Target)?
        }
        None if uri.authority().is_some() => PathAndQuery::from_static("/"),
        Some(_) | None => return Err(Unsendable::Target),
    };
    Uri::builder()
        .scheme(scheme.clone())
        .authority(authority)
        .path_and_query(path)
        .build()
        .map_err(|_| Unsendable::Target)
}

fn host(headers: &HeaderMap) -> Result<Authority, Unsendable> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().ok_or(Unsendable::Host)?;
    if hosts.next().is_some() {
        return Err(Unsendable::Host);
    }
    Authority::try_from(host.as_bytes()).map_err(|_| Unsendable::Host)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Headers<'a> = &'a [(&'static str, &'static str)];

    fn prepared(
        method: &Method,
        uri: &str,
        headers: Headers<'_>,
        framing: BodyFraming,
    ) -> Result<(String, Vec<String>), Unsendable> {
        let mut head = Request::builder().method(method).uri(uri).body(()).unwrap();
        for (name, value) in headers {
            head.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        let checked = check_head(head.method(), head.uri(), head.headers());
        let prepared = prepare(head, framing, &Scheme::HTTP);
        assert_eq!(checked.err(), prepared.as_ref().err().copied());
        let head = prepared?;
        let headers = head.headers().iter();
        let headers = headers.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        let mut headers: Vec<String> = headers.collect();
        headers.sort();
        Ok((head.uri().to_string(), headers))
    }

    #[track_caller]
    fn check(uri: &str, headers: Headers<'_>, expected: &str, expected_headers: &[&str]) {
        let (uri, headers) = prepared(&Method::GET, uri, headers, BodyFraming::None).unwrap();
        assert_eq!(uri, expected);
        assert_eq!(headers, expected_headers);
    }

    #[test]
    fn the_host_becomes_the_authority() {
        check("/x?y", &[("host", "a:80")], "http://a:80/x?y", &[]);
        check("http://b/x", &[("host", "a")], "http://b/x", &[]);
        check("https://b?y", &[], "http://b/?y", &[]);
        let fails = |headers: Headers<'_>| {
            prepared(&Method::GET, "/", headers, BodyFraming::None).unwrap_err()
        };
        assert_eq!(fails(&[]), Unsendable::Host);
        assert_eq!(fails(&[("host", "a"), ("host", "b")]), Unsendable::Host);
        assert_eq!(fails(&[("host", "u@a")]), Unsendable::Host);
        let star = prepared(&Method::GET, "*", &[("host", "a")], BodyFraming::None);
        assert_eq!(star.unwrap_err(), Unsendable::Target);
        let star = prepared(&Method::OPTIONS, "*", &[("host", "a")], BodyFraming::None);
        assert!(star.is_ok());
    }

    #[test]
    fn nothing_of_the_clients_connection_is_passed_on() {
        let headers = [
            ("host", "a"),
            ("connection", "keep-alive, x-mine"),
            ("x-mine", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "x"),
            ("proxy-authorization", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "x"),
            ("expect", "100-continue"),
            ("content-length", "5"),
            ("accept", "*/*"),
        ];
        check("/", &headers, "http://a/", &["accept: */*"]);
        check("/", &[("host", "a"), ("te", "Trailers")], "http://a/", &["te: trailers"]);
        check("/", &[("host", "a"), ("te", "gzip, trailers")], "http://a/", &[]);
        check("/", &[("host", "a"), ("te", "trailers"), ("te", "gzip")], "http://a/", &[]);
        let posted = |framing| prepared(&Method::POST, "/", &headers, framing).unwrap().1;
        assert_eq!(posted(BodyFraming::Length(7)), ["accept: */*", "content-length: 7"]);
        assert_eq!(posted(BodyFraming::Chunked), ["accept: */*"]);
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let headers = [("host", "a"), ("connection", "host")];
        let error = prepared(&Method::GET, "/", &headers, BodyFraming::None).unwrap_err();
        assert!(matches!(error, Unsendable::Nomination(_)));
        let error = prepared(&Method::CONNECT, "a:80", &[], BodyFraming::None).unwrap_err();
        assert_eq!(error, Unsendable::Method);
    }
}
