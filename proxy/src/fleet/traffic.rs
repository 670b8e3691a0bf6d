//! Where a pool's traffic goes: what follows for its tiers from what happened to a backend.

use crate::{
    clock::Timestamp,
    event::{Event, Heir, LossReason, TierReason},
    fleet::{
        Fleet, PoolMachine,
        backend::{Face, Reaction},
        tiers::{Fitness, Loss, Step},
    },
    model::{BackendId, PoolId},
    snapshot::Condition,
};

/// What a backend leaves behind that may no longer be picked.
struct Gap {
    /// Its own tier if traffic went there; otherwise the tier that was active.
    served: Option<usize>,
    /// Who takes over.
    heir: Option<Heir>,
    step: Option<Step>,
}

impl PoolMachine {
    /// Returns the first eligible backend of the active tier; a trusted one, if there is one.
    fn heir(&self) -> Option<Heir> {
        let tier = self.tiers.active()?;
        let picks = &self.picks[tier];
        let first = picks.trusted().eligible.first().or(picks.eligible.first());
        first.map(|&index| Heir { tier, index })
    }
}

impl Fleet {
    /// Decides who takes over from a backend that has just been lost, and says so. One that operators
    /// had taken out before leaves nothing behind.
    pub(crate) fn lost(&mut self, id: BackendId, reason: LossReason, now: Timestamp) {
        let is_enabled = self.pools[id.pool.0].backends[id.index].intent().is_enabled();
        let gap = self.leave(id, is_enabled.then_some(reason), now);
        let Gap { served, heir, step } = gap;
        self.emit(Event::BackendLost { backend: id, reason, served, heir });
        self.close(id.pool, step, now);
    }

    /// Says what follows from what an operator wants of a backend.
    pub(crate) fn intended(&mut self, id: BackendId, before: &Face, after: &Face, now: Timestamp) {
        if after.intent.is_enabled() {
            self.emit(Event::BackendEnabled { backend: id });
            self.turned(id, before, after, now);
            return;
        }
        let gap = self.leave(id, before.is_eligible.then_some(LossReason::Drained), now);
        let Gap { served, heir, step } = gap;
        self.emit(Event::BackendDrained { backend: id, intent: after.intent, served, heir });
        self.close(id.pool, step, now);
    }

    /// Finds out what a backend leaves behind that may no longer be picked; `reason` is why, if it
    /// could be before.
    fn leave(&mut self, id: BackendId, reason: Option<LossReason>, now: Timestamp) -> Gap {
        let topology = self.topology.clone();
        let pool = topology.pool(id.pool);
        let fitness = self.fitness(id.pool);
        let machine = &mut self.pools[id.pool.0];
        let tier = pool.backends[id.index].tier;
        let is_shared = machine.tiers.division().part(tier).is_some_and(|part| 0.0 < part);
        let served = match (reason, machine.tiers.active()) {
            (Some(_), _) if is_shared => Some(tier),
            (Some(_), active) => active,
            // Traffic went elsewhere already.
            (None, active) => active.filter(|&active| active != tier),
        };
        let loss = reason.map(|reason| Loss { tier, reason });
        let step = machine.tiers.judge(&fitness, loss, &pool.tiers, now);
        machine.renew_picks(pool);
        Gap { served, heir: machine.heir(), step }
    }

    /// Tells who takes over from a backend that may no longer be picked.
    fn close(&mut self, pool: PoolId, step: Option<Step>, now: Timestamp) {
        self.tell_release(pool);
        if let Some(step) = step {
            self.tell_step(pool, step);
        }
        self.await_heirs(pool);
        // A return that this broke off may have held up another.
        self.judge_tiers(pool, now);
    }

