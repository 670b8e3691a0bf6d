//! A body of any size at `/blob`, whose every byte follows from its offset.
//!
//! Every backend serves the same bytes under the same `ETag`, so a download that broke on one can
//! be resumed on another with `Range` and `If-Range`, and whoever receives it can check it.

pub(crate) mod pattern;
mod range;

use std::time::Duration;

use axum::body::Body;
use axum::extract::Query;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;

use crate::blob::range::{Range, Selected};
use crate::problem::Problem;
use crate::{body, clock};

/// One tebibyte: more than anyone waits for, and far from where offsets overflow.
const SIZE_MAX: u64 = 1 << 40;
const CHUNK_DEFAULT: u64 = 64 * 1024;
/// A chunk is held in memory for each download in progress.
const CHUNK_MAX: u64 = 1 << 20;
const PACE_MS_MAX: u64 = 60_000;

/// The query of `/blob`. Text, so that a refusal can name what it found.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Asked {
    size: Option<String>,
    chunk: Option<String>,
    pace_ms: Option<String>,
    delay_ms: Option<String>,
    chunked: Option<String>,
}

/// How a blob is to be sent.
#[derive(Clone, Copy, Debug)]
struct Delivery {
    size: u64,
    chunk: u64,
    /// The wait between chunks.
    pace: Duration,
    /// The wait before the answer begins.
    delay: Duration,
    framing: Framing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// The length is announced.
    Length,
    /// The length is kept back, so that HTTP/1.1 sends the body chunked.
    Chunked,
}

pub(crate) async fn blob(
    method: Method,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let delivery = delivery(&asked)?;
    if !delivery.delay.is_zero() {
        clock::sleep(delivery.delay).await;
    }
    let etag = format!("\"bascule-blob-{}\"", delivery.size);
    let response = match selected(&method, &headers, &etag, delivery.size) {
        Selected::Whole => {
            let whole = Range { from: 0, to: delivery.size };
            with_body(StatusCode::OK, whole, delivery)
        }
        Selected::Part(range) => {
            let content_range = format!("bytes {}-{}/{}", range.from, range.to - 1, delivery.size);
            let body = with_body(StatusCode::PARTIAL_CONTENT, range, delivery);
            ([(CONTENT_RANGE, content_range)], body).into_response()
        }
        Selected::Unsatisfiable => {
            let problem = Problem::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "range_not_satisfiable",
                format!("the range begins past the end of {} bytes", delivery.size),
                "begin the range before the end",
            );
            ([(CONTENT_RANGE, format!("bytes */{}", delivery.size))], problem).into_response()
        }
    };
    Ok(([(ACCEPT_RANGES, "bytes".to_owned()), (ETAG, etag)], response).into_response())
}

/// Answers as a `GET` does, so that requests that must not be repeated have a body to lose.
pub(crate) async fn posted(
    method: Method,
    headers: HeaderMap,
    asked: Query<Asked>,
    sent: Body,
) -> Result<Response, Problem> {
    body::discard(sent).await;
    blob(method, headers, asked).await
}

/// What the headers select. Ranges are defined for GET alone; one that is conditional on another
/// version of the blob selects the whole.
fn selected(method: &Method, headers: &HeaderMap, etag: &str, size: u64) -> Selected {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_current = text(IF_RANGE).is_none_or(|condition| condition == etag);
    match text(RANGE) {
        Some(range) if method == Method::GET && is_current => range::select(range, size),
        Some(_) | None => Selected::Whole,
    }
}

fn with_body(status: StatusCode, range: Range, delivery: Delivery) -> Response {
    let body = Body::from_stream(stream::unfold(range, move |left| piece(left, range, delivery)));
    let mut response = (status, [(CONTENT_TYPE, "application/octet-stream")], body).into_response();
    if delivery.framing == Framing::Length {
        response.headers_mut().insert(CONTENT_LENGTH, (range.to - range.from).into());
    }
    response
}

/// The next chunk of what is left, and what is left after it.
async fn piece(
    left: Range,
    whole: Range,
    delivery: Delivery,
) -> Option<(Result<Bytes, std::convert::Infallible>, Range)> {
    let length = delivery.chunk.min(left.to - left.from);
    if length == 0 {
        return None;
    }
    if whole.from < left.from && !delivery.pace.is_zero() {
        clock::sleep(delivery.pace).await;
    }
    let mut bytes = vec![0; length as usize];
    pattern::fill(left.from, &mut bytes);
    Some((Ok(Bytes::from(bytes)), Range { from: left.from + length, ..left }))
}

fn delivery(asked: &Asked) -> Result<Delivery, Problem> {
    let framing = match asked.chunked.as_deref() {
        None | Some("false") => Framing::Length,
        Some("true") => Framing::Chunked,
        Some(other) => return Err(Problem::value("chunked", other, "true or false")),
    };
    let size = number("size", asked.size.as_deref(), 0, SIZE_MAX)?.ok_or_else(|| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "missing_value",
            "`size` is missing",
            "say how many bytes, as in /blob?size=1048576",
        )
    })?;
    let chunk = number("chunk", asked.chunk.as_deref(), 1, CHUNK_MAX)?.unwrap_or(CHUNK_DEFAULT);
    let pace_ms = number("pace_ms", asked.pace_ms.as_deref(), 0, PACE_MS_MAX)?.unwrap_or(0);
    let delay_ms = number("delay_ms", asked.delay_ms.as_deref(), 0, PACE_MS_MAX)?.unwrap_or(0);
    let [pace, delay] = [pace_ms, delay_ms].map(Duration::from_millis);
    Ok(Delivery { size, chunk, pace, delay, framing })
}

fn number(name: &str, text: Option<&str>, min: u64, max: u64) -> Result<Option<u64>, Problem> {
    let Some(text) = text else { return Ok(None) };
    match text.parse() {
        Ok(number) if (min..=max).contains(&number) => Ok(Some(number)),
        Ok(_) | Err(_) => {
            Err(Problem::value(name, text, &format!("a whole number from {min} to {max}")))
        }
    }
}
