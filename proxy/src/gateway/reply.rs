//! Answers that the proxy itself gives: they say what is wrong and what to do, as JSON, plain text or
//! problem details, whichever the client prefers.

mod accept;
mod status;

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use pingora::{Error, ErrorType, Result, http::ResponseHeader, protocols::http::ServerSession};
use serde_json::json;
use tokio::time::timeout;

use crate::{
    event::{FaultMode, Symptom},
    exchange::{
        client,
        request::{Failure, Overload},
    },
    gateway::{CLIENT_PATIENCE, reply::accept::Form},
    retry::Reason,
    wire::proxy_status::{ProxyError, ProxyStatus},
};

/// Seconds after which a client should ask again. Health checks take about that long to notice
/// that a backend is well again.
const RETRY_AFTER_SECONDS: &str = "1";

/// An answer of the proxy's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    code: &'static str,
    pub(crate) message: String,
    remedy: &'static str,
    /// What programs are told (RFC 9209).
    error: ProxyError,
    /// What a backend answered, if it did.
    received_status: Option<u16>,
}

impl Reply {
    /// No route matches.
    pub(crate) fn no_route() -> Self {
        Self {
            status: 404,
            code: "no_route",
            message: "no route matches this host, path and method".to_owned(),
            remedy: "check the request against `routes` in the configuration",
            error: ProxyError::DestinationNotFound,
            received_status: None,
        }
    }

    /// The request cannot be understood, or is not allowed.
    pub(crate) fn bad_request(status: u16) -> Self {
        Self {
            status,
            code: "bad_request",
            message: "the request could not be read".to_owned(),
            remedy: "send a well-formed HTTP request",
            error: ProxyError::HttpRequestError,
            received_status: None,
        }
    }

    /// The request's body is longer than its route allows.
    pub(crate) fn body_too_long() -> Self {
        Self {
            status: 413,
            code: "body_too_long",
            message: "the request's body is longer than is accepted here".to_owned(),
            remedy: "send a shorter body; operators: see the route's `max_body`",
            error: ProxyError::HttpRequestDenied,
            received_status: None,
        }
    }

    /// The process has as much to do as it may.
    pub(crate) fn overloaded() -> Self {
        Self {
            status: 503,
            code: "overloaded",
            message: "the proxy has as much to do as it may".to_owned(),
            remedy: "retry after the time in Retry-After; operators: see `limits`",
            error: ProxyError::HttpRequestDenied,
            received_status: None,
        }
    }

    /// The route may not be asked that often.
    pub(crate) fn rate_limited() -> Self {
        Self {
            status: 429,
            code: "rate_limited",
            message: "more requests than the route allows".to_owned(),
            remedy: "retry after the time in Retry-After; RateLimit-Policy says how often",
            error: ProxyError::HttpRequestDenied,
            received_status: None,
        }
    }

    /// The sidecar did not answer.
    pub(crate) fn no_sidecar() -> Self {
        Self {
            status: 502,
            code: "sidecar_unreachable",
            message: "the sidecar did not answer".to_owned(),
            remedy: "see the proxy's log; traffic to backends is not affected",
            error: ProxyError::DestinationUnavailable,
            received_status: None,
        }
    }

    /// The request could not be served by any backend of `pool`. `symptom` is what was met last.
    pub(crate) fn unserved(failure: Failure, symptom: Option<Symptom>, pool: &str) -> Self {
        let last = symptom.map_or_else(String::new, |it| format!("; the last attempt: {it}"));
        let met = symptom.map_or_else(String::new, |it| format!("; last seen: {it}"));
        let (status, code, message, remedy) = match failure {
            Failure::NoBackend => (
                503,
                "no_backend",
                format!("no backend of pool `{pool}` can serve{met}"),
                "retry after the time in Retry-After; operators: see /proxy/health",
            ),
            Failure::BodyTooLong => return Self::body_too_long(),
            Failure::Overloaded(Overload::MaxRequests | Overload::Lag) => {
                return Self::overloaded();
            }
            Failure::Overloaded(overload) => (
                503,
                "overloaded",
                format!("pool `{pool}` {}{last}", too_much(overload)),
                "retry after the time in Retry-After; operators: see `limits` of the pool",
            ),
            Failure::RateLimited => return Self::rate_limited(),
            Failure::BodyUnfinished => (
                408,
                "body_unfinished",
                "the request's body was not finished when the wait for it ended".to_owned(),
                "send the whole body, without long pauses",
            ),
            Failure::Injected(status) => (
                status,
                "injected_fault",
                format!("a fault injected into pool `{pool}` answers with {status}"),
                "it ends by itself; operators: POST /proxy/recover ends it at once",
            ),
            Failure::DeadlinePassed => (
                504,
                "deadline_passed",
                format!("pool `{pool}` did not answer before the route's timeout{last}"),
                "retry if the request may be repeated",
            ),
            Failure::GivenUp(reason) => (
                given_up_status(reason, symptom),
                "attempt_failed",
                format!("pool `{pool}`: {}{last}", explain(reason)),
                after_giving_up(reason),
            ),
        };
        let error = status::error_of(failure, symptom);
        Self { status, code, message, remedy, error, received_status: status::received(symptom) }
    }

