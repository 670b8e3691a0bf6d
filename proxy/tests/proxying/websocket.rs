//! WebSockets, to backends and to the sidecar's log.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_tungstenite::{
    WebSocketStream, accept_async,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};

use crate::{
    client::{soon, try_ask},
    setup::{Setup, backend},
    stub::Stub,
};

async fn frame(socket: &mut WebSocketStream<TcpStream>) -> Value {
    let message = soon(socket.next()).await.unwrap().unwrap();
    serde_json::from_str(message.to_text().unwrap()).unwrap()
}

#[tokio::test]
async fn a_thousand_messages_come_back_in_order() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    let (mut sink, mut stream) = proxy.conversation("/ws").await.split();
    let message = |number: usize| Message::text(format!("{number}:{}", "x".repeat(number * 7)));
    let send = async {
        for number in 0..1000 {
            sink.send(message(number)).await.unwrap();
        }
    };
    let receive = async {
        for number in 0..1000 {
            assert!(stream.next().await.unwrap().unwrap() == message(number), "{number}");
        }
    };
    soon(async { tokio::join!(send, receive) }).await;
}

#[tokio::test]
async fn a_conversation_may_be_silent_for_longer_than_requests_may_take() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary])
        .with("pools.api.retries.per_try_timeout", "100ms")
        .with("pools.api.timeouts.between_reads", "100ms")
        .with("routes", json!([{ "pool": "api", "timeout": "200ms" }]))
        .start()
        .await;
    let mut socket = proxy.conversation("/ws").await;
    socket.send(Message::text("before")).await.unwrap();
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::text("before"));
    // The silence is what is tested.
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    socket.send(Message::text("after")).await.unwrap();
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::text("after"));
}

#[tokio::test]
async fn a_conversation_that_has_been_silent_for_too_long_ends() {
    let primary = backend("primary");
    let proxy =
        Setup::tiers(&[&primary]).with("pools.api.timeouts.websocket_idle", "200ms").start().await;
    let mut socket = proxy.conversation("/ws").await;
    socket.send(Message::text("x")).await.unwrap();
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::text("x"));
    let last = soon(socket.next()).await;
    assert!(matches!(last, Some(Err(_)) | None), "{last:?}");
}

/// A server of WebSockets that echoes, and tells how each conversation ended.
async fn echoing() -> (Stub, mpsc::Receiver<Option<CloseCode>>) {
    let (sender, receiver) = mpsc::channel(10);
    let stub = Stub::serving(move |stream| {
        let sender = sender.clone();
        async move {
            // Health checks only connect.
            let Ok(mut socket) = accept_async(stream).await else { return };
            let mut said = None;
            while let Some(Ok(message)) = socket.next().await {
                if let Message::Close(close) = message {
                    said = close.map(|it| it.code);
                } else {
                    socket.send(message).await.unwrap();
                }
            }
            _ = sender.try_send(said);
        }
    })
    .await;
    (stub, receiver)
}

#[tokio::test]
async fn both_sides_are_told_when_the_proxy_goes_away() {
    let (stub, mut ended) = echoing().await;
    let mut proxy = Setup::addresses(&[("only", stub.addr)]).start().await;
    let mut socket = proxy.conversation("/").await;
    // Frames with every form of length.
    for length in [0, 5, 126, 70_000] {
        let message = Message::text("x".repeat(length));
        socket.send(message.clone()).await.unwrap();
        assert_eq!(soon(socket.next()).await.unwrap().unwrap(), message);
    }
    proxy.signal("-TERM").await;
    let last = soon(socket.next()).await;
    let Some(Ok(Message::Close(Some(close)))) = last else { panic!("{last:?}") };
    assert_eq!(close.code, CloseCode::Away);
    assert_eq!(soon(ended.recv()).await.unwrap(), Some(CloseCode::Away));
    // Nothing is left to wait for.
    assert!(soon(proxy.exited()).await.success());
    assert!(!proxy.log().contains("stopped with requests in flight"), "{}", proxy.log());
}

#[tokio::test]
async fn the_end_of_either_side_ends_the_other() {
    let mut primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    let mut left = proxy.conversation("/ws").await;
    left.send(Message::text("x")).await.unwrap();
    soon(left.next()).await.unwrap().unwrap();
    proxy.pool_until(|pool| pool["backends"][0]["in_flight"] == 1).await;
    drop(left);
    proxy.pool_until(|pool| pool["backends"][0]["in_flight"] == 0).await;

    let mut cut = proxy.conversation("/ws").await;
    cut.send(Message::text("x")).await.unwrap();
    soon(cut.next()).await.unwrap().unwrap();
    primary.kill().await;
    let last = soon(cut.next()).await;
    assert!(matches!(last, Some(Err(_)) | None), "{last:?}");
}

#[tokio::test]
async fn a_backend_that_refuses_costs_no_websocket() {
    let (mut primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary])
        .with("pools.api.health_check.interval", "60s")
        .start()
        .await;
    primary.kill().await;
    let mut socket = proxy.conversation("/ws").await;
    socket.send(Message::text("x")).await.unwrap();
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::text("x"));
    assert_eq!(secondary.total(), 1);
}

#[tokio::test]
async fn the_log_is_read_through_the_data_plane_as_it_is_written() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary])
        .with(
            "routes",
            json!([{ "match": { "path": "/logs" }, "sidecar": true }, { "pool": "api" }]),
        )
        .start()
        .await;
    let mut socket = proxy.conversation("/logs?pool=api&level=warn").await;
    assert_eq!(frame(&mut socket).await["type"], "hello");
    let order = json!({ "mode": "refuse", "for": "60s" }).to_string();
    let headers = [("content-type", "application/json")];
    let failed = try_ask(proxy.admin, "POST", "/proxy/fail", &headers, order).await.unwrap();
    assert_eq!(failed.status, 202, "{failed:?}");
    loop {
        let frame = frame(&mut socket).await;
        let lines = frame["lines"].as_array().unwrap();
        assert!(lines.iter().all(|it| it["fields"]["pool"] == "api"), "{frame}");
        if lines.iter().any(|it| it["message"] == "incident opened") {
            break;
        }
    }
}
