//! The part of a configuration file that describes a listener.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::units::{
    FilePath,
    duration::Length,
    net::{Listen, Network},
    size::Size,
};

/// An address on which clients are accepted.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listener {
    /// The IP address and port to listen on, or `unix:` and the path of a socket, or `systemd:` and
    /// the `FileDescriptorName` of a socket unit, which keeps the address open while the service
    /// restarts. `0.0.0.0` means all addresses of the machine.
    pub(crate) address: Listen,
    /// Peers whose `X-Forwarded-*` headers and PROXY headers are believed; from all others they are
    /// replaced or refused.
    #[serde(default)]
    pub(crate) trusted_proxies: Vec<Network>,
    /// Whether connections begin with a PROXY header, version 1 or 2, which tells who the client
    /// is.
    #[serde(default)]
    pub(crate) proxy_protocol: ProxyProtocol,
    /// Whether clients may speak HTTP/2: over TLS by ALPN, without TLS with prior knowledge.
    #[serde(default = "Listener::default_http2")]
    pub(crate) http2: bool,
    /// TLS. Without it, clients speak plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<Tls>,
    /// Bounds on what clients may take.
    #[serde(default)]
    pub(crate) limits: ListenerLimits,
    /// Bounds on how long clients may take.
    #[serde(default)]
    pub(crate) timeouts: ListenerTimeouts,
    /// The header `Proxy-Status` (RFC 9209), which tells programs what went wrong between the proxy
    /// and its backends.
    #[serde(default)]
    pub(crate) proxy_status: ProxyStatus,
}

impl Listener {
    pub(crate) fn default_http2() -> bool {
        true
    }

    /// A listener on this address with everything else as it is by default.
    pub(crate) fn plain(address: Listen) -> Self {
        Self {
            address,
            trusted_proxies: Vec::new(),
            proxy_protocol: ProxyProtocol::default(),
            http2: Self::default_http2(),
            tls: None,
            limits: ListenerLimits::default(),
            timeouts: ListenerTimeouts::default(),
            proxy_status: ProxyStatus::default(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProxyProtocol {
    /// They do not.
    #[default]
    None,
    /// Those of `trusted_proxies` may.
    Accept,
    /// All must, and only `trusted_proxies` may connect.
    Require,
}

/// TLS towards clients.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// Certificates with their keys. Each client gets the first that bears the host it names
    /// (`*.example.com` bears one label more); one that names none, or another, gets the first of
    /// all. Changed files are read again within seconds.
    #[schemars(length(min = 1))]
    pub(crate) certificates: Vec<Certificate>,
    /// The oldest version of TLS that clients may speak.
    #[serde(default)]
    pub(crate) min_version: TlsVersion,
    /// Whether clients show certificates of their own. Backends then get the header
    /// `X-Forwarded-Client-Cert`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_auth: Option<ClientAuth>,
}

/// A certificate with its key, in PEM files. Relative paths start at the folder of this file.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Certificate {
    /// The certificate, and those between it and its root.
    pub(crate) cert: FilePath,
    /// Its private key.
    pub(crate) key: FilePath,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) enum TlsVersion {
    /// TLS 1.2.
    #[default]
    #[serde(rename = "tls1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "tls1.3")]
    Tls13,
}

/// Whether clients show certificates.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientAuth {
    /// Whether they must.
    #[serde(default)]
    pub(crate) mode: ClientAuthMode,
    /// The certificates, in a PEM file, whose signatures are accepted.
    pub(crate) ca: FilePath,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientAuthMode {
    /// A client without a certificate is refused.
    #[default]
    Required,
    /// A client without a certificate is served; one with a wrong certificate is refused.
    Optional,
}

/// Bounds on what clients may take.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ListenerLimits {
    /// Connections at a time. Beyond, clients wait until a connection ends.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) connections: NonZeroU32,
    /// Connections at a time of one client address, or of one IPv6 network of 64 bits. Further ones
    /// are closed. Without it, any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) connections_per_client: Option<NonZeroU32>,
    /// Longest head of a request: its first line and headers. Longer ones are answered with 431. So are
    /// trailers that are longer.
    pub(crate) head: Size,
    /// Most headers of a request, and most trailers. More are answered with 431.
    #[schemars(range(min = 1, max = 250))]
    pub(crate) headers: NonZeroU32,
    /// Longest target of a request: path and query. Longer ones are answered with 414.
    pub(crate) target: Size,
    /// Bytes a second that a client must at least send of a body, and take of a response, while it
    /// is waited for; half a minute is granted in any case. `0B`: no such bound.
    pub(crate) min_rate: Size,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            connections: const { NonZeroU32::MIN.saturating_add(19_999) },
            connections_per_client: None,
            head: Size::kibibytes(32),
            headers: const { NonZeroU32::MIN.saturating_add(99) },
            target: Size::kibibytes(8),
            min_rate: Size(240),
        }
    }
}

/// Bounds on how long clients may take.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ListenerTimeouts {
    /// Until a PROXY header has come and TLS is agreed on.
    pub(crate) handshake: Length,
    /// From the first byte of a request to the end of its head. Later ones are answered with 408.
    pub(crate) head: Length,
    /// How long a connection is kept without a request. Longer than backends and proxies in front
    /// keep theirs, so that they close first.
    pub(crate) idle: Length,
}

impl Default for ListenerTimeouts {
    fn default() -> Self {
        Self {
            handshake: Length::seconds(10),
            head: Length::seconds(10),
            idle: Length::seconds(60),
        }
    }
}

/// What the header `Proxy-Status` tells.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ProxyStatus {
    /// The answers that bear it.
    pub(crate) answers: ProxyStatusAnswers,
    /// Whether it names the IP address of the backend that was asked last. Clients then learn where
    /// backends are.
    pub(crate) backend_address: bool,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProxyStatusAnswers {
    /// None.
    None,
    /// The proxy's own errors.
    #[default]
    Errors,
    /// Those, and answers of backends that came only after a retry.
    Retries,
}
