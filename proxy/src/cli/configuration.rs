//! `bascule reload` and `bascule config show`: what is configured, and what would change.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use bytes::Bytes;
use clap::{Args, Subcommand};
use http::{Method, StatusCode};
use serde_json::{Map, Value};

use crate::{
    cli::{
        check,
        console::Console,
        failure::{Exit, Failure},
        format,
        options::{expectation, length},
        sidecar::{Format, Output, Remote, Sidecar, block_on},
        text::{Line, Tone},
    },
    config,
};

const CONFIG: &str = "/config";
const PATIENCE: Duration = Duration::from_secs(10);
/// A whole configuration on one line would be no answer.
const VALUE_CHARS_SHOWN: usize = 80;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what is configured, every default in its place: of a running proxy, or of files
    Show(Box<Show>),
}

/// Options of `bascule config show`.
#[derive(Args, Debug)]
pub(crate) struct Show {
    /// With --effective and --diff: a file, a folder of files, or `-` for standard input
    #[arg(env = "BASCULE_CONFIG", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What the proxy runs with; the default where nothing else is asked for
    #[arg(long, conflicts_with_all = ["effective", "diff"])]
    running: bool,
    /// What the files mean, with where each value comes from; asks no proxy
    #[arg(long, conflicts_with = "diff")]
    effective: bool,
    /// What a proxy that runs would change if it were given this file. Exit 1 if anything
    #[arg(long)]
    diff: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    remote: Remote,
}

/// Options of `bascule reload`.
#[derive(Args, Debug)]
pub(crate) struct Reload {
    /// Only say what would change
    #[arg(long)]
    dry_run: bool,
    /// Do it only while this is the case: `generation=3`
    #[arg(long, value_parser = expectation, value_name = "KEY=VALUE")]
    expect: Vec<(String, Value)>,
    /// How long it may take until the new configuration is in use
    #[arg(long, default_value = "60s", value_parser = length, value_name = "TIME")]
    wait: Duration,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    remote: Remote,
}

pub(crate) fn run(command: &Command, console: Console) -> Result<ExitCode, Failure> {
    let Command::Show(show) = command;
    if show.effective {
        return effective(show, console);
    }
    let sidecar = Sidecar::new(&show.remote)?;
    if show.diff { difference(show, &sidecar, console) } else { running(show, &sidecar, console) }
}

fn effective(show: &Show, console: Console) -> Result<ExitCode, Failure> {
    require_files(show, "--effective")?;
    let loaded = match config::load_all(&show.files) {
        Ok(loaded) => loaded,
        Err(rejection) => {
            console.say_text(&rejection.findings.text(check::style(console)));
            return Ok(Exit::No.into());
        }
    };
    if !show.output.quiet {
        _ = match show.output.format {
            Format::Text => console.print(&loaded.effective.yaml(true)),
            Format::Json => {
                let mut answer = loaded.effective.json();
                answer["schema"] = 1.into();
                console.print(&format!("{answer}\n"))
            }
        };
    }
    Ok(ExitCode::SUCCESS)
}

