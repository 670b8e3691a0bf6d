//! `GET /proxy/data`: what a client of the data plane gets.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::Full;

use crate::{
    access::{Arrival, Client},
    admin::{Sidecar, query::bad_request},
    model::Listener,
    web::{self, HttpClientError, HttpError},
};

const PATH: &str = "/proxy/data";
/// Longer than the data plane's own deadline would be in any sensible configuration.
const WITHIN: Duration = Duration::from_secs(30);

/// Asks the data plane for the same path and passes its answer on, whatever it is.
pub(crate) async fn data(
    State(sidecar): State<Arc<Sidecar>>,
    Extension(client): Extension<Client>,
    uri: Uri,
) -> Result<Response, HttpError> {
    if client.arrival == Arrival::DataPlane {
        // The sidecar would ask the data plane, which would ask the sidecar.
        return Err(HttpError::new(
            StatusCode::LOOP_DETECTED,
            "loop_detected",
            format!("the data plane leads {PATH} to the sidecar, which gets it from there"),
            format!("put a route for {PATH} to a pool before the one to the sidecar"),
        ));
    }
    let first = || {
        let generation = sidecar.state.generation();
        generation.topology.listeners.iter().find_map(Listener::plain_address)
    };
    let Some(address) = sidecar.state.data_plane.or_else(first).map(web::reachable) else {
        return Err(HttpError::new(
            StatusCode::NOT_IMPLEMENTED,
            "no_plain_listener",
            "no listener speaks plain HTTP on an IP address",
            "ask a listener of the data plane itself",
        ));
    };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let request = Request::get(format!("http://{address}{PATH}{query}"))
        .body(Full::default())
        .map_err(|_| bad_request("bad_parameter", "the query cannot be read", "escape it"))?;
    let answer = sidecar.client.send(request, WITHIN).await.map_err(|error| unreachable(&error))?;
    Ok(pass_on(answer))
}

/// An answer's status, its body, and the headers that say what the body is and who made it.
fn pass_on(answer: http::Response<Bytes>) -> Response {
    let (head, body) = answer.into_parts();
    let mut response = (head.status, body).into_response();
    response.headers_mut().remove(header::CONTENT_TYPE);
    for name in ["content-type", "x-backend", "x-request-id", "retry-after"] {
        if let Some(value) = head.headers.get(name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn unreachable(error: &HttpClientError) -> HttpError {
    HttpError::new(
        StatusCode::BAD_GATEWAY,
        "data_plane_unreachable",
        format!("the data plane at {error}"),
        "see the log for why its listener does not answer",
    )
}
