//! Clients that go away: what was begun for them ends, and nobody is blamed.

use std::time::Duration;

use bascule_backend::{Fault, FaultKind, Running, Scope};

use crate::{
    client::soon,
    proxy::Proxy,
    setup::{Setup, backend},
};

/// Everything has ended, and no backend was at fault.
async fn assert_nothing_is_left(proxy: &Proxy, backends: &[&Running]) {
    let quiet = |pool: &serde_json::Value| {
        pool["backends"].as_array().unwrap().iter().all(|it| it["in_flight"] == 0)
    };
    let pool = proxy.pool_until(quiet).await;
    assert_eq!(pool["backends"].as_array().unwrap().len(), backends.len());
    for backend in pool["backends"].as_array().unwrap() {
        assert_eq!((&backend["failures"], &backend["state"]), (&0.into(), &"up".into()));
    }
    proxy.metric_until(r#"bascule_requests_in_flight{listener="public"}"#, 0.0).await;
    assert_eq!(proxy.pool().await["last_minute"]["lost"], 0);
    assert!(proxy.incidents().await.is_empty());
}

#[tokio::test]
async fn a_client_may_leave_in_every_phase() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).start().await;
    let length = "PUT /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\nhalf";
    let chunks =
        "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    for (number, begun) in [
        "GET /delay/60000 HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST /delay/60000 HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
        length,
        chunks,
        "GET /blob?size=1000000000 HTTP/1.1\r\nhost: x\r\n\r\n",
        // Held back, and passed on as it comes.
        "GET /blob?size=60000&chunk=1000&pace_ms=300 HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /blob?size=200000&chunk=1000&pace_ms=300 HTTP/1.1\r\nhost: x\r\n\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let mut raw = proxy.connect().await;
        raw.send(begun).await;
        soon(primary.received_at_least(number as u64 + 1)).await;
        proxy.pool_until(|pool| pool["backends"][0]["in_flight"] == 1).await;
        drop(raw);
        assert_nothing_is_left(&proxy, &[&primary, &secondary]).await;
    }
    assert_eq!(secondary.total(), 0);
}

#[tokio::test]
async fn a_client_may_leave_while_two_backends_are_asked() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).start().await;
    for _ in 0..80 {
        assert_eq!(proxy.get("/api/data").await.status, 200);
    }
    tokio::time::sleep(Duration::from_millis(1200)).await;
    for backend in [&primary, &secondary] {
        let fault = Fault::new(FaultKind::Hang, Duration::from_secs(60)).in_scope(Scope::Traffic);
        backend.inject(fault).await.unwrap();
    }
    let mut raw = proxy.connect().await;
    raw.get("/api/data", "").await;
    proxy.pool_until(|pool| pool["backends"][1]["in_flight"] == 1).await;
    drop(raw);
    let quiet = |pool: &serde_json::Value| {
        pool["backends"].as_array().unwrap().iter().all(|it| it["in_flight"] == 0)
    };
    let pool = proxy.pool_until(quiet).await;
    assert!(pool["backends"].as_array().unwrap().iter().all(|it| it["failures"] == 0), "{pool:#}");
    assert_eq!(pool["last_minute"]["lost"], 0);
}
