//! What became of the cases: every failure, and a count.

use std::collections::BTreeSet;

use crate::{
    dialogue::Failure,
    known::{KNOWN, reason},
};

/// The result of one case.
#[derive(Debug)]
pub(crate) struct Result {
    pub(crate) group: &'static str,
    pub(crate) name: &'static str,
    pub(crate) failure: Option<Failure>,
}

/// Prints what failed and how many held. Panics if any failed that is not known to, if one that is
/// known to fail holds, or if a name stands for two cases.
pub(crate) fn conclude(results: Vec<Result>) {
    let (mut held, mut known, mut problems) = (0, 0, Vec::new());
    let mut names = BTreeSet::new();
    for result in &results {
        let Result { group, name, failure } = result;
        if !names.insert(*name) {
            problems.push(format!("{group}: {name}: the name of two cases"));
        }
        match (failure, reason(name)) {
            (None, None) => held += 1,
            (Some(_), Some(_)) => known += 1,
            (None, Some(_)) => problems.push(format!(
                "{group}: {name}: holds, but `KNOWN` says it fails; take it out of there"
            )),
            (Some(failure), None) => problems.push(describe(group, name, failure)),
        }
        if let (Some(failure), Some(reason), true) = (failure, reason(name), is_asked_for()) {
            eprintln!("known ({reason}): {}", describe(group, name, failure));
        }
    }
    if !is_selected() {
        let missing = KNOWN.iter().flat_map(|it| it.1).filter(|it| !names.contains(**it));
        problems.extend(missing.map(|it| format!("`KNOWN` names {it}, which is no case")));
    }
    for problem in &problems {
        eprintln!("\n{problem}");
    }
    eprintln!(
        "\n{} cases: {held} hold, {known} fail as known, {} problems",
        results.len(),
        problems.len()
    );
    assert!(problems.is_empty(), "{} cases do not hold", problems.len());
}

/// Tells whether a case is to be run.
pub(crate) fn is_wanted(group: &str, name: &str) -> bool {
    std::env::var("BASCULE_CASES").map_or(true, |words| {
        words.split_whitespace().any(|word| name.contains(word) || group.contains(word))
    })
}

fn is_selected() -> bool {
    std::env::var_os("BASCULE_CASES").is_some()
}

/// Whether known failures are shown as well.
fn is_asked_for() -> bool {
    std::env::var_os("BASCULE_SHOW_KNOWN").is_some()
}

fn describe(group: &str, name: &str, failure: &Failure) -> String {
    let Failure { what, expected, seen } = failure;
    let show = |bytes: &[u8]| match bytes {
        [] => "      nothing".to_owned(),
        _ => bytes
            .split_inclusive(|it| *it == b'\n')
            .take(60)
            .map(|line| format!("      {}", shorten(&line.escape_ascii().to_string())))
            .collect::<Vec<_>>()
            .join("\n"),
    };
    format!(
        "{group}: {name}\n    {what}\n    expected\n{}\n    seen\n{}",
        show(expected),
        show(seen)
    )
}

fn shorten(line: &str) -> String {
    match line.char_indices().nth(300) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}
