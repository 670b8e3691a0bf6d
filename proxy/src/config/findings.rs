//! What was found in a configuration, in the forms that people and tools read.

use std::{path::PathBuf, sync::Arc};

use serde_json::Value;

mod github;
mod json;
mod sarif;
mod text;

use crate::config::{
    problem::{Problem, Severity},
    sources::Sources,
};

/// Everything that is wrong with a configuration, and what it was read from.
#[derive(Clone, Debug)]
pub struct Findings {
    sources: Arc<Sources>,
    problems: Vec<Problem>,
}

/// Whether a report for people has colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// It has none.
    Plain,
    /// It has, by the terminal's escape sequences.
    Coloured,
}

impl Findings {
    /// Puts the problems in the order of their places. What a default causes in many places is
    /// told once.
    pub(crate) fn new(sources: Arc<Sources>, problems: Vec<Problem>) -> Self {
        let mut findings = Self { sources, problems: Vec::new() };
        findings.extend(problems);
        findings
    }

    /// Adds what was found later.
    pub(crate) fn extend(&mut self, more: Vec<Problem>) {
        let problems = &mut self.problems;
        problems.extend(more);
        let start = |it: &Problem| it.location.as_ref().map(|at| at.span.start);
        problems.sort_by_key(|it| (start(it), it.code));
        problems.dedup_by(|later, earlier| {
            let is_one_place = later.location == earlier.location && later.location.is_some();
            is_one_place
                && later.code == earlier.code
                && text::is_alike(&later.message, &earlier.message)
        });
    }

    /// Returns every problem, in the order of the files and their lines.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Returns how many problems matter that much.
    pub fn count(&self, severity: Severity) -> usize {
        self.problems.iter().filter(|it| it.severity() == severity).count()
    }

    /// Returns whether the configuration is fit to run, or with `is_strict`, whether there is
    /// nothing to say against it at all.
    pub fn is_accepted(&self, is_strict: bool) -> bool {
        self.count(Severity::Error) == 0 && !(is_strict && 0 < self.count(Severity::Warning))
    }

    /// Returns what the configuration is called: its files, with commas between.
    pub fn name(&self) -> String {
        self.sources.names().collect::<Vec<_>>().join(", ")
    }

    /// Returns the files and folders that were read: when one changes, so may the configuration.
    pub fn watched(&self) -> &[PathBuf] {
        self.sources.watched()
    }

    /// Returns a report for people: every problem with its line, the place marked, and a remedy;
    /// then how many there are. Empty if there is none.
    pub fn text(&self, style: Style) -> String {
        text::render(&self.sources, &self.problems, style)
    }

    /// Returns the same for programs.
    pub fn json(&self) -> Value {
        json::of(self)
    }

    /// Returns the same as commands to GitHub's workflows, which show them beside the lines.
    pub fn github(&self) -> String {
        self.problems.iter().map(github::command).collect()
    }
}

/// Returns what was found in several configurations as one document in SARIF 2.1.0 (OASIS), which
/// code hosts and editors read.
pub fn sarif(findings: &[Findings]) -> Value {
    sarif::document(findings.iter().flat_map(Findings::problems))
}
