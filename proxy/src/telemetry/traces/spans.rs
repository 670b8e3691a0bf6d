//! Spans, built from the record of a request: its own, and one for each attempt.
//!
//! Names follow OpenTelemetry's semantic conventions for HTTP (1.38) where they have one; the rest
//! begins with `bascule.`.

use std::borrow::Cow;

use http::Method;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    resource::v1::Resource,
    trace::v1::{
        ResourceSpans, ScopeSpans, Span, Status,
        span::{Event, SpanKind},
        status::StatusCode,
    },
};

use crate::{
    clock::{self, Timestamp},
    event::{AttemptOutcome, Fate, Symptom},
    model::{BackendAddress, ClientDetail, Tracing},
    telemetry::{
        access_log,
        requests::{
            attempts::{AttemptRecord, Role, TracePlace},
            record::{Record, Text, shown},
            redact,
            trail::Traced,
        },
    },
};

/// A message to a collector.
pub(crate) type Request = ExportTraceServiceRequest;

/// `Span.flags`: that it is known whether the parent is remote, and that it is.
const PARENT_KNOWN: u32 = 0x100;
const PARENT_REMOTE: u32 = 0x200;

/// Methods that the conventions know; others count as one, because clients make them up.
const METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::CONNECT,
    Method::OPTIONS,
    Method::TRACE,
    Method::PATCH,
];

/// Builds the message that tells of these requests.
pub(crate) fn request(batch: &[Traced]) -> Request {
    let spans = batch.iter().flat_map(|traced| {
        let tracing = traced.record.topology.traces.as_ref();
        tracing.zip(traced.record.place).map(|it| spans_of(traced, it.0, it.1)).unwrap_or_default()
    });
    let spans: Vec<Span> = spans.collect();
    let tracing = batch.first().and_then(|it| it.record.topology.traces.as_ref());
    let service = tracing.map_or("bascule", |it| it.service.as_str());
    let version = env!("CARGO_PKG_VERSION");
    let resource = Resource {
        attributes: vec![
            text("service.name", service),
            text("service.version", version),
            number("process.pid", u64::from(std::process::id())),
        ],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: "bascule".to_owned(),
        version: version.to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_spans = ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() };
    Request {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![scope_spans],
            ..ResourceSpans::default()
        }],
    }
}

/// Returns how many spans a message has.
pub(crate) fn count(request: &Request) -> u64 {
    let scopes = request.resource_spans.iter().flat_map(|it| &it.scope_spans);
    scopes.map(|it| it.spans.len() as u64).sum()
}

fn spans_of(traced: &Traced, tracing: &Tracing, place: TracePlace) -> Vec<Span> {
    let record = &traced.record;
    let mut spans = vec![server_span(record, tracing, place)];
    spans.extend(traced.attempts.iter().map(|it| attempt_span(it, record, tracing, place)));
    spans
}

fn server_span(record: &Record, tracing: &Tracing, place: TracePlace) -> Span {
    let method = method(&record.method);
    let name = match record.route {
        Some(route) => format!("{method} {}", record.topology.routes[route].name),
        None => method.to_owned(),
    };
    let mut attributes = asked(record, tracing);
    attributes.extend(answered(record));
    let is_error = record.fate == Fate::Lost;
    let message = record.failure.map_or_else(String::new, str::to_owned);
    let remote = if place.parent.is_some() { PARENT_REMOTE } else { 0 };
    Span {
        trace_id: place.trace.to_be_bytes().to_vec(),
        span_id: place.span.to_be_bytes().to_vec(),
        parent_span_id: place.parent.map_or_else(Vec::new, |it| it.to_be_bytes().to_vec()),
        trace_state: string(record.texts.get(Text::TraceState).unwrap_or_default()),
        flags: u32::from(place.flags) | PARENT_KNOWN | remote,
        name,
        kind: SpanKind::Server.into(),
        start_time_unix_nano: nanos(record.began),
        end_time_unix_nano: nanos(record.ended),
        attributes,
        status: is_error.then(|| failed(message)),
        events: record.first_byte.map(|at| event("response.begun", at)).into_iter().collect(),
        ..Span::default()
    }
}

