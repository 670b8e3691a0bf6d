//! Commands about the running process: reload, drain, undrain, upgrade, log level, who one is, and
//! who has changed what.

use std::{process::ExitCode, time::Duration};

use clap::{Args, ValueEnum};
use http::Method;
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use crate::{
    cli::{
        console::Console,
        failure::{Exit, Failure},
        format::{self, NONE},
        options::length,
        sidecar::{Output, Remote, Sidecar, block_on},
        table::{Align, Table},
        text::{Line, Tone},
    },
    clock,
    units::write_length,
};

const PROCESS: &str = "/process";
/// How often it is looked whether something has happened.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Options of `bascule drain` and `bascule undrain`.
#[derive(Args, Debug)]
pub(crate) struct DrainSelf {
    /// The proxy itself is meant; for one of its backends it is `bascule backend drain NAME`
    #[arg(long = "self", required = true)]
    _is_self: bool,
    /// Return after this time, in which load balancers in front stop sending: as the hook before
    /// a container is stopped
    #[arg(long, value_parser = length, value_name = "TIME")]
    wait: Option<Duration>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    remote: Remote,
}

/// Options of `bascule upgrade`.
#[derive(Args, Debug)]
pub(crate) struct Upgrade {
    /// How long the new process may take until it serves. Exit 1 if it takes longer
    #[arg(long, default_value = "30s", value_parser = length, value_name = "TIME")]
    wait: Duration,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    remote: Remote,
}

