//! What went wrong, in the terms of RFC 9209.

use crate::{
    event::{FaultMode, Symptom},
    exchange::request::{Failure, Overload},
    wire::proxy_status::ProxyError,
};

/// Returns the type of error for a request that could not be served; `symptom` is what was met last.
pub(crate) fn error_of(failure: Failure, symptom: Option<Symptom>) -> ProxyError {
    match failure {
        Failure::NoBackend => ProxyError::DestinationUnavailable,
        Failure::Overloaded(Overload::MaxRequests | Overload::Lag)
        | Failure::RateLimited
        | Failure::BodyTooLong => ProxyError::HttpRequestDenied,
        Failure::Overloaded(Overload::QueueFull | Overload::QueueTimeout) => {
            ProxyError::ConnectionLimitReached
        }
        Failure::BodyUnfinished => ProxyError::HttpRequestError,
        Failure::Injected(_) => ProxyError::ProxyInternalResponse,
        // What was met before the time was up is the better answer.
        Failure::DeadlinePassed => symptom.map_or(ProxyError::HttpResponseTimeout, met),
        Failure::GivenUp(_) => symptom.map_or(ProxyError::DestinationUnavailable, met),
    }
}

/// Returns what a backend answered that was not good enough.
pub(crate) fn received(symptom: Option<Symptom>) -> Option<u16> {
    match symptom {
        Some(Symptom::ErrorStatus(status)) => Some(status),
        Some(_) | None => None,
    }
}

fn met(symptom: Symptom) -> ProxyError {
    match symptom {
        Symptom::NameUnknown => ProxyError::DnsError,
        Symptom::ConnectionRefused | Symptom::Injected(FaultMode::Refuse) => {
            ProxyError::ConnectionRefused
        }
        Symptom::ConnectTimedOut | Symptom::Injected(FaultMode::Blackhole) => {
            ProxyError::ConnectionTimeout
        }
        Symptom::TlsFailed => ProxyError::TlsProtocolError,
        Symptom::BadCertificate => ProxyError::TlsCertificateError,
        Symptom::ConnectFailed => ProxyError::DestinationIpUnroutable,
        Symptom::ConnectionClosed
        | Symptom::BackendLost
        | Symptom::Injected(FaultMode::Crash | FaultMode::Reset) => {
            ProxyError::ConnectionTerminated
        }
        Symptom::ResponseTimedOut
        | Symptom::Overstayed
        | Symptom::OutOfLine
        | Symptom::Injected(FaultMode::Hang | FaultMode::Slow) => ProxyError::HttpResponseTimeout,
        Symptom::ResponseCut | Symptom::Injected(FaultMode::Truncate) => {
            ProxyError::HttpResponseIncomplete
        }
        Symptom::Garbage => ProxyError::HttpProtocolError,
        Symptom::ErrorStatus(_) | Symptom::Unexpected => ProxyError::DestinationUnavailable,
        Symptom::Injected(FaultMode::Error) => ProxyError::ProxyInternalResponse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry::Reason;

    #[test]
    fn every_way_to_fail_has_its_name() {
        let given_up = Failure::GivenUp(Reason::AttemptsExhausted);
        for (failure, symptom, expected) in [
            (Failure::NoBackend, Some(Symptom::ConnectionRefused), "destination_unavailable"),
            (Failure::RateLimited, None, "http_request_denied"),
            (Failure::Overloaded(Overload::QueueFull), None, "connection_limit_reached"),
            (Failure::Overloaded(Overload::Lag), None, "http_request_denied"),
            (Failure::BodyUnfinished, None, "http_request_error"),
            (Failure::Injected(503), None, "proxy_internal_response"),
            (Failure::DeadlinePassed, None, "http_response_timeout"),
            (Failure::DeadlinePassed, Some(Symptom::ConnectTimedOut), "connection_timeout"),
            (given_up, Some(Symptom::ConnectionRefused), "connection_refused"),
            (given_up, Some(Symptom::NameUnknown), "dns_error"),
            (given_up, Some(Symptom::BadCertificate), "tls_certificate_error"),
            (given_up, Some(Symptom::TlsFailed), "tls_protocol_error"),
            (given_up, Some(Symptom::ConnectFailed), "destination_ip_unroutable"),
            (given_up, Some(Symptom::ConnectionClosed), "connection_terminated"),
            (given_up, Some(Symptom::ResponseCut), "http_response_incomplete"),
            (given_up, Some(Symptom::Garbage), "http_protocol_error"),
            (given_up, Some(Symptom::ResponseTimedOut), "http_response_timeout"),
            (given_up, None, "destination_unavailable"),
        ] {
            assert_eq!(error_of(failure, symptom).name(), expected, "{failure:?} {symptom:?}");
        }
        assert_eq!(received(Some(Symptom::ErrorStatus(503))), Some(503));
        assert_eq!(received(Some(Symptom::Garbage)), None);
    }
}
