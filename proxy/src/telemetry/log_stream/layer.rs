//! From an event of `tracing` to a line, with a bound on every part of it.

use std::{borrow::Cow, error::Error, fmt};

use serde_json::Value;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::layer::{Context, Layer};

use crate::{
    model::Level,
    telemetry::log_stream::{LogStream, line::Entry},
};

/// Bytes of a message or of one value. With the ring's length it bounds the memory of the log.
const TEXT_BYTES_MAX: usize = 2_048;
/// No line of ours has more than a dozen.
const FIELDS_MAX: usize = 32;

impl<S: Subscriber> Layer<S> for LogStream {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.append(entry_of(event));
    }
}

fn entry_of(event: &Event<'_>) -> Entry {
    let metadata = event.metadata();
    let mut entry = Entry {
        level: level_of(*metadata.level()),
        target: Cow::Borrowed(word_of(metadata.target())),
        message: String::new(),
        fields: Vec::new(),
    };
    event.record(&mut Reader(&mut entry));
    entry
}

fn level_of(level: tracing::Level) -> Level {
    match level {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG | tracing::Level::TRACE => Level::Debug,
    }
}

/// Returns the word for the part that logs: our module, or another crate.
fn word_of(target: &str) -> &str {
    let path = target.strip_prefix("bascule::").unwrap_or(target);
    path.split_once("::").map_or(path, |(word, _)| word)
}

struct Reader<'e>(&'e mut Entry);

impl Reader<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        let name = field.name();
        if !name.starts_with("log.") && self.0.fields.len() < FIELDS_MAX {
            self.0.fields.push((name, value));
        }
    }

    fn put_text(&mut self, field: &Field, text: &dyn fmt::Display) {
        let text = Clipped::of(text);
        match field.name() {
            "message" => self.0.message = text,
            // A record of the crate `log` says here who really logged it.
            "log.target" => self.0.target = Cow::Owned(word_of(&text).to_owned()),
            _ => self.put(field, Value::String(text)),
        }
    }
}

impl Visit for Reader<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::from(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, &value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put_text(field, &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put_text(field, &format_args!("{value:?}"));
    }
}

/// Text that stops growing, so that a value of a megabyte costs no more than a long one.
struct Clipped {
    text: String,
    is_cut: bool,
}

impl Clipped {
    fn of(value: &dyn fmt::Display) -> String {
        let mut clipped = Self { text: String::new(), is_cut: false };
        // Fails when the text is full, which is no failure.
        _ = fmt::write(&mut clipped, format_args!("{value}"));
        if clipped.is_cut {
            clipped.text.push('…');
        }
        clipped.text
    }
}

impl fmt::Write for Clipped {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let space = TEXT_BYTES_MAX - self.text.len();
        let end = more.floor_char_boundary(space);
        self.text.push_str(&more[..end]);
        self.is_cut = end < more.len();
        if self.is_cut { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_becomes_one_word() {
        for (target, word) in [
            ("bascule::fleet::health", "fleet"),
            ("bascule::fleet", "fleet"),
            ("bascule", "bascule"),
            ("audit", "audit"),
            ("pingora_core::connectors::l4", "pingora_core"),
            ("", ""),
        ] {
            assert_eq!(word_of(target), word);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = Clipped::of(&"ä".repeat(5_000));
        assert!(text.ends_with('…') && text.len() <= TEXT_BYTES_MAX + 3, "{}", text.len());
        assert_eq!(Clipped::of(&"a".repeat(TEXT_BYTES_MAX)).len(), TEXT_BYTES_MAX);
        assert_eq!(Clipped::of(&""), "");
    }
}
