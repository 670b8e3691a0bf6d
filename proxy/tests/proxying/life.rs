//! How the proxy ends.

use http::Request;
use serde_json::json;

use crate::{
    client::{soon, try_ask, until},
    commands::output,
    proxy::Proxy,
    setup::{Setup, backend},
};

#[tokio::test]
async fn sigterm_and_sigint_finish_what_is_in_flight_and_take_nothing_new() {
    for signal in ["-TERM", "-INT"] {
        let primary = backend("primary");
        let mut proxy = Setup::tiers(&[&primary]).start().await;
        let (public, admin) = (proxy.public, proxy.admin);
        let slow = tokio::spawn(try_ask(public, "GET", "/delay/900", &[], ""));
        let body = "/blob?size=10000&chunk=1000&pace_ms=90";
        let streaming = tokio::spawn(try_ask(public, "GET", body, &[], ""));
        let post = tokio::spawn(try_ask(public, "POST", "/delay/900", &[], "x"));
        soon(primary.received_at_least(3)).await;
        proxy.signal(signal).await;
        until(async || match tokio::net::TcpStream::connect(public).await {
            Ok(_) => Err("new connections are accepted".to_owned()),
            Err(_) => Ok(()),
        })
        .await;
        let ready = try_ask(admin, "GET", "/readyz", &[], "").await.unwrap();
        assert_eq!((ready.status, &ready.json()["ready"]), (503, &false.into()));
        let status = output(&["status", "--ready", "--admin", &format!("http://{admin}")]).await;
        assert_eq!(status.status.code(), Some(1), "draining is not ready");

        assert_eq!(slow.await.unwrap().unwrap().status, 200);
        assert_eq!(post.await.unwrap().unwrap().status, 200);
        assert_eq!(streaming.await.unwrap().unwrap().body.len(), 10_000);
        assert_eq!(proxy.exited().await.code(), Some(0), "{signal}");
        assert_eq!(primary.total(), 3);
    }
}

#[tokio::test]
async fn a_proxy_without_clients_ends_at_once() {
    let primary = backend("primary");
    let mut proxy = Setup::tiers(&[&primary])
        .with("shutdown", json!({ "idle": "1h", "websocket_grace": "1h", "drain": "1h" }))
        .start()
        .await;
    assert_eq!(proxy.get("/api/data").await.status, 200);
    proxy.signal("-TERM").await;
    assert_eq!(proxy.exited().await.code(), Some(0));
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed_after_a_while() {
    let primary = backend("primary");
    let mut proxy = Setup::tiers(&[&primary])
        .with("shutdown", json!({ "idle": "300ms", "drain": "1h" }))
        .start()
        .await;
    let (mut used, mut unused) = (proxy.connect().await, proxy.connect().await);
    used.get("/api/data", "").await;
    assert_eq!(used.status().await, "200");
    proxy.signal("-TERM").await;
    // Closed, not reset.
    assert_eq!(used.rest().await.unwrap(), b"");
    assert_eq!(unused.rest().await.unwrap(), b"");
    assert_eq!(proxy.exited().await.code(), Some(0));
}

#[tokio::test]
async fn a_request_that_comes_during_the_drain_is_served_and_is_its_connections_last() {
    let primary = backend("primary");
    let mut proxy = Setup::tiers(&[&primary])
        .with("shutdown", json!({ "idle": "1h", "drain": "1h" }))
        .start()
        .await;
    let (mut idle, mut fresh) = (proxy.connect().await, proxy.connect().await);
    idle.get("/api/data", "").await;
    assert_eq!(idle.status().await, "200");
    // Its response begins after the drain.
    let mut waiting = proxy.connect().await;
    waiting.get("/delay/1000", "").await;
    soon(primary.received_at_least(2)).await;
    proxy.signal("-TERM").await;
    stopping(&proxy).await;
    for (name, client) in [("idle", &mut idle), ("fresh", &mut fresh)] {
        client.send("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx").await;
        let (head, _) = client.answer().await;
        assert!(head.starts_with("http/1.1 200") && head.contains("connection: close"), "{head}");
        assert_eq!(client.rest().await.unwrap(), b"", "{name}");
    }
    let (head, _) = waiting.answer().await;
    assert!(head.contains("connection: close"), "{head}");
    assert_eq!(waiting.rest().await.unwrap(), b"");
    assert_eq!(proxy.exited().await.code(), Some(0));
    assert_eq!(primary.total(), 4);
}

#[tokio::test]
async fn a_process_that_is_about_to_end_loads_no_other_configuration() {
    let primary = backend("primary");
    let setup = Setup::tiers(&[&primary]).with("reload.watch", true);
    // A conversation keeps it from ending for as long as this takes.
    let setup = setup.with("shutdown.websocket_grace", "1h").with("shutdown.drain", "2h");
    let mut proxy = setup.clone().start().await;
    let socket = proxy.conversation("/ws").await;
    proxy.signal("-TERM").await;
    stopping(&proxy).await;
    let refused = try_ask(proxy.admin(), "POST", "/config/reload", &[], "").await.unwrap();
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (409, &"leaving".into()));
    let is_said = async |trigger: &str| {
        let trigger = format!("trigger=\"{trigger}\"");
        until(async || {
            let log = proxy.log();
            let mut refusals = log.lines().filter(|it| it.contains("not loaded"));
            let is_said = refusals.any(|it| it.contains(&trigger));
            if is_said { Ok(()) } else { Err(log.clone()) }
        })
        .await;
    };
    is_said("api").await;
    proxy.signal("-HUP").await;
    // Whoever looks for the signal's sake has seen the files, too.
    is_said("signal").await;
    proxy.write(&setup.with("reload.drain", "7m"));
    is_said("files").await;
    assert_eq!(proxy.sidecar("/config").await["generation"], 1);
    drop(socket);
    assert_eq!(proxy.exited().await.code(), Some(0));
}

