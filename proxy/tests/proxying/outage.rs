//! Nothing is left that could serve, and then something is again.

use std::time::Duration;

use bascule_backend::{Fault, FaultKind};
use serde_json::json;

use crate::{
    load::{load, served},
    setup::{Setup, backend},
};

#[tokio::test]
async fn with_every_backend_down_the_answer_says_so_and_ends_with_the_outage() {
    let (mut primary, mut secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).start().await;
    primary.kill().await;
    secondary.kill().await;
    let pool = proxy.pool_until(|pool| pool["status"] == "down").await;
    assert_eq!((&pool["active_tier"], &pool["active_backend"]), (&json!(null), &json!(null)));
    for method in ["GET", "POST"] {
        let answer = proxy.echo(method, method).await;
        assert_eq!((answer.status, answer.header("content-type")), (503, "application/json"));
        let seconds: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&seconds));
        let error = answer.json()["error"].clone();
        assert_eq!(error["code"], "no_backend");
        assert_eq!(error["request_id"], method);
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("pool `api`"), "{message}");
        assert!(message.contains("connection refused"), "{message}");
    }
    let rejected = r#"bascule_rejected_total{pool="api",reason="no_backend"}"#;
    proxy.metric_until(rejected, 2.0).await;

    let secondary = secondary.restart().await.unwrap();
    proxy.pool_until(|pool| pool["status"] == "failed_over").await;
    assert_eq!(proxy.get("/api/data").await.backend(), "secondary");
    let _primary = primary.restart().await.unwrap();
    proxy.pool_until(|pool| pool["status"] == "serving").await;
    assert_eq!(proxy.get("/api/data").await.backend(), "primary");
    assert_eq!(secondary.total(), 1);
}

#[tokio::test]
async fn a_proxy_whose_backends_are_down_from_the_start_serves_once_one_is_up() {
    let mut primary = backend("primary");
    primary.kill().await;
    let proxy = Setup::tiers(&[&primary]).start().await;
    assert_eq!(proxy.get("/api/data").await.status, 503);
    let _primary = primary.restart().await.unwrap();
    proxy.pool_until(|pool| pool["status"] == "serving").await;
    assert_eq!(proxy.get("/api/data").await.status, 200);
}

#[tokio::test]
async fn the_last_backend_is_not_taken_out_by_failing_requests() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    let fault = Fault::new(FaultKind::Reset, Duration::from_secs(60));
    primary.inject(fault.in_scope(bascule_backend::Scope::Traffic)).await.unwrap();
    for _ in 0..5 {
        assert_eq!(proxy.get("/api/data").await.status, 502);
    }
    primary.recover().await;
    assert_eq!(proxy.get("/api/data").await.status, 200);
}

#[tokio::test]
async fn a_backend_that_traffic_alone_condemned_serves_when_the_other_one_dies() {
    let (primary, mut secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary])
        .with("pools.api.outlier_detection", json!({ "eject_for": { "base": "1h", "max": "1h" } }))
        .start()
        .await;
    let fault = Fault::new(
        FaultKind::Error { status: http::StatusCode::SERVICE_UNAVAILABLE },
        Duration::from_secs(600),
    );
    primary.inject(fault.in_scope(bascule_backend::Scope::Traffic)).await.unwrap();
    let load = load(&proxy, "/api/data");
    // Its checks pass, so that it is vouched for.
    let ejected = |pool: &serde_json::Value| {
        pool["backends"][0]["state"] == "ejected"
            && pool["backends"][0]["last_check"]["result"] == "pass"
    };
    proxy.pool_until(ejected).await;
    load.stop().await;
    primary.recover().await;
    secondary.kill().await;
    let pool = proxy.pool_until(|pool| pool["active_backend"] == "primary").await;
    assert_eq!(pool["active_tier"], 0);
    let answer = proxy.get("/api/data").await;
    assert_eq!((answer.status, answer.backend()), (200, "primary"));
}

#[tokio::test]
async fn a_backend_whose_port_is_closed_and_opened_again_gets_its_traffic_back() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).start().await;
    let load = load(&proxy, "/api/data");
    served(&load, 20).await;
    primary.inject(Fault::new(FaultKind::Refuse, Duration::from_secs(60))).await.unwrap();
    proxy.pool_until(|pool| pool["active_backend"] == "secondary").await;
    primary.recover().await;
    proxy.incident_until(1, |it| it["state"] == "closed").await;
    let answered = primary.total();
    served(&load, 20).await;
    assert!(answered < primary.total());
    crate::load::assert_none_failed(&load.stop().await);
}
