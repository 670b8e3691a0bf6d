//! How a backend begins and ends.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use bascule_backend::{Config, Ended, Fault, FaultKind, spawn};
use serde_json::json;

use crate::client::{Raw, ask, get, post, primary, soon};

#[tokio::test]
async fn fail_answers_and_then_everything_is_closed() {
    let mut running = primary();
    let mut idle = Raw::connect(&running).await.unwrap();
    let mut hanging = Raw::asking(&running, "/delay/60000").await;
    soon(running.received_at_least(1)).await;
    let answer = post(&running, "/fail", "").await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.json(), json!({"backend": "primary", "action": "exit", "status": 1}));
    assert_eq!(soon(running.ended()).await, Ended::Failed);
    assert_eq!(idle.rest().await.unwrap(), "");
    assert_eq!(hanging.rest().await.unwrap(), "");
    let refused = Raw::connect(&running).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(running.ended().await, Ended::Failed);
}

#[tokio::test]
async fn fail_works_under_every_fault_that_leaves_the_socket_open() {
    for mode in ["hang", "error", "slow", "reset", "truncate"] {
        let mut running = primary();
        let fault = json!({"mode": mode, "for_ms": 60_000}).to_string();
        post(&running, "/faults", &fault).await;
        assert_eq!(post(&running, "/fail", "").await.status, StatusCode::ACCEPTED, "{mode}");
        assert_eq!(soon(running.ended()).await, Ended::Failed, "{mode}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_wait_for_the_answer_cannot_prevent_the_failure() {
    let mut running = primary();
    let mut raw = Raw::connect(&running).await.unwrap();
    raw.send("POST /fail HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await;
    drop(raw);
    assert_eq!(soon(running.ended()).await, Ended::Failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_the_address_and_forgets_the_rest() {
    let mut running = primary();
    let addr = running.addr();
    for _ in 0..20 {
        ask(&running, "GET", "/api/data", &[("x-request-id", "a")], "").await;
        let slow = FaultKind::Slow { delay: Duration::from_millis(1) };
        running.inject(Fault::new(slow, Duration::from_secs(60))).await.unwrap();
        post(&running, "/fail", "").await;
        running = soon(running.restart()).await.unwrap();
        assert_eq!((running.addr(), running.total()), (addr, 0));
        assert_eq!(get(&running, "/faults").await.json()["faults"], json!([]));
    }
}

#[tokio::test]
async fn an_address_can_be_taken_over_after_a_kill() {
    let mut running = primary();
    let mut open = Raw::asking(&running, "/delay/60000").await;
    soon(running.received_at_least(1)).await;
    assert_eq!(running.kill().await, Ended::Killed);
    let successor = spawn(Config::new("successor").listening_on(running.addr())).unwrap();
    assert_eq!(get(&successor, "/health").await.header("x-backend"), Some("successor"));
    assert_eq!(open.rest().await.unwrap(), "");
}

#[tokio::test]
async fn shutdown_lets_requests_in_flight_finish() {
    let mut running = primary();
    let mut idle = Raw::connect(&running).await.unwrap();
    let mut busy = Raw::asking(&running, "/delay/60").await;
    soon(running.received_at_least(1)).await;
    assert_eq!(soon(running.shutdown()).await, Ended::ShutDown);
    let answer = busy.rest().await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("connection: close"));
    assert_eq!(idle.rest().await.unwrap(), "");
}

#[tokio::test]
async fn shutdown_does_not_wait_for_ever() {
    let drain = Duration::from_millis(40);
    let mut running = spawn(Config { drain, ..Config::new("primary") }).unwrap();
    let mut stuck = Raw::asking(&running, "/delay/60000").await;
    soon(running.received_at_least(1)).await;
    let asked = Instant::now();
    assert_eq!(soon(running.shutdown()).await, Ended::ShutDown);
    assert!(drain <= asked.elapsed());
    assert_eq!(stuck.rest().await.unwrap(), "");
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let running = primary();
    let error = spawn(Config::new("other").listening_on(running.addr())).unwrap_err();
    let (addr, port) = (running.addr(), running.addr().port());
    let expected = format!(
        "cannot listen on {addr}: the port is in use; stop the program that holds it \
         (`ss -ltnp 'sport = :{port}'` shows it) or choose another with --listen"
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_name_that_is_no_header_value_is_refused() {
    for name in ["", "prim\nary", "primär"] {
        assert!(spawn(Config::new(name)).is_err(), "{name}");
    }
}
