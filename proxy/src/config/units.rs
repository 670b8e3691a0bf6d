//! Values that are written as text, such as `20%`, `2s` and `http://127.0.0.1:3001`.
//!
//! Each kind is a type that can only hold what is valid, with one parser. The checker, the
//! decoder and the schema all come from that parser's [`Leaf`], so they cannot disagree.

use std::{ops::RangeInclusive, path::PathBuf};

pub(crate) mod check;
pub(crate) mod duration;
pub(crate) mod http;
pub(crate) mod kinds;
pub(crate) mod leaf;
pub(crate) mod matching;
pub(crate) mod net;
pub(crate) mod number;
pub(crate) mod response;
pub(crate) mod size;

use crate::config::{
    path::clip,
    units::leaf::{Leaf, leaf_impls},
};

/// Why a value is not valid, and what would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) remedy: String,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into() }
    }
}

/// A share, from 0 to 1, written `0%` to `100%`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Percent(pub(crate) f64);

/// One HTTP status, or a range of them with both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statuses(pub(crate) RangeInclusive<u16>);

/// The name of a listener, a route, a pool or a backend; a metric label, so short and plain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(pub(crate) String);

/// A file. A relative path starts at the folder of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilePath(pub(crate) PathBuf);

leaf_impls!(Percent, Statuses, Name, FilePath);

impl Leaf for Percent {
    const FORMAT: &'static str = "bascule-percent";
    const WHAT: &'static str = "a percentage such as `20%`";
    const EXAMPLE: &'static str = "20%";
    const PATTERN: Option<&'static str> = Some(r"^([0-9]+(\.[0-9]+)?%|.*\$\{.*)$");

    fn parse(text: &str) -> Result<Self, Fault> {
        let number = |digits: &str| {
            let is_plain = digits.starts_with(|it: char| it.is_ascii_digit())
                && digits.chars().all(|it| it.is_ascii_digit() || it == '.');
            is_plain.then(|| digits.parse::<f64>().ok()).flatten()
        };
        if let Some(value) = text.strip_suffix('%').and_then(number) {
            if 100.0 < value {
                let message = format!("`{}` is more than everything", clip(text));
                return Err(Fault::new(message, "write `0%` to `100%`"));
            }
            return Ok(Self(value / 100.0));
        }
        let remedy = match number(text) {
            Some(value) if value < 1.0 => {
                format!("write `{}%`, if that is what you mean", (value * 1e6).round() / 1e4)
            }
            Some(value) if value <= 100.0 => format!("write `{value}%`, if that is what you mean"),
            Some(_) | None => "write `0%` to `100%`".to_owned(),
        };
        Err(Fault::new(format!("`{}` is not a percentage", clip(text)), remedy))
    }

    fn write(&self) -> String {
        format!("{}%", (self.0 * 1e6).round() / 1e4)
    }
}

impl Leaf for Statuses {
    const FORMAT: &'static str = "bascule-statuses";
    const WHAT: &'static str = "a status or a range such as `200-299`";
    const EXAMPLE: &'static str = "200-299";
    const NUMBERS: Option<&'static str> = Some("integer");

    fn parse(text: &str) -> Result<Self, Fault> {
        let status = |text: &str| {
            let is_plain = text.len() == 3 && text.chars().all(|it| it.is_ascii_digit());
            text.parse::<u16>().ok().filter(|it| is_plain && (100..=599).contains(it))
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (status(first.trim()), status(last.trim())) {
            (Some(first), Some(last)) if first <= last => Ok(Self(first..=last)),
            (Some(first), Some(last)) => Err(Fault::new(
                format!("`{}` ends before it begins", clip(text)),
                format!("write `{last}-{first}`"),
            )),
            (_, _) => Err(Fault::new(
                format!("`{}` is not a range of HTTP statuses", clip(text)),
                "write one status from 100 to 599, or two with `-` between: `200-299`",
            )),
        }
    }

    fn write(&self) -> String {
        if self.0.start() == self.0.end() {
            self.0.start().to_string()
        } else {
            format!("{}-{}", self.0.start(), self.0.end())
        }
    }
}

impl Leaf for Name {
    const FORMAT: &'static str = "bascule-name";
    const WHAT: &'static str = "a name such as `api-1`";
    const EXAMPLE: &'static str = "unnamed";
    const PATTERN: Option<&'static str> = Some(r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,62}|.*\$\{.*)$");

    fn parse(text: &str) -> Result<Self, Fault> {
        let is_plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '.' | '-');
        let is_name = text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.chars().all(is_plain)
            && text.len() <= 63;
        if is_name {
            return Ok(Self(text.to_owned()));
        }
        Err(Fault::new(
            format!("`{}` cannot be a name", clip(text)),
            "write 1 to 63 letters, digits, `-`, `_` and `.`, a letter or digit first",
        ))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl Leaf for FilePath {
    const FORMAT: &'static str = "bascule-file";
    const WHAT: &'static str = "the path of a file";
    const EXAMPLE: &'static str = "token";

    fn parse(text: &str) -> Result<Self, Fault> {
        if text.starts_with("-----BEGIN") || text.contains('\n') {
            return Err(Fault::new(
                "this is what a file holds, and not its path",
                "put it in a file of its own, which only this user may read, and write its path",
            ));
        }
        if text.is_empty() || text.contains('\0') {
            return Err(Fault::new(
                "no path is given",
                "write the path of a file, or remove the key",
            ));
        }
        Ok(Self(PathBuf::from(text)))
    }

    fn write(&self) -> String {
        self.0.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected` is what is written back, or the remedy.
    fn check<L: Leaf>(text: &str, expected: Result<&str, &str>) {
        let found = L::parse(text).map(|it| it.write()).map_err(|fault| fault.remedy);
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn a_percentage_says_so() {
        check::<Percent>("20%", Ok("20%"));
        check::<Percent>("0%", Ok("0%"));
        check::<Percent>("20", Err("write `20%`, if that is what you mean"));
        check::<Percent>("0.2", Err("write `20%`, if that is what you mean"));
        check::<Percent>("120%", Err("write `0%` to `100%`"));
        check::<Percent>("inf%", Err("write `0%` to `100%`"));
        check::<Percent>("-5%", Err("write `0%` to `100%`"));
    }

    #[test]
    fn a_range_of_statuses_has_both_ends_in_order() {
        check::<Statuses>("200-299", Ok("200-299"));
        check::<Statuses>("204", Ok("204"));
        check::<Statuses>("299-200", Err("write `200-299`"));
        let remedy = "write one status from 100 to 599, or two with `-` between: `200-299`";
        check::<Statuses>("2xx", Err(remedy));
        check::<Statuses>("200-", Err(remedy));
        check::<Statuses>("99", Err(remedy));
    }

    #[test]
    fn a_name_is_short_and_plain() {
        check::<Name>("api-1.eu_west", Ok("api-1.eu_west"));
        for bad in ["", "-a", "a b", "ä", "a\"b", &"a".repeat(64)] {
            assert!(Name::parse(bad).is_err(), "{bad}");
        }
    }
}
