//! `bascule backend`: what operators want of single backends.

use std::{process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::{
    cli::{
        answers::{Backend, Health, Pool},
        console::Console,
        failure::{Exit, Failure},
        format,
        incidents::escaped,
        names,
        options::{expectation, length},
        sidecar::{Output, Remote, Sidecar, block_on},
        status::view,
        text::{Line, Tone},
    },
    units::write_length,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the backends with health and intent
    #[command(visible_alias = "ls")]
    List {
        /// Only those of this pool
        #[arg(value_name = "POOL")]
        pool: Option<String>,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        remote: Remote,
    },
    /// Send nothing new to a backend, and let it finish what is in flight
    Drain(Forcible),
    /// Take a drained backend back into service
    Undrain(Terms),
    /// Send nothing new to a backend, and do not check its health either
    Disable(Forcible),
    /// Take a backend back into service, drained or disabled
    Enable(Terms),
    /// Take a backend out as if traffic had found it failing
    Eject {
        /// For how long; without, as the pool's outlier detection would
        #[arg(long = "for", value_parser = length, value_name = "TIME")]
        lasts: Option<Duration>,
        #[command(flatten)]
        terms: Forcible,
    },
    /// Let an ejected backend return before its time, on probation
    Readmit(Terms),
    /// Change a backend's share within its tier, until the file says otherwise
    Weight {
        #[command(flatten)]
        name: Name,
        /// In relation to the weights of the others in its tier
        #[arg(value_name = "WEIGHT")]
        weight: u32,
        #[command(flatten)]
        rest: Rest,
    },
}

/// Which backend.
#[derive(Args, Debug)]
pub(crate) struct Name {
    /// The backend: POOL/NAME, or NAME where only one pool has it
    #[arg(value_name = "NAME")]
    name: String,
}

/// Which backend, and under which terms.
#[derive(Args, Debug)]
pub(crate) struct Terms {
    #[command(flatten)]
    name: Name,
    #[command(flatten)]
    rest: Rest,
}

/// The same of an order that takes the backend out.
#[derive(Args, Debug)]
pub(crate) struct Forcible {
    #[command(flatten)]
    terms: Terms,
    /// Do it even to the last eligible backend of its pool
    #[arg(long)]
    force: bool,
}

/// Under which terms a backend is changed.
#[derive(Args, Debug)]
pub(crate) struct Rest {
    /// Wait until it is done: nothing in flight, or eligible again. Exit 1 if it takes longer
    #[arg(long, value_parser = length, value_name = "TIME")]
    wait: Option<Duration>,
    /// Do it only while this is the case: `intent=enabled`, `weight=100`. May be repeated
    #[arg(long, value_parser = expectation, value_name = "KEY=VALUE")]
    expect: Vec<(String, Value)>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    remote: Remote,
}

impl Rest {
    /// The body of an order.
    pub(crate) fn body(&self) -> Map<String, Value> {
        let mut body = Map::new();
        if let Some(wait) = self.wait {
            body.insert("wait".to_owned(), write_length(wait).into());
        }
        if !self.expect.is_empty() {
            body.insert("expect".to_owned(), Value::Object(self.expect.iter().cloned().collect()));
        }
        body
    }
}

impl Forcible {
    /// Gives the order, with what `body` says of its own.
    fn order(
        &self,
        deed: &str,
        mut body: Map<String, Value>,
        console: Console,
    ) -> Result<ExitCode, Failure> {
        if self.force {
            body.insert("force".to_owned(), true.into());
        }
        order(deed, &self.terms.name, body, &self.terms.rest, console)
    }
}

pub(crate) fn run(command: &Command, console: Console) -> Result<ExitCode, Failure> {
    let none = Map::new;
    match command {
        Command::List { pool, output, remote } => list(pool.as_deref(), *output, remote, console),
        Command::Drain(terms) => terms.order("drain", none(), console),
        Command::Undrain(terms) => order("undrain", &terms.name, none(), &terms.rest, console),
        Command::Disable(terms) => terms.order("disable", none(), console),
        Command::Enable(terms) => order("enable", &terms.name, none(), &terms.rest, console),
        Command::Readmit(terms) => order("readmit", &terms.name, none(), &terms.rest, console),
        Command::Eject { lasts, terms } => {
            let lasts = lasts.map(|lasts| ("for".to_owned(), write_length(lasts).into()));
            let body = lasts.into_iter().collect();
            terms.order("eject", body, console)
        }
        Command::Weight { name, weight, rest } => {
            let body = Map::from_iter([("weight".to_owned(), json!(weight))]);
            order("weight", name, body, rest, console)
        }
    }
}

fn list(
    pool: Option<&str>,
    output: Output,
    remote: &Remote,
    console: Console,
) -> Result<ExitCode, Failure> {
    let sidecar = Sidecar::new(remote)?;
    block_on(async {
        let health = health(&sidecar).await?;
        if let Some(name) = pool {
            names::pool(&health.pools, name)?;
        }
        let mut answer = sidecar.get("/backends").await?;
        if let (Some(name), Some(backends)) = (pool, answer["backends"].as_array_mut()) {
            backends.retain(|backend| backend["pool"] == name);
        }
        let backends: Vec<Backend> = sidecar.read("/backends", answer["backends"].clone())?;
        _ = output.print(console, &answer, || view::backend_list(&backends, &health.now));
        Ok(ExitCode::SUCCESS)
    })
}

/// Every pool with its backends.
pub(crate) async fn health(sidecar: &Sidecar) -> Result<Health, Failure> {
    let path = "/proxy/health";
    sidecar.read(path, sidecar.get(path).await?)
}

/// Sends an order for one backend and says what has become of it.
fn order(
    deed: &str,
    name: &Name,
    mut body: Map<String, Value>,
    rest: &Rest,
    console: Console,
) -> Result<ExitCode, Failure> {
    let sidecar = Sidecar::new(&rest.remote)?;
    body.extend(rest.body());
    block_on(async {
        let health = health(&sidecar).await?;
        let (pool, backend) = names::backend(&health.pools, &name.name)?;
        let path = path_of(pool, backend, deed);
        let answer = sidecar.post(&path, body, rest.wait).await?;
        let after: Backend = sidecar.read(&path, answer["backend"].clone())?;
        let full = format!("{}/{}", pool.name, backend.name);
        _ = rest.output.print(console, &answer, || {
            vec![outcome(&full, &after, &health.now), persistence(&answer["persists"])]
        });
        if answer["is_done"] == false && rest.wait.is_some() {
            return Err(not_done(&full, deed, &after, rest.wait.unwrap_or_default()));
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn path_of(pool: &Pool, backend: &Backend, deed: &str) -> String {
    format!("/backends/{}/{}/{deed}", escaped(&pool.name), escaped(&backend.name))
}

fn outcome(full: &str, backend: &Backend, now: &str) -> Line {
    let eligible = if backend.eligible { "eligible" } else { "not eligible" };
    Line::of(Tone::Strong, full)
        .with(Tone::Plain, ": ")
        .and(view::intent(backend))
        .with(Tone::Plain, ", ")
        .and(view::health(backend, now))
        .with(Tone::Plain, format!(", {eligible}, weight {}", backend.weight))
        .with(Tone::Plain, format!(", {} in flight", format::count(backend.in_flight)))
}

/// How long an order holds: an operator should not find out by a restart.
fn persistence(persists: &Value) -> Line {
    let is_kept = |over: &&str| persists[*over] == true;
    let all = ["reload", "upgrade", "restart"];
    let (kept, lost): (Vec<&str>, Vec<&str>) = all.into_iter().partition(|it| is_kept(it));
    if !persists.is_object() || lost.len() == all.len() {
        return Line::default();
    }
    let not =
        if lost.is_empty() { String::new() } else { format!(", not over a {}", lost.join(" or ")) };
    Line::of(Tone::Faint, format!("kept over a {}{not}", kept.join(" and an ")))
}

fn not_done(full: &str, deed: &str, backend: &Backend, wait: Duration) -> Failure {
    let wait = write_length(wait);
    let message = match deed {
        "drain" | "disable" => format!(
            "{full} still has {} in flight after {wait}",
            format::plural(backend.in_flight, "request")
        ),
        _ => format!("{full} is not eligible again after {wait}: it is {}", backend.state),
    };
    Failure::new(
        Exit::No,
        message,
        "the order stands; repeat it to wait longer, or look with `bascule backend list`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::text::Styling;

    #[test]
    fn how_long_an_order_holds_is_said() {
        let said = |persists: Value| persistence(&persists).render(Styling::None);
        let kept = "kept over a reload and an upgrade, not over a restart";
        assert_eq!(said(json!({ "reload": true, "upgrade": true, "restart": false })), kept);
        assert_eq!(said(Value::Null), "");
    }
}
