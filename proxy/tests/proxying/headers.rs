//! What a backend gets to see of a client, and what it does not.

use serde_json::json;

use crate::{
    client::Raw,
    proxy::Proxy,
    setup::{Setup, backend},
};

/// Asks `/echo` from an address of this machine. Returns the backend's view of it.
async fn seen_from(local: &str, proxy: &Proxy, headers: &str) -> serde_json::Value {
    let mut raw = Raw::connect_from(local, proxy.public).await;
    raw.get("/echo", headers).await;
    let (_, body) = raw.answer().await;
    serde_json::from_slice::<serde_json::Value>(&body).unwrap()["headers"].clone()
}

fn values(headers: &serde_json::Value, name: &str) -> Vec<String> {
    let headers = headers.as_array().unwrap().iter().filter(|it| it[0] == name);
    headers.map(|it| it[1].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_backend_is_told_who_asks_by_which_way_and_for_which_host() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    let answer = proxy.ask("GET", "/echo", &[("host", "shop.example:8021")], "").await;
    assert_eq!(answer.seen("host"), ["shop.example:8021"]);
    assert_eq!(answer.seen("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(answer.seen("x-forwarded-proto"), ["http"]);
    assert_eq!(answer.seen("x-forwarded-host"), ["shop.example:8021"]);
    assert_eq!(answer.seen("via"), ["1.1 bascule"]);
}

#[tokio::test]
async fn only_a_trusted_proxy_is_believed_about_its_client() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary])
        .with("listeners.public.trusted_proxies", json!(["127.0.0.2/32"]))
        .start()
        .await;
    let claims = "x-forwarded-for: 198.51.100.1\r\nx-forwarded-proto: https\r\n\
                  x-forwarded-host: evil.example\r\nforwarded: for=198.51.100.1\r\n";
    let seen = seen_from("127.0.0.3", &proxy, claims).await;
    assert_eq!(values(&seen, "x-forwarded-for"), ["127.0.0.3"]);
    assert_eq!(values(&seen, "x-forwarded-proto"), ["http"]);
    assert_eq!(values(&seen, "x-forwarded-host"), ["x"]);
    assert_eq!(values(&seen, "forwarded"), ["for=127.0.0.3;host=x;proto=http"]);

    let seen = seen_from("127.0.0.2", &proxy, claims).await;
    assert_eq!(values(&seen, "x-forwarded-for"), ["198.51.100.1, 127.0.0.2"]);
    assert_eq!(values(&seen, "x-forwarded-proto"), ["https"]);
    let chain = "for=198.51.100.1, for=127.0.0.2;host=x;proto=http";
    assert_eq!(values(&seen, "forwarded"), [chain]);
}

#[tokio::test]
async fn a_request_has_one_id_from_end_to_end() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    let kept = proxy.ask("GET", "/api/data", &[("x-request-id", "order-7")], "").await;
    assert_eq!(kept.json()["request_id"], "order-7");
    assert_eq!(primary.executed("order-7").count, 1);
    for nonsense in ["", "with space", &"x".repeat(129)] {
        let made = proxy.ask("GET", "/echo", &[("x-request-id", nonsense)], "").await;
        let ids = made.seen("x-request-id");
        assert_eq!((ids.len(), ids[0].len()), (1, 32), "{ids:?}");
    }
}

#[tokio::test]
async fn what_is_meant_for_the_next_hop_ends_there() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    let mut raw = proxy.connect().await;
    let hop = "connection: keep-alive, x-hop\r\nkeep-alive: timeout=9\r\nx-hop: 1\r\n\
               te: trailers\r\nproxy-connection: keep-alive\r\nupgrade: h2c\r\nx-end: 1\r\n";
    raw.get("/echo", hop).await;
    let (_, body) = raw.answer().await;
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let headers = &body["headers"];
    for name in ["keep-alive", "x-hop", "te", "proxy-connection", "upgrade"] {
        assert_eq!(values(headers, name), [""; 0], "{name} in {headers}");
    }
    assert!(!values(headers, "connection").iter().any(|it| it.contains("x-hop")), "{headers}");
    assert_eq!(values(headers, "x-end"), ["1"]);
}

#[tokio::test]
async fn a_client_cannot_pass_for_the_data_plane() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary])
        .with(
            "routes",
            json!([{ "match": { "path_prefix": "/proxy" }, "sidecar": true }, { "pool": "api" }]),
        )
        .start()
        .await;
    let forged = [("x-bascule-relay", "guess"), ("x-bascule-client", "198.51.100.1")];
    let seen = proxy.ask("GET", "/echo", &forged, "").await;
    assert_eq!(seen.seen("x-bascule-relay"), [""; 0]);
    assert_eq!(seen.seen("x-bascule-client"), [""; 0]);
    // The key is the data plane's own, whatever the client sent, and so is the client's address:
    // taken at its word, this client would be from another machine and be refused.
    let failed = proxy.ask("POST", "/proxy/recover", &forged, "").await;
    assert_eq!(failed.status, 200, "{failed:?}");
}
