//! Which pool answers, and what path it is asked for.

use serde_json::json;

use crate::{
    client::try_ask,
    proxy::Proxy,
    setup::{Setup, backend},
};

/// Asks with a `Host`, and says who answered: the backend, or the status of the proxy's own
/// answer.
async fn check(proxy: &Proxy, method: &str, host: &str, path: &str, expected: &str) {
    let answer = try_ask(proxy.public, method, path, &[("host", host)], "").await.unwrap();
    let own = answer.status.to_string();
    let answered_by = if answer.backend().is_empty() { &own } else { answer.backend() };
    assert_eq!(answered_by, expected, "{method} {host}{path}");
}

#[tokio::test]
async fn the_first_route_that_matches_host_path_and_method_wins() {
    let (orders, files, rest) = (backend("orders"), backend("files"), backend("rest"));
    let pool = |it: &bascule_backend::Running| json!({ "backends": [{ "name": it.name(), "url": it.url("") }] });
    let proxy = Setup::tiers(&[&rest])
        .with("pools.orders", pool(&orders))
        .with("pools.files", pool(&files))
        .with(
            "routes",
            json!([
                { "match": { "hosts": ["api.example.com"], "path_prefix": "/v1/",
                             "methods": ["GET", "PUT"] }, "pool": "orders" },
                { "match": { "path": "/exact" }, "pool": "orders" },
                { "match": { "path_prefix": "/files" }, "pool": "files" },
                { "match": { "hosts": ["www.example.com"] }, "pool": "api" },
            ]),
        )
        .start()
        .await;
    for (method, host, path, expected) in [
        ("GET", "api.example.com", "/v1/echo", "orders"),
        ("PUT", "api.example.com:8021", "/v1/echo", "orders"),
        ("GET", "API.Example.Com", "/v1/echo", "orders"),
        ("POST", "api.example.com", "/v1/echo", "404"),
        ("GET", "www.example.com", "/v1/echo", "api"),
        ("GET", "other.example.com", "/v1/echo", "404"),
        ("GET", "other.example.com", "/exact", "orders"),
        ("GET", "other.example.com", "/exact?a=b", "orders"),
        ("GET", "other.example.com", "/exact/", "404"),
        ("DELETE", "other.example.com", "/files", "files"),
        ("GET", "other.example.com", "/files/a/b", "files"),
        ("GET", "www.example.com", "/files/a", "files"),
        ("GET", "www.example.com", "/filesystem", "api"),
    ] {
        let expected = if expected == "api" { "rest" } else { expected };
        check(&proxy, method, host, path, expected).await;
    }
}

#[tokio::test]
async fn wildcards_patterns_headers_and_queries_choose_the_route() {
    let (one, two, rest) = (backend("one"), backend("two"), backend("rest"));
    let pool = |it: &bascule_backend::Running| json!({ "backends": [{ "name": it.name(), "url": it.url("") }] });
    let proxy = Setup::tiers(&[&rest])
        .with("pools.one", pool(&one))
        .with("pools.two", pool(&two))
        .with(
            "routes",
            json!([
                { "match": { "hosts": ["*.example.com"], "path_regex": "/v[0-9]+/.*" },
                  "pool": "one" },
                { "match": { "headers": { "X-Stage": { "regex": "beta-[0-9]" } } }, "pool": "two" },
                { "match": { "query": { "preview": { "exact": "1" } },
                             "headers": { "X-Old": { "present": false } } }, "pool": "two" },
                { "pool": "api" },
            ]),
        )
        .start()
        .await;
    for (headers, path, expected) in [
        (&[("host", "a.b.example.com:80")][..], "/v1/echo", "one"),
        (&[("host", "example.com")], "/v1/echo", "rest"),
        (&[("host", "a.example.com")], "/x/v1/echo", "rest"),
        (&[("host", "a.example.com")], "/v1/%2e%2e/echo", "rest"),
        (&[("x-stage", "beta-1")], "/echo", "two"),
        (&[("x-stage", "alpha"), ("x-stage", "beta-1")], "/echo", "two"),
        (&[("x-stage", "beta-12")], "/echo", "rest"),
        (&[], "/echo?a=b&preview=1", "two"),
        (&[], "/echo?preview=12", "rest"),
        (&[("x-old", "")], "/echo?preview=1", "rest"),
    ] {
        let answer = proxy.ask("GET", path, headers, "").await;
        assert_eq!(answer.backend(), expected, "{headers:?} {path}");
    }
}

#[tokio::test]
async fn a_route_of_one_listener_is_not_there_on_another() {
    let (primary, inner) = (backend("primary"), backend("inner"));
    let internal = crate::proxy::free_address();
    let proxy = Setup::tiers(&[&primary])
        .with("listeners.internal.address", internal.to_string())
        .with("pools.inner.backends", json!([{ "name": "inner", "url": inner.url("") }]))
        .with(
            "routes",
            json!([{ "match": { "listeners": ["internal"] }, "pool": "inner" }, { "pool": "api" }]),
        )
        .start()
        .await;
    assert_eq!(proxy.get("/echo").await.backend(), "primary");
    let answer = try_ask(internal, "GET", "/echo", &[], "").await.unwrap();
    assert_eq!(answer.backend(), "inner");
}

#[tokio::test]
async fn a_rewrite_changes_the_path_and_keeps_the_query() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary])
        .with(
            "routes",
            json!([
                { "match": { "path": "/proxy/data" }, "rewrite": { "path": "/api/data" },
                  "pool": "api" },
                { "match": { "path": "/whole" }, "rewrite": { "path": "/echo" }, "pool": "api" },
                { "match": { "path_prefix": "/v1" }, "rewrite": { "strip_prefix": "/v1" },
                  "pool": "api" },
            ]),
        )
        .start()
        .await;
    for path in ["/whole?a=%2Fb&c", "/v1/echo?a=%2Fb&c"] {
        let seen = proxy.get(path).await.json();
        assert_eq!((&seen["path"], &seen["query"]), (&json!("/echo"), &json!("a=%2Fb&c")));
    }
    let data = proxy.get("/proxy/data").await;
    assert_eq!((data.status, &data.json()["backend"]), (200, &json!("primary")));
}

#[tokio::test]
async fn without_a_route_the_answer_is_a_404_that_says_so() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary])
        .with("routes", json!([{ "match": { "path": "/echo" }, "pool": "api" }]))
        .start()
        .await;
    let answer = proxy.get("/nowhere").await;
    assert_eq!((answer.status, answer.header("content-type")), (404, "application/json"));
    assert_eq!(answer.json()["error"]["code"], "no_route");
    assert_eq!(answer.json()["error"]["request_id"], answer.header("x-request-id"));

    // Also of a request whose body nobody will read.
    let answer = proxy.ask("POST", "/nowhere", &[], "x".repeat(1 << 20)).await;
    assert_eq!((answer.status, primary.total()), (404, 0));
}

#[tokio::test]
async fn a_sidecar_route_leads_to_what_clients_may_see_and_nothing_else() {
    let primary = backend("primary");
    let proxy =
        Setup::tiers(&[&primary]).with("routes", json!([{ "sidecar": true }])).start().await;
    assert_eq!(proxy.get("/proxy/health").await.json()["active"], "primary");
    for path in ["/metrics", "/incidents", "/series", "/readyz", "/"] {
        assert_eq!(proxy.get(path).await.status, 404, "{path}");
    }
    assert_eq!(primary.total(), 0);
}
