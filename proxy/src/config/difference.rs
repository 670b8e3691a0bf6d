//! What one configuration says otherwise than another: key by key, as a list for people and programs.
//!
//! Both are complete, with every default in its place. Where a list's entries have names (routes,
//! backends), they are told apart by them: one that has been put before another is not a change of
//! both. The order of such a list is a value of its own, where it matters.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// Differences told of at most; a list that is longer says that, and no more.
pub const MOST_CHANGES: usize = 1_000;

/// One difference.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Change {
    /// What became of it.
    pub kind: Kind,
    /// The keys that lead to it, with dots between; entries of lists by their name in brackets.
    pub path: String,
    /// What was there; `null` when it was added.
    pub before: Value,
    /// What is there; `null` when it was removed.
    pub after: Value,
}

/// What became of a part of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It was not there.
    Added,
    /// It is not there any more.
    Removed,
    /// It is another.
    Changed,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            Kind::Added => write!(f, "+ {}", self.path),
            Kind::Removed => write!(f, "- {}", self.path),
            Kind::Changed => write!(f, "~ {}: {} -> {}", self.path, self.before, self.after),
        }
    }
}

/// Returns what `after` says otherwise than `before`, in the order of keys.
pub fn difference(before: &Value, after: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    compare("", before, after, &mut changes);
    changes.truncate(MOST_CHANGES);
    changes
}

fn compare(path: &str, before: &Value, after: &Value, changes: &mut Vec<Change>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => compare_keys(path, before, after, changes),
        (Value::Array(olds), Value::Array(news)) => match (named(olds), named(news)) {
            (Some(old), Some(new)) => {
                compare_named(path, &old, &new, changes);
                compare_order(path, olds, news, changes);
            }
            _ => changes.push(changed(path, before, after)),
        },
        _ => changes.push(changed(path, before, after)),
    }
}

fn compare_keys(
    path: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    changes: &mut Vec<Change>,
) {
    let under = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    for (key, old) in before {
        match after.get(key) {
            Some(new) => compare(&under(key), old, new, changes),
            None => changes.push(removed(under(key), old)),
        }
    }
    for (key, new) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
        changes.push(added(under(key), new));
    }
}

fn compare_named(
    path: &str,
    before: &BTreeMap<&str, &Value>,
    after: &BTreeMap<&str, &Value>,
    changes: &mut Vec<Change>,
) {
    let under = |name: &str| format!("{path}[{name}]");
    for (name, old) in before {
        match after.get(name) {
            Some(new) => compare(&under(name), old, new, changes),
            None => changes.push(removed(under(name), old)),
        }
    }
    for (name, new) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
        changes.push(added(under(name), new));
    }
}

/// Tells of another order of the entries that are in both lists.
fn compare_order(path: &str, before: &[Value], after: &[Value], changes: &mut Vec<Change>) {
    let order = |all: &[Value], others: &[Value]| -> Vec<Value> {
        let others: Vec<&Value> = others.iter().filter_map(|it| it.get("name")).collect();
        let names = all.iter().filter_map(|it| it.get("name"));
        names.filter(|it| others.contains(it)).cloned().collect()
    };
    let (old, new) = (order(before, after), order(after, before));
    if old != new {
        let path = format!("{path}[]");
        changes.push(changed(&path, &Value::Array(old), &Value::Array(new)));
    }
}

/// Returns a list's entries by their names, if all of them have one of their own.
fn named(list: &[Value]) -> Option<BTreeMap<&str, &Value>> {
    let mut found = BTreeMap::new();
    for it in list {
        let name = it.get("name")?.as_str()?;
        if found.insert(name, it).is_some() {
            return None;
        }
    }
    Some(found)
}

fn added(path: String, after: &Value) -> Change {
    Change { kind: Kind::Added, path, before: Value::Null, after: after.clone() }
}

fn removed(path: String, before: &Value) -> Change {
    Change { kind: Kind::Removed, path, before: before.clone(), after: Value::Null }
}

fn changed(path: &str, before: &Value, after: &Value) -> Change {
    let (before, after) = (before.clone(), after.clone());
    Change { kind: Kind::Changed, path: path.to_owned(), before, after }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn told(before: &Value, after: &Value) -> Vec<String> {
        difference(before, after).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn entries_with_names_are_told_apart_by_them() {
        let backend = |name: &str, weight: u32| json!({ "name": name, "weight": weight });
        let before = json!({ "threads": 2, "pools": { "api": {
            "backends": [backend("a", 1), backend("b", 1), backend("c", 1)] } } });
        let after = json!({ "threads": 4, "pools": { "api": {
            "backends": [backend("c", 1), backend("a", 3), backend("d", 1)] }, "web": {} } });
        let expected = [
            "~ pools.api.backends[a].weight: 1 -> 3",
            "- pools.api.backends[b]",
            "+ pools.api.backends[d]",
            r#"~ pools.api.backends[]: ["a","c"] -> ["c","a"]"#,
            "+ pools.web",
            "~ threads: 2 -> 4",
        ];
        assert_eq!(told(&before, &after), expected);
        assert_eq!(told(&after, &after), Vec::<String>::new());
    }

    #[test]
    fn lists_without_names_are_compared_as_a_whole() {
        let (before, after) = (json!({ "s": [502, 503] }), json!({ "s": [502] }));
        assert_eq!(told(&before, &after), ["~ s: [502,503] -> [502]"]);
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![any::<bool>().prop_map(Value::from), (0..3).prop_map(Value::from)];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::btree_map("[a-c]|name", inner.clone(), 0..4)
                    .prop_map(|it| Value::Object(it.into_iter().collect())),
                prop::collection::vec(inner, 0..3).prop_map(Value::Array),
            ]
        })
    }

    proptest! {
        #[test]
        fn there_is_a_difference_if_and_only_if_they_differ(one in values(), other in values()) {
            prop_assert_eq!(difference(&one, &other).is_empty(), one == other);
            let back = difference(&other, &one).len();
            prop_assert_eq!(difference(&one, &other).len(), back);
        }
    }
}
