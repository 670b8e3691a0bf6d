//! How a backend is reached: where, and by what means.

use std::{fmt, net::SocketAddr, path::PathBuf};

use crate::model::listener::TlsVersion;

/// Where a backend is, as configured.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BackendAddress {
    /// At a port of a host.
    Tcp {
        /// Whether TLS is spoken; the host is then also the name that the certificate must bear,
        /// unless the pool names another.
        tls: bool,
        /// A host name or an IP address (IPv6 without brackets).
        host: String,
        /// TCP port.
        port: u16,
    },
    /// At a Unix socket of this machine, by its absolute path.
    Unix(PathBuf),
}

impl BackendAddress {
    /// Tells whether TLS is spoken.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tcp { tls: true, .. })
    }

    /// Returns the `Host` of requests that no client has named one for: `host:port`, with brackets
    /// around an IPv6 address.
    pub fn authority(&self) -> String {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port, .. } => format!("{host}:{port}"),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }

    /// Returns where the backend is, whatever is spoken there: two backends that share it are one.
    pub fn location(&self) -> String {
        match self {
            Self::Tcp { .. } => self.authority(),
            Self::Unix(_) => self.to_string(),
        }
    }

    /// Returns where the backend is reached, if no name needs to be looked up for it.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Tcp { host, port, .. } => {
                Some(Place::Ip(SocketAddr::new(host.parse().ok()?, *port)))
            }
            Self::Unix(path) => Some(Place::Unix(path.clone())),
        }
    }
}

impl fmt::Display for BackendAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { tls: true, .. } => write!(f, "https://{}", self.authority()),
            Self::Tcp { tls: false, .. } => write!(f, "http://{}", self.authority()),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Where a backend is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Over TCP.
    Ip(SocketAddr),
    /// At a Unix socket.
    Unix(PathBuf),
}

/// What is asked of backends that speak TLS, and shown to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendTls {
    /// Whether a backend's certificate is checked: who signed it, when it is valid, whose it is.
    pub verify: bool,
    /// Certificates of those whose signature is accepted; the system's, where there is none.
    pub ca: Option<PathBuf>,
    /// What the proxy shows of itself.
    pub identity: Option<ClientIdentity>,
    /// The name asked for and checked, in place of each URL's host.
    pub server_name: Option<String>,
    /// The oldest version spoken.
    pub min_version: TlsVersion,
}

impl Default for BackendTls {
    fn default() -> Self {
        let (verify, min_version) = (true, TlsVersion::Tls12);
        Self { verify, ca: None, identity: None, server_name: None, min_version }
    }
}

/// Where the proxy's own certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate, then those that lead from it to one that the backend trusts.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// How backends are told who connects (the PROXY protocol).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyVersion {
    /// Version 1: a line of text.
    V1,
    /// Version 2: binary.
    V2,
}
