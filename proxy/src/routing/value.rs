//! Values: does what a header or a query holds match?

use http::{HeaderMap, HeaderName};

use crate::model::ValueMatch;

/// Tells whether one of the lines of the header `name` is what `wanted` asks for.
pub(crate) fn is_header(name: &HeaderName, wanted: &ValueMatch, headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(name).iter().map(|value| value.as_bytes());
    match wanted {
        ValueMatch::Exact(exact) => values.any(|it| it == exact.as_bytes()),
        // What is not text fits no pattern.
        ValueMatch::Pattern(pattern) => {
            values.any(|it| std::str::from_utf8(it).is_ok_and(|it| pattern.is_match(it)))
        }
        ValueMatch::Present(is_wanted) => values.next().is_some() == *is_wanted,
    }
}

/// Tells whether one of the parameters called `name` is what `wanted` asks for.
///
/// Names and values are compared as they were sent, like paths: nothing is decoded. A parameter
/// without `=` has an empty value.
pub(crate) fn is_query(name: &str, wanted: &ValueMatch, query: Option<&str>) -> bool {
    let parameters = query.unwrap_or_default().split('&').filter(|it| !it.is_empty());
    let mut values = parameters.filter_map(|it| {
        let (found, value) = it.split_once('=').unwrap_or((it, ""));
        (found == name).then_some(value)
    });
    match wanted {
        ValueMatch::Exact(exact) => values.any(|it| it == exact),
        ValueMatch::Pattern(pattern) => values.any(|it| pattern.is_match(it)),
        ValueMatch::Present(is_wanted) => values.next().is_some() == *is_wanted,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::model::Pattern;

    fn exact(text: &str) -> ValueMatch {
        ValueMatch::Exact(text.to_owned())
    }

    fn pattern(text: &str) -> ValueMatch {
        ValueMatch::Pattern(Pattern::new(text).unwrap())
    }

    #[test]
    fn a_query_is_compared_parameter_by_parameter_as_sent() {
        for (query, name, wanted, expected) in [
            (Some("a=1&b=2"), "b", exact("2"), true),
            (Some("a=1&b=2"), "b", exact("1"), false),
            (Some("a=1&a=2"), "a", exact("2"), true),
            (Some("a=b=c"), "a", exact("b=c"), true),
            (Some("a=%31"), "a", exact("1"), false),
            (Some("a"), "a", exact(""), true),
            (Some("a"), "a", ValueMatch::Present(true), true),
            (Some("ab=1"), "a", ValueMatch::Present(true), false),
            (Some("&&"), "", ValueMatch::Present(true), false),
            (None, "a", ValueMatch::Present(true), false),
            (None, "a", ValueMatch::Present(false), true),
            (Some("a="), "a", ValueMatch::Present(false), false),
            (Some("a=12"), "a", pattern("[0-9]"), false),
            (Some("a=12&a=3"), "a", pattern("[0-9]"), true),
        ] {
            assert_eq!(is_query(name, &wanted, query), expected, "{query:?} {name} {wanted:?}");
        }
    }

    #[test]
    fn one_line_of_a_header_is_enough() {
        let name = HeaderName::from_static("x-stage");
        let mut headers = HeaderMap::new();
        assert!(is_header(&name, &ValueMatch::Present(false), &headers));
        headers.append(&name, HeaderValue::from_static("beta"));
        headers.append(&name, HeaderValue::from_bytes(b"\xff").unwrap());
        headers.append(&name, HeaderValue::from_static("canary-7"));
        for (wanted, expected) in [
            (exact("beta"), true),
            (exact("Beta"), false),
            (exact("canary"), false),
            (pattern("canary-.*"), true),
            (pattern("canary"), false),
            (ValueMatch::Present(true), true),
            (ValueMatch::Present(false), false),
        ] {
            assert_eq!(is_header(&name, &wanted, &headers), expected, "{wanted:?}");
        }
    }
}