    /// Takes every step that is due.
    pub(crate) fn judge_tiers(&mut self, pool: PoolId, now: Timestamp) {
        let fitness = self.fitness(pool);
        // Traffic that is back in one tier may be due in a better one at the same moment.
        loop {
            let policy = &self.topology.pool(pool).tiers;
            let step = self.pools[pool.0].tiers.judge(&fitness, None, policy, now);
            self.tell_release(pool);
            if step.is_none() {
                return;
            }
            self.follow(pool, step);
        }
    }

    /// Takes every step that is due because an operator changed the weight of a backend. If the tier that
    /// serves cannot any more by that, it is he who moves the pool.
    pub(crate) fn weighed(&mut self, id: BackendId, now: Timestamp) {
        let topology = self.topology.clone();
        let pool = topology.pool(id.pool);
        let fitness = self.fitness(id.pool);
        let (tier, machine) = (pool.backends[id.index].tier, &mut self.pools[id.pool.0]);
        let is_hit = machine.tiers.active() == Some(tier) && !fitness[tier].is_able(&pool.tiers);
        let loss = is_hit.then_some(Loss { tier, reason: LossReason::Manual });
        let step = machine.tiers.judge(&fitness, loss, &pool.tiers, now);
        if let Some(Step::Changed { from: Some(from), reason: TierReason::Lost(_), .. }) = step {
            let machine = &mut self.pools[id.pool.0];
            machine.renew_picks(pool);
            let heir = machine.heir();
            self.emit(Event::FailoverRequested { backend: id, from, heir });
        }
        self.tell_release(id.pool);
        self.follow(id.pool, step);
        self.judge_tiers(id.pool, now);
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

    /// Lets traffic return without waiting for the hold-down; where nothing can take it yet, as soon as
    /// it would without the operator who keeps it elsewhere.
    pub(crate) fn fail_back(&mut self, pool: PoolId, now: Timestamp) {
        let fitness = self.fitness(pool);
        let policy = &self.topology.pool(pool).tiers;
        let step = self.pools[pool.0].tiers.fail_back(&fitness, policy, now);
        self.follow(pool, step);
    }

    /// Moves the pool to a tier that an operator chose. Tells whether that tier can serve; `is_forced`
    /// is whether anything eligible of it is enough.
    pub(crate) fn fail_over(
        &mut self,
        pool: PoolId,
        to: usize,
        is_forced: bool,
        now: Timestamp,
    ) -> bool {
        let topology = self.topology.clone();
        let fitness = self.fitness(pool);
        let machine = &mut self.pools[pool.0];
        let policy = &topology.pool(pool).tiers;
        let served = machine.tiers.active();
        let backend = machine.heir().map(|heir| BackendId { pool, index: heir.index });
        let Ok(step) = machine.tiers.fail_over(to, is_forced, &fitness, policy, now) else {
            return false;
        };
        let is_moved = machine.tiers.active() != served;
        if let (Some(backend), Some(from), true) = (backend, served, is_moved) {
            let heir = machine.heir();
            self.emit(Event::FailoverRequested { backend, from, heir });
        }
        self.follow(pool, step);
        true
    }

    fn follow(&mut self, pool: PoolId, step: Option<Step>) {
        let Some(step) = step else { return };
        self.tell_step(pool, step);
        match step {
            Step::Changed { .. } => self.await_heirs(pool),
            Step::FailbackBegan { .. } | Step::FailbackAborted { .. } => {}
        }
    }

    /// Says so when a tier that an operator chose cannot serve any more.
    pub(crate) fn tell_release(&mut self, pool: PoolId) {
        if let Some(tier) = self.pools[pool.0].tiers.take_released() {
            self.emit(Event::FailoverEnded { pool, tier });
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
            let weight = f64::from(it.weight(backend));
            tier.size += 1;
            tier.weight += weight;
            if it.is_eligible() {
                tier.eligible += 1;
                tier.weight_eligible += weight;
            }
            // What is not checked stays unknown: there is nothing to wait for.
            let is_awaited = it.condition() == Condition::Unknown && it.intent().is_checked();
            tier.unknown += usize::from(is_awaited);
        }
        fitness
    }
}
