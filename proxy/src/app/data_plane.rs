//! The data plane: Pingora's server, with our gateway in it and our edge before it.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::{
    apps::{HttpServerApp, HttpServerOptions},
    protocols::http::v2::server::default_h2_options,
    server::{RunArgs, Server, ShutdownWatch, configuration::ServerConf},
    services::background::{BackgroundService, GenBackgroundService},
};
use pingora_proxy::{HttpProxy, http_proxy};
use tokio::{sync::mpsc, task::JoinSet, time::interval};
use tracing::{error, info};

use crate::{
    app::{service::Service, shutdown},
    clock,
    departure::Departure,
    edge::{self, Door, DoorError, Host, Reception},
    gateway::Gateway,
    model::{ListenAddress, Listener, Topology},
    pulse::Pulse,
    sockets::{Bound, Inherited},
};

/// Idle connections kept to all backends together, per thread. Pingora drops the least recently
/// used one beyond that; this is far more than a process has descriptors for by default, so that
/// in practice only `timeouts.idle` ends them.
const IDLE_CONNECTIONS: usize = 16_384;

/// Longer than any drain: the process ends by itself before.
const NEVER_SECONDS: u64 = 24 * 3600;

/// Listeners that may be opened at once: far more than a machine has use for.
const OPENINGS: usize = 16_384;

/// How often it gives a sign of life.
const BEAT: Duration = Duration::from_millis(250);
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

/// What makes that requests are served: by whom, and where.
pub(crate) struct DataPlane {
    threads: usize,
    /// Those that are served, by their listener's name.
    served: Mutex<HashMap<String, Served>>,
    /// Where those go that are to be served; there is somebody once the plane runs.
    openings: mpsc::Sender<Served>,
    opened: Mutex<Option<mpsc::Receiver<Served>>>,
    /// Beats while its threads do something when it is time to.
    pub(crate) pulse: Arc<Pulse>,
}

/// A door, and who serves those who come in.
#[derive(Clone)]
struct Served {
    door: Arc<Door>,
    host: Host<Service>,
}

/// Everything that has to be had before a generation's clients can be served.
pub(crate) struct Preparation {
    /// Indexed as the topology's listeners, with a socket for those that have none yet.
    receptions: Vec<(Reception, Option<Bound>)>,
}

impl DataPlane {
    /// Makes one that serves nobody yet. `threads` can only be changed by another process.
    pub(crate) fn new(threads: usize) -> Self {
        let (openings, opened) = mpsc::channel(OPENINGS);
        let (served, opened) = (Mutex::default(), Mutex::new(Some(opened)));
        Self { threads, served, openings, opened, pulse: Arc::default() }
    }

    /// Binds and reads what the listeners of `topology` need, and changes nothing.
    ///
    /// # Errors
    /// All that is in the way, by listener.
    pub(crate) fn prepare(&self, topology: &Topology) -> Result<Preparation, Vec<DoorError>> {
        self.prepare_from(&Inherited::default(), topology)
    }

    /// The same, of a process that was handed sockets.
    pub(crate) fn prepare_from(
        &self,
        inherited: &Inherited,
        topology: &Topology,
    ) -> Result<Preparation, Vec<DoorError>> {
        let served = self.lock();
        let mut faults = Vec::new();
        let mut receptions = Vec::new();
        for listener in &topology.listeners {
            let reception = Reception::prepare(listener).map_err(|error| faults.push(error));
            let is_open =
                served.get(&listener.name).is_some_and(|it| *it.door.address() == listener.address);
            let bound = if is_open {
                None
            } else {
                // Perhaps a listener by another name is there already.
                let other = served.values().find(|it| *it.door.address() == listener.address);
                let socket = other.and_then(|it| it.door.socket().ok().flatten());
                socket
                    .map_or_else(|| edge::open(listener, inherited), Ok)
                    .map_err(|it| faults.push(it))
                    .ok()
            };
            if let Ok(reception) = reception {
                receptions.push((reception, bound));
            }
        }
        if faults.is_empty() { Ok(Preparation { receptions }) } else { Err(faults) }
    }

    /// Has requests served by `gateway`'s generation from now on, wherever its listeners are; those
    /// that it does not have are closed.
    pub(crate) fn serve(&self, preparation: Preparation, gateway: &Gateway, departure: &Departure) {
        let topology = &gateway.exchange.topology;
        let metrics = &gateway.exchange.metrics;
        let mut served = self.lock();
        let mut before = std::mem::take(&mut *served);
        for (index, (reception, bound)) in preparation.receptions.into_iter().enumerate() {
            let listener = &topology.listeners[index];
            let gateway = Gateway { listener: index, ..gateway.clone() };
            let service = Service::new(gateway.clone(), self.proxy(gateway, listener));
            let service = Arc::new(service);
            let it = match (bound, before.remove(&listener.name)) {
                (None, Some(known)) => {
                    known.host.store(service);
                    known.door.receive(reception, index, metrics);
                    known
                }
                (None, None) => continue,
                (Some(bound), other) => {
                    // Of the same name, at another address.
                    if let Some(other) = other {
                        leave(&other, false);
                    }
                    let door = Arc::new(Door::new(bound, reception, index, metrics, departure));
                    let it = Served { door, host: Arc::new(ArcSwap::new(service)) };
                    if self.openings.try_send(it.clone()).is_err() {
                        error!(target: "bascule::app", listener = listener.name, "too many listeners");
                    }
                    let (name, address) = (&listener.name, &listener.address);
                    info!(target: "bascule::app", listener = name, %address, "accepting");
                    it
                }
            };
            served.insert(listener.name.clone(), it);
        }
        for it in before.values() {
            let is_same = |other: &Served| other.door.address() == it.door.address();
            leave(it, served.values().any(is_same));
        }
    }

