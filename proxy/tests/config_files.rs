//! Every configuration in `config/` is what it claims to be, and what is generated is current.

#![expect(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "config_files/documents.rs"]
mod documents;
#[path = "config_files/machine.rs"]
mod machine;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use bascule::config::{
    self,
    findings::Style,
    problem::{Code, Problem},
};
use proptest::prelude::*;

/// With this variable set, the recorded texts are written anew.
const BLESS: &str = "BASCULE_BLESS";

#[test]
fn every_configuration_is_accepted_without_warning() {
    for file in yaml_files("").into_iter().chain(yaml_files("examples")) {
        let loaded = config::load(&file).unwrap_or_else(|rejection| panic!("\n{rejection}\n"));
        assert_eq!(loaded.findings.problems(), [], "{}", file.display());
    }
}

#[test]
fn every_example_opens_with_the_question_it_answers() {
    for file in yaml_files("examples") {
        let text = fs::read_to_string(&file).unwrap();
        let opening: Vec<&str> = text.lines().take_while(|line| line.starts_with('#')).collect();
        assert!(opening.iter().any(|line| line.ends_with('?')), "{}", file.display());
    }
}

#[test]
fn every_mistake_is_reported_as_recorded() {
    for file in invalid() {
        let (report, _) = report_of(&file);
        compare(
            &file.with_extension("problems"),
            &report,
            "BASCULE_BLESS=1 cargo test -p bascule --test config_files",
        );
    }
}

#[test]
fn there_are_at_least_sixty_wrong_configurations() {
    assert!(60 <= invalid().len(), "{}", invalid().len());
}

#[test]
fn every_kind_of_mistake_is_among_the_recorded() {
    // What no text in the repository can show has tests of its own, as what a machine lacks in
    // `config_files/machine.rs`.
    let not_about_text = [Code::Unreadable, Code::TooLarge, Code::NotUtf8, Code::Internal]
        .into_iter()
        .chain(Code::ALL.iter().copied().filter(|it| it.id().starts_with("B03")));
    let shown: BTreeSet<Code> = invalid()
        .iter()
        .flat_map(|file| report_of(file).1)
        .map(|problem| problem.code)
        .chain(not_about_text)
        .collect();
    let missing: Vec<&Code> = Code::ALL.iter().filter(|code| !shown.contains(code)).collect();
    assert!(missing.is_empty(), "add a file to config/invalid that shows {missing:?}");
}

#[test]
fn five_mistakes_give_five_located_problems() {
    let (_, problems) = report_of(&config_dir().join("invalid/five-mistakes.yaml"));
    let places: Vec<(&str, usize, usize)> = problems
        .iter()
        .map(|problem| {
            let location = problem.location.as_ref().unwrap();
            (problem.code.id(), location.line, location.column)
        })
        .collect();
    let expected = [
        ("B0106", 5, 25),
        ("B0201", 7, 11),
        ("B0103", 10, 5),
        ("B0105", 12, 73),
        ("B0202", 13, 17),
    ];
    assert_eq!(BTreeSet::from_iter(places), BTreeSet::from(expected));
}

#[test]
fn the_schema_is_current() {
    let command = "cargo run -p bascule -- schema > config/schema.json";
    compare(&config_dir().join("schema.json"), &config::schema(), command);
}

#[test]
fn the_reference_is_current() {
    let command = "BASCULE_BLESS=1 cargo test -p bascule --test config_files";
    compare(&config_dir().join("REFERENCE.md"), &config::reference(), command);
}

#[test]
fn what_is_not_a_text_file_is_refused() {
    let refused = |path: &Path| {
        let rejection = config::load(path).unwrap_err();
        rejection.problems().first().unwrap().code
    };
    let folder = std::env::temp_dir().join(format!("bascule-config-{}", std::process::id()));
    fs::create_dir_all(folder.join("empty")).unwrap();
    let (binary, large) = (folder.join("binary.yaml"), folder.join("large.yaml"));
    fs::write(&binary, b"version: 1\nlisteners: \xff\n").unwrap();
    fs::write(&large, " ".repeat(2 * 1024 * 1024)).unwrap();
    assert_eq!(refused(&folder.join("absent.yaml")), Code::Unreadable);
    assert_eq!(refused(&folder.join("empty")), Code::Unreadable);
    assert_eq!(refused(&binary), Code::NotUtf8);
    assert_eq!(refused(&large), Code::TooLarge);
    fs::remove_dir_all(&folder).unwrap();
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in r"(?s).{0,200}") {
        never_internal(&text);
    }

    #[test]
    fn no_scrap_of_yaml_makes_the_reader_panic(
        scraps in prop::collection::vec(prop::sample::select(SCRAPS), 0..40),
    ) {
        never_internal(&scraps.concat());
    }

    #[test]
    fn no_change_to_a_valid_file_makes_the_reader_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, prop::sample::select(SCRAPS)), 1..6),
        file in any::<prop::sample::Index>(),
    ) {
        let files = valid();
        let mut text = file.get(&files).clone();
        for (at, removed, scrap) in changes {
            let boundaries: Vec<usize> =
                text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let from = at.index(boundaries.len());
            let to = (from + removed).min(boundaries.len() - 1);
            text.replace_range(boundaries[from]..boundaries[to], scrap);
        }
        never_internal(&text);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        file in any::<prop::sample::Index>(),
    ) {
        let files = valid();
        let mut bytes = file.get(&files).clone().into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let path = std::env::temp_dir().join(format!("bascule-bytes-{}.yaml", std::process::id()));
        fs::write(&path, bytes).unwrap();
        if let Err(rejection) = config::load(&path) {
            assert!(rejection.problems().iter().all(|it| it.code != Code::Internal));
        }
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn lines_in_any_order_do_not_make_the_reader_panic(
        lines in prop::sample::subsequence(REFERENCE_FILE.lines().collect::<Vec<_>>(), 0..60).prop_shuffle(),
    ) {
        never_internal(&lines.join("\n"));
    }
}

