//! A listener with its socket: what is needed to accept clients.

use std::{
    io,
    net::IpAddr,
    os::unix::net::UnixListener as StdUnixListener,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    net::{TcpListener, UnixListener},
    sync::Semaphore,
};

use crate::{
    departure::Departure,
    edge::{
        admission::PerClient,
        socket::Socket,
        tls::{Tls, TlsFault},
    },
    model::{ListenAddress, Listener, ListenerTimeouts},
    ports::{self, BindError},
    telemetry::metrics::Metrics,
    wire::incoming::Limits,
};

/// Why a listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The address.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The path of a Unix socket.
    #[error("listener `{listener}`: cannot listen on unix:{}: {error}; {remedy}", path.display())]
    Unix {
        /// Which listener.
        listener: String,
        /// Where.
        path: PathBuf,
        /// Why not.
        error: io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// TLS.
    #[error("listener `{listener}`: {message}")]
    Tls {
        /// Which listener.
        listener: String,
        /// What is wrong and what to do.
        message: String,
    },
}

/// A socket that is bound and not served yet.
#[derive(Debug)]
enum Bound {
    Tcp(std::net::TcpListener),
    Unix(StdUnixListener),
}

/// A listener with its socket, ready to accept.
#[derive(Debug)]
pub struct Door {
    /// Its index in the topology.
    pub(crate) index: usize,
    pub(crate) listener: Listener,
    pub(crate) tls: Option<Tls>,
    pub(crate) metrics: Arc<Metrics>,
    /// The end of the process.
    pub(crate) departure: Departure,
    /// A permit for each connection that there may be.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) clients: Option<Arc<PerClient>>,
    /// Until it is served: whoever serves it closes it.
    bound: Mutex<Option<Bound>>,
}

/// A socket that clients are accepted from.
#[derive(Debug)]
pub(crate) enum Accepting {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Door {
    /// Binds the address and reads what TLS needs.
    ///
    /// # Errors
    /// Says which listener, what is wrong, and what to do about it.
    pub fn open(
        index: usize,
        listener: &Listener,
        metrics: &Arc<Metrics>,
        departure: &Departure,
    ) -> Result<Self, DoorError> {
        let fault = |fault: TlsFault| DoorError::Tls {
            listener: listener.name.clone(),
            message: fault.to_string(),
        };
        let tls = listener.tls.as_ref().map(|it| Tls::new(it, listener.http2)).transpose();
        let tls = tls.map_err(fault)?;
        let bound = match &listener.address {
            ListenAddress::Tcp(address) => {
                Bound::Tcp(ports::bind(&format!("listener `{}`", listener.name), *address)?)
            }
            ListenAddress::Unix(path) => Bound::Unix(bind_unix(&listener.name, path)?),
        };
        let connections = listener.limits.connections.get() as usize;
        Ok(Self {
            index,
            listener: listener.clone(),
            tls,
            metrics: Arc::clone(metrics),
            departure: departure.clone(),
            slots: Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))),
            clients: listener.limits.connections_per_client.map(PerClient::new),
            bound: Mutex::new(Some(bound)),
        })
    }

    /// Returns the socket, for the runtime that this is called in; once.
    pub(crate) fn accepting(&self) -> io::Result<Accepting> {
        let bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner).take();
        match bound {
            Some(Bound::Tcp(socket)) => TcpListener::from_std(socket).map(Accepting::Tcp),
            Some(Bound::Unix(socket)) => UnixListener::from_std(socket).map(Accepting::Unix),
            None => Err(io::Error::other("it is served already")),
        }
    }

    /// Returns how long clients may take.
    pub fn timeouts(&self) -> ListenerTimeouts {
        self.listener.timeouts
    }

    /// Returns the bounds on the head of a request.
    pub fn limits(&self) -> Limits {
        let limits = &self.listener.limits;
        Limits { head: limits.head, headers: limits.headers, target: limits.target }
    }

    /// Tells whether a peer is believed about its clients. Who may open a Unix socket is decided by
    /// its permissions.
    pub(crate) fn trusts(&self, peer: Option<IpAddr>) -> bool {
        peer.is_none_or(|peer| {
            let peer = peer.to_canonical();
            self.listener.trusted_proxies.iter().any(|it| it.contains(&peer))
        })
    }
}

impl Accepting {
    /// Returns the next client's connection, and its address if it has one.
    pub(crate) async fn accept(&self) -> io::Result<(Socket, Option<std::net::SocketAddr>)> {
        match self {
            Self::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                Ok((Socket::tcp(stream), Some(peer)))
            }
            Self::Unix(socket) => {
                let (stream, _) = socket.accept().await?;
                Ok((Socket::unix(stream), None))
            }
        }
    }
}

/// Binds the path of a Unix socket. A socket that a process has left behind is replaced; one on which
/// somebody listens, and a file that is no socket, are left alone.
fn bind_unix(listener: &str, path: &Path) -> Result<StdUnixListener, DoorError> {
    let fault = |error: io::Error, remedy| DoorError::Unix {
        listener: listener.to_owned(),
        path: path.to_owned(),
        error,
        remedy,
    };
    let in_the_way = "remove the file, or choose another path";
    let bound = StdUnixListener::bind(path).or_else(|error| {
        if error.kind() != io::ErrorKind::AddrInUse {
            return Err(fault(
                error,
                "check that the folder exists and that this user may write to it",
            ));
        }
        match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => {
                Err(fault(error, "stop the process that listens there, or choose another path"))
            }
            Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path).map_err(|error| fault(error, in_the_way))?;
                StdUnixListener::bind(path).map_err(|error| fault(error, in_the_way))
            }
            Err(_) => Err(fault(error, in_the_way)),
        }
    })?;
    bound.set_nonblocking(true).map_err(|error| fault(error, "choose another path"))?;
    Ok(bound)
}