    /// Returns what programs are told; `backend_address` is where it was tried last, if that may be known.
    pub(crate) fn proxy_status(&self, backend_address: Option<SocketAddr>) -> String {
        let Self { error, received_status, .. } = *self;
        let details = Some(self.code);
        ProxyStatus { error: Some(error), received_status, backend_address, details }.write()
    }

    /// Returns the answer in this form, and what the form is called.
    fn body(&self, form: Form, request_id: &str) -> (&'static str, Bytes) {
        let Self { status, code, message, remedy, .. } = self;
        let (content_type, body) = match form {
            Form::Json => (
                "application/json",
                json!({ "error": {
                    "code": code,
                    "message": message,
                    "remedy": remedy,
                    "request_id": request_id,
                }})
                .to_string(),
            ),
            Form::Problem => {
                let status_code = StatusCode::from_u16(*status).ok();
                let title = status_code.and_then(|it| it.canonical_reason()).unwrap_or("Error");
                let body = json!({
                    "type": "about:blank",
                    "title": title,
                    "status": status,
                    "detail": message,
                    "code": code,
                    "remedy": remedy,
                    "request_id": request_id,
                });
                ("application/problem+json", body.to_string())
            }
            Form::Text => (
                "text/plain; charset=utf-8",
                format!("{status} {code}: {message}\n{remedy}\nrequest id: {request_id}"),
            ),
        };
        (content_type, Bytes::from(body + "\n"))
    }

    /// Sends the answer, with these fields in its head. Nothing is sent when a response has already
    /// begun.
    pub(crate) async fn send_with(
        &self,
        fields: &[(HeaderName, HeaderValue)],
        session: &mut ServerSession,
        request_id: &str,
    ) -> Result<()> {
        let (content_type, body) =
            self.body(Form::for_client(&session.req_header().headers), request_id);
        let mut header = ResponseHeader::build(self.status, Some(6))?;
        header.insert_header("Content-Type", content_type)?;
        header.insert_header("Content-Length", body.len().to_string())?;
        header.insert_header("Cache-Control", "no-store")?;
        header.insert_header("X-Request-Id", request_id)?;
        for (name, value) in fields {
            header.append_header(name, value)?;
        }
        if self.status == 503 && !header.headers.contains_key("retry-after") {
            header.insert_header("Retry-After", RETRY_AFTER_SECONDS)?;
        }
        client::end_connection(session);
        let written = timeout(CLIENT_PATIENCE, session.write_error_response(header, body)).await;
        written.unwrap_or_else(|_| {
            Err(Error::explain(ErrorType::WriteTimedout, "own answer").into_down())
        })
    }
}

fn given_up_status(reason: Reason, symptom: Option<Symptom>) -> u16 {
    match (reason, symptom) {
        (Reason::Deadline, _)
        | (
            _,
            Some(Symptom::ResponseTimedOut | Symptom::Injected(FaultMode::Hang | FaultMode::Slow)),
        ) => 504,
        (Reason::NoBackend | Reason::Budget, _) => 503,
        _ => 502,
    }
}

fn after_giving_up(reason: Reason) -> &'static str {
    match reason {
        Reason::NotIdempotent | Reason::BodyNotReplayable => {
            "it may have been executed: check before repeating it, or send an Idempotency-Key"
        }
        Reason::AttemptsExhausted
        | Reason::Deadline
        | Reason::ResponseStarted
        | Reason::NoBackend
        | Reason::Budget => "retry if the request may be repeated",
    }
}

fn too_much(overload: Overload) -> &'static str {
    match overload {
        Overload::MaxRequests | Overload::Lag | Overload::QueueFull => {
            "has as much to do as it may, and no room for more to wait"
        }
        Overload::QueueTimeout => "had as much to do as it may for as long as the request waited",
    }
}

fn explain(reason: Reason) -> &'static str {
    match reason {
        Reason::AttemptsExhausted => "all attempts failed",
        Reason::Deadline => "the attempt failed and the route's timeout has passed",
        Reason::NotIdempotent => "the attempt failed and the request must not be repeated",
        Reason::BodyNotReplayable => "the attempt failed and the request's body is gone",
        Reason::ResponseStarted => "the response broke off",
        Reason::NoBackend => "the attempt failed and no other backend can serve",
        Reason::Budget => "the attempt failed and the retry budget is spent",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_form_says_the_same() {
        let reply = Reply::no_route();
        let (kind, body) = reply.body(Form::Json, "id-1");
        let json: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((kind, &json["error"]["code"]), ("application/json", &json!("no_route")));
        let (kind, body) = reply.body(Form::Problem, "id-1");
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(kind, "application/problem+json");
        for (member, expected) in [
            ("type", json!("about:blank")),
            ("title", json!("Not Found")),
            ("status", json!(404)),
            ("detail", json["error"]["message"].clone()),
            ("code", json!("no_route")),
            ("request_id", json!("id-1")),
        ] {
            assert_eq!(problem[member], expected, "{member}");
        }
        let (kind, body) = reply.body(Form::Text, "id-1");
        assert_eq!(kind, "text/plain; charset=utf-8");
        let text = "404 no_route: no route matches this host, path and method\n\
                    check the request against `routes` in the configuration\nrequest id: id-1\n";
        assert_eq!(body, text);
    }
}
