//! `bascule fault` and `bascule recover`: failures that somebody orders, and their end.

use std::{process::ExitCode, time::Duration};

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use http::Method;
use serde_json::{Map, Value, json};

use crate::{
    cli::{
        answers::{Fault, Pool},
        backend::health,
        console::Console,
        failure::{Exit, Failure},
        format,
        incidents::escaped,
        names,
        options::length,
        sidecar::{Output, Remote, Sidecar, block_on},
        status::view,
        table::{Align, Table},
        text::{Line, Tone},
    },
    event::{FaultMode, FaultScope},
    units::{parse_length, write_length},
};

const FAULTS: &str = "/faults";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a backend fail in some way; every fault but a crash ends by itself
    Inject(Box<Inject>),
    /// List the faults under way
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        remote: Remote,
    },
    /// End faults; the health checks then decide when the backend is fit again
    End(End),
}

/// Options of `bascule fault inject`.
#[derive(Args, Debug)]
pub(crate) struct Inject {
    /// The backend: POOL/NAME, or NAME where only one pool has it
    #[arg(value_name = "BACKEND")]
    name: String,
    /// How it fails
    #[arg(long, value_name = "MODE", value_parser = PossibleValuesParser::new(FaultMode::ALL.map(FaultMode::name)))]
    mode: String,
    /// For how long, ten minutes at most; by default thirty seconds
    #[arg(long = "for", value_parser = length, value_name = "TIME")]
    lasts: Option<Duration>,
    /// For whom
    #[arg(long, value_name = "SCOPE", value_parser = PossibleValuesParser::new(FaultScope::ALL.map(FaultScope::name)))]
    scope: Option<String>,
    /// For which part of them
    #[arg(long, value_name = "1-100", value_parser = clap::value_parser!(u8).range(1..=100))]
    percent: Option<u8>,
    /// What an `error` answers
    #[arg(long, value_name = "400-599", value_parser = clap::value_parser!(u16).range(400..=599))]
    status: Option<u16>,
    /// How late a `slow` answer is: one length, or two between which each is drawn (100ms..2s)
    #[arg(long, value_parser = delay, value_name = "TIME|TIME..TIME")]
    delay: Option<Value>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    remote: Remote,
}

/// Options of `bascule fault end` and of `bascule recover`.
#[derive(Args, Debug)]
pub(crate) struct End {
    /// The backend: POOL/NAME, or NAME where only one pool has it; without, every backend
    #[arg(value_name = "BACKEND")]
    name: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    remote: Remote,
}

pub(crate) fn run(command: &Command, console: Console) -> Result<ExitCode, Failure> {
    match command {
        Command::Inject(options) => inject(options, console),
        Command::List { output, remote } => list(*output, remote, console),
        Command::End(options) => end(options, console),
    }
}

fn inject(options: &Inject, console: Console) -> Result<ExitCode, Failure> {
    let sidecar = Sidecar::new(&options.remote)?;
    block_on(async {
        let pools = health(&sidecar).await?.pools;
        let (pool, backend) = names::backend(&pools, &options.name)?;
        let mut body = Map::from_iter([
            ("pool".to_owned(), json!(pool.name)),
            ("backend".to_owned(), json!(backend.name)),
            ("mode".to_owned(), json!(options.mode)),
        ]);
        let lasts = options.lasts.map(|lasts| write_length(lasts).into());
        let optional = [
            ("for", lasts),
            ("scope", options.scope.clone().map(Value::from)),
            ("percent", options.percent.map(Value::from)),
            ("status", options.status.map(Value::from)),
            ("delay", options.delay.clone()),
        ];
        body.extend(optional.into_iter().filter_map(|(key, it)| Some((key.to_owned(), it?))));
        let answer = sidecar.post(FAULTS, body, None).await?;
        _ = options.output.print(console, &answer, || vec![injected(pool, &backend.name, &answer)]);
        Ok(ExitCode::SUCCESS)
    })
}

fn injected(pool: &Pool, backend: &str, answer: &Value) -> Line {
    let fault: Fault = serde_json::from_value(answer.clone()).unwrap_or_default();
    let until = match answer["ends_at"].as_str() {
        Some(at) => {
            let at = format::time_of_day(at);
            format!(" until {at}; end it with `bascule fault end {}/{backend}`", pool.name)
        }
        None => String::new(),
    };
    Line::of(Tone::Strong, format!("{}/{backend}", pool.name))
        .with(Tone::Plain, ": ")
        .with(Tone::Warn, view::terms(&fault))
        .with(Tone::Plain, until)
}

