//! Making connections: where a backend is, and by what means it is reached.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;

use crate::{
    event::Symptom,
    exchange::{
        connection::{Connection, Terms},
        tls::{PoolTls, TlsError},
    },
    model::{BackendId, Protocol, ProxyVersion, SharedTopology, Topology},
    snapshot::Live,
    wire::preamble::{self, Speaker},
};

/// What a connection is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// What is to be spoken on it.
    pub(crate) protocol: Protocol,
    /// For whom, where backends are told.
    pub(crate) speaker: Speaker,
}

/// Makes connections to the backends of a topology.
#[derive(Debug)]
pub(crate) struct Dial {
    topology: SharedTopology,
    live: Arc<Live>,
    /// Indexed by pool; `None` for those without TLS.
    tls: Vec<Option<PoolTls>>,
    /// What is wrong with TLS at each backend, so that it is told once and not with each request.
    /// Indexed by pool, then as in the topology; empty where nothing is wrong.
    troubles: Vec<Vec<Mutex<String>>>,
}

impl Dial {
    /// Reads what is needed for TLS. No connection is made.
    pub(crate) fn new(topology: &SharedTopology, live: &Arc<Live>) -> Result<Self, TlsError> {
        let tls = topology.pools.iter().map(PoolTls::load).collect::<Result<_, _>>()?;
        let calm = |count: usize| (0..count).map(|_| Mutex::default()).collect();
        let troubles = topology.pools.iter().map(|pool| calm(pool.backends.len())).collect();
        Ok(Self { topology: Arc::clone(topology), live: Arc::clone(live), tls, troubles })
    }

    pub(crate) fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Connects to a backend within `limit`, TLS included.
    pub(crate) async fn connect(
        &self,
        id: BackendId,
        epoch: u64,
        wanted: Wanted,
        limit: Duration,
    ) -> Result<Connection, Symptom> {
        let Wanted { protocol, speaker } = wanted;
        // Only while nothing else is left is a backend asked whose name was never resolved.
        let place = self.live.backend(id).place().ok_or(Symptom::NameUnknown)?;
        let preamble = match self.topology.pool(id.pool).proxy_protocol {
            None => Bytes::new(),
            Some(ProxyVersion::V1) => preamble::v1(speaker),
            Some(ProxyVersion::V2) => preamble::v2(speaker),
        };
        let tls = self.tls[id.pool.0].as_ref().and_then(|tls| tls.of(id.index, protocol));
        let is_tls = tls.is_some();
        let opened = Connection::open(id, epoch, Terms { place, preamble, tls, limit }).await;
        match opened {
            Ok(connection) => {
                if is_tls {
                    self.tell(id, "");
                }
                Ok(connection)
            }
            Err(unopened) => {
                if let Some(reason) = unopened.tls {
                    self.tell(id, &reason);
                }
                Err(unopened.symptom)
            }
        }
    }

    /// Tells what is wrong with TLS at a backend, unless it was wrong before.
    fn tell(&self, id: BackendId, trouble: &str) {
        let place = &self.troubles[id.pool.0][id.index];
        let mut known = place.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == trouble {
            return;
        }
        trouble.clone_into(&mut known);
        drop(known);
        if !trouble.is_empty() {
            let (pool, backend) = (&self.topology.pool(id.pool).name, self.topology.backend(id));
            tracing::warn!(
                target: "bascule::exchange", pool, backend = backend.name, reason = trouble,
                "no TLS with this backend"
            );
        }
    }
}
