//! The paths and prefixes that routes name, looked up while a request's path is read once.

use std::collections::BTreeMap;

use crate::routing::{
    index::table::{Hash, Table},
    path,
};

/// Which routes name which path.
#[derive(Debug)]
pub(crate) struct Paths {
    /// By the path that they name, and that path.
    places: Vec<(Box<str>, Place)>,
    table: Table,
    /// Length of the longest path, in bytes: a request's is read no further.
    longest: usize,
}

/// The routes that name one path: indices, ascending.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// Those for this path alone.
    pub(crate) exact: Vec<usize>,
    /// Those for it and all below it. Then it begins with `/`.
    pub(crate) below: Vec<usize>,
}

impl Paths {
    pub(crate) fn new(places: BTreeMap<&str, Place>) -> Self {
        let hashes: Vec<Hash> = places.keys().map(|path| Hash::of(path.bytes())).collect();
        Self {
            longest: places.keys().map(|path| path.len()).max().unwrap_or(0),
            places: places.into_iter().map(|(path, place)| (path.into(), place)).collect(),
            table: Table::new(&hashes),
        }
    }

    /// Calls `found` with routes whose conditions on the path hold, until none is left that names it.
    pub(crate) fn each(&self, path: &str, mut found: impl FnMut(&[usize])) {
        if self.places.is_empty() {
            return;
        }
        let bytes = path.as_bytes();
        let mut hash = Hash::default();
        // A prefix ends before a slash or with one.
        for (at, &byte) in bytes.iter().enumerate().take(self.longest) {
            let is_end = byte == b'/';
            if is_end && at != 0 && bytes[at - 1] != b'/' {
                self.below(hash, path, at, &mut found);
            }
            hash.eat(byte);
            if is_end && at + 1 < bytes.len() {
                self.below(hash, path, at + 1, &mut found);
            }
        }
        if self.longest < bytes.len() {
            if bytes[self.longest] == b'/' && !path[..self.longest].ends_with('/') {
                self.below(hash, path, self.longest, &mut found);
            }
        } else if let Some((prefix, place)) = self.find(hash, path) {
            found(&place.exact);
            if !place.below.is_empty() && path::is_below(prefix, path) {
                found(&place.below);
            }
        }
    }

    /// Calls `found` with the routes for the prefix of this length, which has this hash.
    fn below(&self, hash: Hash, path: &str, length: usize, found: &mut impl FnMut(&[usize])) {
        if let Some((prefix, place)) = self.find(hash, &path[..length])
            && !place.below.is_empty()
            && path::is_below(prefix, path)
        {
            found(&place.below);
        }
    }

    fn find(&self, hash: Hash, path: &str) -> Option<&(Box<str>, Place)> {
        let number = self.table.find(hash, |number| *self.places[number].0 == *path)?;
        self.places.get(number)
    }
}
