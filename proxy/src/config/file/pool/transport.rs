//! The part of a configuration file that describes how backends are reached.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{
    file::listener::TlsVersion,
    units::{FilePath, http::Host},
};

/// What is asked of backends with an `https` URL, and shown to them.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tls {
    /// Whether a backend's certificate is checked. With `false` anybody on the way can read and
    /// change what is said.
    pub(crate) verify: bool,
    /// File with the certificates, in PEM, of those whose signature is accepted, instead of those
    /// that the system trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<FilePath>,
    /// File with the proxy's own certificate, in PEM, for backends that ask for one; those that
    /// lead to one that they trust come after it. Together with `key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cert: Option<FilePath>,
    /// File with the private key of `cert`, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<FilePath>,
    /// The name that is asked for (SNI) and that the certificate must bear, for all backends of the
    /// pool. By default, the host of each URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_name: Option<Host>,
    /// The oldest version spoken.
    pub(crate) min_version: TlsVersion,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            verify: true,
            ca: None,
            cert: None,
            key: None,
            server_name: None,
            min_version: TlsVersion::default(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProxyProtocol {
    /// They are not.
    #[default]
    None,
    /// A line of text before the first request: version 1 of the PROXY protocol.
    V1,
    /// The same in binary: version 2.
    V2,
}
