//! Several files become one tree: each part of a configuration comes from one of them.
//!
//! Routes stand in the order in which the files are read. A listener, a pool or a section that two
//! files define is a mistake, since neither says which of them would hold.

use std::{collections::HashMap, ops::Range};

use crate::config::{
    locate::{Entry, Kind, Node},
    path::{Path, clip},
    problem::{Code, Problem},
    sources::Sources,
};

/// Mappings by name, to which every file may add.
const BY_NAME: [&str; 2] = ["listeners", "pools"];
/// Lists, which every file may continue.
const LISTS: [&str; 1] = ["routes"];
/// What every file may say, if all say the same.
const REPEATED: [&str; 1] = ["version"];

/// Returns the tree of all files.
pub(crate) fn combine(roots: Vec<Node>, sources: &Sources) -> (Option<Node>, Vec<Problem>) {
    let mut combining = Combining { sources, problems: Vec::new() };
    let mut roots = roots.into_iter();
    let Some(mut all) = roots.next() else { return (None, Vec::new()) };
    for root in roots {
        combining.add(&mut all, root);
    }
    (Some(all), combining.problems)
}

struct Combining<'c> {
    sources: &'c Sources,
    problems: Vec<Problem>,
}

impl Combining<'_> {
    fn add(&mut self, all: &mut Node, root: Node) {
        match (&mut all.kind, root.kind) {
            (Kind::Map(entries), Kind::Map(more)) => {
                for entry in more {
                    self.add_section(entries, entry);
                }
            }
            // One that is no mapping is wrong by itself, and will be found to be.
            (Kind::Map(_), kind) => *all = Node { span: root.span, kind },
            (Kind::Plain(_) | Kind::Quoted(_) | Kind::List(_) | Kind::Rejected, _) => {}
        }
    }

    fn add_section(&mut self, sections: &mut Vec<Entry>, section: Entry) {
        let Some(first) = sections.iter_mut().find(|it| it.key == section.key) else {
            sections.push(section);
            return;
        };
        let path = Path::default().key(&section.key);
        let is = |keys: &[&str]| keys.contains(&section.key.as_str());
        match (&mut first.value.kind, section.value.kind) {
            (Kind::Map(entries), Kind::Map(more)) if is(&BY_NAME) => {
                let places: HashMap<String, usize> =
                    entries.iter().enumerate().map(|(at, it)| (it.key.clone(), at)).collect();
                for entry in more {
                    match places.get(&entry.key).and_then(|at| entries.get(*at)) {
                        Some(first) => self.twice(&path, first, &entry.key, &entry.key_span),
                        None => entries.push(entry),
                    }
                }
            }
            (Kind::List(items), Kind::List(more)) if is(&LISTS) => items.extend(more),
            (Kind::Plain(text), Kind::Plain(other)) if is(&REPEATED) && *text == other => {}
            // What has the wrong form is wrong by itself, and will be found to be.
            (Kind::Map(_), kind @ (Kind::Plain(_) | Kind::Quoted(_) | Kind::List(_)))
                if is(&BY_NAME) =>
            {
                first.value = Node { span: section.value.span, kind };
            }
            (Kind::List(_), kind @ (Kind::Plain(_) | Kind::Quoted(_) | Kind::Map(_)))
                if is(&LISTS) =>
            {
                first.value = Node { span: section.value.span, kind };
            }
            (_, Kind::Rejected) => {}
            (_, _) => {
                let first: &Entry = first;
                self.twice(&Path::default(), first, &section.key, &section.key_span);
            }
        }
    }

    fn twice(&mut self, path: &Path, first: &Entry, key: &str, span: &Range<usize>) {
        let first = self.sources.locate(first.key_span.clone());
        let message =
            format!("`{}` is already given in {}, line {}", clip(key), first.file, first.line);
        let remedy = "keep one of the two";
        let location = Some(self.sources.locate(span.clone()));
        let problem = Problem::new(Code::DefinedTwice, path.to_string(), location, message, remedy);
        self.problems.push(Problem { also: Some(first), ..problem });
    }
}
