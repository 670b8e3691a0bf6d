//! TLS towards clients: of the listeners, and of the sidecar.

pub(crate) mod certificates;

use std::sync::Arc;

use pingora::protocols::tls::SslDigest;
use pingora_rustls::TlsAcceptor;
use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    server::{ServerConnection, WebPkiClientVerifier, danger::ClientCertVerifier},
    version::{TLS12, TLS13},
};

use crate::{
    model::{ClientAuth, ListenerTls, TlsVersion},
    server_tls::certificates::{Certificates, chain},
};

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// A certificate or its key.
    #[error(transparent)]
    Certificate(#[from] certificates::Unusable),
    /// The certificates by which clients are judged.
    #[error("{}: {error}; it must hold the certificates of authorities", ca.display())]
    Authorities {
        /// Which file.
        ca: std::path::PathBuf,
        /// What is wrong with it.
        error: String,
    },
    /// The library.
    #[error("TLS: {0}")]
    Library(#[from] rustls::Error),
}

/// How TLS is spoken with the clients of one listener.
#[derive(Clone)]
pub struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) certificates: Arc<Certificates>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("certificates", &self.certificates).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads all that is needed.
    ///
    /// # Errors
    /// When a file cannot be read, or holds something else.
    pub fn new(tls: &ListenerTls, http2: bool) -> Result<Self, TlsFault> {
        let provider = Arc::new(ring::default_provider());
        let certificates =
            Arc::new(Certificates::load(tls.certificates.clone(), Arc::clone(&provider))?);
        let versions: &[&SupportedProtocolVersion] = match tls.min_version {
            TlsVersion::Tls12 => &[&TLS13, &TLS12],
            TlsVersion::Tls13 => &[&TLS13],
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)?;
        let builder = match &tls.client_auth {
            Some(auth) => builder.with_client_cert_verifier(verifier(auth, provider)?),
            None => builder.with_no_client_auth(),
        };
        let resolver: Arc<Certificates> = Arc::clone(&certificates);
        let mut config = builder.with_cert_resolver(resolver);
        if http2 {
            config.alpn_protocols.push(b"h2".to_vec());
        }
        config.alpn_protocols.push(b"http/1.1".to_vec());
        // Offered alone by clients that are told to speak it; without it nothing could be agreed on.
        config.alpn_protocols.push(b"http/1.0".to_vec());
        // Sessions are resumed by tickets, which cost no memory; their keys change by themselves.
        config.ticketer = ring::Ticketer::new()?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificates })
    }
}

fn verifier(
    auth: &ClientAuth,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsFault> {
    let fault = |error: String| TlsFault::Authorities { ca: auth.ca.clone(), error };
    let mut roots = RootCertStore::empty();
    for certificate in chain(&auth.ca)? {
        roots.add(certificate).map_err(|error| fault(error.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if auth.is_required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| fault(error.to_string()))
}

/// Tells Pingora what was agreed on.
pub(crate) fn digest(connection: &ServerConnection) -> SslDigest {
    let cipher = connection.negotiated_cipher_suite().and_then(|it| it.suite().as_str());
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(_) | None => "",
    };
    SslDigest::new(cipher.unwrap_or_default(), version, None, None, Vec::new())
}
