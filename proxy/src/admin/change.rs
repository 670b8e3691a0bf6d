//! What a handler that changes something tells the audit trail.

use std::sync::{Arc, OnceLock};

use axum::{Extension, response::IntoResponseParts};
use serde_json::Value;

/// A change that was made, or begun. A handler puts it into its response, as one part of it:
/// `(change.noted(), Json(answer))`. Who made it, from where and when, the audit trail knows by itself,
/// and it notes what was refused or failed without being told.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// What was done: the thing, then the verb, `fault.inject`. A program's word.
    pub(crate) action: &'static str,
    /// What it was done to: a pool, `pool/backend`, or what else the action is about.
    pub(crate) target: String,
    /// What the action changes, as it was; `null` where nothing was there.
    pub(crate) before: Value,
    /// The same, as it is now; `null` where nothing is left.
    pub(crate) after: Value,
}

/// Where a handler that has made a change leaves it before it waits for what follows: its client may not
/// wait as long.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ahead(Arc<OnceLock<Change>>);

impl Ahead {
    /// Leaves a change; the first one counts.
    pub(crate) fn note(&self, change: &Change) {
        // Another one is there already.
        _ = self.0.set(change.clone());
    }

    /// Returns what was left.
    pub(crate) fn change(&self) -> Option<&Change> {
        self.0.get()
    }
}

impl Change {
    /// Returns the part of a response that carries it.
    pub(crate) fn noted(self) -> impl IntoResponseParts {
        Extension(self)
    }
}
