//! The paths that steer the backend and show what it did. No fault strikes them.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::backend::Backend;
use crate::faults::{FaultKind, InvalidFault, wire};
use crate::front::FailAfterwards;
use crate::ledger::Page;
use crate::problem::Problem;
use crate::{body, clock};

/// A fault is a handful of fields.
const FAULT_BYTES_MAX: usize = 64 * 1024;

/// How long the answer to a `refuse` waits for the listening socket to be closed.
const REFUSE_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) async fn inject(
    State(backend): State<Arc<Backend>>,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let bytes = body::read(body, FAULT_BYTES_MAX).await?;
    let fault = wire::parse(&bytes)?;
    let now = clock::now();
    let begun = backend.faults.inject(fault, now)?;
    info!(backend = %backend.name, mode = fault.kind.mode(), lasting = ?fault.lasting, "fault begun");
    if fault.kind == FaultKind::Refuse {
        // Whoever reads the answer may rely on being refused. A backend that is shutting down no
        // longer minds its listening socket, hence the limit.
        let _ = tokio::time::timeout(REFUSE_TIMEOUT, backend.until_listening(false)).await;
    }
    Ok((StatusCode::CREATED, Json(wire::show(&begun, now))))
}

pub(crate) async fn faults(State(backend): State<Arc<Backend>>) -> Json<Value> {
    let now = clock::now();
    let active = backend.faults.snapshot(now);
    let shown: Vec<Value> = active.iter().map(|fault| wire::show(fault, now)).collect();
    Json(json!({"backend": backend.name, "faults": shown}))
}

pub(crate) async fn recover(State(backend): State<Arc<Backend>>) -> Json<Value> {
    let ended = backend.faults.recover(clock::now());
    let modes: Vec<&str> = ended.iter().map(|fault| fault.fault.kind.mode()).collect();
    info!(backend = %backend.name, ended = ?modes, "faults ended");
    Json(json!({"backend": backend.name, "action": "recover", "ended": modes}))
}

pub(crate) async fn fail(State(backend): State<Arc<Backend>>, body: Body) -> Response {
    // Unread data would turn the closing of the connection into a reset, and lose the answer.
    body::discard(body).await;
    warn!(backend = %backend.name, "failing on request");
    let answer = json!({"backend": backend.name, "action": "exit", "status": 1});
    let mut response = (StatusCode::ACCEPTED, Json(answer)).into_response();
    response.extensions_mut().insert(FailAfterwards);
    response
}

/// The query of `/requests`.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Wanted {
    id: Option<String>,
}

pub(crate) async fn requests(
    State(backend): State<Arc<Backend>>,
    Query(wanted): Query<Wanted>,
) -> Json<Page> {
    Json(backend.ledger.page(&backend.name, wanted.id.as_deref()))
}

pub(crate) async fn clear_requests(State(backend): State<Arc<Backend>>) -> Json<Value> {
    backend.ledger.clear();
    Json(json!({"backend": backend.name, "action": "clear"}))
}

impl From<InvalidFault> for Problem {
    fn from(invalid: InvalidFault) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_fault", invalid.message, invalid.remedy)
    }
}
