//! What values of requests are compared with: patterns of hosts, regular expressions, plain text.

use crate::{
    config::{
        path::clip,
        units::{
            Fault,
            http::Host,
            leaf::{Leaf, leaf_impls},
        },
    },
    model,
};

/// A host, or with `*.` before it, all hosts below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPattern(pub(crate) model::HostMatch);

/// A regular expression for all of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(pub(crate) model::Pattern);

/// A path with places for the groups of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathTemplate(pub(crate) String);

/// The value of a header or of a query's parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldValue(pub(crate) String);

leaf_impls!(HostPattern, Pattern, PathTemplate, FieldValue);

/// Longest value of a header that is compared or sent, in bytes: half of what many servers take for
/// all headers.
const LONGEST_VALUE: usize = 4096;

impl Leaf for HostPattern {
    const FORMAT: &'static str = "bascule-host-pattern";
    const WHAT: &'static str = "a host such as `api.example.com` or `*.example.com`";
    const EXAMPLE: &'static str = "api.example.com";

    fn parse(text: &str) -> Result<Self, Fault> {
        if text == "*" {
            return Err(Fault::new("`*` is any host", "remove `hosts`, which says the same"));
        }
        let Some(domain) = text.strip_prefix("*.") else {
            if text.contains('*') {
                let message = format!("`{}`: a `*` stands for whole labels only", clip(text));
                return Err(Fault::new(message, "write it first, with a dot: `*.example.com`"));
            }
            return Ok(Self(model::HostMatch::Exact(Host::parse(text)?.0)));
        };
        let Host(domain) = Host::parse(domain)?;
        let is_address = domain.parse::<std::net::IpAddr>().is_ok() || domain.starts_with('[');
        if is_address {
            let message = format!("`{}`: nothing is below an address", clip(text));
            return Err(Fault::new(message, format!("write `{domain}`")));
        }
        Ok(Self(model::HostMatch::Below(domain)))
    }

    fn write(&self) -> String {
        match &self.0 {
            model::HostMatch::Exact(host) => host.clone(),
            model::HostMatch::Below(domain) => format!("*.{domain}"),
        }
    }
}

impl Leaf for Pattern {
    const FORMAT: &'static str = "bascule-regex";
    const WHAT: &'static str = "a regular expression such as `/v[0-9]+/.*`";
    const EXAMPLE: &'static str = "/v[0-9]+/.*";

    fn parse(text: &str) -> Result<Self, Fault> {
        model::Pattern::new(text).map(Self).map_err(|why| {
            let message = format!("`{}` is not usable as a pattern: {why}", clip(text));
            let remedy = "write a regular expression for the whole value, without look-around and \
                          backreferences, of at most 1024 bytes";
            Fault::new(message, remedy)
        })
    }

    fn write(&self) -> String {
        self.0.as_str().to_owned()
    }
}

impl Leaf for PathTemplate {
    const FORMAT: &'static str = "bascule-path-template";
    const WHAT: &'static str = "a path such as `/users/$1`";
    const EXAMPLE: &'static str = "/users";

    fn parse(text: &str) -> Result<Self, Fault> {
        let fault = |message: &str, remedy: &str| {
            Err(Fault::new(format!("`{}` {message}", clip(text)), remedy))
        };
        if !text.starts_with('/') || text.starts_with("//") {
            return fault("does not begin with one `/`", "write it first: `/$1`");
        }
        if text.contains(['?', '#', '\\']) {
            return fault("is more than a path", "write the path alone; the query stays");
        }
        if !text.bytes().all(|it| it.is_ascii_graphic()) {
            return fault("has characters that no path has", "write them as `%XX`");
        }
        Ok(Self(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl Leaf for FieldValue {
    const FORMAT: &'static str = "bascule-field-value";
    const WHAT: &'static str = "a value such as `beta`";
    const EXAMPLE: &'static str = "beta";
    const NUMBERS: Option<&'static str> = Some("number");

    fn parse(text: &str) -> Result<Self, Fault> {
        let shown = clip(text);
        if LONGEST_VALUE < text.len() {
            let message = format!("`{shown}` has more than {LONGEST_VALUE} bytes");
            return Err(Fault::new(message, format!("write at most {LONGEST_VALUE}")));
        }
        if text.trim_matches([' ', '\t']) != text {
            let message = format!("`{shown}` begins or ends with a space, which no value does");
            return Err(Fault::new(message, format!("write `{}`", clip(text.trim()))));
        }
        if !text.bytes().all(|it| matches!(it, b'\t' | b' '..=b'~')) {
            let message = format!("`{shown}` has characters that no value has");
            return Err(Fault::new(
                message,
                "write letters, digits and signs of ASCII, on one line",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
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
    fn a_wildcard_is_the_whole_first_label() {
        check::<HostPattern>("API.Example.com", Ok("api.example.com"));
        check::<HostPattern>("*.Example.com", Ok("*.example.com"));
        check::<HostPattern>("[::1]", Ok("[::1]"));
        check::<HostPattern>("*", Err("remove `hosts`, which says the same"));
        for text in ["*example.com", "api.*.com", "a*.example.com"] {
            check::<HostPattern>(text, Err("write it first, with a dot: `*.example.com`"));
        }
        check::<HostPattern>("*.127.0.0.1", Err("write `127.0.0.1`"));
        check::<HostPattern>("*.a.example:80", Err("write `a.example`; the port does not matter"));
    }

    #[test]
    fn a_value_is_one_line_of_ascii() {
        check::<FieldValue>("a b; c=\"d\"", Ok("a b; c=\"d\""));
        check::<FieldValue>("", Ok(""));
        check::<FieldValue>(" a", Err("write `a`"));
        let remedy = "write letters, digits and signs of ASCII, on one line";
        for text in ["a\nb", "a\rb", "a\0b", "ä", "a\u{7f}b"] {
            check::<FieldValue>(text, Err(remedy));
        }
        assert!(FieldValue::parse(&"a".repeat(4097)).is_err());
    }
}
