//! What answers are made of that need no backend.

use crate::config::{
    path::clip,
    units::{
        Fault,
        http::{Host, UrlPath},
        leaf::{Leaf, leaf_impls},
    },
};

/// The status of a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RedirectStatus(pub(crate) u16);

/// Where a redirect leads: a URL, or a path on the same host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location(pub(crate) String);

/// The body of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Body(pub(crate) String);

leaf_impls!(RedirectStatus, Location, Body);

/// Longest body, in bytes: a page. More belongs to a server of files.
const LONGEST_BODY: usize = 64 * 1024;
/// Longest location, in bytes.
const LONGEST_LOCATION: usize = 2048;

impl Leaf for RedirectStatus {
    const FORMAT: &'static str = "bascule-redirect-status";
    const WHAT: &'static str = "301, 302, 303, 307 or 308";
    const EXAMPLE: &'static str = "302";
    const PATTERN: Option<&'static str> = Some(r"^(30[12378]|.*\$\{.*)$");
    const NUMBERS: Option<&'static str> = Some("integer");

    fn parse(text: &str) -> Result<Self, Fault> {
        match text {
            "301" => Ok(Self(301)),
            "302" => Ok(Self(302)),
            "303" => Ok(Self(303)),
            "307" => Ok(Self(307)),
            "308" => Ok(Self(308)),
            _ => Err(Fault::new(
                format!("`{}` is not the status of a redirect", clip(text)),
                "write 301 or 302, with 308 or 307 the method stays, with 303 it becomes GET",
            )),
        }
    }

    fn write(&self) -> String {
        self.0.to_string()
    }
}

impl Leaf for Location {
    const FORMAT: &'static str = "bascule-location";
    const WHAT: &'static str = "a URL such as `https://www.example.com/new`, or a path";
    const EXAMPLE: &'static str = "https://www.example.com/new";

    fn parse(text: &str) -> Result<Self, Fault> {
        let remedy = "write `https://host/path`, or a path that begins with one `/`";
        let fault = |message: &str| Fault::new(format!("`{}` {message}", clip(text)), remedy);
        if LONGEST_LOCATION < text.len() {
            return Err(fault("is too long for a URL"));
        }
        if !text.bytes().all(|it| it.is_ascii_graphic() && it != b'\\') {
            return Err(fault("has characters that no URL has"));
        }
        if text.starts_with('/') && !text.starts_with("//") {
            return Ok(Self(text.to_owned()));
        }
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let Some(rest) = rest else { return Err(fault("is neither a URL nor a path")) };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok_and(|it| it != 0) => host,
            Some(_) | None => authority,
        };
        Host::parse(host).map_err(|_| fault("has no valid host"))?;
        Ok(Self(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl Leaf for Body {
    const FORMAT: &'static str = "bascule-body";
    const WHAT: &'static str = "text";
    const EXAMPLE: &'static str = "closed for maintenance";
    const NUMBERS: Option<&'static str> = Some("number");

    fn parse(text: &str) -> Result<Self, Fault> {
        if LONGEST_BODY < text.len() {
            let message = format!("the body has {} bytes", text.len());
            let remedy = "write at most 64 KiB, or let a pool of file servers answer";
            return Err(Fault::new(message, remedy));
        }
        Ok(Self(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

/// Returns whether `path` may stand in a redirect: it must not be taken for a host.
pub(crate) fn is_plain_path(UrlPath(path): &UrlPath) -> bool {
    !path.starts_with("//") && !path.contains('\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_url_or_a_path_and_nothing_that_looks_like_either() {
        for text in
            ["https://a.example", "http://a.example:8080/x?y#z", "https://[::1]:8443/", "/x?y", "/"]
        {
            assert_eq!(Location::parse(text).map(|it| it.write()).as_deref(), Ok(text));
        }
        for text in [
            "",
            "x",
            "//a.example/",
            "/\\a.example",
            "javascript:alert(1)",
            "https://",
            "https://user@a.example/",
            "https://a.example:0/",
            "https://a.example/a b",
            "https://a.example/\r\nx: y",
        ] {
            assert!(Location::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_five_statuses_redirect() {
        let is_status = |it: u32| RedirectStatus::parse(&it.to_string()).is_ok();
        let found: Vec<u32> = (0..1000).filter(|it| is_status(*it)).collect();
        assert_eq!(found, [301, 302, 303, 307, 308]);
    }
}
