//! The rules that concern more than one value: names that must exist, addresses that must differ,
//! numbers that must fit each other.

use std::collections::BTreeSet;

mod addresses;
mod limits;
mod listeners;
mod pools;
mod routes;
mod shutdown;

use crate::config::{
    file::File,
    locate::Node,
    path::Path,
    problem::{Code, Location, MOST_PROBLEMS, Problem},
    units::leaf::Leaf,
};

/// What a rule needs to know of the file besides its contents.
pub(crate) struct Review<'r> {
    text: &'r str,
    root: &'r Node,
    /// Paths with a mistake of their own, about which nothing more can be said.
    damaged: &'r BTreeSet<Path>,
    problems: Vec<Problem>,
}

/// Returns everything about `file` that breaks a rule.
pub(crate) fn review(
    text: &str,
    root: &Node,
    damaged: &BTreeSet<Path>,
    file: &File,
) -> Vec<Problem> {
    let mut review = Review { text, root, damaged, problems: Vec::new() };
    addresses::review(file, &mut review);
    listeners::review(file, &mut review);
    routes::review(file, &mut review);
    pools::review(file, &mut review);
    limits::review(file, &mut review);
    shutdown::review(&file.shutdown, &mut review);
    review.problems
}

impl Review<'_> {
    /// Returns whether each of `paths` holds what was meant, or is absent and has its default.
    pub(crate) fn is_sound(&self, paths: &[&Path]) -> bool {
        paths.iter().all(|path| path.lineage().all(|it| !self.damaged.contains(&it)))
    }

    /// Returns whether `path` and everything below it hold what was meant.
    pub(crate) fn is_whole(&self, path: &Path) -> bool {
        self.is_sound(&[path])
            && !self.damaged.iter().any(|it| it.lineage().any(|above| above == *path))
    }

    /// Returns whether `path` is written in the file.
    pub(crate) fn is_written(&self, path: &Path) -> bool {
        self.root.contains(path)
    }

    /// Reports at `path`; names it and its line in the text of other reports.
    pub(crate) fn report(
        &mut self,
        code: Code,
        path: &Path,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        if MOST_PROBLEMS <= self.problems.len() {
            return;
        }
        self.problems.push(Problem {
            code,
            path: path.to_string(),
            location: Some(Location::of(self.text, self.root.place(path))),
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    /// Reports a contradiction if the value of one key below `path` is more than that of another,
    /// which bounds it; `more` says what it is then: "longer".
    pub(crate) fn ordered<L: Leaf + PartialOrd>(
        &mut self,
        path: &Path,
        (key, value): (&str, &L),
        (bound_key, bound): (&str, &L),
        more: &str,
    ) {
        let (place, bound_place) = (path.key(key), path.key(bound_key));
        if value <= bound || !self.is_sound(&[&place, &bound_place]) {
            return;
        }
        let (value, bound) = (value.write(), bound.write());
        let message = format!("{key} ({value}) is {more} than {bound_key} ({bound})");
        let remedy = format!("lower `{key}` or raise `{bound_key}`");
        let place = if self.is_written(&place) { place } else { bound_place };
        self.report(Code::Contradiction, &place, message, remedy);
    }

    /// Returns the line in which `path` is written.
    pub(crate) fn line(&self, path: &Path) -> usize {
        Location::of(self.text, self.root.place(path)).line
    }
}
