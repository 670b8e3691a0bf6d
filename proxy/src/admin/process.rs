//! `GET /process`, `POST /drain`, `/undrain` and `/upgrade`: this process, and the one after it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use axum::{Json, body::Body, extract::State, response::IntoResponse};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    admin::{Sidecar, api, change::Change, command::WAIT_MAX, order, wire},
    clock::{self, Timestamp},
    departure::Departure,
    web::HttpError,
};

/// This process: whoever runs it writes, the sidecar reads and passes orders on.
#[derive(Debug)]
pub struct Process {
    /// How many processes there have been that took over one from another, this one included.
    pub generation: u64,
    /// The process that this one has taken over from.
    pub predecessor: Option<u32>,
    /// Its end.
    pub departure: Departure,
    stage: ArcSwap<Stage>,
    /// Whether an operator wants no traffic to be sent here.
    is_drained: AtomicBool,
    latest: ArcSwapOption<Upgrade>,
    orders: mpsc::Sender<ProcessOrder>,
}

/// How far a process's life has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// It serves.
    #[default]
    Serving,
    /// It serves, and another one has been started to take over.
    Upgrading,
    /// It is about to end.
    Draining {
        /// The process that has taken over, if one has.
        successor: Option<u32>,
    },
}

/// The latest attempt at an upgrade.
#[derive(Clone, Debug)]
pub struct Upgrade {
    /// When it ended.
    pub at: Timestamp,
    /// Who has taken over, or why nobody has.
    pub result: Result<Successor, String>,
}

/// A process that has taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Successor {
    /// Its process id.
    pub pid: u32,
    /// The version of its program.
    pub version: String,
}

/// What whoever runs the process is asked for.
#[derive(Debug)]
pub enum ProcessOrder {
    /// An upgrade. Answered when it has ended.
    Upgrade(oneshot::Sender<Result<Successor, NoUpgrade>>),
}

/// Why there was no upgrade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoUpgrade {
    /// It makes no sense at present: another one is under way, or the process is about to end.
    Untimely(&'static str),
    /// There cannot be one here.
    Impossible(&'static str),
    /// It was tried, and this process goes on.
    Failed(String),
}

impl Process {
    /// Makes one that serves. Orders are received from what comes with it, one at a time.
    pub fn new(
        generation: u64,
        predecessor: Option<u32>,
        departure: Departure,
    ) -> (Arc<Self>, mpsc::Receiver<ProcessOrder>) {
        let (orders, receiver) = mpsc::channel(1);
        let process = Self {
            generation,
            predecessor,
            departure,
            stage: ArcSwap::default(),
            is_drained: AtomicBool::new(false),
            latest: ArcSwapOption::empty(),
            orders,
        };
        (Arc::new(process), receiver)
    }

    /// Returns how far its life has come.
    pub fn stage(&self) -> Arc<Stage> {
        self.stage.load_full()
    }

    /// Takes in that it has come so far.
    pub fn enter(&self, stage: Stage) {
        self.stage.store(Arc::new(stage));
    }

    /// Takes in how an attempt at an upgrade ended.
    pub fn tried(&self, upgrade: Upgrade) {
        self.latest.store(Some(Arc::new(upgrade)));
    }

    /// Says why no traffic is wanted; `None` when it is.
    pub(crate) fn objection(&self) -> Option<&'static str> {
        match **self.stage.load() {
            Stage::Draining { .. } => {
                Some("draining: requests in flight are finished, no more are wanted")
            }
            Stage::Serving | Stage::Upgrading if self.is_drained.load(Relaxed) => {
                Some("draining: an operator wants no traffic here; what comes is served")
            }
            Stage::Serving | Stage::Upgrading => None,
        }
    }
}

impl NoUpgrade {
    fn answer(self) -> HttpError {
        match self {
            Self::Untimely(reason) => HttpError::new(
                StatusCode::CONFLICT,
                "upgrade_untimely",
                reason,
                "see GET /process, and ask again when that is over",
            ),
            Self::Impossible(reason) => HttpError::new(
                StatusCode::NOT_IMPLEMENTED,
                "upgrade_impossible",
                reason,
                "start another process and let this one end: SIGTERM",
            ),
            Self::Failed(reason) => HttpError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "upgrade_failed",
                reason,
                "this process goes on serving; the log has what the new one said",
            ),
        }
    }
}

pub(crate) async fn process(State(sidecar): State<Arc<Sidecar>>) -> Json<wire::Process> {
    Json(view(&sidecar))
}

