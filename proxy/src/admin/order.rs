//! What an operator asks for: the bodies of `POST /proxy/fail` and `POST /proxy/recover`.
//!
//! Read by hand, key by key, so that every mistake is answered with the key, what it holds and
//! what it may hold, and nothing misspelt is taken for a default.

use std::time::Duration;

use axum::body::{self, Body};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::{
    admin::query::{bad_request, shorten},
    event::FaultMode,
    web::HttpError,
};

/// An order has five short values.
const BODY_BYTES_MAX: usize = 64 * 1024;
const BODY_WITHIN: Duration = Duration::from_secs(10);

const FAULT_LENGTH: Duration = Duration::from_secs(30);
const FAULT_LENGTH_MAX: Duration = Duration::from_secs(10 * 60);
const DELAY: Duration = Duration::from_secs(3);
const DELAY_MAX: Duration = Duration::from_secs(60);

const DURATION_REMEDY: &str = "write a whole number and one of ms, s, m: `30s`";

/// Which backends are meant, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) pool: Option<String>,
    pub(crate) backend: Option<String>,
}

/// How a backend shall fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailOrder {
    pub(crate) names: Names,
    pub(crate) mode: FaultMode,
    /// How long the fault lasts; of no meaning to a crash.
    pub(crate) length: Duration,
    /// What a slow answer is delayed by.
    pub(crate) delay: Duration,
}

impl FailOrder {
    /// Reads an order; an empty body is one, too.
    pub(crate) fn of(body: &[u8]) -> Result<Self, HttpError> {
        let keys = read(body, &["pool", "backend", "mode", "for", "delay"])?;
        let mode = match text(&keys, "mode")? {
            Some(name) => FaultMode::named(&name).ok_or_else(|| unknown_mode(&name))?,
            None => FaultMode::Crash,
        };
        let length = length(&keys, "for", FAULT_LENGTH_MAX)?;
        if mode == FaultMode::Crash && length.is_some() {
            let message = "`for` means nothing to a crash: the backend's process ends";
            let remedy = "leave `for` out, or add `mode`: refuse, hang, error or slow";
            return Err(bad_request("bad_value", message, remedy));
        }
        let delay = length_of_delay(&keys, mode)?;
        Ok(Self {
            names: names(&keys)?,
            mode,
            length: length.unwrap_or(FAULT_LENGTH),
            delay: delay.unwrap_or(DELAY),
        })
    }
}

impl Names {
    /// Reads which backends are meant; an empty body means all.
    pub(crate) fn of(body: &[u8]) -> Result<Self, HttpError> {
        names(&read(body, &["pool", "backend"])?)
    }
}

/// Reads a request's body, within bounds of size and time.
pub(crate) async fn body_of(body: Body) -> Result<Bytes, HttpError> {
    match timeout(BODY_WITHIN, body::to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(HttpError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("the body is larger than {BODY_BYTES_MAX} bytes, or broke off"),
            "send an object with the few keys that there are",
        )),
        Err(_) => Err(HttpError::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_timed_out",
            format!("the body did not come within {} s", BODY_WITHIN.as_secs()),
            "send the body at once, or none",
        )),
    }
}

fn read(body: &[u8], known: &[&str]) -> Result<Map<String, Value>, HttpError> {
    let remedy = || format!("send a JSON object; known keys: {}", known.join(", "));
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    let keys = match serde_json::from_slice(body) {
        Ok(Value::Object(keys)) => keys,
        Ok(_) => {
            let message = "the body is JSON, but not an object";
            return Err(bad_request("malformed_body", message, remedy()));
        }
        Err(error) => {
            let message = format!("the body is not JSON: {}", shorten(&error.to_string()));
            return Err(bad_request("malformed_body", message, remedy()));
        }
    };
    match keys.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => {
            Err(bad_request("unknown_key", format!("unknown key `{}`", shorten(key)), remedy()))
        }
        None => Ok(keys),
    }
}

fn names(keys: &Map<String, Value>) -> Result<Names, HttpError> {
    Ok(Names { pool: text(keys, "pool")?, backend: text(keys, "backend")? })
}

/// Returns the text of `key`; `null` means that it is not given.
fn text(keys: &Map<String, Value>, key: &str) -> Result<Option<String>, HttpError> {
    match keys.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => {
            let message = format!("`{key}` is {}", shorten(&other.to_string()));
            let remedy = match key {
                "for" | "delay" => DURATION_REMEDY,
                _ => "write a name in quotes",
            };
            Err(bad_request("bad_value", message, remedy))
        }
    }
}

fn unknown_mode(name: &str) -> HttpError {
    let modes: Vec<_> = FaultMode::ALL.iter().map(|mode| mode.name()).collect();
    let message = format!("`mode` is `{}`", shorten(name));
    bad_request("bad_value", message, format!("one of {}", modes.join(", ")))
}

fn length_of_delay(
    keys: &Map<String, Value>,
    mode: FaultMode,
) -> Result<Option<Duration>, HttpError> {
    let delay = length(keys, "delay", DELAY_MAX)?;
    if mode != FaultMode::Slow && delay.is_some() {
        let message = format!("`delay` means nothing to the mode `{mode}`");
        return Err(bad_request("bad_value", message, "leave `delay` out, or use the mode `slow`"));
    }
    Ok(delay)
}

