//! What a fleet tells the fleet of another process: enough to serve at once as this one does.
//!
//! Times are lengths, not moments: no two processes share a clock. Whatever is not here is learned
//! anew within a check or two: what backends' answers usually take, how traffic has judged them
//! lately, how much longer the next hold-down is for the returns that failed.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    fleet::{Fleet, Output, Pace},
    model::{BackendId, PoolId},
};

pub use crate::fleet::{
    backend::record::{BackendRecord, Verdict},
    outlier::EjectionRecord,
    tiers::record::TiersRecord,
};

/// The condition of every backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetRecord {
    /// Every pool.
    pub pools: Vec<PoolRecord>,
}

/// The condition of one pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolRecord {
    /// Its name.
    pub name: String,
    /// Which tier serves.
    pub tiers: TiersRecord,
    /// Every backend.
    pub backends: Vec<NamedRecord>,
}

/// One backend: which one it is, and its condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedRecord {
    /// Its name.
    pub name: String,
    /// Its address. At another one, nothing of this is known.
    pub address: String,
    /// Its condition.
    #[serde(flatten)]
    pub condition: BackendRecord,
}

impl Fleet {
    /// Tells what is known at `now`.
    pub fn record(&self, now: Timestamp) -> FleetRecord {
        let pools = self.topology.pools.iter().zip(&self.pools).map(|(pool, machine)| {
            let backends = pool.backends.iter().zip(&machine.backends).map(|(it, known)| {
                let (name, address) = (it.name.clone(), it.address.location());
                NamedRecord { name, address, condition: known.record(now) }
            });
            let (name, tiers) = (pool.name.clone(), machine.tiers.record(now));
            PoolRecord { name, tiers, backends: backends.collect() }
        });
        FleetRecord { pools: pools.collect() }
    }

    /// Goes on from what another fleet knew. To be called before anything else is learned.
    ///
    /// Pools and backends that it did not know, and backends that are elsewhere now, begin as they
    /// would without it.
    pub fn inherit(&mut self, record: &FleetRecord, now: Timestamp) {
        for index in 0..self.pools.len() {
            let id = PoolId(index);
            let name = &self.topology.pool(id).name;
            if let Some(known) = record.pools.iter().find(|it| it.name == *name) {
                self.inherit_pool(id, known, now);
            }
        }
        self.renew_picks();
    }

    fn inherit_pool(&mut self, id: PoolId, known: &PoolRecord, now: Timestamp) {
        let topology = self.topology.clone();
        let machine = &mut self.pools[id.0];
        for (index, backend) in topology.pool(id).backends.iter().enumerate() {
            let is_it = |it: &&NamedRecord| {
                it.name == backend.name && it.address == backend.address.location()
            };
            let Some(known) = known.backends.iter().find(is_it) else { continue };
            machine.backends[index].inherit(&known.condition, now);
            if machine.backends[index].pace() != Pace::Normal {
                let pace = machine.backends[index].pace();
                self.outputs.push_back(Output::Pace(BackendId { pool: id, index }, pace));
            }
        }
        machine.tiers.inherit(&known.tiers, now);
        machine.stale.fill(true);
        self.judge_tiers(id, now);
        self.tell_watched(id);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use proptest::prelude::*;

    use super::*;
    use crate::{
        event::Symptom,
        fleet::Input,
        model::{BackendAddress, Intent, SharedTopology, sample},
        snapshot::{Condition, Recent},
    };

    fn topology() -> SharedTopology {
        let pool = |name| sample::pool(name, &[(0, 1), (0, 2), (1, 1), (2, 1)]);
        Arc::new(sample::topology(vec![pool("api"), pool("files")]))
    }

    /// Plays what happens to backends, each event with its delay in milliseconds.
    fn played(topology: &SharedTopology, events: &[(usize, u8, u64)]) -> (Fleet, Timestamp) {
        let mut now = Timestamp::from_millis(1_000_000);
        let mut fleet = Fleet::new(Arc::clone(topology), now);
        let ids: Vec<BackendId> = topology.backend_ids().collect();
        for &(index, kind, delay) in events {
            now = now + Duration::from_millis(delay);
            fleet.handle_deadline(now);
            let backend = ids[index % ids.len()];
            let (took, recent) = (Duration::from_millis(1), Recent::default());
            let symptom = Symptom::ConnectionRefused;
            let input = match kind % 3 {
                0 => Input::Checked { backend, failure: None, took, recent },
                1 => Input::Checked { backend, failure: Some(symptom), took, recent },
                _ => {
                    let (run, waited, at) = (3, Duration::ZERO, now);
                    Input::AttemptFailed { backend, symptom, waited, run, recent, at }
                }
            };
            fleet.handle(input, now);
        }
        while fleet.poll_output().is_some() {}
        (fleet, now)
    }

    /// The fleet of another process, with a clock of its own.
    fn heir(topology: &SharedTopology, record: &FleetRecord) -> Fleet {
        let text = serde_json::to_string(record).unwrap();
        let record = serde_json::from_str(&text).unwrap();
        let now = Timestamp::from_millis(5_000_000);
        let mut fleet = Fleet::new(Arc::clone(topology), now);
        fleet.inherit(&record, now);
        fleet
    }

    /// Which tier of each pool serves, and who may be picked in each tier.
    fn eligible(fleet: &Fleet) -> Vec<(Option<usize>, Vec<Vec<usize>>)> {
        let pools = fleet.snapshot().pools;
        let of_pool = |pool: &crate::snapshot::PoolSnapshot| {
            pool.tiers.iter().map(|it| it.eligible.to_vec()).collect()
        };
        pools.iter().map(|pool| (pool.active_tier, of_pool(pool))).collect()
    }

    proptest! {
        #[test]
        fn a_fleet_serves_as_the_one_did_that_it_inherits_from(
            events in prop::collection::vec((0_usize..8, 0_u8..3, 0_u64..3000), 0..60),
        ) {
            let topology = topology();
            let (mut fleet, now) = played(&topology, &events);
            for (pool, machine) in fleet.pools.iter_mut().enumerate() {
                for (index, intent) in Intent::ALL.into_iter().enumerate() {
                    machine.backends[(pool + index) % 4].intend(intent, now);
                }
                machine.backends[3].weigh(Some(7));
                machine.stale.fill(true);
            }
            for pool in [PoolId(0), PoolId(1)] {
                fleet.judge_tiers(pool, now);
            }
            fleet.renew_picks();
            let record = fleet.record(now);
            let heir = heir(&topology, &record);
            prop_assert_eq!(eligible(&heir), eligible(&fleet));
            // It would tell the next one the same.
            prop_assert_eq!(heir.record(Timestamp::from_millis(5_000_000)), record);
        }
    }

    #[test]
    fn nothing_is_known_of_a_backend_that_is_elsewhere_or_new() {
        let all: Vec<_> = (0..8).map(|index| (index, 0, 1)).collect();
        let topology = topology();
        let (fleet, now) = played(&topology, &all);
        let mut other = (*topology).clone();
        other.pools[0].backends[1].address =
            BackendAddress::Tcp { tls: false, host: "192.0.2.9".to_owned(), port: 1 };
        other.pools[1].name = "renamed".to_owned();
        let heir = heir(&Arc::new(other), &fleet.record(now));
        let is_known = |pool: usize, index: usize| {
            heir.snapshot().pools[pool].backends[index].condition != Condition::Unknown
        };
        assert_eq!([0, 1, 2, 3].map(|index| is_known(0, index)), [true, false, true, true]);
        assert_eq!([0, 1, 2, 3].map(|index| is_known(1, index)), [false; 4]);
    }
}
