//! The way of the live log and of the feed to the page: a WebSocket passed on byte by byte.
//!
//! The handshake is the browser's and the sidecar's own, key and answer included; this server only
//! carries it, so frames need not be understood here. Since the sidecar pings and browsers answer,
//! a healthy tunnel is never silent for long in either direction: one that is, is cut.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::upgrade::{self, OnUpgrade};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{OwnedSemaphorePermit, watch},
    time::timeout,
};

use crate::{
    dashboard::{Dashboard, relay},
    web::{self, HttpError},
};

/// For the sidecar to answer, and for both upgrades to happen.
const UPGRADE_WITHIN: Duration = Duration::from_secs(10);
/// Three of the sidecar's pings, and a bit.
const SILENCE_MAX: Duration = Duration::from_secs(75);
/// A browser that takes nothing for so long will not catch up.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
const BUFFER_BYTES: usize = 16 * 1024;
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// What the two ends of a WebSocket have to tell each other.
const HANDSHAKE: [HeaderName; 7] = [
    header::CONNECTION,
    header::UPGRADE,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::SEC_WEBSOCKET_ACCEPT,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::SEC_WEBSOCKET_EXTENSIONS,
];

/// Joins the page's WebSocket to the sidecar's, or passes on why there is none.
pub(crate) async fn tunnelled(
    State(dashboard): State<Arc<Dashboard>>,
    request: Request,
) -> Result<Response, HttpError> {
    let permit = Arc::clone(&dashboard.tunnels).try_acquire_owned().map_err(|_| full())?;
    let (mut head, _) = request.into_parts();
    let Some(browser) = head.extensions.remove::<OnUpgrade>().filter(|_| asks(&head.headers))
    else {
        return Err(websocket_required());
    };
    let mut relayed = relay::prepare(&dashboard, &head)?;
    copy_handshake(&head.headers, relayed.headers_mut());
    let answer = dashboard.config.client.begin(relayed, UPGRADE_WITHIN).await;
    let mut answer = answer.map_err(|error| relay::unreachable(&error))?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        let (head, body) = answer.into_parts();
        let body = timeout(UPGRADE_WITHIN, Limited::new(body, REFUSAL_BYTES_MAX).collect()).await;
        let body = body.ok().and_then(Result::ok).map(|body| body.to_bytes()).unwrap_or_default();
        return Ok(relay::pass_on(http::Response::from_parts(head, body)));
    }
    let sidecar = upgrade::on(&mut answer);
    let mut response = (StatusCode::SWITCHING_PROTOCOLS, Body::empty()).into_response();
    copy_handshake(answer.headers(), response.headers_mut());
    // The tunnel begins when this answer has been sent, so it cannot be awaited here. It is
    // bounded by the permit, and ends, and is waited for, by the watch that it holds.
    tokio::spawn(tunnel(browser, sidecar, dashboard.is_closing.clone(), permit));
    Ok(response)
}

async fn tunnel(
    browser: OnUpgrade,
    sidecar: OnUpgrade,
    mut is_closing: watch::Receiver<bool>,
    permit: OwnedSemaphorePermit,
) {
    let both = timeout(UPGRADE_WITHIN, async { tokio::try_join!(browser, sidecar) });
    // Fails when one of the two went away before it began; the other is closed by that.
    if let Ok(Ok((browser, sidecar))) = both.await {
        let (from_browser, to_browser) = tokio::io::split(TokioIo::new(browser));
        let (from_sidecar, to_sidecar) = tokio::io::split(TokioIo::new(sidecar));
        // A WebSocket is not used after one end has closed, so the first to end ends both.
        tokio::select! {
            () = pump(from_browser, to_sidecar) => {}
            () = pump(from_sidecar, to_browser) => {}
            () = web::closed(&mut is_closing) => {}
        }
    }
    drop(permit);
}

/// Passes bytes on until either end is done, fails or stalls.
async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ok(Ok(length @ 1..)) = timeout(SILENCE_MAX, from.read(&mut buffer)).await {
        match timeout(WRITE_WITHIN, to.write_all(&buffer[..length])).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
    _ = timeout(WRITE_WITHIN, to.shutdown()).await;
}

fn asks(headers: &HeaderMap) -> bool {
    let websocket = HeaderValue::from_static("websocket");
    headers
        .get(header::UPGRADE)
        .is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(websocket.as_bytes()))
}

fn copy_handshake(from: &HeaderMap, to: &mut HeaderMap) {
    for name in HANDSHAKE {
        for value in from.get_all(&name) {
            to.append(name.clone(), value.clone());
        }
    }
}

fn websocket_required() -> HttpError {
    let message = "this is a WebSocket";
    let remedy = "connect with a WebSocket client, or open the page";
    HttpError::new(StatusCode::UPGRADE_REQUIRED, "websocket_required", message, remedy)
        .with_header(header::UPGRADE, HeaderValue::from_static("websocket"))
}

fn full() -> HttpError {
    let message = "too many pages have a WebSocket open already";
    HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_readers", message, "close one")
}
