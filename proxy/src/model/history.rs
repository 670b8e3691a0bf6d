//! What is kept of the past.

use std::path::PathBuf;

/// What is kept of the past, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Whether it is kept in a file.
    pub persist: bool,
    /// The file; without it, one in the folder that the service manager gives for state.
    pub file: Option<PathBuf>,
    /// What the file may weigh, in bytes.
    pub max_size: u64,
    /// Days kept.
    pub days: u64,
}

impl Default for History {
    fn default() -> Self {
        Self { persist: true, file: None, max_size: 64 << 20, days: 30 }
    }
}
