//! The sidecar: where state is read and changed, over HTTP and a WebSocket.
//!
//! It runs beside the data plane and shares nothing with it but atomics, an `arc-swap` and a
//! bounded channel, so that nothing asked here can make a client's request wait. The shapes of the
//! answers are in [`wire`]; who may ask for what is decided by [`access`](crate::access) and
//! enforced by [`guard`], in front of every handler.

mod api;
mod audit;
mod backends;
pub(crate) mod change;
mod command;
mod config;
mod data;
mod fail;
mod failback;
mod faults;
mod feed;
mod gate;
mod guard;
mod incidents;
mod introduction;
mod keyring;
mod log_level;
mod logs;
pub mod openapi;
mod order;
mod process;
mod query;
mod reach;
mod reader;
mod recover;
pub mod wire;

pub use config::{Answer, Order};
pub use process::{NoUpgrade, Process, ProcessOrder, Stage, Successor, Upgrade};

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

pub use audit::Signal;
pub use gate::{Gate, GateError, NextGate};

use arc_swap::ArcSwap;
use axum::{
    Extension, Router, middleware,
    routing::{delete, get, post},
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc, watch},
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    clock::Timestamp,
    exchange::{Generation, GenerationCell},
    history::History,
    incident::Incident,
    orders::Orders,
    server_tls::Tls,
    telemetry::log_stream::LogStream,
    web::{self, HttpClient},
};

/// Incidents as the sidecar reads them: oldest first, whole list replaced at each change.
pub type IncidentList = Arc<ArcSwap<Vec<Arc<Incident>>>>;

/// Renders the metrics as Prometheus text.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// How often changed certificates are looked for.
const REFRESH: Duration = Duration::from_secs(2);
/// What a WebSocket gets to say goodbye when the sidecar ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// Everything that the sidecar reads and the few things that it changes.
#[derive(Clone)]
pub struct AdminState {
    /// What is configured, its condition and its numbers. A handler loads it once: what it knows of
    /// pools and backends by number holds in one generation only.
    pub current: GenerationCell,
    /// Oldest first.
    pub incidents: IncidentList,
    /// What happened to requests.
    pub history: History,
    /// Where operators' orders go.
    pub orders: Orders,
    /// The live log.
    pub logs: LogStream,
    /// Renders `/metrics`.
    pub metrics: RenderMetrics,
    /// When the process started to serve.
    pub started_at: Timestamp,
    /// Who may do what, and what they did.
    pub gate: Arc<Gate>,
    /// By which the data plane proves that it relays; must not be guessable, nor empty.
    pub relay_key: String,
    /// This process, and how far its life has come.
    pub process: Arc<Process>,
    /// What is shown of the configuration in use.
    pub config: Arc<ArcSwap<wire::Config>>,
    /// Who loads configurations.
    pub reloads: mpsc::Sender<Order>,
    /// Where the data plane can be asked over plain HTTP; without it, its first listener that speaks
    /// that.
    pub data_plane: Option<SocketAddr>,
}

impl AdminState {
    /// Returns what is configured at present.
    pub fn generation(&self) -> Arc<Generation> {
        self.current.load_full()
    }
}

impl fmt::Debug for AdminState {
    /// Leaves out the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminState")
            .field("started_at", &self.started_at)
            .field("data_plane", &self.data_plane)
            .finish_non_exhaustive()
    }
}

/// What the handlers share.
pub(crate) struct Sidecar {
    pub(crate) state: AdminState,
    pub(crate) client: HttpClient,
    /// What readers of the feed are told.
    pub(crate) feed: feed::Hub,
    /// A place for each of them.
    pub(crate) feed_readers: Arc<Semaphore>,
    /// Becomes true when WebSockets shall end.
    pub(crate) is_closing: watch::Receiver<bool>,
}

impl Sidecar {
    /// Tells whether the proxy can be sent traffic; if not, why.
    pub(crate) fn readiness(&self) -> Result<(), &'static str> {
        let generation = self.state.generation();
        if let Some(objection) = self.state.process.objection() {
            Err(objection)
        } else if generation.number != 1 || generation.snapshot.load().is_checked() {
            // What a reload brings is waited for before it is in use.
            Ok(())
        } else {
            Err("starting: not every backend has been checked yet")
        }
    }
}

/// Makes the sidecar's routes. WebSockets then end only with their clients; [`serve`] ends them.
pub fn router(state: AdminState) -> Router {
    let (_, is_closing) = watch::channel(false);
    routes(state, is_closing)
}

