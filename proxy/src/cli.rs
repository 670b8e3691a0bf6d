//! The command line: what was asked for, and the exit code that answers.

mod about;
mod answers;
mod arguments;
mod backend;
mod check;
mod configuration;
mod console;
mod demo;
mod examples;
mod failure;
mod fault;
mod format;
mod graph;
mod incidents;
mod logs;
mod names;
mod options;
mod pools;
mod process;
mod reference;
mod screen;
mod sidecar;
mod status;
mod supervise;
mod table;
mod text;
mod top;

use std::{
    io::{self, Write},
    net::SocketAddr,
    num::NonZeroUsize,
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Result;
use clap::FromArgMatches;

use crate::{
    app::{self, Extras, Source, Start},
    cli::{
        arguments::{Arguments, Command, TokenCommand},
        console::Console,
        failure::{Exit, Failure},
    },
    config::{self, Loaded},
    dashboard::DashboardConfig,
    model::{Level, LogFormat, LogStreamLimits, Logging, Topology},
    telemetry::{log_stream::LogStream, logging},
    token::{self, Fresh, Readers},
    web::HttpClient,
};

/// Reads the arguments, does what they ask for, and returns the exit code.
pub fn main() -> ExitCode {
    let start = match Start::take() {
        Ok(start) => start,
        Err(error) => {
            say(&mut io::stderr(), &format!("error: what this process was started with: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let matches = arguments::command().get_matches();
    let arguments = match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        // Says what is wrong, and ends the process as for every wrong command line.
        Err(error) => error.format(&mut arguments::command()).exit(),
    };
    let console = Console::new(arguments.color);
    run(arguments.command, console, start).unwrap_or_else(|failure| console.fail(&failure))
}

/// Returns the reference of all commands, as Markdown.
pub fn reference() -> String {
    reference::markdown(arguments::command())
}

fn run(command: Command, console: Console, start: Start) -> Result<ExitCode, Failure> {
    match command {
        Command::Run { config, threads } => Ok(run_file(&config, threads, console, &start)?),
        Command::Check(options) => Ok(check::run(&options, console)),
        Command::Explain { key } => Ok(check::explain(&key)),
        Command::Demo(options) => Ok(demo::run(&options, &start.last())?),
        Command::Proxy { urls, listen, admin } => Ok(run_urls(&urls, listen, admin, &start)?),
        Command::Dashboard { listen, admin, token_file, tls, allow_host } => {
            let token = token_file.as_deref().map(token::read).transpose();
            let token = token.map_err(anyhow::Error::from)?;
            let client = HttpClient::of(&admin, &tls.trust()).map_err(anyhow::Error::from)?;
            let config = DashboardConfig { admin, client, token, allow_hosts: allow_host };
            Ok(run_dashboard(listen, config)?)
        }
        Command::Status(options) => status::run(&options, console),
        Command::Top(options) => top::run(&options, console),
        Command::Logs(options) => logs::run(&options, console),
        Command::Incidents(options) => incidents::run(&options, console),
        Command::Backend(command) => backend::run(&command, console),
        Command::Failover(options) => pools::fail_over(&options, console),
        Command::Failback(terms) => pools::fail_back(&terms, console),
        Command::Fault(command) => fault::run(&command, console),
        Command::Recover(options) => fault::recover(&options, console),
        Command::Reload(options) => configuration::reload(&options, console),
        Command::Config(command) => configuration::run(&command, console),
        Command::Drain(options) => process::drain(&options, console),
        Command::Undrain(options) => process::undrain(&options, console),
        Command::Upgrade(options) => process::upgrade(&options, console),
        Command::LogLevel(options) => process::log_level(&options, console),
        Command::Audit(options) => process::audit(&options, console),
        Command::Whoami(options) => process::who_am_i(&options, console),
        Command::Token(TokenCommand::New { out: Some(out), readable }) => {
            let readers = if readable { Readers::Everybody } else { Readers::Owner };
            let hash = token::write_new(&out, readers).map_err(anyhow::Error::from)?;
            tell(console, &format!("sha256  {hash}\n"))
        }
        Command::Token(TokenCommand::New { out: None, .. }) => {
            let Fresh { token, hash } = token::fresh().map_err(anyhow::Error::from)?;
            tell(console, &format!("token   {token}\nsha256  {hash}\n"))
        }
        Command::Graph { config, format } => draw(&config, format, console),
        Command::Schema => tell(console, &config::schema()),
        Command::Completions { shell } => tell(console, &about::completions(shell)),
        Command::Man { out: None } => tell(console, &about::manual()?),
        Command::Man { out: Some(folder) } => {
            about::write_manuals(&folder)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Version { format } => tell(console, &about::version(format)),
    }
}

/// Prints an answer. A reader that has gone away is no reason to fail.
fn tell(console: Console, text: &str) -> Result<ExitCode, Failure> {
    _ = console.print(text);
    Ok(ExitCode::SUCCESS)
}

fn run_dashboard(listen: SocketAddr, config: DashboardConfig) -> Result<ExitCode> {
    let logging = Logging::plain(Level::Info, LogFormat::Text);
    // Nobody reads the live log of the page's server: its own is a few lines.
    let none = LogStreamLimits { buffer: NonZeroUsize::MIN, clients: NonZeroUsize::MIN };
    let _guard = logging::init(&logging, LogStream::new(none))?;
    app::run_dashboard(listen, config)?;
    Ok(ExitCode::SUCCESS)
}

fn draw(
    files: &[PathBuf],
    language: graph::Language,
    console: Console,
) -> Result<ExitCode, Failure> {
    match config::load_all(files) {
        Ok(loaded) => tell(console, &graph::write(&loaded.topology, language)),
        Err(rejection) => {
            console.say_text(&rejection.findings.text(check::style(console)));
            Ok(Exit::No.into())
        }
    }
}

fn run_urls(
    urls: &[String],
    listen: SocketAddr,
    admin: SocketAddr,
    start: &Start,
) -> Result<ExitCode> {
    if !admin.ip().is_loopback() {
        return Ok(reject(&format!(
            "error: --admin {admin}: without a token only this machine may reach the sidecar; \
             use a loopback address, or a file with `admin.token_file`"
        )));
    }
    match config::from_urls(listen, urls) {
        Ok(mut topology) => {
            topology.admin.address = admin;
            serve((topology, None), Source::none(), Extras::default(), start, || {})
        }
        Err(rejection) => Ok(reject(&rejection.to_string())),
    }
}

fn run_file(
    files: &[PathBuf],
    threads: Option<NonZeroUsize>,
    console: Console,
    start: &Start,
) -> Result<ExitCode> {
    let source = Source::files(files, move |topology| {
        if let Some(threads) = threads {
            topology.threads = threads;
        }
    });
    let loaded = match config::load_all(files) {
        Ok(loaded) => loaded,
        Err(rejection) => {
            let text = rejection.findings.text(check::style(console));
            start.failed(&text);
            return Ok(reject(&text));
        }
    };
    warn(&loaded, console);
    let mut topology = loaded.topology;
    source.adjust(&mut topology);
    serve((topology, Some(loaded.effective)), source, Extras::default(), start, || {})
}

/// Starts logging and runs the proxy until it is told to stop.
fn serve(
    configured: (Topology, Option<config::Effective>),
    source: Source,
    extras: Extras,
    start: &Start,
    is_up: impl FnOnce(),
) -> Result<ExitCode> {
    let topology = &configured.0;
    let logs = LogStream::new(topology.admin.log_stream);
    let _guard = logging::init(&topology.logging, logs.clone())?;
    app::run(configured, source, extras, logs, start, is_up)?;
    Ok(ExitCode::SUCCESS)
}

fn reject(text: &str) -> ExitCode {
    say(&mut io::stderr(), text);
    Exit::ConfigRejected.into()
}

/// Says what was probably not meant so in an accepted file.
fn warn(loaded: &Loaded, console: Console) {
    console.say_text(&loaded.findings.text(check::style(console)));
}

/// Prints to standard output. A reader that has gone away is no reason to fail.
fn print(text: &str) {
    let mut out = io::stdout();
    _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn say(out: &mut dyn Write, text: &str) {
    if text.is_empty() {
        return;
    }
    _ = writeln!(out, "{}", text.trim_end());
}