const REFERENCE_FILE: &str = include_str!("../../config/bascule.yaml");

/// Returns the texts of all configurations that are accepted.
fn valid() -> Vec<String> {
    let files = yaml_files("").into_iter().chain(yaml_files("examples"));
    files.map(|file| fs::read_to_string(file).unwrap()).collect()
}

#[test]
fn what_only_serves_to_exhaust_a_reader_does_not() {
    let laughs: String = (0..9)
        .map(|level| {
            format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level + 8); 9].join(","))
        })
        .collect();
    let deep = "[".repeat(100_000);
    let deeper = "{a: ".repeat(100_000);
    let blocks: String = (0..2000).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    let wide = "- ".repeat(300_000);
    let key = format!("{}: 1\n", "k".repeat(900_000));
    let keys: String = (0..60_000).map(|it| format!("k{it}: 1\n")).collect();
    let same = "k: 1\n".repeat(100_000);
    let number = format!("version: {}\n", "9".repeat(500_000));
    let variables = format!("version: \"{}\"\n", "${A".repeat(200_000));
    for text in [laughs, deep, deeper, blocks, wide, key, keys, same, number, variables] {
        never_internal(&text);
        assert!(config::parse("a.yaml", &text, Path::new("")).is_err());
    }
}

const SCRAPS: &[&str] = &[
    "version: 1\n",
    "listeners:\n",
    "pools:\n",
    "  api:\n",
    "  - ",
    "- ",
    "routes: ",
    "[",
    "]",
    "{",
    "}",
    ": ",
    "\n",
    "\n    ",
    "  ",
    "\t",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!x ",
    "---\n",
    "...\n",
    "? ",
    "|\n",
    ">-\n",
    "'",
    "\"",
    "\\",
    "#",
    "# x\n",
    "${HOME}",
    "${",
    "$${",
    "${X:-1}",
    "0",
    "-1",
    "1e99",
    "~",
    "null",
    "ä",
    "\u{feff}",
    "\u{2028}",
    "\r\n",
    "\r",
    "\0",
    "%YAML 1.2\n",
    "@",
    "`",
    "1s",
    "20%",
    "200-299",
    ",",
    "a: b\n",
    "\u{1F600}",
];

fn never_internal(text: &str) {
    let problems = match config::parse("a.yaml", text, Path::new("")) {
        Ok(loaded) => loaded.findings.problems().to_vec(),
        Err(rejection) => {
            assert!(!rejection.to_string().is_empty());
            rejection.problems().to_vec()
        }
    };
    assert!(problems.iter().all(|problem| problem.code != Code::Internal), "{problems:?}");
    for location in problems.iter().filter_map(|problem| problem.location.as_ref()) {
        assert!(1 <= location.line && 1 <= location.column, "{location:?}");
    }
}

/// Returns what the user sees, and the same as data.
fn report_of(path: &Path) -> (String, Vec<Problem>) {
    let top = format!("{}/", config_dir().parent().unwrap().display());
    let outcome = if path.is_dir() {
        config::load(path)
    } else {
        let name = path.display().to_string().replace(&top, "");
        config::parse(&name, &fs::read_to_string(path).unwrap(), Path::new(""))
    };
    let findings = match outcome {
        // What is accepted is wrong in what it leads to.
        Ok(mut loaded) => {
            if loaded.findings.problems().is_empty() {
                loaded.forecast();
            }
            loaded.findings
        }
        Err(rejection) => rejection.findings,
    };
    assert!(!findings.problems().is_empty(), "{} has no mistake", path.display());
    (findings.text(Style::Plain).replace(&top, ""), findings.problems().to_vec())
}

fn compare(recorded: &Path, found: &str, command: &str) {
    if std::env::var_os(BLESS).is_some() {
        fs::write(recorded, found).unwrap();
    }
    let text = fs::read_to_string(recorded).unwrap_or_default();
    assert!(
        text == found,
        "{} is not current; run\n\n    {command}\n\nfound:\n{found}",
        recorded.display()
    );
}

fn config_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config").canonicalize().unwrap()
}

/// Returns what is wrong on purpose: files, and folders of which the files are wrong together.
fn invalid() -> Vec<PathBuf> {
    let entries = fs::read_dir(config_dir().join("invalid")).unwrap();
    let folders = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut all: Vec<PathBuf> = folders.chain(yaml_files("invalid")).collect();
    all.sort();
    all
}

/// Returns the YAML files directly in a folder of `config/`, in order.
fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(config_dir().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no files in config/{folder}");
    files
}
