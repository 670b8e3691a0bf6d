//! How a backend ends.

/// How a backend ended. Later variants outrank earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    /// Shut down by its owner, after draining.
    ShutDown,
    /// Killed by its owner: every socket was closed at once.
    Killed,
    /// Asked to fail by `POST /fail`: every socket was closed right after the answer. A process
    /// exits with status 1 then.
    Failed,
}
