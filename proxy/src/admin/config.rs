//! `/config`: what is configured, whether another configuration would do, and loading it.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::{self, Body},
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, Uri, header};
use serde::Deserialize;
use serde_json::json;
use tokio::{sync::oneshot, time::timeout};

use crate::{
    admin::{
        Sidecar,
        change::Change,
        order,
        query::{Parameters, bad_request},
        wire,
    },
    web::HttpError,
};

/// As large as a configuration may be.
const TEXT_BYTES_MAX: usize = 1024 * 1024;
/// Longer than the first checks of new backends take, with the reloads that wait before this one.
const WITHIN: Duration = Duration::from_secs(120);

/// What is asked of whoever loads configurations.
#[derive(Debug)]
pub enum Order {
    /// Load the files again.
    Reload {
        /// Only if this one is in use.
        expect: Option<u64>,
        /// Whether it is only to be tried.
        is_dry: bool,
        /// Where the answer goes.
        answer: oneshot::Sender<Answer>,
    },
    /// Tell what is thought of this text.
    Check {
        /// A configuration.
        text: String,
        /// Where the answer goes.
        answer: oneshot::Sender<Answer>,
    },
}

/// What becomes of an [`Order`].
#[derive(Debug)]
pub enum Answer {
    /// It was carried out, or refused for what the configuration says.
    Done(Box<wire::Reload>),
    /// Another configuration is in use than was expected: the one of this number.
    Changed(u64),
    /// The configuration is from no file.
    NoFile,
    /// The process is about to end.
    Leaving,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Request {
    expect: Expect,
    dry_run: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Expect {
    generation: Option<u64>,
}

pub(crate) async fn show(
    State(sidecar): State<Arc<Sidecar>>,
    uri: Uri,
) -> Result<Response, HttpError> {
    let parameters = Parameters::of(&uri, &["format"])?;
    let shown = sidecar.state.config.load_full();
    match parameters.text("format") {
        None | Some("json") => Ok(Json(&*shown).into_response()),
        Some("yaml") => {
            let text = shown.yaml.clone();
            Ok(([(header::CONTENT_TYPE, "application/yaml")], text).into_response())
        }
        Some(other) => {
            let message = format!("`format` is `{}`", crate::admin::query::shorten(other));
            Err(bad_request("bad_parameter", message, "one of json, yaml"))
        }
    }
}

pub(crate) async fn check(
    State(sidecar): State<Arc<Sidecar>>,
    body: Body,
) -> Result<Response, HttpError> {
    let read = timeout(Duration::from_secs(10), body::to_bytes(body, TEXT_BYTES_MAX)).await;
    let text = read.ok().and_then(Result::ok).and_then(|it| String::from_utf8(it.into()).ok());
    let Some(text) = text else {
        let remedy = "send a configuration of at most a mebibyte as UTF-8";
        return Err(bad_request("bad_body", "the body cannot be read", remedy));
    };
    let (answer, answered) = oneshot::channel();
    let told = ask(&sidecar, Order::Check { text, answer }, answered).await?;
    Ok(respond(told, StatusCode::OK))
}

pub(crate) async fn reload(
    State(sidecar): State<Arc<Sidecar>>,
    body: Body,
) -> Result<Response, HttpError> {
    let text = order::body_of(body).await?;
    let asked: Request = if text.is_empty() {
        Request::default()
    } else {
        serde_json::from_slice(&text).map_err(|error| {
            let remedy = r#"send {"expect":{"generation":3},"dry_run":false}, or nothing"#;
            bad_request("bad_body", format!("the body is not as it should be: {error}"), remedy)
        })?
    };
    let before = sidecar.state.config.load().generation;
    let (answer, answered) = oneshot::channel();
    let order = Order::Reload { expect: asked.expect.generation, is_dry: asked.dry_run, answer };
    let told = ask(&sidecar, order, answered).await?;
    let change = match &told {
        Answer::Done(done) => Some(Change {
            action: if asked.dry_run { "configuration.try" } else { "configuration.reload" },
            target: "configuration".to_owned(),
            before: json!({ "generation": before }),
            after: json!({ "generation": done.generation, "result": done.result }),
        }),
        Answer::Changed(_) | Answer::NoFile | Answer::Leaving => None,
    };
    let response = respond(told, StatusCode::UNPROCESSABLE_ENTITY);
    Ok(match change {
        Some(change) => (change.noted(), response).into_response(),
        None => response,
    })
}

async fn ask(
    sidecar: &Sidecar,
    order: Order,
    answered: oneshot::Receiver<Answer>,
) -> Result<Answer, HttpError> {
    let busy = || {
        let message = "configurations are being loaded";
        HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message, "try again in a second")
    };
    sidecar.state.reloads.try_send(order).map_err(|_| busy())?;
    timeout(WITHIN, answered).await.ok().and_then(Result::ok).ok_or_else(busy)
}

/// Makes the answer; a configuration that is refused is answered with `refused`.
fn respond(answer: Answer, refused: StatusCode) -> Response {
    match answer {
        Answer::Done(done) if done.result == "refused" => (refused, Json(*done)).into_response(),
        Answer::Done(done) => Json(*done).into_response(),
        Answer::Changed(generation) => {
            let message = format!("generation {generation} is in use");
            let remedy = "look at what has changed with GET /config, then ask again";
            HttpError::new(StatusCode::CONFLICT, "changed", message, remedy)
                .with_present(json!({ "generation": generation }))
                .into_response()
        }
        Answer::NoFile => HttpError::new(
            StatusCode::CONFLICT,
            "no_file",
            "the configuration is from no file",
            "start the proxy with `bascule run --config FILE`",
        )
        .into_response(),
        Answer::Leaving => HttpError::new(
            StatusCode::CONFLICT,
            "leaving",
            "this process is about to end, and loads nothing any more",
            "ask the process that has taken over; if none has, the next start reads the files",
        )
        .into_response(),
    }
}
