//! Which lines a reader wants.

use serde_json::Value;

use crate::{model::Level, telemetry::log_stream::Line};

/// Which lines a reader wants; all conditions must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    level: Level,
    /// In lower case.
    text: Option<String>,
    pool: Option<String>,
}

impl Filter {
    /// Makes a filter for lines at least as severe as `level` that contain `text`, in whatever
    /// case, in message, target or the value of a field, and whose field `pool` is `pool`.
    pub fn new(level: Level, text: Option<&str>, pool: Option<&str>) -> Self {
        Self {
            level,
            text: text.filter(|text| !text.is_empty()).map(str::to_lowercase),
            pool: pool.map(str::to_owned),
        }
    }

    /// Tells whether the reader wants `line`.
    pub fn matches(&self, line: &Line) -> bool {
        line.level() <= self.level
            && self.pool.as_ref().is_none_or(|pool| {
                line.field("pool").and_then(Value::as_str) == Some(pool.as_str())
            })
            && self.text.as_ref().is_none_or(|text| contains(line, text))
    }
}

fn contains(line: &Line, text: &str) -> bool {
    let within = |hay: &str| hay.to_lowercase().contains(text);
    within(line.message())
        || within(line.target())
        || line.values().any(|value| match value {
            Value::String(hay) => within(hay),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => within(&value.to_string()),
        })
}
