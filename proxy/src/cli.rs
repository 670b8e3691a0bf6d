//! The command line: what was asked for, and the exit code that answers.

mod check;
mod demo;
mod status;
mod supervise;

use std::{
    io::{self, Write},
    net::SocketAddr,
    num::NonZeroUsize,
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{
    app::{self, Extras},
    cli::status::Question,
    config::{self, Loaded},
    dashboard::DashboardConfig,
    model::{Level, LogFormat, LogStreamLimits, Logging, Topology},
    telemetry::{log_stream::LogStream, logging},
    token::{self, Readers},
};

/// The answer is no: errors were found, or it is not ready.
const NO: u8 = 1;
/// The sidecar cannot be reached (`EX_UNAVAILABLE`).
const UNREACHABLE: u8 = 69;
/// The configuration was rejected (`EX_CONFIG`): starting again will not help.
const CONFIG_REJECTED: u8 = 78;

/// A load-balancing reverse proxy whose failover clients do not notice, with proof of it.
#[derive(Debug, Parser)]
#[command(
    name = "bascule",
    version,
    propagate_version = true,
    after_help = "Examples:\n  \
        bascule demo                                                  see a failover\n  \
        bascule proxy http://127.0.0.1:3001 http://127.0.0.1:3002     no file needed\n  \
        bascule check bascule.yaml && bascule run -c bascule.yaml     for real"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy in the foreground
    Run {
        /// A configuration file, a folder of them, or `-` for standard input; given several times,
        /// all are one configuration
        #[arg(short, long, required = true, env = "BASCULE_CONFIG", value_name = "FILE")]
        config: Vec<PathBuf>,
        /// Worker threads of the data plane, in place of the file's `threads`
        #[arg(long, env = "BASCULE_THREADS", value_name = "N")]
        threads: Option<NonZeroUsize>,
    },
    /// Check configurations: every mistake at once, each with its line and a remedy
    Check(check::Options),
    /// Explain a key of the configuration, or the code of a problem
    #[command(after_help = "Examples:\n  \
        bascule explain pools.*.health_check.interval\n  \
        bascule explain health_check.interval     as much of its end as tells it apart\n  \
        bascule explain B0103                     a code that `bascule check` printed")]
    Explain {
        /// The key, as `config/REFERENCE.md` or a report writes it, or the code
        #[arg(value_name = "KEY|CODE")]
        key: String,
    },
    /// Run the proxy between two demo backends, with the sidecar, the page and some load
    Demo(demo::Options),
    /// Run the proxy without a file: the first URL is preferred, the others are its backups
    Proxy {
        /// Backends, most preferred first
        #[arg(required = true, value_name = "URL")]
        urls: Vec<String>,
        /// Where clients connect
        #[arg(long, env = "BASCULE_LISTEN", default_value = "127.0.0.1:8021")]
        listen: SocketAddr,
        /// Where the sidecar listens; only this machine may reach it
        #[arg(long, env = "BASCULE_ADMIN_LISTEN", default_value = "127.0.0.1:9901")]
        admin: SocketAddr,
    },
    /// Serve the page of a proxy that runs elsewhere
    Dashboard {
        /// Where browsers connect
        #[arg(long, env = "BASCULE_LISTEN", default_value = "127.0.0.1:3000")]
        listen: SocketAddr,
        /// The proxy's sidecar
        #[arg(long, env = "BASCULE_ADMIN", default_value = "http://127.0.0.1:9901")]
        admin: http::Uri,
        /// The operators' token; whoever reaches the page is then an operator
        #[arg(long, env = "BASCULE_TOKEN_FILE", value_name = "FILE")]
        token_file: Option<PathBuf>,
        /// A host name under which browsers may reach the page, beside this machine's own
        #[arg(long, env = "BASCULE_ALLOW_HOST", value_name = "HOST", value_delimiter = ',')]
        allow_host: Vec<String>,
    },
    /// Ask a running proxy how it is; exit 0 if it is well, 1 if not, 69 if nobody answers
    Status {
        /// The proxy's sidecar
        #[arg(long, env = "BASCULE_ADMIN", default_value = "http://127.0.0.1:9901")]
        admin: http::Uri,
        /// Ask only whether it wants traffic
        #[arg(long)]
        ready: bool,
        /// Print nothing
        #[arg(short, long)]
        quiet: bool,
    },
    /// Make operators' tokens
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Print the JSON Schema of the configuration
    Schema,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Write a fresh random token to a file that only its owner can read
    New {
        /// The file; it is replaced
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Let others read it, too: for a volume that several containers share
        #[arg(long)]
        readable: bool,
    },
}

