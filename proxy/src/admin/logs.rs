//! `GET /logs`: the live log over a WebSocket.
//!
//! A frame is sent when a hundred lines are there or 25 ms have passed, so that 10,000 lines a
//! second make a hundred frames and not ten thousand. A reader that is slow misses lines, which
//! the log's own bounded channel drops, and is told how many.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{State, ws::close_code},
    response::Response,
};
use http::{StatusCode, Uri};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    access::{Client, Identity},
    admin::{
        Sidecar, api,
        query::{Parameters, bad_request, shorten},
        reader::{self, Admission, Gone, Reader, Upgrade},
        wire,
    },
    clock::{self, Timestamp},
    exchange::GenerationCell,
    model::{Level, Topology},
    telemetry::log_stream::{Filter, Line, Received, Subscription},
    web::HttpError,
};

const FRAME_LINES_MAX: usize = 100;
/// Not noticeable to a person, and few enough frames for a browser.
const LINGER: Duration = Duration::from_millis(25);
const TEXT_CHARS_MAX: usize = 200;

pub(crate) async fn logs(
    State(sidecar): State<Arc<Sidecar>>,
    Extension(client): Extension<Client>,
    Extension(identity): Extension<Identity>,
    uri: Uri,
    upgrade: Upgrade,
) -> Result<Response, HttpError> {
    let remedy = "connect with a WebSocket client, or open the dashboard";
    let upgrade = reader::wanted(upgrade, "the log", remedy)?;
    let parameters = Parameters::of(&uri, &["level", "text", "pool"])?;
    let filter = filter_of(&sidecar.state.generation().topology, |key| parameters.text(key))?;
    let subscription = sidecar.state.logs.subscribe().ok_or_else(|| {
        let most = sidecar.state.logs.clients_max();
        HttpError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_readers",
            format!("{most} readers watch the log already"),
            "close one, or raise admin.log_stream.clients",
        )
    })?;
    tracing::debug!(client = %client.address, "log reader connected");
    let is_closing = sidecar.is_closing.clone();
    let current = Arc::clone(&sidecar.state.current);
    let started_at = sidecar.state.started_at;
    let admission = Admission::new(&sidecar.state.gate, identity);
    Ok(reader::begin(upgrade, is_closing, admission, async move |reader| {
        let mut watcher = Watcher { reader, subscription, filter, current, started_at };
        _ = watcher.watch().await;
    }))
}

/// Makes a filter of what `value_of` gives for `level`, `text` and `pool`.
fn filter_of<'v>(
    topology: &Topology,
    value_of: impl Fn(&str) -> Option<&'v str>,
) -> Result<Filter, HttpError> {
    let level = match value_of("level") {
        None | Some("info") => Level::Info,
        Some("error") => Level::Error,
        Some("warn") => Level::Warn,
        Some("debug") => Level::Debug,
        Some(other) => {
            let message = format!("`level` is `{}`", shorten(other));
            return Err(bad_request("bad_parameter", message, "one of error, warn, info, debug"));
        }
    };
    let text = value_of("text");
    if text.is_some_and(|text| TEXT_CHARS_MAX < text.chars().count()) {
        let remedy = format!("at most {TEXT_CHARS_MAX} characters");
        return Err(bad_request("bad_parameter", "`text` is too long", remedy));
    }
    let pool = value_of("pool");
    if let Some(name) = pool {
        api::pool_named(topology, name)?;
    }
    Ok(Filter::new(level, text, pool))
}

/// Reads the message by which a client replaces its filter.
fn filter_of_message(topology: &Topology, text: &str) -> Result<Filter, HttpError> {
    let malformed = || {
        let remedy = r#"send {"type":"filter","level":…,"text":…,"pool":…}"#;
        bad_request("malformed_message", "the message is not a filter", remedy)
    };
    let Ok(Value::Object(keys)) = serde_json::from_str(text) else { return Err(malformed()) };
    let is_filter = keys.get("type").and_then(Value::as_str) == Some("filter");
    let is_known = keys.iter().all(|(key, value)| match key.as_str() {
        "type" => true,
        "level" | "text" | "pool" => value.is_string() || value.is_null(),
        _ => false,
    });
    if !is_filter || !is_known {
        return Err(malformed());
    }
    filter_of(topology, |key| keys.get(key).and_then(Value::as_str))
}

/// A reader, and what it wants to see.
struct Watcher {
    reader: Reader,
    subscription: Subscription,
    filter: Filter,
    current: GenerationCell,
    started_at: Timestamp,
}

impl Watcher {
    async fn watch(&mut self) -> Result<(), Gone> {
        self.greet().await?;
        let mut lines = Vec::new();
        loop {
            tokio::select! {
                biased;
                said = self.reader.hear() => {
                    match filter_of_message(&self.current.load().topology, &said?) {
                        Ok(filter) => self.filter = filter,
                        Err(error) => return Err(self.reader.refuse(&error).await),
                    }
                }
                missed = gather(&mut self.subscription, &self.filter, &mut lines) => {
                    self.send_lines(&lines).await?;
                    lines.clear();
                    match missed {
                        Some(0) => {}
                        Some(count) => {
                            let frame = format!(r#"{{"type":"dropped","count":{count}}}"#);
                            self.reader.say(frame).await?;
                        }
                        None => {
                            let reason = "the log has ended";
                            return Err(self.reader.close(close_code::AWAY, reason).await);
                        }
                    }
                }
            }
        }
    }

    async fn greet(&mut self) -> Result<(), Gone> {
        let mut recent = self.subscription.take_recent();
        // A client that connects again finds out by these whether it has missed any.
        let (oldest, newest) = (seq_of(recent.first()), seq_of(recent.last()));
        recent.retain(|line| self.filter.matches(line));
        let hello = json!({
            "type": "hello",
            "schema": wire::SCHEMA,
            "recent": recent.len(),
            "oldest": oldest,
            "newest": newest,
            "started_at": clock::rfc3339_of(self.started_at),
        });
        self.reader.say(hello.to_string()).await?;
        for lines in recent.chunks(FRAME_LINES_MAX) {
            self.send_lines(lines).await?;
        }
        Ok(())
    }

    async fn send_lines(&mut self, lines: &[Arc<Line>]) -> Result<(), Gone> {
        if lines.is_empty() {
            return Ok(());
        }
        let objects: Vec<_> = lines.iter().map(|line| line.json()).collect();
        let frame = format!(r#"{{"type":"lines","lines":[{}]}}"#, objects.join(","));
        self.reader.say(frame).await
    }
}

/// The number of a line; 0 if there is none.
fn seq_of(line: Option<&Arc<Line>>) -> u64 {
    line.map_or(0, |line| line.seq())
}

/// Waits for a frame's worth of lines that pass the filter and adds them to `lines`.
///
/// Returns how many were missed after them, or `None` when the log has ended. When cancelled, what
/// was gathered stays in `lines`.
async fn gather(
    subscription: &mut Subscription,
    filter: &Filter,
    lines: &mut Vec<Arc<Line>>,
) -> Option<u64> {
    let mut linger = pin!(sleep(LINGER));
    while lines.len() < FRAME_LINES_MAX {
        tokio::select! {
            biased;
            received = subscription.next() => match received? {
                Received::Line(line) => lines.extend(Some(line).filter(|it| filter.matches(it))),
                Received::Dropped(count) => return Some(count),
            },
            () = &mut linger, if !lines.is_empty() => break,
        }
    }
    Some(0)
}

#[cfg(test)]
mod tests;