/// What was asked, and by whom.
fn asked(record: &Record, tracing: &Tracing) -> Vec<KeyValue> {
    let (path, query) = access_log::target(record);
    let scheme = if record.tls.is_some() { "https" } else { "http" };
    let mut all = vec![
        text("http.request.method", method(&record.method)),
        text("url.scheme", scheme),
        bytes("url.path", path),
        text("network.protocol.version", version(record)),
        text("bascule.listener", &record.topology.listeners[record.listener].name),
    ];
    if !METHODS.contains(&record.method) {
        all.push(text("http.request.method_original", record.method.as_str()));
    }
    let query = query.map(|it| redact::query(it, &tracing.redact.query));
    all.extend(query.map(|it| bytes("url.query", &it)));
    if let Some(host) = record.texts.get(Text::Host) {
        all.push(bytes("server.address", host));
    }
    let detail = record.topology.logging.access.as_ref().map(|it| it.client);
    let detail = detail.unwrap_or(ClientDetail::Address);
    for (name, address) in
        [("client.address", record.client), ("network.peer.address", record.peer)]
    {
        let address = address.and_then(|it| shown(it, detail));
        all.extend(address.map(|it| text(name, &it.to_string())));
    }
    for (name, it) in
        [("user_agent.original", Text::UserAgent), ("bascule.request.id", Text::RequestId)]
    {
        all.extend(record.texts.get(it).map(|it| bytes(name, it)));
    }
    all
}

/// What became of it.
fn answered(record: &Record) -> Vec<KeyValue> {
    let topology = &record.topology;
    let mut all = vec![
        number("http.request.body.size", record.bytes_in),
        number("http.response.body.size", record.bytes_out),
        number("bascule.attempts", u64::from(record.attempt_count)),
        text("bascule.origin", access_log::origin(record.answer)),
        text("bascule.fate", access_log::fate(record.fate)),
        text("bascule.kept", record.kept.name()),
    ];
    all.extend(record.route.map(|it| text("bascule.route", &topology.routes[it].name)));
    all.extend(record.pool().map(|it| text("bascule.pool", &topology.pool(it).name)));
    all.extend(record.status.map(|it| number("http.response.status_code", it.into())));
    all.extend(record.grpc_status.map(|it| number("rpc.grpc.status_code", it.into())));
    all.extend(record.rescue.map(|it| text("bascule.rescue", access_log::rescue(it))));
    all.extend(record.failure.map(|it| text("bascule.failure", it)));
    all.extend(record.incident().map(|it| text("bascule.incident.id", &it)));
    if record.fate == Fate::Lost {
        let status = record.status.filter(|it| 500 <= *it).map(|it| Cow::Owned(it.to_string()));
        let kind = status.or(record.failure.map(Cow::Borrowed));
        all.push(text("error.type", &kind.unwrap_or(Cow::Borrowed("response_cut"))));
    }
    all
}

