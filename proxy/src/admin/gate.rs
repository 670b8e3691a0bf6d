//! What the guard goes by: the rules, the tokens, and the trail that it writes.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;

use crate::{
    access::{KnownToken, Rules},
    admin::{
        audit::{Signal, Trail},
        keyring::Keyring,
    },
    model::Admin,
    token::TokenError,
};

/// Who may do what at the sidecar, and what they did.
pub struct Gate {
    admin: ArcSwap<Admin>,
    keyring: Keyring,
    trail: Trail,
}

impl Gate {
    /// Reads what `admin` refers to.
    ///
    /// # Errors
    /// When a token, or the hash of one, cannot be read.
    pub fn open(admin: &Admin) -> Result<Self, TokenError> {
        Keyring::load(admin).map(|keyring| Self::with(admin, keyring))
    }

    /// Makes a gate for tokens that are known already, whatever files `admin` names.
    pub fn knowing(admin: &Admin, tokens: Vec<KnownToken>) -> Self {
        Self::with(admin, Keyring::of(tokens))
    }

    fn with(admin: &Admin, keyring: Keyring) -> Self {
        let trail = Trail::new(admin.audit.keep);
        Self { admin: ArcSwap::from_pointee(admin.clone()), keyring, trail }
    }

    /// Goes by another configuration from now on: tokens are read again, and who may do what is
    /// decided anew with the next request. The audit trail goes on. When a token cannot be read,
    /// nothing changes.
    ///
    /// # Errors
    /// When a token, or the hash of one, cannot be read.
    pub fn reconfigure(&self, admin: &Admin) -> Result<(), TokenError> {
        self.keyring.replace(admin)?;
        self.trail.keep(admin.audit.keep);
        self.admin.store(Arc::new(admin.clone()));
        Ok(())
    }

    /// Looks at what `admin` refers to, and does nothing.
    ///
    /// # Errors
    /// When a token, or the hash of one, cannot be read.
    pub fn review(admin: &Admin) -> Result<(), TokenError> {
        Keyring::load(admin).map(drop)
    }

    /// Notes in the audit trail what a signal to the process brought about.
    pub fn note_signal(&self, signal: Signal) {
        self.trail.note_signal(signal);
    }

    pub(crate) fn trail(&self) -> &Trail {
        &self.trail
    }

    /// Calls `ask` with the rules that hold now.
    pub(crate) fn with_rules<T>(&self, ask: impl FnOnce(&Rules<'_>) -> T) -> T {
        let admin = self.admin.load();
        ask(&Rules {
            allow_origins: &admin.allow_origins,
            allow_hosts: &admin.allow_hosts,
            anonymous: admin.auth.anonymous,
            local: admin.auth.local,
            tokens: &self.keyring.tokens(),
            certificates: &admin.auth.certificates,
        })
    }
}

impl fmt::Debug for Gate {
    /// Leaves out what callers show, and its hashes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}
