//! Bounds on attempts: per request, and as a share of all requests.

use std::time::Duration;

use bascule_backend::{Fault, FaultKind, Running, Scope};
use serde_json::json;

use crate::setup::{Setup, backend};

/// Backends that execute every request and then reset its connection.
async fn resetting(names: &[&str]) -> Vec<Running> {
    let mut backends = Vec::new();
    for name in names {
        let backend = backend(name);
        let fault = Fault::new(FaultKind::Reset, Duration::from_secs(60));
        backend.inject(fault.in_scope(Scope::Traffic)).await.unwrap();
        backends.push(backend);
    }
    backends
}

fn attempts(backends: &[Running], id: &str) -> u64 {
    backends.iter().map(|it| it.executed(id).received).sum()
}

#[tokio::test]
async fn max_attempts_counts_the_first_attempt_too() {
    let backends = resetting(&["a", "b", "c", "d"]).await;
    let all: Vec<&Running> = backends.iter().collect();
    for max_attempts in [1, 2, 3] {
        let proxy = Setup::tiers(&all)
            .without_ejection()
            .with("pools.api.retries.max_attempts", max_attempts)
            .start()
            .await;
        let id = format!("at-most-{max_attempts}");
        assert_eq!(proxy.echo("GET", &id).await.status, 502);
        assert_eq!(attempts(&backends, &id), max_attempts);
        for backend in &backends {
            assert!(backend.executed(&id).received <= 1, "tried twice while others were left");
        }
    }
}

#[tokio::test]
async fn the_retry_budget_bounds_what_an_outage_adds_to_the_load() {
    let backends = resetting(&["a", "b"]).await;
    let proxy = Setup::tiers(&[&backends[0], &backends[1]])
        .without_ejection()
        .with("pools.api.retries.budget", json!({ "ratio": "0%", "min_per_second": 1 }))
        .start()
        .await;
    let mut statuses = Vec::new();
    for number in 0..12 {
        statuses.push(proxy.echo("GET", &number.to_string()).await.status);
    }
    // One a second over the ten seconds that it looks back on, and each request's two retries
    // until they are spent.
    let sum: u64 = (0..12).map(|number| attempts(&backends, &number.to_string())).sum();
    assert_eq!(sum, 12 + 10, "{statuses:?}");
    let denied = r#"bascule_retries_total{outcome="denied_budget",pool="api"}"#;
    proxy.metric_until(denied, 7.0).await;
}

#[tokio::test]
async fn the_routes_timeout_bounds_all_attempts_together() {
    let (a, b, c) = (backend("a"), backend("b"), backend("c"));
    for backend in [&a, &b, &c] {
        backend
            .inject(Fault::new(FaultKind::Hang, Duration::from_secs(60)).in_scope(Scope::Traffic))
            .await
            .unwrap();
    }
    let proxy = Setup::tiers(&[&a, &b, &c])
        .without_ejection()
        .with("pools.api.retries.per_try_timeout", "400ms")
        .with("routes", json!([{ "pool": "api", "timeout": "600ms" }]))
        .start()
        .await;
    let asked = std::time::Instant::now();
    let answer = proxy.echo("GET", "late").await;
    assert_eq!(answer.status, 504, "{answer:?}");
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains("no response in time"));
    assert!(Duration::from_millis(590) <= asked.elapsed(), "{:?}", asked.elapsed());
    assert_eq!([&a, &b, &c].map(|it| it.executed("late").received), [1, 1, 0]);
}
