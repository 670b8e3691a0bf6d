//! `bascule explain`: one key or one code of a problem, from the same descriptions as the reference.

use std::fmt::Write as _;

use serde_json::Value;

mod why;

use crate::config::{
    problem::{Code, Severity},
    shape::{self, Key, Shape},
    suggest::nearest,
};

/// Why there is nothing to explain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unexplained {
    /// There is no such key or code.
    #[error("there is no key or code `{asked}`{}", hint(.meant))]
    Unknown {
        /// What was asked for.
        asked: String,
        /// What was perhaps meant; empty if nothing comes near.
        meant: Vec<String>,
    },
    /// There are several, in different places.
    #[error("`{asked}` is the name of several keys; say which:{}", listed(.found))]
    Ambiguous {
        /// What was asked for.
        asked: String,
        /// All of them.
        found: Vec<String>,
    },
}

fn hint(meant: &[String]) -> String {
    match meant {
        [] => "; config/REFERENCE.md lists all of them".to_owned(),
        [one] => format!("; did you mean `{one}`?"),
        several => format!("; did you mean one of these?{}", listed(several)),
    }
}

fn listed(paths: &[String]) -> String {
    paths.iter().map(|path| format!("\n  {path}")).collect()
}

/// More candidates than anybody reads.
const MOST_CANDIDATES: usize = 20;

/// Returns what a key or a code means, as text for people.
///
/// A key may be written as in the reference (`pools.*.balance`), with names in the places of
/// wildcards (`pools.api.balance`), without them (`pools.balance`), or by as much of its end as
/// tells it apart (`health_check.interval`).
///
/// # Errors
/// When there is no such thing, or several.
pub fn explain(asked: &str) -> Result<String, Unexplained> {
    if let Some(code) = Code::ALL.iter().find(|code| code.id().eq_ignore_ascii_case(asked.trim())) {
        return Ok(code_text(*code));
    }
    let keys = keys();
    match find(&keys, asked).as_slice() {
        [] => Err(unknown(&keys, asked)),
        [(path, key)] => Ok(key_text(path, key)),
        several => {
            let found = several.iter().take(MOST_CANDIDATES).map(|(path, _)| path.clone());
            Err(Unexplained::Ambiguous { asked: asked.to_owned(), found: found.collect() })
        }
    }
}

type Keys = Vec<(String, &'static Key)>;
type Accept<'a> = &'a dyn Fn(&[String]) -> bool;

/// Returns every key there is by its path.
fn keys() -> Keys {
    let mut keys = Vec::new();
    if let Ok(root) = shape::root() {
        root.visit("", &mut |at, key| {
            let dot = if at.is_empty() { "" } else { "." };
            keys.push((format!("{at}{dot}{}", key.name), key));
        });
    }
    keys
}

/// Splits `pools.*.backends[].url` into its steps; a list's entry is a step, whatever its number.
fn steps(path: &str) -> Vec<String> {
    let mut steps = Vec::new();
    for part in path.trim().split('.') {
        let (name, entry) =
            part.split_once('[').map_or((part, None), |(name, it)| (name, Some(it)));
        steps.push(name.to_owned());
        if entry.is_some() {
            steps.push("[]".to_owned());
        }
    }
    steps.retain(|it| !it.is_empty());
    steps
}

fn is_wildcard(step: &str) -> bool {
    step == "*" || step == "[]"
}

fn find(keys: &Keys, asked: &str) -> Keys {
    let asked = match steps(asked) {
        // What `defaults` holds is described where it belongs.
        steps if steps.first().is_some_and(|it| it == "defaults") && 2 < steps.len() => {
            steps.into_iter().skip(1).collect()
        }
        steps => steps,
    };
    if asked.is_empty() {
        return Vec::new();
    }
    let bare = |steps: &[String]| -> Vec<String> {
        steps.iter().filter(|it| !is_wildcard(it)).cloned().collect()
    };
    let ends_with = |pattern: &[String], asked: &[String]| {
        let tail = pattern.len().checked_sub(asked.len()).and_then(|from| pattern.get(from..));
        tail.is_some_and(|tail| {
            tail.iter().zip(asked).all(|(step, it)| step == it || step == "*" || it == "*")
        })
    };
    let select = |accept: Accept<'_>| -> Keys {
        keys.iter().filter(|(path, _)| accept(&steps(path))).cloned().collect()
    };
    let tries: [Accept<'_>; 4] = [
        &|it| it.len() == asked.len() && ends_with(it, &asked),
        &|it| bare(it) == bare(&asked),
        &|it| ends_with(it, &asked) && it.last() == asked.last(),
        &|it| ends_with(&bare(it), &bare(&asked)),
    ];
    tries.iter().map(|accept| select(accept)).find(|it| !it.is_empty()).unwrap_or_default()
}

