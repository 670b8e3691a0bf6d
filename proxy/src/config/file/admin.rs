//! The part of a configuration file that describes the sidecar, and who may do what there.

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{
    file::listener::Tls,
    units::{
        FilePath, Name,
        check::Text,
        http::{Host, Origin},
        net::Address,
    },
};

/// The sidecar: where state is read and changed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Admin {
    /// The IP address and port to listen on. One that other machines can reach needs somebody who
    /// can show a token or a certificate: `token_file`, `auth.tokens` or `auth.certificates`.
    pub(crate) address: Address,
    /// TLS. Without it, callers speak plain HTTP, and their tokens can be read on the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<Tls>,
    /// The file with the token of an operator, in plain. The audit trail calls whoever shows it
    /// `operator`. `bascule token new` makes one. A relative path starts at the folder of this file.
    /// When the file changes, the old token stops at once. `auth.tokens` gives each caller a token
    /// of its own, and keeps hashes only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<FilePath>,
    /// Who may do what.
    pub(crate) auth: Auth,
    /// Origins of web pages, beside the sidecar's own, that may change state and read the log.
    pub(crate) allow_origins: Vec<Origin>,
    /// Host names, beside `localhost`, IP addresses and those of `allow_origins`, by which the
    /// sidecar may be called without a token. A name that a stranger can own does not belong here.
    pub(crate) allow_hosts: Vec<Host>,
    /// What is kept of changes: who made them, from where, what was before and what after.
    pub(crate) audit: AuditTrail,
    /// Whether `POST /proxy/fail` does anything. For demonstrations and drills.
    pub(crate) fault_injection: bool,
    /// Bounds on the live log.
    pub(crate) log_stream: LogStream,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            address: Address(([127, 0, 0, 1], 9901).into()),
            tls: None,
            token_file: None,
            auth: Auth::default(),
            allow_origins: Vec::new(),
            allow_hosts: Vec::new(),
            audit: AuditTrail::default(),
            fault_injection: false,
            log_stream: LogStream::default(),
        }
    }
}

/// Who may do what. A viewer reads; an operator changes state, too.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Auth {
    /// What callers may do who show neither token nor certificate. Even viewers of this kind do not
    /// get to see the log, the audit trail and the configuration where somebody has a token.
    pub(crate) anonymous: Anonymous,
    /// What such callers may do when they are on this machine.
    pub(crate) local: Local,
    /// Callers that show a token of their own.
    #[schemars(length(max = 64))]
    pub(crate) tokens: Vec<NamedToken>,
    /// Callers that show a certificate; `tls.client_auth` says whose certificates are accepted.
    #[schemars(length(max = 64))]
    pub(crate) certificates: Vec<NamedCertificate>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Anonymous {
    /// They read.
    #[default]
    Viewer,
    /// They learn whether the process lives and is ready, and nothing else.
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Local {
    /// They change state: whoever can run a program on this machine is trusted.
    #[default]
    Operator,
    /// They read.
    Viewer,
    /// No more than callers from elsewhere.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Reads.
    Viewer,
    /// Changes state, too.
    Operator,
}

/// A caller that shows a token. The proxy knows the token's SHA-256 only; `bascule token new` prints
/// both. Hashes are read again when the configuration is, and when their file changes: the old token
/// stops at once. Needs exactly one of `sha256_file` and `sha256_env`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedToken {
    /// What the audit trail calls the caller. Unique.
    pub(crate) name: Name,
    /// What the caller may do.
    pub(crate) role: Role,
    /// The file with the hash, in hexadecimal or base64. A relative path starts at the folder of this
    /// file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256_file: Option<FilePath>,
    /// The variable of the environment that holds the hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256_env: Option<Name>,
}

/// A caller that shows a certificate.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedCertificate {
    /// A name that the certificate bears: a DNS name, a URI or an e-mail address among its alternative
    /// names; of a certificate without any, the common name. The audit trail calls the caller so. The
    /// first that fits counts.
    pub(crate) name: Text,
    /// What the caller may do.
    pub(crate) role: Role,
}

/// What is kept of changes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AuditTrail {
    /// Most recent changes that `GET /audit` shows, and beside them as many that were refused. They
    /// are in memory, and end with the process.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) keep: NonZeroU16,
    /// The file that every change is appended to as a JSON object in a line of its own. It may be
    /// renamed at any time: a new one is begun. A relative path starts at the folder of this file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<FilePath>,
}

impl Default for AuditTrail {
    fn default() -> Self {
        Self { keep: const { NonZeroU16::MIN.saturating_add(999) }, file: None }
    }
}

/// Bounds on the live log.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogStream {
    /// Recent lines kept, and lines that may wait for one slow reader.
    #[schemars(range(min = 1, max = 50_000))]
    pub(crate) buffer: NonZeroU16,
    /// Readers at a time.
    #[schemars(range(min = 1, max = 1024))]
    pub(crate) clients: NonZeroU16,
}

impl Default for LogStream {
    fn default() -> Self {
        const BUFFER: NonZeroU16 = NonZeroU16::MIN.saturating_add(999);
        const CLIENTS: NonZeroU16 = NonZeroU16::MIN.saturating_add(31);
        Self { buffer: BUFFER, clients: CLIENTS }
    }
}
