//! Numbers, lengths of time and moments as people read them. Decides digits and units.

use jiff::Timestamp;

/// Shown where there is no value.
pub(crate) const NONE: &str = "-";

/// Writes a count with a comma at each thousand.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if 0 < at && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes `1 request`, `3 requests`.
pub(crate) fn plural(value: u64, noun: &str) -> String {
    let ending = if value == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", count(value))
}

/// Writes how many a second: one digit after the point while there is little to see.
pub(crate) fn rate(per_second: f64) -> String {
    if per_second < 9.95 && 0.0 < per_second {
        return format!("{per_second:.1}");
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounded, and clamped to what is plausible"
    )]
    #[expect(clippy::cast_sign_loss, reason = "clamped to zero")]
    let whole = per_second.round().clamp(0.0, 1e15) as u64;
    count(whole)
}

/// Writes a share between 0 and 1. What is not nothing never reads `0 %`, and what is not all never
/// `100 %`.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent <= 0.0 {
        "0 %".to_owned()
    } else if percent < 0.01 {
        "<0.01 %".to_owned()
    } else if percent < 1.0 {
        format!("{} %", trimmed(percent, 2))
    } else if percent < 10.0 {
        format!("{} %", trimmed(percent, 1))
    } else if 99.0 < percent && percent < 100.0 {
        format!("{} %", trimmed((percent * 10.0).floor() / 10.0, 1))
    } else {
        format!("{percent:.0} %")
    }
}

/// Writes a measured length: `0.4 ms`, `13 ms`, `3.2 s`, `2 m 14 s`.
pub(crate) fn length(seconds: f64) -> String {
    if seconds <= 0.0 {
        "0 ms".to_owned()
    } else if seconds < 0.000_1 {
        format!("{:.0} µs", (seconds * 1e6).max(1.0))
    } else if seconds < 0.009_95 {
        format!("{} ms", trimmed(seconds * 1e3, 1))
    } else if seconds < 0.999_5 {
        format!("{:.0} ms", seconds * 1e3)
    } else if seconds < 59.95 {
        format!("{} s", trimmed(seconds, 1))
    } else {
        span(seconds)
    }
}

/// Writes a length that may not be known.
pub(crate) fn length_or_none(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| NONE.to_owned(), length)
}

/// Writes a wait or an age in whole seconds: `12 s`, `2 m 14 s`, `2 h 14 m`, `3 d 4 h`.
pub(crate) fn span(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "rounded and clamped")]
    #[expect(clippy::cast_sign_loss, reason = "clamped to zero")]
    let whole = seconds.round().clamp(0.0, 1e12) as u64;
    let pair = |large: u64, unit: &str, small: u64, small_unit: &str| {
        if small == 0 {
            format!("{large} {unit}")
        } else {
            format!("{large} {unit} {small} {small_unit}")
        }
    };
    match whole {
        0..60 => format!("{whole} s"),
        60..3_600 => pair(whole / 60, "m", whole % 60, "s"),
        3_600..86_400 => pair(whole / 3_600, "h", whole % 3_600 / 60, "m"),
        _ => pair(whole / 86_400, "d", whole % 86_400 / 3_600, "h"),
    }
}

/// Returns the time of day of a moment in RFC 3339: `10:03:13Z`. What is no moment is returned as
/// it is.
pub(crate) fn time_of_day(moment: &str) -> String {
    match (moment.get(11..19), moment.ends_with('Z')) {
        (Some(time), true) => format!("{time}Z"),
        (Some(_) | None, _) => moment.to_owned(),
    }
}

/// Returns the time of day with milliseconds: `10:03:13.012`.
pub(crate) fn time_with_millis(moment: &str) -> String {
    moment.get(11..23).unwrap_or(moment).trim_end_matches('Z').to_owned()
}

/// Returns the seconds from one moment to another, both in RFC 3339; negative if the second is
/// earlier, `None` if one of them is no moment.
pub(crate) fn seconds_between(from: &str, to: &str) -> Option<f64> {
    let (from, to) = (from.parse::<Timestamp>().ok()?, to.parse::<Timestamp>().ok()?);
    Some(to.duration_since(from).as_secs_f64())
}

/// Returns how long ago a moment is at `now`; nothing if one of them is no moment.
pub(crate) fn age(moment: &str, now: &str) -> String {
    seconds_between(moment, now).map_or_else(String::new, span)
}

/// Names a few: `a`, `a and b`, `a, b and 2 more`.
pub(crate) fn names(all: &[&str]) -> String {
    match all {
        [] => "nothing".to_owned(),
        [one] => (*one).to_owned(),
        [one, two] => format!("{one} and {two}"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} more", rest.len()),
    }
}

fn trimmed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_three_digits_at_most() {
        for (seconds, text) in [
            (0.0, "0 ms"),
            (0.000_04, "40 µs"),
            (0.000_42, "0.4 ms"),
            (0.004, "4 ms"),
            (0.013, "13 ms"),
            (0.999_9, "1 s"),
            (3.24, "3.2 s"),
            (134.0, "2 m 14 s"),
            (8_040.0, "2 h 14 m"),
            (273_600.0, "3 d 4 h"),
        ] {
            assert_eq!(length(seconds), text);
        }
        assert_eq!(span(-3.0), "0 s");
    }

    #[test]
    fn counts_and_rates_are_grouped() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(999), "999");
        assert_eq!(plural(1, "request"), "1 request");
        assert_eq!(plural(1_000, "request"), "1,000 requests");
        assert_eq!(rate(0.0), "0");
        assert_eq!(rate(2.34), "2.3");
        assert_eq!(rate(20.4), "20");
        assert_eq!(rate(12_000.2), "12,000");
    }

    #[test]
    fn a_share_that_is_not_all_or_nothing_never_reads_so() {
        for (share, text) in [
            (0.0, "0 %"),
            (0.000_01, "<0.01 %"),
            (0.001_3, "0.13 %"),
            (0.05, "5 %"),
            (0.5, "50 %"),
            (0.999_9, "99.9 %"),
            (1.0, "100 %"),
        ] {
            assert_eq!(percent(share), text);
        }
    }

    #[test]
    fn moments_are_read_and_compared() {
        let (early, late) = ("2026-11-23T10:03:13.012Z", "2026-11-23T10:05:27.012Z");
        assert_eq!(time_of_day(early), "10:03:13Z");
        assert_eq!(time_with_millis(early), "10:03:13.012");
        assert_eq!(age(early, late), "2 m 14 s");
        assert_eq!(age("?", late), "");
        assert_eq!(time_of_day("?"), "?");
    }

    #[test]
    fn more_than_two_names_are_counted() {
        assert_eq!(names(&[]), "nothing");
        assert_eq!(names(&["a", "b"]), "a and b");
        assert_eq!(names(&["a", "b", "c", "d"]), "a, b and 2 more");
    }
}
