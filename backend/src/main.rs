//! The program around the library: command line, log, signals, exit status.

mod cli;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use bascule_backend::load::{self, LoadPlan, Report, Summary};
use bascule_backend::{Config, Ended, Running, check_health, spawn};
use clap::Parser;
use futures_util::future::{join_all, select_all};
use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, Health, Load, Serve};

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.until_stdin_closes {
        end_with_the_parent();
    }
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Ends the process when its standard input does: the parent that holds the other end is gone,
/// however it went. A thread of its own, because reading standard input blocks.
#[expect(clippy::exit, reason = "nobody is left who could read a result")]
fn end_with_the_parent() {
    std::thread::spawn(|| {
        _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let runtime =
        Runtime::new().context("cannot start the runtime; is the process limit reached?")?;
    let code = runtime.block_on(async {
        match command {
            Command::Serve(serve) => run_serve(serve).await,
            Command::Load(load) => run_load(load).await,
            Command::Health(health) => run_health(health).await,
        }
    });
    // Nothing that is still under way, such as a name being looked up, may hold up the exit.
    runtime.shutdown_background();
    code
}

async fn run_serve(serve: Serve) -> anyhow::Result<ExitCode> {
    // Watched from before the first connection, so that no signal finds the process unprepared.
    let asked_to_stop = asked_to_stop()?;
    let mut all = configs(&serve).map(spawn).collect::<Result<Vec<_>, _>>()?;
    for running in &all {
        info!(backend = running.name(), addr = %running.addr(), "accepting connections");
    }
    let ended = tokio::select! {
        ended = first_ended(&mut all) => ended,
        () = asked_to_stop => {
            info!(backend = serve.name, "shutting down");
            let shut_down = join_all(all.iter_mut().map(Running::shutdown)).await;
            shut_down.into_iter().max().unwrap_or(Ended::ShutDown)
        }
    };
    Ok(match ended {
        Ended::ShutDown => ExitCode::SUCCESS,
        Ended::Failed | Ended::Killed => ExitCode::FAILURE,
    })
}

/// One backend at the address, or as many as asked for from there on.
fn configs(serve: &Serve) -> impl Iterator<Item = Config> {
    (0..serve.count.unwrap_or(1)).map(|index| {
        let name = match serve.count {
            None => serve.name.clone(),
            Some(_) => format!("{}-{}", serve.name, index + 1),
        };
        let mut listen = serve.listen;
        // With port 0 each finds a free one.
        if listen.port() != 0 {
            listen.set_port(listen.port().saturating_add(index));
        }
        Config::new(name).listening_on(listen).writing_down(serve.ledger.clone())
    })
}

/// Waits for the first end that is nobody's wish; the process ends with it.
async fn first_ended(all: &mut [Running]) -> Ended {
    let ends = all.iter_mut().map(|running| Box::pin(running.ended()));
    select_all(ends).await.0
}

async fn run_load(load: Load) -> anyhow::Result<ExitCode> {
    let mut plan = LoadPlan::new(&load.url, load.rate)?
        .method(load.method)
        .body_bytes(load.body_bytes)
        .timeout(load.timeout)
        .in_flight_max(load.in_flight)
        .idempotency_key(load.idempotency_key)
        .expecting_blob(load.expect_blob);
    if load.records.is_none() {
        // A load that runs for days keeps only its sums.
        plan = plan.records_max(0);
    }
    if let Some(duration) = load.duration {
        plan = plan.lasting(duration);
    }
    let report = load::start(plan).finish_or_stop(asked_to_stop()?).await;
    if let Some(path) = &load.records {
        write_records(path, &report).with_context(|| format!("cannot write {}", path.display()))?;
    }
    print_summary(&load.url, load.rate, &report)?;
    Ok(ExitCode::SUCCESS)
}

/// The line that `load` prints.
#[derive(Debug, Serialize)]
struct SummaryLine<'a> {
    url: &'a str,
    rate: f64,
    seconds: f64,
    /// When the first request was due, in seconds since 1970.
    started_unix: f64,
    #[serde(flatten)]
    summary: &'a Summary,
}

fn write_records(path: &Path, report: &Report) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    report.write_records(&mut file)?;
    file.flush()
}

fn print_summary(url: &str, rate: f64, report: &Report) -> anyhow::Result<()> {
    let seconds = report.finished.duration_since(report.started).as_secs_f64();
    let line = SummaryLine {
        url,
        rate,
        seconds,
        started_unix: report.started_unix,
        summary: &report.summary,
    };
    let line = serde_json::to_string(&line).context("cannot write the summary as JSON")?;
    writeln!(io::stdout(), "{line}").context("cannot write the summary to standard output")
}

async fn run_health(health: Health) -> anyhow::Result<ExitCode> {
    check_health(&health.url).await?;
    Ok(ExitCode::SUCCESS)
}

/// Completes on SIGTERM or SIGINT.
fn asked_to_stop() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
