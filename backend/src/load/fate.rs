//! What became of a request.

use std::error::Error;
use std::io;
use std::time::{Duration, Instant};

/// One request and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its `x-request-id`, unlike any other.
    pub id: String,
    /// When it was sent.
    pub started: Instant,
    /// How much later than scheduled it was sent. Large values mean that the load generator
    /// itself had too little of the machine.
    pub late: Duration,
    /// From sending it to the last byte of its answer, or to its failure.
    pub took: Duration,
    pub fate: Fate,
    /// The backend that answered, as the answer's `x-backend` names it.
    pub backend: Option<String>,
}

impl Record {
    pub fn finished(&self) -> Instant {
        self.started + self.took
    }

    pub fn is_ok(&self) -> bool {
        matches!(self.fate, Fate::Ok { .. })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Answered in full, with a status below 400.
    Ok { status: u16 },
    /// Answered in full, with a status from 400 up.
    Status { status: u16 },
    /// Not answered, or not in full.
    Failed { kind: FailureKind, error: String },
    /// Never sent: too many were unanswered.
    Shed,
}

impl Fate {
    /// The word for it in a summary; `None` for a success.
    pub fn failure(&self) -> Option<String> {
        match self {
            Fate::Ok { .. } => None,
            Fate::Status { status } => Some(format!("status_{status}")),
            Fate::Failed { kind, .. } => Some(kind.word().to_owned()),
            Fate::Shed => Some("shed".to_owned()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Nothing listens at the address.
    Refused,
    /// The connection could not be made for another reason.
    ConnectFailed,
    /// The connection was reset.
    Reset,
    /// The connection was closed without an answer.
    Closed,
    /// The answer ended before its end.
    Truncated,
    /// The answer was complete by its own account, but is not what was expected.
    WrongBody,
    /// No complete answer within the timeout.
    Timeout,
    /// Anything else, such as an answer that is not HTTP.
    Other,
}

impl FailureKind {
    pub fn word(self) -> &'static str {
        match self {
            FailureKind::Refused => "connection_refused",
            FailureKind::ConnectFailed => "connect_failed",
            FailureKind::Reset => "connection_reset",
            FailureKind::Closed => "connection_closed",
            FailureKind::Truncated => "truncated",
            FailureKind::WrongBody => "wrong_body",
            FailureKind::Timeout => "timeout",
            FailureKind::Other => "other",
        }
    }
}

/// The fate of a request that got no answer.
pub(crate) fn unanswered(error: &hyper_util::client::legacy::Error) -> Fate {
    let kind = match io_kind(error) {
        Some(io::ErrorKind::ConnectionRefused) => FailureKind::Refused,
        _ if error.is_connect() => FailureKind::ConnectFailed,
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => FailureKind::Reset,
        _ if is_incomplete(error) => FailureKind::Closed,
        Some(_) | None => FailureKind::Other,
    };
    Fate::Failed { kind, error: root_cause(error) }
}

/// The fate of a request whose answer broke off.
pub(crate) fn broken_off(error: &hyper::Error) -> Fate {
    let kind = match io_kind(error) {
        Some(io::ErrorKind::ConnectionReset) => FailureKind::Reset,
        Some(_) | None => FailureKind::Truncated,
    };
    Fate::Failed { kind, error: root_cause(error) }
}

/// The innermost error's own words: the outer ones only say that something failed.
pub(crate) fn root_cause(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    chain(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind)
}

fn is_incomplete(error: &(dyn Error + 'static)) -> bool {
    chain(error)
        .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
        .any(|cause| cause.is_incomplete_message() || cause.is_canceled())
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause| cause.source())
}
