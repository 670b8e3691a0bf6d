//! What an incident says happened is what happened.

use std::time::Duration;

use bascule_backend::{Fault, FaultKind, Scope, load::start};
use http::Method;
use serde_json::json;

use crate::{
    load::{assert_counts_agree, assert_none_failed, load, plan, served},
    setup::{Setup, backend},
};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_backend_that_hangs_is_told_from_one_that_crashed_and_costs_no_get() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary])
        .with("pools.api.retries.per_try_timeout", "1s")
        // Checks must find out before the ejection ends, or traffic returns to what hangs.
        .with("pools.api.health_check.timeout", "1s")
        .with("pools.api.outlier_detection.eject_for.base", "4s")
        // A second's requests are retried; the default expects them to follow ten others.
        .with("pools.api.retries.budget.min_per_second", 100)
        .start()
        .await;
    let load = load(&proxy, "/api/data");
    served(&load, 100).await;
    primary.inject(Fault::new(FaultKind::Hang, MINUTE)).await.unwrap();
    let incident = proxy.incident_until(1, |it| it["window"]["to"].is_string()).await;
    assert_eq!((&incident["cause"], &incident["backend"]), (&json!("hang"), &json!("primary")));
    assert!(0 < incident["requests"]["rescued"].as_u64().unwrap(), "{incident:#}");
    proxy.pool_until(|pool| pool["backends"][0]["state"] == "down").await;
    primary.recover().await;
    proxy.incident_until(1, |it| it["state"] == "closed").await;
    served(&load, 50).await;
    let report = load.stop().await;
    assert_none_failed(&report);
    assert_counts_agree(&proxy.incidents().await[0], &report);
    assert_eq!(proxy.incidents().await.len(), 1);
}

#[tokio::test]
async fn checks_alone_can_take_a_backend_out_and_cost_no_request() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).start().await;
    let load = start(plan(&proxy, "/echo").method(Method::POST));
    served(&load, 50).await;
    let sick = FaultKind::Error { status: http::StatusCode::INTERNAL_SERVER_ERROR };
    primary.inject(Fault::new(sick, MINUTE).in_scope(Scope::Health)).await.unwrap();
    let incident = proxy.incident_until(1, |it| it["window"]["to"].is_string()).await;
    assert_eq!(incident["detected_by"], "health_check");
    assert_eq!(incident["cause"], "errors");
    let pool = proxy.pool().await;
    assert_eq!(pool["backends"][0]["reason"], "answered 500");
    assert_eq!(pool["active_backend"], "secondary");
    let report = load.stop().await;
    assert_none_failed(&report);
    assert_counts_agree(&incident, &report);
}

#[tokio::test]
async fn what_an_incident_counts_as_lost_is_what_clients_lost() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary])
        .with("pools.api.outlier_detection.eject_for.base", "60s")
        .start()
        .await;
    let load = start(plan(&proxy, "/echo").method(Method::POST));
    served(&load, 100).await;
    let fault = Fault::new(FaultKind::Reset, MINUTE).in_scope(Scope::Traffic);
    primary.inject(fault).await.unwrap();
    let incident = proxy.incident_until(1, |it| it["window"]["to"].is_string()).await;
    let report = load.stop().await;
    assert_eq!(incident["detected_by"], "traffic");
    // Three failures in a row eject; those that are under way by then fail, too.
    let lost = incident["requests"]["lost"].as_u64().unwrap();
    assert!((3..20).contains(&lost), "{incident:#}");
    let failures: Vec<_> = report.failures().collect();
    assert_eq!(lost, report.summary.failed, "{incident:#} {failures:#?}");
    assert_counts_agree(&incident, &report);
    let ratio = incident["requests"]["error_ratio"].as_f64().unwrap();
    let total = incident["requests"]["total"].as_u64().unwrap();
    assert!((ratio - lost as f64 / total as f64).abs() < 1e-9);
}

#[tokio::test]
async fn a_fault_that_an_operator_asked_for_is_marked_as_such() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).start().await;
    let load = load(&proxy, "/api/data");
    served(&load, 50).await;
    let order = json!({ "mode": "refuse", "for": "60s" }).to_string();
    let headers = [("content-type", "application/json")];
    let failed =
        crate::client::try_ask(proxy.admin, "POST", "/proxy/fail", &headers, order).await.unwrap();
    assert_eq!((failed.status, &failed.json()["backend"]), (202, &json!("primary")));
    let incident = proxy.incident_until(1, |it| it["window"]["to"].is_string()).await;
    assert_eq!((&incident["requested"], &incident["cause"]), (&json!(true), &json!("injected")));
    let report = load.stop().await;
    assert_none_failed(&report);
    assert_counts_agree(&incident, &report);
    assert_eq!(primary.total(), report.summary.answered_by["primary"], "refused means not reached");
}