#[tokio::test]
async fn who_waits_to_be_accepted_when_the_end_begins_is_served() {
    let primary = backend("primary");
    let mut proxy = Setup::tiers(&[&primary]).start().await;
    // While it is stopped, clients are connected by the system, and wait.
    proxy.signal("-STOP").await;
    let mut waiting = Vec::new();
    for _ in 0..300 {
        let mut raw = proxy.connect().await;
        raw.get("/api/data", "").await;
        waiting.push(raw);
    }
    proxy.signal("-TERM").await;
    proxy.signal("-CONT").await;
    for mut raw in waiting {
        let (head, _) = raw.answer().await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
    }
    assert_eq!(proxy.exited().await.code(), Some(0));
}

#[tokio::test]
async fn http2_is_told_to_go_elsewhere_and_finishes_its_streams() {
    let primary = backend("primary");
    let mut proxy =
        Setup::tiers(&[&primary]).with("shutdown", json!({ "drain": "1h" })).start().await;
    let (mut client, connection) = h2::client::handshake(proxy.connect().await.0).await.unwrap();
    let connection = tokio::spawn(connection);
    let idle = h2::client::handshake(proxy.connect().await.0).await.unwrap();
    let idle = (idle.0, tokio::spawn(idle.1));
    let mut answers = Vec::new();
    for (method, path) in [
        ("GET", "/delay/1000"),
        ("POST", "/delay/1000"),
        ("GET", "/blob?size=30000&chunk=1000&pace_ms=30"),
    ] {
        let request = Request::builder().method(method).uri(format!("http://x{path}")).body(());
        answers.push(client.send_request(request.unwrap(), true).unwrap().0);
    }
    soon(primary.received_at_least(3)).await;
    proxy.signal("-TERM").await;
    for answer in answers {
        let mut answer = soon(answer).await.unwrap();
        assert_eq!(answer.status(), 200);
        let mut length = 0;
        while let Some(data) = soon(answer.body_mut().data()).await {
            let data = data.unwrap();
            length += data.len();
            answer.body_mut().flow_control().release_capacity(data.len()).unwrap();
        }
        assert_ne!(length, 0);
    }
    // Both end without an error, without having been asked to.
    soon(connection).await.unwrap().unwrap();
    soon(idle.1).await.unwrap().unwrap();
    assert_eq!(proxy.exited().await.code(), Some(0));
    assert_eq!(primary.total(), 3);
}

#[tokio::test]
async fn until_the_delay_has_passed_clients_are_served_as_before() {
    let primary = backend("primary");
    let mut proxy =
        Setup::tiers(&[&primary]).with("shutdown", json!({ "delay": "1h" })).start().await;
    proxy.signal("-TERM").await;
    until(async || match try_ask(proxy.admin, "GET", "/readyz", &[], "").await?.status {
        503 => Ok(()),
        status => Err(format!("{status}")),
    })
    .await;
    let mut client = proxy.connect().await;
    for _ in 0..2 {
        client.get("/api/data", "").await;
        let (head, _) = client.answer().await;
        assert!(head.starts_with("http/1.1 200") && !head.contains("connection: close"), "{head}");
    }
    // Whoever asks again does not want to wait.
    proxy.signal("-TERM").await;
    assert_eq!(proxy.exited().await.code(), Some(0));
}

#[tokio::test]
async fn at_a_terminal_nobody_waits_for_the_delay() {
    let primary = backend("primary");
    let mut proxy =
        Setup::tiers(&[&primary]).with("shutdown", json!({ "delay": "1h" })).start().await;
    proxy.signal("-INT").await;
    assert_eq!(proxy.exited().await.code(), Some(0));
}

#[tokio::test]
async fn what_outlasts_the_drain_is_cut_and_counted() {
    let primary = backend("primary");
    let mut proxy = Setup::tiers(&[&primary])
        .with("routes", json!([{ "pool": "api", "timeout": "60s" }]))
        .with("shutdown", json!({ "drain": "200ms", "idle": "0s", "websocket_grace": "0s" }))
        .start()
        .await;
    let mut waiting = proxy.connect().await;
    waiting.send("POST /delay/60000 HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await;
    soon(primary.received_at_least(1)).await;
    proxy.signal("-TERM").await;
    assert_eq!(proxy.exited().await.code(), Some(0));
    let log = proxy.log();
    let line = log.lines().find(|it| it.contains("stopped with requests in flight")).unwrap();
    assert!(line.contains("requests=1") && line.contains("connections=1"), "{line}");
}

/// Waits until nobody new is accepted.
async fn stopping(proxy: &Proxy) {
    proxy.log_until("stopping").await;
}

#[tokio::test]
async fn a_second_signal_does_not_wait() {
    let primary = backend("primary");
    let mut proxy = Setup::tiers(&[&primary])
        .with("routes", json!([{ "pool": "api", "timeout": "60s" }]))
        .start()
        .await;
    let mut waiting = proxy.connect().await;
    waiting.send("POST /delay/60000 HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await;
    soon(primary.received_at_least(1)).await;
    proxy.signal("-TERM").await;
    stopping(&proxy).await;
    proxy.signal("-TERM").await;
    assert_eq!(proxy.exited().await.code(), Some(0));
}
