//! The plain answers: health, any status on demand, an answer after a while.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::backend::Backend;
use crate::problem::Problem;
use crate::{body, clock};

/// As long as a fault may last.
const DELAY_MS_MAX: u64 = 600_000;

pub(crate) async fn health(State(backend): State<Arc<Backend>>) -> Json<Value> {
    Json(json!({"status": "ok", "backend": backend.name}))
}

/// `/status/CODE` answers with that status.
pub(crate) async fn status(
    State(backend): State<Arc<Backend>>,
    Path(code): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let allowed = "a whole number from 200 to 599";
    let status = code
        .parse()
        .ok()
        .filter(|code| (200..600).contains(code))
        .and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or_else(|| Problem::value("CODE in /status/CODE", &code, allowed))?;
    body::discard(body).await;
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        // By definition these have no body.
        return Ok(status.into_response());
    }
    let answer = json!({"backend": backend.name, "status": status.as_u16()});
    Ok((status, Json(answer)).into_response())
}

/// `/delay/MS` answers after that many milliseconds.
pub(crate) async fn delay(
    State(backend): State<Arc<Backend>>,
    Path(ms): Path<String>,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let allowed = format!("a whole number from 0 to {DELAY_MS_MAX}");
    let delay_ms = ms
        .parse()
        .ok()
        .filter(|delay_ms| *delay_ms <= DELAY_MS_MAX)
        .ok_or_else(|| Problem::value("MS in /delay/MS", &ms, &allowed))?;
    body::discard(body).await;
    clock::sleep(Duration::from_millis(delay_ms)).await;
    Ok(Json(json!({"backend": backend.name, "delay_ms": delay_ms})))
}
