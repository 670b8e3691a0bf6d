//! Sizes in bytes: one number and one unit.

use crate::config::{
    path::clip,
    units::{
        Fault,
        leaf::{Leaf, leaf_impls},
    },
};

/// A number of bytes, which may be zero: one number and one of B, KiB, MiB, GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(pub(crate) usize);

leaf_impls!(Size);

/// More is a slip of the unit, not an intention.
const LARGEST: u64 = 64 << 30;

const REMEDY: &str = "write a number and one of B, KiB, MiB, GiB: `64KiB`, `1MiB`";

/// Largest first.
const UNITS: [(u64, &str); 4] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")];

impl Size {
    pub(crate) const fn kibibytes(number: usize) -> Self {
        Self(number << 10)
    }

    pub(crate) const fn mebibytes(number: usize) -> Self {
        Self(number << 20)
    }
}

impl Leaf for Size {
    const FORMAT: &'static str = "bascule-size";
    const WHAT: &'static str = "a size such as `64KiB` or `1MiB`";
    const EXAMPLE: &'static str = "64KiB";
    const PATTERN: Option<&'static str> = Some(r"^([0-9]+(B|KiB|MiB|GiB)|.*\$\{.*)$");

    fn parse(text: &str) -> Result<Self, Fault> {
        let digits = text.len() - text.trim_start_matches(|it: char| it.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let each = UNITS.iter().find(|(_, name)| *name == unit);
        let Some((each, _)) = each.filter(|_| !number.is_empty()) else {
            return Err(misread(text));
        };
        number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*each))
            .filter(|bytes| *bytes <= LARGEST)
            .and_then(|bytes| usize::try_from(bytes).ok())
            .map(Self)
            .ok_or_else(|| {
                let message = format!("`{}` is too large", clip(text));
                Fault::new(message, format!("write at most `{}`", write(LARGEST)))
            })
    }

    fn write(&self) -> String {
        write(self.0 as u64)
    }
}

/// Writes a size in its largest unit that needs no fraction.
fn write(bytes: u64) -> String {
    let (each, unit) = UNITS
        .into_iter()
        .find(|(each, _)| *each <= bytes && bytes.is_multiple_of(*each))
        .unwrap_or((1, "B"));
    format!("{}{unit}", bytes / each)
}

fn misread(text: &str) -> Fault {
    let shown = clip(text);
    let remedy = match probable_bytes(text) {
        Some(bytes) => format!("write `{}`, if that is what you mean", write(bytes)),
        None => REMEDY.to_owned(),
    };
    if text.parse::<f64>().is_ok() {
        Fault::new(format!("`{shown}` has no unit"), remedy)
    } else {
        Fault::new(format!("`{shown}` is not a size"), remedy)
    }
}

/// Guesses what a malformed size means: `64KB`, `64k`, `1.5MiB`, `1 MiB`, or a bare number, which is
/// bytes.
fn probable_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let is_part = |it: char| it.is_ascii_digit() || it == '.';
    let (number, unit) = text.split_at(text.len() - text.trim_start_matches(is_part).len());
    let each = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" | "byte" | "bytes" => 1_u32,
        "k" | "kb" | "ki" | "kib" => 1 << 10,
        "m" | "mb" | "mi" | "mib" => 1 << 20,
        "g" | "gb" | "gi" | "gib" => 1 << 30,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * f64::from(each);
    (bytes <= LARGEST as f64).then_some(bytes.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected` is what is written back, or the remedy.
    fn check(text: &str, expected: Result<&str, &str>) {
        let found = Size::parse(text).map(|it| it.write()).map_err(|fault| fault.remedy);
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn a_size_is_one_number_and_one_unit() {
        check("0B", Ok("0B"));
        check("0MiB", Ok("0B"));
        check("1000B", Ok("1000B"));
        check("64KiB", Ok("64KiB"));
        check("1024KiB", Ok("1MiB"));
        check("64GiB", Ok("64GiB"));
    }

    #[test]
    fn a_size_in_another_form_is_refused_with_ours() {
        check("65536", Err("write `64KiB`, if that is what you mean"));
        check("64KB", Err("write `64KiB`, if that is what you mean"));
        check("64k", Err("write `64KiB`, if that is what you mean"));
        check("1.5MiB", Err("write `1536KiB`, if that is what you mean"));
        check("1 MiB", Err("write `1MiB`, if that is what you mean"));
        for text in ["much", "", "-1B", "KiB", "inf", "1.2.3MiB", "1TiB"] {
            check(text, Err(REMEDY));
        }
    }

    #[test]
    fn a_size_is_not_endless() {
        check("65GiB", Err("write at most `64GiB`"));
        check("99999999999999999999B", Err("write at most `64GiB`"));
        check("99999999999999999999", Err(REMEDY));
    }
}
