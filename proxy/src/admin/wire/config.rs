//! `/config`: what is configured, and how one configuration follows another.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::config::{difference::Change, problem::Problem};

/// What is configured at present.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Config {
    /// See [`SCHEMA`](crate::admin::wire::SCHEMA).
    pub schema: u32,
    /// Counts from 1, the configuration at start.
    pub generation: u64,
    /// Since when it is in use.
    pub loaded_at: String,
    /// Where it is from; empty if from no file.
    pub files: Vec<String>,
    /// The latest attempt to load another; `null` before any.
    pub last_reload: Option<Reload>,
    /// All of it, every default in its place.
    pub config: Value,
    /// The same as YAML.
    #[serde(skip)]
    pub yaml: String,
}

/// How an attempt to load a configuration ended.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Reload {
    /// See [`SCHEMA`](crate::admin::wire::SCHEMA).
    pub schema: u32,
    /// When.
    pub at: String,
    /// What asked for it: `api`, `signal` or `files`.
    pub trigger: &'static str,
    /// `applied`, `unchanged` or `refused`; `accepted` if it was only to be tried.
    pub result: &'static str,
    /// The configuration that is in use since.
    pub generation: u64,
    /// How long it took.
    pub took_seconds: f64,
    /// What it says otherwise than the one in use before.
    pub changes: Vec<Change>,
    /// Of those, the ones that wait for another process.
    pub needs_restart: Vec<String>,
    /// All that is wrong, or probably not meant so.
    pub problems: Vec<ConfigFault>,
}

/// Something wrong with a configuration.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct ConfigFault {
    /// Names the kind of problem.
    pub code: &'static str,
    /// `error` or `warning`.
    pub severity: &'static str,
    /// The key, where it is about one.
    pub path: Option<String>,
    /// Counted from 1.
    pub line: Option<usize>,
    /// Counted from 1.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl ConfigFault {
    /// The code of what lies outside of the configuration: a port that is taken, a file that cannot be
    /// read.
    pub const ENVIRONMENT: &'static str = "environment";

    /// Returns what is wrong outside of the configuration.
    pub fn outside(message: String) -> Self {
        Self {
            code: Self::ENVIRONMENT,
            severity: "error",
            path: None,
            line: None,
            column: None,
            message,
            remedy: "the message says it; nothing has changed".to_owned(),
        }
    }
}

impl From<&Problem> for ConfigFault {
    fn from(problem: &Problem) -> Self {
        Self {
            code: problem.code.id(),
            severity: match problem.severity() {
                crate::config::problem::Severity::Error => "error",
                crate::config::problem::Severity::Warning => "warning",
            },
            path: (!problem.path.is_empty()).then(|| problem.path.clone()),
            line: problem.location.as_ref().map(|it| it.line),
            column: problem.location.as_ref().map(|it| it.column),
            message: problem.message.clone(),
            remedy: problem.remedy.clone(),
        }
    }
}
