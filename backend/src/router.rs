//! Every path of the backend and what answers it.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{any, get, post};

use crate::backend::Backend;
use crate::problem::Problem;
use crate::{answers, blob, control, data, echo};

pub(crate) fn router(backend: Arc<Backend>) -> Router {
    Router::new()
        .route("/health", get(answers::health))
        .route("/api/data", get(data::data))
        .route("/echo", any(echo::echo))
        .route("/ws", get(echo::websocket))
        .route("/blob", get(blob::blob).post(blob::posted))
        .route("/status/{code}", any(answers::status))
        .route("/delay/{ms}", any(answers::delay))
        .route("/fail", post(control::fail))
        .route("/recover", post(control::recover))
        .route("/faults", get(control::faults).post(control::inject).delete(control::recover))
        .route("/requests", get(control::requests).delete(control::clear_requests))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(unknown_path)
        .with_state(backend)
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{} does not answer {method}", uri.path()),
        format!("use a method that the Allow header names, as in `curl -X POST …{}`", uri.path()),
    )
}

async fn unknown_path(uri: Uri) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "unknown_path",
        format!("there is nothing at {}", uri.path()),
        "use /health, /api/data, /echo, /ws, /blob, /status/CODE, /delay/MS, /faults, /recover, \
         /fail or /requests",
    )
}
