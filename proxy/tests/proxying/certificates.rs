//! Certificates for tests, and a door of TLS in front of what speaks without.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use pingora_rustls::TlsAcceptor;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    HandshakeKind, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{io::copy_bidirectional, net::TcpStream};

use crate::{proxy::folder, stub::Stub};

/// An authority, and what it has signed, in files.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) folder: PathBuf,
    pub(crate) ca: PathBuf,
}

/// A certificate and its key.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = folder();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, format!("authority {:08x}", fastrand::u32(..)));
        let key = KeyPair::generate().unwrap();
        let ca = folder.join("ca.pem");
        fs::write(&ca, params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), folder, ca }
    }

    /// Signs that somebody bears this name.
    pub(crate) fn sign(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let place = |end: &str| self.folder.join(format!("{name}.{end}.pem"));
        let identity = Identity { cert: place("cert"), key: place("key") };
        fs::write(&identity.cert, signed.pem()).unwrap();
        fs::write(&identity.key, key.serialize_pem()).unwrap();
        identity
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.folder);
    }
}

/// How a connection came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(crate) server_name: Option<String>,
    pub(crate) protocol: Option<Vec<u8>>,
    pub(crate) is_resumed: bool,
    pub(crate) is_known_client: bool,
}

/// What a door insists on.
#[derive(Clone, Debug)]
pub(crate) struct Terms<'t> {
    pub(crate) versions: &'static [&'static SupportedProtocolVersion],
    /// Whose signature a client's certificate must bear.
    pub(crate) clients: Option<&'t Path>,
    pub(crate) protocols: &'t [&'t [u8]],
}

impl Default for Terms<'_> {
    fn default() -> Self {
        Self { versions: rustls::ALL_VERSIONS, clients: None, protocols: &[b"h2", b"http/1.1"] }
    }
}

/// A door of TLS: what comes through it is passed on without.
pub(crate) struct Door {
    pub(crate) stub: Stub,
    agreed: Arc<Mutex<Vec<Agreed>>>,
}

impl Door {
    pub(crate) async fn new(identity: &Identity, terms: Terms<'_>, to: SocketAddr) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(settings(identity, &terms)));
        let agreed: Arc<Mutex<Vec<Agreed>>> = Arc::default();
        let seen = Arc::clone(&agreed);
        let stub = Stub::serving(move |stream| {
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let session = stream.get_ref().1;
                seen.lock().unwrap().push(Agreed {
                    server_name: session.server_name().map(str::to_owned),
                    protocol: session.alpn_protocol().map(<[u8]>::to_vec),
                    is_resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
                    is_known_client: session.peer_certificates().is_some(),
                });
                let Ok(mut onward) = TcpStream::connect(to).await else { return };
                _ = copy_bidirectional(&mut stream, &mut onward).await;
            }
        })
        .await;
        Self { stub, agreed }
    }

    /// The port at which it is, under the name `localhost`.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.stub.addr.port())
    }

    pub(crate) fn agreed(&self) -> Vec<Agreed> {
        self.agreed.lock().unwrap().clone()
    }
}

fn settings(identity: &Identity, terms: &Terms<'_>) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(terms.versions)
        .unwrap();
    let builder = match terms.clients {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let chain = CertificateDer::pem_file_iter(&identity.cert).unwrap().map(Result::unwrap);
    let key = PrivateKeyDer::from_pem_file(&identity.key).unwrap();
    let mut settings = builder.with_single_cert(chain.collect(), key).unwrap();
    settings.alpn_protocols = terms.protocols.iter().map(|it| it.to_vec()).collect();
    settings
}
