//! Holds the crate to the map in `src/lib.rs`.
//!
//! Each group of `mod` lines there is a layer. A module may name only modules of layers beneath its
//! own, so the graph has no cycles and reads from top to bottom; siblings meet in a lower layer. A
//! layer whose heading says "(pure)" decides without doing: no time, chance, threads, sockets,
//! files, tasks or log lines of its own. Code that is compiled for tests only is free of all this.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the sources should stop")]

#[path = "house/source.rs"]
#[expect(dead_code, reason = "the tests of the house share it; each needs a part")]
mod source;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use source::Source;

/// What a pure module may not name: beginnings of paths.
const IMPURE: &[&str] = &[
    "async",
    "anyhow",
    "axum",
    "hyper",
    "hyper_util",
    "pingora",
    "pingora_core",
    "pingora_http",
    "pingora_load_balancing",
    "pingora_proxy",
    "prometheus",
    "socket2",
    "std::env",
    "std::fs",
    "std::io::stderr",
    "std::io::stdin",
    "std::io::stdout",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant::now",
    "std::time::SystemTime",
    "tokio",
    "tracing",
    "dbg",
    "eprint",
    "eprintln",
    "print",
    "println",
];

/// What it may not name under any path: the clock, and generators that seed themselves.
const IMPURE_ENDS: &[&str] = &[
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
    "Rng::new",
    "RandomState::new",
];

#[test]
fn modules_import_only_downwards() {
    let map = Map::read();
    report(sources().iter().flat_map(|source| wrong_imports(&map, source)));
}

#[test]
fn pure_modules_decide_without_doing() {
    let map = Map::read();
    report(sources().iter().flat_map(|source| impurities(&map, source)));
}

#[test]
fn every_file_is_on_the_map() {
    let map = Map::read();
    let sources = sources();
    let mut problems = map.problems;
    for source in &sources {
        let module = source.module(Path::new("src"));
        let Some((name, parents)) = module.split_last() else { continue };
        let parent = sources.iter().find(|it| it.module(Path::new("src")) == parents);
        if module != ["main"] && !parent.is_some_and(|it| it.declares(name)) {
            problems.push(format!("{}: no file declares `mod {name};`", source.path.display()));
        }
    }
    report(problems);
}

#[test]
fn files_of_a_module_import_each_other_in_one_direction() {
    report(cycles(&sources()));
}

fn sources() -> Vec<Source> {
    let sources = source::sources(Path::new("src"));
    assert!(10 < sources.len(), "the sources are not where they were");
    sources
}

