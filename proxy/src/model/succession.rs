//! What of one topology goes on in another: pools of the same name, and in them backends of the same
//! name and address.
//!
//! Weights, tiers, policies and timeouts may differ: they say how a backend is used, not which one it
//! is. An address says which one it is: what was learned at the old one says nothing of the new one.

use std::collections::HashMap;

use crate::model::{Backend, BackendAddress, BackendId, Pool, PoolId, Topology};

/// Where the pools and backends of one topology are in another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Succession {
    /// Indexed as in the first topology.
    pools: Vec<Option<PoolId>>,
    /// Indexed by pool, then as in the first topology.
    backends: Vec<Vec<Option<usize>>>,
}

impl Succession {
    /// Finds what of `from` goes on in `to`.
    pub fn between(from: &Topology, to: &Topology) -> Self {
        let named: HashMap<&str, usize> =
            to.pools.iter().enumerate().map(|(at, pool)| (pool.name.as_str(), at)).collect();
        let pools: Vec<Option<PoolId>> =
            from.pools.iter().map(|it| named.get(it.name.as_str()).copied().map(PoolId)).collect();
        let backends = from.pools.iter().zip(&pools);
        let backends = backends.map(|(pool, heir)| backends_in(pool, heir.map(|it| to.pool(it))));
        Self { backends: backends.collect(), pools }
    }

    /// Returns what a pool is in the second topology; `None` if it is not there.
    pub fn pool(&self, id: PoolId) -> Option<PoolId> {
        self.pools.get(id.0).copied().flatten()
    }

    /// Returns what a backend is in the second topology; `None` if it is not there.
    pub fn backend(&self, id: BackendId) -> Option<BackendId> {
        let pool = self.pool(id.pool)?;
        let index = self.backends[id.pool.0].get(id.index).copied().flatten()?;
        Some(BackendId { pool, index })
    }
}

fn backends_in(pool: &Pool, heir: Option<&Pool>) -> Vec<Option<usize>> {
    let identity =
        |it: &Backend| -> (String, BackendAddress) { (it.name.clone(), it.address.clone()) };
    let known: HashMap<(String, BackendAddress), usize> = heir
        .iter()
        .flat_map(|pool| pool.backends.iter().enumerate())
        .map(|(index, it)| (identity(it), index))
        .collect();
    pool.backends.iter().map(|it| known.get(&identity(it)).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;

    fn at(pool: usize, index: usize) -> BackendId {
        BackendId { pool: PoolId(pool), index }
    }

    #[test]
    fn names_and_addresses_say_which_backend_it_is_and_nothing_else() {
        let old = sample::topology(vec![
            sample::pool("gone", &[(0, 1)]),
            sample::pool("api", &[(0, 1), (0, 1), (1, 1)]),
        ]);
        let mut api = sample::pool("api", &[(0, 1), (0, 1), (1, 1)]);
        api.backends.reverse();
        api.backends[0].tier = 0;
        api.backends[1].address =
            BackendAddress::Tcp { tls: false, host: "192.0.2.9".to_owned(), port: 1 };
        let new = sample::topology(vec![api]);
        let heirs = Succession::between(&old, &new);
        assert_eq!([0, 1].map(|it| heirs.pool(PoolId(it))), [None, Some(PoolId(0))]);
        assert_eq!(heirs.backend(at(0, 0)), None);
        let api = [0, 1, 2].map(|it| heirs.backend(at(1, it)));
        assert_eq!(api, [Some(at(0, 2)), None, Some(at(0, 0))]);
        assert_eq!(Succession::between(&new, &old).backend(at(0, 0)), Some(at(1, 2)));
        assert_eq!(heirs.backend(at(7, 7)), None);
    }
}
