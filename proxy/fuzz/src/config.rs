//! Configurations: any text is accepted or refused, and every problem lies within the text.

use std::path::Path;

use bascule::config::{
    self,
    problem::{Problem, Severity},
};

pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // Files that a mutated text names are none of ours to read.
    if text.contains("/dev/") || text.contains("/proc/") {
        return;
    }
    match config::parse("fuzz.yaml", text, Path::new("/nonexistent")) {
        Ok(loaded) => {
            let warnings = loaded.findings.problems();
            assert!(warnings.iter().all(|it| it.severity() == Severity::Warning));
            are_located(text, warnings);
            let topology = loaded.topology;
            let pools = topology.pools.len();
            let targets = topology.routes.iter().flat_map(|it| it.destination.pools());
            assert!(targets.into_iter().all(|it| it.0 < pools), "every route leads somewhere");
        }
        Err(rejection) => {
            let problems = rejection.problems();
            assert!(problems.iter().any(|it| it.severity() == Severity::Error));
            are_located(text, problems);
            assert!(!rejection.to_string().is_empty());
        }
    }
}

fn are_located(text: &str, problems: &[Problem]) {
    for problem in problems {
        assert!(!problem.message.is_empty() && !problem.remedy.is_empty(), "{problem:?}");
        let Some(location) = &problem.location else { continue };
        let longest =
            |line: usize| text.split('\n').nth(line.checked_sub(1)?).map(|it| it.chars().count());
        let start = (location.line, location.column);
        let end = (location.end_line, location.end_column);
        assert!(start <= end, "{problem:?}");
        for (line, column) in [start, end] {
            let length = longest(line).expect("the line is there");
            assert!((1..=length + 1).contains(&column), "{problem:?}");
        }
    }
}
