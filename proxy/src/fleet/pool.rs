//! One pool: how it begins, whom requests pick from, and the view that requests and operators read.

use std::sync::Arc;

use crate::{
    clock::Timestamp,
    fleet::{PoolMachine, backend::BackendMachine, slow_start::SlowStart, tiers::Tiers},
    model::{Backend, Pool, WhenDown},
    snapshot::{Condition, PoolSnapshot, Schedule, TierSnapshot},
};

impl PoolMachine {
    pub(crate) fn new(pool: &Pool, now: Timestamp) -> Self {
        let count = pool.backends.len();
        let of_all = |tier| picks(&shares(pool, |_, it| it.tier == tier));
        Self {
            tiers: Tiers::new(pool.tier_count(), now),
            picks: vec![TierSnapshot::default(); pool.tier_count()],
            stale: vec![false; pool.tier_count()],
            turns: vec![Vec::new(); pool.tier_count()],
            picks_of_all: (0..pool.tier_count()).map(of_all).collect(),
            weights: pool.backends.iter().map(|it| it.weight.get()).collect(),
            slow_start: SlowStart::new(count),
            backends: vec![BackendMachine::new(now); count],
            heirs: vec![false; count],
            watched: vec![false; count],
        }
    }

    /// Adapts picks and slow start to a backend's new condition. `before` is the old one.
    ///
    /// A backend that was never in use before is not slow: it starts with the proxy.
    pub(crate) fn adapt(&mut self, pool: &Pool, index: usize, before: Condition, now: Timestamp) {
        let after = self.backends[index].condition();
        let is_regained = !before.is_eligible() && after.is_eligible();
        if before.is_eligible() && !after.is_eligible() {
            self.slow_start.end(index);
        } else if is_regained && before != Condition::Unknown {
            self.slow_start.begin(index, pool.slow_start, now);
        }
        if before.is_eligible() != after.is_eligible() || before.is_trusted() != after.is_trusted()
        {
            self.stale[pool.backends[index].tier] = true;
        }
    }

    /// Works out again what is picked from, where something has changed: once, however much has.
    pub(crate) fn renew_picks(&mut self, pool: &Pool) {
        for tier in 0..self.stale.len() {
            if std::mem::replace(&mut self.stale[tier], false) {
                self.renew_tier(pool, tier);
            }
        }
    }

    /// Works out again who is picked, and in which order, in this tier.
    fn renew_tier(&mut self, pool: &Pool, tier: usize) {
        let is_eligible = |index: usize| self.backends[index].is_eligible();
        let mut shares = shares(pool, |index, it| it.tier == tier && is_eligible(index));
        self.slow_start.weigh(&mut shares);
        let mut weights = self.weights.to_vec();
        for &(index, weight) in &shares {
            weights[index] = weight;
        }
        self.weights = weights.into();
        let is_trusted = |index: usize| self.backends[index].condition().is_trusted();
        let trusted: Vec<(usize, u32)> =
            shares.iter().copied().filter(|&(index, _)| is_trusted(index)).collect();
        let is_whole = trusted.len() == shares.len();
        let trusted = (!is_whole).then(|| Arc::new(picks(&trusted)));
        if self.turns[tier] == shares {
            self.picks[tier].trusted = trusted;
        } else {
            self.picks[tier] = TierSnapshot { trusted, ..picks(&shares) };
            self.turns[tier] = shares;
        }
    }

    pub(crate) fn snapshot(&self, pool: &Pool) -> PoolSnapshot {
        let is_failing_open = match pool.when_down {
            WhenDown::Reject => false,
            WhenDown::FailOpen => self.picks.iter().all(|tier| tier.eligible.is_empty()),
        };
        let picks = if is_failing_open { &self.picks_of_all } else { &self.picks };
        PoolSnapshot {
            active_tier: self.tiers.active(),
            since: self.tiers.since(),
            division: self.tiers.division().clone(),
            failback: self.tiers.failback(&pool.tiers),
            returnable: self.tiers.returnable(),
            is_failing_open,
            tiers: picks.clone(),
            weights: Arc::clone(&self.weights),
            backends: self.backends.iter().map(BackendMachine::snapshot).collect(),
        }
    }
}

/// Returns index and weight of the backends that are `wanted`.
pub(crate) fn shares(pool: &Pool, wanted: impl Fn(usize, &Backend) -> bool) -> Vec<(usize, u32)> {
    let all = pool.backends.iter().enumerate();
    all.filter(|(index, it)| wanted(*index, it))
        .map(|(index, it)| (index, it.weight.get()))
        .collect()
}

/// Makes what requests pick from out of index and weight of each backend, all of them trusted or
/// all of them not.
pub(crate) fn picks(shares: &[(usize, u32)]) -> TierSnapshot {
    TierSnapshot {
        eligible: shares.iter().map(|&(index, _)| index).collect(),
        schedule: Schedule::new(shares),
        trusted: None,
    }
}
