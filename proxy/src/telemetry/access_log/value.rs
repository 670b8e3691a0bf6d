//! The value of each field of the access log.

use std::{borrow::Cow, time::Duration};

use crate::{
    clock,
    event::{AttemptOutcome, Fate, Rescue},
    model::{AccessField, AccessLog, Backend, Target},
    telemetry::{
        metrics::Answer,
        requests::{
            attempts::{AttemptRecord, Role},
            record::{Record, Text, shown},
            redact,
        },
    },
};

/// A value, before it is written down.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    Text(Cow<'a, [u8]>),
    Number(u64),
    /// With microseconds.
    Seconds(Duration),
    Truth(bool),
    Attempts(Vec<Attempt<'a>>),
}

/// What is told of an attempt.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    pub(crate) backend: &'a str,
    pub(crate) role: &'static str,
    pub(crate) is_trial: bool,
    pub(crate) outcome: &'static str,
    pub(crate) status: Option<u16>,
    pub(crate) symptom: Option<String>,
    /// From the request's head.
    pub(crate) began: Duration,
    /// From here on, from the attempt's beginning; `None` if it did not get that far.
    pub(crate) connected: Option<Duration>,
    pub(crate) is_reused: bool,
    pub(crate) sent: Option<Duration>,
    pub(crate) first_byte: Option<Duration>,
    pub(crate) took: Duration,
}

/// Returns the value of a field; `None` if there is nothing to be said. `incident` is the one that
/// counts the request.
pub(crate) fn of<'a>(
    field: AccessField,
    record: &'a Record,
    log: &AccessLog,
    incident: Option<&'a str>,
) -> Option<Value<'a>> {
    match field {
        AccessField::Time
        | AccessField::RequestId
        | AccessField::TraceId
        | AccessField::SpanId
        | AccessField::IncidentId
        | AccessField::Kept => identity(field, record, incident),
        AccessField::Listener
        | AccessField::Client
        | AccessField::Peer
        | AccessField::Method
        | AccessField::Scheme
        | AccessField::Host
        | AccessField::Path
        | AccessField::Query
        | AccessField::Protocol
        | AccessField::TlsVersion
        | AccessField::UserAgent
        | AccessField::Referer => asked(field, record, log),
        AccessField::Route
        | AccessField::Pool
        | AccessField::Backend
        | AccessField::Status
        | AccessField::GrpcStatus
        | AccessField::Origin
        | AccessField::Fate
        | AccessField::Rescue
        | AccessField::Failure
        | AccessField::Symptom
        | AccessField::RetryReason
        | AccessField::Attempts
        | AccessField::AttemptDetails
        | AccessField::Hedged => answered(field, record),
        AccessField::BytesIn => Some(Value::Number(record.bytes_in)),
        AccessField::BytesOut => Some(Value::Number(record.bytes_out)),
        AccessField::Duration => Some(Value::Seconds(record.took())),
        AccessField::FirstByte => {
            record.first_byte.map(|at| Value::Seconds(at.since(record.began)))
        }
    }
}

/// What it is called.
#[expect(clippy::wildcard_enum_match_arm, reason = "`of` divides the fields among three")]
fn identity<'a>(
    field: AccessField,
    record: &'a Record,
    incident: Option<&'a str>,
) -> Option<Value<'a>> {
    match field {
        AccessField::Time => Some(owned(clock::rfc3339_of(record.began))),
        AccessField::RequestId => text(record, Text::RequestId),
        AccessField::TraceId => record.place.map(|it| owned(format!("{:032x}", it.trace))),
        AccessField::SpanId => record.place.map(|it| owned(format!("{:016x}", it.span))),
        AccessField::IncidentId => incident.map(word),
        AccessField::Kept => Some(word(record.kept.name())),
        _ => None,
    }
}

/// What was asked, and by whom.
#[expect(clippy::wildcard_enum_match_arm, reason = "`of` divides the fields among three")]
fn asked<'a>(field: AccessField, record: &'a Record, log: &AccessLog) -> Option<Value<'a>> {
    let address = |address: Option<std::net::IpAddr>| {
        shown(address?, log.client).map(|it| owned(it.to_string()))
    };
    match field {
        AccessField::Listener => Some(word(&record.topology.listeners[record.listener].name)),
        AccessField::Client => address(record.client),
        AccessField::Peer => address(record.peer),
        AccessField::Method => Some(word(record.method.as_str())),
        AccessField::Scheme => Some(word(if record.tls.is_some() { "https" } else { "http" })),
        AccessField::Host => text(record, Text::Host),
        AccessField::Path => Some(Value::Text(Cow::Borrowed(target(record).0))),
        AccessField::Query => {
            target(record).1.map(|it| Value::Text(redact::query(it, &log.redact.query)))
        }
        AccessField::Protocol => Some(word(protocol(record))),
        AccessField::TlsVersion => record.tls.as_deref().map(word),
        AccessField::UserAgent => text(record, Text::UserAgent),
        AccessField::Referer => record
            .texts
            .get(Text::Referer)
            .map(|it| Value::Text(redact::url(it, &log.redact.query))),
        _ => None,
    }
}

