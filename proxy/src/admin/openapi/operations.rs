//! What can be asked: the table of operations.

use schemars::{Schema, SchemaGenerator};
use serde_json::{Value, json};

use crate::admin::{
    log_level::LevelAnswer,
    openapi::{bodies, shape},
    wire,
};

/// One thing that can be asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    /// As in the router.
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
    /// Of the query.
    pub(crate) parameters: &'static [Parameter],
    pub(crate) body: Option<fn() -> Value>,
    /// Beside those that follow from who may ask.
    pub(crate) answers: &'static [(u16, Answer)],
}

/// A key of the query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) schema: fn() -> Value,
}

/// Makes the shape of an answer.
type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Json(&'static str, Shape),
    JsonOrYaml(&'static str, Shape),
    /// Text of a kind.
    Text(&'static str, &'static str),
    /// Whatever somebody else answers.
    Anything(&'static str),
    Nothing(&'static str),
    Error(&'static str),
}

use Answer::{Anything, Error, Json, JsonOrYaml, Nothing, Text};

const fn get(
    path: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
    answers: &'static [(u16, Answer)],
) -> Operation {
    Operation { method: "GET", path, summary, parameters, body: None, answers }
}

const fn post(
    path: &'static str,
    summary: &'static str,
    body: fn() -> Value,
    answers: &'static [(u16, Answer)],
) -> Operation {
    Operation { method: "POST", path, summary, parameters: &[], body: Some(body), answers }
}

fn name() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

fn up_to<const MAX: u32>() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": MAX })
}

const POOL: Parameter = Parameter { name: "pool", about: "Of this pool only.", schema: name };
const UNKNOWN: (u16, Answer) = (404, Error("there is no such pool or backend"));
const BUSY: (u16, Answer) = (503, Error("too much is happening at once, or the proxy is ending"));
const CONFLICT: (u16, Answer) =
    (409, Error("things are not as expected, or it would take the last eligible backend"));
const BACKEND_FAILED: (u16, Answer) = (502, Error("the backend did not do as it was told"));
const RELOADED: Shape = shape::<wire::Reload>;

/// Every operation, in the order of the router.
pub(crate) const OPERATIONS: &[Operation] = &[
    get(
        "/proxy/health",
        "Every pool, every backend, and how they are",
        &[],
        &[(200, Json("the state", shape::<wire::Health>))],
    ),
    post(
        "/proxy/fail",
        "Make a backend fail",
        bodies::fault,
        &[
            (202, Json("accepted", shape::<wire::FailAccepted>)),
            UNKNOWN,
            (409, Error("no backend serves")),
            BACKEND_FAILED,
            BUSY,
        ],
    ),
    post(
        "/proxy/recover",
        "End what made backends fail",
        bodies::names,
        &[(200, Json("who is well", shape::<wire::Recovered>)), UNKNOWN],
    ),
    post(
        "/proxy/failback",
        "Let traffic return to a preferred tier",
        bodies::pool,
        &[
            (202, Json("accepted", shape::<wire::FailbackAccepted>)),
            UNKNOWN,
            (409, Error("nothing can return")),
            BUSY,
        ],
    ),
    get(
        "/proxy/data",
        "What a client of the data plane gets",
        &[],
        &[
            (200, Anything("the backend's answer, whatever its status")),
            (404, Anything("the backend's answer")),
            (501, Error("no listener speaks plain HTTP")),
            (502, Error("the data plane did not answer")),
            (503, Anything("the data plane's answer")),
            (508, Error("the data plane leads this path to the sidecar")),
        ],
    ),
    get(
        "/backends",
        "Every backend, as operators order it about",
        &[],
        &[(200, Json("the backends", shape::<wire::Backends>))],
    ),
    get(
        "/backends/{pool}/{name}",
        "One backend",
        &[],
        &[(200, Json("the backend", shape::<wire::OneBackend>)), UNKNOWN],
    ),
    post(
        "/backends/{pool}/{name}/{verb}",
        "Order a backend about: drain, undrain, disable, enable, eject, readmit, weight",
        bodies::of_backend,
        &[(200, Json("the backend", shape::<wire::BackendAnswer>)), UNKNOWN, CONFLICT, BUSY],
    ),
    post(
        "/pools/{pool}/failover",
        "Move a pool's traffic",
        bodies::of_failover,
        &[(200, Json("the pool", shape::<wire::PoolAnswer>)), UNKNOWN, CONFLICT, BUSY],
    ),
    post(
        "/pools/{pool}/failback",
        "Return a pool's traffic",
        bodies::of_failback,
        &[(200, Json("the pool", shape::<wire::PoolAnswer>)), UNKNOWN, CONFLICT, BUSY],
    ),
    get(
        "/log-level",
        "How much is logged",
        &[],
        &[
            (200, Json("the level", shape::<LevelAnswer>)),
            (501, Error("the level cannot be changed in this process")),
        ],
    ),
    Operation {
        method: "PUT",
        path: "/log-level",
        summary: "Log more, or less, for a time",
        parameters: &[],
        body: Some(bodies::level),
        answers: &[
            (200, Json("the level", shape::<LevelAnswer>)),
            (501, Error("the level cannot be changed in this process")),
        ],
    },
    get("/faults", "Faults under way", &[], &[(200, Json("the faults", shape::<wire::Faults>))]),
    post(
        "/faults",
        "Make a backend fail",
        bodies::fault,
        &[
            (202, Json("accepted", shape::<wire::FailAccepted>)),
            UNKNOWN,
            (409, Error("no backend serves")),
            BACKEND_FAILED,
            BUSY,
        ],
    ),
    Operation {
        method: "DELETE",
        path: "/faults/{pool}/{backend}",
        summary: "End a backend's fault",
        parameters: &[],
        body: None,
        answers: &[(200, Json("who is well", shape::<wire::Recovered>)), UNKNOWN],
    },
    get(
        "/incidents",
        "The failovers, newest first",
        &[
            POOL,
            Parameter { name: "limit", about: "At most so many.", schema: up_to::<1_000> },
            Parameter {
                name: "since",
                about: "Those that had not ended before this Unix time.",
                schema: up_to::<{ u32::MAX }>,
            },
        ],
        &[(200, Json("the incidents", shape::<wire::Incidents>)), UNKNOWN],
    ),
    get(
        "/incidents/{id}",
        "One failover",
        &[],
        &[
            (200, Json("the incident", shape::<wire::Incident>)),
            (404, Error("there is no such incident")),
        ],
    ),
    get(
        "/series",
        "Requests and latencies, in steps of 1 second up to 900 seconds, of 10 up to 15,000, of 60 beyond",
        &[
            POOL,
            Parameter { name: "seconds", about: "How far back.", schema: up_to::<86_400> },
            Parameter {
                name: "end",
                about: "From which Unix time; without it, or if it is later, from the last second.",
                schema: up_to::<{ u32::MAX }>,
            },
        ],
        &[(200, Json("the series", shape::<wire::Series>)), UNKNOWN],
    ),
    get(
        "/metrics",
        "The metrics, for Prometheus",
        &[],
        &[(200, Text("the metrics", "text/plain; version=0.0.4; charset=utf-8"))],
    ),
    get("/livez", "Whether the process lives", &[], &[(200, Json("it does", live))]),
    get(
        "/readyz",
        "Whether traffic is wanted here",
        &[],
        &[(200, Json("it is", ready)), (503, Json("it is not", ready))],
    ),
    get("/process", "The process", &[], &[(200, Json("the process", shape::<wire::Process>))]),
    post(
        "/drain",
        "Be not ready from now on, and serve",
        bodies::nothing,
        &[(200, Json("the process", shape::<wire::ProcessChanged>))],
    ),
    post(
        "/undrain",
        "Take that back",
        bodies::nothing,
        &[(200, Json("the process", shape::<wire::ProcessChanged>))],
    ),
    post(
        "/upgrade",
        "Start the program anew on the same sockets",
        bodies::upgrade,
        &[
            (200, Json("the process", shape::<wire::ProcessChanged>)),
            (409, Error("not at present")),
            (500, Error("it failed, and this process goes on")),
            (501, Error("not in this process")),
        ],
    ),
    get(
        "/logs",
        "The live log, a WebSocket",
        &[
            POOL,
            Parameter { name: "level", about: "The least severe level.", schema: level },
            Parameter { name: "text", about: "What lines must contain.", schema: text },
            Parameter {
                name: "ticket",
                about: "In place of a token: of `POST /tickets`.",
                schema: name,
            },
        ],
        &[
            (101, Nothing("the log follows, in frames of JSON")),
            UNKNOWN,
            (426, Error("it is a WebSocket")),
            (503, Error("too many read it already")),
        ],
    ),
    get(
        "/feed",
        "The state and its changes, a WebSocket",
        &[
            Parameter { name: "pool", about: "Whose series is wanted.", schema: name },
            Parameter {
                name: "seconds",
                about: "How far back the series begins.",
                schema: up_to::<900>,
            },
            Parameter {
                name: "after",
                about: "The number that is known last; what came since follows if it is still there.",
                schema: seq,
            },
            Parameter {
                name: "ticket",
                about: "In place of a token: of `POST /tickets`.",
                schema: name,
            },
        ],
        &[
            (101, Json("frames follow, each of which is one of these", shape::<wire::FeedFrame>)),
            UNKNOWN,
            (426, Error("it is a WebSocket")),
            (503, Error("too many read it already")),
        ],
    ),
    get(
        "/config",
        "The configuration in use, without secrets",
        &[Parameter { name: "format", about: "By default `json`.", schema: format }],
        &[(200, JsonOrYaml("the configuration", shape::<wire::Config>))],
    ),
    post(
        "/config/check",
        "Say what is thought of a configuration",
        bodies::configuration,
        &[(200, Json("what would change, or what is wrong", RELOADED)), BUSY],
    ),
    post(
        "/config/reload",
        "Load the configuration again",
        bodies::reload,
        &[
            (200, Json("it is in use", RELOADED)),
            (409, Error("another is in use than was expected, or it is from no file")),
            (422, Json("it is wrong, and nothing has changed", RELOADED)),
            BUSY,
        ],
    ),
    get(
        "/audit",
        "Who has changed what, newest first",
        &[
            Parameter {
                name: "since",
                about: "After the entry of this id, or from this time on.",
                schema: since,
            },
            Parameter { name: "limit", about: "At most so many.", schema: up_to::<10_000> },
            Parameter { name: "who", about: "By this name, or of this kind.", schema: name },
        ],
        &[(200, Json("the entries", shape::<wire::Audit>))],
    ),
    get(
        "/whoami",
        "What the sidecar takes you for",
        &[],
        &[(200, Json("you", shape::<wire::WhoAmI>))],
    ),
    post(
        "/tickets",
        "Take a ticket for a WebSocket",
        bodies::ticket,
        &[
            (200, Json("the ticket", shape::<wire::Ticket>)),
            (500, Error("the system gives no random numbers")),
        ],
    ),
    get("/openapi.json", "This document", &[], &[(200, Json("the document", document))]),
];

fn level() -> Value {
    json!({ "enum": ["error", "warn", "info", "debug"] })
}

fn seq() -> Value {
    json!({ "type": "integer", "minimum": 1 })
}

fn text() -> Value {
    json!({ "type": "string", "maxLength": 200 })
}

fn format() -> Value {
    json!({ "enum": ["json", "yaml"] })
}

fn since() -> Value {
    json!({ "oneOf": [
        { "type": "integer", "minimum": 0 },
        { "type": "string", "format": "date-time" },
    ] })
}

fn live(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({
        "type": "object", "required": ["live"], "properties": { "live": { "const": true } },
    })
}

fn ready(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({
        "type": "object",
        "required": ["ready", "reason"],
        "properties": { "ready": { "type": "boolean" }, "reason": { "type": ["string", "null"] } },
    })
}

fn document(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({ "type": "object", "required": ["openapi", "paths"] })
}
