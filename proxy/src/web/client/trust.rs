//! Whom a client trusts, and what it shows of itself, when it speaks TLS.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use pingora_rustls::load_platform_certs_incl_env_into_store;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};

/// Whom a client trusts, and what it shows of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// PEM: whose signatures are accepted, in place of the system's authorities.
    pub ca: Option<PathBuf>,
    /// PEM: the client's own certificate with those between it and its root, and its private key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// What TLS needs cannot be had. Says nothing of what a key holds.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file cannot be read.
    #[error("cannot read {}: {kind}; check the path, and that you may read it", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        kind: io::ErrorKind,
    },
    /// A file holds something else.
    #[error("{} holds no {what} in PEM", path.display())]
    NoPem {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// Certificate and key do not fit, or an authority cannot be one.
    #[error("{}: {reason}", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// In the library's words.
        reason: String,
    },
    /// The system's authorities cannot be read.
    #[error("the system's certificate authorities cannot be read: {0}; name one with --ca")]
    NoAuthorities(String),
}

/// Returns what a client needs that speaks no TLS.
pub(crate) fn none() -> ClientConfig {
    builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth()
}

fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    match builder.with_safe_default_protocol_versions() {
        Ok(builder) => builder,
        // The provider has suites for both versions, or it would not be one.
        Err(error) => unreachable!("ring speaks TLS: {error}"),
    }
}

impl Trust {
    /// Reads what is needed.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, TrustError> {
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(path) => {
                for certificate in certificates(path)? {
                    let unusable = |error: rustls::Error| TrustError::Unusable {
                        path: path.clone(),
                        reason: error.to_string(),
                    };
                    roots.add(certificate).map_err(unusable)?;
                }
            }
            None => load_platform_certs_incl_env_into_store(&mut roots)
                .map_err(|error| TrustError::NoAuthorities(error.to_string()))?,
        }
        let builder = builder().with_root_certificates(roots);
        let Some((cert, key)) = &self.identity else { return Ok(builder.with_no_client_auth()) };
        let chain = certificates(cert)?;
        let secret =
            PrivateKeyDer::from_pem_file(key).map_err(|e| fault(key, &e, "private key"))?;
        builder
            .with_client_auth_cert(chain, secret)
            .map_err(|error| TrustError::Unusable { path: key.clone(), reason: error.to_string() })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found: Vec<_> = found.map_err(|error| fault(path, &error, "certificate"))?;
    if found.is_empty() {
        return Err(TrustError::NoPem { path: path.to_owned(), what: "certificate" });
    }
    Ok(found)
}

fn fault(path: &Path, error: &pem::Error, what: &'static str) -> TrustError {
    let path = path.to_owned();
    if let pem::Error::Io(error) = error {
        TrustError::Unreadable { path, kind: error.kind() }
    } else {
        TrustError::NoPem { path, what }
    }
}
