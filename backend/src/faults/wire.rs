//! Faults as JSON: what `POST /faults` takes and what `GET /faults` shows.

use std::fmt::Display;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::faults::plan::ActiveFault;
use crate::faults::{Fault, FaultKind, InvalidFault, LASTING_MAX, Percent, Scope};

const FIELDS: [&str; 8] =
    ["mode", "percent", "every", "status", "delay_ms", "period_ms", "for_ms", "scope"];
const MODES: &str = "one of refuse, hang, error, slow, reset, truncate, close_idle";
const SCOPES: &str = "one of all, traffic, health";

/// What an `error` fault answers when it is not told: the usual word for "not just now".
const STATUS_DEFAULT: u64 = 503;
/// How long a `slow` fault delays when it is not told: longer than a sensible per-try timeout.
const DELAY_MS_DEFAULT: u64 = 3_000;
/// How often `close_idle` closes connections when it is not told: several times a second.
const PERIOD_MS_DEFAULT: u64 = 200;
/// Beyond this, counting requests is no way to say how rare a fault is.
const EVERY_MAX: u64 = 1_000_000;
const LASTING_MS_MAX: u64 = LASTING_MAX.as_millis() as u64;

/// Reads a fault; the error names the field, what it holds and what it may hold.
pub(crate) fn parse(body: &[u8]) -> Result<Fault, InvalidFault> {
    let value: Value = serde_json::from_slice(body).map_err(|error| InvalidFault {
        message: format!("the body is not JSON: {error}"),
        remedy: r#"send an object such as {"mode":"hang","for_ms":10000}"#.to_owned(),
    })?;
    let Value::Object(fields) = value else {
        return Err(InvalidFault {
            message: format!("the body is {}, not an object", name_of(&value)),
            remedy: r#"send an object such as {"mode":"hang","for_ms":10000}"#.to_owned(),
        });
    };
    if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(InvalidFault {
            message: format!("`{unknown}` is not a field of a fault"),
            remedy: format!("use {}", FIELDS.join(", ")),
        });
    }
    fault(&fields)
}

fn fault(fields: &Map<String, Value>) -> Result<Fault, InvalidFault> {
    let mode = word(fields, "mode", MODES)?.ok_or_else(|| missing("mode", MODES))?;
    let status = whole_number(fields, "status", 400..=599)?.unwrap_or(STATUS_DEFAULT);
    let delay_ms = whole_number(fields, "delay_ms", 0..=LASTING_MS_MAX)?;
    let delay = Duration::from_millis(delay_ms.unwrap_or(DELAY_MS_DEFAULT));
    let period_ms = whole_number(fields, "period_ms", 1..=LASTING_MS_MAX)?;
    let kind = match mode {
        "refuse" => FaultKind::Refuse,
        "hang" => FaultKind::Hang,
        "error" => FaultKind::Error { status: status_code(status)? },
        "slow" => FaultKind::Slow { delay },
        "reset" => FaultKind::Reset,
        "truncate" => FaultKind::Truncate,
        "close_idle" => FaultKind::CloseIdle {
            period: Duration::from_millis(period_ms.unwrap_or(PERIOD_MS_DEFAULT)),
        },
        other => return Err(wrong("mode", format!("`{other}`"), MODES)),
    };
    let scope = match word(fields, "scope", SCOPES)? {
        None | Some("all") => Scope::All,
        Some("traffic") => Scope::Traffic,
        Some("health") => Scope::Health,
        Some(other) => return Err(wrong("scope", format!("`{other}`"), SCOPES)),
    };
    let percent = whole_number(fields, "percent", 1..=100)?
        .and_then(|percent| Percent::new(u8::try_from(percent).ok()?))
        .unwrap_or(Percent::ALL);
    let every = whole_number(fields, "every", 1..=EVERY_MAX)?
        .and_then(|every| NonZeroU32::new(u32::try_from(every).ok()?))
        .unwrap_or(NonZeroU32::MIN);
    let for_ms = whole_number(fields, "for_ms", 1..=LASTING_MS_MAX)?
        .ok_or_else(|| missing("for_ms", &numbers(&(1..=LASTING_MS_MAX))))?;
    Ok(Fault { kind, percent, every, scope, lasting: Duration::from_millis(for_ms) })
}

/// A fault with what is left of it at `now`.
pub(crate) fn show(active: &ActiveFault, now: Instant) -> Value {
    let fault = active.fault;
    let remaining = active.ends_at.saturating_duration_since(now);
    let mut shown = json!({
        "mode": fault.kind.mode(),
        "percent": fault.percent.value(),
        "scope": fault.scope.word(),
        "for_ms": milliseconds(fault.lasting),
        "remaining_ms": milliseconds(remaining),
    });
    if fault.every != NonZeroU32::MIN {
        shown["every"] = fault.every.get().into();
    }
    match fault.kind {
        FaultKind::Error { status } => shown["status"] = status.as_u16().into(),
        FaultKind::Slow { delay } => shown["delay_ms"] = milliseconds(delay).into(),
        FaultKind::CloseIdle { period } => shown["period_ms"] = milliseconds(period).into(),
        FaultKind::Refuse | FaultKind::Hang | FaultKind::Reset | FaultKind::Truncate => {}
    }
    shown
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn status_code(status: u64) -> Result<StatusCode, InvalidFault> {
    u16::try_from(status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok())
        .ok_or_else(|| wrong("status", status, &numbers(&(400..=599))))
}

fn word<'a>(
    fields: &'a Map<String, Value>,
    name: &str,
    allowed: &str,
) -> Result<Option<&'a str>, InvalidFault> {
    match fields.get(name) {
        None => Ok(None),
        Some(Value::String(word)) => Ok(Some(word)),
        Some(other) => Err(wrong(name, other, allowed)),
    }
}

