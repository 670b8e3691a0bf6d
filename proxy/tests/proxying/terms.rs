//! The terms of a route: what it changes of headers.

use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::{
    setup::{Setup, backend},
    stub::{Stub, read_request},
};

#[tokio::test]
async fn headers_change_in_both_directions() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary])
        .with(
            "routes",
            json!([{ "pool": "api", "headers": {
                "request": { "add": { "X-Tag": "b" }, "set": { "Host": "api.internal", "X-Env": "prod" },
                             "remove": ["X-Debug"] },
                "response": { "add": { "X-Tag": "c" }, "set": { "Content-Type": "text/x" },
                              "remove": ["X-Backend"] },
            } }]),
        )
        .start()
        .await;
    let headers = [
        ("x-tag", "a"),
        ("x-env", "dev"),
        ("x-env", "test"),
        ("x-debug", "1"),
        ("host", "a.example"),
    ];
    let answer = proxy.ask("GET", "/echo", &headers, "").await;
    assert_eq!(answer.seen("host"), ["api.internal"]);
    assert_eq!(answer.seen("x-forwarded-host"), ["a.example"]);
    assert_eq!(
        (answer.seen("x-tag"), answer.seen("x-env")),
        (vec!["a".into(), "b".into()], vec!["prod".into()])
    );
    assert_eq!(answer.seen("x-debug"), [""; 0]);
    assert_eq!((answer.header("x-tag"), answer.header("content-type")), ("c", "text/x"));
    assert_eq!(answer.backend(), "");

    let mut raw = proxy.connect().await;
    raw.send("GET http://a.example/echo HTTP/1.1\r\nhost: a.example\r\n\r\n").await;
    let (_, body) = raw.answer().await;
    let seen: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let hosts: Vec<_> =
        seen["headers"].as_array().unwrap().iter().filter(|it| it[0] == "host").collect();
    assert_eq!(hosts, [&json!(["host", "api.internal"])]);
}

/// What the engine leaves to Pingora's path keeps to the same terms.
#[tokio::test]
async fn headers_of_an_upgrade_change_too() {
    let stub = Stub::serving(async |mut stream| {
        let Some(head) = read_request(&mut stream).await else { return };
        let head = head.to_ascii_lowercase();
        let seen = head.contains("x-env: prod\r\n") && !head.contains("x-debug");
        let words = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             x-gone: 1\r\nx-seen: {seen}\r\n\r\n"
        );
        _ = tokio::io::AsyncWriteExt::write_all(&mut stream, words.as_bytes()).await;
        _ = stream.read_u8().await;
    })
    .await;
    let proxy = Setup::addresses(&[("stub", stub.addr)])
        .with(
            "routes",
            json!([{ "pool": "api", "headers": {
                "request": { "set": { "X-Env": "prod" }, "remove": ["X-Debug"] },
                "response": { "set": { "X-Set": "1" }, "remove": ["X-Gone"] },
            } }]),
        )
        .start()
        .await;
    let mut raw = proxy.connect().await;
    raw.get(
        "/ws",
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nx-debug: 1\r\n",
    )
    .await;
    let head = raw.head().await;
    assert!(head.starts_with("http/1.1 101 ") && head.contains("x-seen: true\r\n"), "{head}");
    assert!(head.contains("x-set: 1\r\n") && !head.contains("x-gone"), "{head}");
}
