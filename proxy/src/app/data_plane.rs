//! The data plane: Pingora's server, with our gateway in it.

use std::{
    net::{SocketAddr, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::{Result, bail};
use pingora::server::{RunArgs, Server, configuration::ServerConf};
use pingora_proxy::ProxyServiceBuilder;

use crate::{app::shutdown, clock, gateway::Gateway, model::Topology, web::reachable};

/// Idle connections kept to all backends together, per thread. Pingora drops the least recently
/// used one beyond that; this is far more than a process has descriptors for by default, so that
/// in practice only `timeouts.idle` ends them.
const IDLE_CONNECTIONS: usize = 16_384;

/// Longer than any drain: the process ends by itself before.
const NEVER_SECONDS: u64 = 24 * 3600;

/// How long the listeners may take to open.
const OPENING: Duration = Duration::from_secs(10);

/// Runs Pingora's server; returns only when the process is about to end.
pub(crate) fn run(gateway: Gateway, topology: &Topology, signals: shutdown::Watch) {
    let of_pools = topology.pools.iter().map(|pool| &pool.retries);
    let of_routes = topology.routes.iter().flat_map(|it| &it.retries).map(|(_, policy)| policy);
    let attempts = of_pools.chain(of_routes).map(|policy| policy.max_attempts.get()).max();
    let conf = ServerConf {
        threads: topology.threads.get(),
        upstream_keepalive_pool_size: IDLE_CONNECTIONS,
        // The decision is `retry`'s; this only stops a loop that should not be.
        max_retries: attempts.unwrap_or(1) as usize,
        grace_period_seconds: Some(NEVER_SECONDS),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    // Not HTTP/2 with prior knowledge: to find its preface Pingora waits, without a limit, for more
    // bytes than the shortest of HTTP/1 requests has.
    let mut service =
        ProxyServiceBuilder::new(&server.configuration, gateway).name("data-plane").build();
    for listener in &topology.listeners {
        service.add_tcp(&listener.address.to_string());
    }
    server.add_service(service);
    server.run(RunArgs { shutdown_signal: Box::new(signals) });
}

/// Waits until every listener accepts.
pub(crate) fn wait_until_accepting(topology: &Arc<Topology>) -> Result<()> {
    let deadline = clock::now() + OPENING;
    for listener in &topology.listeners {
        let address: SocketAddr = reachable(listener.address);
        while TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_err() {
            if deadline <= clock::now() {
                bail!("listener `{}`: {address} did not open; see the log", listener.name);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(())
}
