//! Which requests another backend gets when one has failed, and how often anything is executed.

use std::time::Duration;

use bascule_backend::{Fault, FaultKind, Running, Scope};
use http::StatusCode;

use crate::{
    client::soon,
    setup::{Setup, backend},
    stub::Refusing,
};

/// Traffic meets the fault until the test is over; health checks do not.
async fn break_traffic(backend: &Running, kind: FaultKind) {
    let fault = Fault::new(kind, Duration::from_secs(60)).in_scope(Scope::Traffic);
    backend.inject(fault).await.unwrap();
}

/// What a request of this id did: attempts that arrived, and executions, at both backends.
fn done(id: &str, backends: [&Running; 2]) -> (u64, u64) {
    let executed = backends.map(|it| it.executed(id));
    (executed.iter().map(|it| it.received).sum(), executed.iter().map(|it| it.count).sum())
}

fn error(status: StatusCode) -> FaultKind {
    FaultKind::Error { status }
}

#[tokio::test]
async fn a_refused_connection_costs_no_request_whatever_its_method() {
    let (mut primary, secondary) = (backend("primary"), backend("secondary"));
    // No check notices during the test.
    let proxy = Setup::tiers(&[&primary, &secondary])
        .without_ejection()
        .with("pools.api.health_check.interval", "60s")
        .with("pools.api.health_check.fast_interval", "60s")
        .start()
        .await;
    primary.kill().await;
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
        let answer = proxy.echo(method, method).await;
        assert_eq!((answer.status, answer.backend()), (200, "secondary"), "{method}");
        assert_eq!(secondary.executed(method).count, 1, "{method}");
    }
    let sent = "x".repeat(300_000);
    let answer = proxy.ask("POST", "/echo", &[], sent.clone()).await;
    assert!(answer.json()["body"] == sent, "a large body, of which nothing had been sent");
}

#[tokio::test]
async fn a_backend_that_refuses_from_the_start_costs_nothing() {
    let (refusing, secondary) = (Refusing::new(), backend("secondary"));
    let backends = [("primary", refusing.addr()), ("secondary", secondary.addr())];
    let proxy = Setup::addresses(&backends).start().await;
    assert_eq!(proxy.echo("POST", "first").await.backend(), "secondary");
    assert_eq!(proxy.pool().await["backends"][0]["reason"], "connection refused");
}

#[tokio::test]
async fn a_get_is_answered_by_another_backend_however_the_first_one_fails() {
    for (number, kind) in [
        FaultKind::Reset,
        FaultKind::Hang,
        error(StatusCode::BAD_GATEWAY),
        error(StatusCode::SERVICE_UNAVAILABLE),
        error(StatusCode::GATEWAY_TIMEOUT),
    ]
    .into_iter()
    .enumerate()
    {
        let (primary, secondary) = (backend("primary"), backend("secondary"));
        let proxy = Setup::tiers(&[&primary, &secondary])
            .with("pools.api.retries.per_try_timeout", "500ms")
            .start()
            .await;
        break_traffic(&primary, kind).await;
        for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
            let id = format!("{method}-{number}");
            let answer = proxy.echo(method, &id).await;
            assert_eq!((answer.status, answer.backend()), (200, "secondary"), "{id} {kind:?}");
            assert_eq!(secondary.executed(&id).count, 1, "{id} {kind:?}");
        }
    }
}

#[tokio::test]
async fn a_post_that_may_have_been_executed_is_not_sent_again() {
    for (kind, status, executed) in [
        (FaultKind::Reset, 502, 1),
        (FaultKind::Hang, 504, 0),
        (error(StatusCode::BAD_GATEWAY), 502, 1),
        (error(StatusCode::SERVICE_UNAVAILABLE), 503, 1),
    ] {
        let (primary, secondary) = (backend("primary"), backend("secondary"));
        let proxy = Setup::tiers(&[&primary, &secondary])
            .with("routes", serde_json::json!([{ "pool": "api", "timeout": "700ms" }]))
            .start()
            .await;
        break_traffic(&primary, kind).await;
        let answer = proxy.echo("POST", "order").await;
        assert_eq!(answer.status, status, "{kind:?}: {answer:?}");
        assert_eq!(done("order", [&primary, &secondary]), (1, executed), "{kind:?}");
        if matches!(kind, FaultKind::Reset) {
            let remedy = answer.json()["error"]["remedy"].to_string();
            assert!(remedy.contains("may have been executed"), "{remedy}");
        }
    }
}