/// What became of it.
#[expect(clippy::wildcard_enum_match_arm, reason = "`of` divides the fields among three")]
fn answered(field: AccessField, record: &Record) -> Option<Value<'_>> {
    let topology = &record.topology;
    match field {
        AccessField::Route => record.route.map(|it| word(&topology.routes[it].name)),
        AccessField::Pool => match record.target? {
            Target::Pool(pool) => Some(word(&topology.pool(pool).name)),
            Target::Sidecar => Some(word("sidecar")),
            Target::Proxy => None,
        },
        AccessField::Backend => record.backend().map(|it| word(&topology.backend(it).name)),
        AccessField::Status => record.status.map(|it| Value::Number(it.into())),
        AccessField::GrpcStatus => record.grpc_status.map(|it| Value::Number(it.into())),
        AccessField::Origin => Some(word(origin(record.answer))),
        AccessField::Fate => Some(word(fate(record.fate))),
        AccessField::Rescue => record.rescue.map(|it| word(rescue(it))),
        AccessField::Failure => record.failure.map(word),
        AccessField::Symptom => record.symptom.map(|it| owned(it.to_string())),
        AccessField::RetryReason => {
            let own = record.attempts.iter().filter(|it| it.role != Role::Mirror);
            let first = own.filter_map(|it| it.symptom).next();
            first.filter(|_| 1 < record.attempt_count).map(|it| owned(it.to_string()))
        }
        AccessField::Attempts => Some(Value::Number(record.attempt_count.into())),
        AccessField::AttemptDetails => {
            let attempts = record.attempts.iter().map(|it| attempt(it, record));
            Some(Value::Attempts(attempts.collect()))
        }
        AccessField::Hedged => {
            Some(Value::Truth(record.attempts.iter().any(|it| it.role == Role::Hedge)))
        }
        _ => None,
    }
}

fn attempt<'a>(it: &AttemptRecord, record: &'a Record) -> Attempt<'a> {
    let backend: &Backend = record.topology.backend(it.backend);
    let since = |at: Option<clock::Timestamp>| at.map(|at| at.since(it.began));
    Attempt {
        backend: &backend.name,
        role: it.role.name(),
        is_trial: it.is_trial,
        outcome: outcome(it),
        status: match it.outcome {
            Some(AttemptOutcome::Answered { status }) => Some(status),
            Some(AttemptOutcome::Failed(_) | AttemptOutcome::Abandoned) | None => None,
        },
        symptom: it.symptom.map(|it| it.to_string()),
        began: it.began.since(record.began),
        connected: since(it.connected.map(|it| it.0)),
        is_reused: it.connected.is_some_and(|it| it.1),
        sent: since(it.sent),
        first_byte: since(it.first_byte),
        took: it.ended.unwrap_or(record.ended).since(it.began),
    }
}

/// Says how an attempt ended.
pub(crate) fn outcome(attempt: &AttemptRecord) -> &'static str {
    match attempt.outcome {
        Some(AttemptOutcome::Answered { .. }) => "answered",
        Some(AttemptOutcome::Failed(_)) => "failed",
        Some(AttemptOutcome::Abandoned) => "abandoned",
        None if attempt.is_heard_out => "heard_out",
        None => "unfinished",
    }
}

/// Returns path and query, as sent.
pub(crate) fn target(record: &Record) -> (&[u8], Option<&[u8]>) {
    let target = record.texts.get(Text::Target).unwrap_or_default();
    match target.iter().position(|&it| it == b'?') {
        Some(at) => (&target[..at], Some(&target[at + 1..])),
        None => (target, None),
    }
}

/// Returns the version of HTTP, as lines of requests say it.
pub(crate) fn protocol(record: &Record) -> &'static str {
    match record.version {
        http::Version::HTTP_09 => "HTTP/0.9",
        http::Version::HTTP_10 => "HTTP/1.0",
        http::Version::HTTP_2 => "HTTP/2.0",
        http::Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

/// Returns who made the response.
pub(crate) fn origin(answer: Answer) -> &'static str {
    match answer {
        Answer::Upstream(_) => "upstream",
        Answer::Proxy(_) => "proxy",
        Answer::Aborted => "aborted",
    }
}

/// Returns how a request ended, in one word.
pub(crate) fn fate(fate: Fate) -> &'static str {
    match fate {
        Fate::Served => "served",
        Fate::Rescued(_) => "rescued",
        Fate::Lost => "lost",
        Fate::Abandoned => "abandoned",
    }
}

/// Returns what rescued a request, in one word.
pub(crate) fn rescue(rescue: Rescue) -> &'static str {
    let [retry, hedge] = Rescue::NAMES;
    match rescue {
        Rescue::Retry => retry,
        Rescue::Hedge => hedge,
    }
}

fn text(record: &Record, text: Text) -> Option<Value<'_>> {
    record.texts.get(text).map(|it| Value::Text(Cow::Borrowed(it)))
}

fn word(word: &str) -> Value<'_> {
    Value::Text(Cow::Borrowed(word.as_bytes()))
}

fn owned(text: String) -> Value<'static> {
    Value::Text(Cow::Owned(text.into_bytes()))
}
