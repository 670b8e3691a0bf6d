//! What operators want of a backend.

/// What operators want of a backend, apart from how it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Intent {
    /// It serves while it is fit to.
    #[default]
    Enabled,
    /// What is in flight is finished, and nothing new is started. It is still checked.
    Draining,
    /// As draining, and it is not checked: it may be switched off.
    Disabled,
}

impl Intent {
    /// Every intent.
    pub const ALL: [Self; 3] = [Self::Enabled, Self::Draining, Self::Disabled];

    /// Returns the name used in the API, the log, the metrics and the page.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
        }
    }

    /// Tells whether new requests may be sent to the backend, as far as operators say.
    pub fn is_enabled(self) -> bool {
        self == Self::Enabled
    }

    /// Tells whether the backend's health is checked.
    pub fn is_checked(self) -> bool {
        self != Self::Disabled
    }
}