/// Reads the arguments, does what they ask for, and returns the exit code.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(code) => code,
        Err(error) => {
            say(&mut io::stderr(), &format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Run { config, threads } => run_file(&config, threads),
        Command::Check(options) => Ok(check::run(&options)),
        Command::Explain { key } => Ok(check::explain(&key)),
        Command::Demo(options) => demo::run(&options),
        Command::Proxy { urls, listen, admin } => run_urls(&urls, listen, admin),
        Command::Dashboard { listen, admin, token_file, allow_host } => {
            let token = token_file.as_deref().map(token::read).transpose()?;
            let config = DashboardConfig { admin, token, allow_hosts: allow_host };
            let logging = Logging { level: Level::Info, format: LogFormat::Text };
            // Nobody reads the live log of the page's server: its own is a few lines.
            let none = LogStreamLimits { buffer: NonZeroUsize::MIN, clients: NonZeroUsize::MIN };
            let _guard = logging::init(&logging, LogStream::new(none))?;
            app::run_dashboard(listen, config)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Status { admin, ready, quiet } => {
            ask_status(&admin, if ready { Question::IsReady } else { Question::Health }, quiet)
        }
        Command::Token { command: TokenCommand::New { out, readable } } => {
            token::write_new(&out, if readable { Readers::Everybody } else { Readers::Owner })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Schema => {
            print(&config::schema());
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn run_urls(urls: &[String], listen: SocketAddr, admin: SocketAddr) -> Result<ExitCode> {
    if !admin.ip().is_loopback() {
        return Ok(reject(&format!(
            "error: --admin {admin}: without a token only this machine may reach the sidecar; \
             use a loopback address, or a file with `admin.token_file`"
        )));
    }
    match config::from_urls(listen, urls) {
        Ok(mut topology) => {
            topology.admin.address = admin;
            serve(topology, Extras::default(), || {})
        }
        Err(rejection) => Ok(reject(&rejection.to_string())),
    }
}

fn run_file(files: &[PathBuf], threads: Option<NonZeroUsize>) -> Result<ExitCode> {
    let loaded = match config::load_all(files) {
        Ok(loaded) => loaded,
        Err(rejection) => return Ok(reject(&rejection.findings.text(check::style()))),
    };
    warn(&loaded);
    let mut topology = loaded.topology;
    if let Some(threads) = threads {
        topology.threads = threads;
    }
    serve(topology, Extras::default(), || {})
}

/// Starts logging and runs the proxy until it is told to stop.
fn serve(topology: Topology, extras: Extras, is_up: impl FnOnce()) -> Result<ExitCode> {
    let logs = LogStream::new(topology.admin.log_stream);
    let _guard = logging::init(&topology.logging, logs.clone())?;
    app::run(topology, extras, logs, is_up)?;
    Ok(ExitCode::SUCCESS)
}

fn ask_status(admin: &http::Uri, question: Question, is_quiet: bool) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (code, text) = match runtime.block_on(status::ask(admin, question)) {
        Ok(status) => (if status.is_well { 0 } else { NO }, status.text),
        Err(error) => (UNREACHABLE, error.to_string()),
    };
    if !is_quiet {
        print(&format!("{}\n", text.trim_end()));
    }
    Ok(ExitCode::from(code))
}

fn reject(text: &str) -> ExitCode {
    say(&mut io::stderr(), text);
    ExitCode::from(CONFIG_REJECTED)
}

/// Says what was probably not meant so in an accepted file.
fn warn(loaded: &Loaded) {
    let report = loaded.findings.text(check::style());
    if !report.is_empty() {
        say(&mut io::stderr(), &report);
    }
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
