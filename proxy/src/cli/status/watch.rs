//! `bascule status --watch`: looks again and again, and outlives the proxy that it looks at.

use std::{process::ExitCode, time::Duration};

use tokio::time::sleep;

use crate::{
    cli::{
        answers::Health,
        console::{Console, ReaderGone, Size},
        failure::{Exit, Failure},
        format::span,
        screen::Block,
        sidecar::{Format, Sidecar},
        status::{Options, Seen, look, verdict, view},
        text::{Line, Styling, Tone},
    },
    clock::{self, Timestamp},
};

/// More often would be load, and nobody reads faster.
pub(crate) const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Looks until whoever reads goes away. That the proxy does is part of what is watched; but the
/// first look must succeed, for an address may be wrong.
pub(crate) async fn run(
    sidecar: &Sidecar,
    options: &Options,
    console: Console,
) -> Result<ExitCode, Failure> {
    let mut shown = Shown::new(options, sidecar.place(), console);
    let mut last: Option<Seen> = None;
    let mut lost_at: Option<Timestamp> = None;
    loop {
        let is_told = match look(sidecar, options.pool.as_deref()).await {
            Ok(seen) => {
                lost_at = None;
                let seen = last.insert(seen);
                shown.show(seen)
            }
            Err(failure) if failure.exit == Exit::NotAllowed => return Err(failure),
            Err(failure) => {
                let Some(seen) = &last else { return Err(failure) };
                let now = clock::now();
                let lost_for = now.since(*lost_at.get_or_insert(now));
                shown.show_lost(seen, &failure, lost_for)
            }
        };
        if is_told.is_err() {
            return Ok(ExitCode::SUCCESS);
        }
        sleep(options.interval).await;
    }
}

/// What is on the screen, or was last said.
struct Shown {
    format: Format,
    is_quiet: bool,
    place: String,
    console: Console,
    block: Block,
    /// What was said last where lines are added, so that they are added for changes only.
    said: Vec<String>,
}

impl Shown {
    fn new(options: &Options, place: String, console: Console) -> Self {
        let (format, is_quiet) = (options.output.format, options.output.quiet);
        Self { format, is_quiet, place, console, block: Block::default(), said: Vec::new() }
    }

    fn show(&mut self, seen: &Seen) -> Result<(), ReaderGone> {
        if self.is_quiet {
            return Ok(());
        }
        match (self.format, Size::of_output()) {
            (Format::Json, _) => self.console.print(&format!("{}\n", seen.json())),
            (Format::Text, Some(size)) => {
                let lines = view::lines(&seen.health, &seen.incidents, &self.place);
                self.block.draw(lines, size, self.console)
            }
            (Format::Text, None) => {
                let texts = change_lines(&seen.health);
                self.add(&seen.health.now, texts)
            }
        }
    }

    fn show_lost(
        &mut self,
        seen: &Seen,
        failure: &Failure,
        lost_for: Duration,
    ) -> Result<(), ReaderGone> {
        if self.is_quiet {
            return Ok(());
        }
        match (self.format, Size::of_output()) {
            (Format::Json, _) => {
                self.say_once(&format!("not connected: {}", failure.message));
                Ok(())
            }
            (Format::Text, Some(size)) => {
                let mut lines = vec![
                    Line::of(
                        Tone::Bad,
                        format!("Not connected for {}", span(lost_for.as_secs_f64())),
                    )
                    .with(Tone::Plain, format!(": {}.", failure.message))
                    .prose(),
                    Line::plain(format!("What follows was so at {}.", seen.health.now)),
                ];
                let stale = view::lines(&seen.health, &seen.incidents, &self.place);
                lines.extend(stale.into_iter().map(|line| line.toned(Tone::Faint)));
                self.block.draw(lines, size, self.console)
            }
            (Format::Text, None) => {
                let now = clock::rfc3339_of(clock::now());
                self.add(&now, vec![format!("not connected: {}", failure.message)])
            }
        }
    }

    /// Adds those of `texts` that were not said last time.
    fn add(&mut self, now: &str, texts: Vec<String>) -> Result<(), ReaderGone> {
        let fresh = texts.iter().filter(|text| !self.said.contains(text));
        let lines: String = fresh.map(|text| format!("{now}  {text}\n")).collect();
        self.said = texts;
        if lines.is_empty() { Ok(()) } else { self.console.print(&lines) }
    }

    fn say_once(&mut self, text: &str) {
        if self.said != [text] {
            self.console.say(&Line::plain(text));
            self.said = vec![text.to_owned()];
        }
    }
}

/// A line a pool, without what changes all the time.
fn change_lines(health: &Health) -> Vec<String> {
    let ready = if health.ready { "" } else { " (not ready)" };
    let lines = health.pools.iter().map(|pool| {
        let sentence = verdict::pool_sentence(pool).render(Styling::None);
        let status = pool.status.replace('_', " ");
        let incident = pool.open_incident.as_ref();
        let incident = incident.map_or_else(String::new, |id| format!(" Incident {id}."));
        format!("pool {}: {status}{ready}. {sentence}{incident}", pool.name)
    });
    // Said when it starts to watch, and after a restart.
    let process = format!("bascule {}, started at {}", health.version, health.started_at);
    std::iter::once(process).chain(lines).collect()
}
