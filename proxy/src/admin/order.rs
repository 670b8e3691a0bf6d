//! What an operator asks for: the bodies of `POST /proxy/fail`, `/proxy/recover` and
//! `/proxy/failback`.
//!
//! Read by hand, key by key, so that every mistake is answered with the key, what it holds and
//! what it may hold, and nothing misspelt is taken for a default.

use std::{ops::RangeInclusive, time::Duration};

use axum::body::{self, Body};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::{
    admin::query::{bad_request, shorten},
    clock::Timestamp,
    event::{Delay, Fault, FaultMode, FaultScope, Percent},
    units::{Misread, parse_length, write_length},
    web::HttpError,
};

/// An order has eight short values.
const BODY_BYTES_MAX: usize = 64 * 1024;
const BODY_WITHIN: Duration = Duration::from_secs(10);

const FAULT_LENGTH: Duration = Duration::from_secs(30);
const FAULT_LENGTH_MAX: Duration = Duration::from_secs(10 * 60);
/// Longer than a sensible `per_try_timeout`.
const DELAY: Duration = Duration::from_secs(3);
const DELAY_MAX: Duration = Duration::from_secs(60);
/// The usual word for "not just now".
const STATUS: u16 = 503;

/// Keys that not every mode has a use for.
const DETAILS: [&str; 5] = ["for", "scope", "percent", "status", "delay"];

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
    pub(crate) scope: FaultScope,
    pub(crate) percent: Percent,
    /// What an `error` answers.
    pub(crate) status: u16,
    /// What a `slow` answer is delayed by.
    pub(crate) delay: Delay,
    /// How long the fault lasts; of no meaning to a crash.
    pub(crate) length: Duration,
}

impl FailOrder {
    /// Reads an order; an empty body is one, too.
    pub(crate) fn of(body: &[u8]) -> Result<Self, HttpError> {
        let known = [&["pool", "backend", "mode"][..], &DETAILS].concat();
        let keys = read(body, &known)?;
        let mode = one_of(&keys, "mode", &FaultMode::ALL, FaultMode::name)?;
        let mode = mode.unwrap_or(FaultMode::Crash);
        let has_no_use = |key: &&str| !has_use_for(mode, key) && given(&keys, key).is_some();
        if let Some(key) = DETAILS.into_iter().find(has_no_use) {
            return Err(means_nothing(key, mode));
        }
        let scope = one_of(&keys, "scope", &FaultScope::ALL, FaultScope::name)?;
        let percent = whole_number(&keys, "percent", 1..=100)?;
        let status = whole_number(&keys, "status", 400..=599)?;
        Ok(Self {
            names: names(&keys)?,
            mode,
            scope: scope.unwrap_or(FaultScope::All),
            percent: percent
                .and_then(|it| Percent::new(u8::try_from(it).ok()?))
                .unwrap_or(Percent::ALL),
            status: status.unwrap_or(STATUS),
            delay: delay(&keys)?.unwrap_or(Delay::fixed(DELAY)),
            length: length(&keys, "for", FAULT_LENGTH_MAX)?.unwrap_or(FAULT_LENGTH),
        })
    }

    /// Returns the fault that is meant, begun at `now`.
    pub(crate) fn begun(&self, now: Timestamp) -> Fault {
        let Self { mode, scope, percent, status, delay, length, .. } = *self;
        Fault { mode, scope, percent, status, delay, ends_at: now + length }
    }
}

fn has_use_for(mode: FaultMode, key: &str) -> bool {
    match key {
        "status" => mode == FaultMode::Error,
        "delay" => mode == FaultMode::Slow,
        _ => mode != FaultMode::Crash,
    }
}

fn means_nothing(key: &str, mode: FaultMode) -> HttpError {
    let of_use = FaultMode::ALL.into_iter().filter(|mode| has_use_for(*mode, key));
    let of_use: Vec<_> = of_use.map(FaultMode::name).collect();
    let message = format!("`{key}` means nothing to the mode `{mode}`");
    let remedy = format!("leave `{key}` out, or give `mode` one of {}", of_use.join(", "));
    bad_request("bad_value", message, remedy)
}

