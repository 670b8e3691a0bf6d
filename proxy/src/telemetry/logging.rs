//! Where log lines go: to standard error or a file, and into the live log.
//!
//! Ours are written at the configured level. Libraries (Pingora above all, which logs through the
//! crate `log`) are heard from `warn` on, whatever the level, because their `info` speaks of
//! single connections. Audit lines are never left out: who changed what is worth a line even
//! where only errors are asked for.
//!
//! No secret is hidden here, because none may get here: tokens and keys are in no `Debug` and no
//! field.

mod writer;

use std::io::{self, IsTerminal};

use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, Targets},
    fmt::{self, MakeWriter, format::Writer, time::FormatTime},
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

pub use writer::LogGuard;

use crate::{
    clock,
    model::{Level, LogFormat, Logging},
    telemetry::{
        log_file::LogFile, log_level::LogLevel, log_stream::LogStream, logging::writer::LogWriter,
    },
};

/// The target of audit lines.
pub const AUDIT: &str = "audit";

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The thread that writes could not be started.
    #[error("could not start the thread that writes the log")]
    Thread(#[source] io::Error),
    /// The file that it is to be written to cannot be.
    #[error(transparent)]
    File(io::Error),
    /// Somebody else in this process has set up logging.
    #[error("logging is already set up in this process")]
    AlreadySet(#[source] tracing_subscriber::util::TryInitError),
}

/// Sets up logging for the whole process: as `logging` says, and into `stream`.
///
/// Writing is done by a thread of its own. Keep the guard until the end of the process: when
/// dropped, it waits for the lines that are still to be written.
///
/// # Errors
/// When the process already has a subscriber, or no thread can be started.
pub fn init(logging: &Logging, stream: LogStream) -> Result<LogGuard, LoggingError> {
    let (writer, guard) = match &logging.file {
        Some(path) => LogWriter::start(LogFile::open(path).map_err(LoggingError::File)?),
        None => LogWriter::start(io::stderr()),
    }
    .map_err(LoggingError::Thread)?;
    let is_terminal = logging.file.is_none()
        && io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none();
    let colour = if is_terminal { Colour::Ansi } else { Colour::None };
    subscriber(logging, colour, writer, stream).try_init().map_err(LoggingError::AlreadySet)?;
    Ok(guard)
}

#[derive(Clone, Copy)]
enum Colour {
    Ansi,
    None,
}

fn subscriber<W>(
    logging: &Logging,
    colour: Colour,
    writer: W,
    stream: LogStream,
) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(targets(logging.level));
    stream.has_level(LogLevel::new(logging.level, move |level| {
        // Fails only when the subscriber is gone, and nothing is written any more.
        _ = handle.reload(targets(level));
    }));
    tracing_subscriber::registry()
        .with(filter)
        .with(written(logging.format, colour, writer))
        .with(stream)
}

type BoxedLayer<S> = Box<dyn Layer<S> + Send + Sync>;
type Filtered = tracing_subscriber::layer::Layered<reload::Layer<Targets, Registry>, Registry>;

fn written<W>(format: LogFormat, colour: Colour, writer: W) -> BoxedLayer<Filtered>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_timer(Wall).with_writer(writer);
    match format {
        LogFormat::Text => layer.with_ansi(matches!(colour, Colour::Ansi)).boxed(),
        LogFormat::Json => {
            layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        }
    }
}

fn targets(level: Level) -> Targets {
    let ours = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    Targets::new()
        .with_default(ours.min(LevelFilter::WARN))
        .with_target("bascule", ours)
        .with_target(AUDIT, ours.max(LevelFilter::INFO))
}

/// The same time as everywhere else, so that a log line and an incident can be compared.
struct Wall;

impl FormatTime for Wall {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        writer.write_str(&clock::rfc3339_of(clock::now()))
    }
}

#[cfg(test)]
mod tests;
