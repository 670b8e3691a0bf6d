//! What requests of an earlier topology read: the present, in the words in which they began.
//!
//! They are few and go on for a moment only, or for long at one backend: what matters is that each
//! learns when its own backend is lost, and finds somebody else. Backends that are configured no more
//! are shown as they were last seen, because nobody judges them any more.

use std::sync::Arc;

use crate::{
    model::{BackendId, Pool, PoolId, Succession, Topology},
    snapshot::{BackendSnapshot, Division, PoolSnapshot, Schedule, Snapshot, TierSnapshot},
};

impl Snapshot {
    /// Returns this snapshot as requests of `earlier`, a topology before this one's, read it.
    ///
    /// `heirs` says what of it goes on; `last` is what they have read before.
    #[must_use]
    pub fn in_retrospect(&self, earlier: &Topology, heirs: &Succession, last: &Self) -> Self {
        let pools = earlier.pools.iter().zip(&last.pools).enumerate();
        let pools = pools.map(|(index, (pool, last))| {
            let id = PoolId(index);
            match heirs.pool(id) {
                Some(heir) => {
                    let heir_of = |index| heirs.backend(BackendId { pool: id, index });
                    self.pool(heir).in_retrospect(pool, heir_of, last)
                }
                None => last.clone(),
            }
        });
        Self { pools: pools.collect() }
    }
}

impl PoolSnapshot {
    fn in_retrospect(
        &self,
        pool: &Pool,
        heir_of: impl Fn(usize) -> Option<BackendId>,
        last: &Self,
    ) -> Self {
        let heirs: Vec<Option<usize>> =
            (0..pool.backends.len()).map(|index| heir_of(index).map(|it| it.index)).collect();
        let backends: Vec<BackendSnapshot> = heirs
            .iter()
            .zip(&last.backends)
            .map(|(heir, last)| heir.map_or(last, |heir| &self.backends[heir]).clone())
            .collect();
        let is_eligible = |index: usize| backends[index].is_eligible();
        let is_failing_open = self.is_failing_open && !(0..backends.len()).any(is_eligible);
        let picks = |tier: usize, is_wanted: &dyn Fn(usize) -> bool| {
            let all = pool.backends.iter().enumerate();
            let wanted = all.filter(|&(index, it)| it.tier == tier && is_wanted(index));
            let shares: Vec<_> = wanted.map(|(index, _)| (index, backends[index].weight)).collect();
            TierSnapshot {
                eligible: shares.iter().map(|it| it.0).collect(),
                schedule: Schedule::new(&shares),
                trusted: None,
            }
        };
        let tiers: Vec<TierSnapshot> = (0..pool.tier_count())
            .map(|tier| {
                let eligible = picks(tier, &|index| {
                    is_failing_open && backends[index].intent.is_enabled() || is_eligible(index)
                });
                let trusted = picks(tier, &|index| {
                    is_eligible(index) && backends[index].condition.is_trusted()
                });
                let is_whole = is_failing_open || trusted.eligible.len() == eligible.eligible.len();
                TierSnapshot { trusted: (!is_whole).then(|| Arc::new(trusted)), ..eligible }
            })
            .collect();
        let serves = |index: &usize| {
            let heir = heirs[*index].filter(|_| is_eligible(*index));
            let serving = self.active_tier.map(|tier| &self.tiers[tier].eligible);
            heir.zip(serving).is_some_and(|(heir, serving)| serving.contains(&heir))
        };
        let is_left = |tier: &usize| tiers.get(*tier).is_some_and(|it| !it.eligible.is_empty());
        // Where those are that serve at present; or who served last; or anybody.
        let active_tier = (0..backends.len())
            .find(serves)
            .map(|index| pool.backends[index].tier)
            .or(last.active_tier.filter(is_left))
            .or_else(|| (0..tiers.len()).find(is_left).filter(|_| !is_failing_open));
        Self {
            active_tier,
            since: self.since,
            division: Division::default(),
            failback: None,
            returnable: None,
            held: None,
            is_failing_open,
            tiers,
            weights: backends.iter().map(|it| it.weight).collect(),
            // Of backends that may have other numbers now.
            tables: Arc::clone(&last.tables),
            backends,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        fleet::{Fleet, Input},
        model::sample,
        snapshot::{Condition, Recent},
    };

    fn pool(names: &[(usize, usize)]) -> Topology {
        let mut pool = sample::pool("api", &names.iter().map(|it| (it.1, 1)).collect::<Vec<_>>());
        let all = sample::pool("api", &[(0, 1); 5]);
        for (backend, (own, _)) in pool.backends.iter_mut().zip(names) {
            backend.name.clone_from(&all.backends[*own].name);
            backend.address = all.backends[*own].address.clone();
        }
        sample::topology(vec![pool])
    }

    fn checked(fleet: &mut Fleet, index: usize, failure: Option<crate::event::Symptom>) {
        let backend = BackendId { pool: PoolId(0), index };
        let took = std::time::Duration::ZERO;
        let input = Input::Checked { backend, failure, took, recent: Recent::default() };
        fleet.handle(input, Timestamp::ZERO);
    }

    #[test]
    fn who_is_left_is_found_under_its_old_number_and_who_is_gone_is_as_it_was() {
        let old = Arc::new(pool(&[(0, 0), (1, 0), (2, 1)]));
        let new = Arc::new(pool(&[(4, 0), (2, 1), (1, 1)]));
        let mut fleet = Fleet::new(Arc::clone(&old), Timestamp::ZERO);
        (0..3).for_each(|index| checked(&mut fleet, index, None));
        let last = fleet.snapshot();
        fleet.adopt(Arc::clone(&new), Timestamp::ZERO);
        let heirs = Succession::between(&old, &new);
        let seen = fleet.snapshot().in_retrospect(&old, &heirs, &last);
        assert_eq!(seen.pools[0].active_tier, Some(0));
        assert_eq!(seen.pools[0].tiers[0].eligible, [0, 1]);
        assert_eq!(seen.pools[0].tiers[1].eligible, [2]);
        for _ in 0..2 {
            checked(&mut fleet, 2, Some(crate::event::Symptom::ConnectionRefused));
        }
        let seen = fleet.snapshot().in_retrospect(&old, &heirs, &seen);
        assert_eq!(seen.pools[0].backends[1].condition, Condition::Unhealthy);
        assert_eq!(seen.pools[0].backends[1].epoch, 1);
        assert_eq!(seen.pools[0].tiers[0].eligible, [0]);
    }
}