fn unknown(keys: &Keys, asked: &str) -> Unexplained {
    let asked_steps = steps(asked);
    let last = asked_steps.last().cloned().unwrap_or_default();
    let names = keys.iter().map(|(_, key)| key.name.as_str());
    let mut meant = Vec::new();
    if asked.starts_with(['B', 'b']) && asked.chars().skip(1).all(|it| it.is_ascii_digit()) {
        meant.extend(nearest(asked, Code::ALL.iter().map(|it| it.id())).map(str::to_owned));
    } else if let Some(name) = nearest(&last, names) {
        let above = asked_steps.len().checked_sub(2).and_then(|at| asked_steps.get(at));
        let all = keys.iter().filter(|(_, key)| key.name == name).map(|(path, _)| path.clone());
        meant.extend(all);
        // Where the step above is right, it tells which was meant.
        let is_beside = |path: &String| above.is_some_and(|above| steps(path).contains(above));
        if meant.iter().any(is_beside) {
            meant.retain(is_beside);
        }
        meant.truncate(MOST_CANDIDATES);
    }
    Unexplained::Unknown { asked: asked.to_owned(), meant }
}

fn code_text(code: Code) -> String {
    let severity = match code.severity() {
        Severity::Error => "error: the configuration is refused",
        Severity::Warning => "warning: the configuration is accepted, unless `--strict` is given",
    };
    format!("{} ({severity})\n\n{}\n\nFound in: {}\n", code.id(), code.meaning(), code.pass())
}

fn key_text(path: &str, key: &Key) -> String {
    let mut text = format!("{path}\n\n{}\n", wrapped(&key.description));
    // Writing to a string cannot fail.
    _ = write!(text, "\nValue:    {}\n", key.shape.what());
    let default = match &key.default {
        _ if key.required => "none; it must be given".to_owned(),
        Some(value) => plain(value),
        None if is_section(&key.shape) => "those of its keys".to_owned(),
        None => "none; it may be absent".to_owned(),
    };
    _ = writeln!(text, "Default:  {default}");
    if let Some(reason) = why::reason(path) {
        _ = writeln!(text, "Why:      {reason}");
    }
    if let Shape::Choice(words) = &key.shape {
        text.push('\n');
        for word in words {
            _ = writeln!(text, "  {:16}  {}", word.text, word.meaning);
        }
    }
    if let Some(of) = &key.keys_of {
        _ = write!(text, "\nIts keys are those of `{of}`; none of them is required.\n");
    } else if let Some(keys) = inner(&key.shape) {
        text.push_str("\nKeys:\n");
        for key in keys {
            _ = writeln!(text, "  {:16}  {}", key.name, first_sentence(&key.description));
        }
    }
    _ = write!(text, "\nExample:\n\n{}", example(path, key));
    text
}

fn is_section(shape: &Shape) -> bool {
    matches!(shape, Shape::Keys(_))
}