#[tokio::test]
async fn an_idempotency_key_makes_a_post_repeatable() {
    for (key, status) in [("k-1", 200), (" ", 502)] {
        let (primary, secondary) = (backend("primary"), backend("secondary"));
        let proxy = Setup::tiers(&[&primary, &secondary]).start().await;
        break_traffic(&primary, FaultKind::Reset).await;
        let headers = [("idempotency-key", key), ("x-request-id", "order")];
        let answer = proxy.ask("POST", "/echo", &headers, "an order").await;
        assert_eq!(answer.status, status, "{key:?}");
        if status == 200 {
            assert_eq!(
                (answer.backend(), &answer.json()["body"]),
                ("secondary", &"an order".into())
            );
        }
    }
}

#[tokio::test]
async fn when_every_backend_answers_503_the_last_one_is_heard() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).without_ejection().start().await;
    for backend in [&primary, &secondary] {
        break_traffic(backend, error(StatusCode::SERVICE_UNAVAILABLE)).await;
    }
    let answer = proxy.echo("GET", "get").await;
    assert_eq!((answer.status, answer.backend()), (503, "secondary"));
    assert_eq!(answer.json()["error"]["code"], "fault_injected", "the backend's own words");
    assert_eq!(done("get", [&primary, &secondary]), (2, 2));
}

#[tokio::test]
async fn an_error_that_is_the_applications_own_is_passed_on() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).start().await;
    for status in [400, 404, 429, 500, 501] {
        let answer = proxy.get(&format!("/status/{status}")).await;
        assert_eq!((answer.status, answer.backend()), (status, "primary"));
    }
    assert_eq!(secondary.total(), 0);
}

#[tokio::test]
async fn a_small_body_is_sent_again_with_the_right_bytes() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).without_ejection().start().await;
    break_traffic(&primary, error(StatusCode::SERVICE_UNAVAILABLE)).await;
    for bytes in [1, 1000, 64 * 1024] {
        let sent: String = (0..bytes).map(|it| char::from(b'a' + (it % 23) as u8)).collect();
        let answer = proxy.ask("PUT", "/echo", &[], sent.clone()).await;
        assert_eq!((answer.status, answer.backend()), (200, "secondary"), "{bytes} bytes");
        assert!(answer.json()["body"] == sent, "{bytes} bytes");
    }
}

#[tokio::test]
async fn a_long_body_is_sent_again_whole() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary])
        .with("pools.api.retries.per_try_timeout", "300ms")
        .start()
        .await;
    break_traffic(&primary, FaultKind::Hang).await;
    for framing in [&[][..], &[("transfer-encoding", "chunked")][..]] {
        let body = "x".repeat(1 << 20);
        let sent = if framing.is_empty() {
            body.clone()
        } else {
            format!("100000\r\n{body}\r\n0\r\n\r\n")
        };
        let mut raw = proxy.connect().await;
        let head = match framing.first() {
            None => format!("content-length: {}", sent.len()),
            Some((name, value)) => format!("{name}: {value}"),
        };
        raw.send(&format!("PUT /echo HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n{sent}")).await;
        let (head, answer) = raw.answer().await;
        assert!(head.contains("x-backend: secondary"), "{head}");
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        assert!(answer["body"] == body, "{} bytes arrived", answer["body_bytes"]);
    }
}

#[tokio::test]
async fn a_body_that_is_gone_is_never_sent_in_part() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).without_ejection().start().await;
    break_traffic(&primary, FaultKind::Hang).await;
    let sent = "x".repeat(2 << 20);
    let answer = proxy.ask("PUT", "/echo", &[("x-request-id", "big")], sent).await;
    assert_eq!(answer.status, 504);
    assert_eq!(done("big", [&primary, &secondary]), (1, 0));
}

#[tokio::test]
async fn a_request_that_hangs_is_not_held_up_by_others_that_do() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary])
        .with("pools.api.retries.per_try_timeout", "500ms")
        .start()
        .await;
    break_traffic(&primary, FaultKind::Hang).await;
    let asked = std::time::Instant::now();
    let all = futures_util::future::join_all((0..20).map(|_| proxy.get("/api/data")));
    for answer in soon(all).await {
        assert_eq!((answer.status, answer.backend()), (200, "secondary"));
    }
    // One after the other they would take 10 s.
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}
