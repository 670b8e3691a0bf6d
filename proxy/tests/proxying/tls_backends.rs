//! TLS towards backends: who is believed, what is shown, what it costs.

use std::path::Path;

use futures_util::{SinkExt, StreamExt};
use rustls::{
    SupportedProtocolVersion,
    version::{TLS12, TLS13},
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    certificates::{Authority, Door, Terms},
    client::soon,
    http2::Http2Backend,
    proxy::{Proxy, program},
    setup::{Setup, backend},
};

static OLD: [&SupportedProtocolVersion; 1] = [&TLS12];
static NEW: [&SupportedProtocolVersion; 1] = [&TLS13];

/// One backend at this door, checked by HTTP, with these terms.
fn setup(door: &Door, tls: Value) -> Setup {
    let mut setup = Setup::addresses(&[("only", door.stub.addr)])
        .with("pools.api.tls", tls)
        .with("pools.api.timeouts.idle_connections", 0);
    setup.0["pools"]["api"]["backends"][0]["url"] = door.url().into();
    setup.0["pools"]["api"]["health_check"].as_object_mut().unwrap().remove("tcp");
    setup
}

fn trusting(authority: &Authority) -> Value {
    json!({ "ca": authority.ca })
}

const NO_TLS: &str = "no TLS with this backend";

/// What is written about the one backend, once something is.
async fn complaint(proxy: &Proxy) -> String {
    let log = proxy.log_until(NO_TLS).await;
    log.lines().find(|line| line.contains(NO_TLS)).unwrap().to_owned()
}

#[tokio::test]
async fn who_was_signed_for_is_believed() {
    let (authority, primary) = (Authority::new(), backend("primary"));
    let door = Door::new(&authority.sign("localhost"), Terms::default(), primary.addr()).await;
    let proxy = setup(&door, trusting(&authority)).start().await;
    for _ in 0..5 {
        assert_eq!(proxy.get("/echo").await.backend(), "primary");
    }
    let agreed = door.agreed();
    assert!(agreed.iter().all(|it| it.server_name.as_deref() == Some("localhost")), "{agreed:?}");
    assert!(agreed.iter().all(|it| it.protocol.as_deref() == Some(b"http/1.1")), "{agreed:?}");
    // The certificate was shown to the first, and whoever came at the same time.
    assert!(agreed.iter().rev().take(4).all(|it| it.is_resumed), "{agreed:?}");
}

#[tokio::test]
async fn http2_is_agreed_on_with_backends_that_speak_it() {
    let (authority, primary) = (Authority::new(), Http2Backend::new("primary").await);
    let door = Door::new(&authority.sign("localhost"), Terms::default(), primary.addr).await;
    let proxy =
        setup(&door, trusting(&authority)).with("pools.api.protocol", "http2").start().await;
    assert_eq!(proxy.ask("POST", "/x", &[], "body").await.body, "body");
    assert!(door.agreed().iter().all(|it| it.protocol.as_deref() == Some(b"h2")));

    let terms = Terms { protocols: &[], ..Terms::default() };
    let door = Door::new(&authority.sign("localhost"), terms, primary.addr).await;
    let proxy =
        setup(&door, trusting(&authority)).with("pools.api.protocol", "http2").start().await;
    assert_eq!(proxy.get("/x").await.status, 503);
    assert!(complaint(&proxy).await.contains("HTTP/2"));
}

#[tokio::test]
async fn nobody_else_is_unless_that_was_asked_for() {
    let (authority, other, primary) = (Authority::new(), Authority::new(), backend("primary"));
    let door = Door::new(&other.sign("localhost"), Terms::default(), primary.addr()).await;
    let proxy = setup(&door, trusting(&authority)).start().await;
    assert_eq!(proxy.get("/echo").await.status, 503);
    let said = complaint(&proxy).await;
    assert!(said.contains("UnknownIssuer") && said.contains("backend=\"only\""), "{said}");
    // Once, however often it is asked.
    proxy.get("/echo").await;
    assert_eq!(proxy.log().matches(NO_TLS).count(), 1);

    let proxy = setup(&door, json!({ "verify": false })).start().await;
    proxy.log_until("any certificate is accepted").await;
    assert_eq!(proxy.get("/echo").await.backend(), "primary");
}

#[tokio::test]
async fn the_name_may_be_another_than_the_urls() {
    let (authority, primary) = (Authority::new(), backend("primary"));
    let door = Door::new(&authority.sign("api.internal"), Terms::default(), primary.addr()).await;
    let proxy = setup(&door, trusting(&authority)).start().await;
    assert_eq!(proxy.get("/echo").await.status, 503);
    assert!(complaint(&proxy).await.contains("localhost"));

    let tls = json!({ "ca": authority.ca, "server_name": "api.internal" });
    let proxy = setup(&door, tls).start().await;
    assert_eq!(proxy.get("/echo").await.backend(), "primary");
    assert_eq!(door.agreed().last().unwrap().server_name.as_deref(), Some("api.internal"));
}

