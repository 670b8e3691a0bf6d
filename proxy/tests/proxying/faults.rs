//! Faults injected below balancing: what each does to requests and to health checks, and whom it
//! spares.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    client::{Answer, try_ask, until},
    proxy::Proxy,
    setup::{Setup, backend},
};

const CONNECT: Duration = Duration::from_millis(200);
const ROUTE: Duration = Duration::from_secs(1);

/// One backend, one attempt, and no verdict that would keep requests away from it.
fn alone(primary: &bascule_backend::Running) -> Setup {
    Setup::tiers(&[primary])
        .without_ejection()
        .with("pools.api.retries.max_attempts", 1)
        .with("pools.api.timeouts.connect", "200ms")
        .with("pools.api.health_check.fall", 100)
        .with("routes", json!([{ "pool": "api", "timeout": "1s" }]))
}

/// Orders a fault of the backend `primary`.
async fn inject(proxy: &Proxy, mut order: Value) {
    order["backend"] = json!("primary");
    let answer = try_ask(proxy.admin, "POST", "/proxy/fail", &[], order.to_string()).await.unwrap();
    assert_eq!(answer.status, 202, "{order}: {answer:?}");
}

async fn recover(proxy: &Proxy) {
    let answer = try_ask(proxy.admin, "POST", "/proxy/recover", &[], "").await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}

async fn checks(proxy: &Proxy, result: &str) -> f64 {
    let labels = format!(r#"{{backend="primary",pool="api",result="{result}"}}"#);
    proxy.metric(&format!("bascule_health_checks_total{labels}")).await
}

/// Waits until so many more checks have ended in this way.
async fn checks_more(proxy: &Proxy, result: &str, more: f64) {
    let before = checks(proxy, result).await;
    until(async || match checks(proxy, result).await {
        now if before + more <= now => Ok(()),
        now => Err(format!("{result}: {before} then {now}")),
    })
    .await;
}

/// Waits until the latest check is as claimed.
async fn last_check_until(proxy: &Proxy, claim: impl Fn(&Value) -> bool) -> Value {
    let pool = proxy.pool_until(|pool| claim(&pool["backends"][0]["last_check"])).await;
    pool["backends"][0]["last_check"].clone()
}

async fn primary(proxy: &Proxy) -> Value {
    proxy.pool().await["backends"][0].clone()
}

#[tokio::test]
async fn each_mode_does_what_it_says_to_requests_while_checks_pass() {
    let backend = backend("primary");
    let proxy = alone(&backend).start().await;
    for (order, status, executed, at_least) in [
        (json!({ "mode": "refuse" }), 502, 0, Duration::ZERO),
        (json!({ "mode": "blackhole" }), 502, 0, CONNECT),
        (json!({ "mode": "hang" }), 504, 0, ROUTE),
        (json!({ "mode": "reset" }), 502, 0, Duration::ZERO),
        (json!({ "mode": "error" }), 503, 0, Duration::ZERO),
        (json!({ "mode": "error", "status": 429 }), 429, 0, Duration::ZERO),
        (json!({ "mode": "error", "status": 500 }), 500, 0, Duration::ZERO),
        (json!({ "mode": "slow", "delay": "150ms" }), 200, 1, Duration::from_millis(150)),
        (json!({ "mode": "slow", "delay": "10s" }), 504, 0, ROUTE),
    ] {
        let id = order.to_string().replace(|it: char| !it.is_ascii_alphanumeric(), "-");
        let mut traffic = order.clone();
        traffic["scope"] = json!("traffic");
        inject(&proxy, traffic).await;
        let began = Instant::now();
        let answer = proxy.echo("POST", &id).await;
        let took = began.elapsed();
        assert_eq!(answer.status, status, "{order}: {answer:?}");
        assert!(at_least <= took, "{order}: {took:?}");
        assert_eq!(backend.executed(&id).count, executed, "{order}");
        let is_told = String::from_utf8_lossy(&answer.body).contains("injected");
        assert_eq!(is_told, status != 200, "{order}: {answer:?}");
    }
    checks_more(&proxy, "pass", 2.0).await;
    assert_eq!([checks(&proxy, "fail").await, checks(&proxy, "timeout").await], [0.0; 2]);
    recover(&proxy).await;
    assert_eq!(proxy.echo("POST", "recovered").await.backend(), "primary");
}

#[tokio::test]
async fn a_truncated_response_is_never_taken_for_a_whole_one() {
    let backend = backend("primary");
    let proxy = alone(&backend).start().await;
    inject(&proxy, json!({ "mode": "truncate", "scope": "traffic" })).await;
    for method in ["GET", "POST"] {
        match try_ask(proxy.public, method, "/blob?size=100000", &[], "").await {
            Err(_) => {}
            Ok(answer) => assert_eq!(answer.status, 502, "{method}: {answer:?}"),
        }
    }
    checks_more(&proxy, "pass", 1.0).await;
    assert_eq!(checks(&proxy, "fail").await, 0.0);
}

#[tokio::test]
async fn each_mode_fails_checks_in_its_way_while_requests_are_served() {
    let backend = backend("primary");
    let proxy = alone(&backend).with("pools.api.health_check.timeout", "1s").start().await;
    for (mode, result) in [
        ("refuse", "fail"),
        ("blackhole", "timeout"),
        ("hang", "timeout"),
        ("reset", "fail"),
        ("truncate", "fail"),
        ("error", "fail"),
    ] {
        inject(&proxy, json!({ "mode": mode, "scope": "checks" })).await;
        let detail = format!("injected fault: {mode}");
        let check = last_check_until(&proxy, |check| check["detail"] == *detail).await;
        assert_eq!(check["result"], result, "{check}");
        for method in ["GET", "POST"] {
            assert_eq!(proxy.echo(method, mode).await.status, 200, "{mode}");
        }
        recover(&proxy).await;
        last_check_until(&proxy, |check| check["result"] == "pass").await;
    }
    assert_eq!(primary(&proxy).await["failures"], 0);
}

#[tokio::test]
async fn checks_are_slow_or_too_slow_and_may_expect_the_error() {
    let backend = backend("primary");
    let proxy = alone(&backend)
        .with("pools.api.health_check.timeout", "1s")
        .with("pools.api.health_check.http", json!({ "path": "/health", "expect": "200-429" }))
        .start()
        .await;
    let delay = json!({ "min": "100ms", "max": "120ms" });
    inject(&proxy, json!({ "mode": "slow", "delay": delay, "scope": "checks" })).await;
    checks_more(&proxy, "pass", 2.0).await;
    let check = primary(&proxy).await["last_check"].clone();
    assert!(0.1 <= check["duration_seconds"].as_f64().unwrap(), "{check}");
    inject(&proxy, json!({ "mode": "error", "status": 429, "scope": "checks" })).await;
    checks_more(&proxy, "pass", 2.0).await;
    assert_eq!([checks(&proxy, "fail").await, checks(&proxy, "timeout").await], [0.0; 2]);
    inject(&proxy, json!({ "mode": "slow", "delay": "10s", "scope": "checks" })).await;
    checks_more(&proxy, "timeout", 1.0).await;
}

#[tokio::test]
async fn a_check_that_only_connects_meets_what_comes_before_a_connection() {
    let backend = backend("primary");
    let proxy = Setup::addresses(&[("primary", backend.addr())])
        .with("pools.api.health_check.fall", 100)
        .start()
        .await;
    inject(&proxy, json!({ "mode": "error" })).await;
    checks_more(&proxy, "pass", 2.0).await;
    assert_eq!(checks(&proxy, "fail").await, 0.0);
    inject(&proxy, json!({ "mode": "refuse" })).await;
    checks_more(&proxy, "fail", 1.0).await;
}

/// The first request that meets this fault: who answered it, and how often each backend executed
/// it.
async fn first(order: Value, method: &str) -> (Answer, [u64; 2]) {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary])
        .with("pools.api.timeouts.connect", "200ms")
        .with("pools.api.retries.per_try_timeout", "500ms")
        .start()
        .await;
    inject(&proxy, order).await;
    let answer = proxy.echo(method, "order").await;
    (answer, [&primary, &secondary].map(|it| it.executed("order").count))
}

