//! How one try of a request at one backend ended, and what that says of the backend.

use std::fmt;

use crate::{clock::Timestamp, event::FaultMode};

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The backend answered, with a status that counts as an answer.
    Answered {
        /// The status of the response.
        status: u16,
    },
    /// The backend failed.
    Failed(Symptom),
    /// The client went away first; says nothing of the backend.
    Abandoned,
}

/// What a failing backend looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symptom {
    /// Nothing listens on the port.
    ConnectionRefused,
    /// No answer to the attempt to connect.
    ConnectTimedOut,
    /// Connecting failed in another way: no route, no such name, TLS.
    ConnectFailed,
    /// The connection was closed or reset before the response began.
    ConnectionClosed,
    /// Connected, but no response began in time.
    ResponseTimedOut,
    /// The response has a status that counts as a failure.
    ErrorStatus(u16),
    /// The response broke off.
    ResponseCut,
    /// What came back is not HTTP.
    Garbage,
    /// A fault that an operator injected in the proxy.
    Injected(FaultMode),
}

impl Symptom {
    /// Tells whether the request cannot have reached the backend's application.
    pub fn is_before_request(self) -> bool {
        match self {
            Self::ConnectionRefused
            | Self::ConnectTimedOut
            | Self::ConnectFailed
            | Self::Injected(FaultMode::Refuse) => true,
            Self::ConnectionClosed
            | Self::ResponseTimedOut
            | Self::ErrorStatus(_)
            | Self::ResponseCut
            | Self::Garbage
            | Self::Injected(_) => false,
        }
    }
}

impl fmt::Display for Symptom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectionRefused => f.write_str("connection refused"),
            Self::ConnectTimedOut => f.write_str("connecting timed out"),
            Self::ConnectFailed => f.write_str("could not connect"),
            Self::ConnectionClosed => f.write_str("connection closed before the response"),
            Self::ResponseTimedOut => f.write_str("no response in time"),
            Self::ErrorStatus(status) => write!(f, "answered {status}"),
            Self::ResponseCut => f.write_str("response broke off"),
            Self::Garbage => f.write_str("answer is not HTTP"),
            Self::Injected(mode) => write!(f, "injected fault: {mode}"),
        }
    }
}

/// How a request ended, as its client would judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Answered by the first attempt.
    Served,
    /// Answered well, after an attempt that failed.
    Rescued,
    /// Ended in an error of a backend's or the proxy's making: a 5xx, or a broken body.
    Lost,
    /// The client went away first.
    Abandoned,
}

/// One sign of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// When it was seen.
    pub at: Timestamp,
    /// Who saw it.
    pub source: Source,
    /// What was seen.
    pub symptom: Symptom,
}

/// Who saw a sign of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A client's request.
    Traffic,
    /// A health check.
    HealthCheck,
}

impl Source {
    /// Returns the name used in the API and the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Traffic => "traffic",
            Self::HealthCheck => "health_check",
        }
    }
}
