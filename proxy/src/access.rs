//! Who may change state, and who may read the log.
//!
//! The sidecar has no sessions and no cookies, so a web page that a browser shows cannot borrow
//! anybody's login. What it can borrow is the browser's *place*: a request from the machine itself
//! needs no token. Three checks keep that place from being abused, and each closes a hole that the
//! others leave open:
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
//!   containers' own names (`proxy:9901`) work.
//!
//! Being on this machine is judged by the peer's address, unless the peer says that it speaks for
//! somebody elsewhere: a reverse proxy on the same machine is not the one who asks.

mod client;
mod host;

use std::fmt;

use http::{HeaderMap, header};
use subtle::ConstantTimeEq;

pub use client::{Arrival, Client, RELAY_CLIENT_HEADER, RELAY_KEY_HEADER};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Anything that is not only reading.
    ChangeState,
    /// The live log, which tells more than the state does.
    ReadLog,
}

/// What the configuration says of who may do what.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'r> {
    /// Origins of web pages, beside our own, that may change state: `http://127.0.0.1:3000`.
    pub allow_origins: &'r [String],
    /// Names, with or without port, by which we are known.
    pub allow_hosts: &'r [String],
    /// What an operator who is not on this machine must show.
    pub token: Option<&'r str>,
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
    /// The client is not on this machine and shows no token.
    TokenRequired {
        /// Whether there is a token to show.
        is_configured: bool,
    },
    /// The token shown is not the one.
    TokenWrong,
}

/// Decides whether `client` may do `deed`, by the request's `headers`.
pub fn decide(
    deed: Deed,
    client: Client,
    headers: &HeaderMap,
    rules: &Rules<'_>,
) -> Result<(), Refusal> {
    check_origin(headers, rules)?;
    match shown_token(headers, rules) {
        ShownToken::Right => return Ok(()),
        ShownToken::Wrong => return Err(Refusal::TokenWrong),
        ShownToken::None => {}
    }
    let needs_token = match deed {
        Deed::ChangeState => true,
        Deed::ReadLog => rules.token.is_some(),
    };
    if needs_token && !client.is_local {
        return Err(Refusal::TokenRequired { is_configured: rules.token.is_some() });
    }
    check_host(headers, rules)
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

enum ShownToken {
    Right,
    Wrong,
    None,
}

/// Looks for a token; where none is configured, nothing can be right or wrong.
fn shown_token(headers: &HeaderMap, rules: &Rules<'_>) -> ShownToken {
    let Some(token) = rules.token else { return ShownToken::None };
    let mut shown = headers.get_all(header::AUTHORIZATION).iter();
    let Some(first) = shown.next() else { return ShownToken::None };
    let bearer = first
        .as_bytes()
        .split_at_checked("Bearer ".len())
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer "))
        .map(|(_, rest)| rest.trim_ascii());
    let is_right = bearer.is_some_and(|it| !it.is_empty() && is_same_secret(it, token.as_bytes()));
    if is_right && shown.next().is_none() { ShownToken::Right } else { ShownToken::Wrong }
}

/// Returns `text` short enough and plain enough for an answer and a log line.
fn clip(text: &str) -> String {
    const LONGEST: usize = 100;
    let plain = |letter: char| if letter.is_control() { '\u{fffd}' } else { letter };
    text.chars().take(LONGEST).map(plain).collect()
}

impl Refusal {
    /// Returns the word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::CrossOrigin { .. } => "cross_origin",
            Self::UnknownHost { .. } => "unknown_host",
            Self::TokenRequired { .. } => "token_required",
            Self::TokenWrong => "token_wrong",
        }
    }

    /// Returns what would put it right.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::CrossOrigin { .. } => {
                "use the page's own address, or add the origin to admin.allow_origins"
            }
            Self::UnknownHost { .. } => {
                "use an IP address or localhost, send the token, or allow the name \
                 (admin.allow_origins of the proxy, --allow-host of the dashboard)"
            }
            Self::TokenRequired { is_configured: true } => {
                "send `Authorization: Bearer TOKEN` with the token of admin.token_file, \
                 or ask from the proxy's own machine"
            }
            Self::TokenRequired { is_configured: false } => {
                "ask from the proxy's own machine, or configure admin.token_file \
                 (`bascule token new --out FILE` makes one)"
            }
            Self::TokenWrong => "send the token of admin.token_file",
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
            Self::TokenRequired { .. } => f.write_str("only with the operators' token"),
            Self::TokenWrong => f.write_str("the token is not the right one"),
        }
    }
}

#[cfg(test)]
mod tests;
