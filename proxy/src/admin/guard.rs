//! Stands in front of every handler: who asks, and may they?

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::{
    access::{self, Arrival, Client, Deed, Refusal, Rules},
    admin::{Sidecar, api, query::shorten},
    telemetry::logging::AUDIT,
    web::HttpError,
};

/// Lets a request through to its handler, with its [`Client`], or refuses it.
pub(crate) async fn guard(
    State(sidecar): State<Arc<Sidecar>>,
    mut request: Request,
    next: Next,
) -> Response {
    let state = &sidecar.state;
    let client = Client::of(peer_of(&request), request.headers(), &state.relay_key);
    if client.arrival == Arrival::DataPlane && !is_relayed(request.uri().path()) {
        return api::not_found().await.into_response();
    }
    if let Some(deed) = deed_of(request.method(), request.uri().path()) {
        let generation = state.generation();
        let rules = Rules {
            allow_origins: &generation.topology.admin.allow_origins,
            allow_hosts: &[],
            token: state.token.as_deref(),
        };
        if let Err(refusal) = access::decide(deed, client, request.headers(), &rules) {
            note(&refusal, client, &request);
            return answer(&refusal).into_response();
        }
    }
    request.extensions_mut().insert(client);
    next.run(request).await
}

/// Adds what every answer carries.
pub(crate) async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Returns what is asked for; `None` means reading what anybody may read who can reach us.
///
/// Judged by the method first: a handler that is added later is guarded without being listed.
fn deed_of(method: &Method, path: &str) -> Option<Deed> {
    if method != Method::GET && method != Method::HEAD {
        Some(Deed::ChangeState)
    } else if path == "/logs" || path == "/config" {
        Some(Deed::ReadLog)
    } else {
        None
    }
}

/// Tells whether the data plane may lead its clients to `path`, whatever its routes say.
fn is_relayed(path: &str) -> bool {
    path.starts_with("/proxy/") || path == "/logs"
}

fn peer_of(request: &Request) -> IpAddr {
    // Without a known peer, nobody is trusted.
    let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    request.extensions().get::<ConnectInfo<SocketAddr>>().map_or(unknown, |peer| peer.0.ip())
}

fn note(refusal: &Refusal, client: Client, request: &Request) {
    tracing::warn!(
        target: AUDIT,
        client = %client.address,
        speaks_for = speaks_for(client, request.headers()),
        method = %request.method(),
        path = request.uri().path(),
        code = refusal.code(),
        reason = %refusal,
        "request refused"
    );
}

/// Returns for whom else the client says that it speaks: unproven, but worth a note.
pub(crate) fn speaks_for(client: Client, headers: &HeaderMap) -> Option<String> {
    let text = headers.get("x-forwarded-for")?.to_str().ok()?;
    (text != client.address.to_string()).then(|| shorten(text))
}

fn answer(refusal: &Refusal) -> HttpError {
    let status = match refusal {
        Refusal::CrossOrigin { .. } | Refusal::UnknownHost { .. } => StatusCode::FORBIDDEN,
        Refusal::TokenRequired { .. } | Refusal::TokenWrong => StatusCode::UNAUTHORIZED,
    };
    let error = HttpError::new(status, refusal.code(), refusal.to_string(), refusal.remedy());
    if status == StatusCode::UNAUTHORIZED {
        let bearer = HeaderValue::from_static("Bearer realm=\"bascule\"");
        error.with_header(header::WWW_AUTHENTICATE, bearer)
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_not_reading_changes_state() {
        for path in ["/proxy/fail", "/proxy/health", "/logs", "/", "/not/yet/known"] {
            for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "X"] {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                assert_eq!(deed_of(&method, path), Some(Deed::ChangeState), "{method} {path}");
            }
        }
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(deed_of(&method, "/logs"), Some(Deed::ReadLog));
            for path in ["/proxy/fail", "/metrics", "/logs/", "/"] {
                assert_eq!(deed_of(&method, path), None);
            }
        }
    }

    #[test]
    fn the_data_plane_leads_to_few_paths() {
        for path in ["/proxy/health", "/proxy/fail", "/proxy/x", "/logs"] {
            assert!(is_relayed(path), "{path}");
        }
        for path in ["/metrics", "/incidents", "/series", "/readyz", "/proxy", "/logs/x", "/"] {
            assert!(!is_relayed(path), "{path}");
        }
    }
}
