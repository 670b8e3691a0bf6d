//! Lengths of time: one number and one unit.

use std::time::Duration;

use crate::{
    config::{
        path::clip,
        units::{
            Fault,
            leaf::{Leaf, leaf_impls},
        },
    },
    units::{self, Misread, write_length},
};

/// A length of time from one millisecond to a day: one number and one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Length(pub(crate) Duration);

/// A length of time that may be zero, which means at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wait(pub(crate) Duration);

leaf_impls!(Length, Wait);

impl Length {
    pub(crate) const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    pub(crate) const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

const DURATION_PATTERN: &str = r"^([0-9]+(ms|s|m|h)|.*\$\{.*)$";

impl Leaf for Length {
    const FORMAT: &'static str = "bascule-duration";
    const WHAT: &'static str = "a length of time such as `250ms` or `2s`";
    const EXAMPLE: &'static str = "1s";
    const PATTERN: Option<&'static str> = Some(DURATION_PATTERN);

    fn parse(text: &str) -> Result<Self, Fault> {
        let length = read(text)?;
        if length.is_zero() {
            return Err(Fault::new(format!("`{text}` is no time at all"), "write at least `1ms`"));
        }
        Ok(Self(length))
    }

    fn write(&self) -> String {
        write_length(self.0)
    }
}

impl Leaf for Wait {
    const FORMAT: &'static str = "bascule-wait";
    const WHAT: &'static str = "a length of time such as `30s`, or `0s`";
    const EXAMPLE: &'static str = "0s";
    const PATTERN: Option<&'static str> = Some(DURATION_PATTERN);

    fn parse(text: &str) -> Result<Self, Fault> {
        read(text).map(Self)
    }

    fn write(&self) -> String {
        write_length(self.0)
    }
}

fn read(text: &str) -> Result<Duration, Fault> {
    units::parse_length(text).map_err(|misread| {
        let shown = clip(text);
        let message = match misread {
            Misread::NoUnit { .. } => format!("`{shown}` has no unit"),
            Misread::NoLength { .. } => format!("`{shown}` is not a length of time"),
            Misread::TooLong => format!("`{shown}` is too long"),
        };
        Fault::new(message, misread.remedy())
    })
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
    fn a_duration_is_one_number_and_one_unit() {
        check::<Length>("250ms", Ok("250ms"));
        check::<Length>("2s", Ok("2s"));
        check::<Length>("60s", Ok("1m"));
        check::<Length>("24h", Ok("24h"));
        check::<Wait>("0s", Ok("0s"));
    }

    #[test]
    fn a_duration_in_another_form_is_refused_with_ours() {
        check::<Length>("250", Err("write `250ms`, if that is what you mean"));
        check::<Wait>("1m30s", Err("write `90s`, if that is what you mean"));
        check::<Length>("soon", Err("write a number and one of ms, s, m, h: `250ms`, `2s`"));
    }

    #[test]
    fn a_duration_is_neither_zero_nor_endless() {
        check::<Length>("0s", Err("write at least `1ms`"));
        check::<Length>("25h", Err("write at most `24h`"));
    }
}