/// Serves the sidecar on `listener`, over TLS where it is given, until `shutdown`, then says goodbye to
/// everybody: six seconds at most.
pub async fn serve(
    listener: TcpListener,
    state: AdminState,
    tls: Option<Tls>,
    shutdown: impl Future<Output = ()>,
) {
    let (closing, is_closing) = watch::channel(false);
    let until_shutdown = async {
        shutdown.await;
        closing.send_replace(true);
    };
    let acceptor = tls.as_ref().map(|it| it.acceptor.clone());
    let serving = web::serve(listener, routes(state, is_closing), acceptor, until_shutdown);
    tokio::select! {
        () = serving => {}
        () = refresh(tls.as_ref()) => {}
    }
    // Every WebSocket holds a receiver; when the last one is gone, all have ended.
    _ = timeout(FAREWELL, closing.closed()).await;
}

/// Serves the sidecar to the data plane alone, in plain, on an address that nobody else is told: where
/// the sidecar speaks TLS, what clients of a listener ask for needs neither a second TLS nor a
/// certificate. Whoever has not the data plane's key finds nothing here.
pub async fn serve_relayed(listener: TcpListener, state: AdminState) {
    let (_closing, is_closing) = watch::channel(false);
    let routes = routes(state, is_closing).layer(Extension(OnlyRelayed));
    web::serve(listener, routes, None, std::future::pending()).await;
}

/// In the extensions of requests that came where only the data plane asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnlyRelayed;

/// Reads certificates again when their files change; never ends.
async fn refresh(tls: Option<&Tls>) {
    let Some(tls) = tls else { return std::future::pending().await };
    let mut turns = interval(REFRESH);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = String::new();
    loop {
        turns.tick().await;
        let certificates = Arc::clone(&tls.certificates);
        // Files may lie on slow disks.
        let refreshed = tokio::task::spawn_blocking(move || certificates.refresh()).await;
        match refreshed {
            Ok(Ok(true)) => {
                tracing::info!(target: "bascule::admin", "certificates read again");
                told.clear();
            }
            Ok(Err(fault)) if fault.to_string() != told => {
                told = fault.to_string();
                tracing::warn!(
                    target: "bascule::admin", fault = told,
                    "changed certificates cannot be used; the ones read before are kept"
                );
            }
            Ok(Ok(false) | Err(_)) | Err(_) => {}
        }
    }
}

fn routes(state: AdminState, is_closing: watch::Receiver<bool>) -> Router {
    let sidecar = Arc::new(Sidecar {
        feed: feed::Hub::new(state.started_at),
        feed_readers: Arc::new(Semaphore::new(feed::READERS_MAX)),
        client: HttpClient::default(),
        state,
        is_closing,
    });
    Router::new()
        .route("/proxy/health", get(api::health))
        .route("/proxy/fail", post(fail::fail).fallback(fail::how_to_fail))
        .route("/proxy/recover", post(recover::recover))
        .route("/proxy/failback", post(failback::fail_back).fallback(failback::how_to_fail_back))
        .route("/proxy/data", get(data::data))
        .route("/backends", get(backends::list))
        .route("/backends/{pool}/{name}", get(backends::one))
        .route("/backends/{pool}/{name}/{verb}", post(backends::order).fallback(backends::how_to))
        .route("/pools/{pool}/failover", post(backends::fail_over).fallback(backends::how_to))
        .route("/pools/{pool}/failback", post(backends::fail_back).fallback(backends::how_to))
        .route("/log-level", get(log_level::show).put(log_level::set))
        .route("/faults", get(faults::list).post(fail::fail))
        .route("/faults/{pool}/{backend}", delete(faults::end))
        .route("/incidents", get(incidents::list))
        .route("/incidents/{id}", get(incidents::one))
        .route("/series", get(api::series))
        .route("/process", get(process::process))
        .route("/drain", post(process::drain).fallback(process::how_to))
        .route("/undrain", post(process::undrain).fallback(process::how_to))
        .route("/upgrade", post(process::upgrade).fallback(process::how_to))
        .route("/metrics", get(api::metrics))
        .route("/livez", get(api::livez))
        .route("/readyz", get(api::readyz))
        .route("/feed", get(feed::feed))
        .route("/logs", get(logs::logs))
        .route("/config", get(config::show))
        .route("/config/check", post(config::check))
        .route("/config/reload", post(config::reload))
        .route("/audit", get(audit::audit))
        .route("/openapi.json", get(openapi::show))
        .route("/whoami", get(introduction::who_am_i))
        .route("/tickets", post(introduction::give_ticket).fallback(introduction::how_to_take))
        .fallback(api::not_found)
        .method_not_allowed_fallback(api::method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&sidecar), guard::guard))
        .layer(middleware::map_response(guard::harden))
        .with_state(sidecar)
}
