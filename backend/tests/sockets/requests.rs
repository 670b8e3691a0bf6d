//! The log of request ids.

use axum::http::StatusCode;
use bascule_backend::Executed;
use serde_json::json;

use crate::client::{Raw, ask, get, post, primary};

#[tokio::test]
async fn each_execution_of_an_id_is_counted_with_its_method() {
    let running = primary();
    for method in ["GET", "POST", "GET"] {
        ask(&running, method, "/echo", &[("x-request-id", "a")], "").await;
    }
    ask(&running, "PUT", "/status/500", &[("x-request-id", "b")], "").await;
    get(&running, "/api/data").await;
    let log = get(&running, "/requests").await.json();
    let expected = json!({
        "backend": "primary", "total": 5, "received": 5, "health_checks": 0, "forgotten_ids": 0,
        "executed": {
            "a": {"count": 3, "received": 3, "methods": ["GET", "POST"]},
            "b": {"count": 1, "received": 1, "methods": ["PUT"]},
        },
    });
    assert_eq!(log, expected);
    assert_eq!(running.executed("a").count, 3);
}

#[tokio::test]
async fn one_id_can_be_asked_for() {
    let running = primary();
    for id in ["a b", "c"] {
        ask(&running, "GET", "/api/data", &[("x-request-id", id)], "").await;
    }
    let log = get(&running, "/requests?id=a%20b").await.json();
    let expected = json!({"a b": {"count": 1, "received": 1, "methods": ["GET"]}});
    assert_eq!((&log["total"], &log["executed"]), (&json!(2), &expected));
    assert_eq!(get(&running, "/requests?id=none").await.json()["executed"], json!({}));
}

#[tokio::test]
async fn health_checks_and_control_are_kept_apart() {
    let running = primary();
    get(&running, "/health").await;
    get(&running, "/faults").await;
    let log = get(&running, "/requests").await.json();
    assert_eq!((&log["total"], &log["health_checks"]), (&json!(0), &json!(1)));
}

#[tokio::test]
async fn faulted_answers_count_as_executed_and_hung_requests_do_not() {
    let running = primary();
    for (mode, id) in [("error", "e"), ("reset", "r"), ("truncate", "t"), ("hang", "h")] {
        let fault = json!({"mode": mode, "for_ms": 60_000, "scope": "traffic"}).to_string();
        assert_eq!(post(&running, "/faults", &fault).await.status, StatusCode::CREATED);
        let mut raw = Raw::connect(&running).await.unwrap();
        raw.send(&format!("POST /echo HTTP/1.1\r\nhost: x\r\nx-request-id: {id}\r\n\r\n")).await;
        crate::client::soon(async {
            while running.executed(id).received == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        post(&running, "/recover", "").await;
        // Released or cut, the connection has come to an end or to an answer.
        drop(raw);
    }
    let counts = ["e", "r", "t", "h"].map(|id| running.executed(id).count);
    assert_eq!((counts, running.total()), ([1, 1, 1, 0], 3));
}

#[tokio::test]
async fn delete_clears_the_log() {
    let running = primary();
    ask(&running, "GET", "/api/data", &[("x-request-id", "a")], "").await;
    let cleared = ask(&running, "DELETE", "/requests", &[], "").await;
    assert_eq!(cleared.json(), json!({"backend": "primary", "action": "clear"}));
    assert_eq!((running.executed("a"), running.total()), (Executed::default(), 0));
}
