//! The part of a configuration file that says what is kept of the past.

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::units::{FilePath, size::Size};

/// What is kept of the past, for `GET /series`, `GET /incidents` and the page: what happened to
/// requests, of each second for a day and of each minute before that, and every failover. Nothing that
/// happens to the file stops or slows the proxy: what cannot be written is kept in memory and counted.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct History {
    /// Whether it is kept in a file, from which the next process goes on. Otherwise it is in memory, a day
    /// at most and 16 MiB, and ends with the process.
    pub(crate) persist: bool,
    /// The file. One process at a time can have it; at an upgrade it is handed over. A relative path
    /// starts at the folder of this file. Without it, `history.redb` in the folder that systemd gives
    /// for state (`StateDirectory=`); where there is none, the history is in memory. A damaged file is
    /// put aside under another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<FilePath>,
    /// What the file may weigh. When it is full, the oldest minutes go first; incidents stay, the last
    /// 1,000 of each pool. A pool with two backends and 300 requests a second
    /// makes about 1.5 MB a day, for which the file takes 2 to 3 MB.
    pub(crate) max_size: Size,
    /// Days kept.
    #[schemars(range(min = 1, max = 365))]
    pub(crate) days: NonZeroU16,
}

impl Default for History {
    fn default() -> Self {
        const DAYS: NonZeroU16 = NonZeroU16::MIN.saturating_add(29);
        Self { persist: true, file: None, max_size: Size::mebibytes(64), days: DAYS }
    }
}
