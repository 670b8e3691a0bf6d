//! `GET /whoami` and `POST /tickets`: who one is, and how a browser shows it to a WebSocket.

use std::sync::Arc;

use axum::{Extension, Json, body::Body, extract::State};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::{
    access::{Client, GOOD_FOR, Identity, TooMany},
    admin::{
        Sidecar, api, order,
        query::{bad_request, shorten},
        wire,
    },
    clock,
    model::Role,
    token,
    web::HttpError,
};

/// The paths of WebSockets. Others have no use for a ticket.
const WEBSOCKETS: [&str; 2] = ["/logs", "/feed"];

pub(crate) async fn who_am_i(
    Extension(client): Extension<Client>,
    Extension(identity): Extension<Identity>,
) -> Json<wire::WhoAmI> {
    Json(wire::WhoAmI {
        schema: wire::SCHEMA,
        kind: identity.kind.word(),
        name: identity.name,
        role: match identity.role {
            Some(Role::Operator) => "operator",
            Some(Role::Viewer) => "viewer",
            None => "none",
        },
        address: client.address.to_string(),
        is_relayed: client.is_relayed(),
    })
}

pub(crate) async fn give_ticket(
    State(sidecar): State<Arc<Sidecar>>,
    Extension(identity): Extension<Identity>,
    body: Body,
) -> Result<Json<wire::Ticket>, HttpError> {
    let keys = order::read(&order::body_of(body).await?, &["path"])?;
    let path = order::text(&keys, "path")?.unwrap_or_else(|| WEBSOCKETS[0].to_owned());
    if !WEBSOCKETS.contains(&path.as_str()) {
        let message = format!("`path` is `{}`, which is no WebSocket", shorten(&path));
        return Err(bad_request("bad_value", message, format!("one of {}", WEBSOCKETS.join(", "))));
    }
    let ticket = token::random().map_err(|error| {
        let remedy = "try again; the log says more";
        HttpError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "no_randomness",
            error.to_string(),
            remedy,
        )
    })?;
    sidecar.state.gate.give(&ticket, &path, identity).map_err(|TooMany| too_many())?;
    let expires_at = clock::rfc3339_of(clock::now() + GOOD_FOR);
    Ok(Json(wire::Ticket { schema: wire::SCHEMA, ticket, path, expires_at }))
}

/// Answers every other method with the command to use.
pub(crate) async fn how_to_take(method: Method, headers: HeaderMap) -> HttpError {
    api::use_post(&method, &headers, "/tickets")
}

fn too_many() -> HttpError {
    let seconds = GOOD_FOR.as_secs();
    HttpError::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too_many_tickets",
        "too many tickets have been taken and not been shown",
        format!("wait for {seconds} s, or show one"),
    )
    .with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
}
