//! Composition: builds every part, joins them, and ends them in order.
//!
//! Three threads of their own beside the data plane's: control (the fleet and its checkers), the
//! sidecar, and the one that waits for signals. None of them can delay a request.

mod data_plane;
mod history;
mod life;
mod notifier;
mod record;
mod reload;
mod reopen;
mod service;
mod shutdown;
mod sidecar;
mod source;
mod start;
mod upgrade;

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc, oneshot, watch},
};
use tracing::{error, info, warn};

use crate::{
    admin::{AdminState, Gate, IncidentList, Process, ProcessOrder, RenderMetrics},
    app::{
        data_plane::DataPlane,
        history::Keeper,
        life::{Estate, Life, Recorder, Sockets},
        notifier::Notifier,
        reload::{Loading, Reloader},
        shutdown::{Ending, Signals},
        sidecar::SidecarDoor,
    },
    clock,
    config::Effective,
    control::{Adoption, Control, INBOX, Question},
    dashboard::{self, DashboardConfig},
    departure::Departure,
    edge::DoorError,
    exchange::{Connections, Exchange, Generation, GenerationCell, TlsError},
    gateway::{Gateway, Limits},
    history::History,
    inbox::Fact,
    model::Topology,
    orders::{Orders, Placed},
    ports,
    pulse::Pulse,
    snapshot::{Live, SnapshotCell},
    sockets::Bound,
    telemetry::{
        log_stream::LogStream,
        sinks::{self, Sinks},
    },
    token,
    web::{HttpClient, reachable},
};

pub use source::Source;
pub use start::Start;

/// Longest wait for the data plane to begin.
const START: Duration = Duration::from_secs(10);
/// How often it is looked whether something has come about while the process starts.
const LOOK: Duration = Duration::from_millis(5);

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
/// can be read again. `logs` is the live log that logging already writes to; `start` is what the process begins
/// with. Where that is another process, it takes over from it. `is_up` is called once clients are
/// accepted.
///
/// # Errors
/// When an address cannot be bound, or the token or what TLS needs cannot be read; nothing is running
/// then.
pub fn run(
    configured: (Topology, Option<Effective>),
    source: Source,
    extras: Extras,
    logs: LogStream,
    start: &Start,
    is_up: impl FnOnce(),
) -> Result<()> {
    let served = serve(configured, source, extras, logs, start, is_up);
    served.inspect_err(|error| start.failed(&format!("{error:#}")))
}