fn length(
    keys: &Map<String, Value>,
    key: &str,
    max: Duration,
) -> Result<Option<Duration>, HttpError> {
    let Some(text) = text(keys, key)? else { return Ok(None) };
    let refuse = |remedy: String| {
        Err(bad_request("bad_value", format!("`{key}` is `{}`", shorten(&text)), remedy))
    };
    match duration(&text) {
        None => refuse(DURATION_REMEDY.to_owned()),
        Some(length) if length.is_zero() || max < length => {
            refuse(format!("at least 1ms, at most {}s", max.as_secs()))
        }
        Some(length) => Ok(Some(length)),
    }
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|it: char| !it.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let millis_each = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return None,
    };
    // A number too large for the type is too long for any limit.
    let number = if number.is_empty() { None } else { Some(number.parse().unwrap_or(u64::MAX)) };
    number.map(|number: u64| Duration::from_millis(number.saturating_mul(millis_each)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, message: &str, remedy: &str) {
        let error = FailOrder::of(body.as_bytes()).unwrap_err();
        assert_eq!(error.status, 400, "{body}");
        assert!(error.message.contains(message), "{body}: {}", error.message);
        assert!(error.remedy.contains(remedy), "{body}: {}", error.remedy);
    }

    #[test]
    fn nothing_said_means_that_the_active_backend_crashes() {
        for body in ["", " \n", "{}", r#"{"pool":null,"mode":null}"#] {
            let order = FailOrder::of(body.as_bytes()).unwrap();
            assert_eq!(order.names, Names::default());
            assert_eq!(order.mode, FaultMode::Crash);
        }
    }

    #[test]
    fn every_key_is_read() {
        let body = r#"{"pool":"api","backend":"b","mode":"slow","for":"2m","delay":"250ms"}"#;
        let order = FailOrder::of(body.as_bytes()).unwrap();
        let names = Names { pool: Some("api".to_owned()), backend: Some("b".to_owned()) };
        let length = Duration::from_secs(120);
        let delay = Duration::from_millis(250);
        assert_eq!(order, FailOrder { names, mode: FaultMode::Slow, length, delay });
    }

    #[test]
    fn a_fault_lasts_half_a_minute_and_at_most_ten() {
        let length = |body: &str| FailOrder::of(body.as_bytes()).map(|order| order.length);
        assert_eq!(length(r#"{"mode":"hang"}"#), Ok(FAULT_LENGTH));
        assert_eq!(length(r#"{"mode":"hang","for":"10m"}"#), Ok(FAULT_LENGTH_MAX));
        assert_eq!(length(r#"{"mode":"hang","for":"600000ms"}"#), Ok(FAULT_LENGTH_MAX));
        for long in ["601s", "11m", "600001ms", "99999999999999999999s", "0s", "0ms"] {
            check(&format!(r#"{{"mode":"hang","for":"{long}"}}"#), long, "at most 600s");
        }
    }

    #[test]
    fn a_mistake_is_answered_with_the_key_and_what_it_may_hold() {
        check("{", "not JSON", "known keys: pool, backend, mode, for, delay");
        check("[]", "not an object", "JSON object");
        check("\"crash\"", "not an object", "JSON object");
        check("\u{0}", "not JSON", "JSON object");
        check(r#"{"moed":"hang"}"#, "unknown key `moed`", "known keys: pool");
        check(r#"{"mode":"explode"}"#, "`mode` is `explode`", "crash, refuse, hang, error, slow");
        check(r#"{"mode":7}"#, "`mode` is 7", "in quotes");
        check(r#"{"pool":["api"]}"#, "`pool` is [\"api\"]", "in quotes");
        check(r#"{"backend":true}"#, "`backend` is true", "in quotes");
        check(r#"{"mode":"hang","for":30}"#, "`for` is 30", "`30s`");
        for text in ["30", "s", "", "1.5s", "-1s", "1h", "30 s", "1m30s", "½s"] {
            check(&format!(r#"{{"mode":"hang","for":"{text}"}}"#), "`for` is", "`30s`");
        }
        check(r#"{"mode":"slow","delay":"61s"}"#, "`delay` is `61s`", "at most 60s");
        check(r#"{"mode":"hang","delay":"1s"}"#, "`delay` means nothing", "`slow`");
        check(r#"{"for":"30s"}"#, "`for` means nothing to a crash", "leave `for` out");
    }

    #[test]
    fn a_recovery_knows_pool_and_backend_only() {
        let names = Names::of(br#"{"backend":"b"}"#).unwrap();
        assert_eq!(names, Names { pool: None, backend: Some("b".to_owned()) });
        let error = Names::of(br#"{"mode":"hang"}"#).unwrap_err();
        assert_eq!(error.remedy, "send a JSON object; known keys: pool, backend");
    }

    #[test]
    fn a_deeply_nested_body_is_refused() {
        check(&"[".repeat(60_000), "not JSON", "JSON object");
    }
}
