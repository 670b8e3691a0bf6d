//! Shares within a tier, and what becomes of them when one of it is lost.

use std::time::Duration;

use bascule_backend::{Fault, FaultKind, Scope};
use serde_json::json;

use crate::{
    load::{assert_counts_agree, assert_none_failed, load, served},
    setup::{Setup, backend},
};

#[tokio::test]
async fn weights_are_shares_within_a_tier() {
    let (a, b, c) = (backend("a"), backend("b"), backend("c"));
    let proxy = Setup::one_tier(&[(&a, 10), (&b, 20), (&c, 50)]).start().await;
    for _ in 0..80 {
        assert_eq!(proxy.get("/api/data").await.status, 200);
    }
    assert_eq!([&a, &b, &c].map(|it| it.total()), [10, 20, 50]);
}

#[tokio::test]
async fn a_later_tier_gets_nothing_while_an_earlier_one_serves() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).start().await;
    for _ in 0..20 {
        proxy.get("/api/data").await;
    }
    assert_eq!((primary.total(), secondary.total()), (20, 0));
}

#[tokio::test]
async fn losing_one_of_two_in_a_tier_is_an_incident_within_that_tier() {
    let (mut a, b, spare) = (backend("a"), backend("b"), backend("spare"));
    let mut setup = Setup::one_tier(&[(&a, 100), (&b, 100), (&spare, 100)]);
    setup.0["pools"]["api"]["backends"][2]["tier"] = json!(1);
    let proxy = setup.start().await;
    let load = load(&proxy, "/api/data");
    served(&load, 100).await;
    a.kill().await;
    let incident = proxy.incident_until(1, |it| it["window"]["to"].is_string()).await;
    assert_eq!((&incident["backend"], &incident["to_backend"]), (&json!("a"), &json!("b")));
    assert_eq!((&incident["from_tier"], &incident["to_tier"]), (&json!(0), &json!(0)));
    let pool = proxy.pool().await;
    assert_eq!((&pool["status"], &pool["active_tier"]), (&json!("degraded"), &json!(0)));
    let a = a.restart().await.unwrap();
    proxy.incident_until(1, |it| it["state"] == "closed").await;
    served(&load, 20).await;
    let report = load.stop().await;
    assert_none_failed(&report);
    assert_counts_agree(&incident, &report);
    assert!(0 < a.total());
    // Requests that met the crash may be retried there; traffic does not go there.
    assert!(spare.total() < 10, "{}", spare.total());
}

#[tokio::test]
async fn a_tier_hands_over_when_it_has_too_few_left() {
    let (mut a, b, c, d) = (backend("a"), backend("b"), backend("c"), backend("d"));
    let mut setup = Setup::one_tier(&[(&a, 100), (&b, 100), (&c, 100), (&d, 100)])
        .with("pools.api.tiers.fail_over_below", 2);
    for index in [2, 3] {
        setup.0["pools"]["api"]["backends"][index]["tier"] = json!(1);
    }
    let proxy = setup.start().await;
    a.kill().await;
    proxy.pool_until(|pool| pool["active_tier"] == 1).await;
    let before = b.total();
    for _ in 0..10 {
        assert_eq!(proxy.get("/api/data").await.status, 200);
    }
    assert_eq!((b.total() - before, c.total() + d.total()), (0, 10));
}

#[tokio::test]
async fn least_requests_sends_less_to_the_slower_of_two() {
    let (fast, slow) = (backend("fast"), backend("slow"));
    let proxy = Setup::one_tier(&[(&fast, 100), (&slow, 100)])
        .with("pools.api.balance", "least_requests")
        .start()
        .await;
    let delay = FaultKind::Slow { delay: Duration::from_millis(300) };
    let fault = Fault::new(delay, Duration::from_secs(60)).in_scope(Scope::Traffic);
    slow.inject(fault).await.unwrap();
    let load = load(&proxy, "/api/data");
    served(&load, 200).await;
    assert_none_failed(&load.stop().await);
    assert!(slow.total() * 3 < fast.total(), "slow {}, fast {}", slow.total(), fast.total());
}