fn whole_number(
    fields: &Map<String, Value>,
    name: &str,
    range: RangeInclusive<u64>,
) -> Result<Option<u64>, InvalidFault> {
    let Some(value) = fields.get(name) else { return Ok(None) };
    match value.as_u64().filter(|number| range.contains(number)) {
        Some(number) => Ok(Some(number)),
        None => Err(wrong(name, value, &numbers(&range))),
    }
}

fn numbers(range: &RangeInclusive<u64>) -> String {
    format!("a whole number from {} to {}", range.start(), range.end())
}

fn wrong(name: &str, found: impl Display, allowed: &str) -> InvalidFault {
    InvalidFault {
        message: format!("`{name}` is {found}"),
        remedy: format!("give `{name}` {allowed}"),
    }
}

fn missing(name: &str, allowed: &str) -> InvalidFault {
    InvalidFault {
        message: format!("`{name}` is missing"),
        remedy: format!("give `{name}` {allowed}"),
    }
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> String {
        parse(body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let parsed =
            |mode: &str| parse(json!({"mode": mode, "for_ms": 10}).to_string().as_bytes()).unwrap();
        let error = Fault::new(
            FaultKind::Error { status: StatusCode::SERVICE_UNAVAILABLE },
            Duration::from_millis(10),
        );
        assert_eq!(parsed("error"), error);
        assert_eq!(parsed("slow").kind, FaultKind::Slow { delay: Duration::from_secs(3) });
        let period = Duration::from_millis(200);
        assert_eq!(parsed("close_idle").kind, FaultKind::CloseIdle { period });
    }

    #[test]
    fn every_field_is_taken_over() {
        let body = r#"{"mode":"error","percent":30,"status":502,"delay_ms":1,"for_ms":600000,"scope":"traffic","every":10}"#;
        let expected =
            Fault::new(FaultKind::Error { status: StatusCode::BAD_GATEWAY }, LASTING_MAX)
                .in_scope(Scope::Traffic)
                .striking(Percent::new(30).unwrap())
                .striking_every(10.try_into().unwrap());
        assert_eq!(parse(body.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn refusals_name_the_field_and_what_it_may_hold() {
        let modes = "give `mode` one of refuse, hang, error, slow, reset, truncate, close_idle";
        for (body, expected) in [
            (r#"{"for_ms":1}"#, format!("`mode` is missing; {modes}")),
            (r#"{"mode":"explode","for_ms":1}"#, format!("`mode` is `explode`; {modes}")),
            (r#"{"mode":7,"for_ms":1}"#, format!("`mode` is 7; {modes}")),
            (
                r#"{"mode":"hang"}"#,
                "`for_ms` is missing; give `for_ms` a whole number from 1 to 600000".to_owned(),
            ),
            (
                r#"{"mode":"hang","for_ms":600001}"#,
                "`for_ms` is 600001; give `for_ms` a whole number from 1 to 600000".to_owned(),
            ),
            (
                r#"{"mode":"hang","for_ms":1,"percent":0.5}"#,
                "`percent` is 0.5; give `percent` a whole number from 1 to 100".to_owned(),
            ),
            (
                r#"{"mode":"hang","for_ms":1,"scope":"some"}"#,
                "`scope` is `some`; give `scope` one of all, traffic, health".to_owned(),
            ),
            (
                r#"{"mode":"error","for_ms":1,"status":200}"#,
                "`status` is 200; give `status` a whole number from 400 to 599".to_owned(),
            ),
            (
                r#"{"mode":"hang","for":1}"#,
                "`for` is not a field of a fault; use mode, percent, every, status, delay_ms, period_ms, for_ms, scope"
                    .to_owned(),
            ),
        ] {
            assert_eq!(refused(body), expected);
        }
        assert!(refused("[]").starts_with("the body is a list, not an object;"));
        assert!(refused("{").starts_with("the body is not JSON: "));
    }

    #[test]
    fn a_fault_is_shown_with_what_is_left_of_it() {
        let now = crate::clock::now();
        let kind = FaultKind::Slow { delay: Duration::from_millis(250) };
        let fault = Fault::new(kind, Duration::from_secs(10));
        let active = ActiveFault { fault, ends_at: now + Duration::from_millis(1500), seen: 7 };
        let expected = json!({
            "mode": "slow", "percent": 100, "scope": "all", "delay_ms": 250,
            "for_ms": 10_000, "remaining_ms": 1500,
        });
        assert_eq!(show(&active, now), expected);
    }
}
