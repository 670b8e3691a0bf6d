//! A mistake in a configuration: what it is, where it is, and what would put it right.

use std::{fmt, ops::Range};

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

/// One mistake, for people and for tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which kind of mistake this is; stable across releases.
    pub code: Code,
    /// The key concerned, e.g. `pools.api.backends[1].url`; empty for the file as a whole.
    pub path: String,
    /// Where it is written; `None` when the text could not be read at all.
    pub location: Option<Location>,
    /// What is wrong, with the value found. Lower case, no full stop.
    pub message: String,
    /// What would put it right.
    pub remedy: String,
}

/// A stretch of a configuration's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// Bytes of the text.
    pub span: Range<usize>,
}

impl Problem {
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

impl Location {
    /// Returns the place of `span` in `text`; offsets beyond the text mean its end.
    pub(crate) fn of(text: &str, span: Range<usize>) -> Self {
        let start = floor_boundary(text, span.start);
        let end = floor_boundary(text, span.end).max(start);
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            span: start..end,
        }
    }
}

/// Returns `at`, or the nearest place before it that does not split a character.
fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Declares [`Code`]: each kind of mistake with its number and its severity.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $id:literal $severity:ident,)*) => {
        /// A kind of mistake. `B00…`: the text; `B01…`: a key or a value; `B02…`: the sense.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$doc])* $name,)*
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_codes_share_a_number() {
        let ids: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.id()).collect();
        assert_eq!(ids.len(), Code::ALL.len());
    }

    #[test]
    fn a_location_counts_lines_and_characters_from_one() {
        let location = Location::of("ä: 1\nöö: 2\n", 8..10);
        assert_eq!((location.line, location.column), (2, 2));
    }

    #[test]
    fn a_location_never_splits_a_character_or_leaves_the_text() {
        assert_eq!(Location::of("ä", 1..9).span, 0..2);
        assert_eq!(Location::of("", 7..9).span, 0..0);
    }
}
