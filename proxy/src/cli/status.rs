//! `bascule status`: how is the proxy that runs there?

pub(crate) mod verdict;
pub(crate) mod view;
mod watch;

use std::{process::ExitCode, time::Duration};

use clap::Args;
use serde_json::{Value, json};

use crate::{
    cli::{
        answers::{Health, Incident, Incidents},
        console::Console,
        failure::{Exit, Failure},
        names,
        options::length,
        sidecar::{Format, Output, Remote, Sidecar, block_on},
    },
    units::write_length,
};

const HEALTH: &str = "/proxy/health";
const READY: &str = "/readyz";
/// Enough that those under way are among them.
const INCIDENTS: &str = "/incidents?limit=50";

/// Options of `bascule status`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Show this pool only, and answer for it
    #[arg(value_name = "POOL")]
    pool: Option<String>,
    /// Ask only whether it wants traffic
    #[arg(long, conflicts_with_all = ["watch", "pool"])]
    ready: bool,
    /// Keep looking: redraw on a terminal, else add a line whenever something has changed
    #[arg(short, long)]
    watch: bool,
    /// How often to look, with --watch
    #[arg(long, env = "BASCULE_INTERVAL", default_value = "1s", value_parser = length, value_name = "TIME")]
    interval: Duration,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    remote: Remote,
}

pub(crate) fn run(options: &Options, console: Console) -> Result<ExitCode, Failure> {
    if options.watch && options.interval < watch::INTERVAL_MIN {
        let least = write_length(watch::INTERVAL_MIN);
        return Err(Failure::usage("--interval is too short", format!("at least {least}")));
    }
    let sidecar = Sidecar::new(&options.remote)?;
    block_on(async {
        if options.ready {
            return readiness(&sidecar, options.output, console).await;
        }
        if options.watch {
            return watch::run(&sidecar, options, console).await;
        }
        let seen = look(&sidecar, options.pool.as_deref()).await?;
        if !options.output.quiet {
            // Nobody is left to tell when this fails, and the exit code answers all the same.
            _ = match options.output.format {
                Format::Json => console.print(&format!("{}\n", seen.json())),
                Format::Text => {
                    console.lines(view::lines(&seen.health, &seen.incidents, &sidecar.place()))
                }
            };
        }
        Ok(exit(seen.health.pools.iter().all(|pool| pool.is_served())))
    })
}

/// What one look has found.
struct Seen {
    answer: Value,
    health: Health,
    incidents: Vec<Incident>,
}

impl Seen {
    /// The sidecar's answer, with the verdict.
    fn json(&self) -> Value {
        let is_well = self.health.pools.iter().all(|pool| pool.is_served());
        let sentence = verdict::sentence(&self.health);
        let sentence = sentence.render(crate::cli::text::Styling::None);
        let mut answer = self.answer.clone();
        answer["verdict"] = json!({ "is_well": is_well, "sentence": sentence });
        answer
    }
}

async fn look(sidecar: &Sidecar, pool: Option<&str>) -> Result<Seen, Failure> {
    let mut answer = sidecar.get(HEALTH).await?;
    let mut health: Health = sidecar.read(HEALTH, answer.clone())?;
    if let Some(name) = pool {
        names::pool(&health.pools, name)?;
        health.pools.retain(|pool| pool.name == name);
        if let Some(pools) = answer["pools"].as_array_mut() {
            pools.retain(|pool| pool["name"] == name);
        }
    }
    let incidents = if health.pools.iter().any(|pool| pool.open_incident.is_some()) {
        let answer = sidecar.get(INCIDENTS).await?;
        sidecar.read::<Incidents>(INCIDENTS, answer)?.incidents
    } else {
        Vec::new()
    };
    Ok(Seen { answer, health, incidents })
}

async fn readiness(
    sidecar: &Sidecar,
    output: Output,
    console: Console,
) -> Result<ExitCode, Failure> {
    let (status, answer) = sidecar.get_with_status(READY).await?;
    let is_ready = status.is_success();
    if !output.quiet {
        let text = match output.format {
            Format::Json => {
                let reason = &answer["reason"];
                json!({ "schema": 1, "ready": is_ready, "reason": reason }).to_string()
            }
            Format::Text if is_ready => "ready".to_owned(),
            Format::Text => {
                format!("not ready: {}", answer["reason"].as_str().unwrap_or("no reason is given"))
            }
        };
        _ = console.print(&format!("{text}\n"));
    }
    Ok(exit(is_ready))
}

fn exit(is_well: bool) -> ExitCode {
    if is_well { ExitCode::SUCCESS } else { Exit::No.into() }
}
