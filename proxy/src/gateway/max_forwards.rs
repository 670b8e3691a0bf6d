//! How far a request may go (RFC 9110 §7.6.2).
//!
//! With `OPTIONS` and `TRACE`, a client may ask one of the proxies on the way by saying how many of
//! them the request may pass. It means nothing with other methods.

use bytes::Bytes;
use http::{Method, header::MAX_FORWARDS};
use pingora::{
    Result,
    http::{RequestHeader, ResponseHeader},
    protocols::http::ServerSession,
};

use crate::exchange::{client, draft::Draft};

/// Tells whether the request is for this proxy and for nobody behind it.
pub(crate) fn ends_here(request: &RequestHeader) -> bool {
    left(&request.method, request.headers.get(MAX_FORWARDS).map(|it| it.as_bytes())) == Some(0)
}

/// Takes in that the request passes this proxy.
pub(crate) fn count_down(request: &mut Draft<'_>) {
    if let Some(left) = left(request.method(), request.get(MAX_FORWARDS.as_str())) {
        request.set("Max-Forwards", left.saturating_sub(1).to_string().into_bytes());
    }
}

/// Answers in place of a backend, which has nothing to add.
pub(crate) async fn answer(session: &mut ServerSession, request_id: &str) -> Result<()> {
    let mut header = ResponseHeader::build(200, Some(4))?;
    header.insert_header("Content-Length", "0")?;
    header.insert_header("X-Request-Id", request_id)?;
    client::end_connection(session);
    session.write_error_response(header, Bytes::new()).await
}

/// How many more may pass it on. What is no number limits nothing.
fn left(method: &Method, told: Option<&[u8]>) -> Option<u64> {
    if method != Method::OPTIONS && method != Method::TRACE {
        return None;
    }
    std::str::from_utf8(told?).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_goes_as_far_as_it_may() {
        let check = |method: &str, value: &'static str, ends: bool, then: &str| {
            let mut request = RequestHeader::build(method, b"/", None).unwrap();
            request.insert_header(MAX_FORWARDS, value).unwrap();
            assert_eq!(ends_here(&request), ends, "{method} {value}");
            let mut draft = Draft::of(&request);
            count_down(&mut draft);
            assert_eq!(draft.get("max-forwards"), Some(then.as_bytes()), "{method} {value}");
        };
        check("OPTIONS", "5", false, "4");
        check("OPTIONS", "0", true, "0");
        check("OPTIONS", "many", false, "many");
        check("OPTIONS", "18446744073709551616", false, "18446744073709551616");
        check("TRACE", "1", false, "0");
        check("GET", "0", false, "0");
    }
}
