//! The page's server: what it serves, what it relays, whom it refuses.

use std::{net::SocketAddr, time::Duration};

use bascule::{
    dashboard::{self, DashboardConfig},
    web::HttpClient,
};
use serde_json::json;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};

use crate::world::{Client, Fake, TOKEN, VIEWER, Wish, World, until};

pub(crate) struct Page {
    pub(crate) client: Client,
    stop: watch::Sender<bool>,
    stopped: JoinHandle<()>,
}

async fn page(admin: SocketAddr, token: Option<&str>) -> Page {
    page_of(&format!("http://{admin}"), HttpClient::default(), token).await
}

/// A page whose sidecar is at an address of any scheme.
pub(crate) async fn page_of(admin: &str, asks: HttpClient, token: Option<&str>) -> Page {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::of(listener.local_addr().unwrap());
    let config = DashboardConfig {
        admin: admin.parse().unwrap(),
        client: asks,
        token: token.map(str::to_owned),
        allow_hosts: vec!["page.example.com".to_owned()],
    };
    let (stop, mut is_stopping) = watch::channel(false);
    let shutdown = async move { _ = is_stopping.wait_for(|it| *it).await };
    let stopped = tokio::spawn(dashboard::serve(listener, config, shutdown));
    Page { client, stop, stopped }
}

async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn every_answer_keeps_the_page_to_itself() {
    let page = page(nobody().await, None).await;
    for path in ["/", "/healthz", "/nothing", "/api/proxy/health", "/api/nothing"] {
        let answer = page.client.ask("GET", path, &[], "").await;
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'self'; base-uri 'none'"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer", "{path}");
        assert!(answer.headers.contains_key("cache-control"), "{path}");
    }
    assert_eq!(page.client.ask("GET", "/healthz", &[("host", "x.test")], "").await.status, 200);
}

#[tokio::test]
async fn the_page_is_served_or_says_how_to_build_it() {
    let page = page(nobody().await, None).await;
    let answer = page.client.ask("GET", "/", &[], "").await;
    assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
    if answer.status == 503 {
        assert!(answer.text.contains("make dashboard"), "{}", answer.text);
    } else {
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["cache-control"], "no-cache");
        let tag = answer.headers["etag"].to_str().unwrap();
        let again = page.client.ask("GET", "/index.html", &[("if-none-match", tag)], "").await;
        assert_eq!((again.status, again.text.as_str()), (304, ""));
    }
    assert_eq!(page.client.ask("GET", "/nothing.js", &[], "").await.status, 404);
    assert_eq!(page.client.ask("POST", "/", &[], "").await.status, 405);
}

#[tokio::test]
async fn the_pages_calls_reach_the_sidecar_and_come_back() {
    let world = World::new().await;
    let page = page(world.address, None).await;
    let health = page.client.ask("GET", "/api/proxy/health", &[], "").await;
    assert_eq!((health.status, &health.json()["active"]), (200, &json!("primary")));
    assert_eq!(health.headers["content-type"], "application/json");
    for (path, status) in [
        ("/api/incidents?limit=3", 200),
        ("/api/incidents?limt=3", 400),
        ("/api/incidents/api-1", 404),
        ("/api/series?pool=api&seconds=5", 200),
        ("/api/metrics", 200),
    ] {
        assert_eq!(page.client.ask("GET", path, &[], "").await.status, status, "{path}");
    }
    let body = r#"{"mode":"hang"}"#;
    let answer = page.client.ask("POST", "/api/proxy/fail", &[], body).await;
    assert_eq!((answer.status, &answer.json()["mode"]), (202, &json!("hang")));
    let id: u64 = answer.headers["x-audit-id"].to_str().unwrap().parse().unwrap();
    let trail = page.client.ask("GET", "/api/audit?limit=1", &[], "").await.json();
    assert_eq!(trail["entries"][0]["id"], id);
    assert!(world.fault(0).is_some());
    let answer = page.client.ask("POST", "/api/proxy/recover", &[], "").await;
    assert_eq!((answer.status, world.fault(0)), (200, None));
    let answer = page.client.ask("GET", "/api/proxy/fail", &[], "").await;
    assert_eq!((answer.status, &answer.headers["allow"]), (405, &"POST".parse().unwrap()));
}

#[tokio::test]
async fn what_operators_do_on_the_page_is_relayed_with_its_body() {
    let sidecar = Fake::start(200, "{}").await;
    let page = page(sidecar.address, None).await;
    let orders = [
        ("POST", "/backends/api/a/drain"),
        ("POST", "/backends/the%20api/a%2Fb/weight"),
        ("POST", "/pools/api/failover"),
        ("POST", "/pools/api/failback"),
        ("POST", "/config/check"),
        ("POST", "/config/reload"),
        ("PUT", "/log-level"),
        ("GET", "/backends"),
        ("GET", "/config?format=yaml"),
        ("GET", "/process"),
        ("GET", "/log-level"),
    ];
    for (method, path) in orders {
        let answer = page.client.ask(method, &format!("/api{path}"), &[], r#"{"x":1}"#).await;
        assert_eq!(answer.status, 200, "{method} {path}");
        assert_eq!(sidecar.asked().last().unwrap(), &format!("{method} {path}"));
        let length = sidecar.last_headers().get("content-length").cloned();
        let expected = (method != "GET").then(|| "7".parse().unwrap());
        assert_eq!(length, expected, "{method} {path}");
    }
    let cross = [("origin", "http://evil.example")];
    for (method, path) in orders {
        let answer = page.client.ask(method, &format!("/api{path}"), &cross, "{}").await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "cross_origin"), "{path}");
    }
    assert_eq!(sidecar.asked().len(), orders.len());
}

