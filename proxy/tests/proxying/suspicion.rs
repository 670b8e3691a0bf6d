//! A backend that looks ill is left alone at once, and asked again as soon as it looks well.

use std::time::{Duration, Instant};

use bascule_backend::{Fault, FaultKind, Scope};
use http::StatusCode;
use serde_json::json;

use crate::{
    load::{assert_none_failed, load, served},
    setup::{Setup, backend},
};

fn error() -> FaultKind {
    FaultKind::Error { status: StatusCode::SERVICE_UNAVAILABLE }
}

#[tokio::test]
async fn one_stray_error_diverts_traffic_for_a_moment_and_opens_no_incident() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).start().await;
    let fault = Fault::new(error(), Duration::from_secs(60)).in_scope(Scope::Traffic);
    primary.inject(fault).await.unwrap();
    assert_eq!(proxy.get("/api/data").await.backend(), "secondary");
    primary.recover().await;
    let ended = Instant::now();
    let state = async || proxy.pool().await["backends"][0]["state"].clone();
    let mut primaries = 0;
    while state().await != "up" {
        let answer = proxy.get("/api/data").await;
        assert_eq!(answer.status, 200);
        primaries += u32::from(answer.backend() == "primary");
        assert!(ended.elapsed() < Duration::from_secs(10), "suspected for ever");
    }
    // Three trials, one at a time, and perhaps a request that came between the end and our look.
    assert!((3..=4).contains(&primaries), "{primaries}");
    assert_eq!(proxy.get("/api/data").await.backend(), "primary");
    assert!(proxy.incidents().await.is_empty());
}

#[tokio::test]
async fn broken_checks_alone_do_not_empty_a_pool_of_which_traffic_is_well() {
    let only = backend("only");
    let proxy = Setup::tiers(&[&only]).start().await;
    let load = load(&proxy, "/api/data");
    served(&load, 100).await;
    let fault = Fault::new(error(), Duration::from_secs(60)).in_scope(Scope::Health);
    only.inject(fault).await.unwrap();
    let disagreement = r#"bascule_evidence_disagreement{backend="only",pool="api"}"#;
    proxy.metric_until(disagreement, 1.0).await;
    served(&load, 200).await;
    assert_eq!(proxy.pool().await["backends"][0]["eligible"], json!(true));
    only.recover().await;
    proxy.metric_until(disagreement, 0.0).await;
    assert_none_failed(&load.stop().await);
}
