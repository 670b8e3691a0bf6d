//! One line of the log, as people read it.

use serde_json::Value;

use crate::cli::{
    format,
    text::{Line, Tone},
};

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LogLine {
    /// Each is one more than that of the line before; a new process starts at 1.
    pub(crate) seq: u64,
    value: Value,
}

impl LogLine {
    pub(crate) fn of(value: Value) -> Self {
        Self { seq: value["seq"].as_u64().unwrap_or(0), value }
    }

    /// Tells whether one of its fields names the backend; `POOL/NAME` names its pool as well.
    pub(crate) fn is_about_backend(&self, name: &str) -> bool {
        let fields = &self.value["fields"];
        let (pool, name) = name.split_once('/').map_or((None, name), |(pool, it)| (Some(pool), it));
        let is_named =
            ["backend", "to_backend", "from_backend"].iter().any(|key| fields[key] == name);
        is_named && pool.is_none_or(|pool| fields["pool"] == pool)
    }

    /// The line as it came, with the release of its shape.
    pub(crate) fn json(&self) -> String {
        let mut value = self.value.clone();
        value["schema"] = 1.into();
        value.to_string()
    }

    /// Time, level, the part that speaks, what it says, and the facts.
    pub(crate) fn text(&self) -> Line {
        let word = |key: &str| self.value[key].as_str().unwrap_or_default();
        let level = word("level");
        let tone = match level {
            "error" => Tone::Bad,
            "warn" => Tone::Warn,
            "debug" => Tone::Faint,
            _ => Tone::Good,
        };
        let mut line = Line::of(Tone::Faint, format::time_with_millis(word("at")))
            .with(Tone::Plain, " ")
            .with(tone, format!("{:<5}", level.to_uppercase()))
            .with(Tone::Faint, format!(" {}: ", word("target")))
            .with(Tone::Plain, word("message"));
        for (key, value) in self.value["fields"].as_object().into_iter().flatten() {
            line = line.with(Tone::Faint, format!(" {key}=")).with(Tone::Plain, plain(value));
        }
        line
    }
}

/// Text without quotes where it needs none.
fn plain(value: &Value) -> String {
    match value.as_str() {
        Some(text) if !text.is_empty() && !text.contains([' ', '"', '=']) => text.to_owned(),
        Some(_) | None => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::text::Styling;

    #[test]
    fn a_line_reads_from_the_time_to_the_facts() {
        let line = LogLine::of(json!({
            "seq": 7, "at": "2026-11-23T10:03:13.012Z", "level": "warn", "target": "fleet",
            "message": "backend lost",
            "fields": { "pool": "api", "backend": "a", "reason": "connection refused", "tier": 0 },
        }));
        assert_eq!(line.seq, 7);
        // Objects of serde_json are sorted unless another crate asks for their order.
        let text = line.text().render(Styling::None);
        assert!(text.starts_with("10:03:13.012 WARN  fleet: backend lost "), "{text}");
        for fact in [" pool=api", " backend=a", " tier=0", " reason=\"connection refused\""] {
            assert!(text.contains(fact), "{text}");
        }
        assert!(line.is_about_backend("a") && line.is_about_backend("api/a"));
        assert!(!line.is_about_backend("b") && !line.is_about_backend("web/a"));
    }
}
