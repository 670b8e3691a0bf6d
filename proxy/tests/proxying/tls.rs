//! TLS towards clients: certificates by name, read again when they change, and clients' own.

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use pingora_rustls::{
    CertificateDer, ClientConfig, ClientTlsStream, PrivateKeyDer, RootCertStore, ServerName,
    TlsConnector,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    client::{soon, until},
    proxy::{Proxy, folder},
    setup::{Setup, backend},
};

const REQUEST: &[u8] = b"GET /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

/// An authority that signs what is needed.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, in PEM.
struct Signed {
    cert: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn sign(&self, names: &[&str]) -> Signed {
        let names: Vec<String> = names.iter().map(|it| (*it).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        Signed { cert: cert.pem(), key: key.serialize_pem() }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }
}

impl Signed {
    /// Writes both files. Returns what a configuration says of them.
    fn put(&self, folder: &Path, name: &str) -> Value {
        let (cert, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        fs::write(&cert, &self.cert).unwrap();
        fs::write(&key, &self.key).unwrap();
        json!({ "cert": cert, "key": key })
    }
}

/// A client that trusts this authority, offers these protocols, and may show a certificate.
fn connector(authority: &Authority, offered: &[&str], shown: Option<&Signed>) -> TlsConnector {
    use rustls::pki_types::pem::PemObject as _;

    pingora_rustls::install_default_crypto_provider();
    let builder = ClientConfig::builder().with_root_certificates(authority.roots());
    let mut config = match shown {
        Some(signed) => {
            let cert = CertificateDer::from_pem_slice(signed.cert.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![cert], key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = offered.iter().map(|it| it.as_bytes().to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

async fn connected(
    connector: &TlsConnector,
    name: &str,
    address: SocketAddr,
) -> std::io::Result<ClientTlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    soon(connector.connect(ServerName::try_from(name.to_owned()).unwrap(), stream)).await
}

/// One request; what is answered, as far as it comes.
async fn asked(
    connector: &TlsConnector,
    name: &str,
    address: SocketAddr,
) -> Result<String, String> {
    let stream = connected(connector, name, address).await;
    let mut stream = stream.map_err(|error| error.to_string())?;
    stream.write_all(REQUEST).await.map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    match soon(stream.read_to_end(&mut answer)).await {
        Ok(_) => Ok(String::from_utf8_lossy(&answer).into_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The certificate that the proxy shows to who asks for this name, whoever has signed it.
async fn shown(authority: &Authority, name: &str, address: SocketAddr) -> Vec<u8> {
    let stream = connected(&connector(authority, &[], None), name, address).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

async fn started(tls: Value) -> (bascule_backend::Running, Proxy) {
    let backend = backend("a");
    let proxy = Setup::tiers(&[&backend]).with("listeners.public.tls", tls).start().await;
    (backend, proxy)
}

#[tokio::test]
async fn a_certificate_is_chosen_by_the_name_that_is_asked_for() {
    let (authority, folder) = (Authority::new(), folder());
    let first = authority.sign(&["first.example", "other.test"]).put(&folder, "first");
    let wild = authority.sign(&["*.wild.example"]).put(&folder, "wild");
    let (_backend, proxy) = started(json!({ "certificates": [first, wild] })).await;
    let plain = connector(&authority, &["http/1.1"], None);
    for name in ["first.example", "FIRST.example", "a.wild.example", "other.test"] {
        let answer = asked(&plain, name, proxy.public).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{name}: {answer}");
        assert!(answer.contains(r#"["x-forwarded-proto","https"]"#), "{answer}");
    }
    // The default for all others, which the client then refuses.
    assert!(asked(&plain, "a.b.wild.example", proxy.public).await.is_err());
    assert!(asked(&plain, "wild.example", proxy.public).await.is_err());
    let expiry =
        r#"bascule_certificate_expiry_timestamp_seconds{certificate="1",listener="public"}"#;
    assert!(1e9 < proxy.metric(expiry).await);
}

#[tokio::test]
async fn http2_is_agreed_on_by_those_who_offer_it() {
    let (authority, folder) = (Authority::new(), folder());
    let files = authority.sign(&["a.example"]).put(&folder, "a");
    let (_backend, proxy) = started(json!({ "certificates": [files] })).await;
    let both = connector(&authority, &["h2", "http/1.1"], None);
    let stream = connected(&both, "a.example", proxy.public).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    let driver = tokio::spawn(connection);
    let request = http::Request::get("https://a.example/api/data").body(()).unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    assert_eq!(soon(response).await.unwrap().status(), 200);
    driver.abort();
    let old = connector(&authority, &["http/1.1"], None);
    assert!(asked(&old, "a.example", proxy.public).await.unwrap().starts_with("HTTP/1.1 200 "));
    let older = connector(&authority, &["http/1.0"], None);
    assert!(asked(&older, "a.example", proxy.public).await.unwrap().starts_with("HTTP/1.1 200 "));
    let silent = connector(&authority, &[], None);
    assert!(asked(&silent, "a.example", proxy.public).await.unwrap().starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn changed_certificates_are_used_and_broken_ones_are_not() {
    let (authority, folder) = (Authority::new(), folder());
    let files = authority.sign(&["a.example"]).put(&folder, "a");
    let (_backend, proxy) = started(json!({ "certificates": [files] })).await;
    let before = shown(&authority, "a.example", proxy.public).await;
    fs::write(folder.join("a.pem"), "half a certificate").unwrap();
    proxy.log_until("changed certificates cannot be used").await;
    assert_eq!(shown(&authority, "a.example", proxy.public).await, before);
    authority.sign(&["a.example"]).put(&folder, "a");
    until(async || {
        let now = shown(&authority, "a.example", proxy.public).await;
        if now == before { Err("still the old one".to_owned()) } else { Ok(()) }
    })
    .await;
}

#[tokio::test]
async fn clients_show_certificates_and_backends_hear_of_them() {
    let (authority, folder) = (Authority::new(), folder());
    let files = authority.sign(&["a.example"]).put(&folder, "a");
    let ca = folder.join("ca.pem");
    fs::write(&ca, authority.0.pem()).unwrap();
    let tls =
        |mode: &str| json!({ "certificates": [files], "client_auth": { "mode": mode, "ca": ca } });
    let client = authority.sign(&["client.example"]);
    let stranger = Authority::new().sign(&["client.example"]);
    let with = |signed| connector(&authority, &["http/1.1"], signed);

    let (_backend, required) = started(tls("required")).await;
    let answer = asked(&with(Some(&client)), "a.example", required.public).await.unwrap();
    assert!(answer.contains(r#"DNS=\"client.example\""#), "{answer}");
    assert!(answer.contains("Hash="), "{answer}");
    for refused in [None, Some(&stranger)] {
        let answer = asked(&with(refused), "a.example", required.public).await;
        assert!(answer.is_err() || answer.is_ok_and(|it| it.is_empty()));
    }
    let (_backend, optional) = started(tls("optional")).await;
    let answer = asked(&with(None), "a.example", optional.public).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("Hash="), "{answer}");
    let answer = asked(&with(Some(&client)), "a.example", optional.public).await.unwrap();
    assert!(answer.contains("Hash="), "{answer}");
}

#[tokio::test]
async fn a_client_cannot_claim_a_certificate() {
    let backend = backend("a");
    let proxy = Setup::tiers(&[&backend]).start().await;
    let claimed = [("x-forwarded-client-cert", "Hash=00")];
    let answer = proxy.ask("GET", "/echo", &claimed, "").await;
    assert_eq!(answer.seen("x-forwarded-client-cert"), Vec::<String>::new());
}

#[tokio::test]
async fn whoever_does_not_agree_on_tls_is_let_go() {
    let (authority, folder) = (Authority::new(), folder());
    let files = authority.sign(&["a.example"]).put(&folder, "a");
    let backend = backend("a");
    let proxy = Setup::tiers(&[&backend])
        .with("listeners.public.tls", json!({ "certificates": [files] }))
        .with("listeners.public.timeouts", json!({ "handshake": "300ms" }))
        .start()
        .await;
    let mut silent = proxy.connect().await;
    let mut plain = proxy.connect().await;
    plain.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(!plain.rest().await.unwrap_or_default().starts_with(b"HTTP"));
    assert_eq!(silent.rest().await.unwrap_or_default(), b"");
    let refused = |reason: &str| {
        format!(r#"bascule_connections_refused_total{{listener="public",reason="{reason}"}}"#)
    };
    proxy.metric_until(&refused("tls"), 1.0).await;
    proxy.metric_until(&refused("timeout"), 1.0).await;
}

#[tokio::test]
async fn only_what_is_new_enough_is_spoken() {
    let (authority, folder) = (Authority::new(), folder());
    let files = authority.sign(&["a.example"]).put(&folder, "a");
    let tls = json!({ "certificates": [files], "min_version": "tls1.3" });
    let (_backend, proxy) = started(tls).await;
    pingora_rustls::install_default_crypto_provider();
    let old = ClientConfig::builder_with_protocol_versions(&[&pingora_rustls::version::TLS12])
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    assert!(asked(&TlsConnector::from(Arc::new(old)), "a.example", proxy.public).await.is_err());
    let new = connector(&authority, &[], None);
    assert!(asked(&new, "a.example", proxy.public).await.is_ok());
}

#[tokio::test]
async fn what_cannot_be_used_is_named_at_the_start() {
    let (authority, folder) = (Authority::new(), folder());
    let one = authority.sign(&["a.example"]);
    let other = authority.sign(&["a.example"]);
    let mixed = Signed { cert: one.cert, key: other.key }.put(&folder, "mixed");
    let missing = json!({ "cert": folder.join("no.pem"), "key": folder.join("no.key") });
    for (files, says) in [(mixed, "belong together"), (missing, "no.pem")] {
        let backend = backend("a");
        let setup = Setup::tiers(&[&backend])
            .with("listeners.public.tls", json!({ "certificates": [files] }));
        let said = Proxy::refusal(setup).await;
        assert!(said.contains("listener `public`") && said.contains(says), "{said}");
    }
}
