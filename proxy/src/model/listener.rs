//! Listeners: where clients connect, and what they may do before a request of theirs is looked at.

use std::{fmt, net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use ipnet::IpNet;

/// An address on which clients are accepted.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Unique name, also a metric label.
    pub name: String,
    /// The address to bind.
    pub address: ListenAddress,
    /// Peers whose `X-Forwarded-*` headers and PROXY headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether connections begin with who the client is.
    pub proxy_protocol: ProxyProtocol,
    /// Whether HTTP/2 is spoken: by ALPN over TLS, with prior knowledge without.
    pub http2: bool,
    /// TLS, if it is spoken.
    pub tls: Option<ListenerTls>,
    /// Bounds on what clients may take.
    pub limits: ListenerLimits,
    /// Bounds on how long clients may take.
    pub timeouts: ListenerTimeouts,
    /// What clients are told of the trouble there was.
    pub proxy_status: ProxyStatusPolicy,
}

impl Listener {
    /// Returns where anybody can ask it over plain HTTP, if there is such an address.
    pub fn plain_address(&self) -> Option<SocketAddr> {
        let is_plain = self.tls.is_none() && self.proxy_protocol != ProxyProtocol::Require;
        self.address.tcp().filter(|_| is_plain)
    }
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListenAddress {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
    /// A socket that the service manager has opened, by its name there.
    Activated(String),
}

impl ListenAddress {
    /// Returns the IP address and port, if it is such an address.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) | Self::Activated(_) => None,
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Activated(name) => write!(f, "systemd:{name}"),
        }
    }
}

/// Whether connections begin with a PROXY header, which tells who the client is. Only trusted peers
/// are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// They do not.
    None,
    /// Those of trusted peers may.
    Accept,
    /// All must, and only trusted peers may connect.
    Require,
}

/// How TLS is spoken with clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// The oldest version.
    pub min_version: TlsVersion,
    /// At least one; the first is for clients that name no host, or one that no certificate bears.
    pub certificates: Vec<CertificateFiles>,
    /// Whether clients show certificates.
    pub client_auth: Option<ClientAuth>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// Where a certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM: the certificate and those between it and its root.
    pub cert: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
}

/// Whether clients show certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuth {
    /// Whether a client without one is refused.
    pub is_required: bool,
    /// PEM: whose signatures are accepted.
    pub ca: PathBuf,
}

/// Bounds on what clients may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Connections at a time; others wait until one ends.
    pub connections: NonZeroU32,
    /// Connections of one client address at a time; others are closed.
    pub connections_per_client: Option<NonZeroU32>,
    /// Longest head of a request, in bytes.
    pub head: usize,
    /// Most headers of a request.
    pub headers: usize,
    /// Longest target of a request, in bytes.
    pub target: usize,
    /// Fewest bytes a second that a client sends of a body, or takes of a response, while it is
    /// waited for; zero for none.
    pub min_rate: usize,
}

/// Bounds on how long clients may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerTimeouts {
    /// For a PROXY header and for TLS to be agreed on.
    pub handshake: Duration,
    /// From the first byte of a request to the end of its head.
    pub head: Duration,
    /// Between requests.
    pub idle: Duration,
}

/// What `Proxy-Status` (RFC 9209) tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyStatusPolicy {
    /// The answers that bear it.
    pub answers: ProxyStatusAnswers,
    /// Whether it names the address of the backend that was asked last.
    pub backend_address: bool,
}

/// The answers that bear `Proxy-Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyStatusAnswers {
    /// None.
    None,
    /// The proxy's own errors.
    Errors,
    /// Those, and answers of backends that came only after a retry.
    Retries,
}

#[cfg(test)]
pub(crate) fn sample(name: &str, address: SocketAddr) -> Listener {
    Listener {
        name: name.to_owned(),
        address: ListenAddress::Tcp(address),
        trusted_proxies: Vec::new(),
        proxy_protocol: ProxyProtocol::None,
        http2: true,
        tls: None,
        limits: ListenerLimits {
            connections: NonZeroU32::MAX,
            connections_per_client: None,
            head: 32 << 10,
            headers: 100,
            target: 8 << 10,
            min_rate: 240,
        },
        timeouts: ListenerTimeouts {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
        },
        proxy_status: ProxyStatusPolicy {
            answers: ProxyStatusAnswers::Errors,
            backend_address: false,
        },
    }
}