fn serve(
    (topology, effective): (Topology, Option<Effective>),
    source: Source,
    extras: Extras,
    logs: LogStream,
    start: &Start,
    is_up: impl FnOnce(),
) -> Result<()> {
    let sinks = prepare_sinks(&topology)?;
    let gate = Arc::new(Gate::open(&topology.admin)?);
    let (inbox, facts) = mpsc::channel(INBOX);
    let generation = Arc::new(Generation::first(topology, inbox)?);
    let topology = &generation.topology;
    let (door, page_listener, servers) = bind(topology, extras, start)?;
    let departure = Departure::new(topology.shutdown);
    let plane = Arc::new(DataPlane::new(topology.threads.get()));
    let preparation = plane.prepare_from(&start.inherited, topology).map_err(all_of)?;
    start.close_rest();
    let current: GenerationCell = Arc::new(ArcSwap::new(Arc::clone(&generation)));
    let (relay_key, process, process_orders) = succession(start, &departure, &generation)?;
    let keeper = start_history(start, &current)?;
    let (orders, placed) = Orders::new();
    let (questions, adoptions, pulse) = start_control(&keeper, facts, placed, start)?;
    let shown = Arc::new(ArcSwap::from_pointee(reload::shown(&source, effective.as_ref())));
    let (reloads, reloads_asked) = mpsc::channel(RELOADS_WAITING);
    let state = AdminState {
        metrics: render(&current, &logs, (&sinks, &gate), &keeper.history),
        current: Arc::clone(&current),
        incidents: Arc::clone(&keeper.incidents),
        history: keeper.history.clone(),
        orders,
        logs,
        started_at: clock::now(),
        gate: Arc::clone(&gate),
        relay_key: relay_key.clone(),
        process: Arc::clone(&process),
        config: Arc::clone(&shown),
        reloads,
        data_plane: None,
    };
    let (leave, leaving) = watch::channel(false);
    let (sidecar, at) = door.serve(state, leaving, (start, &*generation))?;
    page_listener.map(|it| serve_page(it, topology)).transpose()?;
    wait_for_first_checks(topology, &generation.snapshot);
    let gateway = gateway(&generation, &departure, (at, relay_key.clone()), &sinks);
    let (runtime, signals) = take_signals()?;
    plane.serve(preparation, &gateway, &departure);
    let data_plane = start_data_plane(&plane, departure.clone())?;
    drop(generation);
    let sockets = Sockets { servers, plane: Arc::clone(&plane) };
    let recorder = Recorder::new(questions, &keeper, process.generation, relay_key);
    let life = Life {
        notifier: Notifier::new(current.clone(), vec![pulse, Arc::clone(&plane.pulse)]),
        current: Arc::clone(&current),
        estate: Estate { program: start.program.clone(), sockets, recorder },
        process,
        orders: process_orders,
        ending: Ending::new(&departure, &current, data_plane, leave, sidecar),
    };
    let loading = Loading { marks: source.first_marks(), source, shown };
    let reloader = Reloader { plane, gateway, current, gate, adoptions, departure, loading };
    spawn("reload", reloader.run(reloads_asked))?;
    start.ready()?;
    is_up();
    runtime.block_on(life.run(signals));
    sinks.flush();
    keeper.close();
    Ok(())
}

/// Finds out whose place this process takes, if anybody's. Returns the key by which its sidecar knows
/// requests that were relayed, too.
fn succession(
    start: &Start,
    departure: &Departure,
    generation: &Generation,
) -> Result<(String, Arc<Process>, mpsc::Receiver<ProcessOrder>)> {
    let before = start.record();
    let relay_key = before.map_or_else(token::random, |it| Ok(it.relay_key.clone()))?;
    let ordinal = before.map_or(0, |it| it.generation) + 1;
    generation.metrics.process_generation(ordinal);
    let (process, orders) = Process::new(ordinal, before.map(|it| it.pid), departure.clone());
    Ok((relay_key, process, orders))
}

/// Starts the fleet, which goes on from what the process before has told. What is returned takes
/// questions of what it knows, and other generations, and shows whether it lives.
fn start_control(
    keeper: &Keeper,
    facts: mpsc::Receiver<Fact>,
    placed: mpsc::Receiver<Placed>,
    start: &Start,
) -> Result<(mpsc::Sender<Question>, mpsc::Sender<Adoption>, Arc<Pulse>)> {
    let (questions, asked) = mpsc::channel(1);
    let (adoptions, adopted) = mpsc::channel(1);
    let pulse = Arc::<Pulse>::default();
    let control = Control::new(keeper.current.load_full(), Arc::clone(&keeper.incidents));
    let control = control.numbering_on(keeper.numbers.subscribe());
    let mut control = control.with_questions(asked).with_pulse(Arc::clone(&pulse));
    if let Some(record) = start.record() {
        control = control.numbering_from(record.incidents.clone());
        control.inherit(&record.fleet);
    }
    spawn("control", async move { control.run(facts, adopted, placed).await })?;
    Ok((questions, adoptions, pulse))
}

/// Starts to keep what happens.
fn start_history(start: &Start, current: &GenerationCell) -> Result<Keeper> {
    let topology = Arc::clone(&current.load().topology);
    let history = history::begin(&topology.history, start.predecessor.is_some())?;
    let incidents = IncidentList::default();
    let numbers = watch::Sender::new(history.numbers());
    let keeper = Keeper { history, current: Arc::clone(current), incidents, numbers };
    spawn("history", keeper.clone().run())?;
    Ok(keeper)
}

