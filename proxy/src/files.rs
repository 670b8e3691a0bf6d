//! Files that are watched: whether one is another than before.
//!
//! They are looked at now and then. Being told by the system would be sooner by a second, and blind
//! where files are replaced by renaming a folder above them, as Kubernetes does, or lie on a network.

use std::{fs, path::Path, time::SystemTime};

/// What tells one state of a file from another: when it was written, its length and which one it is.
/// `None` while there is none.
pub type Mark = Option<(SystemTime, u64, u64)>;

/// Looks at the file at `path`; links are followed.
pub fn mark(path: &Path) -> Mark {
    use std::os::unix::fs::MetadataExt as _;

    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}
