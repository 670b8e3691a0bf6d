//! The part of a configuration file that changes headers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{
    file::named::Named,
    units::{Name, matching::FieldValue},
};

/// How headers change on their way. Those that messages are framed or routed by, and those that say
/// who forwarded a request, are the proxy's own.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Headers {
    /// On the way to the backend. `Host` may be set.
    pub(crate) request: HeaderEdits,
    /// On the way to the client, of backends' responses and of `redirect` and `respond`, but not of
    /// the proxy's own errors.
    pub(crate) response: HeaderEdits,
}

/// Changes to headers, by name: first what is removed, then what is set, then what is added.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HeaderEdits {
    /// One more line, beside those that are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) add: Option<Named<FieldValue>>,
    /// One line, in place of those that are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) set: Option<Named<FieldValue>>,
    /// All lines of these names go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub(crate) remove: Vec<Name>,
}

impl HeaderEdits {
    /// Tells whether nothing is changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.add.is_none() && self.set.is_none() && self.remove.is_empty()
    }
}
