//! A backend as its owner sees it: started, watched, made to fail, stopped.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use tokio::task::JoinSet;

use crate::backend::Backend;
use crate::clock;
use crate::door::Door;
use crate::ended::Ended;
use crate::faults::{Fault, FaultKind, InvalidFault};
use crate::ledger::{Executed, Ledger};
use crate::server::{Outcome, Server};

/// Long enough for an ordinary answer to finish, short enough for a supervisor's patience.
const DRAIN_DEFAULT: Duration = Duration::from_secs(2);

/// What a backend is called and where it listens.
#[derive(Clone, Debug)]
pub struct Config {
    /// Named in every response (`x-backend`); printable ASCII.
    pub name: String,
    /// Port 0 takes a free port.
    pub listen: SocketAddr,
    /// How long requests in flight may take to finish when the backend is shut down.
    pub drain: Duration,
    /// A file to which each executed request id is appended before the request is answered.
    pub ledger: Option<PathBuf>,
}

impl Config {
    /// A backend of that name on a free port of 127.0.0.1.
    pub fn new(name: impl Into<String>) -> Config {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Config { name: name.into(), listen, drain: DRAIN_DEFAULT, ledger: None }
    }

    /// The same backend at a chosen address.
    #[must_use]
    pub fn listening_on(self, listen: SocketAddr) -> Config {
        Config { listen, ..self }
    }

    /// The same backend with a ledger that outlives it; several may share a file.
    #[must_use]
    pub fn writing_down(self, ledger: Option<PathBuf>) -> Config {
        Config { ledger, ..self }
    }
}

/// Why a backend could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    #[error(
        "backend name `{name}` cannot be a header value; use one or more printable ASCII characters"
    )]
    InvalidName { name: String },
    #[error(
        "cannot listen on {addr}: the port is in use; stop the program that holds it \
         (`ss -ltnp 'sport = :{port}'` shows it) or choose another with --listen",
        port = addr.port()
    )]
    PortInUse { addr: SocketAddr },
    #[error(
        "cannot listen on {addr}: not permitted; choose a port above 1023 with --listen, \
         or grant the right to bind low ports"
    )]
    NotPermitted { addr: SocketAddr },
    #[error(
        "cannot listen on {addr}: this machine has no such address; use one of its own with \
         --listen, such as 127.0.0.1 or 0.0.0.0"
    )]
    NoSuchAddress { addr: SocketAddr },
    #[error("cannot listen on {addr}: {source}; choose another address with --listen")]
    Listen { addr: SocketAddr, source: io::Error },
    #[error(
        "cannot append to the ledger {path}: {source}; name a file in a folder that can be written"
    )]
    Ledger { path: PathBuf, source: io::Error },
}

/// Starts a backend in the current tokio runtime. It accepts connections on return.
///
/// Dropping the result ends the backend as [`Running::kill`] does, though without waiting.
///
/// # Errors
///
/// When the name is no header value, the address cannot be listened on, or the ledger's file not
/// be written.
///
/// # Panics
///
/// Outside a tokio runtime.
pub fn spawn(config: Config) -> Result<Running, SpawnError> {
    let door = Door::open(config.listen).map_err(|error| cannot_listen(config.listen, error))?;
    start(config, door)
}

fn start(config: Config, door: Door) -> Result<Running, SpawnError> {
    let name = &config.name;
    let header = HeaderValue::from_str(name)
        .ok()
        .filter(|_| !name.is_empty() && name.chars().all(|it| it.is_ascii_graphic() || it == ' '))
        .ok_or_else(|| SpawnError::InvalidName { name: name.clone() })?;
    let ledger = Ledger::new(config.ledger.as_ref().map(appendable).transpose()?);
    let backend = Arc::new(Backend::new(config.name.clone(), header, ledger));
    let addr = door.addr();
    let mut task = JoinSet::new();
    task.spawn(Server::new(door, backend.clone(), config.drain).run());
    Ok(Running { addr, config, backend, task, outcome: None })
}

