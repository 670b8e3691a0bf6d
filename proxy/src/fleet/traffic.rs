//! Where a pool's traffic goes: what follows for its tiers from what happened to a backend.

use crate::{
    clock::Timestamp,
    event::{Event, Heir, LossReason},
    fleet::{
        Fleet,
        backend::Reaction,
        tiers::{Fitness, Loss, Step},
    },
    model::{BackendId, PoolId},
    snapshot::Condition,
};

impl Fleet {
    /// Decides who takes over from a backend that has just been lost, and says so.
    pub(crate) fn lost(&mut self, id: BackendId, reason: LossReason, now: Timestamp) {
        let topology = self.topology.clone();
        let pool = topology.pool(id.pool);
        let fitness = self.fitness(id.pool);
        let machine = &mut self.pools[id.pool.0];
        let tier = pool.backends[id.index].tier;
        let served = if machine.tiers.division().part(tier).is_some_and(|part| 0.0 < part) {
            Some(tier)
        } else {
            machine.tiers.active()
        };
        let loss = Loss { tier, reason };
        let step = machine.tiers.judge(&fitness, Some(loss), &pool.tiers, now);
        machine.renew_picks(pool);
        let heir = machine.tiers.active().and_then(|tier| {
            let picks = &machine.picks[tier];
            let first = picks.trusted().eligible.first().or(picks.eligible.first());
            first.map(|&index| Heir { tier, index })
        });
        self.emit(Event::BackendLost { backend: id, reason, served, heir });
        if let Some(step) = step {
            self.tell_step(id.pool, step);
        }
        self.await_heirs(id.pool);
        // A return that this broke off may have held up another.
        self.judge_tiers(id.pool, now);
    }

    /// Takes every step that is due.
    pub(crate) fn judge_tiers(&mut self, pool: PoolId, now: Timestamp) {
        let fitness = self.fitness(pool);
        // Traffic that is back in one tier may be due in a better one at the same moment.
        loop {
            let policy = &self.topology.pool(pool).tiers;
            let step = self.pools[pool.0].tiers.judge(&fitness, None, policy, now);
            if step.is_none() {
                return;
            }
            self.follow(pool, step);
        }
    }

    /// Takes in how a backend reacted to trouble that traffic met there: reason enough, perhaps, to
    /// break off the return of traffic to its tier. News from before its latest turn is none.
    pub(crate) fn disturbed(&mut self, id: BackendId, reaction: Option<Reaction>, now: Timestamp) {
        if reaction.is_none_or(|reaction| reaction.is_stale) {
            return;
        }
        let fitness = self.fitness(id.pool);
        let pool = self.topology.pool(id.pool);
        let tier = pool.backends[id.index].tier;
        let step = self.pools[id.pool.0].tiers.disturbed(tier, &fitness, &pool.tiers, now);
        if step.is_some() {
            self.follow(id.pool, step);
            self.judge_tiers(id.pool, now);
        }
    }

    /// Lets traffic return without waiting for the hold-down.
    pub(crate) fn fail_back(&mut self, pool: PoolId, now: Timestamp) {
        let fitness = self.fitness(pool);
        let policy = &self.topology.pool(pool).tiers;
        let step = self.pools[pool.0].tiers.fail_back(&fitness, policy, now);
        self.follow(pool, step);
    }

    fn follow(&mut self, pool: PoolId, step: Option<Step>) {
        let Some(step) = step else { return };
        self.tell_step(pool, step);
        match step {
            Step::Changed { .. } => self.await_heirs(pool),
            Step::FailbackBegan { .. } | Step::FailbackAborted { .. } => {}
        }
    }

    pub(crate) fn tell_step(&mut self, pool: PoolId, step: Step) {
        self.emit(match step {
            Step::Changed { from, to, reason } => Event::TierChanged { pool, from, to, reason },
            Step::FailbackBegan { to } => Event::FailbackBegan { pool, to },
            Step::FailbackAborted { to } => Event::FailbackAborted { pool, to },
        });
    }

    pub(crate) fn fitness(&self, pool: PoolId) -> Vec<Fitness> {
        let machine = &self.pools[pool.0];
        let mut fitness = vec![Fitness::default(); machine.picks.len()];
        for (it, backend) in machine.backends.iter().zip(&self.topology.pool(pool).backends) {
            let tier = &mut fitness[backend.tier];
            let weight = f64::from(backend.weight.get());
            tier.size += 1;
            tier.weight += weight;
            if it.is_eligible() {
                tier.eligible += 1;
                tier.weight_eligible += weight;
            }
            tier.unknown += usize::from(it.condition() == Condition::Unknown);
        }
        fitness
    }
}
