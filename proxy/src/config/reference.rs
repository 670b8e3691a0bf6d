//! The reference of all keys, written from the same descriptions as the schema.

use std::fmt::Write as _;

use serde_json::Value;

use crate::config::{
    problem::Code,
    shape::{self, Key, Shape},
};

const OPENING: &str = "\
# Configuration reference

Generated from the doc comments of the configuration's types; do not edit. `[]` stands for each
entry of a list, `*` for any name.

Durations are one number and one unit (`250ms`, `2s`, `1m`, `1h`), and so are sizes (`0B`, `64KiB`,
`1MiB`, `1GiB`); shares are percentages (`20%`).
`${NAME}` in a value is replaced by an environment variable, `${NAME:-otherwise}` also when it is
not set; `$${` stands for the text `${`. Names are map keys. Every key not listed here is an error.

Several files, or the files of a folder, can be one configuration: `bascule run -c base.yaml -c
pools.d`. Routes then stand in the order of the files; each listener, pool and other section is in one
of them. Relative paths start at the folder of the file in which they are written.

`bascule explain KEY` shows one of these keys with an example, `bascule explain CODE` a problem.

";

/// Returns the reference as Markdown: a table of keys for each mapping.
pub(crate) fn markdown() -> String {
    let mut document = OPENING.to_owned();
    let mut home = None;
    if let Ok(root) = shape::root() {
        // Keys that hold further keys come before these, so sections are collected first.
        let mut sections: Vec<(String, Vec<&Key>)> = Vec::new();
        root.visit("", &mut |at, key| match sections.iter_mut().find(|(path, _)| path == at) {
            Some((_, keys)) => keys.push(key),
            None => sections.push((at.to_owned(), vec![key])),
        });
        for (path, keys) in sections {
            for key in keys {
                if home.as_ref() != Some(&path) {
                    open_section(&mut document, &path);
                    home = Some(path.clone());
                }
                row(&mut document, key);
            }
        }
    }
    problems(&mut document);
    document
}

/// Writes the table of what can be wrong.
fn problems(document: &mut String) {
    document.push_str(
        "\n## Problems\n\nWhat `bascule check` finds. A code keeps its meaning across releases.\n\n\
         | Code | Severity | Found in | Meaning |\n|---|---|---|---|\n",
    );
    for code in Code::ALL {
        let (severity, meaning) = (code.severity().word(), code.meaning());
        _ = writeln!(document, "| `{}` | {severity} | {} | {meaning} |", code.id(), code.pass());
    }
}

fn open_section(document: &mut String, path: &str) {
    if !document.ends_with("\n\n") {
        document.push('\n');
    }
    let title = if path.is_empty() { "Top level".to_owned() } else { format!("`{path}`") };
    // Writing to a string cannot fail.
    let _ =
        write!(document, "## {title}\n\n| Key | Value | Default | Meaning |\n|---|---|---|---|\n");
}

fn row(document: &mut String, key: &Key) {
    let default = match &key.default {
        _ if key.required => "required".to_owned(),
        None => "–".to_owned(),
        Some(Value::String(text)) => format!("`{text}`"),
        Some(value) => format!("`{value}`"),
    };
    let what = match &key.keys_of {
        Some(of) => format!("keys of `{of}`"),
        None => value_of(&key.shape),
    };
    let (name, meaning) = (&key.name, &key.description);
    let cell = |text: &str| text.replace('|', "\\|");
    let _ = writeln!(document, "| `{name}` | {} | {default} | {} |", cell(&what), cell(meaning));
}

fn value_of(shape: &Shape) -> String {
    match shape {
        Shape::Keys(_) => "keys below".to_owned(),
        Shape::Named { .. } => "by name, keys below".to_owned(),
        Shape::List { item, .. } => match item.as_ref() {
            Shape::Keys(_) => "list, keys below".to_owned(),
            Shape::Named { .. }
            | Shape::List { .. }
            | Shape::Text(_)
            | Shape::Choice(_)
            | Shape::Whole { .. }
            | Shape::Truth => format!("list: each {}", item.what()),
        },
        Shape::Text(_) | Shape::Choice(_) | Shape::Whole { .. } | Shape::Truth => shape.what(),
    }
}