fn appendable(path: &PathBuf) -> Result<File, SpawnError> {
    let opened = File::options().append(true).create(true).open(path);
    opened.map_err(|source| SpawnError::Ledger { path: path.clone(), source })
}

fn cannot_listen(addr: SocketAddr, source: io::Error) -> SpawnError {
    if source.kind() == io::ErrorKind::AddrInUse {
        SpawnError::PortInUse { addr }
    } else if source.kind() == io::ErrorKind::PermissionDenied {
        SpawnError::NotPermitted { addr }
    } else if source.kind() == io::ErrorKind::AddrNotAvailable {
        SpawnError::NoSuchAddress { addr }
    } else {
        SpawnError::Listen { addr, source }
    }
}

/// A backend that was started.
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
    config: Config,
    backend: Arc<Backend>,
    /// The one task of the server; a set, because a set ends its tasks when it is dropped.
    task: JoinSet<Outcome>,
    outcome: Option<Outcome>,
}

impl Running {
    /// The address it listens on, with the port that was found when port 0 was asked for.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn name(&self) -> &str {
        &self.backend.name
    }

    /// The URL of a path that begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// Begins a fault, as `POST /faults` does. It is in force on return.
    ///
    /// # Errors
    ///
    /// When the fault cannot be: an `error` status that is none, or `refuse` for only some.
    pub async fn inject(&self, fault: Fault) -> Result<(), InvalidFault> {
        self.backend.faults.inject(fault, clock::now())?;
        if fault.kind == FaultKind::Refuse {
            self.backend.until_listening(false).await;
        }
        Ok(())
    }

    /// Ends all faults, as `POST /recover` does; also `refuse`, which no request can reach. A
    /// backend that still runs accepts connections on return.
    pub async fn recover(&self) {
        self.backend.faults.recover(clock::now());
        let mut stopping = self.backend.stopping();
        tokio::select! {
            () = self.backend.until_listening(true) => {}
            _ = stopping.wait_for(Option::is_some) => {}
        }
    }

    /// What is known of a request id; all zero when nothing is.
    pub fn executed(&self, id: &str) -> Executed {
        self.backend.ledger.executed(id)
    }

    /// How many requests were executed, with an id or without; health checks do not count.
    pub fn total(&self) -> u64 {
        self.backend.ledger.total()
    }

    /// Waits until that many requests have arrived since the start, hung ones included.
    pub async fn received_at_least(&self, count: u64) {
        self.backend.ledger.received_at_least(count).await;
    }

    /// Waits until it accepts connections (`true`) or refuses them (`false`).
    pub async fn until_listening(&self, listening: bool) {
        self.backend.until_listening(listening).await;
    }

    /// Waits for the end, which nothing here brings about. May be called again, and cancelled.
    pub async fn ended(&mut self) -> Ended {
        if let Some(outcome) = &self.outcome {
            return outcome.ended;
        }
        match self.task.join_next().await {
            Some(Ok(outcome)) => self.outcome.insert(outcome).ended,
            // The task panicked or its runtime is gone; either way it no longer serves.
            Some(Err(_)) | None => Ended::Killed,
        }
    }

    /// Stops accepting, lets requests in flight finish within `Config::drain`, then ends.
    pub async fn shutdown(&mut self) -> Ended {
        self.backend.stop(Ended::ShutDown);
        self.ended().await
    }

    /// Closes every socket at once, as the death of a process does. All are closed on return; the
    /// address stays reserved for [`Running::restart`] until this is dropped.
    pub async fn kill(&mut self) -> Ended {
        self.backend.stop(Ended::Killed);
        self.ended().await
    }

    /// Starts the backend anew on the same address, with no faults and an empty log. Kills it
    /// first if it still runs.
    ///
    /// # Errors
    ///
    /// When the address can no longer be listened on.
    pub async fn restart(mut self) -> Result<Running, SpawnError> {
        self.kill().await;
        let config = self.config.clone().listening_on(self.addr);
        let Some(Outcome { mut door, .. }) = self.outcome.take() else { return spawn(config) };
        door.reopen().map_err(|error| cannot_listen(self.addr, error))?;
        start(config, door)
    }
}
