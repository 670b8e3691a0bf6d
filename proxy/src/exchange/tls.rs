//! TLS towards backends: what is checked of them and shown to them, made once for each pool.
//!
//! One set of settings serves all connections of a pool, so that sessions are resumed across them
//! (RFC 8446 §2.2): a new connection then costs no signature and no certificates.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use pingora_rustls::load_platform_certs_incl_env_into_store;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, InconsistentKeys, RootCertStore,
    SignatureScheme, SupportedProtocolVersion,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, UnixTime,
        pem::{self, PemObject},
    },
    version::{TLS12, TLS13},
};

use crate::model::{BackendAddress, BackendTls, ClientIdentity, Pool, Protocol, TlsVersion};

/// Longer than every bundle of certificates that systems come with.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Why a pool's backends cannot be spoken with over TLS. Says nothing of what a key holds.
#[derive(Debug, thiserror::Error)]
#[error("pools.{pool}.tls: {fault}")]
pub struct TlsError {
    /// The pool's name.
    pool: String,
    fault: Fault,
}

/// What is wrong with the settings of a pool.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(
        "cannot read {path}, which `{key}` names: {kind}; \
         check the path, and that this user may read it"
    )]
    Unreadable { key: &'static str, path: PathBuf, kind: io::ErrorKind },
    #[error(
        "{path}, which `{key}` names, holds no certificate; \
         it must be in PEM, between BEGIN CERTIFICATE and END CERTIFICATE"
    )]
    NoCertificate { key: &'static str, path: PathBuf },
    #[error("{path}, which `{key}` names, holds a certificate that is damaged: {reason}")]
    BadCertificate { key: &'static str, path: PathBuf, reason: String },
    #[error(
        "{path}, which `key` names, holds no private key; \
         it must be in PEM, without a pass phrase, between BEGIN PRIVATE KEY and END PRIVATE KEY"
    )]
    NoKey { path: PathBuf },
    #[error("{path}, which `key` names, holds a private key that cannot be used: {reason}")]
    BadKey { path: PathBuf, reason: String },
    #[error(
        "the private key in {key} is not that of the certificate in {cert}; \
         name two that were made together, the proxy's own certificate first in its file"
    )]
    Mismatch { cert: PathBuf, key: PathBuf },
    #[error(
        "this system has no certificates to trust ({reason}); \
         install them, usually as the package `ca-certificates`, or name a file with `ca`"
    )]
    NoRoots { reason: String },
    #[error("`{name}` cannot be the name in a certificate; set `server_name`")]
    BadName { name: String },
    #[error("TLS cannot be set up: {0}")]
    Unusable(String),
}

/// TLS as a pool's backends are spoken with.
#[derive(Debug)]
pub(crate) struct PoolTls {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    /// Indexed as the pool's backends; `None` for those without TLS.
    names: Vec<Option<ServerName<'static>>>,
}

/// TLS as one connection speaks it.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionTls {
    pub(crate) settings: Arc<ClientConfig>,
    /// Whose certificate is expected.
    pub(crate) name: ServerName<'static>,
}

impl PoolTls {
    /// Reads what `pool` needs; `None` where no backend speaks TLS.
    pub(crate) fn load(pool: &Pool) -> Result<Option<Self>, TlsError> {
        if !pool.backends.iter().any(|backend| backend.address.is_tls()) {
            return Ok(None);
        }
        let made = (|| {
            let names = pool.backends.iter().map(|it| name_of(&it.address, &pool.tls));
            let names = names.collect::<Result<_, _>>()?;
            let settings = settings(&pool.tls)?;
            let offering = |protocol: &[u8]| {
                let mut settings = settings.clone();
                settings.alpn_protocols = vec![protocol.to_vec()];
                Arc::new(settings)
            };
            Ok(Self { http1: offering(b"http/1.1"), http2: offering(b"h2"), names })
        })();
        made.map(Some).map_err(|fault| TlsError { pool: pool.name.clone(), fault })
    }

