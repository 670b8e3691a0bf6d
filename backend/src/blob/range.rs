//! The `Range` header (RFC 9110 §14), for one range of bytes.

/// Bytes from `from` up to but not including `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selected {
    /// No range, one that is malformed or in another unit, or several: the header is ignored.
    Whole,
    Part(Range),
    Unsatisfiable,
}

/// What a `Range` header selects of `size` bytes.
pub(crate) fn select(header: &str, size: u64) -> Selected {
    parse(header, size).unwrap_or(Selected::Whole)
}

/// `None` where the header is to be ignored.
fn parse(header: &str, size: u64) -> Option<Selected> {
    let (unit, ranges) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = ranges.trim().split_once('-')?;
    let range = match (first.trim(), last.trim()) {
        ("", suffix) => Range { from: size.saturating_sub(position(suffix)?), to: size },
        (first, "") => Range { from: position(first)?, to: size },
        (first, last) => {
            let (from, last) = (position(first)?, position(last)?);
            if last < from {
                return None;
            }
            Range { from, to: size.min(last.saturating_add(1)) }
        }
    };
    Some(if range.from < range.to { Selected::Part(range) } else { Selected::Unsatisfiable })
}

/// Digits only: `u64::from_str` alone would let a sign pass. Too many digits lie past every end.
fn position(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(from: u64, to: u64) -> Selected {
        Selected::Part(Range { from, to })
    }

    #[test]
    fn ranges_of_ten_bytes() {
        for (header, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=2-5", part(2, 6)),
            ("bytes=2-", part(2, 10)),
            ("bytes=9-99", part(9, 10)),
            ("bytes=-3", part(7, 10)),
            ("bytes=-99", part(0, 10)),
            ("BYTES=0-", part(0, 10)),
            ("bytes=0-99999999999999999999999", part(0, 10)),
            ("bytes=10-", Selected::Unsatisfiable),
            ("bytes=10-20", Selected::Unsatisfiable),
            ("bytes=-0", Selected::Unsatisfiable),
            ("bytes=99999999999999999999999-", Selected::Unsatisfiable),
            ("bytes=5-2", Selected::Whole),
            ("bytes=0-1,4-5", Selected::Whole),
            ("bytes=-", Selected::Whole),
            ("bytes=+1-2", Selected::Whole),
            ("bytes=a-b", Selected::Whole),
            ("lines=0-1", Selected::Whole),
            ("bytes", Selected::Whole),
            ("", Selected::Whole),
        ] {
            assert_eq!(select(header, 10), expected, "{header}");
        }
    }

    #[test]
    fn nothing_of_an_empty_blob_can_be_selected() {
        assert_eq!(select("bytes=0-0", 0), Selected::Unsatisfiable);
        assert_eq!(select("bytes=-5", 0), Selected::Unsatisfiable);
    }
}
