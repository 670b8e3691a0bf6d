//! A new topology for the same fleet: what goes on keeps its condition.
//!
//! Nothing was learned of any backend, so nothing is decided of one: verdicts, ejections, suspicions
//! and epochs go over as they are. What may follow is a matter of tiers. The tier that serves is the
//! one in which the backends are that served, wherever it stands now; hold-down and ramp go on. If
//! none of those backends is left, the pool begins anew, and waits for the first check of whoever is
//! preferred: until then requests are served as they were before.

use crate::{
    clock::Timestamp,
    event::{Event, TierReason},
    fleet::{Fleet, PoolMachine, tiers::Step},
    model::{BackendId, Pool, PoolId, SharedTopology, Succession},
};

impl Fleet {
    /// Takes over another topology at `now`. All decisions must have been fetched before.
    ///
    /// Backends that go on keep their condition; the others have none yet. What is said afterwards
    /// names pools and backends as the new topology does.
    pub fn adopt(&mut self, topology: SharedTopology, now: Timestamp) {
        let before = std::mem::replace(&mut self.topology, topology);
        let heritage = Succession::between(&self.topology, &before);
        let mut earlier: Vec<Option<PoolMachine>> = self.pools.drain(..).map(Some).collect();
        self.outputs.clear();
        let mut served = Vec::new();
        let mut dropped = Vec::new();
        for (index, pool) in self.topology.pools.iter().enumerate() {
            let id = PoolId(index);
            let mut machine = PoolMachine::new(pool, now);
            let known = heritage.pool(id).and_then(|old| Some((old, earlier[old.0].take()?)));
            served.push(known.as_ref().and_then(|(_, known)| known.tiers.active()));
            if let Some((old, known)) = known {
                let was =
                    |index| heritage.backend(BackendId { pool: id, index }).map(|it| it.index);
                let weighs = machine.take_over(pool, known, before.pool(old), was, now);
                let named = weighs
                    .into_iter()
                    .map(|(index, from, to)| (BackendId { pool: id, index }, from, to));
                dropped.extend(named);
            }
            self.pools.push(machine);
        }
        for (backend, from, to) in dropped {
            self.emit(Event::WeightChanged { backend, from, to });
        }
        for (index, served) in served.into_iter().enumerate() {
            self.settle_tiers(PoolId(index), served, now);
        }
        self.renew_picks();
    }

    /// Decides which tier serves in a pool that has been taken over, and says so if it is called by
    /// another number than the one that served before.
    fn settle_tiers(&mut self, id: PoolId, served: Option<usize>, now: Timestamp) {
        let fitness = self.fitness(id);
        let policy = &self.topology.pool(id).tiers;
        let tiers = &mut self.pools[id.0].tiers;
        let mut others = Vec::new();
        while let Some(step) = tiers.judge(&fitness, None, policy, now) {
            match step {
                Step::Changed { .. } => {}
                Step::FailbackBegan { .. } | Step::FailbackAborted { .. } => others.push(step),
            }
        }
        let active = tiers.active();
        if active != served {
            let reason = TierReason::Reconfigured;
            self.emit(Event::TierChanged { pool: id, from: served, to: active, reason });
        }
        for step in others {
            self.tell_step(id, step);
        }
        self.tell_watched(id);
    }
}

impl PoolMachine {
    /// Takes over what is known of the pool as it was before; `was` says which of its backends each
    /// one was. What operators ordered goes on; but a weight that the configuration has changed, too,
    /// is the configuration's. Returns those, with what they weighed and what they weigh.
    fn take_over(
        &mut self,
        pool: &Pool,
        known: Self,
        before: &Pool,
        was: impl Fn(usize) -> Option<usize>,
        now: Timestamp,
    ) -> Vec<(usize, u32, u32)> {
        let mut dropped = Vec::new();
        let mut tiers: Vec<Option<usize>> = vec![None; known.picks.len()];
        let mut is_serving_left = false;
        for (index, backend) in pool.backends.iter().enumerate() {
            let Some(old) = was(index) else { continue };
            let tier = before.backends[old].tier;
            // Where its first eligible backend is, or else its first.
            if known.backends[old].is_eligible()
                && known.tiers.active() == Some(tier)
                && !is_serving_left
            {
                is_serving_left = true;
                tiers[tier] = Some(backend.tier);
            }
            tiers[tier].get_or_insert(backend.tier);
            self.backends[index] = known.backends[old].clone();
            if before.backends[old].weight != backend.weight {
                let from = known.backends[old].weight(&before.backends[old]);
                self.backends[index].weigh(None);
                if from != before.backends[old].weight.get() {
                    dropped.push((index, from, backend.weight.get()));
                }
            }
            self.slow_start.take_over(index, &known.slow_start, old);
            self.heirs[index] = known.heirs[old];
            self.watched[index] = known.watched[old];
        }
        let is_left = is_serving_left || known.tiers.active().is_none();
        self.tiers = known.tiers.renumbered(pool.tier_count(), &tiers, is_left, now);
        self.stale.fill(true);
        self.renew_all(pool);
        self.renew_picks(pool);
        dropped
    }
}