impl Names {
    /// Reads which backends are meant; an empty body means all.
    pub(crate) fn of(body: &[u8]) -> Result<Self, HttpError> {
        names(&read(body, &["pool", "backend"])?)
    }
}

/// Reads which pool is meant, where only that can be said.
pub(crate) fn pool_of(body: &[u8]) -> Result<Option<String>, HttpError> {
    text(&read(body, &["pool"])?, "pool")
}

/// Reads an order that says nothing more.
pub(crate) fn nothing_in(body: &[u8]) -> Result<(), HttpError> {
    read(body, &[]).map(drop)
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

pub(crate) fn read(body: &[u8], known: &[&str]) -> Result<Map<String, Value>, HttpError> {
    let remedy = || match known {
        [] => "send no body: there is nothing to say".to_owned(),
        _ => format!("send a JSON object; known keys: {}", known.join(", ")),
    };
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
    object_of(keys, known, "the body")
}

/// Returns an object if it has no keys but those that are known; `place` says where it stands.
pub(crate) fn object_of(
    keys: Map<String, Value>,
    known: &[&str],
    place: &str,
) -> Result<Map<String, Value>, HttpError> {
    let Some(key) = keys.keys().find(|key| !known.contains(&key.as_str())) else { return Ok(keys) };
    let message = match place {
        "the body" => format!("unknown key `{}`", shorten(key)),
        _ => format!("unknown key `{}` in {place}", shorten(key)),
    };
    let remedy = format!("send a JSON object; known keys: {}", known.join(", "));
    Err(bad_request("unknown_key", message, remedy))
}

fn names(keys: &Map<String, Value>) -> Result<Names, HttpError> {
    Ok(Names { pool: text(keys, "pool")?, backend: text(keys, "backend")? })
}

/// Returns the value of `key`; `null` means that it is not given.
pub(crate) fn given<'k>(keys: &'k Map<String, Value>, key: &str) -> Option<&'k Value> {
    keys.get(key).filter(|value| !value.is_null())
}

pub(crate) fn text(keys: &Map<String, Value>, key: &str) -> Result<Option<String>, HttpError> {
    match given(keys, key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(bad_value(key, other, "write a name in quotes")),
    }
}