#[tokio::test]
async fn only_what_the_page_uses_is_relayed() {
    let sidecar = Fake::start(200, "{}").await;
    let page = page(sidecar.address, Some(TOKEN)).await;
    for path in [
        "/api/livez",
        "/api/readyz",
        "/api/proxy/data",
        "/api/",
        "/api/x/../livez",
        "/api/upgrade",
        "/api/drain",
        "/api/pools/api/x",
    ] {
        let answer = page.client.ask("GET", path, &[], "").await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "unknown_path"), "{path}");
    }
    for (method, path) in [
        ("POST", "/api/proxy/health"),
        ("DELETE", "/api/incidents"),
        ("PUT", "/api/proxy/fail"),
        ("OPTIONS", "/api/proxy/fail"),
        ("DELETE", "/api/backends/api/a/drain"),
        ("POST", "/api/process"),
        ("POST", "/api/log-level"),
    ] {
        let answer = page.client.ask(method, path, &[], "").await;
        assert_eq!((answer.status, answer.code().as_str()), (405, "method_not_allowed"), "{path}");
    }
    assert_eq!(sidecar.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn the_token_is_added_and_the_browsers_own_headers_are_not() {
    let sidecar = Fake::start(200, "{}").await;
    let page = page(sidecar.address, Some(TOKEN)).await;
    let host = page_host(&page);
    let origin = format!("http://{host}");
    let headers = [
        ("origin", origin.as_str()),
        ("cookie", "a=b"),
        ("x-bascule-relay", "guess"),
        ("x-forwarded-for", "203.0.113.9, nonsense\"x"),
    ];
    let answer = page.client.ask("POST", "/api/proxy/fail", &headers, "{}").await;
    assert_eq!(answer.status, 200);
    let relayed = sidecar.last_headers();
    assert_eq!(relayed["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(relayed["host"], sidecar.address.to_string());
    assert_eq!(relayed["x-forwarded-for"], "203.0.113.9, unknown, 127.0.0.1");
    for name in ["origin", "cookie", "x-bascule-relay"] {
        assert!(!relayed.contains_key(name), "{name}");
    }
    assert!(!answer.text.contains(TOKEN));
}

#[tokio::test]
async fn what_the_browser_shows_goes_in_place_of_our_token() {
    let sidecar = Fake::start(200, "{}").await;
    let page = page(sidecar.address, Some(TOKEN)).await;
    let headers = [("authorization", "Bearer of-the-browser")];
    for (method, path) in [
        ("POST", "/api/proxy/fail"),
        ("POST", "/api/tickets"),
        ("GET", "/api/whoami"),
        ("GET", "/api/audit"),
    ] {
        assert_eq!(page.client.ask(method, path, &headers, "{}").await.status, 200, "{path}");
        assert_eq!(sidecar.last_headers()["authorization"], "Bearer of-the-browser", "{path}");
    }
    // A browser with a ticket is whoever it was given to, and not us.
    _ = page.client.ask("GET", "/api/whoami?ticket=abc", &[], "").await;
    assert!(!sidecar.last_headers().contains_key("authorization"));
    assert_eq!(sidecar.asked().last().unwrap(), "GET /whoami?ticket=abc");
}

#[tokio::test]
async fn a_browser_that_signs_in_gets_a_ticket_and_reads_the_log_with_it() {
    let world = World::with(Wish { token: Some(TOKEN), ..Wish::default() }).await;
    let page = page(world.address, None).await;
    let remote = ("x-forwarded-for", "203.0.113.9");
    assert_eq!(page.client.watch("/api/logs", &[remote]).await.err(), Some(401));
    let bearer = format!("Bearer {VIEWER}");
    let headers = [remote, ("authorization", bearer.as_str())];
    let answer = page.client.ask("POST", "/api/tickets", &headers, "").await.json();
    let path = format!("/api/logs?level=error&ticket={}", answer["ticket"].as_str().unwrap());
    let mut reader = page.client.watch(&path, &[remote]).await.unwrap();
    assert_eq!(reader.next().await.unwrap()["type"], "hello");
    assert_eq!(page.client.watch(&path, &[remote]).await.err(), Some(401));
}

fn page_host(page: &Page) -> String {
    page.client.address().to_string()
}

#[tokio::test]
async fn strangers_pages_and_names_are_refused_before_the_sidecar_hears() {
    let sidecar = Fake::start(200, "{}").await;
    let page = page(sidecar.address, Some(TOKEN)).await;
    for (headers, status, code) in [
        (&[("origin", "http://evil.example")][..], 403, "cross_origin"),
        (&[("origin", "null")], 403, "cross_origin"),
        (&[("host", "evil.example")], 421, "unknown_host"),
        (&[("host", "evil.example"), ("origin", "http://evil.example")], 421, "unknown_host"),
    ] {
        for (method, path) in [("POST", "/api/proxy/fail"), ("GET", "/api/proxy/health")] {
            let answer = page.client.ask(method, path, headers, "").await;
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{headers:?}");
        }
        assert_eq!(page.client.watch("/api/logs", headers).await.err(), Some(status));
    }
    let rebound = page.client.ask("GET", "/", &[("host", "evil.example")], "").await;
    assert_eq!(rebound.status, 421);
    assert!(rebound.remedy().contains("--allow-host"), "{}", rebound.remedy());
    assert_eq!(sidecar.asked(), Vec::<String>::new());
    for host in ["localhost:3000", "page.example.com", "page.example.com:3000"] {
        let answer = page.client.ask("GET", "/api/proxy/health", &[("host", host)], "").await;
        assert_eq!(answer.status, 200, "{host}");
    }
}

#[tokio::test]
async fn without_a_token_the_sidecar_judges_the_browser_and_not_the_dashboard() {
    let mut world = World::new().await;
    let page = page(world.address, None).await;
    let remote = [("x-forwarded-for", "203.0.113.9")];
    let answer = page.client.ask("POST", "/api/proxy/fail", &remote, "").await;
    assert_eq!((answer.status, answer.code().as_str()), (401, "token_required"));
    assert!(answer.headers.contains_key("x-audit-id"));
    let read = page.client.ask("GET", "/api/proxy/health", &remote, "").await;
    assert!(!read.headers.contains_key("x-audit-id"));
    world.assert_untouched();
}

#[tokio::test]
async fn a_sidecar_that_is_not_there_is_named() {
    let admin = nobody().await;
    let page = page(admin, None).await;
    let answer = page.client.ask("GET", "/api/proxy/health", &[], "").await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "admin_unreachable"));
    assert!(answer.message().contains(&admin.to_string()), "{}", answer.message());
    assert_eq!(page.client.watch("/api/logs", &[]).await.err(), Some(502));
}

#[tokio::test]
async fn a_body_has_a_limit() {
    let sidecar = Fake::start(200, "{}").await;
    let page = page(sidecar.address, None).await;
    let answer = page.client.ask("POST", "/api/proxy/fail", &[], &"x".repeat(70_000)).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));
    assert_eq!(sidecar.asked(), Vec::<String>::new());
    // A configuration is larger than an order.
    let answer = page.client.ask("POST", "/api/config/check", &[], &"x".repeat(1 << 20)).await;
    assert_eq!(answer.status, 200);
    let answer =
        page.client.ask("POST", "/api/config/check", &[], &"x".repeat((1 << 20) + 1)).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));
}

