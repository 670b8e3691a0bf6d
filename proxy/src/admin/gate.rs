//! What the guard goes by: the rules, the tokens, and the trail that it writes.

use std::{
    fmt, io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;

use crate::{
    access::{Attempts, Identity, KnownToken, Pass, REFUSALS, Rules, Ticket, Tickets, TooMany},
    admin::{
        audit::{AuditFile, Signal, Trail},
        keyring::{Keyring, Loaded},
    },
    clock,
    model::Admin,
    token::TokenError,
};

/// Why a gate cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// A token, or the hash of one.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The file for changes.
    #[error(
        "cannot write the audit file {}: {reason}; check that its folder exists, and that this user may \
         write to it", path.display()
    )]
    AuditFile {
        /// Which.
        path: PathBuf,
        /// In the system's words.
        reason: String,
    },
}

/// Who may do what at the sidecar, and what they did.
pub struct Gate {
    admin: ArcSwap<Admin>,
    keyring: Keyring,
    trail: Trail,
    /// Lines of the audit file that could not be written.
    audit_lost: Arc<AtomicU64>,
    /// Requests that were refused, indexed as [`REFUSALS`].
    refused: [AtomicU64; REFUSALS.len()],
    // Held for the moment of a look or a note, as below.
    tickets: Mutex<Tickets>,
    attempts: Mutex<Attempts>,
}

/// What a gate is to go by next.
#[derive(Debug)]
pub struct NextGate {
    admin: Admin,
    tokens: Loaded,
    file: Option<AuditFile>,
}

impl Gate {
    /// Reads what `admin` refers to, and opens the audit file.
    ///
    /// # Errors
    /// When a token, or the hash of one, cannot be read, or the file cannot be written.
    pub fn open(admin: &Admin) -> Result<Self, GateError> {
        let keyring = Keyring::new(Loaded::of(admin)?);
        let gate = Self::with(admin, keyring);
        gate.trail.write_to(gate.audit_file(admin)?);
        Ok(gate)
    }

    /// Makes a gate for tokens that are known already, whatever files `admin` names.
    pub fn knowing(admin: &Admin, tokens: Vec<KnownToken>) -> Self {
        Self::with(admin, Keyring::of(tokens))
    }

    fn with(admin: &Admin, keyring: Keyring) -> Self {
        Self {
            admin: ArcSwap::from_pointee(admin.clone()),
            keyring,
            trail: Trail::new(admin.audit.keep),
            audit_lost: Arc::default(),
            refused: Default::default(),
            tickets: Mutex::default(),
            attempts: Mutex::default(),
        }
    }

    /// Reads what another configuration refers to, and opens its audit file. Nothing changes before
    /// [`Gate::adopt`].
    ///
    /// # Errors
    /// As [`Gate::open`].
    pub fn prepare(&self, admin: &Admin) -> Result<NextGate, GateError> {
        let (tokens, file) = (Loaded::of(admin)?, self.audit_file(admin)?);
        Ok(NextGate { admin: admin.clone(), tokens, file })
    }

    /// Goes by another configuration from now on: who may do what is decided anew with the next request,
    /// and of those who read on within a second. The audit trail goes on.
    pub fn adopt(&self, next: NextGate) {
        self.keyring.replace(next.tokens);
        self.trail.write_to(next.file);
        self.trail.keep(next.admin.audit.keep);
        self.admin.store(Arc::new(next.admin));
    }

    /// Looks at what `admin` refers to, and does nothing.
    ///
    /// # Errors
    /// When a token, or the hash of one, cannot be read.
    pub fn review(admin: &Admin) -> Result<(), TokenError> {
        Loaded::of(admin).map(drop)
    }

    fn audit_file(&self, admin: &Admin) -> Result<Option<AuditFile>, GateError> {
        let open = |path: &Path| {
            AuditFile::open(path, Arc::clone(&self.audit_lost)).map_err(|error: io::Error| {
                GateError::AuditFile { path: path.to_owned(), reason: error.kind().to_string() }
            })
        };
        admin.audit.file.as_deref().map(open).transpose()
    }

    /// Returns how many lines the audit file lacks, since the start.
    pub fn audit_lost(&self) -> u64 {
        self.audit_lost.load(Relaxed)
    }

    /// Returns how many requests were refused since the start, in the order of [`REFUSALS`].
    pub fn refused(&self) -> [u64; REFUSALS.len()] {
        self.refused.each_ref().map(|it| it.load(Relaxed))
    }

    /// Counts a request that was refused; `code` is what the answer says.
    pub(crate) fn count_refused(&self, code: &str) {
        let known = REFUSALS.iter().zip(&self.refused).find(|(it, _)| **it == code);
        if let Some((_, count)) = known {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Notes in the audit trail what a signal to the process brought about.
    pub fn note_signal(&self, signal: Signal) {
        self.trail.note_signal(signal);
    }

    pub(crate) fn trail(&self) -> &Trail {
        &self.trail
    }

    /// Returns how long `address` has to wait before what it shows is looked at.
    pub(crate) fn wait(&self, address: IpAddr) -> Option<Duration> {
        locked(&self.attempts).wait(address, clock::now())
    }

    /// Takes in whether what `address` showed was right.
    pub(crate) fn showed(&self, address: IpAddr, is_right: bool) {
        let mut attempts = locked(&self.attempts);
        if is_right {
            attempts.succeeded(address);
        } else {
            attempts.failed(address, clock::now());
        }
    }

    /// Gives `ticket` to `identity`, for `path`.
    pub(crate) fn give(&self, ticket: &str, path: &str, identity: Identity) -> Result<(), TooMany> {
        let pass = self.pass(identity);
        locked(&self.tickets).give(ticket, path, pass, clock::now())
    }

    /// Returns what `identity` reads by, to be looked at for as long as that takes.
    pub(crate) fn pass(&self, identity: Identity) -> Pass {
        self.with_rules(|rules| Pass::new(identity, rules))
    }

    /// Tells whether who has `pass` may read on.
    pub(crate) fn admits(&self, pass: &Pass) -> bool {
        self.with_rules(|rules| pass.holds(rules))
    }

    /// Takes back the ticket that came with a request for `path`.
    pub(crate) fn redeem(&self, ticket: Option<&str>, path: &str) -> Ticket {
        let Some(ticket) = ticket else { return Ticket::None };
        let given = locked(&self.tickets).redeem(ticket, path, clock::now());
        let good = given.filter(|it| self.admits(it));
        good.map_or(Ticket::Wrong, |it| Ticket::Of(it.identity))
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Gate {
    /// Leaves out what callers show, and its hashes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}
