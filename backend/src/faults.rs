//! Faults: what can be made to go wrong, to whom, and for how long.

pub(crate) mod board;
pub(crate) mod plan;
pub(crate) mod wire;

use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::StatusCode;

/// The longest a fault may last: a forgotten one must not outlive a coffee break.
pub(crate) const LASTING_MAX: Duration = Duration::from_millis(600_000);

/// A fault to be injected. It ends by itself after `lasting`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub kind: FaultKind,
    /// The share of requests it strikes; each is decided by chance.
    pub percent: Percent,
    /// Of the requests in its scope, only each so-manieth is struck: with 10, the 10th, the 20th, …
    pub every: NonZeroU32,
    pub scope: Scope,
    /// At most ten minutes; longer is cut to that.
    pub lasting: Duration,
}

impl Fault {
    /// A fault that strikes every request, health checks included.
    pub fn new(kind: FaultKind, lasting: Duration) -> Fault {
        Fault { kind, percent: Percent::ALL, every: NonZeroU32::MIN, scope: Scope::All, lasting }
    }

    /// Limits the fault to some requests. `refuse` and `close_idle` have no such limit: they strike
    /// connections, before anything is known of a request.
    #[must_use]
    pub fn in_scope(self, scope: Scope) -> Fault {
        Fault { scope, ..self }
    }

    /// Limits the fault to a share of requests. `refuse` and `close_idle` have no such limit.
    #[must_use]
    pub fn striking(self, percent: Percent) -> Fault {
        Fault { percent, ..self }
    }

    /// Limits the fault to each so-manieth request. `refuse` and `close_idle` have no such limit.
    #[must_use]
    pub fn striking_every(self, every: NonZeroU32) -> Fault {
        Fault { every, ..self }
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The listening socket is closed, so that the kernel refuses connections. Open connections
    /// finish the answer they are at and close.
    Refuse,
    /// Requests are accepted and never answered; their connections close when the fault ends.
    Hang,
    /// Requests are answered with this status, 400 to 599, at once.
    Error { status: StatusCode },
    /// Answers are held back for this long.
    Slow { delay: Duration },
    /// The connection is reset (TCP RST) without an answer.
    Reset,
    /// Half of the promised body is sent, then the connection closes.
    Truncate,
    /// All connections that wait for a request are closed at once and unannounced, again and again
    /// after each period.
    CloseIdle { period: Duration },
}

impl FaultKind {
    /// The word for it on the wire.
    pub fn mode(self) -> &'static str {
        match self {
            FaultKind::Refuse => "refuse",
            FaultKind::Hang => "hang",
            FaultKind::Error { .. } => "error",
            FaultKind::Slow { .. } => "slow",
            FaultKind::Reset => "reset",
            FaultKind::Truncate => "truncate",
            FaultKind::CloseIdle { .. } => "close_idle",
        }
    }
}

/// A share in whole percent, 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u8);

impl Percent {
    pub const ALL: Percent = Percent(100);

    /// `None` outside 1 to 100.
    pub fn new(percent: u8) -> Option<Percent> {
        (1..=100).contains(&percent).then_some(Percent(percent))
    }

    pub fn value(self) -> u8 {
        self.0
    }
}

/// Which requests a fault may strike. Control paths (`/faults`, `/recover`, `/fail`, `/requests`)
/// are never among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    All,
    /// Everything but `/health`.
    Traffic,
    /// Only `/health`.
    Health,
}

impl Scope {
    /// The word for it on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Scope::All => "all",
            Scope::Traffic => "traffic",
            Scope::Health => "health",
        }
    }
}

/// Why a fault cannot be injected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {remedy}")]
pub struct InvalidFault {
    pub message: String,
    pub remedy: String,
}
