//! The sidecar: where it listens, and who may do what there.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf};

use crate::model::ListenerTls;

/// The sidecar: where state is read and changed.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The address to bind.
    pub address: SocketAddr,
    /// TLS, if it is spoken.
    pub tls: Option<ListenerTls>,
    /// Where the token of an operator without a name of its own is read from.
    pub token_file: Option<PathBuf>,
    /// Who may do what.
    pub auth: Auth,
    /// Origins of web pages, beside the sidecar's own, that may change state.
    pub allow_origins: Vec<String>,
    /// Names, lower case and without port, by which the sidecar may be called.
    pub allow_hosts: Vec<String>,
    /// What is kept of changes.
    pub audit: AuditTrail,
    /// Whether faults may be injected.
    pub fault_injection: bool,
    /// The live log.
    pub log_stream: LogStreamLimits,
}

/// What somebody may do; each includes the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Read.
    Viewer,
    /// Change state.
    Operator,
}

/// Who may do what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Auth {
    /// What whoever shows nothing may do.
    pub anonymous: Option<Role>,
    /// What whoever shows nothing may do who is on this machine.
    pub local: Option<Role>,
    /// Who shows a token.
    pub tokens: Vec<NamedToken>,
    /// Who shows a client's certificate.
    pub certificates: Vec<NamedCertificate>,
}

/// Somebody who shows a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedToken {
    /// Unique; what the audit trail calls them.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Where the token's hash is.
    pub hash: HashSource,
}

/// Where the SHA-256 of a token is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashSource {
    /// A file.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
}

/// Somebody who shows a client's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedCertificate {
    /// A name that the certificate bears; what the audit trail calls them.
    pub name: String,
    /// What they may do.
    pub role: Role,
}

/// What is kept of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditTrail {
    /// Changes kept in memory; refused ones beside as many others.
    pub keep: NonZeroUsize,
    /// The file that each is appended to, if there is one.
    pub file: Option<PathBuf>,
}

/// Bounds on the live log.
#[derive(Clone, Copy, Debug)]
pub struct LogStreamLimits {
    /// Recent lines kept, and lines that may wait for one slow reader.
    pub buffer: NonZeroUsize,
    /// Readers at a time.
    pub clients: NonZeroUsize,
}