#[track_caller]
fn report(problems: impl IntoIterator<Item = String>) {
    let problems: BTreeSet<String> = problems.into_iter().collect();
    let lines: Vec<String> = problems.into_iter().collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

/// The layers, topmost first.
struct Map {
    layers: Vec<Layer>,
    problems: Vec<String>,
}

struct Layer {
    modules: Vec<String>,
    is_pure: bool,
}

impl Map {
    fn read() -> Map {
        let map = Map::parse(&fs::read_to_string("src/lib.rs").unwrap());
        assert!(3 < map.layers.len(), "src/lib.rs does not list modules in groups");
        map
    }

    fn parse(text: &str) -> Map {
        let mut map = Map { layers: Vec::new(), problems: Vec::new() };
        for group in text.split("\n\n") {
            let modules: Vec<String> = group.lines().filter_map(declared_module).collect();
            if modules.is_empty() {
                continue;
            }
            let heading = group.lines().find_map(|line| line.strip_prefix("// ")).unwrap_or("");
            if !heading.contains(": ") {
                map.problems.push(format!(
                    "src/lib.rs: the group of `{}` needs a heading, `// Name: what it is for.`",
                    modules[0]
                ));
            }
            map.layers.push(Layer { modules, is_pure: heading.contains("(pure)") });
        }
        map
    }

    fn depth(&self, module: &str) -> Option<usize> {
        self.layers.iter().position(|layer| layer.modules.iter().any(|it| it == module))
    }
}

/// Reads `pub mod name;`, with any visibility.
fn declared_module(line: &str) -> Option<String> {
    let mut words = line.strip_suffix(';')?.split_whitespace();
    let name = words.next_back()?;
    let is_module =
        words.next_back() == Some("mod") && line.starts_with(|it: char| it.is_alphabetic());
    is_module.then(|| name.to_owned())
}

fn wrong_imports(map: &Map, source: &Source) -> Vec<String> {
    let module = source.module(Path::new("src"));
    let Some(own) = module.first() else { return Vec::new() };
    let depth = map.depth(own);
    let mut problems = Vec::new();
    for (path, line) in source.paths() {
        let place = format!("{}:{line}", source.path.display());
        if path.iter().any(|it| it == "super") {
            problems.push(format!("{place}: say `crate::`, not `super::`"));
        }
        if path[0] != "crate" {
            continue;
        }
        match path.get(1).map(String::as_str) {
            Some("*") => problems.push(format!("{place}: name what is used, not `crate::*`")),
            Some(other) if other != own => {
                // `main.rs` stands above the map.
                if let (Some(depth), Some(other_depth)) = (depth, map.depth(other))
                    && other_depth <= depth
                {
                    let reason =
                        if other_depth == depth { "is its sibling" } else { "is above it" };
                    problems
                        .push(format!("{place}: `{own}` may not import `{other}`, which {reason}"));
                }
            }
            Some(_) | None => {}
        }
    }
    problems
}

fn impurities(map: &Map, source: &Source) -> Vec<String> {
    let module = source.module(Path::new("src"));
    let is_pure = module
        .first()
        .and_then(|own| map.depth(own))
        .is_some_and(|depth| map.layers[depth].is_pure);
    if !is_pure {
        return Vec::new();
    }
    let place = |line: usize| format!("{}:{line}: pure, yet it names", source.path.display());
    let mut problems = Vec::new();
    for (path, line) in source.paths() {
        let joined = path.join("::");
        let begins = |word: &&&str| {
            joined
                .strip_prefix(**word)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let is_global_chance = path[0] == "fastrand"
            && path.get(1).is_some_and(|it| it.starts_with(char::is_lowercase));
        if IMPURE.iter().any(|word| begins(&word))
            || IMPURE_ENDS.iter().any(|end| joined == *end || joined.ends_with(&format!("::{end}")))
            || is_global_chance
        {
            problems.push(format!("{} `{joined}`", place(line)));
        }
    }
    for pair in source.code.windows(3) {
        let words = [pair[0].text.as_str(), pair[1].text.as_str(), pair[2].text.as_str()];
        if words[0] == "." && (words[1] == "await" || words[1..] == ["now", "("]) {
            problems.push(format!("{} `.{}`", place(pair[1].line), words[1]));
        }
    }
    problems
}

/// Finds files of one module that import each other in a circle. A file and its folder count as one
/// thing, so that children may use what their parent declares; between children there is an order.
fn cycles(sources: &[Source]) -> Vec<String> {
    let root = Path::new("src");
    let modules: BTreeSet<Vec<String>> = sources.iter().map(|it| it.module(root)).collect();
    let mut uses: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
    for source in sources {
        let own = source.module(root);
        if own.is_empty() {
            continue;
        }
        for (path, _) in source.paths() {
            let full = match path[0].as_str() {
                "crate" => path[1..].to_vec(),
                "self" => [&own[..], &path[1..]].concat(),
                _ => [&own[..], &path[..]].concat(),
            };
            // The longest beginning that is a file is where the named thing is.
            let file =
                (1..=full.len()).rev().map(|n| full[..n].to_vec()).find(|it| modules.contains(it));
            if let Some(file) = file.filter(|it| it[0] == own[0] && !own.starts_with(it)) {
                uses.entry(own.clone()).or_default().insert(file);
            }
        }
    }
    let reaches = |from: &Vec<String>, to: &Vec<String>| {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(it) = open.pop() {
            for next in uses.get(it).into_iter().flatten() {
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        seen.contains(to)
    };
    let mut problems = Vec::new();
    for (from, targets) in &uses {
        for to in targets.iter().filter(|to| from < *to && reaches(to, from)) {
            problems.push(format!(
                "`{}` and `{}` import each other",
                from.join("::"),
                to.join("::")
            ));
        }
    }
    problems
}

const MAP: &str = "\
//! Words.

// Shells: they do.
pub mod gateway;
pub mod control;

// Decisions (pure): they judge.
pub mod fleet;

// Ground: time.
mod clock;
";

#[track_caller]
fn check(path: &str, code: &str, expected: &[&str]) {
    let map = Map::parse(MAP);
    let source = Source::new(format!("src/{path}"), code.to_owned());
    let problems = [wrong_imports(&map, &source), impurities(&map, &source)].concat();
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.contains(expected), "{problem}");
    }
}

#[test]
fn an_import_upwards_or_sideways_is_found_wherever_it_stands() {
    check(
        "fleet.rs",
        "use crate::gateway::Thing;",
        &["src/fleet.rs:1: `fleet` may not import `gateway`, which is above it"],
    );
    check(
        "fleet/health.rs",
        "use crate::{\n    clock::{self, Timestamp},\n    gateway,\n};",
        &["src/fleet/health.rs:3"],
    );
    check("gateway.rs", "fn f() { crate::control::go() }", &["which is its sibling"]);
    check("gateway.rs", "use crate::fleet::Fleet;", &[]);
    check("fleet.rs", "use super::gateway;", &["say `crate::`"]);
    check("fleet.rs", "use crate::*;", &["name what is used"]);
}

#[test]
fn what_is_no_code_is_not_blamed() {
    check(
        "fleet.rs",
        "// use crate::gateway;\n/* crate::gateway /* */ */ const T: &str = \"crate::gateway\";",
        &[],
    );
    check("fleet.rs", "const C: char = '\"'; fn f<'a>() {} // \" crate::gateway", &[]);
    check("fleet.rs", "const R: &str = r#\"\" crate::gateway\"#;", &[]);
    check("fleet.rs", "#[cfg(test)]\nmod tests { use super::*; use crate::gateway; }", &[]);
    check(
        "fleet.rs",
        "#[cfg(test)] use crate::{gateway::A, control};\nuse crate::gateway::B;",
        &["src/fleet.rs:2"],
    );
}

#[test]
fn impurity_is_found_in_pure_layers_alone() {
    check("gateway.rs", "use tokio::sync::watch; async fn f() { g().await; Instant::now(); }", &[]);
    check("fleet.rs", "use std::{collections::BTreeMap, fs::File};", &["`std::fs::File`"]);
    check("fleet.rs", "async fn f() { g().await }", &["`async`", "`.await`"]);
    check(
        "fleet.rs",
        "fn f() { let t = std::time::Instant::now(); }",
        &["`std::time::Instant::now`"],
    );
    check(
        "fleet.rs",
        "fn f(c: &Clock) { c.now(); fastrand::u32(..); }",
        &["`fastrand::u32`", "`.now`"],
    );
    check("fleet.rs", "fn f(rng: &mut fastrand::Rng, now: Timestamp) { rng.u32(..); }", &[]);
    check(
        "fleet.rs",
        "fn f() { tracing::info!(\"x\"); println!(); }",
        &["`tracing::info`", "`println`"],
    );
}

#[test]
fn a_circle_within_a_module_is_found() {
    let source = |path: &str, code: &str| Source::new(path, code.to_owned());
    let parent = source("src/fleet.rs", "mod health; mod tiers; use crate::fleet::health::Health;");
    let child = source("src/fleet/health.rs", "use crate::fleet::tiers::Tier;");
    let other = source("src/fleet/tiers.rs", "pub struct Tier;");
    assert_eq!(cycles(&[parent.clone(), child.clone(), other]), Vec::<String>::new());
    let other = source("src/fleet/tiers.rs", "use crate::fleet::{Fleet, health::Health};");
    let problems = cycles(&[parent, child, other]);
    assert_eq!(problems, ["`fleet::health` and `fleet::tiers` import each other"]);
}
