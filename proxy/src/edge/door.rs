//! A listener with its socket: what is needed to accept clients.

use std::{
    io,
    net::IpAddr,
    os::unix::net::UnixListener as StdUnixListener,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::{
    departure::Departure,
    edge::{
        admission::{PerClient, Slots},
        socket::Socket,
    },
    model::{ListenAddress, Listener},
    ports::{self, BindError},
    server_tls::Tls,
    sockets::{Bound, Inherited},
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
    /// The name of a socket that the service manager should have opened.
    #[error(
        "listener `{listener}`: no socket `{name}` was handed over{}; start the service by its \
         socket unit, with `FileDescriptorName={name}` in that",
        given(names)
    )]
    NotHandedOver {
        /// Which listener.
        listener: String,
        /// The name.
        name: String,
        /// Those that were, and that nobody has taken.
        names: Vec<String>,
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

/// How a listener receives its clients: as configured, with what had to be read for that.
#[derive(Clone, Debug)]
pub struct Reception {
    listener: Listener,
    tls: Option<Tls>,
}

/// On which terms clients are served, until they are replaced by others.
#[derive(Debug)]
pub(crate) struct Terms {
    /// The listener's index in the topology of the metrics.
    pub(crate) index: usize,
    pub(crate) listener: Listener,
    pub(crate) tls: Option<Tls>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clients: Option<Arc<PerClient>>,
}

/// A listener with its socket, ready to accept.
#[derive(Debug)]
pub struct Door {
    address: ListenAddress,
    terms: ArcSwap<Terms>,
    /// Its closing, which comes with the end of the process at the latest.
    pub(crate) departure: Departure,
    /// One for each connection that there may be.
    pub(crate) slots: Slots,
    /// Whether it was closed because another has its socket.
    is_handed_on: AtomicBool,
    /// Until it is closed.
    bound: Mutex<Option<Bound>>,
}

/// A socket that clients are accepted from.
#[derive(Debug)]
pub(crate) enum Accepting {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Takes the socket of a listener from those that were handed over, or else binds its address.
///
/// # Errors
/// Says what is in the way, and what to do about it.
pub fn open(listener: &Listener, inherited: &Inherited) -> Result<Bound, DoorError> {
    if let Some(bound) = inherited.take(&listener.address) {
        return Ok(bound);
    }
    match &listener.address {
        ListenAddress::Tcp(address) => {
            Ok(Bound::Tcp(ports::bind(&format!("listener `{}`", listener.name), *address)?))
        }
        ListenAddress::Unix(path) => Ok(Bound::Unix(bind_unix(&listener.name, path)?)),
        ListenAddress::Activated(name) => Err(DoorError::NotHandedOver {
            listener: listener.name.clone(),
            name: name.clone(),
            names: inherited.names(),
        }),
    }
}

fn given(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(", only `{}`", names.join("`, `")) }
}

impl Reception {
    /// Reads what TLS needs.
    ///
    /// # Errors
    /// Says which listener, what is wrong, and what to do about it.
    pub fn prepare(listener: &Listener) -> Result<Self, DoorError> {
        let tls = listener.tls.as_ref().map(|it| Tls::new(it, listener.http2)).transpose();
        let tls = tls.map_err(|fault| DoorError::Tls {
            listener: listener.name.clone(),
            message: fault.to_string(),
        })?;
        Ok(Self { listener: listener.clone(), tls })
    }
}

impl Door {
    /// Opens a door at a socket. `index` is the listener's in the topology of `metrics`.
    pub fn new(
        bound: Bound,
        reception: Reception,
        index: usize,
        metrics: &Arc<Metrics>,
        departure: &Departure,
    ) -> Self {
        let limits = reception.listener.limits;
        let clients = limits.connections_per_client.map(PerClient::new);
        Self {
            address: reception.listener.address.clone(),
            terms: ArcSwap::from_pointee(Terms::new(reception, index, metrics, clients)),
            departure: departure.of_a_part(),
            slots: Slots::new(limits.connections),
            is_handed_on: AtomicBool::new(false),
            bound: Mutex::new(Some(bound)),
        }
    }

    /// Has clients received in another way from now on; of those that are connected, their next
    /// requests. `index` is the listener's in the topology of `metrics`.
    pub fn receive(&self, reception: Reception, index: usize, metrics: &Arc<Metrics>) {
        let limits = reception.listener.limits;
        self.slots.adjust(limits.connections);
        let clients = limits.connections_per_client.map(|most| match &self.terms().clients {
            Some(known) => {
                known.adjust(most);
                Arc::clone(known)
            }
            None => PerClient::new(most),
        });
        self.terms.store(Arc::new(Terms::new(reception, index, metrics, clients)));
    }

    /// Returns where it is.
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// Returns its name at present.
    pub fn name(&self) -> String {
        self.terms().listener.name.clone()
    }

    /// Returns its socket once more, for another door in its place; `None` when it is closed.
    ///
    /// # Errors
    /// When the process may have no more descriptors.
    pub fn socket(&self) -> io::Result<Option<Bound>> {
        self.lock().as_ref().map(Bound::try_clone).transpose()
    }

    /// Accepts nobody any more. Who is connected is served on, and told to go with the next response.
    pub fn close(&self) {
        self.departure.begin();
        drop(self.lock().take());
    }

    /// Closes it for another that has its socket, and takes in who waits there.
    pub fn hand_on(&self) {
        self.is_handed_on.store(true, Ordering::Release);
        self.close();
    }

    /// Tells whether another has its socket.
    pub(crate) fn is_handed_on(&self) -> bool {
        self.is_handed_on.load(Ordering::Acquire)
    }

    pub(crate) fn terms(&self) -> Arc<Terms> {
        self.terms.load_full()
    }

    /// Returns the socket, for the runtime that this is called in.
    pub(crate) fn accepting(&self) -> io::Result<Accepting> {
        match self.socket()? {
            Some(Bound::Tcp(socket)) => TcpListener::from_std(socket).map(Accepting::Tcp),
            Some(Bound::Unix(socket)) => UnixListener::from_std(socket).map(Accepting::Unix),
            None => Err(io::Error::other("it is closed")),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Bound>> {
        // A thread that panicked while it held the lock has left a socket or none.
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Terms {
    fn new(
        Reception { listener, tls }: Reception,
        index: usize,
        metrics: &Arc<Metrics>,
        clients: Option<Arc<PerClient>>,
    ) -> Self {
        Self { index, listener, tls, metrics: Arc::clone(metrics), clients }
    }

    /// Returns the bounds on the head of a request.
    pub(crate) fn limits(&self) -> Limits {
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

    /// Returns the next client's connection if one waits in the system's queue, whether that has been
    /// noticed yet or not.
    pub(crate) fn accept_queued(&self) -> Option<(Socket, Option<std::net::SocketAddr>)> {
        match self {
            Self::Tcp(socket) => {
                let (stream, peer) = SockRef::from(socket).accept().ok()?;
                let stream = std::net::TcpStream::from(stream);
                stream.set_nonblocking(true).ok()?;
                Some((Socket::tcp(TcpStream::from_std(stream).ok()?), peer.as_socket()))
            }
            Self::Unix(socket) => {
                let (stream, _) = SockRef::from(socket).accept().ok()?;
                let stream = std::os::unix::net::UnixStream::from(stream);
                stream.set_nonblocking(true).ok()?;
                Some((Socket::unix(UnixStream::from_std(stream).ok()?), None))
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
