//! Changes to headers that a route asks for.

use http::header::HOST;
use pingora::{Result, http::ResponseHeader};

use crate::{
    exchange::{draft::Draft, lines::Lines},
    model::HeaderEdits,
};

/// Changes the headers of a request on its way to a backend.
///
/// Where `Host` is set, a host that the request's target names must not contradict it, and goes.
pub(crate) fn edit_request<'a>(request: &mut Draft<'a>, edits: &'a HeaderEdits) {
    if edits.set.iter().any(|(name, _)| name == HOST) {
        request.forget_authority();
    }
    edit_lines(request, edits);
}

/// Changes the headers of a message on its way.
pub(crate) fn edit_lines<'a>(lines: &mut Lines<'a>, edits: &'a HeaderEdits) {
    for name in &edits.remove {
        lines.remove(name.as_str());
    }
    for (name, value) in &edits.set {
        lines.set_usual(name, value);
    }
    for (name, value) in &edits.add {
        lines.add_usual(name, value);
    }
}

/// The same of a response that Pingora or the proxy itself has made.
pub(crate) fn edit_response(response: &mut ResponseHeader, edits: &HeaderEdits) -> Result<()> {
    for name in &edits.remove {
        response.remove_header(name);
    }
    for (name, value) in &edits.set {
        response.insert_header(name, value)?;
    }
    for (name, value) in &edits.add {
        response.append_header(name, value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use pingora::http::RequestHeader;

    use super::*;

    /// A request after edits.
    fn edited(request: &RequestHeader, edits: &HeaderEdits) -> RequestHeader {
        let mut draft = Draft::of(request);
        edit_request(&mut draft, edits);
        draft.to_header().unwrap()
    }

    fn line(name: &'static str, value: &'static str) -> (HeaderName, HeaderValue) {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    }

    fn edits() -> HeaderEdits {
        HeaderEdits {
            remove: vec![HeaderName::from_static("x-gone")],
            set: vec![line("x-set", "new")],
            add: vec![line("x-added", "b")],
        }
    }

    fn values(headers: &http::HeaderMap, name: &str) -> Vec<String> {
        headers.get_all(name).iter().map(|it| it.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn headers_go_are_replaced_and_get_company() {
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        let mut response = ResponseHeader::build(200, None).unwrap();
        for (name, value) in
            [("X-Gone", "1"), ("x-gone", "2"), ("X-Set", "1"), ("x-set", "2"), ("X-Added", "a")]
        {
            request.append_header(name, value).unwrap();
            response.append_header(name, value).unwrap();
        }
        let request = edited(&request, &edits());
        edit_response(&mut response, &edits()).unwrap();
        for headers in [&request.headers, &response.headers] {
            assert_eq!(values(headers, "x-gone"), [""; 0]);
            assert_eq!(values(headers, "x-set"), ["new"]);
            assert_eq!(values(headers, "x-added"), ["a", "b"]);
        }
    }

    #[test]
    fn a_host_that_is_set_is_the_only_one() {
        let edits = HeaderEdits { set: vec![line("host", "b.example")], ..HeaderEdits::default() };
        for target in ["/x?y", "http://a.example/x?y", "*"] {
            let mut request = RequestHeader::build("GET", target.as_bytes(), None).unwrap();
            request.append_header("Host", "a.example").unwrap();
            let request = edited(&request, &edits);
            assert_eq!(values(&request.headers, "host"), ["b.example"]);
            let expected = if target == "*" { "*" } else { "/x?y" };
            assert_eq!(request.raw_path(), expected.as_bytes());
        }
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        request.set_uri("https://a.example/x?y".parse().unwrap());
        let request = edited(&request, &edits);
        assert_eq!((request.raw_path(), request.uri.authority()), (&b"/x?y"[..], None));
    }
}
