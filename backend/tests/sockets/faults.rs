//! Each fault as a client meets it, except `refuse`.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use bascule_backend::{Fault, FaultKind, Running, Scope};
use serde_json::{Value, json};

use crate::client::{Raw, ask, get, post, primary, soon};

const MINUTE: Duration = Duration::from_secs(60);

async fn inject(running: &Running, fault: Value) -> Value {
    let answer = post(running, "/faults", &fault.to_string()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    answer.json()
}

async fn modes(running: &Running) -> Vec<String> {
    let listed = get(running, "/faults").await.json();
    let mode = |fault: &Value| fault["mode"].as_str().unwrap().to_owned();
    listed["faults"].as_array().unwrap().iter().map(mode).collect()
}

#[tokio::test]
async fn active_faults_are_listed_and_recovery_ends_them() {
    let running = primary();
    for (method, path) in [("POST", "/recover"), ("DELETE", "/faults")] {
        let error = json!({"mode": "error", "status": 502, "percent": 30, "for_ms": 60_000});
        let begun = inject(&running, error).await;
        assert_eq!((&begun["status"], &begun["percent"]), (&json!(502), &json!(30)));
        inject(&running, json!({"mode": "slow", "delay_ms": 9, "for_ms": 60_000})).await;
        assert_eq!(modes(&running).await, ["error", "slow"]);
        let recovered = ask(&running, method, path, &[], "").await;
        assert_eq!(recovered.json()["ended"], json!(["error", "slow"]));
        assert_eq!(modes(&running).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_bad_fault_is_refused_with_field_and_allowed_values() {
    let running = primary();
    let answer = post(&running, "/faults", r#"{"mode":"explode","for_ms":1}"#).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let expected = json!({"error": {
        "code": "invalid_fault",
        "message": "`mode` is `explode`",
        "remedy": "give `mode` one of refuse, hang, error, slow, reset, truncate, close_idle",
    }});
    assert_eq!(answer.json(), expected);
    let half = r#"{"mode":"refuse","for_ms":1,"percent":50}"#;
    assert_eq!(post(&running, "/faults", half).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(modes(&running).await, [""; 0]);
}

#[tokio::test]
async fn error_answers_with_its_status_and_spares_control() {
    let running = primary();
    inject(&running, json!({"mode": "error", "status": 502, "for_ms": 60_000})).await;
    let failed = post(&running, "/echo", "body").await;
    assert_eq!(failed.status, StatusCode::BAD_GATEWAY);
    assert_eq!(failed.json()["error"]["code"], "fault_injected");
    assert_eq!(failed.header("x-backend"), Some("primary"));
    assert_eq!(get(&running, "/health").await.status, StatusCode::BAD_GATEWAY);
    assert_eq!(get(&running, "/requests").await.status, StatusCode::OK);
}

#[tokio::test]
async fn scope_spares_health_or_traffic() {
    let running = primary();
    let error = Fault::new(FaultKind::Error { status: StatusCode::SERVICE_UNAVAILABLE }, MINUTE);
    for (scope, health, traffic) in [(Scope::Traffic, 200, 503), (Scope::Health, 503, 200)] {
        running.inject(error.in_scope(scope)).await.unwrap();
        assert_eq!(get(&running, "/health").await.status.as_u16(), health);
        assert_eq!(get(&running, "/api/data").await.status.as_u16(), traffic);
    }
}

#[tokio::test]
async fn a_fault_ends_by_itself() {
    let running = primary();
    inject(&running, json!({"mode": "error", "for_ms": 60})).await;
    assert_eq!(get(&running, "/api/data").await.status, StatusCode::SERVICE_UNAVAILABLE);
    soon(async { while get(&running, "/api/data").await.status != StatusCode::OK {} }).await;
    assert_eq!(modes(&running).await, [""; 0]);
}

#[tokio::test]
async fn slow_executes_at_once_and_answers_late() {
    let running = primary();
    inject(&running, json!({"mode": "slow", "delay_ms": 60, "for_ms": 60_000})).await;
    let asked = Instant::now();
    let mut raw = Raw::asking(&running, "/status/200").await;
    soon(running.received_at_least(1)).await;
    assert_eq!(running.executed("raw").count, 1);
    assert!(raw.answer(0).await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(Duration::from_millis(60) <= asked.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recovery_lets_slow_answers_go() {
    let running = primary();
    inject(&running, json!({"mode": "slow", "delay_ms": 60_000, "for_ms": 60_000})).await;
    let mut raw = Raw::asking(&running, "/status/200").await;
    soon(running.received_at_least(1)).await;
    assert!(raw.is_silent());
    post(&running, "/recover", "").await;
    assert!(raw.answer(0).await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn idle_connections_are_closed_unannounced_and_busy_ones_are_not() {
    let running = primary();
    let mut idle = Raw::asking(&running, "/status/204").await;
    assert!(idle.answer(0).await.starts_with("HTTP/1.1 204"));
    let mut busy = Raw::asking(&running, "/delay/200").await;
    let streaming = "/blob?size=40&chunk=4&pace_ms=20";
    let mut streamed = Raw::asking(&running, streaming).await;
    soon(running.received_at_least(3)).await;
    inject(&running, json!({"mode": "close_idle", "period_ms": 10, "for_ms": 60_000})).await;
    assert_eq!(idle.rest().await.unwrap(), "");
    for answer in [busy.rest().await.unwrap(), streamed.rest().await.unwrap()] {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200") && !head.contains("connection"), "{head}");
        assert!(30 < body.len(), "{body}");
    }
}

#[tokio::test]
async fn hang_accepts_and_never_answers() {
    let running = primary();
    inject(&running, json!({"mode": "hang", "for_ms": 60_000})).await;
    let mut raw = Raw::asking(&running, "/api/data").await;
    soon(running.received_at_least(1)).await;
    // Control still answers, on connections of its own, while the request hangs.
    assert_eq!(modes(&running).await, ["hang"]);
    assert!(raw.is_silent());
    post(&running, "/recover", "").await;
    assert_eq!(raw.rest().await.unwrap(), "");
    assert_eq!(running.executed("raw").count, 0);
}

#[tokio::test]
async fn a_hang_that_ends_by_itself_closes_what_hung() {
    let running = primary();
    inject(&running, json!({"mode": "hang", "for_ms": 50})).await;
    let mut raw = Raw::asking(&running, "/api/data").await;
    assert_eq!(raw.rest().await.unwrap(), "");
    assert_eq!(get(&running, "/api/data").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reset_is_a_tcp_reset() {
    let running = primary();
    inject(&running, json!({"mode": "reset", "for_ms": 60_000})).await;
    let mut raw = Raw::asking(&running, "/api/data").await;
    assert_eq!(raw.rest().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn truncate_promises_the_length_and_sends_half() {
    let running = primary();
    inject(&running, json!({"mode": "truncate", "for_ms": 60_000})).await;
    // The large one does not fit into socket buffers, so that closing too early would lose bytes.
    for size in [1, 10, 10_000_001] {
        let mut raw = Raw::asking(&running, &format!("/blob?size={size}")).await;
        let mut bytes = Vec::new();
        soon(tokio::io::AsyncReadExt::read_to_end(&mut raw.0, &mut bytes)).await.unwrap();
        let head_end = bytes.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
        assert!(head.contains(&format!("content-length: {size}\r\n")), "{head}");
        assert_eq!(bytes.len() - head_end, size / 2);
    }
}

#[tokio::test]
async fn truncate_leaves_a_chunked_body_without_its_end() {
    let running = primary();
    inject(&running, json!({"mode": "truncate", "for_ms": 60_000})).await;
    let mut raw = Raw::asking(&running, "/blob?size=4000&chunk=100&chunked=true").await;
    let mut bytes = Vec::new();
    soon(tokio::io::AsyncReadExt::read_to_end(&mut raw.0, &mut bytes)).await.unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(text.contains("transfer-encoding: chunked\r\n"), "{text}");
    // One chunk of 50 bytes, and no chunk of none to end the body.
    assert!(text.contains("\r\n\r\n32\r\n") && !bytes.ends_with(b"0\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn truncate_cuts_plain_answers_and_leaves_empty_ones() {
    let running = primary();
    inject(&running, json!({"mode": "truncate", "for_ms": 60_000})).await;
    let text = Raw::asking(&running, "/api/data").await.rest().await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let promised = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert_eq!(body.len(), promised.parse::<usize>().unwrap() / 2);
    assert_eq!(get(&running, "/status/204").await.status, StatusCode::NO_CONTENT);
}
