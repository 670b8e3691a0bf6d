//! Examples in documents are configurations, and the keys that documents name exist.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bascule::config::{self, Loaded, problem::Code};

use crate::config_dir;

/// What a part of a configuration cannot have right.
const OF_PARTS: [Code; 5] = [
    Code::MissingKey,
    Code::UnknownPool,
    Code::UnusedPool,
    Code::UnknownListener,
    Code::ExposedSidecar,
];

/// Top-level keys by which an example is told from other YAML, such as that of Compose.
const SECTIONS: [&str; 9] = [
    "version:",
    "listeners:",
    "routes:",
    "pools:",
    "admin:",
    "logging:",
    "limits:",
    "defaults:",
    "shutdown:",
];

/// Folders that hold no documents of ours.
const SKIPPED: [&str; 3] = ["target", "node_modules", ".git"];

#[test]
fn every_example_in_a_document_is_a_configuration() {
    let mut examples = 0;
    for document in files("md") {
        for (line, text) in fenced(&fs::read_to_string(&document).unwrap()) {
            let is_ours =
                text.lines().any(|it| SECTIONS.iter().any(|section| it.starts_with(section)));
            // Compose files have a version, too, and services.
            if !is_ours || text.lines().any(|it| it.starts_with("services:")) {
                continue;
            }
            examples += 1;
            let is_whole =
                SECTIONS.iter().take(4).all(|it| text.lines().any(|line| line.starts_with(it)));
            let problems = match config::parse("example.yaml", &text, Path::new("")) {
                Ok(loaded) => loaded.findings,
                Err(rejection) => rejection.findings,
            };
            let wrong: Vec<String> = problems
                .problems()
                .iter()
                .filter(|it| is_whole || !OF_PARTS.contains(&it.code))
                .map(ToString::to_string)
                .collect();
            assert!(wrong.is_empty(), "{}:{line}: {wrong:?}", document.display());
        }
    }
    assert!(0 < examples, "no document has an example");
}

#[test]
fn every_key_that_a_document_names_exists() {
    let mut named = 0;
    for document in files("md") {
        for word in fs::read_to_string(&document).unwrap().split('`').skip(1).step_by(2) {
            let is_key = SECTIONS.iter().any(|section| {
                let rest = word.strip_prefix(section.trim_end_matches(':'));
                rest.is_some_and(|rest| rest.starts_with('.') || rest.starts_with('['))
            });
            let is_file = [".rs", ".yaml", ".d", "()"].iter().any(|end| word.ends_with(end));
            let is_entry = word.ends_with('*') || word.ends_with("[]");
            if !is_key || is_file || is_entry || word.contains([' ', '{', '/', ':', '\n']) {
                continue;
            }
            named += 1;
            if let Err(error) = config::explain(word) {
                panic!("{}: {error}", document.display());
            }
        }
    }
    assert!(20 < named, "{named}");
}

#[test]
fn every_configuration_outside_of_the_folder_is_accepted() {
    let is_ours = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap_or_default();
        // What is between two `@` is put in by the script that uses the file.
        text.lines().any(|it| it.starts_with("listeners:")) && !text.contains(": @")
    };
    let folder = config_dir();
    let files: Vec<PathBuf> =
        files("yaml").into_iter().filter(|it| !it.starts_with(&folder)).filter(is_ours).collect();
    assert!(!files.is_empty(), "deploy has one");
    for file in files {
        if let Err(rejection) = config::load(&file) {
            panic!("\n{rejection}");
        }
    }
}

#[test]
fn what_is_in_force_reads_back_as_the_same() {
    for file in files("yaml").into_iter().filter(|it| it.starts_with(config_dir())) {
        let Ok(Loaded { effective, .. }) = config::load(&file) else { continue };
        for origins in [false, true] {
            let text = effective.yaml(origins);
            let again = config::parse("effective.yaml", &text, Path::new(""))
                .unwrap_or_else(|rejection| panic!("{}\n{text}\n{rejection}", file.display()));
            assert_eq!(again.effective.yaml(false), effective.yaml(false), "{}", file.display());
        }
    }
}

#[test]
fn every_value_in_force_says_where_it_comes_from() {
    let file = config_dir().join("examples/defaults.yaml");
    let text = config::load(&file).unwrap().effective.yaml(true);
    let line_of = |path: &str| {
        let line = text.lines().find(|it| it.trim_start().starts_with(path));
        line.unwrap_or_else(|| panic!("{path} is not in\n{text}")).to_owned()
    };
    assert!(line_of("balance: least_requests").ends_with("defaults.yaml:9 (defaults)"), "{text}");
    assert!(line_of("rise: 3").ends_with("# default"), "{text}");
    assert!(line_of("timeout: 30s").contains("defaults.yaml:2"), "{text}");
    assert!(!line_of("timeout: 400ms").contains("(defaults)"), "{text}");
}

/// Returns the blocks of YAML in a document, each with the line that it begins in.
fn fenced(text: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        match &mut open {
            Some((_, block)) if line.trim_start() != "```" => {
                block.push_str(line);
                block.push('\n');
            }
            Some(_) => blocks.extend(open.take()),
            None if matches!(line.trim(), "```yaml" | "```yml") => {
                open = Some((index + 2, String::new()));
            }
            None => {}
        }
    }
    blocks
}

/// Returns the files of the repository with that extension.
fn files(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![config_dir().parent().unwrap().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !path.is_symlink() && !SKIPPED.contains(&name.as_str()) {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
