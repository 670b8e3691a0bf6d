//! Pingora's errors in our words.

#![expect(clippy::wildcard_enum_match_arm, reason = "Pingora's list is long and grows")]

use std::io;

use pingora::{Error, ErrorType};

use crate::{event::Symptom, wire::incoming::Refusal};

/// Returns what a failed attempt to connect says of the backend.
pub fn connect_symptom(error: &Error) -> Symptom {
    match error.etype() {
        ErrorType::ConnectRefused => Symptom::ConnectionRefused,
        ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => Symptom::ConnectTimedOut,
        ErrorType::TLSHandshakeFailure => Symptom::TlsFailed,
        ErrorType::InvalidCert => Symptom::BadCertificate,
        _ => Symptom::ConnectFailed,
    }
}

/// Returns what an exchange that failed after connecting, and before the response began, says of
/// the backend.
pub fn exchange_symptom(error: &Error) -> Symptom {
    match error.etype() {
        ErrorType::ReadTimedout | ErrorType::WriteTimedout => Symptom::ResponseTimedOut,
        ErrorType::InvalidHTTPHeader | ErrorType::H1Error | ErrorType::InvalidH2 => {
            Symptom::Garbage
        }
        _ => Symptom::ConnectionClosed,
    }
}

/// Returns the status with which to answer a request that failed on the client's side; `None` when
/// the client is gone.
pub fn client_fault(error: &Error) -> Option<u16> {
    if let Some(refusal) = refusal_of(error) {
        return Some(refusal.status());
    }
    match error.etype() {
        ErrorType::WriteError
        | ErrorType::ReadError
        | ErrorType::ConnectionClosed
        | ErrorType::WriteTimedout => None,
        ErrorType::HTTPStatus(status) => Some(*status),
        ErrorType::ReadTimedout => Some(408),
        _ => Some(400),
    }
}

/// Returns why the body of a request was refused while it was read, if that is what happened.
fn refusal_of(error: &Error) -> Option<Refusal> {
    let mut cause = error.cause.as_deref();
    while let Some(error) = cause.and_then(|it| it.downcast_ref::<Box<Error>>()) {
        cause = error.cause.as_deref();
    }
    cause?.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: ErrorType) -> Box<Error> {
        Error::new(kind)
    }

    #[test]
    fn a_body_that_was_refused_is_answered_as_its_refusal_says() {
        let cause = io::Error::new(io::ErrorKind::InvalidData, Refusal::Chunk);
        let error = Error::because(ErrorType::ReadError, "body", cause);
        assert_eq!(client_fault(&error), Some(400));
        let gone = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(client_fault(&Error::because(ErrorType::ReadError, "body", gone)), None);
    }

    #[test]
    fn each_way_to_fail_has_its_symptom() {
        let connecting = |kind, expected| assert_eq!(connect_symptom(&error(kind)), expected);
        connecting(ErrorType::ConnectRefused, Symptom::ConnectionRefused);
        connecting(ErrorType::ConnectTimedout, Symptom::ConnectTimedOut);
        connecting(ErrorType::ConnectNoRoute, Symptom::ConnectFailed);
        let asking = |kind, expected| assert_eq!(exchange_symptom(&error(kind)), expected);
        asking(ErrorType::ReadTimedout, Symptom::ResponseTimedOut);
        asking(ErrorType::ConnectionClosed, Symptom::ConnectionClosed);
        asking(ErrorType::InvalidHTTPHeader, Symptom::Garbage);
    }
}
