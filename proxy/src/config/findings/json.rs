//! Problems as JSON.

use serde_json::{Value, json};

use crate::config::{
    findings::Findings,
    problem::{Location, Problem, Severity},
};

/// Returns what was found in one configuration.
pub(crate) fn of(findings: &Findings) -> Value {
    json!({
        "name": findings.name(),
        "is_accepted": findings.is_accepted(false),
        "errors": findings.count(Severity::Error),
        "warnings": findings.count(Severity::Warning),
        "problems": findings.problems().iter().map(problem).collect::<Vec<_>>(),
    })
}

fn problem(problem: &Problem) -> Value {
    json!({
        "code": problem.code.id(),
        "severity": problem.severity().word(),
        "path": problem.path,
        "message": problem.message,
        "remedy": problem.remedy,
        "location": problem.location.as_ref().map(location),
        "also": problem.also.as_ref().map(location),
    })
}

fn location(location: &Location) -> Value {
    json!({
        "file": &*location.file,
        "line": location.line,
        "column": location.column,
        "end_line": location.end_line,
        "end_column": location.end_column,
    })
}
