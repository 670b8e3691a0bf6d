//! `GET /process`: this process.

use schemars::JsonSchema;
use serde::Serialize;

use crate::admin::wire::control::Persists;

/// The answer to `GET /process`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Process {
    /// Of this answer.
    pub schema: u32,
    /// The process id.
    pub pid: u32,
    /// The version of the program.
    pub version: &'static str,
    /// How many processes there have been that took over one from another, this one included.
    pub generation: u64,
    /// When it began to serve.
    pub started_at: String,
    /// `serving`, `upgrading`: another one has been started to take over; or `draining`: it is about
    /// to end.
    pub state: &'static str,
    /// Whether traffic is wanted.
    pub is_ready: bool,
    /// Why not.
    pub reason: Option<&'static str>,
    /// Clients' connections.
    pub connections: usize,
    /// Requests that have begun and not ended, WebSockets included.
    pub requests_in_flight: u64,
    /// Process id of the one that this one has taken over from.
    pub predecessor: Option<u32>,
    /// Process id of the one that has taken over from this one.
    pub successor: Option<u32>,
    /// The latest attempt at an upgrade.
    pub latest_upgrade: Option<Upgrade>,
}

/// An attempt at an upgrade.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Upgrade {
    /// When it ended.
    pub at: String,
    /// `completed` or `failed`.
    pub result: &'static str,
    /// Why it failed.
    pub reason: Option<String>,
    /// The version of the program that has taken over.
    pub version: Option<String>,
}

/// The answer to what changes this process.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct ProcessChanged {
    /// Of this answer.
    pub schema: u32,
    /// The process afterwards.
    pub process: Process,
    /// Whether what was asked for has come about.
    pub is_done: bool,
    /// What it outlasts.
    pub persists: Persists,
}
