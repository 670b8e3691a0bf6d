//! How traffic comes back: along a ramp, little by little, when an operator asks; and where it goes
//! while a tier has less than it needs, or nothing is left at all.

use std::time::Duration;

use bascule_backend::{Fault, FaultKind, Running, Scope};
use http::StatusCode;
use serde_json::json;

use crate::{
    client::until,
    load::{assert_none_failed, load, served},
    proxy::Proxy,
    setup::{Setup, backend},
};

fn error(scope: Scope) -> Fault {
    let kind = FaultKind::Error { status: StatusCode::SERVICE_UNAVAILABLE };
    Fault::new(kind, Duration::from_secs(60)).in_scope(scope)
}

async fn posted(proxy: &Proxy, path: &str, body: &str) -> u16 {
    let answer = crate::client::try_ask(proxy.admin(), "POST", path, &[], body.to_owned()).await;
    answer.unwrap().status
}

/// Kills the preferred backend, waits until the other serves, and starts it again.
async fn fail_over(proxy: &Proxy, mut primary: Running) -> Running {
    primary.kill().await;
    proxy.pool_until(|pool| pool["active_tier"] == 1).await;
    primary.restart().await.unwrap()
}

#[tokio::test]
async fn traffic_returns_along_a_ramp_and_all_at_the_end_of_it() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let setup = Setup::tiers(&[&primary, &secondary]);
    let proxy = setup.with("pools.api.tiers.failback.ramp", "4s").start().await;
    let load = load(&proxy, "/api/data");
    served(&load, 100).await;
    let primary = fail_over(&proxy, primary).await;
    // The tier that is being left stays the active one while it loses traffic little by little.
    until(async || match primary.total() {
        0 => Err("no traffic has returned".to_owned()),
        _ => Ok(()),
    })
    .await;
    assert_eq!(proxy.pool().await["active_tier"], 1);
    let before = (primary.total(), secondary.total());
    served(&load, 100).await;
    let after = (primary.total() - before.0, secondary.total() - before.1);
    assert!(0 < after.0 && after.0 < after.1, "{after:?} of the ramp's first half second");
    proxy.pool_until(|pool| pool["active_tier"] == 0).await;
    let before = secondary.total();
    served(&load, 100).await;
    assert!(secondary.total() - before <= 1, "traffic is back, but for what was under way");
    assert_none_failed(&load.stop().await);
}

#[tokio::test]
async fn a_return_that_fails_is_broken_off_at_once() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let setup = Setup::tiers(&[&primary, &secondary]);
    let proxy = setup.with("pools.api.tiers.failback.ramp", "30s").start().await;
    let load = load(&proxy, "/api/data");
    served(&load, 100).await;
    let primary = fail_over(&proxy, primary).await;
    until(async || if 0 < primary.total() { Ok(()) } else { Err("nothing returns".to_owned()) })
        .await;
    primary.inject(error(Scope::Traffic)).await.unwrap();
    proxy.log_until("failback aborted").await;
    assert_eq!(proxy.pool().await["active_tier"], 1);
    assert_none_failed(&load.stop().await);
}

#[tokio::test]
async fn a_tier_that_spills_over_keeps_what_it_can_carry() {
    let (mut a, b, spare) = (backend("a"), backend("b"), backend("spare"));
    let mut setup = Setup::one_tier(&[(&a, 100), (&b, 100), (&spare, 100)])
        .with("pools.api.tiers.fail_over_below", "100%")
        .with("pools.api.tiers.spill_over", true);
    setup.0["pools"]["api"]["backends"][2]["tier"] = json!(1);
    let proxy = setup.start().await;
    a.kill().await;
    proxy.pool_until(|pool| pool["backends"][0]["eligible"] == false).await;
    let before = (b.total(), spare.total());
    for _ in 0..200 {
        assert_eq!(proxy.get("/api/data").await.status, 200);
    }
    let (kept, spilled) = (b.total() - before.0, spare.total() - before.1);
    assert_eq!(kept + spilled, 200);
    // Each draws: half, give or take what chance does to 200.
    assert!((60..=140).contains(&kept), "{kept} of 200 were kept");
    assert_eq!(proxy.pool().await["active_tier"], 0);
}

