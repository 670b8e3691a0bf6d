use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex},
};

use super::*;
use crate::model::LogStreamLimits;

fn stream() -> LogStream {
    let some = NonZeroUsize::new(100).unwrap();
    LogStream::new(LogStreamLimits { buffer: some, clients: some })
}

/// Logs one line of each kind and returns what was written, and what the live log got.
fn run(level: Level, format: LogFormat) -> (String, Vec<String>) {
    let written = Arc::new(Mutex::new(Vec::new()));
    let stream = stream();
    let writer = {
        let written = Arc::clone(&written);
        move || Shared(Arc::clone(&written))
    };
    let subscriber =
        subscriber(&Logging::plain(level, format), Colour::None, writer, stream.clone());
    tracing::subscriber::with_default(subscriber, || {
        tracing::debug!(target: "bascule::fleet", "our debug");
        tracing::info!(target: "bascule::fleet", backend = "primary", "our info");
        tracing::error!(target: "bascule::fleet", "our error");
        tracing::info!(target: "pingora_core::server", "their info");
        tracing::warn!(target: "pingora_core::server", "their warning");
        tracing::info!(target: "audit", "audit line");
    });
    let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    let lines = stream.subscribe().unwrap().take_recent();
    (text, lines.iter().map(|line| line.message().to_owned()).collect())
}

struct Shared(Arc<Mutex<Vec<u8>>>);

impl io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_level_is_for_our_lines_and_libraries_only_warn() {
    let check = |level, expected: &[&str]| {
        let (text, lines) = run(level, LogFormat::Text);
        assert_eq!(lines, expected);
        assert_eq!(text.lines().count(), expected.len(), "{text}");
    };
    let (info, error) = ("our info", "our error");
    check(Level::Debug, &["our debug", info, error, "their warning", "audit line"]);
    check(Level::Info, &[info, error, "their warning", "audit line"]);
    check(Level::Warn, &[error, "their warning", "audit line"]);
    check(Level::Error, &[error, "audit line"]);
}

#[test]
fn a_text_line_begins_with_the_time_in_utc_and_has_no_colours() {
    let (text, _) = run(Level::Info, LogFormat::Text);
    let line = text.lines().next().unwrap();
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(time.ends_with('Z') && time.len() == "2026-11-23T06:20:00.123Z".len(), "{line}");
    assert_eq!(rest.trim_start(), "INFO bascule::fleet: our info backend=\"primary\"");
}

#[test]
fn a_json_line_is_one_flat_object() {
    let (text, _) = run(Level::Info, LogFormat::Json);
    let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(line["message"], "our info");
    assert_eq!(line["backend"], "primary");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["target"], "bascule::fleet");
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
}