#[tokio::test]
async fn the_log_is_passed_on_in_both_directions() {
    let world = World::with(Wish { token: Some(TOKEN), ..Wish::default() }).await;
    let page = page(world.address, Some(TOKEN)).await;
    let mut reader = page.client.watch("/api/logs?level=error", &[]).await.unwrap();
    assert_eq!(reader.next().await.unwrap()["type"], "hello");
    tracing::info!("not for you");
    tracing::error!("for you");
    assert_eq!(reader.messages().await, ["for you"]);
    reader.say(r#"{"type":"nonsense"}"#).await;
    assert_eq!(reader.next().await.unwrap_err().0, 1008);
    drop(reader);
    until("the sidecar has noticed", || world.state.logs.clients() == 0).await;
    assert_eq!(page.client.watch("/api/logs?level=loud", &[]).await.err(), Some(400));
    let answer = page.client.ask("GET", "/api/logs", &[], "").await;
    assert_eq!((answer.status, answer.code().as_str()), (426, "websocket_required"));
}

#[tokio::test]
async fn a_browser_that_leaves_leaves_nothing_behind() {
    let world = World::new().await;
    let page = page(world.address, None).await;
    let reader = page.client.watch("/api/logs", &[]).await.unwrap();
    assert_eq!(world.state.logs.clients(), 1);
    drop(reader);
    until("the sidecar has noticed", || world.state.logs.clients() == 0).await;
}

#[tokio::test]
async fn the_server_ends_with_its_tunnels() {
    let world = World::new().await;
    let page = page(world.address, None).await;
    let _reader = page.client.watch("/api/logs", &[]).await.unwrap();
    page.stop.send(true).unwrap();
    timeout(Duration::from_secs(7), page.stopped).await.unwrap().unwrap();
    until("the sidecar has noticed", || world.state.logs.clients() == 0).await;
}
