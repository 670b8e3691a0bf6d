//! The label values that a topology gives rise to.

use std::collections::{HashMap, HashSet};

use crate::{
    model::Topology,
    telemetry::metrics::{POOL_NONE, POOL_SIDECAR, family::Labels},
};

/// What is called what in one topology.
#[derive(Debug)]
pub(crate) struct Names<'t> {
    /// With the number of its certificates.
    listeners: HashMap<&'t str, usize>,
    routes: HashSet<&'t str>,
    pools: HashSet<&'t str>,
    /// By pool and name, with their tier.
    backends: HashMap<(&'t str, &'t str), usize>,
}

impl<'t> Names<'t> {
    pub(crate) fn of(topology: &'t Topology) -> Self {
        let certificates = |it: &'t crate::model::Listener| {
            (it.name.as_str(), it.tls.as_ref().map_or(0, |tls| tls.certificates.len()))
        };
        let pools = topology.pools.iter();
        let backends = pools.clone().flat_map(|pool| {
            pool.backends.iter().map(|it| ((pool.name.as_str(), it.name.as_str()), it.tier))
        });
        Self {
            listeners: topology.listeners.iter().map(certificates).collect(),
            routes: topology.routes.iter().map(|it| it.name.as_str()).collect(),
            backends: backends.collect(),
            pools: pools.map(|it| it.name.as_str()).chain([POOL_SIDECAR, POOL_NONE]).collect(),
        }
    }

    /// Tells whether everything is configured that these labels name.
    pub(crate) fn know(&self, labels: &Labels<'_>) -> bool {
        let value = |name: &str| labels.get(name).copied();
        let is_listener = value("listener").is_none_or(|listener| {
            let certificates = self.listeners.get(listener);
            let certificate = value("certificate").and_then(|it| it.parse::<usize>().ok());
            certificates.is_some_and(|count| certificate.is_none_or(|it| it < *count))
        });
        let is_backend = value("pool").zip(value("backend")).is_none_or(|(pool, backend)| {
            let tier = value("tier").and_then(|it| it.parse::<usize>().ok());
            let known = self.backends.get(&(pool, backend));
            known.is_some_and(|known| tier.is_none_or(|tier| tier == *known))
        });
        is_listener
            && is_backend
            && value("pool").is_none_or(|it| self.pools.contains(it))
            && value("route").is_none_or(|it| self.routes.contains(it))
    }
}
