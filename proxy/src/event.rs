//! Facts: everything that can happen and that more than one part wants to know of.
//!
//! An outcome is not an error: a refused connection is a value here, which decisions reason about.

mod attempt;
mod fault;

pub use attempt::{AttemptOutcome, Evidence, Fate, Source, Symptom};
pub use fault::{Fault, FaultMode};

use crate::model::{BackendId, PoolId};

/// A change in the fleet that operators, records and metrics hear of.
///
/// Events of one backend alternate: suspected then cleared or lost; lost then regained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An eligible backend gave the first sign of trouble.
    BackendSuspected {
        /// Which one.
        backend: BackendId,
        /// The sign.
        evidence: Evidence,
    },
    /// A suspected or lost backend gave a further sign of trouble.
    EvidenceGathered {
        /// Which one.
        backend: BackendId,
        /// The sign.
        evidence: Evidence,
    },
    /// The suspicion was not borne out.
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
        /// The tier that served until then.
        served: Option<usize>,
        /// Who takes over; `None` when nothing in the pool may be picked.
        heir: Option<Heir>,
    },
    /// The backend may be picked again.
    BackendRegained {
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
}

/// What took a backend out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossReason {
    /// Health checks failed `fall` times in a row.
    HealthCheck,
    /// Real traffic failed.
    Outlier,
}

impl LossReason {
    /// Returns the name used in the API, the log and the metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HealthCheck => "health_check",
            Self::Outlier => "outlier",
        }
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
    /// A preferred tier could serve for the whole hold-down.
    HoldDownEnded,
    /// Nothing could serve; now something can.
    Regained,
}
