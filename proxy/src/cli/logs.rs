//! `bascule logs`: the live log of a running proxy, through its restarts.

mod line;
mod stream;

use std::{collections::VecDeque, process::ExitCode, time::Duration};

use clap::{Args, ValueEnum};
use tokio::time::sleep;

use crate::cli::{
    console::{Console, ReaderGone},
    failure::{Exit, Failure},
    format,
    incidents::escaped,
    logs::{
        line::LogLine,
        stream::{Frame, Hello, LogStream},
    },
    sidecar::{Format, Remote, Sidecar, block_on},
    text::{Line, Tone},
};

/// Waits between attempts to connect again; the last one is repeated.
const AGAIN_AFTER: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// Options of `bascule logs`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Keep reading, also through restarts of the proxy
    #[arg(short, long)]
    follow: bool,
    /// How many of the recent lines to show first
    #[arg(short = 'n', long, default_value_t = 100, value_name = "N")]
    lines: usize,
    /// Show lines that are at least as severe as this
    #[arg(long, value_enum, default_value_t, value_name = "LEVEL")]
    level: Level,
    /// Show lines about this backend
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// Show lines about this pool
    #[arg(long, value_name = "POOL")]
    pool: Option<String>,
    /// Show lines that contain this text, in whatever case
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
    /// The form of a line
    #[arg(long, env = "BASCULE_FORMAT", value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    #[command(flatten)]
    remote: Remote,
}

/// How severe a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// Something does not work
    Error,
    /// Something is not as it should be
    Warn,
    /// What an operator should know
    #[default]
    Info,
    /// Everything; the proxy must log so much, see `bascule log-level`
    Debug,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

impl Options {
    /// The filter that the sidecar applies; which backend is judged here.
    fn path(&self) -> String {
        let mut path = format!("/logs?level={}", self.level.word());
        for (key, value) in [("pool", &self.pool), ("text", &self.grep)] {
            if let Some(value) = value {
                path.push_str(&format!("&{key}={}", escaped(value)));
            }
        }
        path
    }

    fn wants(&self, line: &LogLine) -> bool {
        self.backend.as_ref().is_none_or(|name| line.is_about_backend(name))
    }
}

pub(crate) fn run(options: &Options, console: Console) -> Result<ExitCode, Failure> {
    let sidecar = Sidecar::new(&options.remote)?;
    let path = options.path();
    block_on(async {
        let mut reading = Reading { options, console, last: None };
        let mut connection = stream::connect(&sidecar, &path).await?;
        loop {
            match reading.read(&mut connection).await? {
                Ended::Enough => return Ok(ExitCode::SUCCESS),
                Ended::Lost(why) => {
                    let text = format!("{why}; connecting again");
                    console.say(&Line::of(Tone::Warn, "--").with(Tone::Plain, format!(" {text}")));
                }
            }
            connection = again(&sidecar, &path).await?;
        }
    })
}

/// Connects again, as often as it takes. A refusal ends it: it will not change by itself.
async fn again(sidecar: &Sidecar, path: &str) -> Result<LogStream, Failure> {
    let waits = AGAIN_AFTER.into_iter().chain(std::iter::repeat(AGAIN_AFTER[3]));
    for wait in waits {
        sleep(wait).await;
        match stream::connect(sidecar, path).await {
            Err(failure) if failure.exit == Exit::Unreachable => {}
            other => return other,
        }
    }
    Err(Failure::new(Exit::Unreachable, "the proxy did not come back", ""))
}

/// Why reading from one connection has ended.
enum Ended {
    /// All that was asked for has been shown, or nobody reads any more.
    Enough,
    Lost(String),
}

/// Whether anything was shown over earlier connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    Lines,
}

/// What was logged before the connection was made.
struct Recent {
    lines: VecDeque<LogLine>,
    /// Lines that are still to come.
    left: usize,
}

/// How far the log has been read, over all connections.
struct Reading<'r> {
    options: &'r Options,
    console: Console,
    /// The process that was read from, and the number of its last line that was seen.
    last: Option<(String, u64)>,
}

impl Reading<'_> {
    async fn read(&mut self, connection: &mut LogStream) -> Result<Ended, Failure> {
        let Frame::Hello(hello) = connection.next().await? else {
            return Ok(Ended::Lost("the sidecar does not say hello".to_owned()));
        };
        let shown_before = self.greet(&hello);
        let mut recent = Recent { lines: VecDeque::new(), left: hello.recent };
        loop {
            if recent.left == 0 {
                for line in recent.lines.drain(..) {
                    if self.show(&line).is_err() {
                        return Ok(Ended::Enough);
                    }
                }
                self.last = Some((hello.started_at.clone(), self.seen().max(hello.newest)));
                if !self.options.follow {
                    return Ok(Ended::Enough);
                }
            }
            match connection.next().await? {
                Frame::Hello(_) => {}
                Frame::Lines(lines) => {
                    for line in lines {
                        if recent.left == 0 && self.show(&line).is_err() {
                            return Ok(Ended::Enough);
                        }
                        if 0 < recent.left {
                            recent.left -= 1;
                            self.keep(&mut recent.lines, line, shown_before);
                        }
                    }
                }
                Frame::Dropped(count) => self.missed(&format::plural(count, "line")),
                Frame::Ended(why) => return Ok(Ended::Lost(why)),
            }
        }
    }

    /// The number of the last line of this process that was seen, shown or not.
    fn seen(&self) -> u64 {
        self.last.as_ref().map_or(0, |(_, last)| *last)
    }

    /// Keeps one of the recent lines, unless it was seen before the connection was lost.
    fn keep(&self, recent: &mut VecDeque<LogLine>, line: LogLine, before: Before) {
        if line.seq <= self.seen() || !self.options.wants(&line) {
            return;
        }
        recent.push_back(line);
        // Of what came while nobody was connected, all is shown that there is.
        if before == Before::Nothing && self.options.lines < recent.len() {
            recent.pop_front();
        }
    }

    /// Finds out what was missed between two connections.
    fn greet(&mut self, hello: &Hello) -> Before {
        let Some((process, last)) = &self.last else {
            self.last = Some((hello.started_at.clone(), 0));
            return Before::Nothing;
        };
        if *process == hello.started_at {
            let missed = hello.oldest.saturating_sub(last + 1);
            if 0 < missed {
                // Some of them may not be of those asked for.
                self.missed(&format!("up to {}", format::plural(missed, "line")));
            }
        } else {
            let text = format!(" the proxy was restarted at {}", hello.started_at);
            self.console.say(&Line::of(Tone::Warn, "--").with(Tone::Plain, text));
            self.last = Some((hello.started_at.clone(), 0));
        }
        Before::Lines
    }

    fn missed(&self, how_many: &str) {
        let text = format!(" {how_many} missed");
        self.console.say(&Line::of(Tone::Warn, "--").with(Tone::Plain, text));
    }

    fn show(&mut self, line: &LogLine) -> Result<(), ReaderGone> {
        if let Some((_, last)) = &mut self.last {
            *last = line.seq.max(*last);
        }
        if !self.options.wants(line) {
            return Ok(());
        }
        let text = match self.options.format {
            Format::Json => line.json(),
            Format::Text => line.text().render(self.console.styling()),
        };
        self.console.print(&format!("{text}\n"))
    }
}
