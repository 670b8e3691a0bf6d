//! The preferred backend dies under load, and comes back.

use std::collections::BTreeMap;

use bascule_backend::load::start;
use http::Method;
use serde_json::json;

use crate::{
    client::try_ask,
    load::{assert_counts_agree, assert_none_failed, load, plan, served},
    setup::{Setup, backend},
};

#[tokio::test]
async fn no_get_fails_when_the_preferred_backend_dies_three_times_in_a_row() {
    let (mut primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).start().await;
    let load = load(&proxy, "/api/data");
    for round in 1..=3 {
        served(&load, 100).await;
        assert_eq!(proxy.pool().await["active_backend"], "primary");
        primary.kill().await;
        let incident = proxy.incident_until(round, |it| it["window"]["to"].is_string()).await;
        assert_eq!(incident["backend"], "primary", "{incident:#}");
        assert_eq!((&incident["cause"], &incident["requested"]), (&json!("crash"), &json!(false)));
        assert_eq!((&incident["from_tier"], &incident["to_tier"]), (&json!(0), &json!(1)));
        assert_eq!(incident["to_backend"], "secondary");
        assert!(incident["detection_seconds"].as_f64().unwrap() < 1.0, "{incident:#}");
        assert!(incident["switch_seconds"].as_f64().unwrap() < 1.0, "{incident:#}");
        assert_eq!(proxy.pool().await["status"], "failed_over");

        primary = primary.restart().await.unwrap();
        let incident = proxy.incident_until(round, |it| it["state"] == "closed").await;
        let moments: Vec<&str> =
            ["suspected_at", "decided_at", "serving_at", "recovered_at", "failed_back_at"]
                .iter()
                .map(|name| incident["moments"][name].as_str().unwrap())
                .collect();
        assert!(moments.is_sorted(), "{moments:?}");
    }
    served(&load, 100).await;
    assert_eq!(proxy.pool().await["status"], "serving");
    let report = load.stop().await;
    assert_none_failed(&report);
    assert!(0 < primary.total(), "traffic is back");
    let incidents = proxy.incidents().await;
    assert_eq!(incidents.len(), 3);
    for incident in &incidents {
        assert_counts_agree(incident, &report);
    }
    let over = r#"bascule_failovers_total{direction="over",pool="api",reason="#;
    let reasons = [r#""health_check"}"#, r#""outlier"}"#];
    let mut sum = 0.0;
    for reason in reasons {
        sum += proxy.metric(&format!("{over}{reason}")).await;
    }
    assert_eq!(sum, 3.0);
}

#[tokio::test]
async fn failback_waits_out_the_hold_down_and_says_when() {
    let (mut primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary])
        .with("pools.api.tiers.failback.after", "60s")
        .start()
        .await;
    primary.kill().await;
    proxy.pool_until(|pool| pool["active_backend"] == "secondary").await;
    assert_eq!(proxy.pool().await["failback"], json!(null));
    let _primary = primary.restart().await.unwrap();
    let pool = proxy.pool_until(|pool| !pool["failback"].is_null()).await;
    assert_eq!((&pool["status"], &pool["failback"]["to_tier"]), (&json!("failed_over"), &json!(0)));
    let remaining = pool["failback"]["remaining_seconds"].as_f64().unwrap();
    assert!(50.0 < remaining && remaining <= 60.0, "{remaining}");
    assert_eq!(proxy.get("/api/data").await.backend(), "secondary");
}

#[tokio::test]
async fn an_operator_cuts_the_hold_down_short_and_nothing_is_lost() {
    let (mut primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary])
        .with("pools.api.tiers.failback.after", "60s")
        .start()
        .await;
    let load = load(&proxy, "/api/data");
    served(&load, 20).await;
    let early = try_ask(proxy.admin, "POST", "/proxy/failback", &[], "").await.unwrap();
    assert_eq!(
        (early.status, &early.json()["error"]["code"]),
        (409, &json!("nothing_to_fail_back"))
    );
    primary.kill().await;
    proxy.pool_until(|pool| pool["active_backend"] == "secondary").await;
    let primary = primary.restart().await.unwrap();
    proxy.pool_until(|pool| pool["returnable_tier"] == 0).await;
    let accepted = try_ask(proxy.admin, "POST", "/proxy/failback", &[], "").await.unwrap();
    assert_eq!((accepted.status, &accepted.json()["to_tier"]), (202, &json!(0)));
    proxy.pool_until(|pool| pool["active_backend"] == "primary").await;
    proxy.incident_until(1, |it| it["moments"]["failed_back_at"].is_string()).await;
    let before = primary.total();
    served(&load, 20).await;
    assert!(before < primary.total());
    assert_none_failed(&load.stop().await);
}

#[tokio::test]
async fn a_crash_under_posts_executes_none_twice_and_loses_only_what_was_under_way() {
    let (mut primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).start().await;
    let load = start(plan(&proxy, "/delay/20").method(Method::POST).body_bytes(100));
    served(&load, 100).await;
    primary.kill().await;
    served(&load, 100).await;
    proxy.incident_until(1, |it| it["window"]["to"].is_string()).await;
    let report = load.stop().await;
    for record in &report.records {
        let counts = [primary.executed(&record.id).count, secondary.executed(&record.id).count];
        let executions = counts[0] + counts[1];
        assert!(executions <= 1, "{record:?} was executed {counts:?}");
        assert!(!record.is_ok() || executions == 1, "{record:?} was not executed");
    }
    // Four are under way at 200 a second and 20 ms each; the rest were sent to nobody before.
    let kinds = BTreeMap::from([("status_502".to_owned(), report.summary.failed)]);
    assert!(0 < report.summary.failed && report.summary.failed < 20, "{:?}", report.summary);
    assert_eq!(report.summary.failed_by_kind, kinds);
    assert_counts_agree(&proxy.incidents().await[0], &report);
}
