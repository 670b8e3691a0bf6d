//! Who may change state, who may read the log, and who may read at all.
//!
//! The sidecar has no sessions and no cookies, so a web page that a browser shows cannot borrow
//! anybody's login. What it can borrow is the browser's *place*: a request from the machine itself
//! may need no token. Three checks keep that place from being abused, and each closes a hole that
//! the others leave open:
//!
//! - **Origin.** A page of another site can make a browser send a POST here. Browsers then say
//!   where the page came from, so an `Origin` that is not our own `Host` is refused, `null` (a
//!   sandboxed page, a file) included. Programs send none, and pass.
//! - **Host.** A page can make its own name resolve to this machine after it was loaded (DNS
//!   rebinding); its `Origin` then equals `Host`. What it cannot do is make the browser send
//!   another name than its own. So `Host` must be something that no stranger can own: an IP
//!   address, `localhost`, or a name that the configuration trusts.
//! - **Token.** Whoever is not on this machine needs one. It travels in `Authorization`, which no
//!   browser adds by itself; a right token therefore makes the check of `Host` needless, and the
//!   containers' own names (`proxy:9901`) work. A client's certificate does the same. A browser, which
//!   can add nothing to a WebSocket, takes a ticket (`tickets`).
//!
//! Being on this machine is judged by the peer's address, unless the peer says that it speaks for
//! somebody elsewhere: a reverse proxy on the same machine is not the one who asks.
//!
//! What a request asks for is a [`Deed`]; who asks is an [`Identity`] with a role; [`decide`] is the
//! one place where the two meet.

mod attempts;
mod client;
mod deed;
mod host;
mod identity;
mod pass;
mod tickets;

use std::fmt;

use http::{HeaderMap, header};
use subtle::ConstantTimeEq;

use crate::model::{NamedCertificate, Role};

pub use attempts::{Attempts, counted_address};
pub use client::{Arrival, Client, RELAY_CLIENT, RELAY_CLIENT_HEADER, RELAY_KEY, RELAY_KEY_HEADER};
pub use deed::Deed;
pub use identity::{Identity, Kind, KnownToken};
pub use pass::Pass;
pub use tickets::{GOOD_FOR, Tickets, TooMany};

/// What the configuration says of who may do what.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'r> {
    /// Origins of web pages, beside our own, that may change state: `http://127.0.0.1:3000`.
    pub allow_origins: &'r [String],
    /// Names, with or without port, by which we are known.
    pub allow_hosts: &'r [String],
    /// What whoever shows nothing may do.
    pub anonymous: Option<Role>,
    /// What whoever shows nothing may do who is on this machine.
    pub local: Option<Role>,
    /// Who shows a token. Where there is none, tokens that are shown mean nothing.
    pub tokens: &'r [KnownToken],
    /// Who shows a certificate.
    pub certificates: &'r [NamedCertificate],
}

/// A request, as far as it matters who sent it.
#[derive(Clone, Debug)]
pub struct Asker<'a> {
    /// Where it came from.
    pub client: Client,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// The names in the certificate that the client has proven to be its own.
    pub certificate: &'a [String],
    /// The ticket that came with it.
    pub ticket: Ticket,
}

/// The ticket that came with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ticket {
    /// None.
    None,
    /// One that was given to somebody, for this.
    Of(Identity),
    /// One that is not good, or no longer.
    Wrong,
}

/// Why somebody may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A web page of another site asks.
    CrossOrigin {
        /// Where the page came from.
        origin: String,
    },
    /// The request is for a name that anybody might own.
    UnknownHost {
        /// The name.
        host: String,
    },
    /// The client shows nothing, and its place alone does not suffice.
    TokenRequired {
        /// Whether there is anything to show.
        is_configured: bool,
    },
    /// The token shown is nobody's.
    TokenWrong,
    /// The ticket shown was used, has expired, or is for something else.
    TicketWrong,
    /// The client is known, and may do less.
    RoleTooLow {
        /// What the configuration calls it.
        name: String,
    },
}

impl Rules<'_> {
    /// Tells whether anybody is known by what they show.
    fn knows_anybody(&self) -> bool {
        !self.tokens.is_empty() || !self.certificates.is_empty()
    }
}

