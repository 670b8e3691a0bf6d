//! From the page to the sidecar and back: `/api/x` is the sidecar's `/x`.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    body,
    extract::{ConnectInfo, Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, request};
use http_body_util::Full;
use tokio::time::timeout;

use crate::{
    dashboard::Dashboard,
    web::{self, HttpClientError, HttpError},
};

const PREFIX: &str = "/api";
/// For a request's body to come.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// How much a path may ask, and how long its answer may take: as much as at the sidecar itself.
#[derive(Clone, Copy)]
struct Bounds {
    body_bytes_max: usize,
    within: Duration,
}

const ORDERS: Bounds = Bounds { body_bytes_max: 64 * 1024, within: Duration::from_secs(10) };
/// A whole configuration comes, and the first checks of its backends are waited for.
const CONFIGURATIONS: Bounds =
    Bounds { body_bytes_max: 1024 * 1024, within: Duration::from_secs(125) };

/// Passes a request to the sidecar and its answer to the page.
pub(crate) async fn relay(
    State(dashboard): State<Arc<Dashboard>>,
    request: Request,
) -> Result<Response, HttpError> {
    relay_within(&dashboard, request, ORDERS).await
}

/// The same, where configurations are checked and loaded.
pub(crate) async fn relay_config(
    State(dashboard): State<Arc<Dashboard>>,
    request: Request,
) -> Result<Response, HttpError> {
    relay_within(&dashboard, request, CONFIGURATIONS).await
}

async fn relay_within(
    dashboard: &Dashboard,
    request: Request,
    bounds: Bounds,
) -> Result<Response, HttpError> {
    let (head, body) = request.into_parts();
    let mut relayed = prepare(dashboard, &head)?;
    if head.method == Method::POST || head.method == Method::PUT {
        let body = timeout(BODY_WITHIN, body::to_bytes(body, bounds.body_bytes_max)).await;
        let body = body.map_err(|_| late_body())?.map_err(|_| large_body(bounds))?;
        *relayed.body_mut() = Full::new(body);
    }
    let client = &dashboard.config.client;
    let answer = client.send(relayed, bounds.within).await.map_err(|error| unreachable(&error))?;
    Ok(pass_on(answer))
}

/// Makes the request to the sidecar: same method, path without prefix, and what the browser shows; where
/// it shows nothing, our own token, if there is one.
///
/// Of the page's headers only the kind of its body and its token go along. `Origin` in particular does
/// not: it was checked against the name by which the browser knows us, and the sidecar has another.
/// The browser's address does: a sidecar without a token must not take everybody who reaches this
/// server for somebody on its own machine.
pub(crate) fn prepare(
    dashboard: &Dashboard,
    head: &request::Parts,
) -> Result<http::Request<Full<Bytes>>, HttpError> {
    let mut relayed = http::Request::new(Full::default());
    relayed.method_mut().clone_from(&head.method);
    *relayed.uri_mut() = address_of(&dashboard.config.admin, &head.uri)?;
    let headers = relayed.headers_mut();
    if let Some(kind) = head.headers.get(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, kind.clone());
    }
    let shown: Vec<&HeaderValue> = head.headers.get_all(header::AUTHORIZATION).iter().collect();
    for value in &shown {
        let mut value = (*value).clone();
        value.set_sensitive(true);
        // Two are as wrong there as here, and the sidecar says so.
        headers.append(header::AUTHORIZATION, value);
    }
    if let Some(token) =
        dashboard.config.token.as_ref().filter(|_| shown.is_empty() && !has_ticket(&head.uri))
    {
        headers.insert(header::AUTHORIZATION, bearer(token)?);
    }
    if let Ok(client) = HeaderValue::from_str(&speaks_for(head)) {
        headers.insert("x-forwarded-for", client);
    }
    Ok(relayed)
}

/// Tells whether the address has a ticket, which says who asks.
fn has_ticket(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|it| it.starts_with("ticket=")))
}

fn address_of(admin: &Uri, asked: &Uri) -> Result<Uri, HttpError> {
    let path = asked.path_and_query().map_or("/", |it| it.as_str());
    let path = path.strip_prefix(PREFIX).unwrap_or(path);
    web::under(admin, path).map_err(|error| {
        let remedy = "give the dashboard the sidecar's address: --admin http://127.0.0.1:9901";
        HttpError::new(StatusCode::BAD_GATEWAY, "bad_admin_address", error.to_string(), remedy)
    })
}

fn bearer(token: &str) -> Result<HeaderValue, HttpError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
        let message = "the token has characters that a header cannot hold";
        let remedy = "make a new one: bascule token new --out FILE";
        HttpError::new(StatusCode::BAD_GATEWAY, "bad_token", message, remedy)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Returns the browser's address after whom its own side says that it speaks for.
fn speaks_for(head: &request::Parts) -> String {
    let peer = head.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or("unknown".to_owned(), |it| it.0.ip().to_canonical().to_string());
    let mut chain = forwarded_for(&head.headers);
    chain.push(peer);
    chain.join(", ")
}

fn forwarded_for(headers: &HeaderMap) -> Vec<String> {
    /// A chain of proxies is short.
    const MOST: usize = 8;
    headers
        .get_all("x-forwarded-for")
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("unknown").split(','))
        // Repeated as an address or not at all, so that nothing else gets into the log.
        .map(|text| text.trim().parse::<IpAddr>())
        .map(|parsed| parsed.map_or("unknown".to_owned(), |address| address.to_string()))
        .take(MOST)
        .collect()
}

/// Passes on status and body, and the headers that a client of the sidecar would act upon.
pub(crate) fn pass_on(answer: http::Response<Bytes>) -> Response {
    let (head, body) = answer.into_parts();
    let mut response = (head.status, body).into_response();
    response.headers_mut().remove(header::CONTENT_TYPE);
    let audit_id = HeaderName::from_static("x-audit-id");
    let kept = [header::CONTENT_TYPE, header::ALLOW, header::RETRY_AFTER, header::WWW_AUTHENTICATE];
    for name in kept.into_iter().chain([audit_id]) {
        if let Some(value) = head.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

pub(crate) fn unreachable(error: &HttpClientError) -> HttpError {
    HttpError::new(
        StatusCode::BAD_GATEWAY,
        "admin_unreachable",
        format!("the sidecar at {error}"),
        "check that bascule runs, and that --admin is the address in its configuration",
    )
}

fn late_body() -> HttpError {
    let message = format!("the body did not come within {} s", BODY_WITHIN.as_secs());
    HttpError::new(StatusCode::REQUEST_TIMEOUT, "body_timed_out", message, "send it at once")
}

fn large_body(bounds: Bounds) -> HttpError {
    let message = format!("the body is larger than {} bytes, or broke off", bounds.body_bytes_max);
    let remedy = "send only what the path asks for";
    HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message, remedy)
}