#[tokio::test]
async fn another_backend_is_asked_where_that_does_no_harm() {
    for (mode, method, is_repeated) in [
        ("refuse", "POST", true),
        ("blackhole", "POST", true),
        ("reset", "POST", false),
        ("error", "POST", false),
        ("reset", "GET", true),
        ("hang", "GET", true),
        ("error", "GET", true),
    ] {
        let order = json!({ "mode": mode, "scope": "traffic" });
        let (answer, executed) = first(order, method).await;
        assert_eq!(executed, [0, u64::from(is_repeated)], "{mode} {method}: {answer:?}");
        assert_eq!(answer.status == 200, is_repeated, "{mode} {method}: {answer:?}");
    }
}

#[tokio::test]
async fn a_share_is_struck_and_the_rest_is_not() {
    let backend = backend("primary");
    let proxy = alone(&backend).start().await;
    let order = json!({ "mode": "error", "status": 500, "percent": 30, "scope": "traffic" });
    inject(&proxy, order).await;
    let mut struck = 0;
    for number in 0..200 {
        struck += u32::from(proxy.echo("POST", &number.to_string()).await.status == 500);
    }
    // Of 60 expected; six standard deviations are 39.
    assert!((21..=99).contains(&struck), "{struck} of 200");
    assert_eq!(backend.total(), 200 - u64::from(struck));
}

#[tokio::test]
async fn a_fault_is_shown_while_it_lasts_ends_by_itself_and_is_in_the_audit_log() {
    let (first, second) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&first, &second]).start().await;
    inject(&proxy, json!({ "mode": "reset", "for": "1s" })).await;
    let pool = proxy.pool_until(|pool| pool["backends"][0]["state"] == "down").await;
    let fault = &pool["backends"][0]["fault"];
    let shown = ["mode", "scope", "percent"].map(|key| fault[key].clone());
    assert_eq!(shown, [json!("reset"), json!("all"), json!(100)]);
    assert!(fault["remaining_seconds"].as_f64().unwrap() <= 1.0, "{fault}");
    assert_eq!(proxy.echo("POST", "elsewhere").await.backend(), "secondary");

    let incident = proxy.incident_until(1, |it| it["state"] == "closed").await;
    assert_eq!((&incident["cause"], &incident["requested"]), (&json!("injected"), &json!(true)));
    assert_eq!(primary(&proxy).await["fault"], json!(null));
    assert_eq!(proxy.echo("POST", "back").await.backend(), "primary");
    let log = proxy.log_until("change made").await;
    let audit = log.lines().find(|line| line.contains("change made")).unwrap();
    let audit = audit.replace('\\', "");
    for part in
        ["fault.inject", "/primary", r#""mode":"reset""#, r#""scope":"all""#, "\"ends_at\":\"20"]
    {
        assert!(audit.contains(part), "{part}: {audit}");
    }
}
