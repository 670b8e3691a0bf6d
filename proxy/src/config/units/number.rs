//! Numbers with a meaning of their own: multiples, and what a tier needs.

use std::num::NonZeroUsize;

use crate::config::{
    path::clip,
    units::{
        Fault, Percent,
        leaf::{Leaf, leaf_impls},
    },
};

/// A multiple from 1 to 100, which may have a fraction.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct Factor(pub(crate) f64);

/// What a tier needs in order to carry all traffic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Capacity {
    /// So many eligible backends, 1 to 1000.
    Backends(NonZeroUsize),
    /// This share of its weight, above 0.
    Share(Percent),
}

leaf_impls!(Factor, Capacity);

const LARGEST_FACTOR: f64 = 100.0;

const MOST_BACKENDS: usize = 1000;

/// Reads digits with at most one point among them; nothing else that a float may look like.
fn decimal(text: &str) -> Option<f64> {
    let is_plain = text.starts_with(|it: char| it.is_ascii_digit())
        && text.chars().all(|it| it.is_ascii_digit() || it == '.');
    is_plain.then(|| text.parse().ok()).flatten()
}

impl Leaf for Factor {
    const FORMAT: &'static str = "bascule-factor";
    const WHAT: &'static str = "a multiple such as `4`";
    const EXAMPLE: &'static str = "4";
    const PATTERN: Option<&'static str> = Some(r"^([0-9]+(\.[0-9]+)?|.*\$\{.*)$");
    const NUMBERS: Option<&'static str> = Some("number");

    fn parse(text: &str) -> Result<Self, Fault> {
        let shown = clip(text);
        let remedy = || format!("write 1 to {LARGEST_FACTOR}");
        if let Some(factor) = decimal(text) {
            if (1.0..=LARGEST_FACTOR).contains(&factor) {
                return Ok(Self(factor));
            }
            let message = format!("`{shown}` is not from 1 to {LARGEST_FACTOR}");
            return Err(Fault::new(message, remedy()));
        }
        let percent = text.strip_suffix('%').and_then(decimal).map(|it| it / 100.0);
        let meant = percent.or_else(|| decimal(text.trim_matches(['x', 'X', ' '])));
        let remedy = match meant.filter(|it| (1.0..=LARGEST_FACTOR).contains(it)) {
            Some(meant) => format!("write `{meant}`, if that is what you mean"),
            None => remedy(),
        };
        Err(Fault::new(format!("`{shown}` is not a multiple"), remedy))
    }

    fn write(&self) -> String {
        self.0.to_string()
    }
}

impl Leaf for Capacity {
    const FORMAT: &'static str = "bascule-capacity";
    const WHAT: &'static str = "a number of backends such as `1`, or a share such as `50%`";
    const EXAMPLE: &'static str = "1";
    const PATTERN: Option<&'static str> = Some(r"^([0-9]+|[0-9]+(\.[0-9]+)?%|.*\$\{.*)$");
    const NUMBERS: Option<&'static str> = Some("integer");

    fn parse(text: &str) -> Result<Self, Fault> {
        let shown = clip(text);
        let least = |least: &str| {
            let message = format!("with `{shown}`, the tier would never hand over");
            Fault::new(message, format!("write at least `{least}`"))
        };
        if text.ends_with('%') {
            let share = Percent::parse(text)?;
            return if share.0 <= 0.0 { Err(least("1%")) } else { Ok(Self::Share(share)) };
        }
        if !text.is_empty() && text.chars().all(|it| it.is_ascii_digit()) {
            let number = text.parse().ok().filter(|number| *number <= MOST_BACKENDS);
            let number = number.ok_or_else(|| {
                let message = format!("`{shown}` is more backends than a tier can have");
                Fault::new(message, format!("write at most `{MOST_BACKENDS}`, or a share: `50%`"))
            })?;
            return NonZeroUsize::new(number).map(Self::Backends).ok_or_else(|| least("1"));
        }
        let remedy = match decimal(text).filter(|share| 0.0 < *share && *share < 1.0) {
            Some(share) => {
                format!("write `{}`, if that is what you mean", Percent(share).write())
            }
            None => "write a number of backends, or a percentage of the tier's weight: `1`, `50%`"
                .to_owned(),
        };
        Err(Fault::new(format!("`{shown}` is neither a number of backends nor a share"), remedy))
    }

    fn write(&self) -> String {
        match self {
            Self::Backends(number) => number.to_string(),
            Self::Share(share) => share.write(),
        }
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
    fn a_factor_is_a_multiple_from_one_to_a_hundred() {
        check::<Factor>("4", Ok("4"));
        check::<Factor>("2.50", Ok("2.5"));
        check::<Factor>("100", Ok("100"));
        check::<Factor>("400%", Err("write `4`, if that is what you mean"));
        check::<Factor>("4x", Err("write `4`, if that is what you mean"));
        for text in ["0.5", "0", "101", "-2", "inf", "NaN", "", "1e1", "many"] {
            check::<Factor>(text, Err("write 1 to 100"));
        }
    }

    #[test]
    fn a_capacity_is_a_count_or_a_share() {
        check::<Capacity>("1", Ok("1"));
        check::<Capacity>("1000", Ok("1000"));
        check::<Capacity>("50%", Ok("50%"));
        check::<Capacity>("0.5%", Ok("0.5%"));
        check::<Capacity>("100%", Ok("100%"));
        check::<Capacity>("0", Err("write at least `1`"));
        check::<Capacity>("0%", Err("write at least `1%`"));
        check::<Capacity>("150%", Err("write `0%` to `100%`"));
        check::<Capacity>("0.5", Err("write `50%`, if that is what you mean"));
        check::<Capacity>("1001", Err("write at most `1000`, or a share: `50%`"));
        for text in ["half", "1.5", "-1", ""] {
            let remedy =
                "write a number of backends, or a percentage of the tier's weight: `1`, `50%`";
            check::<Capacity>(text, Err(remedy));
        }
    }
}