#[tokio::test]
async fn a_backend_that_asks_who_we_are_is_shown() {
    let (authority, primary) = (Authority::new(), backend("primary"));
    let terms = Terms { clients: Some(&authority.ca), ..Terms::default() };
    let door = Door::new(&authority.sign("localhost"), terms, primary.addr()).await;
    let proxy = setup(&door, trusting(&authority)).start().await;
    assert_eq!(proxy.get("/echo").await.status, 503);

    let us = authority.sign("bascule");
    let tls = json!({ "ca": authority.ca, "cert": us.cert, "key": us.key });
    let proxy = setup(&door, tls).start().await;
    assert_eq!(proxy.get("/echo").await.backend(), "primary");
    assert!(door.agreed().iter().all(|it| it.is_known_client));
}

#[tokio::test]
async fn an_old_version_is_refused_where_only_new_ones_may_be_spoken() {
    let (authority, primary) = (Authority::new(), backend("primary"));
    let identity = authority.sign("localhost");
    let recent = || json!({ "ca": authority.ca, "min_version": "tls1.3" });
    let terms = Terms { versions: &OLD, ..Terms::default() };
    let old = Door::new(&identity, terms, primary.addr()).await;
    assert_eq!(setup(&old, recent()).start().await.get("/echo").await.status, 503);
    assert_eq!(setup(&old, trusting(&authority)).start().await.get("/echo").await.status, 200);
    let terms = Terms { versions: &NEW, ..Terms::default() };
    let new = Door::new(&identity, terms, primary.addr()).await;
    assert_eq!(setup(&new, recent()).start().await.get("/echo").await.status, 200);
}

#[tokio::test]
async fn a_websocket_goes_the_same_way() {
    let (authority, primary) = (Authority::new(), backend("primary"));
    let us = authority.sign("bascule");
    let terms = Terms { clients: Some(&authority.ca), ..Terms::default() };
    let door = Door::new(&authority.sign("localhost"), terms, primary.addr()).await;
    let tls = json!({ "ca": authority.ca, "cert": us.cert, "key": us.key });
    let proxy = setup(&door, tls).start().await;
    let mut socket = proxy.conversation("/ws").await;
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::text("hello"));
}

#[tokio::test]
async fn what_does_not_fit_together_is_said_before_anything_starts() {
    let authority = Authority::new();
    let (us, them) = (authority.sign("us"), authority.sign("them"));
    let empty = authority.folder.join("empty.pem");
    std::fs::write(&empty, "nothing\n").unwrap();
    let absent = authority.folder.join("absent.pem");
    let shown = |path: &Path| path.display().to_string();
    let refused = async |tls: Value, expected: &[&str]| {
        let mut config = Setup::addresses(&[("only", "127.0.0.1:9".parse().unwrap())])
            .with("listeners.public.address", "127.0.0.1:8021")
            .with("pools.api.tls", tls);
        config.0["pools"]["api"]["backends"][0]["url"] = "https://localhost:9".into();
        let file = authority.folder.join("bascule.yaml");
        std::fs::write(&file, config.0.to_string()).unwrap();
        for command in [&["run", "--config"][..], &["check"]] {
            let arguments = [command, &[file.to_str().unwrap()]].concat();
            let output = soon(program(&arguments).output()).await.unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(!output.status.success(), "{said}");
            // What `check` says of files has its exact texts in `config_files`.
            let expected = if command == ["check"] { &expected[..1] } else { expected };
            for part in ["pools.api.tls"].iter().chain(expected) {
                assert!(said.contains(part), "{part} is not in: {said}");
            }
            assert!(!said.contains("PRIVATE KEY--"), "{said}");
        }
    };
    refused(json!({ "ca": absent }), &[&shown(&absent), "`ca`", "check the path"]).await;
    refused(json!({ "ca": empty }), &[&shown(&empty), "holds no certificate"]).await;
    let pair = |cert: &Path, key: &Path| json!({ "ca": authority.ca, "cert": cert, "key": key });
    let expected = [&shown(&us.cert)[..], &shown(&them.key), "not that of the certificate"];
    refused(pair(&us.cert, &them.key), &expected).await;
    refused(pair(&us.cert, &us.cert), &[&shown(&us.cert), "holds no private key"]).await;
    refused(pair(&us.key, &us.key), &[&shown(&us.key), "holds no certificate"]).await;
}
