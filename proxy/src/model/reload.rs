//! How a configuration is followed by another.

/// How another configuration takes this one's place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reload {
    /// Whether it is loaded again when its files change.
    pub watch: bool,
}
