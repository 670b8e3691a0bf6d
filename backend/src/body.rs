//! Request bodies, taken in whole and within a bound.

use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;

use crate::problem::Problem;

/// The largest body that is kept in memory; far above what tests and demos send.
pub(crate) const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How much of a body that is too large is read and thrown away.
///
/// Closing a connection with unread data resets it, and the client would lose the answer that
/// says what was wrong. Beyond this, losing it is cheaper than reading on.
const DISCARD_BYTES_MAX: usize = 4 * BODY_BYTES_MAX;

/// How long a body may take to arrive before the request is given up.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    match tokio::time::timeout(BODY_TIMEOUT, read_within(body, limit)).await {
        Ok(read) => read,
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_timeout",
            format!("the request body did not arrive within {} s", BODY_TIMEOUT.as_secs()),
            "send the whole body, or a smaller one",
        )),
    }
}

/// Reads a body to its end, as far as that is reasonable, and forgets it.
pub(crate) async fn discard(mut body: Body) {
    let mut seen = 0;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            seen += frame.data_ref().map_or(0, Bytes::len);
            if DISCARD_BYTES_MAX < seen {
                return;
            }
        }
    };
    // A body that stops arriving is forgotten like any other.
    let _ = tokio::time::timeout(BODY_TIMEOUT, reading).await;
}

async fn read_within(mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    if usize::try_from(body.size_hint().lower()).map_or(true, |announced| limit < announced) {
        discard(body).await;
        return Err(too_large(limit));
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        if limit < whole.len() + data.len() {
            discard(body).await;
            return Err(too_large(limit));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        format!("the request body is larger than {limit} bytes"),
        format!("send at most {limit} bytes"),
    )
}

fn broken(error: &axum::Error) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "body_broken",
        format!("the request body ended before it was complete: {error}"),
        "send as many bytes as Content-Length says, or end the last chunk",
    )
}
