//! Regular expressions that a whole text must fit.

use regex::{Regex, RegexBuilder};

/// Longest pattern, in bytes. Longer ones are lists that belong elsewhere.
const LONGEST: usize = 1024;
/// Bound on what one compiled pattern takes, in bytes: ten times what a long path pattern needs.
const COMPILED: usize = 256 * 1024;
/// Bound on what is remembered while matching, per thread, in bytes.
const REMEMBERED: usize = 1024 * 1024;
/// Brackets within each other.
const DEPTH: u32 = 32;

/// A regular expression that is compared with all of a text, never with a part of it.
///
/// Matching takes time in proportion to the text, whatever the pattern and the text are: there is
/// no backtracking, and patterns that would need it are refused.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles `text`.
    ///
    /// # Errors
    /// Says why it is not a pattern, or that it is too large.
    pub fn new(text: &str) -> Result<Self, String> {
        if LONGEST < text.len() {
            return Err(format!("it is longer than {LONGEST} bytes"));
        }
        // By itself first: `a)|(b` is no pattern, but would be one between the brackets.
        compile(text)?;
        Ok(Self { text: text.to_owned(), regex: compile(&format!("\\A(?:{text})\\z"))? })
    }

    /// Returns the pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Tells whether all of `text` fits.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// Returns `template` with `$1`, `$name` and `${name}` replaced by what these groups of the
    /// pattern took of `text`; `None` if `text` does not fit.
    pub fn expand(&self, text: &str, template: &str) -> Option<String> {
        let groups = self.regex.captures(text)?;
        let mut expanded = String::new();
        groups.expand(template, &mut expanded);
        Some(expanded)
    }

    /// Returns the first group that `template` names and the pattern does not have.
    pub fn missing_group(&self, template: &str) -> Option<String> {
        let is_part = |it: char| it.is_ascii_alphanumeric() || it == '_';
        let mut rest = template;
        while let Some((_, after)) = rest.split_once('$') {
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                rest = after;
                continue;
            }
            let named = match rest.strip_prefix('{').and_then(|it| it.split_once('}')) {
                Some((name, _)) => name,
                None => rest.split(|it| !is_part(it)).next().unwrap_or_default(),
            };
            if !named.is_empty() && !self.has_group(named) {
                return Some(named.to_owned());
            }
        }
        None
    }

    fn has_group(&self, name: &str) -> bool {
        match name.parse::<usize>() {
            Ok(number) => number < self.regex.captures_len(),
            Err(_) => self.regex.capture_names().flatten().any(|it| it == name),
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

fn compile(text: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(text)
        .size_limit(COMPILED)
        .dfa_size_limit(REMEMBERED)
        .nest_limit(DEPTH)
        .build();
    built.map_err(|error| {
        if matches!(error, regex::Error::CompiledTooBig(_)) {
            return "it takes too much memory".to_owned();
        }
        // The last of several lines says what is wrong; the others draw where.
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default();
        last.strip_prefix("error: ").unwrap_or(last).to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_compared_with_all_of_a_text() {
        let pattern = Pattern::new("/a|/b[0-9]+").unwrap();
        for (text, expected) in
            [("/a", true), ("/b12", true), ("/ab1", false), ("x/a", false), ("/a\n", false)]
        {
            assert_eq!(pattern.is_match(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_pattern_or_too_large_says_why() {
        for (text, expected) in [
            ("a)|(b", "unopened group"),
            ("(", "unclosed group"),
            (r"(a)\1", "backreferences are not supported"),
            ("a(?=b)", "look-around, including look-ahead and look-behind, is not supported"),
            (r"(\w{100}){100}", "it takes too much memory"),
            ("(?x) a # b", "unclosed group"),
        ] {
            assert_eq!(Pattern::new(text).map(drop), Err(expected.to_owned()), "{text}");
        }
        assert!(Pattern::new(&"a".repeat(1025)).is_err());
        assert!(Pattern::new(&("(".repeat(40) + &")".repeat(40))).is_err());
    }

    #[test]
    fn groups_are_put_into_a_template() {
        let pattern = Pattern::new("/users/(?<id>[0-9]+)(/.*)?").unwrap();
        assert_eq!(pattern.expand("/users/7/x", "/u/$id$2").as_deref(), Some("/u/7/x"));
        assert_eq!(pattern.expand("/users/7", "/u/${id}x$2").as_deref(), Some("/u/7x"));
        assert_eq!(pattern.expand("/users/x", "/u"), None);
        for (template, missing) in [
            ("/u/$id$2", None),
            ("/u/${id}x", None),
            ("/u/$idx", Some("idx")),
            ("/$3", Some("3")),
            ("/${x}", Some("x")),
            ("/$$x", None),
            ("/$", None),
        ] {
            assert_eq!(pattern.missing_group(template).as_deref(), missing, "{template}");
        }
    }
}
