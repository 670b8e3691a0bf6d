//! Our backend as Pingora's peer.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use pingora::upstreams::peer::HttpPeer;

use crate::{
    gateway::upgrade::UpgradeDial,
    model::{BackendAddress, Timeouts},
};

/// How long an upgraded connection (WebSocket) may be silent in one direction. Long, because
/// silence is normal there and the proxy cannot tell a quiet conversation from a dead one.
const UPGRADED_IDLE: Duration = Duration::from_secs(3600);

/// What an exchange is expected to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expectation {
    /// A response that should begin within this time.
    ResponseWithin(Duration),
    /// A connection that both sides use as they like.
    Upgrade,
}

impl Expectation {
    /// Returns how long to wait for the response to begin.
    pub(crate) fn limit(self) -> Duration {
        match self {
            Self::ResponseWithin(limit) => limit,
            Self::Upgrade => UPGRADED_IDLE,
        }
    }
}

/// Describes one attempt's connection to Pingora.
///
/// `epoch` goes into the key under which Pingora keeps idle connections, so that none from before
/// a backend was lost is used after.
pub(crate) fn peer_of(
    backend: &BackendAddress,
    address: SocketAddr,
    epoch: u64,
    timeouts: &Timeouts,
    expectation: Expectation,
    time_left: Duration,
) -> HttpPeer {
    let name = if backend.tls { backend.host.clone() } else { String::new() };
    let mut peer = HttpPeer::new(address, backend.tls, name);
    peer.group_key = epoch;
    let options = &mut peer.options;
    let connect = timeouts.connect.min(time_left);
    options.connection_timeout = Some(connect);
    options.total_connection_timeout = Some(connect);
    options.idle_timeout = Some(timeouts.idle);
    options.write_timeout = Some(timeouts.between_reads);
    options.read_timeout = Some(match expectation {
        Expectation::ResponseWithin(limit) => limit.min(time_left),
        Expectation::Upgrade => UPGRADED_IDLE,
    });
    if expectation == Expectation::Upgrade && !backend.tls {
        options.custom_l4 = Some(Arc::new(UpgradeDial { address, limit: connect }));
    }
    peer
}
