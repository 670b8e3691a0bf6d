//! The terms of a route: what it changes of headers and paths, how often it asks, how long bodies
//! may be.

use std::time::Duration;

use bascule_backend::{Fault, FaultKind, Scope};
use http::StatusCode;
use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::{
    client::soon,
    setup::{Setup, backend},
    stub::{Stub, read_request},
};

/// Counts requests whose body was refused.
const TOO_LONG: &str = r#"bascule_responses_total{code="413",origin="proxy",pool="api"}"#;

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

#[tokio::test]
async fn a_path_is_put_together_anew() {
    let primary = backend("primary");
    let rewrite = json!({ "regex": { "pattern": "/v(?<v>[0-9]+)/(.*)", "to": "/$2" } });
    let proxy = Setup::tiers(&[&primary])
        .with("routes", json!([{ "pool": "api", "rewrite": rewrite }]))
        .start()
        .await;
    let seen = proxy.get("/v2/echo?a=%2F").await.json();
    assert_eq!((&seen["path"], &seen["query"]), (&json!("/echo"), &json!("a=%2F")));
    let seen = proxy.get("/echo").await.json();
    assert_eq!(seen["path"], "/echo");
}

#[tokio::test]
async fn a_route_has_its_own_say_on_retries() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary])
        .without_ejection()
        .with(
            "routes",
            json!([
                { "match": { "headers": { "X-Once": { "present": true } } }, "pool": "api",
                  "retries": { "max_attempts": 1 } },
                { "match": { "headers": { "X-Any": { "present": true } } }, "pool": "api",
                  "retries": { "statuses": [] } },
                { "pool": "api" },
            ]),
        )
        .start()
        .await;
    let kind = FaultKind::Error { status: StatusCode::SERVICE_UNAVAILABLE };
    for backend in [&primary, &secondary] {
        let fault = Fault::new(kind, Duration::from_secs(60)).in_scope(Scope::Traffic);
        backend.inject(fault).await.unwrap();
    }
    for (header, attempts) in [("x-once", 1), ("x-any", 1), ("x-none", 2)] {
        let headers = [(header, "1"), ("x-request-id", header)];
        assert_eq!(proxy.ask("GET", "/echo", &headers, "").await.status, 503);
        let received = [&primary, &secondary].map(|it| it.executed(header).received);
        assert_eq!(received.iter().sum::<u64>(), attempts, "{header}");
    }
}

#[tokio::test]
async fn a_route_has_its_own_patience() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary])
        .without_ejection()
        .with("pools.api.suspicion.enabled", false)
        .with("pools.api.retries.per_try_timeout", "60s")
        .with(
            "routes",
            json!([{ "pool": "api", "timeout": "90s", "retries": { "per_try_timeout": "100ms" } }]),
        )
        .start()
        .await;
    let fault = Fault::new(FaultKind::Hang, Duration::from_secs(120)).in_scope(Scope::Traffic);
    primary.inject(fault).await.unwrap();
    assert_eq!(proxy.get("/echo").await.backend(), "secondary");
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_as_soon_as_that_is_known() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary])
        .with("routes", json!([{ "pool": "api", "max_body": "100KiB" }]))
        .start()
        .await;
    let fits = "x".repeat(100 << 10);
    assert_eq!(proxy.ask("PUT", "/echo", &[], fits).await.status, 200);

    // Said beforehand: before anything is sent.
    for more in ["", "expect: 100-continue\r\n"] {
        let mut raw = proxy.connect().await;
        raw.send(format!("PUT /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 102401\r\n{more}\r\n"))
            .await;
        let (head, body) = raw.answer().await;
        assert!(head.starts_with("http/1.1 413 ") && head.contains("connection: close"), "{head}");
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["code"], "body_too_long");
        assert_eq!(raw.rest().await.unwrap(), b"");
    }
    assert_eq!((primary.total(), secondary.total()), (1, 0));
    proxy.metric_until(TOO_LONG, 2.0).await;
    let rejected = r#"bascule_rejected_total{pool="api",reason="no_backend"}"#;
    assert_eq!(proxy.metric(rejected).await, 0.0);
}

#[tokio::test]
async fn a_body_for_the_sidecar_has_a_bound_too() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary])
        .with("routes", json!([{ "sidecar": true, "max_body": "16B" }]))
        .start()
        .await;
    let path = "/proxy/fail?mode=hang";
    let answer = proxy.ask("POST", path, &[], "x".repeat(17)).await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (413, &json!("body_too_long")));
    assert_eq!(proxy.get("/proxy/health").await.status, 200);
    assert_eq!(proxy.ask("GET", "/proxy/health", &[], "x".repeat(16)).await.status, 200);
}

/// Nobody can say how long a body in chunks is before it has come.
#[tokio::test]
async fn a_body_in_chunks_is_refused_when_it_has_become_too_long() {
    let (seen, mut ends) = tokio::sync::mpsc::channel(4);
    let stub = Stub::serving(move |mut stream| {
        let seen = seen.clone();
        async move {
            let mut bytes = Vec::new();
            _ = stream.read_to_end(&mut bytes).await;
            // Health checks only connect.
            if !bytes.is_empty() {
                seen.send(bytes).await.unwrap();
            }
        }
    })
    .await;
    let proxy = Setup::addresses(&[("stub", stub.addr)])
        .with("routes", json!([{ "pool": "api", "max_body": "100KiB" }]))
        .start()
        .await;
    let mut raw = proxy.connect().await;
    raw.send("PUT / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await;
    for _ in 0..5 {
        raw.send(format!("5000\r\n{}\r\n", "x".repeat(0x5000))).await;
    }
    raw.send("1\r\nx\r\n").await;
    let (head, _) = raw.answer().await;
    assert!(head.starts_with("http/1.1 413 ") && head.contains("connection: close"), "{head}");
    // Closed, with or without a reset.
    _ = soon(raw.0.read_u8()).await.unwrap_err();
    let sent = soon(ends.recv()).await.unwrap();
    assert!(sent.starts_with(b"PUT / ") && !sent.ends_with(b"0\r\n\r\n"), "it must not look whole");
    proxy.metric_until(TOO_LONG, 1.0).await;
    assert_eq!(proxy.pool().await["backends"][0]["failures"], 0);
}
