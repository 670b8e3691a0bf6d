//! What load to make.

use std::time::Duration;

use axum::http::{Method, Uri};

/// Requests per second that one task can keep to on ordinary hardware.
const RATE_MAX: f64 = 100_000.0;

/// Ten seconds of silence are a failure to any user.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// 200 requests a second, none of them answered until the timeout, fit in.
const IN_FLIGHT_DEFAULT: usize = 2_000;

/// An hour at 500 requests a second; about half a gigabyte.
const RECORDS_DEFAULT: usize = 1_800_000;

/// Why no load can be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    #[error("`{url}` is no http:// URL; give one such as http://127.0.0.1:8021/proxy/data")]
    InvalidUrl { url: String },
    #[error(
        "a rate of {rate} requests per second cannot be kept; give more than 0 and at most {RATE_MAX}"
    )]
    InvalidRate { rate: f64 },
}

/// A constant load: where to, how often, for how long.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    pub(crate) url: Uri,
    pub(crate) rate: f64,
    pub(crate) lasting: Option<Duration>,
    pub(crate) method: Method,
    pub(crate) body_bytes: usize,
    pub(crate) timeout: Duration,
    pub(crate) in_flight_max: usize,
    pub(crate) records_max: usize,
    pub(crate) idempotency_key: bool,
    pub(crate) expected_blob: Option<u64>,
}

impl LoadPlan {
    /// GET requests to `url` at `rate` per second until stopped; 10 s timeout each.
    ///
    /// # Errors
    ///
    /// When the URL is no http:// URL, or the rate is not above 0 and within reason.
    pub fn new(url: &str, rate: f64) -> Result<LoadPlan, LoadError> {
        let invalid_url = || LoadError::InvalidUrl { url: url.to_owned() };
        let uri: Uri = url.parse().map_err(|_| invalid_url())?;
        if uri.scheme_str() != Some("http") || uri.host().is_none_or(str::is_empty) {
            return Err(invalid_url());
        }
        // Written so that NaN is refused too.
        if !(0.0 < rate && rate <= RATE_MAX) {
            return Err(LoadError::InvalidRate { rate });
        }
        Ok(LoadPlan {
            url: uri,
            rate,
            lasting: None,
            method: Method::GET,
            body_bytes: 0,
            timeout: TIMEOUT_DEFAULT,
            in_flight_max: IN_FLIGHT_DEFAULT,
            records_max: RECORDS_DEFAULT,
            idempotency_key: false,
            expected_blob: None,
        })
    }

    /// Sends for this long, then waits for what is in flight.
    #[must_use]
    pub fn lasting(self, lasting: Duration) -> LoadPlan {
        LoadPlan { lasting: Some(lasting), ..self }
    }

    #[must_use]
    pub fn method(self, method: Method) -> LoadPlan {
        LoadPlan { method, ..self }
    }

    /// Sends a body of this many bytes with each request.
    #[must_use]
    pub fn body_bytes(self, body_bytes: usize) -> LoadPlan {
        LoadPlan { body_bytes, ..self }
    }

    /// How long a request may take, from connecting to the last byte of its answer.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> LoadPlan {
        LoadPlan { timeout, ..self }
    }

    /// Requests that fall due while this many are unanswered are not sent, and counted as shed.
    #[must_use]
    pub fn in_flight_max(self, in_flight_max: usize) -> LoadPlan {
        LoadPlan { in_flight_max, ..self }
    }

    /// How many records to keep; the summary counts every request in any case.
    #[must_use]
    pub fn records_max(self, records_max: usize) -> LoadPlan {
        LoadPlan { records_max, ..self }
    }

    /// Sends an `Idempotency-Key` with each request, unlike any other.
    #[must_use]
    pub fn idempotency_key(self, idempotency_key: bool) -> LoadPlan {
        LoadPlan { idempotency_key, ..self }
    }

    /// Expects the body of a blob of this many bytes; any other counts as failed. `None` expects
    /// nothing but a complete body.
    #[must_use]
    pub fn expecting_blob(self, expected_blob: Option<u64>) -> LoadPlan {
        LoadPlan { expected_blob, ..self }
    }

    /// When the request of that number is due, counted from the start.
    pub(crate) fn due(&self, number: u64) -> Duration {
        Duration::from_secs_f64(number as f64 / self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_urls_and_rates_that_can_be_kept_are_taken() {
        for url in ["https://127.0.0.1/", "/data", "127.0.0.1:80", "http://", "http:///x", ""] {
            let error = LoadPlan::new(url, 1.0).unwrap_err();
            assert_eq!(error, LoadError::InvalidUrl { url: url.to_owned() });
        }
        for rate in [0.0, -1.0, f64::INFINITY, f64::NAN, RATE_MAX + 1.0] {
            assert!(LoadPlan::new("http://127.0.0.1/", rate).is_err(), "{rate}");
        }
    }

    #[test]
    fn requests_fall_due_at_a_constant_rate() {
        let plan = LoadPlan::new("http://127.0.0.1/", 200.0).unwrap();
        assert_eq!([0, 1, 200].map(|it| plan.due(it).as_millis()), [0, 5, 1000]);
    }
}