fn list(output: Output, remote: &Remote, console: Console) -> Result<ExitCode, Failure> {
    let sidecar = Sidecar::new(remote)?;
    block_on(async {
        let answer = sidecar.get(FAULTS).await?;
        let faults: Vec<Fault> = sidecar.read(FAULTS, answer["faults"].clone())?;
        _ = output.print(console, &answer, || lines(&faults));
        Ok(ExitCode::SUCCESS)
    })
}

fn lines(faults: &[Fault]) -> Vec<Line> {
    if faults.is_empty() {
        return vec![Line::plain("No fault is under way.")];
    }
    let mut table =
        Table::new(&[("BACKEND", Align::Left), ("FAULT", Align::Left), ("ENDS IN", Align::Right)]);
    for fault in faults {
        table.row(vec![
            Line::of(Tone::Faint, format!("{}/", fault.pool)).with(Tone::Plain, &fault.backend),
            Line::of(Tone::Warn, view::terms(fault)),
            Line::plain(format::span(fault.remaining_seconds)),
        ]);
    }
    table.lines()
}

/// Ends what was injected into one backend, or into all.
fn end(options: &End, console: Console) -> Result<ExitCode, Failure> {
    let Some(name) = &options.name else { return recover(options, console) };
    let sidecar = Sidecar::new(&options.remote)?;
    block_on(async {
        let pools = health(&sidecar).await?.pools;
        let (pool, backend) = names::backend(&pools, name)?;
        let path = format!("{FAULTS}/{}/{}", escaped(&pool.name), escaped(&backend.name));
        let answer = sidecar.ask(Method::DELETE, &path, None, Duration::from_secs(5)).await?;
        recovery(&answer, options.output, console)
    })
}

/// Ends every fault, also those that a demo backend was asked for itself.
pub(crate) fn recover(options: &End, console: Console) -> Result<ExitCode, Failure> {
    let sidecar = Sidecar::new(&options.remote)?;
    block_on(async {
        let pools = health(&sidecar).await?.pools;
        let mut body = Map::new();
        if let Some(name) = &options.name {
            let (pool, backend) = names::backend(&pools, name)?;
            body.insert("pool".to_owned(), json!(pool.name));
            body.insert("backend".to_owned(), json!(backend.name));
        }
        let answer = sidecar.post("/proxy/recover", body, Some(Duration::from_secs(5))).await?;
        recovery(&answer, options.output, console)
    })
}

/// Says who has recovered, and fails if anybody has not.
fn recovery(answer: &Value, output: Output, console: Console) -> Result<ExitCode, Failure> {
    let failed = answer["not_recovered"].as_array().cloned().unwrap_or_default();
    _ = output.print(console, answer, || recovered_lines(answer, &failed));
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let count = format::plural(u64::try_from(failed.len()).unwrap_or(u64::MAX), "backend");
    Err(Failure::new(Exit::No, format!("{count} did not say that it recovered"), ""))
}

fn recovered_lines(answer: &Value, failed: &[Value]) -> Vec<Line> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let recovered = answer["recovered"].as_array().into_iter().flatten();
    let lines = recovered
        .map(|it| Line::of(Tone::Good, "recovered").with(Tone::Plain, format!(": {}", word(it))));
    let failed = failed.iter().map(|it| {
        let text =
            format!(": {}/{}: {}", word(&it["pool"]), word(&it["backend"]), word(&it["message"]));
        Line::of(Tone::Bad, "not recovered").with(Tone::Plain, text)
    });
    lines.chain(failed).collect()
}

/// Reads one length of time, or two.
fn delay(text: &str) -> Result<Value, String> {
    let valid = |text: &str| parse_length(text).map(|_| ()).map_err(crate::units::Misread::remedy);
    match text.split_once("..") {
        None => valid(text).map(|()| text.into()),
        Some((min, max)) => {
            valid(min)?;
            valid(max)?;
            Ok(json!({ "min": min, "max": max }))
        }
    }
}
