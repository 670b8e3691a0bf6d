//! A record as a line.

use std::{io::Write as _, time::Duration};

use crate::{
    clock,
    model::{AccessFormat, AccessLog},
    telemetry::{
        access_log::{
            escape::{self, Style},
            value::{self, Attempt, Value},
        },
        requests::{
            record::{Record, Text, shown},
            redact::{self, REDACTED},
        },
    },
};

/// Appends the line of a request, with its end. `incident` is the one that counts it.
pub(crate) fn write(record: &Record, log: &AccessLog, incident: Option<&str>, out: &mut Vec<u8>) {
    match log.format {
        AccessFormat::Json => json(record, log, incident, out),
        AccessFormat::Text => text(record, log, incident, out),
        AccessFormat::Combined => combined(record, log, out),
    }
    out.push(b'\n');
}

fn json(record: &Record, log: &AccessLog, incident: Option<&str>, out: &mut Vec<u8>) {
    out.push(b'{');
    let start = out.len();
    let comma = |out: &mut Vec<u8>| {
        if out.len() != start {
            out.push(b',');
        }
    };
    for field in &log.fields {
        if let Some(value) = value::of(*field, record, log, incident) {
            comma(out);
            _ = write!(out, "\"{}\":", field.name());
            json_value(&value, out);
        }
    }
    for (name, value) in headers(record, log) {
        comma(out);
        _ = write!(out, "\"{name}\":");
        escape::text(value, Style::Json, out);
    }
    out.push(b'}');
}

fn json_value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => escape::text(text, Style::Json, out),
        Value::Number(number) => _ = write!(out, "{number}"),
        Value::Seconds(time) => seconds(*time, out),
        Value::Truth(truth) => _ = write!(out, "{truth}"),
        Value::Attempts(attempts) => {
            out.push(b'[');
            for (index, attempt) in attempts.iter().enumerate() {
                if index != 0 {
                    out.push(b',');
                }
                json_attempt(attempt, out);
            }
            out.push(b']');
        }
    }
}

fn json_attempt(attempt: &Attempt<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"backend\":");
    escape::text(attempt.backend.as_bytes(), Style::Json, out);
    _ = write!(out, ",\"role\":\"{}\",\"outcome\":\"{}\"", attempt.role, attempt.outcome);
    if let Some(status) = attempt.status {
        _ = write!(out, ",\"status\":{status}");
    }
    if let Some(symptom) = &attempt.symptom {
        out.extend_from_slice(b",\"symptom\":");
        escape::text(symptom.as_bytes(), Style::Json, out);
    }
    for (name, is_so) in [("trial", attempt.is_trial), ("reused", attempt.is_reused)] {
        if is_so {
            _ = write!(out, ",\"{name}\":true");
        }
    }
    for (name, time) in [
        ("began", Some(attempt.began)),
        ("connected", attempt.connected),
        ("sent", attempt.sent),
        ("first_byte", attempt.first_byte),
        ("duration", Some(attempt.took)),
    ] {
        if let Some(time) = time {
            _ = write!(out, ",\"{name}\":");
            seconds(time, out);
        }
    }
    out.push(b'}');
}

fn text(record: &Record, log: &AccessLog, incident: Option<&str>, out: &mut Vec<u8>) {
    let start = out.len();
    let space = |out: &mut Vec<u8>| {
        if out.len() != start {
            out.push(b' ');
        }
    };
    for field in &log.fields {
        if let Some(value) = value::of(*field, record, log, incident) {
            space(out);
            _ = write!(out, "{}=", field.name());
            match value {
                Value::Text(text) => escape::text(&text, Style::Plain, out),
                Value::Number(number) => _ = write!(out, "{number}"),
                Value::Seconds(time) => seconds(time, out),
                Value::Truth(truth) => _ = write!(out, "{truth}"),
                Value::Attempts(attempts) => {
                    escape::text(attempts_text(&attempts).as_bytes(), Style::Plain, out);
                }
            }
        }
    }
    for (name, value) in headers(record, log) {
        space(out);
        _ = write!(out, "{name}=");
        escape::text(value, Style::Plain, out);
    }
}

/// Says what became of each attempt: `primary:failed(connection_refused):0.000310,…`.
fn attempts_text(attempts: &[Attempt<'_>]) -> String {
    let one = |it: &Attempt<'_>| {
        let detail = match (&it.symptom, it.status) {
            (Some(symptom), _) => format!("({})", symptom.replace(' ', "_")),
            (None, Some(status)) => format!("({status})"),
            (None, None) => String::new(),
        };
        format!("{}:{}{detail}:{:.6}", it.backend, it.outcome, it.took.as_secs_f64())
    };
    attempts.iter().map(one).collect::<Vec<_>>().join(",")
}

/// Apache's `combined`: `%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"`.
fn combined(record: &Record, log: &AccessLog, out: &mut Vec<u8>) {
    match record.client.and_then(|it| shown(it, log.client)) {
        Some(client) => _ = write!(out, "{client}"),
        None => out.push(b'-'),
    }
    _ = write!(out, " - - [{}] \"", apache_time(record));
    escape::text(record.method.as_str().as_bytes(), Style::Apache, out);
    out.push(b' ');
    let target = record.texts.get(Text::Target).unwrap_or_default();
    escape::text(&redact::url(target, &log.redact.query), Style::Apache, out);
    _ = write!(out, " {}\" ", value::protocol(record));
    match record.status {
        Some(status) => _ = write!(out, "{status} "),
        None => out.extend_from_slice(b"- "),
    }
    match record.bytes_out {
        0 => out.push(b'-'),
        bytes => _ = write!(out, "{bytes}"),
    }
    for text in [Text::Referer, Text::UserAgent] {
        out.extend_from_slice(b" \"");
        let value = record.texts.get(text).unwrap_or(b"-");
        escape::text(&redact::url(value, &log.redact.query), Style::Apache, out);
        out.push(b'"');
    }
}

/// Returns when the request came, as Apache writes it.
fn apache_time(record: &Record) -> String {
    let seconds = i64::try_from(clock::wall_of(record.began).as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| "-".to_owned(), |it| it.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string())
}

/// Returns the headers that are in a line, by their names there.
fn headers<'a>(record: &'a Record, log: &'a AccessLog) -> impl Iterator<Item = (String, &'a [u8])> {
    let of_request = log.request_headers.iter().enumerate();
    let of_request = of_request.map(|(at, it)| ("request_header", it, Text::RequestHeader(at)));
    let of_response = log.response_headers.iter().enumerate();
    let of_response = of_response.map(|(at, it)| ("response_header", it, Text::ResponseHeader(at)));
    of_request.chain(of_response).filter_map(|(kind, name, text)| {
        let value = record.texts.get(text)?;
        let is_hidden = log.redact.headers.iter().any(|it| it == name.as_str());
        Some((format!("{kind}.{name}"), if is_hidden { REDACTED } else { value }))
    })
}

fn seconds(time: Duration, out: &mut Vec<u8>) {
    _ = write!(out, "{}.{:06}", time.as_secs(), time.subsec_micros());
}
