//! One backend beside the others of its pool: whether they can do without it, how it compares, and
//! whose successes are waited for.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    event::Event,
    fleet::{
        Face, Fleet, Output,
        backend::{BackendMachine, Others},
        latency,
        outlier::ejectable,
    },
    model::{BackendId, PoolId},
};

impl Fleet {
    /// Tells whether the pool can do without this backend: traffic has not ejected too many others, and
    /// one of them may be picked.
    pub(crate) fn may_eject(&self, id: BackendId) -> bool {
        let machine = &self.pools[id.pool.0];
        let pool = self.topology.pool(id.pool);
        let ejected = machine.backends.iter().filter(|it| it.is_condemned()).count();
        let others = machine
            .backends
            .iter()
            .enumerate()
            .any(|(index, it)| index != id.index && it.is_eligible());
        others && ejected < ejectable(pool.backends.len(), &pool.outlier_detection)
    }

    /// Takes back those whom traffic alone has condemned, if nobody else of the pool may be picked.
    ///
    /// An ejection says that others do better. When there are no others any more it says nothing: a
    /// backend that passes its checks and fails some requests beats a pool that refuses them all. They
    /// are on probation then, as at the end of an ejection. Of `changing`, which is being changed, its
    /// return is not told.
    pub(crate) fn recall(&mut self, changing: BackendId, now: Timestamp) {
        let pool = changing.pool;
        if self.pools[pool.0].backends.iter().any(BackendMachine::is_eligible) {
            return;
        }
        for index in 0..self.pools[pool.0].backends.len() {
            if !self.pools[pool.0].backends[index].is_vouched_for() {
                continue;
            }
            let id = BackendId { pool, index };
            let (before, _) = self.apply(id, now, |machine, _| {
                machine.readmit(now);
                None
            });
            let after = Face::of(&self.pools[pool.0].backends[index]);
            if id != changing && before.is_regained(&after) {
                self.emit(Event::BackendRegained { backend: id });
            }
        }
    }

    /// Says who could take over from this backend, as far as checks know.
    pub(crate) fn others(&self, id: BackendId) -> Others {
        let is_vouched = self.pools[id.pool.0]
            .backends
            .iter()
            .enumerate()
            .any(|(index, it)| index != id.index && it.is_eligible() && it.is_passing());
        if is_vouched { Others::Vouched } else { Others::NoBetter }
    }

    /// Returns how long the answers of the other eligible backends of this one's tier take, of each
    /// at most.
    pub(crate) fn usual_beside(&self, id: BackendId, now: Timestamp) -> Option<Duration> {
        let pool = self.topology.pool(id.pool);
        let tier = pool.backends[id.index].tier;
        let measured = self.pools[id.pool.0]
            .backends
            .iter()
            .enumerate()
            .filter(|&(index, it)| {
                index != id.index && pool.backends[index].tier == tier && it.is_eligible()
            })
            .filter_map(|(_, it)| it.takes_at_most(now))
            .collect();
        latency::middle(measured)
    }

    /// Waits for the first success of every backend that now gets traffic: those of the active
    /// tier, and, while nobody there is trusted, the trusted ones elsewhere.
    pub(crate) fn await_heirs(&mut self, pool: PoolId) {
        let machine = &mut self.pools[pool.0];
        machine.renew_picks(self.topology.pool(pool));
        // Who no longer gets traffic answers nothing of that question, though a request that it
        // was sent before may yet succeed there.
        machine.heirs.fill(false);
        if let Some(active) = machine.tiers.active() {
            for &index in &machine.picks[active].eligible {
                machine.heirs[index] = true;
            }
            if machine.picks[active].trusted().eligible.is_empty() {
                for &index in machine.picks.iter().flat_map(|tier| &tier.trusted().eligible) {
                    machine.heirs[index] = true;
                }
            }
        }
        self.tell_watched(pool);
    }

    /// Takes in a success. One answers the question of who serves; the other heirs need not be
    /// waited for any more.
    pub(crate) fn served(&mut self, id: BackendId) {
        let machine = &mut self.pools[id.pool.0];
        if !machine.heirs[id.index] {
            return;
        }
        machine.heirs.fill(false);
        self.outputs.push_back(Output::Event(Event::BackendServed { backend: id }));
        self.tell_watched(id.pool);
    }

    /// Says whose successes are to be reported: the heirs', and those of backends that must prove
    /// themselves.
    pub(crate) fn tell_watched(&mut self, pool: PoolId) {
        let machine = &mut self.pools[pool.0];
        for (index, backend) in machine.backends.iter().enumerate() {
            let is_watched = machine.heirs[index] || backend.wants_successes();
            if std::mem::replace(&mut machine.watched[index], is_watched) != is_watched {
                self.outputs.push_back(Output::Watch(BackendId { pool, index }, is_watched));
            }
        }
    }
}
