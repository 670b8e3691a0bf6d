//! What may stand on the command line.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf};

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::cli::{
    backend, check, configuration, console::ColorChoice, demo, examples, fault, graph, incidents,
    logs, pools, process, sidecar, sidecar::Format, status, top,
};

/// A load-balancing reverse proxy whose failover clients do not notice, with proof of it.
#[derive(Debug, Parser)]
#[command(name = "bascule", version, propagate_version = true)]
pub(crate) struct Arguments {
    /// When to use colours
    #[arg(
        long,
        global = true,
        env = "BASCULE_COLOR",
        value_enum,
        default_value_t,
        value_name = "WHEN"
    )]
    pub(crate) color: ColorChoice,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
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
    /// Run the proxy without a file: the first URL is preferred, the others are its backups
    Proxy {
        /// Backends, most preferred first
        #[arg(required = true, value_name = "URL")]
        urls: Vec<String>,
        /// Where clients connect
        #[arg(
            long,
            env = "BASCULE_LISTEN",
            default_value = "127.0.0.1:8021",
            value_name = "ADDRESS"
        )]
        listen: SocketAddr,
        /// Where the sidecar listens; only this machine may reach it
        #[arg(
            long,
            env = "BASCULE_ADMIN_LISTEN",
            default_value = "127.0.0.1:9901",
            value_name = "ADDRESS"
        )]
        admin: SocketAddr,
    },
    /// Run the proxy between two demo backends, with the sidecar, the page and some load
    Demo(demo::Options),
    /// Check configurations: every mistake at once, each with its line and a remedy
    Check(check::Options),
    /// Explain a key of the configuration, or the code of a problem
    Explain {
        /// The key, as `config/REFERENCE.md` or a report writes it, or the code
        #[arg(value_name = "KEY|CODE")]
        key: String,
    },
    /// Ask a running proxy how it is; exit 0 if it is well, 1 if not, 69 if nobody answers
    Status(status::Options),
    /// Watch load and condition of every backend
    Top(top::Options),
    /// Read the log of a running proxy
    Logs(logs::Options),
    /// List the failovers, or tell the story of one
    Incidents(incidents::Options),
    /// List backends, take them out of service and back, change their weights
    #[command(subcommand)]
    Backend(backend::Command),
    /// Move a pool's traffic to a later tier
    Failover(pools::Failover),
    /// Return a pool's traffic to its preferred tier before its hold-down has ended
    Failback(pools::Terms),
    /// Make backends fail, to see what happens then
    #[command(subcommand)]
    Fault(fault::Command),
    /// End every fault, also those that a demo backend was asked for itself
    Recover(fault::End),
    /// Load the configuration again; exit 78 if it is rejected, and the old one stays
    Reload(configuration::Reload),
    /// Show configurations
    #[command(subcommand)]
    Config(configuration::Command),
    /// Tell load balancers in front that the proxy will go away; it still serves
    Drain(process::DrainSelf),
    /// Take that back
    Undrain(process::DrainSelf),
    /// Start the program anew, on the same sockets, without losing a request
    Upgrade(process::Upgrade),
    /// Show or change how much is logged
    LogLevel(process::LogLevel),
    /// List who has changed what
    Audit(process::Audit),
    /// Show what the sidecar takes you for, and what you may do
    Whoami(process::WhoAmI),
    /// Make operators' tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Serve the page of a proxy that runs elsewhere
    Dashboard {
        /// Where browsers connect
        #[arg(
            long,
            env = "BASCULE_LISTEN",
            default_value = "127.0.0.1:3000",
            value_name = "ADDRESS"
        )]
        listen: SocketAddr,
        /// The proxy's sidecar
        #[arg(
            long,
            env = "BASCULE_ADMIN",
            default_value = "http://127.0.0.1:9901",
            value_name = "URL"
        )]
        admin: http::Uri,
        /// The operators' token; whoever reaches the page is then an operator
        #[arg(long, env = "BASCULE_TOKEN_FILE", value_name = "FILE")]
        token_file: Option<PathBuf>,
        #[command(flatten)]
        tls: sidecar::Tls,
        /// A host name under which browsers may reach the page, beside this machine's own
        #[arg(long, env = "BASCULE_ALLOW_HOST", value_name = "HOST", value_delimiter = ',')]
        allow_host: Vec<String>,
    },
    /// Draw which listener leads by which route to which pool, tier and backend
    Graph {
        /// A configuration file, a folder of them, or `-` for standard input; several are one
        /// configuration
        #[arg(required = true, env = "BASCULE_CONFIG", value_name = "FILE")]
        config: Vec<PathBuf>,
        /// The language of the graph
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: graph::Language,
    },
    /// Print the JSON Schema of the configuration
    Schema,
    /// Print a script that completes commands and options in a shell
    Completions {
        /// The shell
        #[arg(value_enum, value_name = "SHELL")]
        shell: Shell,
    },
    /// Print the manual page, or write those of all commands
    Man {
        /// A folder into which the pages of all commands are written
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
    },
    /// Print the version
    Version {
        /// The form of the answer
        #[arg(long, env = "BASCULE_FORMAT", value_enum, default_value_t, value_name = "FORMAT")]
        format: Format,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a random token, for whoever shall show it, and print its SHA-256, for the proxy
    New {
        /// Write the token to this file, which only its owner can read, in place of printing it; the
        /// file is replaced
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Let others read it, too: for a volume that several containers share
        #[arg(long, requires = "out")]
        readable: bool,
    },
}

/// The whole command line, with examples for every command.
pub(crate) fn command() -> clap::Command {
    examples::add(Arguments::command())
}
