//! How the proxy ends.

use std::time::Duration;

use crate::{
    client::{soon, try_ask, until},
    commands::output,
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
async fn an_idle_proxy_ends_at_once() {
    let primary = backend("primary");
    let mut proxy = Setup::tiers(&[&primary]).start().await;
    // A connection that is kept alive is nothing in flight.
    let mut idle = proxy.connect().await;
    idle.get("/api/data", "").await;
    assert_eq!(idle.status().await, "200");
    let asked = std::time::Instant::now();
    proxy.signal("-TERM").await;
    assert_eq!(proxy.exited().await.code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn a_second_signal_does_not_wait() {
    let primary = backend("primary");
    let mut proxy = Setup::tiers(&[&primary])
        .with("routes", serde_json::json!([{ "pool": "api", "timeout": "60s" }]))
        .start()
        .await;
    let mut waiting = proxy.connect().await;
    waiting.send("POST /delay/60000 HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await;
    soon(primary.received_at_least(1)).await;
    proxy.signal("-TERM").await;
    until(async || match proxy.log().contains("stopping") {
        true => Ok(()),
        false => Err(proxy.log()),
    })
    .await;
    proxy.signal("-TERM").await;
    assert_eq!(proxy.exited().await.code(), Some(0));
}
