//! Composition: builds every part, joins them, and ends them in order.
//!
//! Three threads of their own beside the data plane's: control (the fleet and its checkers), the
//! sidecar, and the one that waits for signals. None of them can delay a request.

mod data_plane;
mod reload;
mod reopen;
mod shutdown;
mod source;

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc, oneshot},
};
use tracing::{error, info, warn};

use crate::{
    admin::{self, AdminState, Gate, IncidentList, RenderMetrics},
    app::{
        data_plane::DataPlane,
        reload::{Loading, Reloader},
        shutdown::{Ending, Signals},
    },
    clock,
    config::Effective,
    control::{Control, INBOX},
    dashboard::{self, DashboardConfig},
    departure::Departure,
    edge::DoorError,
    exchange::{Connections, Exchange, Generation, GenerationCell, TlsError},
    gateway::{Gateway, Limits},
    model::Topology,
    orders::Orders,
    ports,
    snapshot::{Live, SnapshotCell},
    telemetry::{
        log_stream::LogStream,
        sinks::{self, Sinks},
    },
    token,
    web::reachable,
};

pub use source::Source;

/// Reloads that may wait for one that is under way.
const RELOADS_WAITING: usize = 16;

/// What is served beside what the configuration says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extras {
    /// Where the page is served in this process, if it is.
    pub dashboard: Option<SocketAddr>,
}

/// Runs the proxy until it is told to stop, then finishes what is in flight.
///
/// The second part of the configuration is all of it as it would be written; `source` is where both
/// can be read again. `logs` is the live log that logging already writes to. `is_up` is called once clients are
/// accepted.
///
/// # Errors
/// When an address cannot be bound, or the token or what TLS needs cannot be read; nothing is running
/// then.
pub fn run(
    (topology, effective): (Topology, Option<Effective>),
    source: Source,
    extras: Extras,
    logs: LogStream,
    is_up: impl FnOnce(),
) -> Result<()> {
    raise_descriptor_limit();
    let sinks = prepare_sinks(&topology)?;
    let gate = Arc::new(Gate::open(&topology.admin)?);
    let (inbox, facts) = mpsc::channel(INBOX);
    let generation = Arc::new(Generation::first(topology, inbox)?);
    let topology = &generation.topology;
    let (admin_listener, page_listener) = bind(topology, extras)?;
    let departure = Departure::new(topology.shutdown);
    let plane = Arc::new(DataPlane::new(topology.threads.get()));
    let preparation = plane.prepare(topology).map_err(all_of)?;
    let current: GenerationCell = Arc::new(ArcSwap::new(Arc::clone(&generation)));
    let incidents: IncidentList = Arc::default();
    let is_draining = Arc::new(AtomicBool::new(false));
    let relay_key = token::random()?;
    let (orders, placed) = Orders::new();

    let control = Control::new(Arc::clone(&generation), Arc::clone(&incidents));
    let (adoptions, adopted) = mpsc::channel(1);
    spawn("control", async move { control.run(facts, adopted, placed).await })?;

    let shown = reload::shown(&source, effective.as_ref(), clock::now());
    let shown = Arc::new(ArcSwap::from_pointee(shown));
    let (reloads, reloads_asked) = mpsc::channel(RELOADS_WAITING);
    let state = AdminState {
        metrics: render(&current, &logs, &sinks),
        current: Arc::clone(&current),
        incidents,
        orders,
        logs,
        started_at: clock::now(),
        gate: Arc::clone(&gate),
        relay_key: relay_key.clone(),
        is_draining: Arc::clone(&is_draining),
        config: Arc::clone(&shown),
        reloads,
        data_plane: None,
    };
    serve_sidecar(admin_listener, state)?;
    page_listener.map(|it| serve_page(it, topology)).transpose()?;
    wait_for_first_checks(topology, &generation.snapshot);

    let sidecar = reachable(topology.admin.address);
    let exchange = Exchange::new(Arc::clone(&generation)).with_departure(departure.clone());
    let (limits, recorded) = (Arc::new(Limits::new(topology)), Arc::clone(&sinks));
    limits.take_effect();
    let exchange = Arc::new(exchange);
    let gateway = Gateway { exchange, listener: 0, relay_key, sidecar, limits, sinks: recorded };
    let runtime = runtime()?;
    let signals = runtime.block_on(async { Signals::take() });
    plane.serve(preparation, &gateway, &departure);
    let data_plane = start_data_plane(&plane, departure.clone())?;
    let live = Arc::clone(&generation.live);
    drop(generation);
    let departing = departure.clone();
    let loading = Loading { source, shown, marks: Vec::new() };
    let reloader = Reloader { plane, gateway, current, gate, adoptions, departure, loading };
    spawn("reload", reloader.run(reloads_asked))?;
    is_up();
    runtime.block_on(Ending { is_draining, departure: departing, live, data_plane }.run(signals));
    sinks.flush();
    Ok(())
}

