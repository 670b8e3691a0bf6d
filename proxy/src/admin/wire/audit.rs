//! Who asks, and the trail of what was changed.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// The answer to `GET /audit`.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Audit {
    /// See [`SCHEMA`](crate::admin::wire::SCHEMA).
    pub schema: u32,
    /// Newest first.
    pub entries: Vec<AuditEntry>,
}

/// A change, or the attempt at one.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct AuditEntry {
    /// Counts up from 1 in each process.
    pub id: u64,
    /// When it had been done, or refused.
    pub at: String,
    /// Who.
    pub who: Who,
    /// Method and path; `null` for what no request brought about.
    pub request: Option<String>,
    /// What was done, such as `fault.inject`; `null` when it was refused before that was known.
    pub action: Option<String>,
    /// What it was done to.
    pub target: Option<String>,
    /// What was changed, as it was before.
    pub before: Value,
    /// The same, as it was afterwards.
    pub after: Value,
    /// How it ended.
    pub result: AuditResult,
    /// The status of the answer; `null` for what no request brought about.
    pub status: Option<u16>,
    /// Of a refusal or a failure: the word for programs.
    pub code: Option<String>,
    /// Of a refusal or a failure: the reason, for people.
    pub reason: Option<String>,
}

/// How a change ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditResult {
    /// It was made, or has begun.
    Done,
    /// It was not let happen; nothing changed.
    Refused,
    /// It could not be done, or not to the end.
    Failed,
}

/// Who made a change.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Who {
    /// By what they are known: `token`, `certificate`, `local`, `anonymous`, or `signal`.
    pub kind: String,
    /// What the configuration calls them, where it does; of a signal, which.
    pub name: Option<String>,
    /// The address that they came from; `null` for a signal.
    pub address: Option<String>,
    /// For whom else the caller says that it speaks. Unproven.
    pub speaks_for: Option<String>,
    /// Whether they came through a listener of the data plane.
    pub is_relayed: bool,
}

/// The answer to `GET /whoami`.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct WhoAmI {
    /// See [`SCHEMA`](crate::admin::wire::SCHEMA).
    pub schema: u32,
    /// By what you are known: `token`, `certificate`, `local` or `anonymous`.
    pub kind: &'static str,
    /// What the configuration calls you, where it does.
    pub name: Option<String>,
    /// What you may do: `operator`, `viewer` or `none`.
    pub role: &'static str,
    /// The address that you come from.
    pub address: String,
    /// Whether you come through a listener of the data plane.
    pub is_relayed: bool,
}

/// The answer to `POST /tickets`.
#[derive(Clone, PartialEq, JsonSchema, Serialize)]
pub struct Ticket {
    /// See [`SCHEMA`](crate::admin::wire::SCHEMA).
    pub schema: u32,
    /// What to add to the WebSocket's address, as `?ticket=…`. Good once.
    pub ticket: String,
    /// The path that it is good for.
    pub path: String,
    /// Until when.
    pub expires_at: String,
}

impl std::fmt::Debug for Ticket {
    /// Leaves the ticket itself out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket").field("path", &self.path).finish_non_exhaustive()
    }
}