pub(crate) async fn drain(
    State(sidecar): State<Arc<Sidecar>>,
    body: Body,
) -> Result<impl IntoResponse, HttpError> {
    set_drained(&sidecar, true, "process.drain", body).await
}

pub(crate) async fn undrain(
    State(sidecar): State<Arc<Sidecar>>,
    body: Body,
) -> Result<impl IntoResponse, HttpError> {
    set_drained(&sidecar, false, "process.undrain", body).await
}

async fn set_drained(
    sidecar: &Sidecar,
    is_drained: bool,
    action: &'static str,
    body: Body,
) -> Result<impl IntoResponse + use<>, HttpError> {
    order::nothing_in(&order::body_of(body).await?)?;
    let before = sidecar.state.process.is_drained.swap(is_drained, Relaxed);
    if before != is_drained {
        tracing::info!(target: "bascule::admin", is_drained, "an operator says whether traffic is wanted here");
    }
    let change = change(action, json!({ "drained": before }), json!({ "drained": is_drained }));
    Ok((change.noted(), Json(done(sidecar))))
}

pub(crate) async fn upgrade(
    State(sidecar): State<Arc<Sidecar>>,
    body: Body,
) -> Result<impl IntoResponse, HttpError> {
    let keys = order::read(&order::body_of(body).await?, &["wait"])?;
    let wait = order::length(&keys, "wait", WAIT_MAX)?;
    let untimely = || NoUpgrade::Untimely("an upgrade is under way").answer();
    let (reply, answered) = oneshot::channel();
    // Whoever runs the process takes one order at a time; what waits is one too many.
    sidecar.state.process.orders.try_send(ProcessOrder::Upgrade(reply)).map_err(|_| untimely())?;
    // A sender that is dropped belongs to a process that is about to end.
    let ended = || NoUpgrade::Untimely("the process is about to end");
    // Without a length it is waited for until it has ended.
    let answer = match wait {
        Some(wait) => timeout(wait, answered).await.ok(),
        None => Some(answered.await),
    };
    let successor = answer.map(|it| it.unwrap_or_else(|_| Err(ended()))).transpose();
    let successor = successor.map_err(NoUpgrade::answer)?;
    let pid = |it: u32| json!({ "pid": it });
    let after = successor.as_ref().map_or(json!({ "state": "upgrading" }), |it| pid(it.pid));
    let change = change("process.upgrade", pid(std::process::id()), after);
    let is_done = successor.is_some();
    Ok((change.noted(), Json(wire::ProcessChanged { is_done, ..done(&sidecar) })))
}

/// Answers every other method with the command to use.
pub(crate) async fn how_to(method: Method, headers: HeaderMap, uri: http::Uri) -> HttpError {
    api::use_post(&method, &headers, uri.path())
}

fn change(action: &'static str, before: Value, after: Value) -> Change {
    Change { action, target: "process".to_owned(), before, after }
}

fn done(sidecar: &Sidecar) -> wire::ProcessChanged {
    wire::ProcessChanged {
        schema: 1,
        process: view(sidecar),
        is_done: true,
        persists: wire::Persists { reload: true, upgrade: false, restart: false },
    }
}

fn view(sidecar: &Sidecar) -> wire::Process {
    let (state, process) = (&sidecar.state, &sidecar.state.process);
    let stage = process.stage();
    let latest = process.latest.load_full();
    wire::Process {
        schema: 1,
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION"),
        generation: process.generation,
        started_at: clock::rfc3339_of(state.started_at),
        state: match *stage {
            Stage::Serving => "serving",
            Stage::Upgrading => "upgrading",
            Stage::Draining { .. } => "draining",
        },
        is_ready: sidecar.readiness().is_ok(),
        reason: sidecar.readiness().err(),
        connections: process.departure.connections(),
        requests_in_flight: state.generation().live.requests_in_flight.load(Relaxed),
        predecessor: process.predecessor,
        successor: match *stage {
            Stage::Draining { successor } => successor,
            Stage::Serving | Stage::Upgrading => None,
        },
        latest_upgrade: latest.map(|it| wire::Upgrade {
            at: clock::rfc3339_of(it.at),
            result: if it.result.is_ok() { "completed" } else { "failed" },
            reason: it.result.as_ref().err().cloned(),
            version: it.result.as_ref().ok().map(|it| it.version.clone()),
        }),
    }
}
