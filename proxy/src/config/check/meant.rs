//! What somebody meant who wrote one value where keys are expected.

use crate::config::{
    check::scalar::scalar,
    path::clip,
    shape::{Key, Shape},
};

/// Kinds that take nearly any text, from which nothing follows.
const VAGUE: [&str; 8] = [
    "bascule-regex",
    "bascule-file",
    "bascule-name",
    "bascule-text",
    "bascule-service",
    "bascule-field-value",
    "bascule-header-line",
    "bascule-host",
];

/// More are no help to choose from.
const MOST: usize = 4;

/// Returns the ways to write `text` below a key of this `shape`, the plainest only: `{ http: {
/// path: /health } }` for `/health`. None if it could stand nowhere, or nearly everywhere.
pub(crate) fn ways(text: &str, shape: &Shape) -> Vec<String> {
    let direct = below(text, shape);
    let found = if direct.is_empty() {
        inner(shape)
            .flat_map(|(name, shape)| {
                below(text, shape).into_iter().map(move |way| format!("{{ {name}: {way} }}"))
            })
            .collect()
    } else {
        direct
    };
    if found.len() <= MOST { found } else { Vec::new() }
}

fn inner(shape: &Shape) -> impl Iterator<Item = (&str, &Shape)> {
    keys(shape).iter().map(|key| (key.name.as_str(), &key.shape))
}

fn keys(shape: &Shape) -> &[Key] {
    match shape {
        Shape::Keys(keys) => keys,
        Shape::Named { .. }
        | Shape::List { .. }
        | Shape::Text(_)
        | Shape::Choice(_)
        | Shape::Whole { .. }
        | Shape::Truth => &[],
    }
}

/// Returns what was meant by `text` that is a key and its value without the space between.
pub(crate) fn unspaced(text: &str, shape: &Shape) -> Option<String> {
    let (key, value) = text.split_once(':')?;
    inner(shape).any(|(name, _)| name == key).then(|| format!("{key}: {}", clip(value)))
}

fn below(text: &str, shape: &Shape) -> Vec<String> {
    let takes = |shape: &Shape| match shape {
        Shape::Text(kind) => !VAGUE.contains(&kind.format) && scalar(text, shape).is_ok(),
        Shape::Choice(_) | Shape::Whole { .. } | Shape::Truth => scalar(text, shape).is_ok(),
        Shape::Keys(_) | Shape::Named { .. } | Shape::List { .. } => false,
    };
    let shown = if text.contains([':', '#', '*', '%', '{', '[']) {
        format!("{:?}", clip(text))
    } else {
        clip(text)
    };
    let with_required = |given: &str| {
        let others = required(shape).filter(|name| *name != given);
        let keys = others.map(|name| format!("{name}: …")).chain([format!("{given}: {shown}")]);
        format!("{{ {} }}", keys.collect::<Vec<_>>().join(", "))
    };
    inner(shape).filter(|(_, shape)| takes(shape)).map(|(name, _)| with_required(name)).collect()
}

/// Returns the keys that a mapping of this shape must have.
pub(crate) fn required(shape: &Shape) -> impl Iterator<Item = &str> {
    keys(shape).iter().filter(|key| key.required).map(|key| key.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::shape;

    fn check(path: &str, text: &str, expected: &[&str]) {
        let mut found = None;
        shape::root().unwrap().visit("", &mut |at, key| {
            if format!("{at}.{}", key.name) == path {
                found = Some(ways(text, &key.shape));
            }
        });
        assert_eq!(found.as_deref().unwrap(), expected, "{path}: {text}");
    }

    #[test]
    fn one_value_finds_the_key_that_takes_it() {
        check("pools.*.retries", "3", &["{ max_attempts: 3 }"]);
        check("pools.*.health_check", "/health", &["{ http: { path: /health } }"]);
        check("pools.*.backends[].url", "on", &[]);
        check("listeners.*.tls", "on", &[]);
        check("routes[].match", "/v1", &["{ path: /v1 }", "{ path_prefix: /v1 }"]);
    }
}
