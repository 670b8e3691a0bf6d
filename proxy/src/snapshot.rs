//! State: the immutable view that requests read, and the few numbers that they change.
//!
//! `control` is the only writer of [`Snapshot`]s and swaps a new one in whenever the fleet
//! decided something; a request loads the current one, once, and never waits. What requests
//! change themselves are atomics in [`Live`].

mod division;
mod live;
mod maglev;
mod peak_ewma;
mod rate;
mod retrospect;
mod schedule;
mod timeline;
mod times;

use std::sync::Arc;

use arc_swap::ArcSwap;

pub use division::Division;
pub use live::{BackendLive, IncidentWindow, Live, PoolLive, Recent};
pub use maglev::{Maglev, again, hash};
pub use peak_ewma::PeakEwma;
pub use rate::RateWindow;
pub use schedule::Schedule;
pub use timeline::{Latencies, SLOT, Timeline, WindowCounts};
pub use times::{Kind, Measure, Times, Usual};

use crate::{
    clock::Timestamp,
    event::Symptom,
    model::{BackendId, Intent, PoolId},
};

/// Where the current snapshot is read.
pub type SnapshotCell = Arc<ArcSwap<Snapshot>>;

/// The condition of every pool, as last decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Indexed by [`PoolId`].
    pub pools: Vec<PoolSnapshot>,
}

impl Snapshot {
    /// Returns the pool named by `id`.
    pub fn pool(&self, id: PoolId) -> &PoolSnapshot {
        &self.pools[id.0]
    }

    /// Returns the backend named by `id`.
    pub fn backend(&self, id: BackendId) -> &BackendSnapshot {
        &self.pools[id.pool.0].backends[id.index]
    }

    /// Tells whether every backend that is to be checked has been at least once.
    pub fn is_checked(&self) -> bool {
        self.pools.iter().flat_map(|pool| &pool.backends).all(BackendSnapshot::is_checked)
    }
}

/// One pool's condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolSnapshot {
    /// The tier that serves; `None` when nothing can. Where several do, the first of them that is
    /// not being returned to.
    pub active_tier: Option<usize>,
    /// Since when that tier serves, or nothing does.
    pub since: Timestamp,
    /// How traffic is divided, while several tiers serve.
    pub division: Division,
    /// The return of traffic to a preferred tier, if one is waited for or under way.
    pub failback: Option<Failback>,
    /// The preferred tier that traffic could return to if an operator asked for it.
    pub returnable: Option<usize>,
    /// The tier that an operator moved the pool to, until traffic is asked back or the tier cannot
    /// serve.
    pub held: Option<usize>,
    /// Whether nothing is eligible and requests are sent to any backend all the same: then `tiers`
    /// lists every backend.
    pub is_failing_open: bool,
    /// Indexed by tier.
    pub tiers: Vec<TierSnapshot>,
    /// What each backend weighs in its tier at present, in relation to the others there. Indexed as
    /// in the topology.
    pub weights: Arc<[u32]>,
    /// Whom keys belong to, by tier; empty unless the pool balances by hash.
    pub tables: Arc<[Maglev]>,
    /// Indexed as in the topology.
    pub backends: Vec<BackendSnapshot>,
}

impl PoolSnapshot {
    /// Returns the index of the active tier's first eligible backend.
    pub fn active_backend(&self) -> Option<usize> {
        self.tiers[self.active_tier?].eligible.first().copied()
    }

    /// Returns which part of the traffic this tier gets, 0 to 1.
    pub fn part(&self, tier: usize) -> f64 {
        let whole = if self.active_tier == Some(tier) { 1.0 } else { 0.0 };
        self.division.part(tier).unwrap_or(whole)
    }

    /// Returns whom a request that has tried the backends in `tried` could be sent to, in any
    /// tier.
    pub fn candidates(&self, tried: &[usize]) -> Candidates {
        Self::among(self.tiers.iter().flat_map(|tier| &tier.eligible), tried)
    }

    /// Returns the same of trusted backends only.
    pub fn trusted_candidates(&self, tried: &[usize]) -> Candidates {
        Self::among(self.tiers.iter().flat_map(|tier| &tier.trusted().eligible), tried)
    }

    fn among<'a>(eligible: impl Iterator<Item = &'a usize>, tried: &[usize]) -> Candidates {
        let mut eligible = eligible.peekable();
        if eligible.peek().is_none() {
            Candidates::Nobody
        } else if eligible.any(|index| !tried.contains(index)) {
            Candidates::Untried
        } else {
            Candidates::TriedOnly
        }
    }
}

