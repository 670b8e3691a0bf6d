//! One line of the live log.

use std::{borrow::Cow, sync::OnceLock};

use serde::{
    Serialize,
    ser::{SerializeMap, SerializeStruct, Serializer},
};
use serde_json::Value;

use crate::{
    clock::{self, Timestamp},
    model::Level,
};

/// One line of the live log.
#[derive(Debug)]
pub struct Line {
    seq: u64,
    at: Timestamp,
    entry: Entry,
    /// Made by the first reader that wants it, for all of them.
    json: OnceLock<String>,
}

/// What was logged, before it got its number.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) level: Level,
    /// The module's word: `fleet` for `bascule::fleet::health`.
    pub(crate) target: Cow<'static, str>,
    pub(crate) message: String,
    /// In the order in which they were logged.
    pub(crate) fields: Vec<(&'static str, Value)>,
}

impl Line {
    pub(crate) fn new(seq: u64, at: Timestamp, entry: Entry) -> Self {
        Self { seq, at, entry, json: OnceLock::new() }
    }

    /// Returns the line's number; each is one more than that of the line before.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Returns how severe it is.
    pub fn level(&self) -> Level {
        self.entry.level
    }

    /// Returns the word for the part that logged it.
    pub fn target(&self) -> &str {
        &self.entry.target
    }

    /// Returns what was said.
    pub fn message(&self) -> &str {
        &self.entry.message
    }

    /// Returns the value of the field `name`.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.entry.fields.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Value> {
        self.entry.fields.iter().map(|(_, value)| value)
    }

    /// Returns the line as a JSON object.
    pub fn json(&self) -> &str {
        // Numbers, strings and values of JSON always serialise.
        self.json.get_or_init(|| serde_json::to_string(self).unwrap_or_default())
    }
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_struct("Line", 6)?;
        line.serialize_field("seq", &self.seq)?;
        line.serialize_field("at", &clock::rfc3339_of(self.at))?;
        line.serialize_field("level", level_name(self.entry.level))?;
        line.serialize_field("target", &self.entry.target)?;
        line.serialize_field("message", &self.entry.message)?;
        line.serialize_field("fields", &Fields(&self.entry.fields))?;
        line.end()
    }
}

struct Fields<'l>(&'l [(&'static str, Value)]);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    }
}
