//! `bascule failover` and `bascule failback`: which tier of a pool serves.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use serde_json::{Map, Value};

use crate::{
    cli::{
        backend::health,
        console::Console,
        failure::{Exit, Failure},
        incidents::escaped,
        names,
        options::{expectation, length},
        sidecar::{Output, Remote, Sidecar, block_on},
        status::verdict,
        text::{Line, Tone},
    },
    units::write_length,
};

/// Options of `bascule failover`.
#[derive(Args, Debug)]
pub(crate) struct Failover {
    /// Where to: `tier 1`, or a backend whose tier is meant; without, the next tier that can serve
    #[arg(long, value_name = "TIER|BACKEND")]
    to: Option<String>,
    /// Do it even if the tier cannot serve as it should
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    terms: Terms,
}

/// Options of `bascule failback`.
#[derive(Args, Debug)]
pub(crate) struct Terms {
    /// The pool; may be left out where there is only one
    #[arg(value_name = "POOL")]
    pool: Option<String>,
    /// Wait until the traffic has moved. Exit 1 if it takes longer
    #[arg(long, value_parser = length, value_name = "TIME")]
    wait: Option<Duration>,
    /// Do it only while this is the case: `active=a`. May be repeated
    #[arg(long, value_parser = expectation, value_name = "KEY=VALUE")]
    expect: Vec<(String, Value)>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    remote: Remote,
}

pub(crate) fn fail_over(options: &Failover, console: Console) -> Result<ExitCode, Failure> {
    let mut body = Map::new();
    if let Some(to) = &options.to {
        let digits = to.trim_start_matches("tier").trim_start();
        let is_tier = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
        let to = if is_tier { format!("tier {digits}") } else { to.clone() };
        body.insert("to".to_owned(), to.into());
    }
    if options.force {
        body.insert("force".to_owned(), true.into());
    }
    order("failover", body, &options.terms, console)
}

pub(crate) fn fail_back(terms: &Terms, console: Console) -> Result<ExitCode, Failure> {
    order("failback", Map::new(), terms, console)
}

fn order(
    deed: &str,
    mut body: Map<String, Value>,
    terms: &Terms,
    console: Console,
) -> Result<ExitCode, Failure> {
    let sidecar = Sidecar::new(&terms.remote)?;
    if let Some(wait) = terms.wait {
        body.insert("wait".to_owned(), write_length(wait).into());
    }
    if !terms.expect.is_empty() {
        body.insert("expect".to_owned(), Value::Object(terms.expect.iter().cloned().collect()));
    }
    block_on(async {
        let pools = health(&sidecar).await?.pools;
        let pool = match (&terms.pool, pools.as_slice()) {
            (Some(name), pools) => names::pool(pools, name)?,
            (None, [only]) => only,
            (None, pools) => {
                let all: Vec<&str> = pools.iter().map(|pool| pool.name.as_str()).collect();
                let message = "there are several pools";
                return Err(Failure::usage(message, format!("say which: {}", all.join(", "))));
            }
        };
        let path = format!("/pools/{}/{deed}", escaped(&pool.name));
        let answer = sidecar.post(&path, body, terms.wait).await?;
        let after = health(&sidecar).await?.pools;
        _ = terms.output.print(console, &answer, || {
            let after = after.iter().find(|it| it.name == pool.name).unwrap_or(pool);
            let name = Line::of(Tone::Strong, format!("pool {}", pool.name));
            vec![name.with(Tone::Plain, ": ").and(verdict::pool_sentence(after))]
        });
        match terms.wait {
            Some(wait) if answer["is_done"] == false => {
                let (name, wait) = (&pool.name, write_length(wait));
                let message = format!("the traffic of pool {name} has not moved after {wait}");
                let remedy = "the order stands; look with `bascule status --watch`";
                Err(Failure::new(Exit::No, message, remedy))
            }
            Some(_) | None => Ok(ExitCode::SUCCESS),
        }
    })
}