#[tokio::test]
async fn a_backend_that_is_regained_gets_its_share_little_by_little() {
    let (mut a, b) = (backend("a"), backend("b"));
    let setup = Setup::one_tier(&[(&a, 100), (&b, 100)]).with("pools.api.slow_start", "8s");
    let proxy = setup.start().await;
    a.kill().await;
    proxy.pool_until(|pool| pool["backends"][0]["eligible"] == false).await;
    let a = a.restart().await.unwrap();
    proxy.pool_until(|pool| pool["backends"][0]["eligible"] == true).await;
    let before = (a.total(), b.total());
    for _ in 0..60 {
        assert_eq!(proxy.get("/api/data").await.status, 200);
    }
    let (warm, full) = (a.total() - before.0, b.total() - before.1);
    assert!(warm * 2 < full, "{warm} and {full} at the beginning");
    until(async || {
        let before = (a.total(), b.total());
        for _ in 0..20 {
            assert_eq!(proxy.get("/api/data").await.status, 200);
        }
        let shares = (a.total() - before.0, b.total() - before.1);
        if shares == (10, 10) { Ok(()) } else { Err(format!("{shares:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_pool_that_fails_open_asks_whom_checks_have_given_up() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let setup = Setup::tiers(&[&primary, &secondary]);
    let proxy = setup.with("pools.api.when_down", "fail_open").start().await;
    for it in [&primary, &secondary] {
        it.inject(error(Scope::Health)).await.unwrap();
    }
    proxy.pool_until(|pool| pool["active_tier"].is_null()).await;
    for _ in 0..20 {
        assert_eq!(proxy.get("/api/data").await.status, 200);
    }
    for it in [&primary, &secondary] {
        it.recover().await;
    }
    proxy.pool_until(|pool| pool["active_tier"] == 0).await;
}

#[tokio::test]
async fn a_pool_that_rejects_says_when_to_come_again() {
    let only = backend("only");
    let proxy = Setup::tiers(&[&only]).start().await;
    only.inject(error(Scope::Health)).await.unwrap();
    proxy.pool_until(|pool| pool["active_tier"].is_null()).await;
    let answer = proxy.get("/api/data").await;
    assert_eq!(answer.status, 503);
    assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
}

#[tokio::test]
async fn where_failback_is_manual_traffic_returns_when_somebody_asks() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let setup = Setup::tiers(&[&primary, &secondary])
        .with("pools.api.tiers.failback", json!({ "mode": "manual" }));
    let proxy = setup.start().await;
    assert_eq!(posted(&proxy, "/proxy/failback", "").await, 409);
    let primary = fail_over(&proxy, primary).await;
    proxy.pool_until(|pool| pool["backends"][0]["eligible"] == true).await;
    for _ in 0..20 {
        assert_eq!(proxy.get("/api/data").await.backend(), "secondary");
    }
    assert_eq!(posted(&proxy, "/proxy/failback", "").await, 202);
    proxy.pool_until(|pool| pool["active_tier"] == 0).await;
    assert_eq!(proxy.get("/api/data").await.backend(), "primary");
    assert!(0 < primary.total());
    proxy.incident_until(1, |it| it["state"] == "closed").await;
}

#[tokio::test]
async fn the_end_of_a_fault_by_itself_is_in_the_audit_log() {
    let only = backend("only");
    let proxy = Setup::tiers(&[&only]).start().await;
    let order = r#"{"mode":"slow","delay":"1ms","for":"1s"}"#;
    assert_eq!(posted(&proxy, "/proxy/fail", order).await, 202);
    let log = proxy.log_until("injected fault ended by itself").await;
    assert_eq!(log.matches("ended by itself").count(), 1, "{log}");
    let line = log.lines().find(|line| line.contains("ended by itself")).unwrap();
    for part in ["audit", "only", "slow"] {
        assert!(line.contains(part), "{line}");
    }
}
