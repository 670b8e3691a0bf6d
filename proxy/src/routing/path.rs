//! Paths: does the one that the client asked for match, and does it stay below its prefix?

use crate::model::PathMatch;

/// Tells whether `path`, as sent and without query, is what `wanted` asks for.
///
/// A prefix that ends with `/` does not match the path without it: `/v1/` is not `/v1`.
pub(crate) fn is_match(wanted: &PathMatch, path: &str) -> bool {
    match wanted {
        PathMatch::Exact(exact) => path == exact,
        PathMatch::Prefix(prefix) => is_below(prefix, path),
        PathMatch::Pattern(pattern) => !climbs(path) && pattern.is_match(path),
    }
}

/// Tells whether `path` is `prefix` or continues below it, and stays there.
pub(crate) fn is_below(prefix: &str, path: &str) -> bool {
    below(prefix, path).is_some_and(|rest| prefix == "/" || !climbs(rest))
}

/// Returns what follows `prefix` in `path`, if `path` is `prefix` or continues below it.
pub(crate) fn below<'a>(prefix: &str, path: &'a str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/')).then_some(rest)
}

/// Tells whether some server may read a segment of `path` as `..`.
///
/// Slashes and dots are recognised percent-encoded once, `\` counts as a slash, and a segment
/// ends at `;` (Java's servers take what follows for parameters).
pub(crate) fn climbs(path: &str) -> bool {
    if memchr::memchr2(b'.', b'%', path.as_bytes()).is_none() {
        return false;
    }
    let mut segment = Segment::Empty;
    let mut rest = path.as_bytes();
    while let Some((byte, length)) = next_byte(rest) {
        rest = &rest[length..];
        segment = match (segment, byte) {
            (Segment::Dots, b'/' | b'\\' | b';') => return true,
            (_, b'/' | b'\\') => Segment::Empty,
            (Segment::Empty, b'.') => Segment::Dot,
            (Segment::Dot, b'.') => Segment::Dots,
            (Segment::Empty | Segment::Dot | Segment::Dots | Segment::Other, _) => Segment::Other,
        };
    }
    segment == Segment::Dots
}

/// What was read of a segment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Segment {
    Empty,
    /// `.`
    Dot,
    /// `..`
    Dots,
    Other,
}

/// Returns the first byte, decoded if it is percent-encoded, and how many bytes stood for it.
fn next_byte(bytes: &[u8]) -> Option<(u8, usize)> {
    if let [b'%', high, low, ..] = *bytes
        && let (Some(high), Some(low)) = (hex(high), hex(low))
    {
        return Some((high << 4 | low, 3));
    }
    bytes.first().map(|&byte| (byte, 1))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Pattern;

    fn check_prefix(prefix: &str, path: &str, expected: bool) {
        let wanted = PathMatch::Prefix(prefix.to_owned());
        assert_eq!(is_match(&wanted, path), expected, "{prefix} and {path}");
    }

    #[test]
    fn a_prefix_ends_where_a_segment_ends() {
        check_prefix("/v1", "/v1", true);
        check_prefix("/v1", "/v1/", true);
        check_prefix("/v1", "/v1/x", true);
        check_prefix("/v1", "/v1x", false);
        check_prefix("/v1/", "/v1/", true);
        check_prefix("/v1/", "/v1/x", true);
        check_prefix("/v1/", "/v1x", false);
        check_prefix("/v1/", "/v1", false);
        check_prefix("/", "/anything", true);
        check_prefix("/", "*", false);
        check_prefix("/v1", "/V1/x", false);
    }

    #[test]
    fn a_path_that_may_climb_is_below_no_prefix() {
        for path in [
            "/v1/../admin",
            "/v1/x/../../admin",
            "/v1/..",
            "/v1/%2e%2e/admin",
            "/v1/.%2E/admin",
            "/v1/..%2fadmin",
            "/v1/..%5Cadmin",
            "/v1/..\\admin",
            "/v1/..;/admin",
            "/v1/x%2f..%2f..",
        ] {
            check_prefix("/v1", path, false);
            check_prefix("/v1/", path, false);
            check_prefix("/", path, true);
        }
    }

    #[test]
    fn dots_that_are_part_of_a_name_are_only_dots() {
        for path in ["/v1/.well-known", "/v1/a..b", "/v1/..a", "/v1/...", "/v1/a..", "/v1/./x"] {
            check_prefix("/v1/", path, true);
        }
    }

    #[test]
    fn a_pattern_fits_the_whole_path_and_none_that_may_climb() {
        let wanted = PathMatch::Pattern(Pattern::new("/v[0-9]+/.*").unwrap());
        for (path, expected) in [
            ("/v1/x", true),
            ("/v12/", true),
            ("/x/v1/", false),
            ("/v1", false),
            ("/v1/../admin", false),
            ("/v1/%2e%2e/admin", false),
            ("/v1/a..b", true),
        ] {
            assert_eq!(is_match(&wanted, path), expected, "{path}");
        }
    }

    #[test]
    fn an_exact_path_is_compared_to_the_letter() {
        let wanted = PathMatch::Exact("/data".to_owned());
        assert!(is_match(&wanted, "/data"));
        assert!(!is_match(&wanted, "/data/"));
        assert!(!is_match(&wanted, "/%64ata"));
    }

    proptest! {
        /// Resolves dots as RFC 3986 §5.2.4 does, after decoding what may be decoded.
        #[test]
        fn what_matches_a_prefix_is_below_it_when_resolved(
            path in "/v1((/|%2f|%2F|\\\\)(\\.|%2e|a|;){0,3}){0,5}",
        ) {
            let wanted = PathMatch::Prefix("/v1".to_owned());
            if is_match(&wanted, &path) {
                let plain = path.to_lowercase().replace("%2e", ".").replace("%2f", "/");
                let mut depth = 0;
                for segment in plain.replace('\\', "/").split('/').skip(2) {
                    match segment.split(';').next().unwrap() {
                        "." | "" => {}
                        ".." => depth -= 1,
                        _ => depth += 1,
                    }
                    prop_assert!(0 <= depth, "{} climbs", path);
                }
            }
        }

        #[test]
        fn nothing_a_client_sends_can_break_the_comparison(path in any::<String>()) {
            _ = is_match(&PathMatch::Prefix("/v1".to_owned()), &format!("/v1/{path}"));
        }
    }
}
