//! `/faults`: which are injected, and how to end one. Injecting is [`fail`](super::fail)'s.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    admin::{Sidecar, api, change::Change, fail, recover, wire},
    clock,
    model::BackendId,
    web::HttpError,
};

pub(crate) async fn list(State(sidecar): State<Arc<Sidecar>>) -> Json<wire::Faults> {
    Json(wire::faults(&sidecar.state.generation(), clock::now()))
}

/// Ends the fault of one backend, as `POST /proxy/recover` does.
pub(crate) async fn end(
    State(sidecar): State<Arc<Sidecar>>,
    Path((pool, name)): Path<(String, String)>,
) -> Result<Response, HttpError> {
    let generation = sidecar.state.generation();
    fail::require_fault_injection(&generation)?;
    let id = api::pool_named(&generation.topology, &pool)?;
    let backend = BackendId { pool: id, index: fail::index_of(&generation, id, &name)? };
    let before = generation.live.backend(backend).fault(clock::now());
    let recovered = recover::end(&generation, vec![backend]).await;
    let change = Change {
        action: "fault.end",
        target: format!("{pool}/{name}"),
        before: before.map_or(Value::Null, |it| json!(wire::FaultTerms::of(&it))),
        after: Value::Null,
    };
    Ok((change.noted(), Json(recovered)).into_response())
}