fn inner(shape: &Shape) -> Option<&[Key]> {
    match shape {
        Shape::Keys(keys) => Some(keys),
        Shape::Named { value, .. } => inner(value),
        Shape::List { item, .. } => inner(item),
        Shape::Text(_) | Shape::Choice(_) | Shape::Whole { .. } | Shape::Truth => None,
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn first_sentence(text: &str) -> &str {
    text.find(". ").and_then(|at| text.get(..=at)).unwrap_or(text)
}

/// Returns the key with a value, inside everything that it stands in.
fn example(path: &str, key: &Key) -> String {
    let mut lines = String::new();
    let (mut indent, mut lead) = (2, String::new());
    let steps = steps(path);
    let (last, above) = match steps.split_last() {
        Some((last, above)) => (last.as_str(), above),
        None => return lines,
    };
    for step in above {
        match step.as_str() {
            "[]" => "- ".clone_into(&mut lead),
            "*" => {
                _ = writeln!(lines, "{}{lead}NAME:", " ".repeat(indent));
                (indent, lead) = (indent + 2, String::new());
            }
            name => {
                _ = writeln!(lines, "{}{lead}{name}:", " ".repeat(indent));
                (indent, lead) = (indent + 2 + lead.len(), String::new());
            }
        }
    }
    let is_empty = |it: &Value| it.is_null() || it.as_array().is_some_and(Vec::is_empty);
    let default = key.default.as_ref().filter(|it| !is_empty(it));
    let value = default.map_or_else(|| sample(&key.shape), plain);
    let line = format!("{}{lead}{last}: {value}", " ".repeat(indent));
    _ = writeln!(lines, "{}", line.trim_end());
    lines
}

/// Returns a valid value, in the form that fits on a line.
fn sample(shape: &Shape) -> String {
    match shape {
        Shape::Keys(keys) => {
            let required: Vec<String> = keys
                .iter()
                .filter(|key| key.required)
                .map(|key| format!("{}: {}", key.name, sample(&key.shape)))
                .collect();
            // Without any, the first that has a default stands for all.
            let plainest = keys.iter().find_map(|key| {
                let default = key.default.as_ref().filter(|it| !it.is_array())?;
                Some(format!("{}: {}", key.name, plain(default)))
            });
            match (required.is_empty(), plainest) {
                (true, None) => "{}".to_owned(),
                (true, Some(key)) => format!("{{ {key} }}"),
                (false, _) => format!("{{ {} }}", required.join(", ")),
            }
        }
        Shape::Named { value, .. } => format!("{{ NAME: {} }}", sample(value)),
        Shape::List { item, .. } => format!("[{}]", sample(item)),
        Shape::Text(kind) => {
            let needs_quotes = kind.example.contains(['*', ':', '#', '{', '[', '%', '&', '!', '^']);
            if needs_quotes { format!("{:?}", kind.example) } else { kind.example.to_owned() }
        }
        Shape::Choice(words) => words.first().map(|it| it.text.clone()).unwrap_or_default(),
        Shape::Whole { max, .. } => max.to_string(),
        Shape::Truth => "true".to_owned(),
    }
}

fn wrapped(text: &str) -> String {
    const WIDTH: usize = 88;
    let mut wrapped = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        if 0 < column && WIDTH < column + 1 + word.chars().count() {
            wrapped.push('\n');
            column = 0;
        }
        if 0 < column {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += word.chars().count();
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_line(asked: &str) -> String {
        match explain(asked) {
            Ok(text) => text.lines().next().unwrap_or_default().to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_key_is_found_by_every_way_to_write_it() {
        for asked in [
            "pools.*.health_check.interval",
            "pools.api.health_check.interval",
            "pools.health_check.interval",
            "health_check.interval",
            "defaults.pools.health_check.interval",
        ] {
            assert_eq!(first_line(asked), "pools.*.health_check.interval", "{asked}");
        }
        for asked in ["routes[0].timeout", "routes[].timeout", "routes.timeout"] {
            assert_eq!(first_line(asked), "routes[].timeout", "{asked}");
        }
        assert_eq!(first_line("pools"), "pools");
    }

    #[test]
    fn several_are_listed_and_slips_are_found() {
        assert!(matches!(explain("idle"), Err(Unexplained::Ambiguous { .. })));
        let message = first_line("pools.*.balnce");
        assert_eq!(
            message,
            "there is no key or code `pools.*.balnce`; did you mean `pools.*.balance`?"
        );
        assert!(first_line("b0103").starts_with("B0103"));
        assert!(explain("").is_err());
        assert!(explain("[[.*").is_err());
    }

    #[test]
    fn every_key_and_every_code_is_explained() {
        for (path, key) in keys() {
            let text = explain(&path).unwrap_or_else(|error| panic!("{error}"));
            assert!(text.contains("Default:") && text.contains(&key.name), "{text}");
        }
        for code in Code::ALL {
            assert!(explain(code.id()).is_ok());
        }
    }

    #[test]
    fn every_reason_belongs_to_a_key() {
        let keys = keys();
        for (path, _) in why::REASONS {
            assert!(keys.iter().any(|(it, _)| it == path), "{path}");
        }
    }
}
