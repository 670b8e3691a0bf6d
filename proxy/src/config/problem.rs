//! A mistake in a configuration: what it is, where it is, and what would put it right.

use std::{fmt, ops::Range, sync::Arc};

/// How many problems one pass reports. A file with more is no configuration, and finding each
/// one's line takes a walk over the text.
pub(crate) const MOST_PROBLEMS: usize = 1000;

/// How much a [`Problem`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration is accepted, but probably not what was meant.
    Warning,
}

impl Severity {
    /// Returns the word for it that tools agree on.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One mistake, for people and for tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which kind of mistake this is; stable across releases.
    pub code: Code,
    /// The key concerned, e.g. `pools.api.backends[1].url`; empty for the file as a whole.
    pub path: String,
    /// Where it is written; `None` where the program, not a file, is at fault.
    pub location: Option<Location>,
    /// The other place, where two contradict each other: the first of two that are called alike.
    pub also: Option<Location>,
    /// What is wrong, with the value found. Lower case, no full stop.
    pub message: String,
    /// What would put it right.
    pub remedy: String,
}

/// A stretch of a configuration's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// As the file was named by whoever named it.
    pub file: Arc<str>,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// The line of the end, counted from 1.
    pub end_line: usize,
    /// The column after the last character, counted from 1.
    pub end_column: usize,
    /// Bytes of all texts together.
    pub(crate) span: Range<usize>,
    /// Whether no line of the file can be shown.
    pub(crate) is_whole_file: bool,
}

impl Problem {
    pub(crate) fn new(
        code: Code,
        path: impl Into<String>,
        location: Option<Location>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let (path, message, remedy) = (path.into(), message.into(), remedy.into());
        Self { code, path, location, also: None, message, remedy }
    }

    /// Returns how much it matters.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }
}

impl fmt::Display for Problem {
    /// Writes path and message, without place and remedy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

impl Code {
    /// Returns where it is found: the pass that its number begins with.
    pub fn pass(self) -> &'static str {
        match self.id().get(..3) {
            Some("B00") => "the text",
            Some("B01") => "keys and values",
            Some("B02") => "the sense of the whole",
            Some("B03") => "the machine",
            Some(_) | None => "how failures would go",
        }
    }
}

/// Declares [`Code`]: each kind of mistake with its number and its severity.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $id:literal $severity:ident,)*) => {
        /// A kind of mistake. `B00…`: the text; `B01…`: a key or a value; `B02…`: the sense; `B03…`:
        /// what this machine lacks; `B04…`: a trap, found by `bascule check --explain`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Code {
            /// Every kind there is.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns its number, e.g. `B0103`.
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)*
                }
            }

            /// Returns its name, e.g. `UnknownKey`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// Returns what it says of a configuration.
            pub fn meaning(self) -> String {
                let lines: &[&str] = match self {
                    $(Self::$name => &[$($doc,)+],)*
                };
                lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
            }

            /// Returns how much it matters.
            pub fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)*
                }
            }
        }
    };
}

