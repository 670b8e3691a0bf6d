//! Changes to headers that a route asks for.

use http::header::HOST;
use pingora::{
    Result,
    http::{RequestHeader, ResponseHeader},
};

use crate::model::HeaderEdits;

/// Changes the headers of a request on its way to a backend.
///
/// Where `Host` is set, a host that the request's target names must not contradict it, and goes.
pub(crate) fn edit_request(request: &mut RequestHeader, edits: &HeaderEdits) -> Result<()> {
    for name in &edits.remove {
        request.remove_header(name);
    }
    for (name, value) in &edits.set {
        if name == HOST {
            forget_authority(request)?;
        }
        request.insert_header(name, value)?;
    }
    for (name, value) in &edits.add {
        request.append_header(name, value)?;
    }
    Ok(())
}

/// Changes the headers of a response on its way to the client.
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

/// Makes the target a path, as it was asked for.
fn forget_authority(request: &mut RequestHeader) -> Result<()> {
    let is_path = matches!(request.raw_path().first(), Some(b'/' | b'*' | b'?'));
    if is_path && request.uri.authority().is_none() {
        return Ok(());
    }
    let path = request.uri.path_and_query().map_or("/", |it| it.as_str()).to_owned();
    request.set_raw_path(path.as_bytes())
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

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
        edit_request(&mut request, &edits()).unwrap();
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
            edit_request(&mut request, &edits).unwrap();
            assert_eq!(values(&request.headers, "host"), ["b.example"]);
            let expected = if target == "*" { "*" } else { "/x?y" };
            assert_eq!(request.raw_path(), expected.as_bytes());
        }
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        request.set_uri("https://a.example/x?y".parse().unwrap());
        edit_request(&mut request, &edits).unwrap();
        assert_eq!((request.raw_path(), request.uri.authority()), (&b"/x?y"[..], None));
    }
}
