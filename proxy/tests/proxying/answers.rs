//! What the proxy answers by itself: redirects, fixed responses, and errors in the form that the
//! client likes.

use serde_json::json;

use crate::{
    proxy::{Proxy, free_address},
    setup::{Setup, backend},
};

async fn start(routes: serde_json::Value) -> Proxy {
    let primary = backend("primary");
    Setup::tiers(&[&primary]).with("routes", routes).start().await
}

/// Asks for a path of a host on a connection of its own. Returns status and location.
async fn redirected(proxy: &Proxy, host: &str, target: &str) -> (String, String) {
    let mut raw = proxy.connect().await;
    raw.send(format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
    let (head, _) = raw.answer().await;
    let location = head.lines().find_map(|line| line.strip_prefix("location: "));
    let status = head.split(' ').nth(1).unwrap_or_default();
    (status.to_owned(), location.unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_redirect_leads_where_it_was_told_and_nowhere_else() {
    let proxy = start(json!([
        { "match": { "path_prefix": "/tls" }, "redirect": { "status": 308, "scheme": "https" } },
        { "match": { "path_prefix": "/old" }, "rewrite": { "strip_prefix": "/old" },
          "redirect": { "status": 301 } },
        { "match": { "path": "/there" }, "redirect": { "location": "https://b.example/x?y" } },
        { "match": { "path": "/cut" }, "redirect": { "path": "/new", "keep_query": false } },
        { "redirect": { "host": "www.example.com", "port": 8443 } },
    ]))
    .await;
    for (host, target, status, location) in [
        ("a.example:8021", "/tls/x?y=%2F", "308", "https://a.example/tls/x?y=%2f"),
        ("user@a.example", "/tls", "400", ""),
        ("a.example", "/old//evil.example/x", "301", "/evil.example/x"),
        ("a.example", "/old", "301", "/"),
        ("a.example", "/there?z", "302", "https://b.example/x?y"),
        ("a.example", "/cut?y", "302", "/new"),
        ("evil.example", "//evil.example/x", "302", "//www.example.com:8443/evil.example/x"),
    ] {
        let found = redirected(&proxy, host, target).await;
        assert_eq!(found, (status.to_owned(), location.to_owned()), "{host} {target}");
    }
}

#[tokio::test]
async fn a_fixed_response_asks_nobody_and_keeps_the_connection() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary])
        .with(
            "routes",
            json!([
                { "match": { "path": "/none" }, "respond": { "status": 204 } },
                { "match": { "path": "/closed" },
                  "respond": { "status": 503, "body": "<p>closed</p>", "content_type": "text/html",
                               "headers": { "Retry-After": "60" } },
                  "headers": { "response": { "set": { "X-Frame-Options": "DENY" } } } },
                { "respond": { "body": "hello\n" } },
            ]),
        )
        .start()
        .await;
    let mut raw = proxy.connect().await;
    for round in 0..2 {
        raw.get("/", "").await;
        let (head, body) = raw.answer().await;
        assert!(head.starts_with("http/1.1 200 ") && body == b"hello\n", "{round}: {head}");
        assert!(head.contains("content-type: text/plain; charset=utf-8\r\n"), "{head}");
        assert!(head.contains("x-request-id: "), "{head}");
    }
    raw.send("HEAD / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(raw.head().await.contains("content-length: 6\r\n"));
    raw.get("/none", "").await;
    let head = raw.head().await;
    assert!(head.starts_with("http/1.1 204 ") && !head.contains("content-length"), "{head}");
    raw.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello").await;
    assert_eq!(raw.status().await, "200");
    raw.get("/closed", "").await;
    let (head, body) = raw.answer().await;
    assert!(head.starts_with("http/1.1 503 ") && body == b"<p>closed</p>", "{head}");
    for line in ["content-type: text/html\r\n", "retry-after: 60\r\n", "x-frame-options: deny\r\n"]
    {
        assert!(head.contains(line), "{head}");
    }
    assert_eq!(primary.total(), 0);
    proxy
        .metric_until(r#"bascule_responses_total{code="503",origin="proxy",pool="none"}"#, 1.0)
        .await;
}

#[tokio::test]
async fn a_body_that_nobody_reads_does_not_pass_for_the_next_request() {
    let proxy = start(json!([{ "respond": { "body": "hello" } }])).await;
    for framing in ["content-length: 500000", "transfer-encoding: chunked"] {
        let mut raw = proxy.connect().await;
        raw.send(format!("POST / HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n")).await;
        let head = raw.head().await;
        assert!(head.starts_with("http/1.1 200 ") && head.contains("connection: close"), "{head}");
        assert_eq!(raw.rest().await.unwrap(), b"hello");
    }
    // Asked for nothing, the client sends nothing: its next request is one.
    let mut raw = proxy.connect().await;
    raw.send("POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")
        .await;
    let head = raw.head().await;
    assert!(head.starts_with("http/1.1 200 ") && head.contains("connection: close"), "{head}");
}

#[tokio::test]
async fn an_error_has_the_form_that_the_client_likes() {
    let proxy = start(json!([{ "match": { "path": "/echo" }, "pool": "api" }])).await;
    for (accept, kind, part) in [
        ("*/*", "application/json", "\"error\""),
        ("text/html, text/plain;q=0.5", "text/plain; charset=utf-8", "404 no_route: "),
        ("application/problem+json", "application/problem+json", "\"about:blank\""),
    ] {
        let answer = proxy.ask("GET", "/nowhere", &[("accept", accept)], "").await;
        assert_eq!((answer.status, answer.header("content-type")), (404, kind), "{accept}");
        assert_eq!(answer.header("cache-control"), "no-store");
        let body = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(body.contains(part) && body.contains(answer.header("x-request-id")), "{body}");
    }
}

#[tokio::test]
async fn a_pipelined_request_after_a_fixed_response_is_answered() {
    let primary = backend("primary");
    let routes = json!([
        { "match": { "path": "/fixed" }, "respond": { "body": "fixed" } },
        { "pool": "api" },
    ]);
    let proxy = Setup::tiers(&[&primary]).with("routes", routes).start().await;
    let mut raw = proxy.connect().await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    raw.send(get("/fixed") + &get("/echo") + &get("/fixed")).await;
    assert_eq!(raw.answer().await.1, b"fixed");
    let (head, _) = raw.answer().await;
    assert!(head.contains("x-backend: primary\r\n"), "{head}");
    assert_eq!(raw.answer().await.1, b"fixed");
}

#[tokio::test]
async fn an_error_says_why_for_programs_as_far_as_it_is_told_to() {
    let gone = free_address();
    let asked = async |told: serde_json::Value| {
        let proxy = Setup::addresses(&[("gone", gone)])
            .without_ejection()
            .with("pools.api.when_down", "fail_open")
            .with("listeners.public.proxy_status", told)
            .start()
            .await;
        proxy.get("/").await.header("proxy-status").to_owned()
    };
    let plain = "bascule; error=connection_refused; details=\"attempt_failed\"";
    assert_eq!(asked(json!({})).await, plain);
    assert_eq!(asked(json!({ "answers": "none" })).await, "");
    let named = format!(
        "bascule; error=connection_refused; next-hop=\"{gone}\"; details=\"attempt_failed\""
    );
    assert_eq!(asked(json!({ "backend_address": true })).await, named);
}
