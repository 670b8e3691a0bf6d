//! The rules that concern more than one value: names that must exist, addresses that must differ,
//! numbers that must fit each other.

use std::collections::BTreeSet;

mod addresses;
mod admin;
mod history;
mod limits;
mod listeners;
mod logging;
mod pools;
mod routes;
mod secrets;
mod shutdown;

use crate::config::{
    file::File,
    locate::Node,
    path::Path,
    problem::{Code, Location, MOST_PROBLEMS, Problem},
    sources::Sources,
    units::leaf::Leaf,
};

/// What a rule needs to know of the file besides its contents.
pub(crate) struct Review<'r> {
    sources: &'r Sources,
    root: &'r Node,
    /// Paths with a mistake of their own, about which nothing more can be said.
    damaged: &'r BTreeSet<Path>,
    problems: Vec<Problem>,
}

/// Reports everything about `file` that breaks a rule.
pub(crate) fn review(file: &File, review: &mut Review<'_>) {
    addresses::review(file, review);
    admin::review(file, review);
    listeners::review(file, review);
    routes::review(file, review);
    pools::review(file, review);
    limits::review(file, review);
    history::review(&file.history, review);
    logging::review(file, review);
    secrets::review(file, review);
    shutdown::review(&file.shutdown, review);
}

impl<'r> Review<'r> {
    pub(crate) fn new(sources: &'r Sources, root: &'r Node, damaged: &'r BTreeSet<Path>) -> Self {
        Self { sources, root, damaged, problems: Vec::new() }
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
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
        let location = Some(self.location(path));
        self.problems.push(Problem::new(code, path.to_string(), location, message, remedy));
    }

    /// Reports at `path` that it takes what `first` has taken; `message` gets to know where that is.
    pub(crate) fn report_second(
        &mut self,
        code: Code,
        (path, first): (&Path, &Path),
        message: impl FnOnce(&str) -> String,
        remedy: &str,
    ) {
        let message = message(&self.whereabouts(first, path));
        let first = self.location(first);
        self.report(code, path, message, remedy);
        if let Some(problem) = self.problems.last_mut().filter(|it| it.code == code) {
            problem.also = Some(first);
        }
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

    /// Returns the line in which `path` is written, and its file if that is not the one of `seen`.
    pub(crate) fn whereabouts(&self, path: &Path, seen: &Path) -> String {
        let (place, seen) = (self.location(path), self.location(seen));
        if place.file == seen.file {
            format!("in line {}", place.line)
        } else {
            format!("in {}, line {}", place.file, place.line)
        }
    }

    fn location(&self, path: &Path) -> Location {
        self.sources.locate(self.root.place(path))
    }
}
