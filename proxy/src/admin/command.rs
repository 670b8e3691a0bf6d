//! The bodies of orders about backends and pools: strict, and with a remedy for every mistake.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::{
    admin::{
        order::{bad_value, given, length, object_of, one_of, read, text},
        query::{bad_request, shorten},
    },
    fleet::{Command, Expectation, Subject},
    model::Intent,
    snapshot::Condition,
    web::HttpError,
};

/// The longest that an answer is waited for.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(3_600);
/// How long an operator's ejection lasts when nothing is said.
const EJECTION: Duration = Duration::from_secs(30);
/// The longest that one lasts. Who wants more drains.
const EJECTION_MAX: Duration = Duration::from_secs(3_600);
/// What any configuration could say.
const WEIGHT_MAX: u32 = 1_000_000;

/// What can be done to a backend, as paths say it.
pub(crate) const VERBS: [&str; 7] =
    ["drain", "undrain", "disable", "enable", "eject", "readmit", "weight"];

/// What every order may say beside what it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// How long to wait until it has come about.
    pub(crate) wait: Option<Duration>,
    pub(crate) is_forced: bool,
    pub(crate) expected: Expectation,
}

/// Reads an order about a backend: what its path calls `verb`.
pub(crate) fn of_backend(verb: &str, body: &[u8]) -> Result<(Command, Terms), HttpError> {
    let own = match verb {
        // They take nothing out: there is nothing to force.
        "weight" => &["weight"][..],
        "undrain" | "enable" | "readmit" => &[],
        "eject" => &["force", "for"],
        _ => &["force"],
    };
    let keys = read(body, &[&["wait", "expect"], own].concat())?;
    let command = match verb {
        "drain" => Command::Intend(Intent::Draining),
        "disable" => Command::Intend(Intent::Disabled),
        "undrain" | "enable" => Command::Intend(Intent::Enabled),
        "readmit" => Command::Readmit,
        "eject" => Command::Eject(length(&keys, "for", EJECTION_MAX)?.unwrap_or(EJECTION)),
        "weight" => Command::Weigh(weight(&keys)?.ok_or_else(|| {
            let message = "the body does not say which `weight`";
            bad_request("missing_key", message, "send `{\"weight\":50}`")
        })?),
        _ => {
            let message = format!("nothing is called `{}`", shorten(verb));
            let remedy = format!("one of {}", VERBS.join(", "));
            return Err(HttpError::new(
                http::StatusCode::NOT_FOUND,
                "unknown_path",
                message,
                remedy,
            ));
        }
    };
    let expected = match expectations(&keys, &BACKEND_FIELDS)? {
        Some(fields) => Expectation {
            intent: one_of(&fields, "intent", &Intent::ALL, Intent::name)?,
            weight: weight(&fields)?,
            condition: one_of(&fields, "condition", &Condition::NAMES, |it| it)?.map(str::to_owned),
            is_eligible: flag(&fields, "is_eligible")?,
            is_active: flag(&fields, "is_active")?,
            active: None,
        },
        None => Expectation::default(),
    };
    Ok((command, terms(&keys, expected)?))
}

/// What may be expected of a backend. The rest of what is told of one is configured, or changes by
/// the moment.
const BACKEND_FIELDS: [&str; 5] = ["intent", "weight", "condition", "is_eligible", "is_active"];

/// Reads an order to move a pool: where to, if that is said.
pub(crate) fn of_failover(body: &[u8]) -> Result<(Option<Subject>, Terms), HttpError> {
    let keys = read(body, &["to", "wait", "force", "expect"])?;
    let to = text(&keys, "to")?.map(|to| match to.strip_prefix("tier ").map(str::parse) {
        Some(Ok(tier)) => Subject::Tier(tier),
        Some(Err(_)) | None => Subject::Backend(to),
    });
    let expected = expected_active(&keys)?;
    Ok((to, terms(&keys, expected)?))
}

/// Reads an order to let a pool's traffic return.
pub(crate) fn of_failback(body: &[u8]) -> Result<Terms, HttpError> {
    let keys = read(body, &["wait", "expect"])?;
    let expected = expected_active(&keys)?;
    terms(&keys, expected)
}

fn expected_active(keys: &Map<String, Value>) -> Result<Expectation, HttpError> {
    let active = match expectations(keys, &["active"])? {
        Some(fields) => text(&fields, "active")?,
        None => None,
    };
    Ok(Expectation { active, ..Expectation::default() })
}

fn expectations(
    keys: &Map<String, Value>,
    known: &[&str],
) -> Result<Option<Map<String, Value>>, HttpError> {
    match given(keys, "expect") {
        None => Ok(None),
        Some(Value::Object(fields)) => object_of(fields.clone(), known, "`expect`").map(Some),
        Some(other) => {
            let remedy = format!("write an object; known keys: {}", known.join(", "));
            Err(bad_value("expect", other, remedy))
        }
    }
}