    /// Returns another handle of every socket, and the name by which another process asks for it if it
    /// has no address.
    ///
    /// # Errors
    /// When the process may have no more descriptors.
    pub(crate) fn sockets(&self) -> io::Result<Vec<(Option<String>, Bound)>> {
        let mut all = Vec::new();
        for Served { door, .. } in self.lock().values() {
            let name = match door.address() {
                ListenAddress::Activated(name) => Some(name.clone()),
                ListenAddress::Tcp(_) | ListenAddress::Unix(_) => None,
            };
            all.extend(door.socket()?.map(|bound| (name, bound)));
        }
        Ok(all)
    }

    /// Runs Pingora's server; returns only when the process is about to end.
    pub(crate) fn run(self: Arc<Self>, signals: shutdown::Watch) {
        let threads = self.threads;
        let conf = conf(threads, 0);
        let mut server = Server::new_with_opt_and_conf(None, conf);
        server.bootstrap();
        let plane = Arc::new(Plane(self));
        let mut service = GenBackgroundService::new("data-plane".to_owned(), plane);
        service.threads = Some(threads);
        server.add_service(service);
        server.run(RunArgs { shutdown_signal: Box::new(signals) });
    }

    /// Makes what serves the clients of one listener.
    fn proxy(&self, gateway: Gateway, listener: &Listener) -> HttpProxy<Gateway> {
        let limits = &listener.limits;
        let header_list = limits.head.saturating_add(limits.headers.saturating_mul(HEADER_EXTRA));
        let mut options = default_h2_options();
        options
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(u32::try_from(header_list).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(PENDING_RESETS)
            .max_local_error_reset_streams(Some(OWN_RESETS));
        // The decision is `retry`'s; this only stops a loop that should not be.
        let attempts = attempts_most(&gateway.exchange.topology);
        let mut proxy = http_proxy(&Arc::new(conf(self.threads, attempts)), gateway);
        proxy.h2_options = Some(options);
        let mut server_options = HttpServerOptions::default();
        server_options.h2_idle_timeout = Some(listener.timeouts.idle);
        proxy.server_options = Some(server_options);
        proxy
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Served>> {
        // A thread that panicked while it held the lock has left a map of doors.
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has a listener accept nobody any more. `is_handed_on` tells whether another has its socket.
fn leave(served: &Served, is_handed_on: bool) {
    info!(
        target: "bascule::app", listener = served.door.name(), address = %served.door.address(),
        "not accepting any more"
    );
    if is_handed_on { served.door.hand_on() } else { served.door.close() }
}

/// Returns how many attempts a request may take at most.
fn attempts_most(topology: &Topology) -> usize {
    let of_pools = topology.pools.iter().map(|pool| &pool.retries);
    let of_routes = topology.routes.iter().flat_map(|it| &it.retries).map(|(_, policy)| policy);
    let attempts = of_pools.chain(of_routes).map(|policy| policy.max_attempts.get()).max();
    attempts.unwrap_or(1) as usize
}

fn conf(threads: usize, attempts: usize) -> ServerConf {
    ServerConf {
        threads,
        // One thread has nobody to share its work with, and a runtime for one spares what that takes.
        work_stealing: 1 < threads,
        max_retries: attempts,
        upstream_keepalive_pool_size: IDLE_CONNECTIONS,
        // Pingora makes no connections with TLS: those are all `exchange::dial`'s. So it need not read
        // whom this system trusts, again with each generation.
        ca_file: Some("/dev/null".to_owned()),
        grace_period_seconds: Some(NEVER_SECONDS),
        ..ServerConf::default()
    }
}

/// Accepts clients on every listener.
struct Plane(Arc<DataPlane>);

#[async_trait]
impl BackgroundService for Plane {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let opened = self.0.opened.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut opened) = opened else { return };
        let mut serving = JoinSet::new();
        let mut beats = interval(BEAT);
        loop {
            tokio::select! {
                biased;
                // An error is an end as well.
                _ = shutdown.changed() => break,
                Some(Served { door, host }) = opened.recv() => {
                    serving.spawn(edge::serve(door, host));
                }
                Some(_) = serving.join_next() => {}
                _ = beats.tick() => self.0.pulse.beat(clock::now()),
            }
        }
        let served: Vec<Served> = self.0.lock().values().cloned().collect();
        for Served { door, host } in served {
            door.close();
            host.load().http_cleanup().await;
        }
        while serving.join_next().await.is_some() {}
    }
}
