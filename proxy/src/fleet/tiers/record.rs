//! What one process tells another of which tier serves.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    clock::{Timestamp, whole_millis},
    fleet::tiers::Tiers,
};

/// Which tier of a pool serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TiersRecord {
    /// It; `None` if none does.
    pub active: Option<usize>,
    /// For how many milliseconds.
    pub since_ms: u64,
    /// For how many milliseconds each tier has been able to serve without a break. A hold-down goes
    /// on from there.
    pub able_ms: Vec<Option<u64>>,
}

impl Tiers {
    /// Tells which tier serves. A return that is under way is told of as one that is waited for.
    pub(crate) fn record(&self, now: Timestamp) -> TiersRecord {
        let able = self.able_since.iter().map(|it| it.map(|since| whole_millis(now.since(since))));
        let since_ms = whole_millis(now.since(self.since));
        TiersRecord { active: self.active, since_ms, able_ms: able.collect() }
    }

    /// Goes on from what another process decided. To be judged afterwards: backends may be others.
    /// With another number of tiers, nothing is known of which was which.
    pub(crate) fn inherit(&mut self, known: &TiersRecord, now: Timestamp) {
        let count = self.able_since.len();
        if known.able_ms.len() != count || known.active.is_some_and(|active| count <= active) {
            return;
        }
        let ago = |millis: u64| now.minus(Duration::from_millis(millis));
        self.active = known.active;
        self.since = ago(known.since_ms);
        self.is_started = known.active.is_some();
        self.able_since = known.able_ms.iter().map(|it| it.map(ago)).collect();
    }
}
