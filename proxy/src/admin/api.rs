//! Answers that read: the state, the series, the metrics, and whether we are alive and ready.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use serde_json::json;

use crate::{
    admin::{
        Sidecar,
        query::{Parameters, shorten},
        wire,
    },
    clock, history,
    model::{PoolId, Topology},
    web::HttpError,
};

/// What a page with five minutes of chart asks for.
const SERIES_SECONDS: usize = 300;
/// The last second that a Unix time of 32 bits can name.
const END_MAX: usize = u32::MAX as usize;

pub(crate) async fn health(State(sidecar): State<Arc<Sidecar>>) -> Json<wire::Health> {
    Json(state(&sidecar))
}

/// Returns how everything is at present.
pub(crate) fn state(sidecar: &Sidecar) -> wire::Health {
    let state = &sidecar.state;
    let generation = state.generation();
    let incidents = state.incidents.load();
    wire::health(&wire::View {
        topology: &generation.topology,
        snapshot: &generation.snapshot.load(),
        live: &generation.live,
        incidents: &incidents,
        started_at: state.started_at,
        is_ready: sidecar.readiness().is_ok(),
        now: clock::now(),
    })
}

pub(crate) async fn series(
    State(sidecar): State<Arc<Sidecar>>,
    uri: Uri,
) -> Result<Json<wire::Series>, HttpError> {
    let generation = sidecar.state.generation();
    let topology = &generation.topology;
    let parameters = Parameters::of(&uri, &["pool", "seconds", "end"])?;
    let pool = match parameters.text("pool") {
        Some(name) => pool_named(topology, name)?,
        None => first_pool(topology)?,
    };
    let seconds = parameters.count("seconds", history::SECONDS_MAX)?.unwrap_or(SERIES_SECONDS);
    let end = parameters.count("end", END_MAX)?;
    let history = &sidecar.state.history;
    // So that the last second is there.
    history.sample(topology, &generation.live, clock::now());
    let pool = topology.pool(pool);
    let (history, name) = (history.clone(), pool.name.clone());
    let (seconds, end) = (seconds as u64, end.map(|it| it as u64));
    // A disk may make it wait.
    let table = tokio::task::spawn_blocking(move || history.table(&name, seconds, end)).await;
    let table = table.map_err(|_| {
        let (code, remedy) = ("unreadable_history", "see the log for why");
        let message = "the history could not be read";
        HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, code, message, remedy)
    })?;
    Ok(Json(wire::series(pool, &table)))
}

pub(crate) async fn metrics(State(sidecar): State<Arc<Sidecar>>) -> Response {
    let text = (sidecar.state.metrics)();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

pub(crate) async fn livez() -> Response {
    Json(json!({ "live": true })).into_response()
}

pub(crate) async fn readyz(State(sidecar): State<Arc<Sidecar>>) -> Response {
    match sidecar.readiness() {
        Ok(()) => Json(json!({ "ready": true, "reason": null })).into_response(),
        Err(reason) => {
            let answer = Json(json!({ "ready": false, "reason": reason }));
            (StatusCode::SERVICE_UNAVAILABLE, answer).into_response()
        }
    }
}

pub(crate) async fn not_found() -> HttpError {
    HttpError::new(
        StatusCode::NOT_FOUND,
        "unknown_path",
        "there is nothing at this path",
        "the sidecar answers at /backends, /pools/POOL/failover, /pools/POOL/failback, /faults, \
         /log-level, \
         /proxy/health, /proxy/fail, /proxy/recover, /proxy/failback, \
         /proxy/data, /incidents, /series, /process, /drain, /undrain, /upgrade, \
         /metrics, /livez, /readyz, \
         /config, /config/check, /config/reload, /logs, /feed, /audit, /whoami, /tickets and /openapi.json",
    )
}

pub(crate) async fn method_not_allowed(method: Method, uri: Uri) -> HttpError {
    let path = uri.path();
    let (allowed, remedy) = if matches!(path, "/proxy/recover" | "/config/check" | "/config/reload")
    {
        ("POST", format!("use POST: curl -X POST http://HOST{path}"))
    } else if path == "/faults" {
        ("GET, HEAD, POST", "use GET to list faults, POST to inject one".to_owned())
    } else if path == "/log-level" {
        ("GET, HEAD, PUT", "use GET to see the level, PUT to change it".to_owned())
    } else if path.starts_with("/faults/") {
        ("DELETE", format!("use DELETE: curl -X DELETE http://HOST{path}"))
    } else {
        ("GET, HEAD", "use GET".to_owned())
    };
    wrong_method(&method, allowed, remedy)
}

/// Answers a method that is not POST with the command to use.
pub(crate) fn use_post(method: &Method, headers: &HeaderMap, path: &str) -> HttpError {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("HOST");
    wrong_method(method, "POST", format!("curl -X POST http://{}{path}", shorten(host)))
}

/// Says which methods there are.
pub(crate) fn wrong_method(method: &Method, allowed: &'static str, remedy: String) -> HttpError {
    let message = format!("{method} is not allowed here");
    HttpError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message, remedy)
        .with_header(header::ALLOW, HeaderValue::from_static(allowed))
}

/// Returns the pool called `name`, or says which there are.
pub(crate) fn pool_named(topology: &Topology, name: &str) -> Result<PoolId, HttpError> {
    topology.pool_named(name).ok_or_else(|| {
        let names: Vec<_> = topology.pools.iter().map(|pool| pool.name.as_str()).collect();
        let message = format!("there is no pool `{}`", shorten(name));
        let remedy = format!("pools: {}", names.join(", "));
        HttpError::new(StatusCode::NOT_FOUND, "unknown_pool", message, remedy)
    })
}

/// Returns the pool that is meant when none is named.
pub(crate) fn first_pool(topology: &Topology) -> Result<PoolId, HttpError> {
    let has_backends = |pool: &crate::model::Pool| !pool.backends.is_empty();
    topology.pools.iter().position(has_backends).map(PoolId).ok_or_else(|| {
        HttpError::new(
            StatusCode::NOT_FOUND,
            "unknown_pool",
            "the configuration has no pool",
            "add a pool with a backend to the configuration",
        )
    })
}
