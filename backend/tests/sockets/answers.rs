//! The plain paths.

use axum::http::StatusCode;
use serde_json::json;

use crate::client::{Raw, ask, get, post, primary};

#[tokio::test]
async fn health_names_the_backend() {
    let running = primary();
    let answer = get(&running, "/health").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json(), json!({"status": "ok", "backend": "primary"}));
    assert_eq!(answer.header("x-backend"), Some("primary"));
}

#[tokio::test]
async fn data_names_the_backend_and_the_request() {
    let running = primary();
    let answer = ask(&running, "GET", "/api/data", &[("x-request-id", "r-1")], "").await.json();
    assert_eq!((&answer["backend"], &answer["request_id"]), (&json!("primary"), &json!("r-1")));
    assert_eq!(answer["items"].as_array().unwrap().len(), 12);
    let served_at = answer["served_at"].as_str().unwrap();
    assert!(served_at.ends_with('Z') && served_at.len() == "2026-01-01T00:00:00.000Z".len());
}

#[tokio::test]
async fn echo_shows_the_request_as_it_arrived() {
    let running = primary();
    let headers = [("x-a", "1"), ("x-a", "2")];
    let echo = ask(&running, "PATCH", "/echo?q=1&r", &headers, "héllo").await.json();
    assert_eq!(echo["method"], "PATCH");
    assert_eq!((&echo["path"], &echo["query"]), (&json!("/echo"), &json!("q=1&r")));
    assert_eq!((&echo["body"], &echo["body_bytes"]), (&json!("héllo"), &json!(6)));
    assert_eq!(echo["body_base64"], "aMOpbGxv");
    let repeated = json!([["x-a", "1"], ["x-a", "2"]]);
    let found: Vec<_> = echo["headers"].as_array().unwrap().iter().collect();
    assert!(repeated.as_array().unwrap().iter().all(|pair| found.contains(&pair)), "{found:?}");
}

#[tokio::test]
async fn echo_of_bytes_that_are_no_text_has_base64_only() {
    let running = primary();
    let echo = ask(&running, "POST", "/echo", &[], vec![0xff, 0xfe]).await.json();
    let parts = (&echo["body"], &echo["body_base64"], &echo["body_bytes"]);
    assert_eq!(parts, (&json!(null), &json!("//4="), &json!(2)));
}

#[tokio::test]
async fn a_body_beyond_the_bound_is_refused_whether_announced_or_not() {
    let running = primary();
    let mut announced = Raw::connect(&running).await.unwrap();
    announced.send("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 16777217\r\n\r\n").await;
    let mut chunked = Raw::connect(&running).await.unwrap();
    chunked.send("POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await;
    chunked.send("1000001\r\n").await;
    let body = "x".repeat(16 * 1024 * 1024 + 1);
    for (raw, ending) in [(&mut announced, ""), (&mut chunked, "\r\n0\r\n\r\n")] {
        raw.send(&body).await;
        raw.send(ending).await;
        let answer = raw.answer(0).await;
        assert!(answer.starts_with("HTTP/1.1 413 Payload Too Large\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn status_answers_with_any_final_status() {
    let running = primary();
    for code in [200, 204, 304, 404, 418, 503, 599] {
        let answer = post(&running, &format!("/status/{code}"), "ignored").await;
        assert_eq!(answer.status.as_u16(), code);
    }
    for code in ["100", "600", "abc", "-1"] {
        let answer = get(&running, &format!("/status/{code}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        let expected = json!({"error": {
            "code": "invalid_value",
            "message": format!("`CODE in /status/CODE` is `{code}`"),
            "remedy": "give `CODE in /status/CODE` a whole number from 200 to 599",
        }});
        assert_eq!(answer.json(), expected);
    }
}

#[tokio::test]
async fn delay_answers_after_that_time() {
    let running = primary();
    let asked = std::time::Instant::now();
    let answer = get(&running, "/delay/30").await;
    assert!(30 <= asked.elapsed().as_millis());
    assert_eq!(answer.json(), json!({"backend": "primary", "delay_ms": 30}));
    assert_eq!(get(&running, "/delay/600001").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn wrong_paths_and_methods_are_told_what_is_right() {
    let running = primary();
    let unknown = get(&running, "/nowhere").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.json()["error"]["message"], "there is nothing at /nowhere");
    assert_eq!(unknown.header("x-backend"), Some("primary"));
    let wrong = get(&running, "/fail").await;
    assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(wrong.header("allow"), Some("POST"));
    assert_eq!(wrong.json()["error"]["code"], "method_not_allowed");
}

#[tokio::test]
async fn garbage_is_answered_with_a_400_and_harms_nobody() {
    let running = primary();
    let mut raw = Raw::connect(&running).await.unwrap();
    raw.send("\x16\x03\x01 not http\r\n\r\n").await;
    let answer = raw.rest().await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert_eq!(get(&running, "/health").await.status, StatusCode::OK);
}

#[tokio::test]
async fn several_backends_live_in_one_process() {
    let names = ["one", "two", "three"];
    let running =
        names.map(|name| bascule_backend::spawn(bascule_backend::Config::new(name)).unwrap());
    for (running, name) in running.iter().zip(names) {
        assert_eq!(get(running, "/health").await.header("x-backend"), Some(name));
    }
}
