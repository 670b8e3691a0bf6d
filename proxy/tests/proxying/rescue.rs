//! Requests that wait at a backend that is lost.

use std::time::{Duration, Instant};

use bascule_backend::{Fault, FaultKind, Running, Scope};
use futures_util::future::join_all;

use crate::{
    client::soon,
    setup::{Setup, backend},
};

/// Checks notice a hang after 400 ms; an attempt may take 5 s.
fn setup(backends: &[&Running]) -> Setup {
    Setup::tiers(backends).with("pools.api.health_check.timeout", "200ms")
}

async fn break_it(backend: &Running, kind: FaultKind, scope: Scope) {
    backend.inject(Fault::new(kind, Duration::from_secs(60)).in_scope(scope)).await.unwrap();
}

#[tokio::test]
async fn requests_that_wait_at_a_backend_that_is_lost_are_answered_by_another() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = setup(&[&primary, &secondary]).start().await;
    break_it(&primary, FaultKind::Hang, Scope::Traffic).await;
    let asked = Instant::now();
    let waiting = join_all((0..50).map(|it| {
        let proxy = &proxy;
        async move { proxy.echo("GET", &format!("get-{it}")).await }
    }));
    let lost = async {
        soon(primary.received_at_least(50)).await;
        break_it(&primary, FaultKind::Hang, Scope::All).await;
    };
    let (answers, ()) = soon(async { tokio::join!(waiting, lost) }).await;
    for answer in &answers {
        assert_eq!((answer.status, answer.backend()), (200, "secondary"));
    }
    // Called back at the loss, not after the time that an attempt may take.
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    proxy.pool_until(|pool| pool["backends"][0]["in_flight"] == 0).await;
    let pool = proxy.pool_until(|pool| pool["last_minute"]["rescued"] == 50).await;
    assert_eq!(pool["last_minute"]["lost"], 0, "{pool:#}");
}

#[tokio::test]
async fn a_loss_moves_what_may_be_repeated_and_leaves_the_rest_to_finish() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = setup(&[&primary, &secondary]).start().await;
    let events = "/blob?size=4000&chunk=1000&pace_ms=500&chunked=true";
    let accept = [("accept", "text/event-stream")];
    let (get, post, stream, ()) = soon(async {
        tokio::join!(
            proxy.ask("GET", "/delay/1500", &[("x-request-id", "get")], ""),
            proxy.ask("POST", "/delay/1500", &[("x-request-id", "post")], "an order"),
            proxy.ask("GET", events, &accept, ""),
            async {
                soon(primary.received_at_least(3)).await;
                // Checks say no, and the answers under way come all the same.
                break_it(&primary, FaultKind::Hang, Scope::Health).await;
            }
        )
    })
    .await;
    assert_eq!((get.status, get.backend()), (200, "secondary"));
    assert_eq!((post.status, post.backend()), (200, "primary"));
    assert_eq!((stream.backend(), stream.body.len()), ("primary", 4000));
    assert_eq!(secondary.executed("post").received, 0);
    assert_eq!(secondary.executed("get").count, 1);
}

/// A body that is sent while it comes has been sent, too.
#[tokio::test]
async fn a_post_with_a_body_in_chunks_is_not_moved_when_its_backend_is_lost() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = setup(&[&primary, &secondary])
        .with("routes", serde_json::json!([{ "pool": "api", "timeout": "2s" }]))
        .start()
        .await;
    break_it(&primary, FaultKind::Hang, Scope::All).await;
    let mut raw = proxy.connect().await;
    let head = "POST /echo HTTP/1.1\r\nhost: x\r\nx-request-id: order\r\n\
                transfer-encoding: chunked\r\n\r\n";
    raw.send(format!("{head}5\r\norder\r\n0\r\n\r\n")).await;
    soon(primary.received_at_least(1)).await;
    proxy.pool_until(|pool| pool["backends"][0]["eligible"] == false).await;
    assert_eq!(raw.status().await, "504");
    assert_eq!(secondary.executed("order").received, 0);
}

/// Whoever calls an upload back that nobody else can take ends it for nothing.
#[tokio::test]
async fn an_upload_that_nobody_else_can_take_goes_on_where_it_is() {
    let only = backend("only");
    let proxy = setup(&[&only]).start().await;
    let mut raw = proxy.connect().await;
    let head = "PUT /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    raw.send(format!("{head}5\r\nhello\r\n")).await;
    soon(only.received_at_least(1)).await;
    break_it(
        &only,
        FaultKind::Error { status: http::StatusCode::SERVICE_UNAVAILABLE },
        Scope::Health,
    )
    .await;
    proxy.pool_until(|pool| pool["backends"][0]["state"] != "up").await;
    raw.send("7\r\n, world\r\n0\r\n\r\n").await;
    let (head, body) = raw.answer().await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    let seen: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(seen["body"], "hello, world");
}
