//! `/log-level`: how much is written to the log, for a time.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tokio::time::sleep;

use crate::{
    admin::{
        Sidecar,
        change::Change,
        order::{self, length, one_of, read},
        query::bad_request,
        wire::SCHEMA,
    },
    clock,
    model::Level,
    telemetry::log_level::LogLevel,
    web::HttpError,
};

/// The longest that another level is written for.
const LENGTH_MAX: Duration = Duration::from_secs(24 * 3_600);

/// The answer about the level.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub(crate) struct LevelAnswer {
    schema: u32,
    /// What is written at present: `error`, `warn`, `info` or `debug`, each with those before it.
    level: &'static str,
    /// What the configuration says.
    configured: &'static str,
    /// When that is written again; `null` when it is, or when nothing was said.
    until: Option<String>,
}

pub(crate) async fn show(State(sidecar): State<Arc<Sidecar>>) -> Result<Response, HttpError> {
    Ok(Json(answer(level(&sidecar)?)).into_response())
}

pub(crate) async fn set(
    State(sidecar): State<Arc<Sidecar>>,
    body: Body,
) -> Result<Response, HttpError> {
    let keys = read(&order::body_of(body).await?, &["level", "for"])?;
    let wanted = one_of(&keys, "level", &Level::ALL, Level::name)?.ok_or_else(|| {
        let message = "the body does not say which `level`";
        bad_request("missing_key", message, "send `{\"level\":\"debug\",\"for\":\"10m\"}`")
    })?;
    let length = length(&keys, "for", LENGTH_MAX)?;
    let level = level(&sidecar)?;
    let before = level.state();
    let turn = level.set(wanted, length.map(|length| clock::now() + length));
    if let Some(length) = length {
        let level = level.clone();
        tokio::spawn(async move {
            sleep(length).await;
            if level.end(turn) {
                tracing::info!(target: "bascule::admin", "the log is written as configured again");
            }
        });
    }
    let change = Change {
        action: "log.level",
        target: "process".to_owned(),
        before: json!({ "level": before.level.name() }),
        after: json!({ "level": wanted.name() }),
    };
    Ok((change.noted(), Json(answer(level))).into_response())
}

fn answer(level: &LogLevel) -> LevelAnswer {
    let state = level.state();
    LevelAnswer {
        schema: SCHEMA,
        level: state.level.name(),
        configured: state.configured.name(),
        until: state.until.map(clock::rfc3339_of),
    }
}

fn level(sidecar: &Sidecar) -> Result<&LogLevel, HttpError> {
    sidecar.state.logs.level().ok_or_else(|| {
        HttpError::new(
            StatusCode::NOT_IMPLEMENTED,
            "fixed_level",
            "the level of this process's log is not for it to change",
            "start it by the command line",
        )
    })
}