/// Options of `bascule log-level`.
#[derive(Args, Debug)]
pub(crate) struct LogLevel {
    /// The new level; without, the present one is shown
    #[arg(value_enum, value_name = "LEVEL")]
    level: Option<Level>,
    /// Return to the level of the file after this time
    #[arg(long = "for", value_parser = length, value_name = "TIME", requires = "level")]
    lasts: Option<Duration>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

/// Options of `bascule whoami`.
#[derive(Args, Debug)]
pub(crate) struct WhoAmI {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    remote: Remote,
}

/// Options of `bascule audit`.
#[derive(Args, Debug)]
pub(crate) struct Audit {
    /// How many to list, newest first
    #[arg(short = 'n', long, default_value_t = 50, value_name = "N")]
    limit: usize,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    remote: Remote,
}

pub(crate) fn drain(options: &DrainSelf, console: Console) -> Result<ExitCode, Failure> {
    let sidecar = Sidecar::new(&options.remote)?;
    block_on(async {
        let began = clock::now();
        let answer = sidecar.post("/drain", Map::new(), None).await?;
        _ = options.output.print(console, &answer, || {
            vec![Line::plain(format!(
                "{} is not ready any more, and still serves",
                sidecar.place()
            ))]
        });
        if let Some(wait) = options.wait {
            sleep(wait.saturating_sub(clock::now().since(began))).await;
        }
        Ok(ExitCode::SUCCESS)
    })
}

pub(crate) fn undrain(options: &DrainSelf, console: Console) -> Result<ExitCode, Failure> {
    let sidecar = Sidecar::new(&options.remote)?;
    block_on(async {
        let answer = sidecar.post("/undrain", Map::new(), None).await?;
        _ = options.output.print(console, &answer, || {
            vec![Line::plain(format!("{} is ready again", sidecar.place()))]
        });
        Ok(ExitCode::SUCCESS)
    })
}

/// Asks for a new process on the same sockets, and waits until it answers in the old one's place.
pub(crate) fn upgrade(options: &Upgrade, console: Console) -> Result<ExitCode, Failure> {
    let sidecar = Sidecar::new(&options.remote)?;
    block_on(async {
        let before = sidecar.get(PROCESS).await?;
        let began = clock::now();
        let body = Map::from_iter([("wait".to_owned(), write_length(options.wait).into())]);
        sidecar.post("/upgrade", body, Some(options.wait)).await?;
        loop {
            // Between the two, nobody may answer for a moment.
            match sidecar.get(PROCESS).await {
                Ok(after) if after["pid"] != before["pid"] => {
                    _ = options.output.print(console, &after, || vec![succession(&before, &after)]);
                    return Ok(ExitCode::SUCCESS);
                }
                Err(failure) if failure.exit != Exit::Unreachable => return Err(failure),
                Ok(_) | Err(_) => {}
            }
            if options.wait <= clock::now().since(began) {
                let message = format!(
                    "no new process serves after {}; the old one still does, and goes on trying",
                    write_length(options.wait)
                );
                let remedy = "its log says why: `bascule logs`, `journalctl -u bascule`";
                return Err(Failure::new(Exit::No, message, remedy));
            }
            sleep(LOOK_EVERY).await;
        }
    })
}

fn succession(before: &Value, after: &Value) -> Line {
    let version = |of: &Value| of["version"].as_str().unwrap_or("?").to_owned();
    Line::plain(format!(
        "process {} (bascule {}) has taken over from {} ({})",
        after["pid"],
        version(after),
        before["pid"],
        version(before),
    ))
}

pub(crate) fn log_level(options: &LogLevel, console: Console) -> Result<ExitCode, Failure> {
    let sidecar = Sidecar::new(&options.remote)?;
    block_on(async {
        let answer = match options.level {
            None => sidecar.get("/log-level").await?,
            Some(level) => {
                let word = level.to_possible_value().map(|it| it.get_name().to_owned());
                let mut body = json!({ "level": word.unwrap_or_default() });
                if let Some(lasts) = options.lasts {
                    body["for"] = write_length(lasts).into();
                }
                let within = Duration::from_secs(5);
                sidecar.ask(Method::PUT, "/log-level", Some(body), within).await?
            }
        };
        _ = options.output.print(console, &answer, || {
            let level = answer["level"].as_str().unwrap_or("?");
            let until = answer["until"].as_str();
            let until =
                until.map_or_else(String::new, |at| format!(" until {}", format::time_of_day(at)));
            vec![Line::plain(format!("{level}{until}"))]
        });
        Ok(ExitCode::SUCCESS)
    })
}

pub(crate) fn who_am_i(options: &WhoAmI, console: Console) -> Result<ExitCode, Failure> {
    let sidecar = Sidecar::new(&options.remote)?;
    block_on(async {
        let answer = sidecar.get("/whoami").await?;
        _ = options.output.print(console, &answer, || {
            let word = |key: &str| answer[key].as_str().unwrap_or("none").to_owned();
            vec![Line::plain(format!("{} ({}), role {}", word("name"), word("kind"), word("role")))]
        });
        Ok(ExitCode::SUCCESS)
    })
}

pub(crate) fn audit(options: &Audit, console: Console) -> Result<ExitCode, Failure> {
    let sidecar = Sidecar::new(&options.remote)?;
    block_on(async {
        let answer = sidecar.get(&format!("/audit?limit={}", options.limit)).await?;
        _ = options.output.print(console, &answer, || audit_lines(&answer));
        Ok(ExitCode::SUCCESS)
    })
}

fn audit_lines(answer: &Value) -> Vec<Line> {
    let entries = answer["entries"].as_array().cloned().unwrap_or_default();
    if entries.is_empty() {
        return vec![Line::plain("Nothing has been changed since the proxy was started.")];
    }
    let mut table = Table::new(&[
        ("WHEN", Align::Left),
        ("WHO", Align::Left),
        ("FROM", Align::Left),
        ("RESULT", Align::Left),
        ("ACTION", Align::Left),
        ("TARGET", Align::Left),
        ("BEFORE", Align::Left),
        ("AFTER", Align::Left),
    ]);
    for entry in &entries {
        let word = |value: &Value| Line::plain(value.as_str().unwrap_or(NONE));
        let value = |key: &str| match entry[key].as_str() {
            Some(text) => Line::plain(text),
            None if entry[key].is_null() => Line::of(Tone::Faint, NONE),
            None => Line::plain(entry[key].to_string()),
        };
        let who = &entry["who"];
        let who_name = who["name"].as_str().or(who["kind"].as_str());
        let result = entry["result"].as_str().unwrap_or(NONE);
        let tone = if result == "done" { Tone::Plain } else { Tone::Warn };
        let why = entry["reason"].as_str().map_or_else(String::new, |why| format!(": {why}"));
        let when = entry["at"].as_str().unwrap_or_default();
        let action = entry["action"].as_str().or(entry["request"].as_str());
        table.row(vec![
            Line::plain(when.get(..19).unwrap_or(when).replace('T', " ")),
            Line::of(Tone::Strong, who_name.unwrap_or(NONE)),
            word(&who["address"]),
            Line::of(tone, format!("{result}{why}")),
            Line::plain(action.unwrap_or(NONE)),
            word(&entry["target"]),
            value("before"),
            value("after"),
        ]);
    }
    table.lines()
}
