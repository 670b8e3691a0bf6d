//! Routes that lead to several pools: splits, and mirrors that nobody notices.

use std::{collections::BTreeMap, time::Duration};

use bascule_backend::{Fault, FaultKind, Running, Scope};
use serde_json::{Value, json};

use crate::{
    client::{Raw, until},
    proxy::Proxy,
    setup::{Setup, backend},
};

fn pool(it: &Running) -> Value {
    json!({ "backends": [{ "name": it.name(), "url": it.url("") }] })
}

/// How many of so many requests each backend answered.
async fn shares(proxy: &Proxy, count: usize, headers: &[(&str, &str)]) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..count {
        let answer = proxy.ask("GET", "/echo", headers, "").await;
        assert_eq!(answer.status, 200);
        *shares.entry(answer.backend().to_owned()).or_default() += 1;
    }
    shares
}

#[tokio::test]
async fn a_split_gives_each_pool_its_share_and_keeps_clients_on_their_side() {
    let (stable, next) = (backend("stable"), backend("next"));
    let parts = json!([{ "pool": "api", "weight": 70 }, { "pool": "next", "weight": 30 }]);
    let proxy = Setup::tiers(&[&stable])
        .with("pools.next", pool(&next))
        .with(
            "routes",
            json!([
                { "match": { "hosts": ["cookie.example"] }, "split": parts,
                  "split_by": { "cookie": "session" } },
                { "match": { "hosts": ["address.example"] }, "split": parts,
                  "split_by": { "client_address": true } },
                { "split": parts },
            ]),
        )
        .start()
        .await;
    // Chance: 200 draws miss 20 to 100 for the smaller part once in a million runs.
    let by_chance = shares(&proxy, 200, &[]).await;
    assert!((20..100).contains(&by_chance["next"]), "{by_chance:?}");
    let mut sides = BTreeMap::<String, usize>::new();
    for user in 0..40 {
        let cookie = format!("a=b; session=user-{user}");
        let headers = [("host", "cookie.example"), ("cookie", cookie.as_str())];
        let of_user = shares(&proxy, 3, &headers).await;
        assert_eq!(of_user.len(), 1, "{of_user:?}");
        *sides.entry(of_user.into_keys().next().unwrap()).or_default() += 1;
    }
    assert_eq!(sides.len(), 2, "{sides:?}");
    // Both sides get some of forty addresses of this machine, and each address always the same.
    let mut sides = BTreeMap::new();
    for last in (2..42).chain(2..42) {
        let local = format!("127.0.0.{last}");
        let mut raw = Raw::connect_from(&local, proxy.public).await;
        raw.send("GET /echo HTTP/1.1\r\nhost: address.example\r\n\r\n").await;
        let (head, _) = raw.answer().await;
        let from = head.lines().find_map(|it| it.strip_prefix("x-backend: ")).unwrap().to_owned();
        assert_eq!(sides.entry(local.clone()).or_insert_with(|| from.clone()), &from, "{local}");
    }
    assert!(sides.values().any(|it| it == "next") && sides.values().any(|it| it == "stable"));
}

#[tokio::test]
async fn a_mirror_gets_copies_and_clients_notice_nothing() {
    let (primary, shadow) = (backend("primary"), backend("shadow"));
    let proxy = Setup::tiers(&[&primary])
        .with("pools.shadow", pool(&shadow))
        .with("routes", json!([{ "pool": "api", "mirror": { "pool": "shadow" } }]))
        .start()
        .await;
    let sent = r#"bascule_mirrored_requests_total{outcome="sent",pool="shadow"}"#;
    for number in 0..5 {
        let id = format!("copy-{number}");
        let headers = [("x-request-id", id.as_str()), ("x-bascule-mirror", "1")];
        let answer = proxy.ask("POST", "/echo", &headers, "hello").await;
        assert_eq!((answer.status, answer.backend()), (200, "primary"));
        // A client's mark is no mark.
        assert_eq!(answer.seen("x-bascule-mirror"), [""; 0]);
        until(async || match shadow.executed(&id).count {
            1 => Ok(()),
            count => Err(count.to_string()),
        })
        .await;
    }
    proxy.metric_until(sent, 5.0).await;

    // Copies that hang or fail are nobody's trouble, and no more than a bound are under way.
    let fault = Fault::new(FaultKind::Hang, Duration::from_secs(60)).in_scope(Scope::Traffic);
    shadow.inject(fault).await.unwrap();
    for _ in 0..80 {
        assert_eq!(proxy.get("/echo").await.backend(), "primary");
    }
    proxy
        .metric_until(
            r#"bascule_mirrored_requests_total{outcome="dropped_busy",pool="shadow"}"#,
            16.0,
        )
        .await;
    shadow.recover().await;
    proxy.metric_until(sent, 69.0).await;

    // Bodies that are not at hand are not waited for.
    let mut raw = proxy.connect().await;
    raw.send("PUT /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
        .await;
    proxy
        .metric_until(
            r#"bascule_mirrored_requests_total{outcome="dropped_body",pool="shadow"}"#,
            1.0,
        )
        .await;
    raw.send("0\r\n\r\n").await;
    assert_eq!(raw.status().await, "200");

    let pools = proxy.sidecar("/proxy/health").await["pools"].clone();
    assert_eq!(pools[1]["backends"][0]["failures"], 0, "{pools}");
    assert!(proxy.incidents().await.is_empty());
}

#[tokio::test]
async fn a_mirror_that_is_gone_costs_clients_nothing() {
    let (primary, mut shadow) = (backend("primary"), backend("shadow"));
    let proxy = Setup::tiers(&[&primary])
        .with("pools.shadow", pool(&shadow))
        .with("routes", json!([{ "pool": "api", "mirror": { "pool": "shadow" } }]))
        .start()
        .await;
    shadow.kill().await;
    for _ in 0..10 {
        assert_eq!(proxy.get("/echo").await.backend(), "primary");
    }
    let series = r#"bascule_mirrored_requests_total{outcome="dropped_unserved",pool="shadow"}"#;
    proxy.metric_until(series, 10.0).await;
}
