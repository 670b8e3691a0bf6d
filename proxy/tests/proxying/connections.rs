//! Connections to backends, and clients that leave without a word.

use std::time::Duration;

use bascule_backend::{Fault, FaultKind, Scope};

use crate::{
    client::soon,
    setup::{Setup, backend},
    stub::{Habit, Stub},
};

#[tokio::test]
async fn connections_to_a_backend_are_used_again() {
    let primary = backend("primary");
    let relay = Stub::new(Habit::Relay(primary.addr())).await;
    let proxy = Setup::addresses(&[("primary", relay.addr)]).start().await;
    for number in 0..50 {
        // Each on a connection of its own, some with bodies.
        let method = if number % 2 == 0 { "GET" } else { "POST" };
        assert_eq!(proxy.ask(method, "/echo", &[], "x").await.status, 200);
    }
    assert_eq!((primary.total(), relay.asked()), (50, 1));
}

#[tokio::test]
async fn a_client_keeps_its_connection_over_failovers_and_proxy_errors_to_requests() {
    let (mut primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).start().await;
    let mut raw = proxy.connect().await;
    raw.get("/api/data", "").await;
    assert!(raw.answer().await.0.contains("x-backend: primary"));
    primary.kill().await;
    raw.get("/api/data", "").await;
    assert!(raw.answer().await.0.contains("x-backend: secondary"));
    raw.get("/status/404", "").await;
    assert_eq!(raw.status().await, "404");
    raw.get("/api/data", "").await;
    assert_eq!(raw.status().await, "200");
}

#[tokio::test]
async fn a_client_that_leaves_in_mid_request_leaves_nothing_behind() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    let mut waiting = proxy.connect().await;
    waiting.send("POST /delay/60000 HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await;
    let mut reading = proxy.connect().await;
    reading.get("/blob?size=1000000000", "").await;
    let mut writing = proxy.connect().await;
    writing.send("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\nhalf").await;
    soon(primary.received_at_least(3)).await;
    proxy.pool_until(|pool| pool["backends"][0]["in_flight"] == 3).await;
    drop((waiting, reading, writing));
    proxy.pool_until(|pool| pool["backends"][0]["in_flight"] == 0).await;
    proxy.metric_until(r#"bascule_requests_in_flight{listener="public"}"#, 0.0).await;
    let pool = proxy.pool().await;
    assert_eq!(pool["backends"][0]["failures"], 0, "it was not the backend's fault");
    assert_eq!(pool["last_minute"]["lost"], 0);
    assert_eq!(pool["backends"][0]["state"], "up");
    assert_eq!(proxy.get("/api/data").await.status, 200);
}

#[tokio::test]
async fn nonsense_from_a_client_is_a_400_and_nothing_else_happens() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    for nonsense in [
        "nonsense, and rather a lot of it\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    ] {
        let mut raw = proxy.connect().await;
        raw.send(nonsense).await;
        let bytes = raw.rest().await.unwrap();
        let answer = String::from_utf8_lossy(&bytes);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{nonsense:?}: {answer}");
    }
    assert_eq!(primary.total(), 0);
    assert_eq!(proxy.get("/api/data").await.status, 200);
}

/// What load balancers ask by default when they check the proxy. It is shorter than the preface of
/// HTTP/2: whoever looks for that must not wait for all of it.
#[tokio::test]
async fn the_shortest_of_requests_is_answered() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    let mut raw = proxy.connect().await;
    raw.send("OPTIONS / HTTP/1.0\r\n\r\n").await;
    let bytes = raw.rest().await.unwrap();
    assert!(bytes.starts_with(b"HTTP/1.1 404 "), "{:?}", String::from_utf8_lossy(&bytes));
    assert_eq!(primary.total(), 1);
}

/// Five of them at once would be enough to eject a backend, and then the next.
#[tokio::test]
async fn a_client_that_stops_in_the_middle_of_its_body_blames_no_backend() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary])
        .with("pools.api.retries.per_try_timeout", "200ms")
        .start()
        .await;
    for _ in 0..5 {
        let mut raw = proxy.connect().await;
        raw.send("PUT /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf").await;
        let bytes = raw.rest().await.unwrap();
        let answer = String::from_utf8_lossy(&bytes);
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("body_unfinished"), "{answer}");
    }
    assert_eq!(proxy.get("/api/data").await.backend(), "primary");
    let pool = proxy.pool().await;
    for backend in pool["backends"].as_array().unwrap() {
        assert_eq!((&backend["state"], &backend["failures"]), (&"up".into(), &0.into()));
    }
    assert_eq!(secondary.total(), 0);
    assert!(proxy.incidents().await.is_empty());
}

/// Some clients offer HTTP/2 with every request; they are no WebSockets.
#[tokio::test]
async fn an_offer_to_upgrade_to_something_else_is_an_ordinary_request() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary])
        .without_ejection()
        .with("pools.api.retries.per_try_timeout", "200ms")
        .start()
        .await;
    primary
        .inject(Fault::new(FaultKind::Hang, Duration::from_secs(60)).in_scope(Scope::Traffic))
        .await
        .unwrap();
    let mut raw = proxy.connect().await;
    raw.get(
        "/api/data",
        "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAA\r\n",
    )
    .await;
    assert!(raw.answer().await.0.contains("x-backend: secondary"));
}