/// Reports all that is in the way of starting.
fn all_of(faults: Vec<DoorError>) -> anyhow::Error {
    let all: Vec<String> = faults.iter().map(ToString::to_string).collect();
    anyhow::anyhow!("{}", all.join("\n"))
}

/// Reads what a topology refers to outside of itself, and does nothing.
///
/// # Errors
/// When what TLS towards backends needs cannot be read, or does not fit together.
pub fn review(topology: &Topology) -> Result<(), TlsError> {
    let topology = Arc::new(topology.clone());
    Connections::new(&topology, &Arc::new(Live::new(&topology))).map(drop)
}

/// Serves the page of a proxy that runs elsewhere, until told to stop.
///
/// # Errors
/// When the address cannot be bound.
pub fn run_dashboard(address: SocketAddr, config: DashboardConfig) -> Result<()> {
    let listener = ports::bind("dashboard", address)?;
    let runtime = runtime()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        info!(target: "bascule::dashboard", %address, "serving the page");
        dashboard::serve(listener, config, shutdown::signal()).await;
        Ok(())
    })
}

/// Makes sure that records of requests can be written, and that their files are opened again when
/// whoever rotates them says so.
fn prepare_sinks(topology: &Topology) -> Result<Arc<Sinks>> {
    sinks::review(topology)?;
    spawn("log-files", reopen::on_signal())?;
    Ok(Arc::default())
}

/// Lets the process have as many descriptors as it may: every connection takes one, and what shells
/// start with, 1024, is a bound from other times.
fn raise_descriptor_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        warn!(target: "bascule::app", %error, "the number of descriptors stays as it is");
    }
}

/// Binds everything, so that nothing has been started when one address cannot be had.
fn bind(topology: &Topology, extras: Extras) -> Result<(TcpListener, Option<TcpListener>)> {
    let admin = ports::bind("admin", topology.admin.address)?;
    let page = extras.dashboard.map(|address| ports::bind("dashboard", address)).transpose()?;
    Ok((admin, page))
}

/// Starts the data plane. What is returned ends when it does.
fn start_data_plane(plane: &Arc<DataPlane>, departure: Departure) -> Result<oneshot::Receiver<()>> {
    let (running, ended) = oneshot::channel();
    let plane = Arc::clone(plane);
    thread::Builder::new().name("data-plane".to_owned()).spawn(move || {
        plane.run(shutdown::Watch(departure));
        drop(running);
    })?;
    Ok(ended)
}

fn render(current: &GenerationCell, logs: &LogStream, sinks: &Arc<Sinks>) -> RenderMetrics {
    let (current, logs, sinks) = (Arc::clone(current), logs.clone(), Arc::clone(sinks));
    let shown = AtomicU64::new(0);
    Arc::new(move || {
        let metrics = &current.load().metrics;
        let dropped = logs.dropped();
        metrics.log_stream_clients(logs.clients());
        metrics.log_lines_dropped(dropped.saturating_sub(shown.swap(dropped, Relaxed)));
        metrics.sinks(sinks.totals());
        metrics.render()
    })
}

fn serve_sidecar(listener: TcpListener, state: AdminState) -> Result<()> {
    spawn("sidecar", async move {
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => admin::serve(listener, state, std::future::pending()).await,
            Err(error) => {
                error!(target: "bascule::admin", %error, "the sidecar could not be started");
            }
        }
    })
}

fn serve_page(listener: TcpListener, topology: &Topology) -> Result<()> {
    // The page acts for whoever reaches it, as an operator where there is a token in plain.
    let token = topology.admin.token_file.as_deref().map(token::read).transpose()?;
    let admin = format!("http://{}", reachable(topology.admin.address)).parse()?;
    let config = DashboardConfig { admin, token, allow_hosts: Vec::new() };
    spawn("dashboard", async move {
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => dashboard::serve(listener, config, std::future::pending()).await,
            Err(error) => {
                error!(target: "bascule::dashboard", %error, "the page could not be served");
            }
        }
    })
}

/// Runs a future on a thread and a runtime of its own, for as long as the process lives.
fn spawn(name: &str, future: impl Future<Output = ()> + Send + 'static) -> Result<()> {
    let runtime = runtime()?;
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || runtime.block_on(future))
        .with_context(|| format!("could not start the thread `{name}`"))?;
    Ok(())
}

fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("could not start a runtime")
}

/// Waits until every backend has been checked once: a client's request is no health check.
fn wait_for_first_checks(topology: &Topology, snapshot: &SnapshotCell) {
    let longest = topology.pools.iter().map(|pool| pool.health_check.timeout).max();
    // A check cannot take longer than its timeout; the rest is for the queue.
    let deadline = clock::now() + longest.unwrap_or_default() + Duration::from_millis(500);
    while !snapshot.load().is_checked() {
        if deadline <= clock::now() {
            warn!(target: "bascule::app", "some backends have not answered their first health check");
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
