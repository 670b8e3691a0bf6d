//! What no compiler checks: sizes, headings, words, names in documents that must exist.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the sources should stop")]

#[path = "house/source.rs"]
#[expect(dead_code, reason = "the tests of the house share it; each needs a part")]
mod source;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use bascule::telemetry::metrics::{Kind, TABLE};

use source::{Source, Token, closing, files, sources};

/// Lines of code in a file, tests aside: more is worth a thought, and more is refused.
const LINES_NOTED: usize = 300;
const LINES_MAX: usize = 500;

const LEXICON: &str = "docs/lexicon.md";

#[test]
fn no_file_is_too_long() {
    let mut problems = Vec::new();
    let of_others = ["../dashboard", "../loadtest", "../deploy", "../.ci"]
        .iter()
        .flat_map(|folder| files(Path::new(folder), &["ts", "tsx", "mjs", "js", "css", "py", "sh"]))
        // Made from what is ours, and nobody reads it from end to end.
        .filter(|path| path.file_name().is_none_or(|name| name != "generated.ts"))
        .map(|path| (count_lines(&fs::read_to_string(&path).unwrap()), path));
    let ours = rust_sources().into_iter().map(|source| {
        let lines = match source.lines_of_code() {
            0 => count_lines(&source.text),
            lines => lines,
        };
        (lines, source.path)
    });
    for (lines, path) in ours.chain(of_others) {
        if LINES_MAX < lines {
            problems.push(format!("{}: {lines} lines of code; split it", path.display()));
        } else if LINES_NOTED < lines {
            println!("note: {}: {lines} lines of code", path.display());
        }
    }
    report(problems);
}

#[test]
fn every_file_opens_with_what_it_is_about() {
    report(rust_sources().iter().filter_map(|source| {
        // The name says it all of the tests beside a file.
        let opens = source.text.starts_with("//! ") || source.path.ends_with("tests.rs");
        (!opens).then(|| format!("{}: the first line is not `//! …`", source.path.display()))
    }));
}

#[test]
fn modules_are_named_by_their_files() {
    report(rust_sources().iter().filter_map(|source| {
        let is_nameless = source.path.ends_with("mod.rs");
        is_nameless.then(|| format!("{}: call it after its folder", source.path.display()))
    }));
}

#[test]
fn every_queue_has_a_bound() {
    let mut problems = Vec::new();
    for source in rust_sources() {
        let words: Vec<&str> = source.code.iter().map(|token| token.text.as_str()).collect();
        for at in 0..words.len() {
            let is_unbounded = words[at..].starts_with(&["channel", "(", ")"])
                && !words[..at].ends_with(&["oneshot", "::"]);
            if is_unbounded || words[at] == "unbounded_channel" {
                let line = source.code[at].line;
                problems.push(format!("{}:{line}: the queue has no bound", source.path.display()));
            }
        }
    }
    report(problems);
}

#[test]
fn names_keep_to_the_lexicon() {
    let lexicon = Lexicon::read();
    let mut unused: BTreeSet<&(String, String)> = lexicon.borrowed.iter().collect();
    let mut problems = Vec::new();
    for root in ["src", "../backend/src"] {
        for source in sources(Path::new(root)) {
            let place = source.path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            for (name, line) in declared_names(&source.code) {
                for word in lexicon.banned_in(&name) {
                    match lexicon
                        .borrowed
                        .iter()
                        .find(|(it, path)| *it == word && place.starts_with(path))
                    {
                        Some(entry) => _ = unused.remove(entry),
                        None => problems.push(format!(
                            "{}:{line}: `{name}`: {LEXICON} has another word for `{word}`",
                            source.path.display()
                        )),
                    }
                }
            }
        }
    }
    problems.extend(
        unused.iter().map(|(word, path)| {
            format!("{LEXICON}: no name in `{path}` borrows `{word}` any more")
        }),
    );
    report(problems);
}

#[test]
fn metrics_are_named_in_their_table_alone() {
    let mut problems = Vec::new();
    for source in sources(Path::new("src")) {
        let is_table = source.path.ends_with("telemetry/metrics/table.rs");
        for token in source.code.iter().filter(|token| !is_table && token.text.starts_with('"')) {
            if metrics_in(&token.text).iter().any(|name| is_metric(name)) {
                problems.push(format!("{}:{}: {}", source.path.display(), token.line, token.text));
            }
        }
    }
    report(problems);
}

#[test]
fn metrics_in_documents_and_dashboards_exist() {
    let mut paths = files(Path::new("../deploy"), &["yml", "yaml", "json", "py", "md"]);
    paths.extend(documents());
    report(paths.iter().flat_map(|path| {
        let unknown: Vec<String> = metrics_in(&fs::read_to_string(path).unwrap())
            .into_iter()
            .filter(|name| !is_metric(name))
            .map(|name| format!("{}: no metric is called `{name}`", path.display()))
            .collect();
        unknown
    }));
}

