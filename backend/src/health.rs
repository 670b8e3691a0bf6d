//! The health check of containers: one request, yes or no.

use std::time::Duration;

use axum::http::{StatusCode, Uri};
use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// Shorter than the time container engines give a health check by default.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Why a health check did not pass.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HealthError {
    #[error("`{url}` is no http:// URL; give one such as http://127.0.0.1:3001/health")]
    InvalidUrl { url: String },
    #[error("{url} did not answer within {} s; is the backend hung?", TIMEOUT.as_secs())]
    Timeout { url: String },
    #[error("{url} answered {status}; GET /faults of the backend shows what is injected")]
    Status { url: String, status: StatusCode },
    #[error("{url} cannot be reached: {reason}; start the backend or correct the URL")]
    Unreachable { url: String, reason: String },
}

/// Asks `url` once; passes when the answer is a 2xx.
///
/// # Errors
///
/// Says why the check did not pass.
pub async fn check_health(url: &str) -> Result<(), HealthError> {
    let invalid = || HealthError::InvalidUrl { url: url.to_owned() };
    let uri: Uri = url.parse().map_err(|_| invalid())?;
    if uri.scheme_str() != Some("http") || uri.host().is_none_or(str::is_empty) {
        return Err(invalid());
    }
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let answer = match tokio::time::timeout(TIMEOUT, client.get(uri)).await {
        Err(_) => return Err(HealthError::Timeout { url: url.to_owned() }),
        Ok(Err(error)) => {
            let reason = crate::load::root_cause(&error);
            return Err(HealthError::Unreachable { url: url.to_owned(), reason });
        }
        Ok(Ok(answer)) => answer,
    };
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(HealthError::Status { url: url.to_owned(), status }),
    }
}
