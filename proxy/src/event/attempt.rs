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
    /// The backend's name could not be resolved.
    NameUnknown,
    /// Both sides did not agree on TLS.
    TlsFailed,
    /// The certificate that the backend showed is not accepted.
    BadCertificate,
    /// Connecting failed in another way, such as no route.
    ConnectFailed,
    /// The connection was closed or reset before the response began.
    ConnectionClosed,
    /// Connected, but no response began in time.
    ResponseTimedOut,
    /// The response has a status that counts as a failure.
    ErrorStatus(u16),
    /// No response within the time that the proxy has learned to expect. Suspicion, not failure:
    /// the request may still be answered.
    Overstayed,
    /// The backend was lost while the request waited for its answer; the request was called back.
    BackendLost,
    /// The response broke off.
    ResponseCut,
    /// What came back is not HTTP.
    Garbage,
    /// The answer to a health check lacks what is expected of it.
    Unexpected,
    /// Answers take far longer than those of the rest of its tier.
    OutOfLine,
    /// A fault that an operator injected in the proxy.
    Injected(FaultMode),
}

impl Symptom {
    /// Tells whether the request cannot have reached the backend's application.
    pub fn is_before_request(self) -> bool {
        match self {
            Self::ConnectionRefused
            | Self::ConnectTimedOut
            | Self::NameUnknown
            | Self::TlsFailed
            | Self::BadCertificate
            | Self::ConnectFailed
            | Self::Injected(FaultMode::Refuse | FaultMode::Blackhole) => true,
            Self::ConnectionClosed
            | Self::ResponseTimedOut
            | Self::Overstayed
            | Self::BackendLost
            | Self::OutOfLine
            | Self::ErrorStatus(_)
            | Self::ResponseCut
            | Self::Garbage
            | Self::Unexpected
            | Self::Injected(
                FaultMode::Crash
                | FaultMode::Hang
                | FaultMode::Reset
                | FaultMode::Truncate
                | FaultMode::Error
                | FaultMode::Slow,
            ) => false,
        }
    }

    /// Tells whether nothing came in time, as opposed to something wrong.
    pub fn is_timeout(self) -> bool {
        match self {
            Self::ConnectTimedOut
            | Self::ResponseTimedOut
            | Self::Overstayed
            | Self::OutOfLine
            | Self::Injected(FaultMode::Blackhole | FaultMode::Hang | FaultMode::Slow) => true,
            Self::ConnectionRefused
            | Self::NameUnknown
            | Self::TlsFailed
            | Self::BadCertificate
            | Self::ConnectFailed
            | Self::ConnectionClosed
            | Self::BackendLost
            | Self::ErrorStatus(_)
            | Self::ResponseCut
            | Self::Garbage
            | Self::Unexpected
            | Self::Injected(
                FaultMode::Crash
                | FaultMode::Refuse
                | FaultMode::Reset
                | FaultMode::Truncate
                | FaultMode::Error,
            ) => false,
        }
    }
}

impl fmt::Display for Symptom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectionRefused => f.write_str("connection refused"),
            Self::ConnectTimedOut => f.write_str("connecting timed out"),
            Self::NameUnknown => f.write_str("name not resolved"),
            Self::TlsFailed => f.write_str("no TLS"),
            Self::BadCertificate => f.write_str("certificate not accepted"),
            Self::ConnectFailed => f.write_str("could not connect"),
            Self::ConnectionClosed => f.write_str("connection closed before the response"),
            Self::ResponseTimedOut => f.write_str("no response in time"),
            Self::BackendLost => f.write_str("backend lost while waiting"),
            Self::Overstayed => f.write_str("no response within the time learned"),
            Self::ErrorStatus(status) => write!(f, "answered {status}"),
            Self::OutOfLine => f.write_str("answers take far longer than its tier's"),
            Self::ResponseCut => f.write_str("response broke off"),
            Self::Garbage => f.write_str("answer is not HTTP"),
            Self::Unexpected => f.write_str("answer is not the one expected"),
            Self::Injected(mode) => write!(f, "injected fault: {mode}"),
        }
    }
}

/// How a request ended, as its client would judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Answered by the first attempt.
    Served,
    /// Answered well by another attempt than the first.
    Rescued(Rescue),
    /// Ended in an error of a backend's or the proxy's making: a 5xx, or a broken body.
    Lost,
    /// The client went away first.
    Abandoned,
}

/// How a request was saved from a failing backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rescue {
    /// An attempt failed, or was given up, and another followed.
    Retry,
    /// A second attempt was begun beside the first, and answered before it.
    Hedge,
}

impl Rescue {
    /// The names used in the metrics: of a retry, of a hedge.
    pub const NAMES: [&'static str; 2] = ["retry", "hedge"];
}

/// One sign of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// When it was seen.
    pub at: Timestamp,
    /// When the attempt or the check began that saw it.
    pub began: Timestamp,
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
