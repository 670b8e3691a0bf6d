//! The answer to a request that is refused before anybody acts on it.

use bytes::{BufMut, BytesMut};
use http::StatusCode;
use pingora::protocols::http::date::get_cached_date;
use serde_json::json;

use crate::{
    model::{ProxyStatusAnswers, ProxyStatusPolicy},
    wire::{
        incoming::Refusal,
        proxy_status::{ProxyError, ProxyStatus},
    },
};

/// Writes the whole answer. It says that the connection ends: where a next request would begin
/// cannot be known. To a request with HEAD, it has no body, and says how long that would be (RFC 9110
/// §9.3.2).
pub(crate) fn answer(
    refusal: Refusal,
    request_id: &str,
    policy: ProxyStatusPolicy,
    is_head: bool,
) -> BytesMut {
    let body = json!({ "error": {
        "code": refusal.code(),
        "message": refusal.to_string(),
        "remedy": refusal.remedy(),
        "request_id": request_id,
    }});
    let body = format!("{body}\n");
    let status = refusal.status();
    let reason = StatusCode::from_u16(status).ok().and_then(|it| it.canonical_reason());
    let allow = if refusal == Refusal::Tunnel {
        "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n"
    } else {
        ""
    };
    let proxy_status = match policy.answers {
        ProxyStatusAnswers::None => String::new(),
        ProxyStatusAnswers::Errors | ProxyStatusAnswers::Retries => {
            format!("Proxy-Status: {}\r\n", said(refusal))
        }
    };
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Cache-Control: no-store\r\nDate: {date}\r\n{allow}{proxy_status}X-Request-Id: {request_id}\r\n\
         Connection: close\r\n\r\n",
        date = get_cached_date().to_str().unwrap_or_default(),
        reason = reason.unwrap_or_default(),
        length = body.len(),
    );
    let mut answer = BytesMut::with_capacity(head.len() + body.len());
    answer.put_slice(head.as_bytes());
    if !is_head {
        answer.put_slice(body.as_bytes());
    }
    answer
}

/// What programs are told.
fn said(refusal: Refusal) -> String {
    let error = match refusal {
        // Well-formed, and not wanted.
        Refusal::Tunnel | Refusal::Expectation => ProxyError::HttpRequestDenied,
        Refusal::RequestLine
        | Refusal::Version
        | Refusal::Target
        | Refusal::TargetTooLong
        | Refusal::LineEnd
        | Refusal::Folded
        | Refusal::HeaderName
        | Refusal::HeaderValue
        | Refusal::HeadTooLarge
        | Refusal::Host
        | Refusal::Length
        | Refusal::Coding
        | Refusal::UnknownCoding
        | Refusal::UpgradeWithBody
        | Refusal::Chunk
        | Refusal::TooSlow => ProxyError::HttpRequestError,
    };
    let details = Some(refusal.code());
    ProxyStatus { error: Some(error), details, ..ProxyStatus::default() }.write()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: ProxyStatusPolicy =
        ProxyStatusPolicy { answers: ProxyStatusAnswers::Errors, backend_address: false };

    #[test]
    fn every_refusal_is_answered_with_what_is_wrong_and_what_to_do() {
        for refusal in Refusal::ALL {
            let answer = answer(refusal, "id-1", STATUS, false);
            let text = std::str::from_utf8(&answer).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {} ", refusal.status())), "{head}");
            assert!(!head.contains(" \r\n"), "a known reason: {head}");
            let status = format!("; details=\"{}\"\r\n", refusal.code());
            assert!(head.contains("\r\nProxy-Status: bascule; error=http_request_"), "{head}");
            assert!(head.contains(&status), "{head}");
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["error"]["code"], refusal.code());
            assert_eq!(body["error"]["request_id"], "id-1");
        }
    }

    #[test]
    fn an_answer_to_head_ends_with_its_head() {
        let [whole, head] = [false, true].map(|it| answer(Refusal::Host, "id-1", STATUS, it));
        assert!(whole.starts_with(&head) && head.ends_with(b"\r\n\r\n"), "{head:?}");
        assert!(head.len() < whole.len());
    }
}