fn attempt_span(
    attempt: &AttemptRecord,
    record: &Record,
    tracing: &Tracing,
    place: TracePlace,
) -> Span {
    let backend = record.topology.backend(attempt.backend);
    let mut attributes = vec![
        text("http.request.method", method(&record.method)),
        text("url.full", &url(attempt, record, tracing)),
        text("bascule.pool", &record.topology.pool(attempt.backend.pool).name),
        text("bascule.backend", &backend.name),
        text("bascule.attempt.role", attempt.role.name()),
        text("bascule.attempt.outcome", access_log::outcome(attempt)),
    ];
    if let BackendAddress::Tcp { host, port, .. } = &backend.address {
        attributes.push(text("server.address", host));
        attributes.push(number("server.port", u64::from(*port)));
    }
    if matches!(attempt.role, Role::Retry | Role::Hedge) {
        let before = u64::from(attempt.number.saturating_sub(1));
        attributes.push(number("http.request.resend_count", before));
    }
    if let Some(AttemptOutcome::Answered { status }) = attempt.outcome {
        attributes.push(number("http.response.status_code", u64::from(status)));
    }
    for (name, is_so) in [
        ("bascule.attempt.trial", attempt.is_trial),
        ("bascule.attempt.heard_out", attempt.is_heard_out),
        ("bascule.attempt.reused_connection", attempt.connected.is_some_and(|it| it.1)),
    ] {
        if is_so {
            attributes.push(truth(name));
        }
    }
    let wrong = attempt.symptom.map(|it| it.to_string());
    attributes.extend(wrong.as_deref().map(|it| text("error.type", it)));
    Span {
        trace_id: place.trace.to_be_bytes().to_vec(),
        span_id: place.attempt(attempt.number).to_be_bytes().to_vec(),
        parent_span_id: place.span.to_be_bytes().to_vec(),
        trace_state: string(record.texts.get(Text::TraceState).unwrap_or_default()),
        flags: u32::from(place.flags) | PARENT_KNOWN,
        name: method(&record.method).to_owned(),
        kind: SpanKind::Client.into(),
        start_time_unix_nano: nanos(attempt.began),
        end_time_unix_nano: nanos(attempt.ended.unwrap_or(record.ended)),
        attributes,
        events: events(attempt),
        status: wrong.map(failed),
        ..Span::default()
    }
}

/// What happened to an attempt, in order.
fn events(attempt: &AttemptRecord) -> Vec<Event> {
    let is_called_back = attempt.symptom == Some(Symptom::BackendLost);
    let is_hedge = attempt.role == Role::Hedge;
    let all = [
        ("hedged", is_hedge.then_some(attempt.began)),
        ("connected", attempt.connected.map(|it| it.0)),
        ("request.sent", attempt.sent),
        ("overstayed", attempt.overstayed),
        ("response.begun", attempt.first_byte),
        ("called_back", attempt.ended.filter(|_| is_called_back)),
    ];
    let all = all.into_iter().filter_map(|(name, at)| at.map(|at| event(name, at)));
    let mut all: Vec<Event> = all.collect();
    all.sort_by_key(|it| it.time_unix_nano);
    all
}

/// Returns where an attempt was sent.
fn url(attempt: &AttemptRecord, record: &Record, tracing: &Tracing) -> String {
    let target = record.texts.get(Text::Rewritten).or_else(|| record.texts.get(Text::Target));
    let target = redact::url(target.unwrap_or_default(), &tracing.redact.query);
    let backend = &record.topology.backend(attempt.backend).url;
    format!("{}{}", backend.trim_end_matches('/'), String::from_utf8_lossy(&target))
}

fn method(method: &Method) -> &str {
    if METHODS.contains(method) { method.as_str() } else { "_OTHER" }
}

fn version(record: &Record) -> &'static str {
    match access_log::protocol(record) {
        "HTTP/2.0" => "2",
        "HTTP/1.0" => "1.0",
        _ => "1.1",
    }
}

fn failed(message: String) -> Status {
    Status { message, code: StatusCode::Error.into() }
}

fn event(name: &str, at: Timestamp) -> Event {
    Event { time_unix_nano: nanos(at), name: name.to_owned(), ..Event::default() }
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(clock::wall_of(at).as_nanos()).unwrap_or(u64::MAX)
}

fn text(name: &str, value: &str) -> KeyValue {
    pair(name, any_value::Value::StringValue(value.to_owned()))
}

fn bytes(name: &str, value: &[u8]) -> KeyValue {
    pair(name, any_value::Value::StringValue(string(value)))
}

fn number(name: &str, value: u64) -> KeyValue {
    pair(name, any_value::Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn truth(name: &str) -> KeyValue {
    pair(name, any_value::Value::BoolValue(true))
}

fn pair(name: &str, value: any_value::Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: name.to_owned(), value, ..KeyValue::default() }
}

/// Strings of protocol buffers are UTF-8.
fn string(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
