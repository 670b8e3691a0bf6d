//! What came in goes out again: requests as JSON at `/echo`, messages at `/ws`.

mod base64;

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::backend::Backend;
use crate::body::{self, BODY_BYTES_MAX};
use crate::problem::Problem;
use crate::wire::{Connection, Order};

/// The largest WebSocket message that is echoed.
const MESSAGE_BYTES_MAX: usize = BODY_BYTES_MAX;

pub(crate) async fn echo(
    State(backend): State<Arc<Backend>>,
    request: Request<Body>,
) -> Result<Json<Value>, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = body::read(body, BODY_BYTES_MAX).await?;
    Ok(Json(json!({
        "backend": backend.name,
        "method": parts.method.as_str(),
        "path": parts.uri.path(),
        "query": parts.uri.query(),
        "headers": headers(&parts.headers),
        "body": std::str::from_utf8(&bytes).ok(),
        "body_base64": base64::encode(&bytes),
        "body_bytes": bytes.len(),
    })))
}

/// Pairs of name and value, repeated names kept; bytes that are not UTF-8 become U+FFFD.
fn headers(headers: &HeaderMap) -> Vec<[String; 2]> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers.iter().map(|(name, value)| [name.to_string(), text(value.as_bytes())]).collect()
}

pub(crate) async fn websocket(
    Extension(connection): Extension<Connection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    match upgrade {
        Ok(upgrade) => upgrade
            .max_message_size(MESSAGE_BYTES_MAX)
            .max_frame_size(MESSAGE_BYTES_MAX)
            .on_upgrade(|socket| echo_messages(socket, connection)),
        Err(rejection) => Problem::new(
            match rejection.status() {
                StatusCode::UPGRADE_REQUIRED => StatusCode::UPGRADE_REQUIRED,
                _ => StatusCode::BAD_REQUEST,
            },
            "not_a_websocket",
            format!("/ws speaks WebSocket only: {}", rejection.body_text().to_lowercase()),
            "connect with a WebSocket client, such as `websocat ws://HOST/ws`",
        )
        .into_response(),
    }
}

async fn echo_messages(mut socket: WebSocket, connection: Connection) {
    loop {
        let message = tokio::select! {
            order = connection.ends() => return end(socket, order).await,
            received = socket.recv() => match received {
                Some(Ok(message)) => message,
                Some(Err(_)) | None => return,
            },
        };
        let sent = match message {
            Message::Text(_) | Message::Binary(_) => {
                // A client that does not read must not keep the backend from ending.
                tokio::select! {
                    order = connection.ends() => return end(socket, order).await,
                    sent = socket.send(message) => sent,
                }
            }
            // Pings are answered, and closes completed, by the library.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => Ok(()),
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Says goodbye where the order leaves time for it, and drops the socket.
async fn end(mut socket: WebSocket, order: Order) {
    if order == Order::Close {
        let frame =
            CloseFrame { code: close_code::AWAY, reason: "backend is shutting down".into() };
        // Past saying goodbye to, a client is simply gone.
        let _ = socket.send(Message::Close(Some(frame))).await;
    }
}