/// Returns which of `all` the text of `key` names.
pub(crate) fn one_of<T: Copy>(
    keys: &Map<String, Value>,
    key: &str,
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<Option<T>, HttpError> {
    let Some(text) = text(keys, key)? else { return Ok(None) };
    if let Some(found) = all.iter().find(|it| name(**it) == text) {
        return Ok(Some(*found));
    }
    let names: Vec<_> = all.iter().map(|it| name(*it)).collect();
    let message = format!("`{key}` is `{}`", shorten(&text));
    Err(bad_request("bad_value", message, format!("one of {}", names.join(", "))))
}

fn whole_number(
    keys: &Map<String, Value>,
    key: &str,
    range: RangeInclusive<u16>,
) -> Result<Option<u16>, HttpError> {
    let Some(value) = given(keys, key) else { return Ok(None) };
    let number = value.as_u64().and_then(|it| u16::try_from(it).ok());
    match number.filter(|it| range.contains(it)) {
        Some(number) => Ok(Some(number)),
        None => {
            let remedy = format!("write a whole number from {} to {}", range.start(), range.end());
            Err(bad_value(key, value, remedy))
        }
    }
}

/// Reads one length of time, or two between which lengths are drawn.
fn delay(keys: &Map<String, Value>) -> Result<Option<Delay>, HttpError> {
    let Some(Value::Object(bounds)) = given(keys, "delay") else {
        return Ok(length(keys, "delay", DELAY_MAX)?.map(Delay::fixed));
    };
    let refuse = |message: String| {
        let remedy = "write one length, `\"3s\"`, or two: `{\"min\":\"100ms\",\"max\":\"2s\"}`";
        Err(bad_request("bad_value", message, remedy))
    };
    if let Some(key) = bounds.keys().find(|key| !["min", "max"].contains(&key.as_str())) {
        return refuse(format!("`delay` has an unknown key `{}`", shorten(key)));
    }
    let (min, max) = (length(bounds, "min", DELAY_MAX)?, length(bounds, "max", DELAY_MAX)?);
    let (Some(min), Some(max)) = (min, max) else {
        return refuse("`delay` has not both `min` and `max`".to_owned());
    };
    match Delay::between(min, max) {
        Some(delay) => Ok(Some(delay)),
        None => refuse("`delay` has a `min` that is longer than its `max`".to_owned()),
    }
}

pub(crate) fn length(
    keys: &Map<String, Value>,
    key: &str,
    max: Duration,
) -> Result<Option<Duration>, HttpError> {
    let Some(value) = given(keys, key) else { return Ok(None) };
    let Value::String(text) = value else {
        return Err(bad_value(key, value, "write a length of time in quotes, such as `\"30s\"`"));
    };
    let limits = || format!("at least 1ms, at most {}", write_length(max));
    let remedy = match parse_length(text) {
        Ok(length) if length.is_zero() || max < length => limits(),
        Ok(length) => return Ok(Some(length)),
        Err(Misread::TooLong) => limits(),
        Err(misread) => misread.remedy(),
    };
    Err(bad_request("bad_value", format!("`{key}` is `{}`", shorten(text)), remedy))
}

pub(crate) fn bad_value(key: &str, found: &Value, remedy: impl Into<String>) -> HttpError {
    let message = format!("`{key}` is {}", shorten(&found.to_string()));
    bad_request("bad_value", message, remedy)
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
        let body = r#"{"pool":"api","backend":"b","mode":"slow","for":"2m","scope":"traffic",
            "percent":30,"delay":{"min":"100ms","max":"2s"}}"#;
        let order = FailOrder::of(body.as_bytes()).unwrap();
        let names = Names { pool: Some("api".to_owned()), backend: Some("b".to_owned()) };
        let delay = Delay::between(Duration::from_millis(100), Duration::from_secs(2)).unwrap();
        let expected = FailOrder {
            names,
            mode: FaultMode::Slow,
            scope: FaultScope::Traffic,
            percent: Percent::new(30).unwrap(),
            status: STATUS,
            delay,
            length: Duration::from_secs(120),
        };
        assert_eq!(order, expected);
        let order = FailOrder::of(br#"{"mode":"error","status":429,"scope":"checks"}"#).unwrap();
        let fault = order.begun(Timestamp::from_millis(1));
        assert_eq!((fault.status, fault.scope), (429, FaultScope::Checks));
        assert_eq!(fault.ends_at, Timestamp::from_millis(30_001));
        let order = FailOrder::of(br#"{"mode":"slow","delay":"250ms"}"#).unwrap();
        assert_eq!(order.delay, Delay::fixed(Duration::from_millis(250)));
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let order = FailOrder::of(br#"{"mode":"error","status":null,"scope":null}"#).unwrap();
        let expected = (FaultScope::All, Percent::ALL, 503, FAULT_LENGTH);
        assert_eq!((order.scope, order.percent, order.status, order.length), expected);
        let order = FailOrder::of(br#"{"mode":"slow"}"#).unwrap();
        assert_eq!(order.delay, Delay::fixed(DELAY));
    }

    #[test]
    fn a_fault_lasts_half_a_minute_and_at_most_ten() {
        let length = |body: &str| FailOrder::of(body.as_bytes()).map(|order| order.length);
        assert_eq!(length(r#"{"mode":"hang"}"#), Ok(FAULT_LENGTH));
        assert_eq!(length(r#"{"mode":"hang","for":"10m"}"#), Ok(FAULT_LENGTH_MAX));
        assert_eq!(length(r#"{"mode":"hang","for":"600000ms"}"#), Ok(FAULT_LENGTH_MAX));
        for long in ["601s", "11m", "1h", "600001ms", "99999999999999999999s", "0s", "0ms"] {
            check(&format!(r#"{{"mode":"hang","for":"{long}"}}"#), long, "at most 10m");
        }
    }

    #[test]
    fn a_mistake_is_answered_with_the_key_and_what_it_may_hold() {
        let known = "known keys: pool, backend, mode, for, scope, percent, status, delay";
        check("{", "not JSON", known);
        check("[]", "not an object", "JSON object");
        check("\"crash\"", "not an object", "JSON object");
        check("\u{0}", "not JSON", "JSON object");
        check(r#"{"moed":"hang"}"#, "unknown key `moed`", "known keys: pool");
        let modes = "one of crash, refuse, blackhole, hang, reset, truncate, error, slow";
        check(r#"{"mode":"explode"}"#, "`mode` is `explode`", modes);
        check(r#"{"mode":7}"#, "`mode` is 7", "in quotes");
        check(r#"{"pool":["api"]}"#, "`pool` is [\"api\"]", "in quotes");
        check(r#"{"backend":true}"#, "`backend` is true", "in quotes");
        check(r#"{"mode":"hang","scope":"some"}"#, "`scope` is `some`", "all, traffic, checks");
        for percent in ["0", "101", "-1", "0.5", "\"50%\"", "65537"] {
            let body = format!(r#"{{"mode":"hang","percent":{percent}}}"#);
            check(&body, &format!("`percent` is {percent}"), "a whole number from 1 to 100");
        }
        check(r#"{"mode":"error","status":200}"#, "`status` is 200", "from 400 to 599");
        check(r#"{"mode":"error","status":"503"}"#, "`status` is \"503\"", "from 400 to 599");
    }

    #[test]
    fn a_length_is_a_number_with_a_unit_within_bounds() {
        check(r#"{"mode":"hang","for":30}"#, "`for` is 30", "in quotes");
        check(r#"{"mode":"hang","for":"1m30s"}"#, "`for` is `1m30s`", "write `90s`");
        for text in ["s", "", "-1s", "½s"] {
            check(&format!(r#"{{"mode":"hang","for":"{text}"}}"#), "`for` is", "ms, s, m, h");
        }
        check(r#"{"mode":"slow","delay":"61s"}"#, "`delay` is `61s`", "at most 1m");
        check(r#"{"mode":"slow","delay":3}"#, "`delay` is 3", "in quotes");
        let two = r#"{"min":"100ms","max":"2s"}"#;
        for (bounds, message, remedy) in [
            ("{}", "not both `min` and `max`", two),
            (r#"{"min":"1s"}"#, "not both `min` and `max`", two),
            (r#"{"min":"2s","max":"1s"}"#, "longer than its `max`", two),
            (r#"{"min":"1s","max":"2s","p99":"3s"}"#, "unknown key `p99`", two),
            (r#"{"min":"1s","max":"2min"}"#, "`max` is `2min`", "write `2m`"),
            (r#"{"min":"1s","max":"2m"}"#, "`max` is `2m`", "at most 1m"),
        ] {
            check(&format!(r#"{{"mode":"slow","delay":{bounds}}}"#), message, remedy);
        }
    }

    #[test]
    fn a_key_that_the_mode_has_no_use_for_is_a_mistake() {
        for key in [r#""for":"30s""#, r#""scope":"all""#, r#""percent":100"#] {
            let name = key.split('"').nth(1).unwrap();
            let message = format!("`{name}` means nothing to the mode `crash`");
            check(&format!("{{{key}}}"), &message, "one of refuse, blackhole, hang, reset");
        }
        let message = "`status` means nothing to the mode `hang`";
        check(
            r#"{"mode":"hang","status":503}"#,
            message,
            "leave `status` out, or give `mode` one of error",
        );
        let message = "`delay` means nothing to the mode `error`";
        check(r#"{"mode":"error","delay":"1s"}"#, message, "one of slow");
    }

    #[test]
    fn a_recovery_knows_pool_and_backend_only() {
        let names = Names::of(br#"{"backend":"b"}"#).unwrap();
        assert_eq!(names, Names { pool: None, backend: Some("b".to_owned()) });
        let error = Names::of(br#"{"mode":"hang"}"#).unwrap_err();
        assert_eq!(error.remedy, "send a JSON object; known keys: pool, backend");
    }

    #[test]
    fn a_failback_knows_the_pool_only() {
        assert_eq!(pool_of(b""), Ok(None));
        assert_eq!(pool_of(br#"{"pool":"api"}"#), Ok(Some("api".to_owned())));
        let error = pool_of(br#"{"backend":"b"}"#).unwrap_err();
        assert_eq!(error.remedy, "send a JSON object; known keys: pool");
    }

    #[test]
    fn a_deeply_nested_body_is_refused() {
        check(&"[".repeat(60_000), "not JSON", "JSON object");
    }
}