/// Decides whether `asker` may do `deed`, and says who it is.
pub fn decide(deed: Deed, asker: &Asker<'_>, rules: &Rules<'_>) -> Result<Identity, Refusal> {
    if deed == Deed::Greet {
        // Nothing is looked at, so that nobody learns by greeting whether a token is right.
        return Ok(Identity { kind: Kind::Anonymous, name: None, role: None });
    }
    let Some(needed) = deed.role() else {
        return Ok(shown(asker, rules)?.unwrap_or_else(|| place(asker, rules)));
    };
    let is_reading_state = deed == Deed::ReadState;
    // What a page of another site reads, its browser does not let it see; a WebSocket, it does.
    if !is_reading_state || asker.headers.contains_key(header::UPGRADE) {
        check_origin(asker.headers, rules)?;
    }
    if let Some(identity) = shown(asker, rules)? {
        return if identity.role.is_some_and(|role| needed <= role) {
            Ok(identity)
        } else {
            Err(Refusal::RoleTooLow { name: identity.name.unwrap_or_default() })
        };
    }
    let anonymous = Identity { kind: Kind::Anonymous, name: None, role: rules.anonymous };
    if is_reading_state && Some(needed) <= rules.anonymous {
        return Ok(if asker.client.is_local { place(asker, rules) } else { anonymous });
    }
    let is_enough = |role: Option<Role>| Some(needed) <= role;
    let by_place = asker.client.is_local && is_enough(rules.local);
    let by_nothing = !rules.knows_anybody() && is_enough(rules.anonymous);
    if !by_place && !by_nothing {
        return Err(Refusal::TokenRequired { is_configured: rules.knows_anybody() });
    }
    check_host(asker.headers, rules)?;
    Ok(if by_place { place(asker, rules) } else { anonymous })
}

/// Returns who is known by what they show; `None` when nothing is shown.
fn shown(asker: &Asker<'_>, rules: &Rules<'_>) -> Result<Option<Identity>, Refusal> {
    match shown_token(asker.headers, rules) {
        ShownToken::Of(token) => {
            let (name, role) = (Some(token.name.clone()), Some(token.role));
            return Ok(Some(Identity { kind: Kind::Token, name, role }));
        }
        ShownToken::Wrong => return Err(Refusal::TokenWrong),
        ShownToken::None => {}
    }
    match &asker.ticket {
        Ticket::Of(identity) => return Ok(Some(identity.clone())),
        Ticket::Wrong => return Err(Refusal::TicketWrong),
        Ticket::None => {}
    }
    Ok(identity::bearer(rules.certificates, asker.certificate).map(|it| Identity {
        kind: Kind::Certificate,
        name: Some(it.name.clone()),
        role: Some(it.role),
    }))
}

/// Returns who somebody is who shows nothing.
fn place(asker: &Asker<'_>, rules: &Rules<'_>) -> Identity {
    let is_local = asker.client.is_local && check_host(asker.headers, rules).is_ok();
    if is_local && rules.anonymous < rules.local {
        Identity { kind: Kind::Local, name: None, role: rules.local }
    } else {
        Identity { kind: Kind::Anonymous, name: None, role: rules.anonymous }
    }
}

/// Decides whether the page that sent the request is our own, or trusted.
pub fn check_origin(headers: &HeaderMap, rules: &Rules<'_>) -> Result<(), Refusal> {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else { return Ok(()) };
    let origin = String::from_utf8_lossy(origin.as_bytes());
    let authority = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"))
        .filter(|_| origins.next().is_none());
    let is_own = authority.is_some_and(|authority| {
        host::of(headers).is_some_and(|host| host.eq_ignore_ascii_case(authority))
    });
    let is_trusted = || {
        let mut trusted = rules.allow_origins.iter();
        trusted.any(|it| it.trim_end_matches('/').eq_ignore_ascii_case(&origin))
    };
    if is_own || (authority.is_some() && is_trusted()) {
        Ok(())
    } else {
        Err(Refusal::CrossOrigin { origin: clip(&origin) })
    }
}