codes! {
    /// The file cannot be read.
    Unreadable = "B0001" Error,
    /// The file is larger than a configuration can be.
    TooLarge = "B0002" Error,
    /// The file is not UTF-8.
    NotUtf8 = "B0003" Error,
    /// The text is not YAML.
    Syntax = "B0004" Error,
    /// A key occurs twice in one mapping.
    DuplicateKey = "B0005" Error,
    /// An anchor, an alias, a merge key, a tag, or a key that is not a word.
    UnsupportedYaml = "B0006" Error,
    /// More than one document.
    SeveralDocuments = "B0007" Error,
    /// Nothing but comments.
    Empty = "B0008" Error,
    /// Lists and mappings within each other beyond any use.
    TooDeep = "B0009" Error,
    /// `${…}` names a variable that is not set, or is malformed.
    Variable = "B0010" Error,
    /// A name or a section that two files define.
    DefinedTwice = "B0011" Error,
    /// A key that must be there is not.
    MissingKey = "B0101" Error,
    /// A list where text is expected, and the like.
    WrongType = "B0102" Error,
    /// A key that means nothing here.
    UnknownKey = "B0103" Error,
    /// None of the words allowed.
    UnknownChoice = "B0104" Error,
    /// A number that is too small or too large.
    OutOfRange = "B0105" Error,
    /// A duration, an address, a name, … that is malformed.
    BadValue = "B0106" Error,
    /// Nothing where at least one is needed.
    NoneGiven = "B0107" Error,
    /// A secret in the configuration itself. Files of secrets, and variables, are not copied, shown
    /// and committed as configurations are.
    LiteralSecret = "B0108" Error,
    /// The program contradicts itself; never the file's fault.
    Internal = "B0199" Error,
    /// A route names a pool that does not exist.
    UnknownPool = "B0201" Error,
    /// Two backends of a pool have one name.
    DuplicateBackend = "B0202" Error,
    /// Two backends of a pool have one address.
    DuplicateAddress = "B0203" Error,
    /// Two routes have one name.
    DuplicateRoute = "B0204" Error,
    /// A route that an earlier one leaves nothing to.
    UnreachableRoute = "B0205" Warning,
    /// Tiers that do not count up from 0 without gaps.
    TierGap = "B0206" Error,
    /// A health check may take longer than the time to the next.
    SlowCheck = "B0207" Warning,
    /// One attempt may take longer than the route allows.
    LongAttempt = "B0208" Warning,
    /// Two listeners, or a listener and the sidecar, want one address.
    AddressTaken = "B0209" Error,
    /// The sidecar can be reached from elsewhere, and has no token.
    UnguardedAdmin = "B0210" Error,
    /// Neither of two keys, or both, where exactly one is needed.
    NotExactlyOne = "B0211" Error,
    /// Two keys contradict each other.
    Contradiction = "B0212" Error,
    /// A backend is one of our own listeners.
    Loop = "B0213" Error,
    /// A pool that no route uses.
    UnusedPool = "B0214" Warning,
    /// A tier that never has as many backends as it would need.
    TierTooSmall = "B0215" Warning,
    /// A rewrite that does nothing to some requests of its route.
    IdleRewrite = "B0216" Warning,
    /// The sidecar's state can be read by every client of a public listener.
    ExposedSidecar = "B0217" Warning,
    /// Every client is believed about its own address.
    TrustsEveryone = "B0218" Warning,
    /// The fast interval is not faster.
    FastIntervalSlow = "B0219" Warning,
    /// A pool's name that metrics use for something else.
    ReservedName = "B0220" Error,
    /// A key that does nothing beside the others.
    NoEffect = "B0221" Warning,
    /// A bound so tight that backends break it that are well.
    FalseAlarms = "B0222" Warning,
    /// A route names a listener that does not exist.
    UnknownListener = "B0240" Error,
    /// A header that only the proxy may write.
    ReservedHeader = "B0241" Error,
    /// A certificate without its key, or a key without its certificate.
    HalfAnIdentity = "B0250" Error,
    /// Backends whose certificates nobody checks.
    Unverified = "B0251" Warning,
    /// Two tokens have one name.
    DuplicateToken = "B0270" Error,
    /// An address on which another program listens at present.
    PortInUse = "B0301" Warning,
    /// An address on which this process cannot listen.
    CannotListen = "B0302" Error,
    /// A file that the configuration names cannot be read.
    UnreadableFile = "B0303" Error,
    /// A file that holds no certificate, or no private key.
    BadCertificate = "B0304" Error,
    /// A private key that is not the certificate's.
    KeyMismatch = "B0305" Error,
    /// A certificate that is not valid today.
    Expired = "B0306" Error,
    /// A certificate that expires within two weeks.
    ExpiresSoon = "B0307" Warning,
    /// A secret that every user of the machine can read.
    OpenSecret = "B0308" Warning,
    /// A secret that is not there, or is no secret.
    NoSecret = "B0309" Error,
    /// A backend's host that has no address.
    UnknownHost = "B0310" Warning,
    /// A backend's Unix socket that does not exist.
    NoSocket = "B0311" Warning,
    /// More connections than the process may have file descriptors for.
    FewDescriptors = "B0312" Warning,
    /// Not all attempts fit into the route's time.
    DeadlineTooShort = "B0401" Warning,
    /// A pool of one backend, which nobody can stand in for.
    NoSpare = "B0402" Warning,
    /// A large pool of which one backend at a time may be ejected.
    OneEjection = "B0403" Warning,
    /// Retries may add half as much load as clients do, or more.
    RetryStorm = "B0404" Warning,
    /// A tier gets all traffic back before its backends have warmed up.
    ColdFailback = "B0405" Warning,
    /// Nearly every answer is passed on before it is whole, and cannot be rescued.
    HoldsBackLittle = "B0406" Warning,
    /// Idle connections are kept for longer than most servers keep them.
    IdleTooLong = "B0407" Warning,
    /// Checks that only connect do not see that answers are wrong, or that none come.
    BlindCheck = "B0408" Warning,
    /// Only timeouts find a backend that hangs.
    SlowSuspicion = "B0409" Warning,
    /// Nothing is ever retried, although there is another backend.
    NeverRetried = "B0410" Warning,
    /// A request may wait for a slot until all its time is up.
    PatientQueue = "B0411" Warning,
    /// The process ends before requests that are under way may.
    ShortDrain = "B0412" Warning,
    /// Two pools that clients of one host reach keep them by a cookie of the same name.
    SharedCookie = "B0413" Warning,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_codes_share_a_number() {
        let ids: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.id()).collect();
        assert_eq!(ids.len(), Code::ALL.len());
    }
}
