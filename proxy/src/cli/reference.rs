//! The reference of all commands, as Markdown, made from what the parser knows.

use std::fmt::Write;

use clap::{Arg, ArgAction, Command};

const HEAD: &str = "\
# Command line

Made from the program's own help by a test; `BASCULE_BLESS=1 cargo test -p bascule --lib cli::reference`
writes it anew.

Data goes to standard output, messages to standard error. Settings are taken from the command line, else
from the environment, else from the default; options that order a single deed have no variable, because a
deed should not be ordered by accident. Colours are used on terminals, unless `NO_COLOR` is set. Tokens are
read from files only. Whoever stops reading, as `head` does, causes no error.

Objects of `--format json` have `\"schema\": 1`, which rises when a shape changes in a way that a reader
must know of.

| Exit code | Meaning |
|---|---|
| 0 | done, or well |
| 1 | the answer is no: errors were found, it is not ready, it was refused, or a wait ended before its time |
| 2 | the command line is wrong, or names something that does not exist |
| 69 | the sidecar cannot be reached |
| 77 | not allowed: a token is missing, or its role may not do that |
| 78 | the configuration was rejected; a supervisor should not try again |
";

/// Returns the reference.
pub(crate) fn markdown(mut command: Command) -> String {
    command.build();
    let mut text = HEAD.to_owned();
    append(&mut text, &mut command, "bascule");
    text
}

fn append(text: &mut String, command: &mut Command, path: &str) {
    // Writing to a string does not fail.
    _ = writeln!(text, "\n## `{path}`\n");
    let about = command.get_long_about().or(command.get_about());
    _ = writeln!(
        text,
        "{}.",
        about.map(ToString::to_string).unwrap_or_default().trim_end_matches('.')
    );
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    _ = writeln!(text, "\n```\n{usage}\n```");
    let options: Vec<&Arg> =
        command.get_arguments().filter(|it| is_of_interest(it, path)).collect();
    if !options.is_empty() {
        _ = writeln!(text, "\n| Option | Meaning |\n|---|---|");
        for option in options {
            _ = writeln!(text, "| {} | {} |", form(option), meaning(option));
        }
    }
    if let Some(examples) = command.get_after_help() {
        let examples = examples.to_string();
        let lines = examples.lines().skip(1).map(str::trim).collect::<Vec<_>>().join("\n");
        _ = writeln!(text, "\n```sh\n{lines}\n```");
    }
    for sub in command.get_subcommands_mut() {
        if sub.get_name() != "help" {
            let path = format!("{path} {}", sub.get_name());
            append(text, sub, &path);
        }
    }
}

/// Options that every command has are told of once.
fn is_of_interest(option: &Arg, path: &str) -> bool {
    let is_for_all = ["help", "version", "color"].contains(&option.get_id().as_str());
    !option.is_hide_set() && (!is_for_all || path == "bascule")
}

fn form(option: &Arg) -> String {
    let values = option.get_value_names().unwrap_or_default();
    let value = values.first().map(|it| it.replace('|', "\\|")).unwrap_or_default();
    let takes_value = option.get_action().takes_values();
    let mut forms = Vec::new();
    if let Some(short) = option.get_short() {
        forms.push(format!("`-{short}`"));
    }
    match option.get_long() {
        Some(long) if takes_value => forms.push(format!("`--{long} {value}`")),
        Some(long) => forms.push(format!("`--{long}`")),
        None if forms.is_empty() => forms.push(format!("`{value}`")),
        None => {}
    }
    forms.join(", ")
}

fn meaning(option: &Arg) -> String {
    let help = option.get_long_help().or(option.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let mut text = help.split_whitespace().collect::<Vec<_>>().join(" ");
    if matches!(option.get_action(), ArgAction::Append) && option.get_long().is_some() {
        text.push_str(". May be repeated");
    }
    let values: Vec<String> = option
        .get_possible_values()
        .iter()
        .filter(|_| option.get_action().takes_values())
        .map(|it| format!("`{}`", it.get_name()))
        .collect();
    if !values.is_empty() {
        text.push_str(&format!(". One of {}", values.join(", ")));
    }
    let default = option.get_default_values().first().map(|it| it.to_string_lossy().into_owned());
    if let Some(default) = default.filter(|_| option.get_action().takes_values()) {
        text.push_str(&format!(". Default `{default}`"));
    }
    if let Some(variable) = option.get_env() {
        text.push_str(&format!(". Variable `{}`", variable.to_string_lossy()));
    }
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use std::{env, fs};

    use super::*;
    use crate::cli::arguments::command;

    #[test]
    fn the_reference_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cli.md");
        let current = markdown(command());
        if env::var_os("BASCULE_BLESS").is_some() {
            fs::write(path, &current).unwrap();
        }
        let kept = fs::read_to_string(path).unwrap_or_default();
        assert!(
            kept == current,
            "docs/cli.md is not current; `BASCULE_BLESS=1 cargo test -p bascule --lib \
             cli::reference` writes it anew"
        );
    }
}