    /// Returns how TLS is spoken with the backend of that index; `None` if it is not.
    pub(crate) fn of(&self, index: usize, protocol: Protocol) -> Option<ConnectionTls> {
        let name = self.names[index].clone()?;
        let settings = Arc::clone(match protocol {
            Protocol::Http1 => &self.http1,
            Protocol::Http2 => &self.http2,
        });
        Some(ConnectionTls { settings, name })
    }
}

fn name_of(
    address: &BackendAddress,
    tls: &BackendTls,
) -> Result<Option<ServerName<'static>>, Fault> {
    let BackendAddress::Tcp { tls: true, host, .. } = address else { return Ok(None) };
    let name = tls.server_name.as_ref().unwrap_or(host);
    let bare = name.trim_start_matches('[').trim_end_matches(']').to_owned();
    ServerName::try_from(bare).map(Some).map_err(|_| Fault::BadName { name: name.clone() })
}

fn settings(tls: &BackendTls) -> Result<ClientConfig, Fault> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions(tls.min_version))
        .map_err(|error| Fault::Unusable(error.to_string()))?;
    let builder = if tls.verify {
        builder.with_root_certificates(roots(tls)?)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody::new(&provider)))
    };
    match &tls.identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => {
            let certificates = certificates("cert", &identity.cert)?;
            builder
                .with_client_auth_cert(certificates, private_key(&identity.key)?)
                .map_err(|error| unfit(identity, &error))
        }
    }
}

fn versions(oldest: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static SPOKEN: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    match oldest {
        TlsVersion::Tls12 => &SPOKEN,
        TlsVersion::Tls13 => &SPOKEN[..1],
    }
}

fn roots(tls: &BackendTls) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    let Some(path) = &tls.ca else {
        let loaded = load_platform_certs_incl_env_into_store(&mut roots);
        let reason = match loaded {
            Err(error) => error.to_string(),
            Ok(()) if roots.is_empty() => "there is none".to_owned(),
            Ok(()) => return Ok(roots),
        };
        return Err(Fault::NoRoots { reason });
    };
    for certificate in certificates("ca", path)? {
        roots.add(certificate).map_err(|error| Fault::BadCertificate {
            key: "ca",
            path: path.clone(),
            reason: error.to_string(),
        })?;
    }
    Ok(roots)
}

/// Reads the certificates of a file; at least one.
fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let bytes = read(key, path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let all = all.map_err(|error| Fault::BadCertificate {
        key,
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    if all.is_empty() {
        return Err(Fault::NoCertificate { key, path: path.to_owned() });
    }
    Ok(all)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Fault> {
    let bytes = read("key", path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        let path = path.to_owned();
        if matches!(error, pem::Error::NoItemsFound) {
            return Fault::NoKey { path };
        }
        // Not in the words of the library, which could show what the file holds.
        Fault::BadKey { path, reason: "it is not whole".to_owned() }
    })
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let file = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
    match file {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Fault::Unreadable { key, path: path.to_owned(), kind: error.kind() }),
    }
}

/// Says why a certificate and a key cannot be used together.
fn unfit(identity: &ClientIdentity, error: &Error) -> Fault {
    let ClientIdentity { cert, key } = identity.clone();
    if matches!(error, Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) {
        return Fault::Mismatch { cert, key };
    }
    if matches!(error, Error::InvalidCertificate(CertificateError::BadEncoding)) {
        let reason = "it is not a certificate of X.509".to_owned();
        return Fault::BadCertificate { key: "cert", path: cert, reason };
    }
    Fault::BadKey { path: key, reason: error.to_string() }
}

/// Accepts every certificate, but only from who has its key.
#[derive(Debug)]
struct Anybody {
    algorithms: WebPkiSupportedAlgorithms,
}

impl Anybody {
    fn new(provider: &CryptoProvider) -> Self {
        Self { algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
