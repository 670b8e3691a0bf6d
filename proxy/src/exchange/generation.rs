//! A generation: all that is made from one topology, and is replaced with it as a whole.
//!
//! A request loads the current one once, at its beginning, and keeps it to its end: routes, pools and
//! backends are what they were when it came, whatever is loaded meanwhile. What belongs to a pool or
//! a backend that goes on in the next generation is shared between the two: how many attempts are under
//! way, what was learned of times, idle connections, budgets, queues. So a reload neither forgets
//! nor counts twice.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use crate::{
    alarms::Alarms,
    exchange::{Connections, Sessions, TlsError},
    inbox::{Fact, Inbox},
    model::{SharedTopology, Succession, Topology},
    routing,
    snapshot::{Live, SnapshotCell},
    telemetry::metrics::Metrics,
    token::TokenError,
};

/// Where the current generation is found.
pub type GenerationCell = Arc<ArcSwap<Generation>>;

/// All that is made from one topology.
#[derive(Debug)]
pub struct Generation {
    /// Counts from 1, the configuration at start.
    pub number: u64,
    /// What was configured.
    pub topology: SharedTopology,
    /// Where its routes are found.
    pub routes: routing::Index,
    /// Who serves.
    pub snapshot: SnapshotCell,
    /// What requests count.
    pub live: Arc<Live>,
    /// What operators count.
    pub metrics: Arc<Metrics>,
    /// Where evidence goes.
    pub inbox: Inbox,
    /// Who wakes requests that wait at a backend whose condition has changed.
    pub alarms: Arc<Alarms>,
    /// Connections to backends that others can use.
    pub connections: Arc<Connections>,
    /// Where clients are kept.
    pub sessions: Arc<Sessions>,
}

/// Why nothing can be made of a topology: something outside of it that it needs.
#[derive(Debug, thiserror::Error)]
pub enum Unmakeable {
    /// TLS towards backends.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The secret with which cookies are signed.
    #[error(transparent)]
    Secret(#[from] TokenError),
    /// Metrics contradict each other.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl Generation {
    /// Makes the first generation; its evidence goes to `facts`.
    ///
    /// # Errors
    /// When what the topology refers to cannot be read, or does not fit together.
    pub fn first(topology: Topology, facts: mpsc::Sender<Fact>) -> Result<Self, Unmakeable> {
        let topology = Arc::new(topology);
        let sessions = Sessions::load(&topology)?;
        let live = Arc::new(Live::new(&topology));
        Ok(Self {
            number: 1,
            routes: routing::Index::new(&topology),
            snapshot: Arc::default(),
            sessions: Arc::new(sessions),
            connections: Arc::new(Connections::new(&topology, &live)?),
            metrics: Arc::new(Metrics::new(&topology)?),
            alarms: Arc::new(Alarms::new(&topology)),
            live,
            inbox: Inbox::new(1, facts),
            topology,
        })
    }

    /// Makes the generation of `topology`, which follows this one. Nobody serves there yet: that is
    /// the fleet's to say.
    ///
    /// # Errors
    /// As [`Generation::first`]; nothing has changed then.
    pub fn succeeded_by(&self, topology: Topology) -> Result<Self, Unmakeable> {
        let topology = Arc::new(topology);
        let heritage = Succession::between(&topology, &self.topology);
        // What can fail goes first.
        let sessions = self.sessions.succeeded_by(&topology)?;
        let live = Arc::new(self.live.succeeded_by(&topology, &heritage));
        let connections = self.connections.succeeded_by(&topology, &live, &heritage)?;
        let number = self.number + 1;
        Ok(Self {
            number,
            routes: routing::Index::new(&topology),
            snapshot: Arc::default(),
            sessions: Arc::new(sessions),
            connections: Arc::new(connections),
            metrics: Arc::new(self.metrics.succeeded_by(&topology, &heritage)),
            alarms: Arc::new(self.alarms.succeeded_by(&topology, &heritage)),
            live,
            inbox: self.inbox.of(number),
            topology,
        })
    }
}
