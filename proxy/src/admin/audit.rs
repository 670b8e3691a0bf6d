//! The audit trail: who changed what, and who was not let.
//!
//! Kept in memory, bounded, for `GET /audit`; written to the log under a target of its own, which no
//! level leaves out; and to a file where one is configured. What was refused has a ring of its own: a flood of attempts by strangers drives
//! no change out of memory.

mod file;

use std::{
    collections::VecDeque,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub(crate) use file::AuditFile;

use arc_swap::ArcSwapOption;
use axum::{Json, extract::State, response::Response};
use http::Uri;
use serde_json::Value;

use crate::{
    access::{Client, Identity},
    admin::{
        Sidecar,
        change::Change,
        query::{Parameters, bad_request, shorten},
        wire::{self, AuditEntry, AuditResult, Who},
    },
    clock,
    telemetry::logging::AUDIT,
    web::{HttpError, Rejected},
};

/// As many as a page shows without asking for more.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 10_000;
/// The longest text of what was before, or after, that is kept. What handlers note is far shorter.
const VALUE_BYTES_MAX: usize = 8 * 1024;

/// What a signal to the process brought about.
#[derive(Clone, Debug)]
pub struct Signal {
    /// Which: `SIGHUP`.
    pub name: &'static str,
    /// What was done: the thing, then the verb, `configuration.reload`.
    pub action: &'static str,
    /// What it was done to.
    pub target: String,
    /// What was changed, as it was before.
    pub before: Value,
    /// The same, as it is now.
    pub after: Value,
    /// Why nothing changed, if so: the word for programs, and the reason for people.
    pub refusal: Option<(&'static str, String)>,
}

/// A request that may change something.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) client: Client,
    pub(crate) speaks_for: Option<String>,
    /// Method and path.
    pub(crate) request: String,
    /// Who asks; `None` where they were turned away before that was known.
    pub(crate) identity: Option<Identity>,
}

/// What is kept of changes.
#[derive(Debug)]
pub(crate) struct Trail {
    // Held for the moment of a push, or of copying references.
    rings: Mutex<Rings>,
    file: ArcSwapOption<AuditFile>,
}

#[derive(Debug)]
struct Rings {
    last_id: u64,
    keep: usize,
    made: VecDeque<Arc<AuditEntry>>,
    refused: VecDeque<Arc<AuditEntry>>,
}

impl Trail {
    /// Keeps as many changes, and as many refused ones.
    pub(crate) fn new(keep: NonZeroUsize) -> Self {
        let (made, refused) = (VecDeque::new(), VecDeque::new());
        let rings = Rings { last_id: 0, keep: keep.get(), made, refused };
        Self { rings: Mutex::new(rings), file: ArcSwapOption::empty() }
    }

    /// Keeps another number from now on.
    pub(crate) fn keep(&self, keep: NonZeroUsize) {
        self.rings().keep = keep.get();
    }

    /// Appends to this file from now on.
    pub(crate) fn write_to(&self, file: Option<AuditFile>) {
        self.file.store(file.map(Arc::new));
    }

    /// Notes a request whose client did not wait for the answer: what it had changed by then, if that is
    /// known.
    pub(crate) fn note_departed(&self, asked: Asked, change: Option<&Change>) {
        let (result, reason) = match change {
            Some(_) => (AuditResult::Done, "the client left before the answer"),
            None => {
                (AuditResult::Failed, "the client left before the answer; it may have been done")
            }
        };
        self.push(AuditEntry {
            result,
            code: Some("client_left".to_owned()),
            reason: Some(reason.to_owned()),
            ..of_change(asked, change)
        });
    }

    /// Notes how a request ended that may have changed something. Returns the entry's id.
    pub(crate) fn note(&self, asked: Asked, response: &Response) -> u64 {
        let status = response.status();
        let change = response.extensions().get::<Change>();
        let rejected = response.extensions().get::<Rejected>();
        let result = match status.as_u16() {
            ..400 => AuditResult::Done,
            400..500 => AuditResult::Refused,
            500.. => AuditResult::Failed,
        };
        self.push(AuditEntry {
            result,
            status: Some(status.as_u16()),
            code: rejected.map(|it| it.code.to_owned()),
            reason: rejected.map(|it| it.message.clone()),
            ..of_change(asked, change)
        })
    }

    /// Notes what a signal brought about.
    pub(crate) fn note_signal(&self, signal: Signal) {
        let (code, reason) = signal
            .refusal
            .map_or((None, None), |(code, reason)| (Some(code.to_owned()), Some(reason)));
        self.push(AuditEntry {
            id: 0,
            at: String::new(),
            who: Who {
                kind: "signal".to_owned(),
                name: Some(signal.name.to_owned()),
                address: None,
                speaks_for: None,
                is_relayed: false,
            },
            request: None,
            action: Some(signal.action.to_owned()),
            target: Some(signal.target),
            before: bounded(&signal.before),
            after: bounded(&signal.after),
            result: if code.is_some() { AuditResult::Refused } else { AuditResult::Done },
            status: None,
            code,
            reason,
        });
    }

    fn push(&self, mut entry: AuditEntry) -> u64 {
        entry.at = clock::rfc3339_of(clock::now());
        {
            let mut rings = self.rings();
            rings.last_id += 1;
            entry.id = rings.last_id;
            let keep = rings.keep;
            let ring = match entry.result {
                AuditResult::Done | AuditResult::Failed => &mut rings.made,
                AuditResult::Refused => &mut rings.refused,
            };
            while keep <= ring.len() {
                ring.pop_front();
            }
            ring.push_back(Arc::new(entry.clone()));
        }
        if let Some(file) = self.file.load().as_deref() {
            // Text, numbers and what was JSON always serialise.
            file.append(serde_json::to_string(&entry).unwrap_or_default());
        }
        log(&entry);
        entry.id
    }

    /// Returns what `wanted` lets pass, newest first, `limit` at most.
    fn newest(&self, limit: usize, wanted: impl Fn(&AuditEntry) -> bool) -> Vec<AuditEntry> {
        let rings = self.rings();
        let (mut made, mut refused) =
            (rings.made.iter().rev().peekable(), rings.refused.iter().rev().peekable());
        let mut found = Vec::new();
        while found.len() < limit {
            let is_made = match (made.peek(), refused.peek()) {
                (Some(made), Some(refused)) => refused.id < made.id,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => break,
            };
            let next = if is_made { made.next() } else { refused.next() };
            found.extend(next.filter(|it| wanted(it)).map(|it| AuditEntry::clone(it)));
        }
        found
    }

    fn rings(&self) -> MutexGuard<'_, Rings> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins an entry with what was changed.
fn of_change(asked: Asked, change: Option<&Change>) -> AuditEntry {
    AuditEntry {
        action: change.map(|it| it.action.to_owned()),
        target: change.map(|it| shorten(&it.target)),
        before: change.map_or(Value::Null, |it| bounded(&it.before)),
        after: change.map_or(Value::Null, |it| bounded(&it.after)),
        ..of(asked)
    }
}

/// Begins an entry with who asked for what.
fn of(asked: Asked) -> AuditEntry {
    let identity = asked.identity.as_ref();
    AuditEntry {
        id: 0,
        at: String::new(),
        who: Who {
            kind: identity.map_or("anonymous", |it| it.kind.word()).to_owned(),
            name: identity.and_then(|it| it.name.clone()),
            address: Some(asked.client.address.to_string()),
            speaks_for: asked.speaks_for,
            is_relayed: asked.client.is_relayed(),
        },
        request: Some(asked.request),
        action: None,
        target: None,
        before: Value::Null,
        after: Value::Null,
        result: AuditResult::Refused,
        status: None,
        code: None,
        reason: None,
    }
}

/// Writes the line that no level leaves out.
fn log(entry: &AuditEntry) {
    let AuditEntry { id, who, request, action, target, status, code, reason, .. } = entry;
    let (kind, name) = (&who.kind, &who.name);
    let (client, speaks_for) = (&who.address, &who.speaks_for);
    let (before, after) = (entry.before.to_string(), entry.after.to_string());
    match entry.result {
        AuditResult::Done => tracing::info!(
            target: AUDIT, id, kind, name, client, speaks_for, request, action, on = target, before,
            after, status, "change made"
        ),
        AuditResult::Refused => tracing::warn!(
            target: AUDIT, id, kind, name, client, speaks_for, request, action, on = target, status,
            code, reason, "change refused"
        ),
        AuditResult::Failed => tracing::warn!(
            target: AUDIT, id, kind, name, client, speaks_for, request, action, on = target, before,
            after, status, code, reason, "change failed"
        ),
    }
}

/// Returns `value`, or that it was too long to be kept.
fn bounded(value: &Value) -> Value {
    let length = value.to_string().len();
    if length <= VALUE_BYTES_MAX {
        value.clone()
    } else {
        Value::String(format!("{length} bytes, which are not kept"))
    }
}

/// `GET /audit`.
pub(crate) async fn audit(
    State(sidecar): State<Arc<Sidecar>>,
    uri: Uri,
) -> Result<Json<wire::Audit>, HttpError> {
    let parameters = Parameters::of(&uri, &["since", "limit", "who"])?;
    let limit = parameters.count("limit", LIMIT_MAX)?.unwrap_or(LIMIT);
    let since = parameters.text("since").map(Since::read).transpose()?;
    let who = parameters.text("who");
    let entries = sidecar.state.gate.trail().newest(limit, |entry| {
        since.as_ref().is_none_or(|it| it.is_before(entry))
            && who.is_none_or(|who| entry.who.kind == who || entry.who.name.as_deref() == Some(who))
    });
    Ok(Json(wire::Audit { schema: wire::SCHEMA, entries }))
}

/// From where on entries are wanted.
enum Since {
    /// Those after this one.
    Id(u64),
    /// Those from this moment on.
    Moment(jiff::Timestamp),
}

impl Since {
    fn read(text: &str) -> Result<Self, HttpError> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        text.parse().map(Self::Moment).map_err(|_| {
            let message = format!("`since` is `{}`", shorten(text));
            let remedy = "give the `id` of an entry, or a time such as 2026-11-26T09:00:00Z";
            bad_request("bad_parameter", message, remedy)
        })
    }

    fn is_before(&self, entry: &AuditEntry) -> bool {
        match self {
            Self::Id(id) => *id < entry.id,
            Self::Moment(moment) => {
                entry.at.parse::<jiff::Timestamp>().is_ok_and(|at| *moment <= at)
            }
        }
    }
}
