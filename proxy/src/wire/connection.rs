//! Headers that concern one connection only (RFC 9110 §7.6.1), and so must not be passed on.

use http::HeaderMap;

use crate::wire::is_token;

/// Most options that a `Connection` header of a client may list, as in Pingora: honest clients list
/// one or two.
const OPTIONS_MAX: usize = 9;

/// Headers that a client may not have removed by naming them in `Connection`: what backends believe
/// of the proxy, what frames the message, `Host`, and what makes a request repeatable, which it is
/// only where backends get to see it. Those of the framing are written anew anyway.
const PROTECTED: &[&str] = &[
    "content-length",
    "forwarded",
    "host",
    "idempotency-key",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
];

/// How the proxy's own headers to the sidecar begin.
const PROTECTED_START: &[u8] = b"x-bascule-";

/// The names that `Connection` lists, in lower case; headers so named are not passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nominated {
    names: Vec<Vec<u8>>,
}

/// Why a client's `Connection` header is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNomination {
    /// No client needs that many.
    #[error("`Connection` lists more than {OPTIONS_MAX} options")]
    TooMany,
    /// An option that is no token might be read as another name by somebody else.
    #[error("`Connection` lists an option that is no token")]
    NoToken,
    /// A client must not choose what a backend is told of it.
    #[error("`Connection` names a header that may not be removed")]
    Protected,
}

impl Nominated {
    /// Reads the `Connection` headers of a request.
    pub fn by_client<'a>(
        values: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Nominated, BadNomination> {
        let mut names = Vec::new();
        for (count, option) in options(values).enumerate() {
            if OPTIONS_MAX <= count {
                return Err(BadNomination::TooMany);
            }
            if !option.iter().all(|byte| is_token(*byte)) {
                return Err(BadNomination::NoToken);
            }
            if is_protected(option) {
                return Err(BadNomination::Protected);
            }
            remember(&mut names, option);
        }
        Ok(Nominated { names })
    }

    /// Reads the `Connection` headers of a response. What makes no sense names nothing: it is the
    /// backend's to say what it keeps from clients, but it cannot take away the message's framing.
    pub fn by_backend<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Nominated {
        let mut names = Vec::new();
        for option in options(values).filter(|option| !is_protected(option)) {
            remember(&mut names, option);
        }
        Nominated { names }
    }

    /// Tells whether a header was named, in any case.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.names.iter().any(|it| it.eq_ignore_ascii_case(name))
    }

    /// Tells whether a header may be passed on: it was not named and does not concern the
    /// connection by its nature.
    pub fn passes(&self, name: &[u8]) -> bool {
        !concerns_connection(name) && !self.contains(name)
    }

    /// Removes what may not be passed on.
    pub fn strip(&self, headers: &mut HeaderMap) {
        let gone: Vec<_> =
            headers.keys().filter(|it| !self.passes(it.as_str().as_bytes())).cloned().collect();
        for name in gone {
            headers.remove(name);
        }
    }
}

/// Tells whether a header concerns the connection by its nature, named or not.
///
/// `Trailer` is among them although trailers may be passed on: the announcement binds nobody, and
/// would be untrue on a connection that cannot carry them.
pub fn concerns_connection(name: &[u8]) -> bool {
    const NAMES: &[&str] = &[
        "te",
        "trailer",
        "upgrade",
        "connection",
        "keep-alive",
        "http2-settings",
        "proxy-connection",
        "transfer-encoding",
    ];
    NAMES.iter().any(|it| it.as_bytes().eq_ignore_ascii_case(name))
}

/// Tells whether any of some `Connection` headers lists an option; it must be in lower case.
pub fn lists<'a>(values: impl IntoIterator<Item = &'a [u8]>, option: &str) -> bool {
    options(values).any(|it| it.eq_ignore_ascii_case(option.as_bytes()))
}

fn options<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    values
        .into_iter()
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|option| !option.is_empty())
}

pub(crate) fn is_protected(name: &[u8]) -> bool {
    PROTECTED.iter().any(|it| it.as_bytes().eq_ignore_ascii_case(name))
        || name
            .get(..PROTECTED_START.len())
            .is_some_and(|it| it.eq_ignore_ascii_case(PROTECTED_START))
}

/// Remembers a name that is not removed anyway.
fn remember(names: &mut Vec<Vec<u8>>, option: &[u8]) {
    if !concerns_connection(option) && !option.eq_ignore_ascii_case(b"close") {
        names.push(option.to_ascii_lowercase());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_client(value: &str) -> Result<Vec<String>, BadNomination> {
        let nominated = Nominated::by_client([value.as_bytes()])?;
        Ok(nominated.names.into_iter().map(|it| String::from_utf8(it).unwrap()).collect())
    }

    #[test]
    fn what_a_client_names_is_removed_unless_backends_rely_on_it() {
        assert_eq!(by_client("close, Upgrade, X-Mine ,, keep-alive"), Ok(vec!["x-mine".into()]));
        assert_eq!(by_client(""), Ok(vec![]));
        for name in [
            "Host",
            "x-forwarded-FOR",
            "X-Forwarded-Proto",
            "via",
            "Content-Length",
            "Idempotency-Key",
            "X-Bascule-Relay-Key",
        ] {
            assert_eq!(by_client(name), Err(BadNomination::Protected), "{name}");
        }
        for value in ["\"x-forwarded-for\"", "a b", "a\0", ":authority", "x;y"] {
            assert_eq!(by_client(value), Err(BadNomination::NoToken), "{value:?}");
        }
        assert!(by_client("a,b,c,d,e,f,g,h,i").is_ok());
        assert_eq!(by_client("a,b,c,d,e,f,g,h,i,j"), Err(BadNomination::TooMany));
    }

    #[test]
    fn a_backend_names_what_it_likes_but_the_framing() {
        let values: [&[u8]; 2] = [b"close, X-Internal", b"content-length, \xff, x-other"];
        let nominated = Nominated::by_backend(values);
        assert!(nominated.contains(b"x-internal"));
        assert!(nominated.contains(b"X-OTHER"));
        assert!(!nominated.passes(b"x-other"));
        assert!(nominated.passes(b"Content-Length"));
        assert!(nominated.passes(b"ETag"));
        assert!(!nominated.passes(b"Keep-Alive"));
        assert!(lists(values, "close"));
        assert!(!lists(values, "keep-alive"));
    }

    #[test]
    fn a_map_is_stripped_of_all_lines_of_a_name() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("x-mine", "1"), ("x-mine", "2"), ("te", "trailers"), ("accept", "*/*")]
        {
            headers.append(name, value.parse().unwrap());
        }
        Nominated::by_client([&b"X-Mine"[..]]).unwrap().strip(&mut headers);
        assert_eq!(headers.len(), 1);
        assert!(headers.contains_key("accept"));
    }
}