fn running(show: &Show, sidecar: &Sidecar, console: Console) -> Result<ExitCode, Failure> {
    block_on(async {
        if show.output.format == Format::Text && !show.output.quiet {
            let text = sidecar.get_text("/config?format=yaml").await?;
            _ = console.print(&text);
        } else {
            let answer = sidecar.get(CONFIG).await?;
            _ = show.output.print(console, &answer, Vec::new);
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn difference(show: &Show, sidecar: &Sidecar, console: Console) -> Result<ExitCode, Failure> {
    require_files(show, "--diff")?;
    // Read here, so that a mistake is shown with its line; sent as one, whatever it was made of.
    let loaded = match config::load_all(&show.files) {
        Ok(loaded) => loaded,
        Err(rejection) => {
            console.say_text(&rejection.findings.text(check::style(console)));
            return Ok(Exit::No.into());
        }
    };
    let text = Bytes::from(loaded.effective.yaml(false));
    block_on(async {
        let path = "/config/check";
        let (status, body) =
            sidecar.send(Method::POST, path, text, "application/yaml", PATIENCE).await?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if !status.is_success() && status != StatusCode::UNPROCESSABLE_ENTITY {
            return Err(sidecar.refused(path, status, &body));
        }
        // What was sent has every default in it: a warning that one has no effect is of nobody's doing.
        say_problems(&answer, |severity| severity == "error", console);
        _ = show.output.print(console, &answer, || change_lines(&answer));
        let is_same = changes(&answer).is_empty() && answer["result"] != "refused";
        Ok(if is_same { ExitCode::SUCCESS } else { Exit::No.into() })
    })
}

fn require_files(show: &Show, option: &str) -> Result<(), Failure> {
    if show.files.is_empty() {
        let message = format!("{option} needs a file");
        return Err(Failure::usage(message, "name it, or set BASCULE_CONFIG"));
    }
    Ok(())
}

/// Asks for the files to be loaded again, and says what has changed, or all that is wrong.
pub(crate) fn reload(options: &Reload, console: Console) -> Result<ExitCode, Failure> {
    let sidecar = Sidecar::new(&options.remote)?;
    let mut order = Map::new();
    if options.dry_run {
        order.insert("dry_run".to_owned(), true.into());
    }
    if !options.expect.is_empty() {
        order.insert("expect".to_owned(), Value::Object(options.expect.iter().cloned().collect()));
    }
    block_on(async {
        let (path, body) = ("/config/reload", Bytes::from(Value::Object(order).to_string()));
        let (status, body) =
            sidecar.send(Method::POST, path, body, "application/json", options.wait).await?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if !status.is_success() && status != StatusCode::UNPROCESSABLE_ENTITY {
            return Err(sidecar.refused(path, status, &body));
        }
        say_problems(&answer, |_| true, console);
        _ = options.output.print(console, &answer, || reload_lines(&answer));
        if status.is_success() {
            return Ok(ExitCode::SUCCESS);
        }
        let message = "the configuration was rejected; the proxy goes on with the one that it has";
        Err(Failure::new(Exit::ConfigRejected, message, "`bascule check FILE` says more"))
    })
}

fn reload_lines(answer: &Value) -> Vec<Line> {
    let generation = &answer["generation"];
    let first = match answer["result"].as_str() {
        Some("applied") => format!("generation {generation} is in use"),
        Some("unchanged") => format!("nothing has changed; generation {generation} stays in use"),
        Some("accepted") => "it would be accepted".to_owned(),
        Some("refused") => return Vec::new(),
        Some(other) => other.to_owned(),
        None => "done".to_owned(),
    };
    let took = answer["took_seconds"].as_f64().map(format::length);
    let took = took.map_or_else(String::new, |took| format!(", after {took}"));
    let mut lines = vec![Line::of(Tone::Good, first).with(Tone::Faint, took)];
    if !changes(answer).is_empty() {
        lines.extend(change_lines(answer));
    }
    lines
}

fn changes(answer: &Value) -> &[Value] {
    answer["changes"].as_array().map_or(&[], Vec::as_slice)
}

/// A line for each key that differs: what it was, and what it is or would be.
fn change_lines(answer: &Value) -> Vec<Line> {
    if changes(answer).is_empty() {
        return vec![Line::plain("No difference.")];
    }
    let mut lines: Vec<Line> = changes(answer).iter().map(change_line).collect();
    let restart = answer["needs_restart"].as_array().cloned().unwrap_or_default();
    let restart: Vec<&str> = restart.iter().filter_map(Value::as_str).collect();
    if !restart.is_empty() {
        let text = format!(": {}; see `bascule upgrade`", restart.join(", "));
        lines.push(Line::of(Tone::Warn, "needs another process").with(Tone::Plain, text));
    }
    lines
}

fn change_line(change: &Value) -> Line {
    let short = |value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if text.chars().count() <= VALUE_CHARS_SHOWN {
            return text;
        }
        text.chars().take(VALUE_CHARS_SHOWN).chain(['…']).collect()
    };
    let (before, after) = (&change["before"], &change["after"]);
    let path = change["path"].as_str().unwrap_or_default();
    let (sign, tone, values) = match (before.is_null(), after.is_null()) {
        (true, _) => ("+", Tone::Good, short(after)),
        (false, true) => ("-", Tone::Bad, short(before)),
        (false, false) => ("~", Tone::Moved, format!("{} -> {}", short(before), short(after))),
    };
    Line::of(tone, format!("{sign} {path}")).with(Tone::Plain, format!(": {values}"))
}

/// What is wrong with the configuration, or probably not meant so.
fn say_problems(answer: &Value, is_told: impl Fn(&str) -> bool, console: Console) {
    for problem in answer["problems"].as_array().into_iter().flatten() {
        let word = |key: &str| problem[key].as_str().unwrap_or_default();
        if !is_told(word("severity")) {
            continue;
        }
        let tone = if word("severity") == "warning" { Tone::Warn } else { Tone::Bad };
        let place = match (problem["line"].as_u64(), word("path")) {
            (Some(line), "") => format!(" line {line}"),
            (Some(line), path) => format!(" line {line}: {path}"),
            (None, path) => format!(" {path}"),
        };
        let kind = format!("{}[{}]", word("severity"), word("code"));
        let text = format!(":{}: {}", place.trim_end(), word("message"));
        console.say(&Line::of(tone, kind).with(Tone::Plain, text));
        if !word("remedy").is_empty() {
            console.say(&Line::of(Tone::Moved, "  = help: ").with(Tone::Plain, word("remedy")));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::text::{Styling, render};

    #[test]
    fn what_changes_is_told_key_by_key() {
        let answer = json!({
            "changes": [
                { "path": "pools.api.backends[b].weight", "before": 100, "after": 50 },
                { "path": "pools.web", "before": null, "after": { "backends": [] } },
                { "path": "routes[old]", "before": "x".repeat(100), "after": null },
            ],
            "needs_restart": ["threads"],
        });
        let text = render(&change_lines(&answer), Styling::None);
        let long = "x".repeat(80);
        let expected = format!(
            "~ pools.api.backends[b].weight: 100 -> 50\n+ pools.web: {{\"backends\":[]}}\n\
             - routes[old]: {long}…\nneeds another process: threads; see `bascule upgrade`\n"
        );
        assert_eq!(text, expected);
        assert_eq!(render(&change_lines(&json!({})), Styling::None), "No difference.\n");
    }
}
