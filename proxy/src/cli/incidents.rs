//! `bascule incidents`: what every failover was, how fast it went, and what it cost.

mod story;

use std::{process::ExitCode, time::Duration};

use clap::Args;
use serde_json::Value;
use tokio::time::sleep;

use crate::cli::{
    answers::{Incident, Incidents},
    console::{Console, ReaderGone, Size},
    failure::{Exit, Failure},
    format,
    screen::Block,
    sidecar::{Format, Output, Remote, Sidecar, block_on},
    table::{Align, Table},
    text::{self, Line, Styling, Tone},
};

/// A story changes with what traffic does; a second is soon enough to read of it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Options of `bascule incidents`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Tell the whole story of this one; `last` is the newest
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// Show those of this pool only
    #[arg(long, value_name = "POOL", conflicts_with = "id")]
    pool: Option<String>,
    /// How many to list, newest first
    #[arg(short = 'n', long, default_value_t = 20, value_name = "N", conflicts_with = "id",
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Keep looking: at the story until it is closed, at the list until you stop it
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    remote: Remote,
}

pub(crate) fn run(options: &Options, console: Console) -> Result<ExitCode, Failure> {
    let sidecar = Sidecar::new(&options.remote)?;
    block_on(async {
        let mut shown = Shown { block: Block::default(), said: Vec::new() };
        let mut is_first = true;
        loop {
            let answer = match ask(&sidecar, options).await {
                Ok(answer) => answer,
                // Whoever follows waits for a proxy that is being restarted.
                Err(failure) if !is_first && failure.exit == Exit::Unreachable => {
                    sleep(LOOK_EVERY).await;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            is_first = false;
            let is_told = options.output.quiet || shown.show(&answer, options, console).is_ok();
            let is_over = options.id.is_some() && answer.is_closed();
            if !options.follow || is_over || !is_told {
                return Ok(ExitCode::SUCCESS);
            }
            sleep(LOOK_EVERY).await;
        }
    })
}

/// The list, or one story.
enum Answer {
    List { json: Value, incidents: Vec<Incident> },
    One { json: Value, incident: Box<Incident> },
}

impl Answer {
    fn is_closed(&self) -> bool {
        match self {
            Self::List { .. } => false,
            Self::One { incident, .. } => incident.state == "closed",
        }
    }

    fn json(&self) -> String {
        match self {
            Self::List { json, .. } | Self::One { json, .. } => format!("{json}\n"),
        }
    }

    fn lines(&self) -> Vec<Line> {
        match self {
            Self::List { incidents, .. } if incidents.is_empty() => {
                vec![Line::plain("No failover since the proxy was started.")]
            }
            Self::List { incidents, .. } => table(incidents),
            Self::One { incident, .. } => story::lines(incident),
        }
    }
}

async fn ask(sidecar: &Sidecar, options: &Options) -> Result<Answer, Failure> {
    let Some(id) = &options.id else {
        let pool = options.pool.as_ref();
        let of_pool = pool.map_or_else(String::new, |pool| format!("&pool={}", escaped(pool)));
        let path = format!("/incidents?limit={}{of_pool}", options.limit);
        let json = sidecar.get(&path).await?;
        let incidents = sidecar.read::<Incidents>(&path, json.clone())?.incidents;
        return Ok(Answer::List { json, incidents });
    };
    let mut json = if id == "last" {
        let list = sidecar.get("/incidents?limit=1").await?;
        list["incidents"].get(0).cloned().ok_or_else(|| {
            let message = "there is no incident: nothing failed over since the proxy was started";
            Failure::new(Exit::No, message, "")
        })?
    } else {
        sidecar.get(&format!("/incidents/{}", escaped(id))).await?
    };
    json["schema"] = 1.into();
    let incident = Box::new(sidecar.read("/incidents", json.clone())?);
    Ok(Answer::One { json, incident })
}

/// What is on the screen, or was printed.
struct Shown {
    block: Block,
    said: Vec<String>,
}

impl Shown {
    fn show(
        &mut self,
        answer: &Answer,
        options: &Options,
        console: Console,
    ) -> Result<(), ReaderGone> {
        match (options.output.format, Size::of_output()) {
            (Format::Json, _) => self.add(vec![answer.json()], console),
            (Format::Text, Some(size)) if options.follow => {
                self.block.draw(answer.lines(), size, console)
            }
            (Format::Text, Some(_)) => console.lines(answer.lines()),
            (Format::Text, None) => {
                let render = |line: &Line| text::render(std::slice::from_ref(line), Styling::None);
                let plain = console.styling() == Styling::None;
                if options.follow && plain {
                    let texts = answer.lines().iter().map(render).collect();
                    self.add(texts, console)
                } else {
                    console.lines(answer.lines())
                }
            }
        }
    }

    /// Prints those texts that were not printed the last time.
    fn add(&mut self, texts: Vec<String>, console: Console) -> Result<(), ReaderGone> {
        let fresh: String = texts.iter().filter(|it| !self.said.contains(it)).cloned().collect();
        self.said = texts;
        if fresh.is_empty() { Ok(()) } else { console.print(&fresh) }
    }
}

fn table(incidents: &[Incident]) -> Vec<Line> {
    let mut table = Table::new(&[
        ("ID", Align::Left),
        ("WHEN", Align::Left),
        ("BACKEND", Align::Left),
        ("CAUSE", Align::Left),
        ("STATE", Align::Left),
        ("NOTICED", Align::Right),
        ("SWITCHED", Align::Right),
        ("REQUESTS", Align::Right),
        ("RESCUED", Align::Right),
        ("LOST", Align::Right),
    ]);
    for incident in incidents {
        let requests = &incident.requests;
        let lost = if requests.lost == 0 { Tone::Plain } else { Tone::Bad };
        let when = incident.moments.suspected_at.get(..19).unwrap_or_default().replace('T', " ");
        table.row(vec![
            Line::of(Tone::Strong, &incident.id),
            Line::plain(format!("{when}Z")),
            Line::plain(&incident.backend),
            cause(incident),
            state(incident),
            Line::plain(format::length(incident.detection_seconds)),
            Line::plain(format::length_or_none(incident.switch_seconds)),
            Line::plain(format::count(requests.total)),
            Line::plain(format::count(requests.rescued)),
            Line::of(lost, format::count(requests.lost)),
        ]);
    }
    table.lines()
}

fn cause(incident: &Incident) -> Line {
    let asked = if incident.requested { " (asked for)" } else { "" };
    Line::plain(incident.cause.replace('_', " ")).with(Tone::Faint, asked)
}

fn state(incident: &Incident) -> Line {
    let tone = match incident.state.as_str() {
        "open" => Tone::Bad,
        "closed" => Tone::Faint,
        _ => Tone::Moved,
    };
    Line::of(tone, &incident.state)
}

/// Returns `text` as it may stand in an address.
pub(crate) fn escaped(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| match byte {
            byte if is_plain(byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