/// Whom another attempt of a request could go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidates {
    /// An eligible backend that the request has not tried.
    Untried,
    /// Only eligible backends that the request has tried.
    TriedOnly,
    /// Nobody.
    Nobody,
}

/// A return of traffic that waits for its hold-down, or is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failback {
    /// The tier that gets its traffic back.
    pub to_tier: usize,
    /// When all of it is back, if the tier stays able to serve.
    pub at: Timestamp,
}

/// Who may be picked in one tier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TierSnapshot {
    /// Indices of the backends that may be picked, ascending.
    pub eligible: Vec<usize>,
    /// The order in which they take turns.
    pub schedule: Schedule,
    /// The same of those that are trusted, alone; `None` while that is all of them.
    pub trusted: Option<Arc<TierSnapshot>>,
}

impl TierSnapshot {
    /// Returns the trusted ones.
    pub fn trusted(&self) -> &Self {
        self.trusted.as_deref().unwrap_or(self)
    }
}

/// One backend's condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendSnapshot {
    /// What is known of it.
    pub condition: Condition,
    /// What operators want of it.
    pub intent: Intent,
    /// What it weighs in its tier when it is not warming up: as configured, or as an operator said.
    pub weight: u32,
    /// Whether an operator has ejected it.
    pub is_ejected_by_hand: bool,
    /// The latest sign of trouble, until all is well again.
    pub trouble: Option<Symptom>,
    /// Since when it is in this condition.
    pub since: Timestamp,
    /// Rises by one each time the backend is lost, so that connections from before are not used
    /// again.
    pub epoch: u64,
    /// The latest health check.
    pub last_check: Option<LastCheck>,
}

impl BackendSnapshot {
    /// Tells whether the backend may be picked: it is fit to be, and operators want it to be.
    pub fn is_eligible(&self) -> bool {
        self.condition.is_eligible() && self.intent.is_enabled()
    }

    /// Tells whether the backend has ever been checked, or need not be.
    fn is_checked(&self) -> bool {
        self.condition != Condition::Unknown
            || self.last_check.is_some()
            || !self.intent.is_checked()
    }
}

#[cfg(test)]
impl BackendSnapshot {
    /// Makes one of weight 1 of which nothing else is known.
    pub(crate) fn sample(condition: Condition, since: Timestamp) -> Self {
        Self {
            condition,
            intent: Intent::Enabled,
            weight: 1,
            is_ejected_by_hand: false,
            trouble: None,
            since,
            epoch: 0,
            last_check: None,
        }
    }
}

/// What is known of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Not checked yet.
    Unknown,
    /// All is well.
    Healthy,
    /// Something looks wrong, not yet enough to lose it; or its ejection has just ended. Whoever
    /// can goes elsewhere.
    Suspected,
    /// Health checks say no.
    Unhealthy,
    /// Real traffic said no.
    Ejected {
        /// When it may be picked again, if health checks agree.
        until: Timestamp,
    },
}

impl Condition {
    /// The names used in the API, the metrics and the page.
    pub const NAMES: [&'static str; 5] = ["up", "failing", "down", "ejected", "unknown"];

    /// Returns the index in [`Condition::NAMES`].
    pub const fn index(self) -> usize {
        match self {
            Self::Healthy => 0,
            Self::Suspected => 1,
            Self::Unhealthy => 2,
            Self::Ejected { .. } => 3,
            Self::Unknown => 4,
        }
    }

    /// Returns the name used in the API, the metrics and the page.
    pub const fn name(self) -> &'static str {
        Self::NAMES[self.index()]
    }

    /// Tells whether the backend may be picked, if operators want it to be.
    pub fn is_eligible(self) -> bool {
        match self {
            Self::Healthy | Self::Suspected => true,
            Self::Unknown | Self::Unhealthy | Self::Ejected { .. } => false,
        }
    }

    /// Tells whether nothing speaks against the backend.
    pub fn is_trusted(self) -> bool {
        match self {
            Self::Healthy => true,
            Self::Suspected | Self::Unknown | Self::Unhealthy | Self::Ejected { .. } => false,
        }
    }
}

/// One health check, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastCheck {
    /// When it ended.
    pub at: Timestamp,
    /// `None` when it passed.
    pub failure: Option<Symptom>,
    /// How long it took.
    pub took: std::time::Duration,
}
