//! Bodies that are sent in pieces arrive in pieces, as they are sent.

use bascule_backend::fill;

use crate::{
    client::soon,
    setup::{Setup, backend},
    stub::{Habit, Stub},
};

#[tokio::test]
async fn a_piece_arrives_while_the_next_is_still_awaited() {
    // The rest never comes: what arrives was passed on without it.
    // (One of known length is held back until its attempt would end.)
    for said in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let arrives = "5\r\nhello\r\n";
        let stub = Stub::new(Habit::SayAndKeep(said)).await;
        let proxy = Setup::addresses(&[("stub", stub.addr)])
            .with("pools.api.retries.per_try_timeout", "500ms")
            .start()
            .await;
        let mut raw = proxy.connect().await;
        raw.get("/", "").await;
        assert!(raw.head().await.starts_with("http/1.1 200 "));
        assert_eq!(raw.exactly(arrives.len()).await, arrives.as_bytes());
    }
}

#[tokio::test]
async fn a_body_sent_in_pieces_arrives_whole() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    let mut expected = vec![0; 4000];
    fill(0, &mut expected);
    for framing in ["false", "true"] {
        let path = format!("/blob?size=4000&chunk=1000&pace_ms=20&chunked={framing}");
        assert_eq!(proxy.get(&path).await.body, expected);
    }
}

#[tokio::test]
async fn a_stream_of_events_may_pause_for_longer_than_an_attempt_may_take_to_answer() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary])
        .with("pools.api.retries.per_try_timeout", "200ms")
        .with("routes", serde_json::json!([{ "pool": "api", "timeout": "300ms" }]))
        .start()
        .await;
    let path = "/blob?size=3000&chunk=1000&pace_ms=500&chunked=true";
    let answer = proxy.ask("GET", path, &[("accept", "text/event-stream")], "").await;
    assert_eq!((answer.status, answer.body.len()), (200, 3000));
}

#[tokio::test]
async fn an_upload_reaches_the_backend_while_it_is_still_being_sent() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    let mut raw = proxy.connect().await;
    // In chunks, nobody knows how long it will be; a body known to be short is awaited first.
    let head = "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    raw.send(&format!("{head}5\r\nhello\r\n")).await;
    // The backend has the request before its body is complete.
    soon(primary.received_at_least(1)).await;
    raw.send("5\r\nworld\r\n0\r\n\r\n").await;
    let (_, body) = raw.answer().await;
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap()["body"], "helloworld");
}

#[tokio::test]
async fn a_long_body_outlives_the_routes_timeout_for_its_beginning() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary])
        .with("routes", serde_json::json!([{ "pool": "api", "timeout": "500ms" }]))
        .start()
        .await;
    let answer = proxy.get("/blob?size=10000&chunk=1000&pace_ms=100").await;
    assert_eq!((answer.status, answer.body.len()), (200, 10_000));
}

#[tokio::test]
async fn an_event_arrives_at_once() {
    let said = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                transfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n";
    let stub = Stub::new(Habit::SayAndKeep(said)).await;
    let proxy = Setup::addresses(&[("stub", stub.addr)])
        .with("pools.api.hold_back.patience", "60s")
        .start()
        .await;
    let mut raw = proxy.connect().await;
    raw.get("/", "").await;
    assert!(raw.head().await.contains("content-type: text/event-stream"));
    assert_eq!(raw.exactly(14).await, b"9\r\ndata: 1\n\n\r\n");
}