/// Decides whether the request is for a name that no stranger can own.
pub fn check_host(headers: &HeaderMap, rules: &Rules<'_>) -> Result<(), Refusal> {
    let host = host::of(headers);
    if host.is_some_and(|host| host::is_trusted(host, rules)) {
        Ok(())
    } else {
        Err(Refusal::UnknownHost { host: clip(host.unwrap_or_default()) })
    }
}

/// Tells whether two secrets are the same, in a time that does not depend on where they differ.
pub fn is_same_secret(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

enum ShownToken<'t> {
    Of(&'t KnownToken),
    Wrong,
    None,
}

/// Looks for a token; where none is configured, nothing can be right or wrong.
fn shown_token<'t>(headers: &HeaderMap, rules: &Rules<'t>) -> ShownToken<'t> {
    if rules.tokens.is_empty() {
        return ShownToken::None;
    }
    let mut shown = headers.get_all(header::AUTHORIZATION).iter();
    let Some(first) = shown.next() else { return ShownToken::None };
    let bearer = first
        .as_bytes()
        .split_at_checked("Bearer ".len())
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer "))
        .map(|(_, rest)| rest.trim_ascii())
        .filter(|it| !it.is_empty() && shown.next().is_none());
    match bearer.and_then(|it| identity::holder(rules.tokens, it)) {
        Some(token) => ShownToken::Of(token),
        None => ShownToken::Wrong,
    }
}

/// Returns `text` short enough and plain enough for an answer and a log line.
fn clip(text: &str) -> String {
    const LONGEST: usize = 100;
    let plain = |letter: char| if letter.is_control() { '\u{fffd}' } else { letter };
    text.chars().take(LONGEST).map(plain).collect()
}

/// The codes of all refusals, and at last that of whoever must wait after too many of them.
pub const REFUSALS: [&str; 7] = [
    "cross_origin",
    "unknown_host",
    "token_required",
    "token_wrong",
    "ticket_wrong",
    "role_too_low",
    TOO_MANY_ATTEMPTS,
];

/// The code of an answer to whoever must wait before what it shows is looked at again.
pub const TOO_MANY_ATTEMPTS: &str = "too_many_attempts";

impl Refusal {
    /// Returns the word for programs, one of [`REFUSALS`].
    pub fn code(&self) -> &'static str {
        match self {
            Self::CrossOrigin { .. } => "cross_origin",
            Self::UnknownHost { .. } => "unknown_host",
            Self::TokenRequired { .. } => "token_required",
            Self::TokenWrong => "token_wrong",
            Self::TicketWrong => "ticket_wrong",
            Self::RoleTooLow { .. } => "role_too_low",
        }
    }

    /// Returns what would put it right.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::CrossOrigin { .. } => {
                "use the page's own address, or add the origin to admin.allow_origins"
            }
            Self::UnknownHost { .. } => {
                "use an IP address or localhost, send a token, or allow the name \
                 (admin.allow_hosts of the proxy, --allow-host of the dashboard)"
            }
            Self::TokenRequired { is_configured: true } => {
                "send `Authorization: Bearer TOKEN` with a token of admin.auth.tokens or \
                 admin.token_file, or ask from the proxy's own machine if admin.auth.local allows it"
            }
            Self::TokenRequired { is_configured: false } => {
                "ask from the proxy's own machine, or configure admin.auth.tokens \
                 (`bascule token new` makes one)"
            }
            Self::TokenWrong => "send a token of admin.auth.tokens or admin.token_file",
            Self::TicketWrong => "take a fresh one: POST /tickets; each is good once, for 30 s",
            Self::RoleTooLow { .. } => "send the token of an operator",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CrossOrigin { origin } => {
                write!(f, "a page of `{origin}` may not do this")
            }
            Self::UnknownHost { host } if host.is_empty() => {
                f.write_str("the request names no host, or several")
            }
            Self::UnknownHost { host } => {
                write!(f, "the host name `{host}` is not known to be ours")
            }
            Self::TokenRequired { .. } => f.write_str("only for whoever shows who they are"),
            Self::TokenWrong => f.write_str("the token is not a known one"),
            Self::TicketWrong => f.write_str("the ticket is not good, or no longer"),
            Self::RoleTooLow { name } => write!(f, "`{name}` may only read"),
        }
    }
}

#[cfg(test)]
mod tests;