/// Joins what forwards requests.
fn gateway(
    generation: &Arc<Generation>,
    departure: &Departure,
    (sidecar, relay_key): (SocketAddr, String),
    sinks: &Arc<Sinks>,
) -> Gateway {
    let exchange = Exchange::new(Arc::clone(generation)).with_departure(departure.clone());
    let limits = Arc::new(Limits::new(&generation.topology));
    limits.take_effect();
    Gateway {
        exchange: Arc::new(exchange),
        listener: 0,
        relay_key,
        sidecar,
        limits,
        sinks: Arc::clone(sinks),
    }
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

/// Binds everything, so that nothing has been started when one address cannot be had. Returns another
/// handle of what a successor needs, too.
fn bind(
    topology: &Topology,
    extras: Extras,
    start: &Start,
) -> Result<(SidecarDoor, Option<TcpListener>, Vec<Bound>)> {
    raise_descriptor_limit();
    let admin = SidecarDoor::open(topology, start)?;
    let page = extras.dashboard.map(|address| ports::bind("dashboard", address)).transpose()?;
    let again = vec![Bound::Tcp(admin.listener.try_clone()?)];
    Ok((admin, page, again))
}

/// Starts the data plane, and waits until it accepts. What is returned ends when it does.
fn start_data_plane(plane: &Arc<DataPlane>, departure: Departure) -> Result<oneshot::Receiver<()>> {
    let (running, ended) = oneshot::channel();
    let pulse = Arc::clone(&plane.pulse);
    let plane = Arc::clone(plane);
    thread::Builder::new().name("data-plane".to_owned()).spawn(move || {
        plane.run(shutdown::Watch(departure));
        drop(running);
    })?;
    let deadline = clock::now() + START;
    while !pulse.has_begun() && clock::now() < deadline {
        thread::sleep(LOOK);
    }
    Ok(ended)
}

fn render(
    current: &GenerationCell,
    logs: &LogStream,
    (sinks, gate): (&Arc<Sinks>, &Arc<Gate>),
    past: &History,
) -> RenderMetrics {
    let (current, logs, past) = (Arc::clone(current), logs.clone(), past.clone());
    let (sinks, gate) = (Arc::clone(sinks), Arc::clone(gate));
    let shown = AtomicU64::new(0);
    Arc::new(move || {
        let metrics = &current.load().metrics;
        let dropped = logs.dropped();
        metrics.log_stream_clients(logs.clients());
        metrics.log_lines_dropped(dropped.saturating_sub(shown.swap(dropped, Relaxed)));
        metrics.sinks(sinks.totals());
        if let Some(status) = past.status() {
            metrics.history(history::totals(status));
        }
        metrics.sidecar(gate.audit_lost(), gate.refused());
        metrics.render()
    })
}

fn serve_page(listener: TcpListener, topology: &Topology) -> Result<()> {
    // The page acts for whoever reaches it, as an operator where there is a token in plain.
    let token = topology.admin.token_file.as_deref().map(token::read).transpose()?;
    if topology.admin.tls.is_some() {
        anyhow::bail!(
            "the page in this process speaks plain HTTP with the sidecar; remove `admin.tls`, or \
            serve the page with `bascule dashboard --ca FILE`"
        );
    }
    let admin = format!("http://{}", reachable(topology.admin.address)).parse()?;
    let (client, allow_hosts) = (HttpClient::default(), Vec::new());
    let config = DashboardConfig { admin, client, token, allow_hosts };
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

/// Returns the runtime that hears signals, and what they are heard by, from now on.
fn take_signals() -> Result<(Runtime, Signals)> {
    let runtime = runtime()?;
    let signals = runtime.block_on(async { Signals::take() });
    Ok((runtime, signals))
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
        thread::sleep(LOOK);
    }
}
