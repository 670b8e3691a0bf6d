//! The sidecar over TLS: who is trusted, and who is known by a certificate.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bascule::{
    admin::{self, AdminState, Gate},
    model::{CertificateFiles, ClientAuth, ListenerTls, NamedCertificate, Role, TlsVersion},
    server_tls::Tls,
    token,
    web::{HttpClient, HttpClientError, Trust},
};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    dashboard::page_of,
    world::{Client, RELAY_KEY, World},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// An authority, and what it has signed, in files.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("bascule-{}", token::random().unwrap()));
        fs::create_dir(&folder).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
        fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    fn sign(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let [cert, secret] = ["cert", "key"].map(|it| self.folder.join(format!("{name}.{it}.pem")));
        fs::write(&cert, signed.pem()).unwrap();
        fs::write(&secret, key.serialize_pem()).unwrap();
        (cert, secret)
    }

    fn trust(&self, identity: Option<(PathBuf, PathBuf)>) -> Trust {
        Trust { ca: Some(self.ca()), identity }
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.folder);
    }
}

/// Serves the same sidecar once more, over TLS. Nobody is somebody there for being on this machine.
async fn serve(
    world: &World,
    server: (PathBuf, PathBuf),
    clients: Option<ClientAuth>,
) -> SocketAddr {
    let mut settings = world.state.generation().topology.admin.clone();
    settings.auth.local = None;
    settings.auth.certificates = [("ops.test", Role::Operator), ("look.test", Role::Viewer)]
        .map(|(name, role)| NamedCertificate { name: name.to_owned(), role })
        .to_vec();
    let gate = Arc::new(Gate::knowing(&settings, Vec::new()));
    let state = AdminState { gate, ..world.state.clone() };
    let tls = Tls::new(
        &ListenerTls {
            min_version: TlsVersion::Tls12,
            certificates: vec![CertificateFiles { cert: server.0, key: server.1 }],
            client_auth: clients,
        },
        false,
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(admin::serve(listener, state, Some(tls.unwrap()), std::future::pending()));
    address
}

fn optional(ca: &Path) -> Option<ClientAuth> {
    Some(ClientAuth { is_required: false, ca: ca.to_owned() })
}

async fn ask(
    address: SocketAddr,
    trust: &Trust,
    method: &str,
    path: &str,
) -> Result<(u16, Value), HttpClientError> {
    let address = format!("https://{address}{path}");
    let request = Request::builder().method(method).uri(&address);
    let request = request.body(Full::new(Bytes::from_static(b"{\"mode\":\"hang\"}"))).unwrap();
    let client = HttpClient::of(request.uri(), trust)?;
    let (head, body) = client.send(request, PATIENCE).await?.into_parts();
    Ok((head.status.as_u16(), serde_json::from_slice(&body).unwrap_or_default()))
}

#[tokio::test]
async fn a_client_talks_to_whom_it_trusts_and_to_nobody_else() {
    let (world, authority, other) = (World::new().await, Authority::new(), Authority::new());
    let address = serve(&world, authority.sign("127.0.0.1"), None).await;
    let (status, who) = ask(address, &authority.trust(None), "GET", "/whoami").await.unwrap();
    assert_eq!((status, &who["kind"]), (200, &json!("anonymous")));
    let error = ask(address, &other.trust(None), "GET", "/whoami").await.unwrap_err();
    assert!(matches!(error, HttpClientError::Distrusted { .. }), "{error}");
    assert!(error.to_string().contains("--ca"), "{error}");
    let named_otherwise = serve(&world, authority.sign("elsewhere.test"), None).await;
    let error = ask(named_otherwise, &authority.trust(None), "GET", "/whoami").await.unwrap_err();
    assert!(matches!(error, HttpClientError::Distrusted { .. }), "{error}");
    let missing = Trust { ca: Some("/nowhere/ca.pem".into()), identity: None };
    let error = ask(address, &missing, "GET", "/whoami").await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
}

#[tokio::test]
async fn a_certificate_says_who_asks_and_what_they_may_do() {
    let (world, authority) = (World::new().await, Authority::new());
    let address = serve(&world, authority.sign("127.0.0.1"), optional(&authority.ca())).await;
    let known = |name: &str| authority.trust(Some(authority.sign(name)));
    for (trust, who, change) in [
        (known("ops.test"), json!(["certificate", "ops.test", "operator"]), 202),
        (known("look.test"), json!(["certificate", "look.test", "viewer"]), 403),
        (known("nobody.test"), json!(["anonymous", null, "viewer"]), 401),
        (authority.trust(None), json!(["anonymous", null, "viewer"]), 401),
    ] {
        let (_, found) = ask(address, &trust, "GET", "/whoami").await.unwrap();
        assert_eq!(json!([found["kind"], found["name"], found["role"]]), who);
        let (status, _) = ask(address, &trust, "POST", "/proxy/fail").await.unwrap();
        assert_eq!(status, change, "{who}");
    }
}

#[tokio::test]
async fn a_strangers_certificate_is_no_certificate() {
    let (world, authority, other) = (World::new().await, Authority::new(), Authority::new());
    let required = Some(ClientAuth { is_required: true, ca: authority.ca() });
    for clients in [optional(&authority.ca()), required] {
        let address = serve(&world, authority.sign("127.0.0.1"), clients).await;
        let strange = authority.trust(Some(other.sign("ops.test")));
        let refused = ask(address, &strange, "POST", "/proxy/fail").await;
        assert!(refused.is_err(), "{refused:?}");
    }
    let required = Some(ClientAuth { is_required: true, ca: authority.ca() });
    let address = serve(&world, authority.sign("127.0.0.1"), required).await;
    let refused = ask(address, &authority.trust(None), "GET", "/livez").await;
    assert!(refused.is_err(), "{refused:?}");
}

#[tokio::test]
async fn the_page_reaches_a_sidecar_over_tls_and_passes_the_log_on() {
    let (world, authority) = (World::new().await, Authority::new());
    let address = serve(&world, authority.sign("127.0.0.1"), optional(&authority.ca())).await;
    let admin = format!("https://{address}");
    let trust = authority.trust(Some(authority.sign("look.test")));
    let client = HttpClient::of(&admin.parse().unwrap(), &trust).unwrap();
    let page = page_of(&admin, client, None).await;
    let who = page.client.ask("GET", "/api/whoami", &[], "").await.json();
    assert_eq!((&who["kind"], &who["name"]), (&json!("certificate"), &json!("look.test")));
    let mut reader = page.client.watch("/api/logs?level=error", &[]).await.unwrap();
    assert_eq!(reader.next().await.unwrap()["type"], "hello");
}

#[tokio::test]
async fn where_the_data_plane_asks_nobody_else_finds_anything() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::of(listener.local_addr().unwrap());
    tokio::spawn(admin::serve_relayed(listener, world.state.clone()));
    for headers in [&[][..], &[("x-bascule-relay", "guess")]] {
        for (method, path) in [("GET", "/proxy/health"), ("POST", "/proxy/fail"), ("GET", "/livez")]
        {
            let answer = client.ask(method, path, headers, "").await;
            assert_eq!((answer.status, answer.code().as_str()), (404, "unknown_path"), "{path}");
        }
    }
    let relayed = [("x-bascule-relay", RELAY_KEY), ("x-bascule-client", "127.0.0.1")];
    assert_eq!(client.ask("GET", "/proxy/health", &relayed, "").await.status, 200);
    assert_eq!(client.ask("GET", "/metrics", &relayed, "").await.status, 404);
}