fn terms(keys: &Map<String, Value>, expected: Expectation) -> Result<Terms, HttpError> {
    Ok(Terms {
        wait: length(keys, "wait", WAIT_MAX)?,
        is_forced: flag(keys, "force")?.unwrap_or(false),
        expected,
    })
}

fn flag(keys: &Map<String, Value>, key: &str) -> Result<Option<bool>, HttpError> {
    match given(keys, key) {
        None => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(other) => Err(bad_value(key, other, "write true or false, without quotes")),
    }
}

fn weight(keys: &Map<String, Value>) -> Result<Option<u32>, HttpError> {
    let Some(value) = given(keys, "weight") else { return Ok(None) };
    let number = value.as_u64().and_then(|it| u32::try_from(it).ok());
    match number.filter(|it| *it <= WEIGHT_MAX) {
        Some(number) => Ok(Some(number)),
        None => {
            let remedy = format!("write a whole number from 0, a spare, to {WEIGHT_MAX}");
            Err(bad_value("weight", value, remedy))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(verb: &str, body: &str, message: &str, remedy: &str) {
        let error = of_backend(verb, body.as_bytes()).unwrap_err();
        assert!(error.message.contains(message), "{body}: {}", error.message);
        assert!(error.remedy.contains(remedy), "{body}: {}", error.remedy);
    }

    #[test]
    fn nothing_said_means_at_once_unforced_and_whatever_is_so() {
        for body in ["", "{}", r#"{"wait":null,"force":null,"expect":{}}"#] {
            let (command, terms) = of_backend("drain", body.as_bytes()).unwrap();
            assert_eq!(command, Command::Intend(Intent::Draining));
            assert_eq!(terms, Terms::default());
        }
        let (command, _) = of_backend("eject", b"").unwrap();
        assert_eq!(command, Command::Eject(Duration::from_secs(30)));
    }

    #[test]
    fn every_key_is_read() {
        let body = br#"{"weight":0,"wait":"30s","expect":{"intent":"enabled",
            "weight":100,"condition":"up","is_eligible":true,"is_active":false}}"#;
        let (command, terms) = of_backend("weight", body).unwrap();
        assert_eq!(command, Command::Weigh(0));
        let expected = Expectation {
            intent: Some(Intent::Enabled),
            weight: Some(100),
            condition: Some("up".to_owned()),
            is_eligible: Some(true),
            is_active: Some(false),
            active: None,
        };
        let wait = Some(Duration::from_secs(30));
        assert_eq!(terms, Terms { wait, is_forced: false, expected });
        let (_, terms) = of_backend("disable", br#"{"force":true}"#).unwrap();
        assert!(terms.is_forced);
        let (to, terms) = of_failover(br#"{"to":"tier 2","expect":{"active":"a"}}"#).unwrap();
        assert_eq!((to, terms.expected.active.as_deref()), (Some(Subject::Tier(2)), Some("a")));
        let (to, _) = of_failover(br#"{"to":"tier two"}"#).unwrap();
        assert_eq!(to, Some(Subject::Backend("tier two".to_owned())));
    }

    #[test]
    fn a_mistake_is_answered_with_the_key_and_what_it_may_hold() {
        check("drain", r#"{"weigth":1}"#, "unknown key `weigth`", "wait, expect, force");
        check("drain", r#"{"for":"1s"}"#, "unknown key `for`", "wait, expect, force");
        for verb in ["undrain", "enable", "readmit", "weight"] {
            check(verb, r#"{"force":true}"#, "unknown key `force`", "wait, expect");
        }
        check("weight", "{}", "does not say which `weight`", r#"{"weight":50}"#);
        check("weight", r#"{"weight":-1}"#, "`weight` is -1", "from 0, a spare, to 1000000");
        check("weight", r#"{"weight":"9"}"#, "`weight` is \"9\"", "a whole number");
        check("eject", r#"{"for":"2h"}"#, "`for` is `2h`", "at most 1h");
        check("drain", r#"{"wait":5}"#, "`wait` is 5", "in quotes");
        check("drain", r#"{"force":"yes"}"#, "`force` is \"yes\"", "true or false");
        check("drain", r#"{"expect":7}"#, "`expect` is 7", "known keys: intent");
        check(
            "drain",
            r#"{"expect":{"url":"x"}}"#,
            "unknown key `url` in `expect`",
            "intent, weight",
        );
        check("drain", r#"{"expect":{"intent":"on"}}"#, "`intent` is `on`", "one of enabled");
        check("dry", "{}", "nothing is called `dry`", "one of drain, undrain");
        assert!(of_failback(br#"{"force":true}"#).is_err(), "there is nothing to force");
    }
}
