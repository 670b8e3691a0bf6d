//! Facts: everything that can happen and that more than one part wants to know of.
//!
//! An outcome is not an error: a refused connection is a value here, which decisions reason about.

mod attempt;
mod fault;
mod idempotence;

pub use attempt::{AttemptOutcome, Evidence, Fate, Rescue, Source, Symptom};
pub use fault::{Delay, Fault, FaultMode, FaultScope, Percent, Strike};
pub use idempotence::Idempotence;

use crate::model::{BackendId, Intent, PoolId};

/// A change in the fleet that operators, records and metrics hear of.
///
/// Events of one backend alternate: suspected then cleared or lost; lost or drained, then regained;
/// regained then, if that was on probation, cleared or suspected; disagreed then agreed. One that is
/// drained may be lost meanwhile, more than once: it is regained when it may be picked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An eligible backend gave the first sign of trouble.
    BackendSuspected {
        /// Which one.
        backend: BackendId,
        /// The sign.
        evidence: Evidence,
    },
    /// A further sign of trouble: of a suspected or lost backend, or late news of an attempt that
    /// began before its backend was cleared.
    EvidenceGathered {
        /// Which one.
        backend: BackendId,
        /// The sign.
        evidence: Evidence,
    },
    /// The suspicion was not borne out, or the probation was passed.
    BackendCleared {
        /// Which one.
        backend: BackendId,
    },
    /// The backend may no longer be picked.
    BackendLost {
        /// Which one.
        backend: BackendId,
        /// What took it out.
        reason: LossReason,
        /// The backend's own tier if traffic went there; otherwise the tier that was active.
        served: Option<usize>,
        /// Who takes over; `None` when nothing in the pool may be picked.
        heir: Option<Heir>,
    },
    /// An operator wants the backend to get nothing new, or no longer to be checked either.
    BackendDrained {
        /// Which one.
        backend: BackendId,
        /// [`Intent::Draining`] or [`Intent::Disabled`].
        intent: Intent,
        /// The backend's own tier if it was eligible and traffic went there; otherwise the tier that
        /// was active.
        served: Option<usize>,
        /// Who takes over; `None` when nothing in the pool may be picked.
        heir: Option<Heir>,
    },
    /// An operator wants the backend to serve again. It is regained when it is fit to.
    BackendEnabled {
        /// Which one.
        backend: BackendId,
    },
    /// An operator said what the backend weighs.
    WeightChanged {
        /// Which one.
        backend: BackendId,
        /// What it weighed.
        from: u32,
        /// What it weighs.
        to: u32,
    },
    /// Real traffic condemned the backend, or an operator did. It is lost by that, if it was not
    /// before.
    BackendEjected {
        /// Which one.
        backend: BackendId,
        /// What of traffic.
        ejection: Ejection,
    },
    /// The backend may be picked again.
    BackendRegained {
        /// Which one.
        backend: BackendId,
    },
    /// Checks say of a backend the opposite of what real traffic says.
    EvidenceDisagreed {
        /// Which one.
        backend: BackendId,
        /// Who speaks for it.
        well: Source,
    },
    /// Checks and traffic no longer contradict each other.
    EvidenceAgreed {
        /// Which one.
        backend: BackendId,
    },
    /// A pool's traffic moved to another tier, to none, or from none.
    TierChanged {
        /// Which pool.
        pool: PoolId,
        /// The tier that served; `None` when nothing could.
        from: Option<usize>,
        /// The tier that serves; `None` when nothing can.
        to: Option<usize>,
        /// Why.
        reason: TierReason,
    },
    /// An operator moves the pool to another tier, where it stays; or changed a weight so that the tier
    /// that served cannot serve any more.
    FailoverRequested {
        /// The first eligible backend of the tier that served, or the one whose weight was changed.
        backend: BackendId,
        /// The tier that served.
        from: usize,
        /// Who takes over.
        heir: Option<Heir>,
    },
    /// The tier that an operator moved the pool to cannot serve any more: he is not waited for.
    FailoverEnded {
        /// Which pool.
        pool: PoolId,
        /// The tier that it was moved to.
        tier: usize,
    },
    /// A pool's traffic begins to return to a preferred tier, little by little.
    FailbackBegan {
        /// Which pool.
        pool: PoolId,
        /// The tier that it returns to.
        to: usize,
    },
    /// The tier that traffic was returning to failed; the tier that served has all of it again.
    FailbackAborted {
        /// Which pool.
        pool: PoolId,
        /// The tier that traffic was returning to.
        to: usize,
    },
    /// The first attempt succeeded since traffic moved to this backend.
    BackendServed {
        /// Which one.
        backend: BackendId,
    },
    /// An operator asked for this backend to fail.
    FaultRequested {
        /// Which one.
        backend: BackendId,
        /// How.
        mode: FaultMode,
    },
    /// The fault that was asked for did not come about.
    FaultWithdrawn {
        /// Of which backend.
        backend: BackendId,
    },
}

/// What took a backend out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossReason {
    /// Health checks failed `fall` times in a row.
    HealthCheck,
    /// Real traffic failed.
    Outlier,
    /// An operator drained or disabled it.
    Drained,
    /// An operator ejected it, moved the pool away from it, or changed its weight so that its tier can
    /// no longer serve.
    Manual,
}

impl LossReason {
    /// Tells whether an operator wanted it.
    pub const fn is_ordered(self) -> bool {
        match self {
            Self::Drained | Self::Manual => true,
            Self::HealthCheck | Self::Outlier => false,
        }
    }

    /// Returns the name used in the API, the log and the metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HealthCheck => "health_check",
            Self::Outlier => "outlier",
            Self::Drained => "drain",
            Self::Manual => "manual",
        }
    }
}

/// What ejected a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ejection {
    /// Too many attempts in a row failed.
    ConsecutiveFailures,
    /// Too great a share of its attempts failed.
    FailureRatio,
    /// Its answers take far longer than its tier's.
    Latency,
    /// It failed the trials that should have cleared it of suspicion, or gave trouble again soon
    /// after it was cleared.
    Suspicion,
    /// An operator.
    Manual,
}

impl Ejection {
    /// The names used in the log and the metrics, in the order of the variants.
    pub const NAMES: [&'static str; 5] =
        ["consecutive_failures", "failure_ratio", "latency", "suspicion", "manual"];

    /// Returns the name used in the log and the metrics.
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// Who takes over from a lost backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heir {
    /// The tier that serves after the loss.
    pub tier: usize,
    /// Index, in the pool, of its first eligible backend.
    pub index: usize,
}

/// Why a pool's active tier changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TierReason {
    /// The tier that served no longer can.
    Lost(LossReason),
    /// A preferred tier could serve for the whole hold-down; all traffic is back.
    HoldDownEnded,
    /// An operator asked for the return to a preferred tier; all traffic is back.
    Requested,
    /// Nothing could serve, or nothing as it should; now something can.
    Regained,
    /// Another configuration has other tiers, or calls the one that serves by another number.
    Reconfigured,
    /// An operator moved the pool.
    Manual,
}