#[test]
fn files_named_in_documents_exist() {
    report(documents().iter().flat_map(|document| {
        let text = fs::read_to_string(document).unwrap();
        let missing: Vec<String> = files_named_in(&text)
            .into_iter()
            .filter(|name| {
                !["..", ".", "src", "../backend/src"]
                    .iter()
                    .any(|it| Path::new(it).join(name).exists())
            })
            .map(|name| format!("{}: there is no `{name}`", document.display()))
            .collect();
        missing
    }));
}

/// The Rust files of both crates.
fn rust_sources() -> Vec<Source> {
    let folders = ["src", "tests", "benches", "../backend/src", "../backend/tests"];
    let found: Vec<Source> = folders.iter().flat_map(|it| sources(Path::new(it))).collect();
    assert!(20 < found.len(), "the sources are not where they were");
    found
}

/// The documents for people, those that exist.
fn documents() -> Vec<PathBuf> {
    let mut paths = files(Path::new("docs"), &["md"]);
    paths.extend(["ARCHITECTURE.md", "CHANGELOG.md", "../README.md"].map(PathBuf::from));
    paths.retain(|path| path.is_file());
    paths
}

#[track_caller]
fn report(problems: impl IntoIterator<Item = String>) {
    let lines: Vec<String> = problems.into_iter().collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

fn count_lines(text: &str) -> usize {
    text.lines().filter(|line| !line.trim().is_empty()).count()
}

struct Lexicon {
    /// Each as the words it is made of.
    banned: Vec<Vec<String>>,
    /// A word and the path that may use it.
    borrowed: Vec<(String, String)>,
}

impl Lexicon {
    fn read() -> Lexicon {
        let lexicon = Lexicon::parse(&fs::read_to_string(LEXICON).unwrap());
        assert!(10 < lexicon.banned.len(), "{LEXICON} is not in the form that this test reads");
        lexicon
    }

    fn parse(text: &str) -> Lexicon {
        let mut lexicon = Lexicon { banned: Vec::new(), borrowed: Vec::new() };
        let (rules, borrowed) = text.split_once("## Borrowed words").unwrap();
        for line in rules.lines() {
            let column = match line.strip_prefix('|') {
                Some(row) => row.split('|').nth(2),
                None => line.starts_with("Nothing is called").then_some(line),
            };
            lexicon.banned.extend(quoted(column.unwrap_or("")).iter().map(|word| words_of(word)));
        }
        for row in borrowed.lines().filter(|line| line.starts_with("| `")) {
            let [word, path] = quoted(row)[..2].to_vec().try_into().unwrap();
            lexicon.borrowed.push((word, path));
        }
        lexicon
    }

    fn banned_in(&self, name: &str) -> Vec<String> {
        let words = words_of(name);
        self.banned
            .iter()
            .filter(|banned| words.windows(banned.len()).any(|it| it == banned.as_slice()))
            .map(|banned| banned.join("_"))
            .collect()
    }
}

/// Returns what stands in `code type`.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Splits a name into lower-case words without the `s` of a plural: `BackendPeers` has `backend`
/// and `peer`.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for it in name.chars() {
        if it == '_' || (it.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = it.is_lowercase() || it.is_numeric();
        if it != '_' {
            words.last_mut().unwrap().extend(it.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    for word in &mut words {
        if 3 < word.len() && word.ends_with('s') && !word.ends_with("ss") {
            word.pop();
        }
    }
    words
}

/// Every name that the code declares, with its line.
fn declared_names(code: &[Token]) -> Vec<(String, usize)> {
    let mut names = Vec::new();
    let text = |at: usize| code.get(at).map_or("", |token| token.text.as_str());
    for (at, token) in code.iter().enumerate() {
        let name_at = if text(at + 1) == "mut" { at + 2 } else { at + 1 };
        let Some(name) = code.get(name_at).filter(|it| it.is_word()) else { continue };
        match token.text.as_str() {
            "mod" | "trait" | "const" | "static" | "type" | "let" => {}
            "struct" | "union" => {
                names.extend(fields(code, body_after(code, name_at, &["{", "(", ";"])));
            }
            "fn" => names.extend(fields(code, body_after(code, name_at, &["("]))),
            "enum" => {
                let body = body_after(code, name_at, &["{"]);
                names.extend(variants(code, body));
                names.extend(fields(code, body));
            }
            _ => continue,
        }
        names.push((name.text.clone(), name.line));
    }
    names
}

/// Finds the bracket that opens what a name is declared with, past its generics.
fn body_after(code: &[Token], name_at: usize, wanted: &[&str]) -> usize {
    let mut depth = 0_i32;
    for at in name_at..code.len() {
        match code[at].text.as_str() {
            "<" => depth += 1,
            ">" if code[at - 1].text != "-" => depth -= 1,
            it if depth == 0 && wanted.contains(&it) => return at,
            _ => {}
        }
    }
    code.len() - 1
}

/// Names followed by `:`, between this bracket and the one that closes it.
fn fields(code: &[Token], open: usize) -> Vec<(String, usize)> {
    let end = closing(code, open);
    (open + 1..end)
        .filter(|at| {
            let before = code[at - 1].text.as_str();
            code[*at].is_word()
                && code[at + 1].text == ":"
                && ["{", "(", ",", "pub", ")", "]", "mut"].contains(&before)
        })
        .map(|at| (code[at].text.clone(), code[at].line))
        .collect()
}

fn variants(code: &[Token], open: usize) -> Vec<(String, usize)> {
    let end = closing(code, open);
    let mut names = Vec::new();
    let mut at = open + 1;
    while at < end {
        if ["(", "[", "{"].contains(&code[at].text.as_str()) {
            at = closing(code, at);
        } else if code[at].is_word() && ["{", ",", "]"].contains(&code[at - 1].text.as_str()) {
            names.push((code[at].text.clone(), code[at].line));
        }
        at += 1;
    }
    names
}

/// Every name in a text that looks like one of our metrics. Recorded series, which have colons in
/// their names, are Prometheus's.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_part = |it: char| it.is_ascii_alphanumeric() || it == '_';
    text.match_indices("bascule_")
        .filter(|(at, _)| !text[..*at].ends_with(|it: char| is_part(it) || ":/.-".contains(it)))
        .map(|(at, _)| &text[at..])
        .map(|rest| rest.split_at(rest.find(|it| !is_part(it)).unwrap_or(rest.len())))
        .filter(|(_, after)| !after.starts_with([':', '/']) && !after.starts_with(".rs"))
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// Whether this is a metric, a part of a histogram, or the beginning of some, as in `bascule_failover_…`.
fn is_metric(name: &str) -> bool {
    TABLE.iter().any(|metric| match name.strip_prefix(metric.name) {
        Some("") => true,
        Some("_bucket" | "_sum" | "_count") => matches!(metric.kind, Kind::Histogram(_)),
        Some(_) | None => name.ends_with('_') && metric.name.starts_with(name),
    })
}

/// What a document calls by the path of a file or folder.
fn files_named_in(text: &str) -> Vec<String> {
    let endings =
        [".rs", ".yaml", ".yml", ".toml", ".md", ".json", ".py", ".sh", ".ts", ".tsx", ".js"];
    quoted(&without_blocks(text))
        .into_iter()
        .filter(|it| !it.contains(|c: char| c.is_whitespace() || "*{}<>…:".contains(c)))
        .filter(|it| !it.starts_with(['/', '.']) && !it.starts_with("http"))
        .filter(|it| endings.iter().any(|end| it.ends_with(end)) || it.ends_with('/'))
        .collect()
}

/// Leaves out fenced blocks, whose backticks would not pair up.
fn without_blocks(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

#[test]
fn names_are_split_into_words() {
    let lexicon = Lexicon::parse(
        "| a | b | `node`, `half_open`, open |\n## Borrowed words\n| `node` | `x/` | y |",
    );
    for (name, expected) in [
        ("ClusterNodes", vec!["node"]),
        ("is_half_open", vec!["half_open"]),
        ("HalfOpen", vec!["half_open"]),
        ("nodeless_opening", vec![]),
        ("open", vec![]),
    ] {
        assert_eq!(lexicon.banned_in(name), expected, "{name}");
    }
    assert_eq!(lexicon.borrowed, [("node".to_owned(), "x/".to_owned())]);
}

#[test]
fn declared_names_are_found_and_borrowed_ones_are_not() {
    let source = Source::new(
        "x.rs",
        "struct A<F: Fn(u8) -> u8> { pub(crate) field: F, #[serde(rename = \"x\")] other: foreign::Type }
         enum E { One, Two { inside: u8 }, #[default] Three(foreign::Kind) }
         fn f<F: Fn(u8)>(argument: F, mut second: u8) -> u8 { let local = Foreign { theirs: 1 }; local.method() }"
            .to_owned(),
    );
    let names: BTreeSet<String> = declared_names(&source.code).into_iter().map(|it| it.0).collect();
    let expected = [
        "A", "E", "One", "Three", "Two", "argument", "f", "field", "inside", "local", "other",
        "second",
    ];
    assert_eq!(names, BTreeSet::from(expected.map(str::to_owned)));
}

#[test]
fn metrics_are_found_in_any_text() {
    let text = "rate(bascule_requests_total[5m]) pool:bascule_requests:ratio `bascule_retries_*` target/bascule_x bascule_failover_switch_seconds_bucket{} bascule_requests_total_bucket bascule_nothing";
    let unknown: Vec<String> = metrics_in(text).into_iter().filter(|it| !is_metric(it)).collect();
    assert_eq!(unknown, ["bascule_nothing", "bascule_requests_total_bucket"]);
}
