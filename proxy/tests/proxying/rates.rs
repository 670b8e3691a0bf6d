//! Rate limits: who is turned away, what they are told, and whose requests count together.

use serde_json::json;

use crate::{
    client::Raw,
    proxy::Proxy,
    setup::{Setup, backend},
};

/// A proxy whose only route has this limit.
async fn limited(setup: Setup, limit: serde_json::Value) -> Proxy {
    setup
        .with("routes", json!([{ "name": "rest", "pool": "api", "rate_limit": limit }]))
        .start()
        .await
}

/// The status of a request from this address of the loopback interface.
async fn status_from(local: &str, proxy: &Proxy, headers: &str) -> String {
    let mut connection = Raw::connect_from(local, proxy.public).await;
    connection.get("/echo", headers).await;
    connection.status().await
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back_and_how_often_it_may() {
    let a = backend("a");
    let limit = json!({ "requests": 2, "per": "1h", "burst": 3 });
    let proxy = limited(Setup::one_tier(&[(&a, 100)]), limit).await;
    for left in ["2", "1", "0"] {
        let answer = proxy.echo("GET", &format!("admitted-{left}")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("ratelimit-policy"), r#""rest";q=2;w=3600;bascule-burst=3"#);
        let limit = answer.header("ratelimit");
        assert!(limit.starts_with(&format!(r#""rest";r={left};t="#)), "{limit}");
    }
    let answer = proxy.echo("GET", "refused").await;
    assert_eq!(
        (answer.status, answer.json()["error"]["code"].as_str()),
        (429, Some("rate_limited"))
    );
    let retry_after: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1_700..=1_800).contains(&retry_after), "{retry_after}");
    assert_eq!(answer.header("ratelimit"), format!(r#""rest";r=0;t={retry_after}"#));
    assert_eq!(a.executed("refused").received, 0);
    proxy.metric_until(r#"bascule_rate_limited_total{route="rest"}"#, 1.0).await;
    let rejected = r#"bascule_rejected_total{pool="api",reason="no_backend"}"#;
    assert_eq!(proxy.metric(rejected).await, 0.0);
    let refused = r#"bascule_responses_total{code="429",origin="proxy",pool="api"}"#;
    assert_eq!(proxy.metric(refused).await, 1.0);
    proxy.pool_until(|pool| pool["last_minute"]["requests"] == 3).await;
}

#[tokio::test]
async fn each_address_has_a_bucket_of_its_own_and_cannot_pretend_to_be_another() {
    let a = backend("a");
    let limit = json!({ "requests": 1, "per": "1h" });
    let proxy = limited(Setup::one_tier(&[(&a, 100)]), limit).await;
    assert_eq!(status_from("127.0.0.1", &proxy, "").await, "200");
    assert_eq!(status_from("127.0.0.2", &proxy, "").await, "200");
    for made_up in ["", "x-forwarded-for: 192.0.2.1\r\n", "forwarded: for=192.0.2.2\r\n"] {
        assert_eq!(status_from("127.0.0.1", &proxy, made_up).await, "429", "{made_up}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_whom_it_speaks_for() {
    let a = backend("a");
    let limit = json!({ "requests": 1, "per": "1h", "key": { "client_address": true } });
    let setup = Setup::one_tier(&[(&a, 100)])
        .with("listeners.public.trusted_proxies", json!(["127.0.0.0/8"]));
    let proxy = limited(setup, limit).await;
    for (client, expected) in [
        ("192.0.2.1", "200"),
        ("192.0.2.1", "429"),
        ("192.0.2.2", "200"),
        ("2001:db8::1", "200"),
        ("2001:db8::ffff:1", "429"),
        ("2001:db8:0:1::1", "200"),
    ] {
        let headers = format!("x-forwarded-for: {client}\r\n");
        assert_eq!(status_from("127.0.0.1", &proxy, &headers).await, expected, "{client}");
    }
}

#[tokio::test]
async fn requests_count_together_by_header_or_all_of_a_route() {
    let a = backend("a");
    let limit = json!({ "requests": 1, "per": "1h", "key": { "header": "X-Api-Key" } });
    let proxy = limited(Setup::one_tier(&[(&a, 100)]), limit).await;
    for (headers, expected) in [
        ("x-api-key: one\r\n", "200"),
        ("x-api-key: one\r\n", "429"),
        ("x-api-key: two\r\n", "200"),
        ("", "200"),
        ("", "429"),
    ] {
        assert_eq!(status_from("127.0.0.1", &proxy, headers).await, expected, "{headers}");
    }
    let limit = json!({ "requests": 1, "per": "1h", "key": { "route": true } });
    let proxy = limited(Setup::one_tier(&[(&a, 100)]), limit).await;
    assert_eq!(status_from("127.0.0.1", &proxy, "").await, "200");
    assert_eq!(status_from("127.0.0.2", &proxy, "").await, "429");
}
