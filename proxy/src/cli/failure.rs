//! Why a command did not do what it was asked for: what, where, and what would put it right; and
//! the exit code that says so to a program.

use std::process::ExitCode;

/// Exit codes, the same for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The answer is no: errors were found, it is not ready, or a wait ended before its time.
    No = 1,
    /// The command line is wrong: an unknown option, or a name that does not exist.
    Usage = 2,
    /// The sidecar cannot be reached (`EX_UNAVAILABLE`).
    Unreachable = 69,
    /// Not without a role that the sidecar asks for (`EX_NOPERM`).
    NotAllowed = 77,
    /// The configuration was rejected (`EX_CONFIG`): starting again will not help.
    ConfigRejected = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// What, and where. Lower case, no full stop.
    pub(crate) message: String,
    /// What would put it right; empty when there is nothing to say.
    pub(crate) remedy: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { exit, message: message.into(), remedy: remedy.into() }
    }

    /// A command line that cannot be meant.
    pub(crate) fn usage(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message, remedy)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::No, format!("{error:#}"), "")
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::No, error.to_string(), "")
    }
}
