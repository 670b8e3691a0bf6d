//! Bounds on what is under way: full backends, the queue, and what becomes of more.

use std::time::Duration;

use bascule_backend::{Fault, FaultKind, Running, Scope};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    client::{Answer, Raw, soon, try_ask, until},
    proxy::Proxy,
    setup::{Setup, backend},
};

const QUEUE_LENGTH: &str = r#"bascule_queue_length{pool="api"}"#;

fn rejected(reason: &str) -> String {
    format!(r#"bascule_rejected_total{{pool="api",reason="{reason}"}}"#)
}

/// What is asked of this backend is not answered until this fault ends.
async fn hang(backend: &Running) {
    let fault = Fault::new(FaultKind::Hang, Duration::from_secs(60));
    backend.inject(fault.in_scope(Scope::Traffic)).await.unwrap();
}

/// Waits are not judged, and nobody is checked again after the start, so that only limits decide.
fn limited(setup: Setup, limits: serde_json::Value) -> Setup {
    setup
        .without_ejection()
        .with("pools.api.health_check.interval", "1h")
        .with("pools.api.suspicion.enabled", false)
        .with("pools.api.retries.per_try_timeout", "15s")
        .with("pools.api.limits", limits)
}

/// A request that nobody waits for yet.
fn ask(proxy: &Proxy, id: &'static str) -> impl Future<Output = Answer> + Send + 'static {
    let public = proxy.public;
    async move { try_ask(public, "GET", "/echo", &[("x-request-id", id)], "").await.unwrap() }
}

/// Waits until the backend has received these requests.
async fn received(backend: &Running, ids: &[&str]) {
    until(async || {
        let counts: Vec<_> = ids.iter().map(|id| backend.executed(id).received).collect();
        if counts.iter().all(|it| *it == 1) { Ok(()) } else { Err(format!("{counts:?}")) }
    })
    .await;
}

/// Waits until so many attempts are under way at the pool's first backend.
async fn in_flight(proxy: &Proxy, number: u64) {
    proxy.pool_until(|pool| pool["backends"][0]["in_flight"] == number).await;
}

#[tokio::test]
async fn who_finds_all_backends_full_waits_and_goes_on_when_a_slot_is_free() {
    let a = backend("a");
    let setup = Setup::one_tier(&[(&a, 100)]);
    let limits = json!({ "max_requests": 1, "queue_timeout": "15s" });
    let proxy = limited(setup, limits).start().await;
    hang(&a).await;
    let mut holder = proxy.connect().await;
    holder.get("/echo", "x-request-id: holder\r\n").await;
    received(&a, &["holder"]).await;
    let waiting = tokio::spawn(ask(&proxy, "waiting"));
    proxy.metric_until(QUEUE_LENGTH, 1.0).await;
    assert_eq!(a.executed("waiting").received, 0);
    a.recover().await;
    // The client that holds the slot goes away: its attempt ends, and with it the wait.
    drop(holder);
    let answer = soon(waiting).await.unwrap();
    assert_eq!((answer.status, answer.backend()), (200, "a"));
    proxy.metric_until(QUEUE_LENGTH, 0.0).await;
    proxy.metric_until(r#"bascule_queued_total{pool="api"}"#, 1.0).await;
    proxy.metric_until(r#"bascule_queue_duration_seconds_count{pool="api"}"#, 1.0).await;
    assert_eq!(proxy.echo("GET", "after").await.status, 200);
    in_flight(&proxy, 0).await;
}

#[tokio::test]
async fn what_finds_the_queue_full_or_waits_too_long_is_told_to_come_back_and_blames_nobody() {
    let (a, b) = (backend("a"), backend("b"));
    let limits = json!({ "max_requests": 1, "queue": 1, "queue_timeout": "2s" });
    let proxy = limited(Setup::tiers(&[&a, &b]), limits).start().await;
    hang(&a).await;
    let mut holder = proxy.connect().await;
    holder.get("/echo", "x-request-id: holder\r\n").await;
    received(&a, &["holder"]).await;
    let waiting = tokio::spawn(ask(&proxy, "waiting"));
    proxy.metric_until(r#"bascule_queued_total{pool="api"}"#, 1.0).await;
    let answer = proxy.echo("GET", "surplus").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"), "{answer:?}");
    let error = answer.json()["error"].clone();
    assert_eq!(error["code"], "overloaded");
    assert!(error["message"].as_str().unwrap().contains("no room for more to wait"), "{error}");
    let late = soon(waiting).await.unwrap();
    assert_eq!((late.status, late.json()["error"]["code"].as_str()), (503, Some("overloaded")));
    proxy.metric_until(&rejected("queue_full"), 1.0).await;
    proxy.metric_until(&rejected("queue_timeout"), 1.0).await;
    assert_eq!(proxy.metric(&rejected("no_backend")).await, 0.0);
    // Being busy is not being down: nobody failed, and nothing moved.
    let pool = proxy.pool().await;
    assert_eq!((&pool["active_tier"], &pool["backends"][0]["state"]), (&json!(0), &json!("up")));
    assert_eq!(pool["backends"][0]["failures"], 0);
    assert_eq!(proxy.incidents().await.len(), 0);
    assert_eq!(b.executed("waiting").received + b.executed("surplus").received, 0);
}

#[tokio::test]
async fn a_client_that_leaves_the_queue_makes_room_for_another() {
    let a = backend("a");
    let limits = json!({ "max_requests": 1, "queue": 1, "queue_timeout": "15s" });
    let proxy = limited(Setup::one_tier(&[(&a, 100)]), limits).start().await;
    hang(&a).await;
    let mut holder = proxy.connect().await;
    holder.get("/echo", "x-request-id: holder\r\n").await;
    received(&a, &["holder"]).await;
    let mut leaving: Raw = proxy.connect().await;
    leaving.get("/echo", "x-request-id: leaving\r\n").await;
    proxy.metric_until(QUEUE_LENGTH, 1.0).await;
    drop(leaving);
    proxy.metric_until(QUEUE_LENGTH, 0.0).await;
    let waiting = tokio::spawn(ask(&proxy, "staying"));
    proxy.metric_until(QUEUE_LENGTH, 1.0).await;
    a.recover().await;
    drop(holder);
    assert_eq!(soon(waiting).await.unwrap().status, 200);
    assert_eq!(a.executed("leaving").received, 0);
}

#[tokio::test]
async fn a_full_tier_hands_over_only_if_it_may_spill_over() {
    let (a, b) = (backend("a"), backend("b"));
    let limits = json!({ "max_requests": 1, "spill_over": true });
    let proxy = limited(Setup::tiers(&[&a, &b]), limits).start().await;
    hang(&a).await;
    let mut holder = proxy.connect().await;
    holder.get("/echo", "x-request-id: holder\r\n").await;
    received(&a, &["holder"]).await;
    let answer = proxy.echo("GET", "spilled").await;
    assert_eq!((answer.status, answer.backend()), (200, "b"));
    assert_eq!(proxy.pool().await["active_tier"], 0);
}

#[tokio::test]
async fn no_backend_ever_gets_more_at_a_time_than_it_may_and_nothing_is_lost() {
    let (a, b) = (backend("a"), backend("b"));
    for backend in [&a, &b] {
        let slow = FaultKind::Slow { delay: Duration::from_millis(5) };
        let fault = Fault::new(slow, Duration::from_secs(60));
        backend.inject(fault.in_scope(Scope::Traffic)).await.unwrap();
    }
    let limits = json!({ "max_requests": 2, "queue": 100, "queue_timeout": "15s" });
    let proxy = limited(Setup::one_tier(&[(&a, 100), (&b, 100)]), limits).start().await;
    let public = proxy.public;
    let mut clients = JoinSet::new();
    for client in 0..40 {
        clients.spawn(async move {
            let mut connection = Raw::connect(public).await;
            let mut answered = 0;
            for _ in 0..10 {
                connection.get("/echo", &format!("x-request-id: {client}\r\n")).await;
                assert_eq!(connection.status().await, "200");
                answered += 1;
            }
            answered
        });
    }
    let watched = async {
        let mut most = 0;
        while let Some(answered) = clients.join_next().await {
            assert_eq!(answered.unwrap(), 10);
            let pool = proxy.pool().await;
            let backends = pool["backends"].as_array().unwrap();
            most = most
                .max(backends.iter().map(|it| it["in_flight"].as_u64().unwrap()).max().unwrap());
        }
        most
    };
    assert!(soon(watched).await <= 2);
    assert_eq!(proxy.metric(&rejected("queue_timeout")).await, 0.0);
    in_flight(&proxy, 0).await;
}

#[tokio::test]
async fn idle_connections_count_among_those_that_a_backend_may_have() {
    let a = backend("a");
    let limits = json!({ "max_connections": 1, "queue_timeout": "15s" });
    let setup = limited(Setup::one_tier(&[(&a, 100)]), limits);
    // A write rides no connection that has been idle: it needs a new one, and the idle one goes.
    let proxy = setup.with("pools.api.retries.fresh_after", "0s").start().await;
    for number in 0..5 {
        assert_eq!(proxy.echo("GET", &format!("get-{number}")).await.status, 200);
        assert_eq!(proxy.echo("POST", &format!("post-{number}")).await.status, 200);
    }
    let mut both = JoinSet::new();
    both.spawn(ask(&proxy, "one"));
    both.spawn(ask(&proxy, "two"));
    while let Some(answer) = both.join_next().await {
        assert_eq!(answer.unwrap().status, 200);
    }
}

#[tokio::test]
async fn the_process_lets_in_so_many_requests_and_the_sidecar_can_always_be_reached() {
    let a = backend("a");
    let setup = limited(Setup::one_tier(&[(&a, 100)]), json!({}))
        .with("limits", json!({ "max_requests": 2 }))
        .with(
            "routes",
            json!([
                { "match": { "path_prefix": "/proxy/" }, "sidecar": true },
                { "name": "rest", "pool": "api" },
            ]),
        );
    let proxy = setup.start().await;
    hang(&a).await;
    let mut holders = [proxy.connect().await, proxy.connect().await];
    holders[0].get("/echo", "x-request-id: one\r\n").await;
    holders[1].get("/echo", "x-request-id: two\r\n").await;
    received(&a, &["one", "two"]).await;
    let answer = proxy.echo("GET", "surplus").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert_eq!(answer.json()["error"]["code"], "overloaded");
    proxy.metric_until(&rejected("max_requests"), 1.0).await;
    assert_eq!(proxy.get("/proxy/health").await.status, 200);
    a.recover().await;
    drop(holders);
    proxy.metric_until(r#"bascule_requests_in_flight{listener="public"}"#, 0.0).await;
    assert_eq!(proxy.echo("GET", "after").await.status, 200);
    // What was not let in is no loss of the pool's.
    assert_eq!(proxy.pool().await["last_minute"]["lost"], 0);
}

#[tokio::test]
async fn a_data_plane_that_keeps_up_turns_nobody_away() {
    let a = backend("a");
    let limits = json!({ "max_requests": 1000, "max_lag": "5s" });
    let proxy = Setup::one_tier(&[(&a, 100)]).with("limits", limits).start().await;
    for number in 0..50 {
        assert_eq!(proxy.echo("GET", &number.to_string()).await.status, 200);
    }
    assert_eq!(proxy.metric(&rejected("lag")).await, 0.0);
    assert!(proxy.metric("bascule_data_plane_lag_seconds").await < 5.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_plane_that_cannot_keep_up_turns_some_away_until_it_can() {
    let a = backend("a");
    let proxy = Setup::one_tier(&[(&a, 100)])
        .without_ejection()
        .with("threads", 1)
        .with("limits", json!({ "max_lag": "1ms" }))
        .with("pools.api.suspicion.enabled", false)
        .start()
        .await;
    let public = proxy.public;
    let mut clients = JoinSet::new();
    for _ in 0..150 {
        clients.spawn(async move {
            let (mut served, mut turned_away) = (0_u32, 0_u32);
            while turned_away == 0 {
                let answer = try_ask(public, "GET", "/echo", &[], "").await.unwrap();
                match answer.status {
                    200 => served += 1,
                    status => {
                        assert_eq!((status, answer.header("retry-after")), (503, "1"));
                        assert_eq!(answer.json()["error"]["code"], "overloaded");
                        turned_away += 1;
                    }
                }
            }
            served
        });
    }
    // Each client asks until it is turned away; meanwhile most are served.
    let mut served = 0;
    while let Some(by_one) = soon(clients.join_next()).await {
        served += by_one.unwrap();
        if clients.len() < 75 {
            clients.abort_all();
            break;
        }
    }
    assert!(0 < served);
    assert!(75.0 <= proxy.metric(&rejected("lag")).await);
    until(async || {
        // Once they are gone, it keeps up again.
        let mut statuses = Vec::new();
        for _ in 0..20 {
            statuses.push(proxy.get("/echo").await.status);
        }
        if statuses.iter().all(|it| *it == 200) { Ok(()) } else { Err(format!("{statuses:?}")) }
    })
    .await;
    assert_eq!(proxy.pool().await["backends"][0]["failures"], 0);
}
