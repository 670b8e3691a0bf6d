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
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::{
    access::{self, Asker, Client, Deed, Identity, Refusal, Ticket},
    admin::{Sidecar, api, audit::Asked, query::shorten},
    telemetry::logging::AUDIT,
    web::{HttpError, Rejected},
};

/// Lets a request through to its handler, with its [`Client`] and its [`Identity`], or refuses it.
/// What changes something, or would have, is noted in the audit trail when it has ended.
pub(crate) async fn guard(
    State(sidecar): State<Arc<Sidecar>>,
    mut request: Request,
    next: Next,
) -> Response {
    let state = &sidecar.state;
    let client = Client::of(peer_of(&request), request.headers(), &state.relay_key);
    if client.is_relayed() && !is_relayed(request.uri().path()) {
        return api::not_found().await.into_response();
    }
    let deed = Deed::of(request.method(), request.uri().path());
    let mut asked = Asked {
        client,
        speaks_for: speaks_for(client, request.headers()),
        request: shorten(&format!("{} {}", request.method(), request.uri().path())),
        identity: None,
    };
    let response = match judge(&sidecar, deed, client, &request) {
        Ok(identity) => {
            asked.identity = Some(identity.clone());
            request.extensions_mut().insert(client);
            request.extensions_mut().insert(identity);
            next.run(request).await
        }
        Err(refusal) => {
            if deed != Deed::ChangeState {
                note(&refusal, &asked);
            }
            answer(&refusal).into_response()
        }
    };
    if deed == Deed::ChangeState && is_of_note(&response) {
        state.gate.trail().note(asked, &response);
    }
    response
}

fn judge(
    sidecar: &Sidecar,
    deed: Deed,
    client: Client,
    request: &Request,
) -> Result<Identity, Refusal> {
    let headers = request.headers();
    let asker = Asker { client, headers, certificate: &[], ticket: Ticket::None };
    sidecar.state.gate.with_rules(|rules| access::decide(deed, &asker, rules))
}

/// Tells whether there is such a change at all: a path or a method that does not exist is none.
fn is_of_note(response: &Response) -> bool {
    !matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
        || response
            .extensions()
            .get::<Rejected>()
            .is_none_or(|it| it.code != "unknown_path" && it.code != "method_not_allowed")
}

/// Adds what every answer carries.
pub(crate) async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
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

/// Leaves a line for somebody who wanted to read and may not.
fn note(refusal: &Refusal, asked: &Asked) {
    tracing::warn!(
        target: AUDIT,
        client = %asked.client.address,
        speaks_for = asked.speaks_for,
        request = asked.request,
        code = refusal.code(),
        reason = %refusal,
        "request refused"
    );
}

/// Returns for whom else the client says that it speaks: unproven, but worth a note.
fn speaks_for(client: Client, headers: &HeaderMap) -> Option<String> {
    let text = headers.get("x-forwarded-for")?.to_str().ok()?;
    (text != client.address.to_string()).then(|| shorten(text))
}

fn answer(refusal: &Refusal) -> HttpError {
    let status = match refusal {
        Refusal::CrossOrigin { .. } | Refusal::UnknownHost { .. } | Refusal::RoleTooLow { .. } => {
            StatusCode::FORBIDDEN
        }
        Refusal::TokenRequired { .. } | Refusal::TokenWrong | Refusal::TicketWrong => {
            StatusCode::UNAUTHORIZED
        }
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
    fn the_data_plane_leads_to_few_paths() {
        for path in ["/proxy/health", "/proxy/fail", "/proxy/x", "/logs"] {
            assert!(is_relayed(path), "{path}");
        }
        for path in ["/metrics", "/incidents", "/series", "/readyz", "/proxy", "/logs/x", "/"] {
            assert!(!is_relayed(path), "{path}");
        }
    }
}
