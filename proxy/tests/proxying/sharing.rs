//! Routes that lead to several pools: splits.

use std::collections::BTreeMap;

use bascule_backend::Running;
use serde_json::{Value, json};

use crate::{
    client::Raw,
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
