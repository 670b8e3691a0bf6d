//! Lengths of time: one number and one unit.

use std::time::Duration;

use crate::config::{
    path::clip,
    units::{
        Fault,
        leaf::{Leaf, leaf_impls},
    },
};

/// A length of time from one millisecond to a day: one number and one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Length(pub(crate) Duration);

/// A length of time that may be zero, which means at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// Longer is a slip of the unit, not an intention.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

impl Leaf for Length {
    const FORMAT: &'static str = "bascule-duration";
    const WHAT: &'static str = "a length of time such as `250ms` or `2s`";
    const EXAMPLE: &'static str = "1s";
    const PATTERN: Option<&'static str> = Some(DURATION_PATTERN);

    fn parse(text: &str) -> Result<Self, Fault> {
        let length = parse_duration(text)?;
        if length.is_zero() {
            return Err(Fault::new(format!("`{text}` is no time at all"), "write at least `1ms`"));
        }
        Ok(Self(length))
    }

    fn write(&self) -> String {
        write_duration(self.0)
    }
}

impl Leaf for Wait {
    const FORMAT: &'static str = "bascule-wait";
    const WHAT: &'static str = "a length of time such as `30s`, or `0s`";
    const EXAMPLE: &'static str = "0s";
    const PATTERN: Option<&'static str> = Some(DURATION_PATTERN);

    fn parse(text: &str) -> Result<Self, Fault> {
        parse_duration(text).map(Self)
    }

    fn write(&self) -> String {
        write_duration(self.0)
    }
}

/// Reads one number and one unit. A sum (`1m30s`) or a fraction (`1.5s`) has a plainer form, which
/// the remedy gives.
fn parse_duration(text: &str) -> Result<Duration, Fault> {
    let digits = text.len() - text.trim_start_matches(|it: char| it.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let millis_each = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(not_a_duration(text)),
    };
    if number.is_empty() {
        return Err(not_a_duration(text));
    }
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(millis_each))
        .map(Duration::from_millis)
        .filter(|length| *length <= LONGEST)
        .ok_or_else(|| Fault::new(format!("`{}` is too long", clip(text)), "write at most `24h`"))
}

fn not_a_duration(text: &str) -> Fault {
    let message = if text.parse::<f64>().is_ok() {
        format!("`{}` has no unit", clip(text))
    } else {
        format!("`{}` is not a length of time", clip(text))
    };
    let remedy = match probable_millis(text) {
        Some(millis) => {
            format!(
                "write `{}`, if that is what you mean",
                write_duration(Duration::from_millis(millis))
            )
        }
        None => "write a number and one of ms, s, m, h: `250ms`, `2s`".to_owned(),
    };
    Fault { message, remedy }
}

/// Guesses what a malformed duration means: `1m30s`, `1.5s`, `250 ms`, `2sec`, or a bare number,
/// which is seconds when small and milliseconds when not.
fn probable_millis(text: &str) -> Option<u64> {
    const MOST_SECONDS: f64 = 60.0;
    let mut rest = text.trim();
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits =
            rest.len() - rest.trim_start_matches(|it: char| it.is_ascii_digit() || it == '.').len();
        let (number, after) = rest.split_at(digits);
        let number: f64 = number.parse().ok()?;
        let after = after.trim_start();
        let letters = after.len() - after.trim_start_matches(char::is_alphabetic).len();
        let (unit, after) = after.split_at(letters);
        total += number
            * match unit.to_ascii_lowercase().as_str() {
                "" if number <= MOST_SECONDS => 1_000.0,
                "" | "ms" | "msec" | "millis" | "milliseconds" => 1.0,
                "s" | "sec" | "secs" | "second" | "seconds" => 1_000.0,
                "m" | "min" | "mins" | "minute" | "minutes" => 60_000.0,
                "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000.0,
                "d" | "day" | "days" => 86_400_000.0,
                _ => return None,
            };
        rest = after.trim_start();
    }
    let fits = 1.0 <= total && total <= LONGEST.as_millis() as f64;
    fits.then_some(total.round() as u64)
}

/// Writes a duration in its largest unit that needs no fraction.
fn write_duration(length: Duration) -> String {
    let millis = length.as_millis();
    let (number, unit) = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")]
        .into_iter()
        .find(|(each, _)| each <= &millis && millis.is_multiple_of(*each))
        .map_or((millis, "ms"), |(each, unit)| (millis / each, unit));
    if number == 0 { "0s".to_owned() } else { format!("{number}{unit}") }
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
        check::<Length>("2", Err("write `2s`, if that is what you mean"));
        check::<Length>("0.5", Err("write `500ms`, if that is what you mean"));
        check::<Length>("1m30s", Err("write `90s`, if that is what you mean"));
        check::<Length>("1.5s", Err("write `1500ms`, if that is what you mean"));
        check::<Length>("250 ms", Err("write `250ms`, if that is what you mean"));
        check::<Length>("5min", Err("write `5m`, if that is what you mean"));
        check::<Length>("soon", Err("write a number and one of ms, s, m, h: `250ms`, `2s`"));
        check::<Length>("", Err("write a number and one of ms, s, m, h: `250ms`, `2s`"));
        check::<Length>("-1s", Err("write a number and one of ms, s, m, h: `250ms`, `2s`"));
    }

    #[test]
    fn a_duration_is_neither_zero_nor_endless() {
        check::<Length>("0s", Err("write at least `1ms`"));
        check::<Length>("25h", Err("write at most `24h`"));
        check::<Length>("99999999999999999999h", Err("write at most `24h`"));
    }
}
