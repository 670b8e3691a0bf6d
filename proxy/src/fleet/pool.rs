//! One pool: how it begins, whom requests pick from, and the view that requests and operators read.

use std::sync::Arc;

use crate::{
    clock::Timestamp,
    fleet::{Face, PoolMachine, backend::BackendMachine, slow_start::SlowStart, tiers::Tiers},
    model::{Balance, Pool, WhenDown},
    snapshot::{Maglev, PoolSnapshot, Schedule, TierSnapshot},
};

impl PoolMachine {
    pub(crate) fn new(pool: &Pool, now: Timestamp) -> Self {
        let count = pool.backends.len();
        let mut machine = Self {
            tiers: Tiers::new(pool.tier_count(), now),
            picks: vec![TierSnapshot::default(); pool.tier_count()],
            stale: vec![false; pool.tier_count()],
            turns: vec![Vec::new(); pool.tier_count()],
            picks_of_all: Vec::new(),
            tables: vec![Maglev::default(); pool.tier_count()].into(),
            weights: pool.backends.iter().map(|it| it.weight.get()).collect(),
            slow_start: SlowStart::new(count),
            backends: vec![BackendMachine::new(now); count],
            heirs: vec![false; count],
            watched: vec![false; count],
        };
        machine.renew_all(pool);
        machine
    }

    /// Works out again everything that follows from weights and intents and is not picked from.
    pub(crate) fn renew_all(&mut self, pool: &Pool) {
        self.renew_orders(pool);
        for tier in 0..pool.tier_count() {
            self.renew_table(pool, tier);
        }
    }

    /// Works out again who is left where a pool fails open: everybody whom operators want there.
    fn renew_orders(&mut self, pool: &Pool) {
        self.picks_of_all = (0..pool.tier_count())
            .map(|tier| {
                picks(&self.shares(pool, |index| {
                    pool.backends[index].tier == tier && self.backends[index].intent().is_enabled()
                }))
            })
            .collect();
    }

    /// Works out again whom the keys of this tier belong to.
    fn renew_table(&mut self, pool: &Pool, tier: usize) {
        if pool.balance == Balance::Hash {
            let mut tables = self.tables.to_vec();
            tables[tier] = self.table(pool, tier);
            self.tables = tables.into();
        }
    }

    /// Makes the table of a tier's backends, whether they are well or not, and wanted or not: the
    /// keys of one that is drained come back to it.
    fn table(&self, pool: &Pool, tier: usize) -> Maglev {
        let backends = self.shares(pool, |index| pool.backends[index].tier == tier);
        let named = backends.iter().map(|&(at, weight)| (at, &*pool.backends[at].name, weight));
        Maglev::new(&named.collect::<Vec<_>>())
    }

    /// Returns index and weight of the backends that are `wanted`.
    fn shares(&self, pool: &Pool, wanted: impl Fn(usize) -> bool) -> Vec<(usize, u32)> {
        let all = self.backends.iter().zip(&pool.backends).enumerate();
        all.filter(|(index, _)| wanted(*index))
            .map(|(index, (machine, backend))| (index, machine.weight(backend)))
            .collect()
    }

    /// Adapts picks and slow start to a backend's new condition. `before` is the old one.
    pub(crate) fn adapt(&mut self, pool: &Pool, index: usize, before: &Face, now: Timestamp) {
        let after = Face::of(&self.backends[index]);
        if before.is_eligible && !after.is_eligible {
            self.slow_start.end(index);
        } else if before.is_regained(&after) {
            self.slow_start.begin(index, pool.slow_start, now);
        }
        let is_trusted = before.condition.is_trusted() != after.condition.is_trusted();
        if before.is_eligible != after.is_eligible || is_trusted || before.weight != after.weight {
            self.stale[pool.backends[index].tier] = true;
        }
        if before.intent != after.intent || before.weight != after.weight {
            self.renew_orders(pool);
        }
        if before.weight != after.weight {
            self.renew_table(pool, pool.backends[index].tier);
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
        let is_of_tier = |index: usize| pool.backends[index].tier == tier;
        let is_eligible = |index: usize| self.backends[index].is_eligible();
        let mut shares = self.shares(pool, |index| is_of_tier(index) && is_eligible(index));
        self.slow_start.weigh(&mut shares);
        let mut weights = self.weights.to_vec();
        // Also of those that are not eligible: where the pool fails open, they are picked.
        for (index, weight) in self.shares(pool, is_of_tier).into_iter().chain(shares.clone()) {
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
            held: self.tiers.held(),
            is_failing_open,
            tiers: picks.clone(),
            weights: Arc::clone(&self.weights),
            tables: Arc::clone(&self.tables),
            backends: self
                .backends
                .iter()
                .zip(&pool.backends)
                .map(|(machine, backend)| machine.snapshot(backend))
                .collect(),
        }
    }
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
