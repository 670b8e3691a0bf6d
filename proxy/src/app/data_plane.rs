//! The data plane: Pingora's server, with our gateway in it and our edge before it.

use std::sync::Arc;

use async_trait::async_trait;
use pingora::{
    apps::{HttpServerApp, HttpServerOptions},
    protocols::http::v2::server::default_h2_options,
    server::{RunArgs, Server, ShutdownWatch, configuration::ServerConf},
    services::background::{BackgroundService, GenBackgroundService},
};
use pingora_proxy::{HttpProxy, http_proxy};
use tokio::task::JoinSet;

use crate::{
    app::shutdown,
    edge::{self, Door},
    gateway::Gateway,
    model::Topology,
};

/// Idle connections kept to all backends together, per thread. Pingora drops the least recently
/// used one beyond that; this is far more than a process has descriptors for by default, so that
/// in practice only `timeouts.idle` ends them.
const IDLE_CONNECTIONS: usize = 16_384;

/// Longer than any drain: the process ends by itself before.
const NEVER_SECONDS: u64 = 24 * 3600;

/// Streams that a client may have at a time on a connection.
const STREAMS: u32 = 128;
/// What HTTP/2 counts for each header beside its name and value (RFC 9113 §10.5.1), so that a
/// listener's bound on heads means the same in both protocols.
const HEADER_EXTRA: usize = 32;
/// Streams that a client has reset before anybody took note of them. Beyond, `h2` ends the connection
/// (CVE-2023-44487, rapid reset).
const PENDING_RESETS: usize = 32;
/// Streams that were reset because of what the client did. Beyond, `h2` ends the connection
/// (CVE-2025-8671, made you reset).
const OWN_RESETS: usize = 128;

/// Runs Pingora's server; returns only when the process is about to end.
pub(crate) fn run(
    gateway: Gateway,
    topology: &Topology,
    doors: Vec<Arc<Door>>,
    signals: shutdown::Watch,
) {
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
    let doors = doors.into_iter().map(|door| {
        let proxy = proxy(&server.configuration, gateway.clone(), &door);
        (door, Arc::new(proxy))
    });
    let plane = Arc::new(DataPlane { doors: doors.collect() });
    let mut service = GenBackgroundService::new("data-plane".to_owned(), plane);
    service.threads = Some(topology.threads.get());
    server.add_service(service);
    server.run(RunArgs { shutdown_signal: Box::new(signals) });
}

/// Makes what serves the clients of one listener.
fn proxy(conf: &Arc<ServerConf>, gateway: Gateway, door: &Door) -> HttpProxy<Gateway> {
    let limits = door.limits();
    let header_list = limits.head.saturating_add(limits.headers.saturating_mul(HEADER_EXTRA));
    let mut options = default_h2_options();
    options
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(header_list).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(Some(OWN_RESETS));
    let mut proxy = http_proxy(conf, gateway);
    proxy.h2_options = Some(options);
    let mut server_options = HttpServerOptions::default();
    server_options.h2_idle_timeout = Some(door.timeouts().idle);
    proxy.server_options = Some(server_options);
    proxy
}

/// Accepts clients on every listener.
struct DataPlane {
    doors: Vec<(Arc<Door>, Arc<HttpProxy<Gateway>>)>,
}

#[async_trait]
impl BackgroundService for DataPlane {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let mut serving = JoinSet::new();
        for (door, proxy) in &self.doors {
            let (door, proxy) = (Arc::clone(door), Arc::clone(proxy));
            serving.spawn(edge::serve(door, proxy, shutdown.clone()));
        }
        // An error is an end as well.
        _ = shutdown.changed().await;
        for (_, proxy) in &self.doors {
            proxy.http_cleanup().await;
        }
        while serving.join_next().await.is_some() {}
    }
}
