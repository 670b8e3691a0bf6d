//! Lengths of time as people write them: one number and one unit.

use std::time::Duration;

/// Longer is a slip of the unit, not an intention.
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a text is no length of time. `guess` is what it probably means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misread {
    /// A number without a unit.
    NoUnit {
        /// Seconds when small, milliseconds when not.
        guess: Option<Duration>,
    },
    /// Something else: a sum (`1m30s`), a fraction (`1.5s`), or no length at all.
    NoLength {
        /// The plainer form, if there is one.
        guess: Option<Duration>,
    },
    /// Longer than [`LONGEST`].
    TooLong,
}

impl Misread {
    /// Returns what to write instead.
    pub fn remedy(self) -> String {
        match self {
            Self::NoUnit { guess: Some(guess) } | Self::NoLength { guess: Some(guess) } => {
                format!("write `{}`, if that is what you mean", write_length(guess))
            }
            Self::NoUnit { guess: None } | Self::NoLength { guess: None } => {
                "write a number and one of ms, s, m, h: `250ms`, `2s`".to_owned()
            }
            Self::TooLong => format!("write at most `{}`", write_length(LONGEST)),
        }
    }
}

/// Reads one number and one unit; the length may be zero. A sum (`1m30s`) or a fraction (`1.5s`) is
/// no length, and has a plainer form, which the remedy gives.
///
/// # Errors
/// Says in which way it is none.
pub fn parse_length(text: &str) -> Result<Duration, Misread> {
    let digits = text.len() - text.trim_start_matches(|it: char| it.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let millis_each = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(misread(text)),
    };
    if number.is_empty() {
        return Err(misread(text));
    }
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(millis_each))
        .map(Duration::from_millis)
        .filter(|length| *length <= LONGEST)
        .ok_or(Misread::TooLong)
}

/// Writes a length in its largest unit that needs no fraction.
pub fn write_length(length: Duration) -> String {
    let millis = length.as_millis();
    let (number, unit) = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")]
        .into_iter()
        .find(|(each, _)| each <= &millis && millis.is_multiple_of(*each))
        .map_or((millis, "ms"), |(each, unit)| (millis / each, unit));
    if number == 0 { "0s".to_owned() } else { format!("{number}{unit}") }
}

fn misread(text: &str) -> Misread {
    let guess = probable_millis(text).map(Duration::from_millis);
    if text.parse::<f64>().is_ok() {
        Misread::NoUnit { guess }
    } else {
        Misread::NoLength { guess }
    }
}

/// Guesses what a malformed length means: `1m30s`, `1.5s`, `250 ms`, `2sec`, or a bare number,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected` is what is written back, or the remedy.
    fn check(text: &str, expected: Result<&str, &str>) {
        let found = parse_length(text).map(write_length).map_err(Misread::remedy);
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn a_length_is_one_number_and_one_unit() {
        check("250ms", Ok("250ms"));
        check("2s", Ok("2s"));
        check("60s", Ok("1m"));
        check("24h", Ok("24h"));
        check("0ms", Ok("0s"));
    }

    #[test]
    fn another_form_is_refused_with_ours() {
        check("250", Err("write `250ms`, if that is what you mean"));
        check("2", Err("write `2s`, if that is what you mean"));
        check("0.5", Err("write `500ms`, if that is what you mean"));
        check("1m30s", Err("write `90s`, if that is what you mean"));
        check("1.5s", Err("write `1500ms`, if that is what you mean"));
        check("250 ms", Err("write `250ms`, if that is what you mean"));
        check("5min", Err("write `5m`, if that is what you mean"));
        for text in ["soon", "", "-1s", "½s", "s"] {
            check(text, Err("write a number and one of ms, s, m, h: `250ms`, `2s`"));
        }
    }

    #[test]
    fn a_length_is_not_endless() {
        check("25h", Err("write at most `24h`"));
        check("99999999999999999999h", Err("write at most `24h`"));
    }
}
