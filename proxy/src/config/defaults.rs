//! Gives listeners, routes and pools what `defaults` says for all of them.
//!
//! This happens in the tree, before anything is decoded: what comes from `defaults` keeps the place
//! where it is written, so that a mistake in it is reported there and every value knows its source.

use crate::config::{
    file::defaults::own_keys,
    locate::{Entry, Kind, Node},
};

/// The key under which the defaults are.
pub(crate) const DEFAULTS: &str = "defaults";

/// Keys of which only one may be given, by the mapping that they are in. Who gives one means not to
/// have another by default.
const EXCLUSIVE: &[(&str, &[&str])] = &[
    ("health_check", &["http", "grpc", "tcp"]),
    ("hash", &["client_address", "header", "cookie", "path"]),
    ("key", &["client_address", "header", "route"]),
    ("sticky", &["secret_file", "secret_env"]),
];

/// Applies the `defaults` of `root`, if it has any.
pub(crate) fn apply(root: &mut Node) {
    let Kind::Map(sections) = &mut root.kind else { return };
    let Some(defaults) = sections.iter().find(|it| it.key == DEFAULTS) else { return };
    let Kind::Map(mut defaults) = defaults.value.kind.clone() else { return };
    for default in &mut defaults {
        if let Kind::Map(keys) = &mut default.value.kind {
            // These are mistakes, and reported as such where they are.
            keys.retain(|it| !own_keys(&default.key).contains(&it.key.as_str()));
        }
        let section = sections.iter_mut().find(|it| it.key == default.key);
        match section.map(|it| &mut it.value.kind) {
            Some(Kind::Map(entries)) => {
                for entry in entries {
                    join(&mut entry.value, &default.value, "");
                }
            }
            Some(Kind::List(items)) => {
                for item in items {
                    join(item, &default.value, "");
                }
            }
            Some(Kind::Plain(_) | Kind::Quoted(_) | Kind::Rejected) | None => {}
        }
    }
}

/// Adds to a mapping, which is the value of `key`, what it lacks of `defaults`.
fn join(given: &mut Node, defaults: &Node, key: &str) {
    let (Kind::Map(given), Kind::Map(defaults)) = (&mut given.kind, &defaults.kind) else { return };
    let exclusive = EXCLUSIVE.iter().find(|(home, _)| *home == key).map_or(&[][..], |it| it.1);
    let has_one = given.iter().any(|it| exclusive.contains(&it.key.as_str()));
    for default in defaults {
        match given.iter_mut().find(|it| it.key == default.key) {
            Some(entry) => join(&mut entry.value, &default.value, &default.key),
            None if has_one && exclusive.contains(&default.key.as_str()) => {}
            None => given.push(Entry::clone(default)),
        }
    }
}
