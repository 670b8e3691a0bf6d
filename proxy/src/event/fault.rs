//! Faults that an operator injects between the proxy and one backend.

use std::{fmt, time::Duration};

use crate::clock::Timestamp;

/// A fault under way: as long as it lasts, attempts and health checks of its backend meet it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub mode: FaultMode,
    /// When it ends by itself.
    pub ends_at: Timestamp,
    /// With [`FaultMode::Slow`]: what is added to each answer.
    pub delay: Duration,
}

impl Fault {
    /// Tells whether the fault still applies at `now`.
    pub fn is_active(&self, now: Timestamp) -> bool {
        now < self.ends_at
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultMode {
    /// The backend's own `POST /fail` is called: its process ends.
    Crash,
    /// Connections are refused.
    Refuse,
    /// No answer comes.
    Hang,
    /// The answer is a 503.
    Error,
    /// Answers come late.
    Slow,
}

impl FaultMode {
    /// Every mode, in the order in which they are offered.
    pub const ALL: [Self; 5] = [Self::Crash, Self::Refuse, Self::Hang, Self::Error, Self::Slow];

    /// Returns the name used in the API, the log and the page.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Refuse => "refuse",
            Self::Hang => "hang",
            Self::Error => "error",
            Self::Slow => "slow",
        }
    }

    /// Returns the mode called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

impl fmt::Display for FaultMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
