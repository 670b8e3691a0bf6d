//! The bodies of requests, as the handlers read them.

use serde_json::{Map, Value, json};

/// A body of JSON that may be left out, with these keys, all of which may be.
fn optional(keys: &[(&str, Value)]) -> Value {
    body(keys, &[])
}

fn body(keys: &[(&str, Value)], required: &[&str]) -> Value {
    json!({
        "required": !required.is_empty(),
        "content": { "application/json": { "schema": object(keys, required) } },
    })
}

fn object(keys: &[(&str, Value)], required: &[&str]) -> Value {
    let keys: Map<String, Value> =
        keys.iter().map(|(key, it)| ((*key).to_owned(), it.clone())).collect();
    json!({
        "type": "object", "additionalProperties": false, "properties": keys, "required": required,
    })
}

fn text(about: &str) -> Value {
    json!({ "type": ["string", "null"], "description": about })
}

fn flag(about: &str) -> Value {
    json!({ "type": ["boolean", "null"], "description": about })
}

/// A length of time, as people write it.
pub(crate) fn length(about: &str) -> Value {
    json!({ "type": ["string", "null"], "description": about, "examples": ["250ms"] })
}

fn one_of(about: &str, words: &[&str]) -> Value {
    let mut words: Vec<Value> = words.iter().map(|it| json!(it)).collect();
    words.push(Value::Null);
    json!({ "enum": words, "description": about })
}

fn number(about: &str, least: u32, most: u32) -> Value {
    json!({ "type": ["integer", "null"], "minimum": least, "maximum": most, "description": about })
}

pub(crate) fn fault() -> Value {
    optional(&[
        ("pool", text("The pool; by default the first.")),
        ("backend", text("The backend; by default the active one.")),
        (
            "mode",
            one_of(
                "What goes wrong; by default `crash`.",
                &["crash", "hang", "error", "slow", "refuse", "blackhole", "reset", "truncate"],
            ),
        ),
        ("for", length("How long; not for `crash`. At most 10 minutes.")),
        ("scope", one_of("For whom.", &["all", "traffic", "checks"])),
        ("percent", number("The share of those.", 1, 100)),
        ("status", number("What `error` answers.", 400, 599)),
        (
            "delay",
            json!({
                "description": "By how much `slow` answers are late: one length, or two.",
                "anyOf": [
                    length("One length."),
                    object(&[("min", length("At least.")), ("max", length("At most."))], &["min", "max"]),
                ],
            }),
        ),
    ])
}

pub(crate) fn names() -> Value {
    optional(&[
        ("pool", text("The pool; by default all.")),
        ("backend", text("The backend; by default all.")),
    ])
}

pub(crate) fn pool() -> Value {
    optional(&[("pool", text("The pool; by default the first."))])
}

fn expectation(fields: &[(&str, Value)]) -> Value {
    let mut expect = object(fields, &[]);
    expect["type"] = json!(["object", "null"]);
    expect["description"] = json!("Refused with 409 `changed` unless things are so.");
    expect
}

pub(crate) fn of_backend() -> Value {
    optional(&[
        ("wait", length("Answered when it has come about, or when this is over. At most an hour.")),
        ("force", flag("For `drain`, `disable`, `eject`: also the last eligible backend.")),
        ("weight", number("For `weight`, which needs it.", 0, 1_000_000)),
        ("for", length("For `eject`: how long. At most an hour.")),
        (
            "expect",
            expectation(&[
                ("intent", one_of("What operators want.", &["enabled", "draining", "disabled"])),
                ("weight", number("Its weight.", 0, 1_000_000)),
                ("condition", text("How it is.")),
                ("is_eligible", flag("Whether it may be picked.")),
                ("is_active", flag("Whether it gets traffic.")),
            ]),
        ),
    ])
}

pub(crate) fn of_failover() -> Value {
    optional(&[
        ("to", text("`tier 1`, or the name of a backend; by default the next tier.")),
        ("wait", length("Answered when all traffic has moved, or when this is over.")),
        ("force", flag("Also if nobody there is eligible.")),
        ("expect", expectation(&[("active", text("The active backend."))])),
    ])
}

pub(crate) fn of_failback() -> Value {
    optional(&[
        ("wait", length("Answered when traffic has returned, or when this is over.")),
        ("expect", expectation(&[("active", text("The active backend."))])),
    ])
}

pub(crate) fn level() -> Value {
    body(
        &[
            ("level", json!({ "enum": ["error", "warn", "info", "debug"] })),
            ("for", length("How long; at most a day. Without it, until something else is said.")),
        ],
        &["level"],
    )
}

pub(crate) fn ticket() -> Value {
    optional(&[(
        "path",
        one_of("The WebSocket that it is for; by default the log.", &["/logs", "/feed"]),
    )])
}

pub(crate) fn nothing() -> Value {
    optional(&[])
}

pub(crate) fn upgrade() -> Value {
    let wait = "Answered when another process serves, or when this is over, with `is_done` false and \
                the attempt going on. Without, answered when it has ended.";
    optional(&[("wait", length(wait))])
}

pub(crate) fn reload() -> Value {
    optional(&[
        (
            "expect",
            object(&[("generation", json!({ "type": ["integer", "null"], "minimum": 0 }))], &[]),
        ),
        ("dry_run", json!({ "type": "boolean", "description": "Only try it." })),
    ])
}

pub(crate) fn configuration() -> Value {
    json!({
        "required": true,
        "description": "A configuration.",
        "content": { "application/yaml": { "schema": { "type": "string" } } },
    })
}
