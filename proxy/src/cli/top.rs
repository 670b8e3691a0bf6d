//! `bascule top`: every backend's load and condition, live.
//!
//! Drawn with `crossterm` alone: the screen is a table of text that is written anew each second, so
//! a library of widgets would bring thirty crates for what [`view`] says in a page.

mod exposition;
mod sample;
mod terminal;
mod view;

use std::{collections::VecDeque, io::IsTerminal, process::ExitCode, time::Duration};

use clap::Args;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    cli::{
        backend::health,
        console::Console,
        failure::{Exit, Failure},
        format, names,
        options::length,
        sidecar::{Output, Remote, Sidecar, block_on},
        top::{
            sample::{Row, Sample, Sort},
            terminal::{Screen, Wish},
            view::{Choice, Seen},
        },
    },
    telemetry::metrics::UPSTREAM_DURATION,
};

/// Rates are taken over as long: shorter, and few requests make them jump.
const WINDOW: Duration = Duration::from_secs(5);
const INTERVAL_MIN: Duration = Duration::from_millis(200);

/// Options of `bascule top`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Show this pool only
    #[arg(value_name = "POOL")]
    pool: Option<String>,
    /// What the rows are sorted by at first
    #[arg(long, value_enum, default_value_t, value_name = "COLUMN")]
    sort: Sort,
    /// How often to look
    #[arg(long, env = "BASCULE_INTERVAL", default_value = "1s", value_parser = length, value_name = "TIME")]
    interval: Duration,
    /// Look twice, print the table, and end: for scripts, and where there is no terminal
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    remote: Remote,
}

pub(crate) fn run(options: &Options, console: Console) -> Result<ExitCode, Failure> {
    if options.interval < INTERVAL_MIN {
        return Err(Failure::usage("--interval is too short", "at least 200ms"));
    }
    if !options.once && !std::io::stdout().is_terminal() {
        let message = "`bascule top` draws on a terminal, and standard output is none";
        return Err(Failure::usage(message, "--once prints the table"));
    }
    let sidecar = Sidecar::new(&options.remote)?;
    block_on(async {
        let first = look(&sidecar, options).await?;
        if options.once {
            once(&sidecar, options, first, console).await
        } else {
            watch(&sidecar, options, first, console).await
        }
    })
}

async fn look(sidecar: &Sidecar, options: &Options) -> Result<Sample, Failure> {
    let mut health = health(sidecar).await?;
    if let Some(name) = &options.pool {
        names::pool(&health.pools, name)?;
        health.pools.retain(|pool| pool.name == *name);
    }
    let text = sidecar.get_text("/metrics").await?;
    let times = exposition::histograms(&text, UPSTREAM_DURATION.name);
    let at = format::seconds_between(&health.started_at, &health.now).unwrap_or(0.0);
    Ok(Sample { at, health, times })
}

async fn once(
    sidecar: &Sidecar,
    options: &Options,
    first: Sample,
    console: Console,
) -> Result<ExitCode, Failure> {
    sleep(options.interval).await;
    let last = look(sidecar, options).await?;
    let rows = sample::rows(Some(&first), &last);
    let choice = Choice { sort: options.sort, ..Choice::default() };
    let window = last.at - first.at;
    let answer = json!({
        "schema": 1,
        "now": last.health.now,
        "window_seconds": window,
        "backends": view::sorted(&rows, choice).iter().map(row_json).collect::<Vec<_>>(),
    });
    let place = sidecar.place();
    let seen = Seen { health: &last.health, rows: &rows, window, place: &place, lost: None };
    _ = options.output.print(console, &answer, || view::plain(&seen, choice));
    Ok(ExitCode::SUCCESS)
}

fn row_json(row: &Row) -> Value {
    json!({
        "pool": row.pool,
        "name": row.backend.name,
        "tier": row.backend.tier,
        "condition": row.backend.state,
        "intent": row.backend.intent,
        "is_active": row.backend.active,
        "in_flight": row.backend.in_flight,
        "requests_per_second": row.requests_per_second,
        "failures_per_second": row.failures_per_second,
        "p50_seconds": row.p50_seconds,
        "p99_seconds": row.p99_seconds,
    })
}

/// Draws until somebody wants to leave.
async fn watch(
    sidecar: &Sidecar,
    options: &Options,
    first: Sample,
    console: Console,
) -> Result<ExitCode, Failure> {
    let mut screen = Screen::open(console)?;
    let place = sidecar.place();
    let mut samples = VecDeque::from([first]);
    let mut choice = Choice { sort: options.sort, ..Choice::default() };
    let mut lost: Option<(String, f64)> = None;
    loop {
        if let Some(last) = samples.back() {
            let before = (1 < samples.len()).then(|| samples.front()).flatten();
            let rows = sample::rows(before, last);
            let seen = Seen {
                health: &last.health,
                rows: &rows,
                window: before.map_or(0.0, |before| last.at - before.at),
                place: &place,
                lost: lost.as_ref().map(|(why, seconds)| (why.as_str(), *seconds)),
            };
            let size = Screen::size();
            choice.scrolled = choice.scrolled.min(view::most_scrolled(rows.len(), size));
            screen.draw(&view::screen(&seen, choice, size))?;
        }
        let wish = tokio::select! {
            wish = screen.wish() => Some(wish),
            () = sleep(options.interval) => None,
        };
        match wish {
            Some(Wish::Leave) => return Ok(ExitCode::SUCCESS),
            Some(wish) => wish.apply(&mut choice),
            None => match look(sidecar, options).await {
                Ok(sample) => {
                    lost = None;
                    remember(&mut samples, sample);
                }
                Err(failure) if failure.exit == Exit::Unreachable => {
                    let waited = lost.take().map_or(0.0, |(_, seconds)| seconds);
                    lost = Some((failure.message, waited + options.interval.as_secs_f64()));
                }
                Err(failure) => return Err(failure),
            },
        }
    }
}

/// Keeps the samples of one process that the window needs.
fn remember(samples: &mut VecDeque<Sample>, sample: Sample) {
    let is_same = |it: &Sample| it.health.started_at == sample.health.started_at;
    if !samples.back().is_some_and(is_same) {
        samples.clear();
    }
    let from = sample.at - WINDOW.as_secs_f64();
    while 1 < samples.len() && samples.front().is_some_and(|first| first.at < from) {
        samples.pop_front();
    }
    samples.push_back(sample);
}
