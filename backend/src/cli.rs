//! The command line.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use axum::http::Method;
use clap::{Args, Parser, Subcommand};

/// The demo and test backend of Bascule: serves data, fails on command, proves what it executed.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// End when standard input closes, as it does when the process that started this one ends
    #[arg(long, global = true)]
    pub(crate) until_stdin_closes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve until SIGTERM or SIGINT (exit status 0) or POST /fail (exit status 1)
    Serve(Serve),
    /// Send requests at a constant rate, whether or not they are answered; print one line of JSON
    Load(Load),
    /// Ask a URL once; exit status 0 when it answers with a 2xx, 1 otherwise
    Health(Health),
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Name given in every response
    #[arg(long, env = "BACKEND_NAME", default_value = "backend")]
    pub(crate) name: String,
    /// Address to listen on
    #[arg(long, env = "BACKEND_LISTEN", default_value = "127.0.0.1:3001", value_parser = address)]
    pub(crate) listen: SocketAddr,
    /// How many backends to serve, at consecutive ports; their names are NAME-1, NAME-2, …
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) count: Option<u16>,
    /// File to which each executed X-Request-Id is appended before the request is answered
    #[arg(long)]
    pub(crate) ledger: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Load {
    /// Where to, such as http://127.0.0.1:8021/proxy/data
    pub(crate) url: String,
    /// Requests per second
    #[arg(long)]
    pub(crate) rate: f64,
    /// For how long, such as 30s or 5m; without it, until SIGTERM or SIGINT
    #[arg(long, value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    #[arg(long, default_value = "GET")]
    pub(crate) method: Method,
    /// Size of the body sent with each request
    #[arg(long, default_value_t = 0)]
    pub(crate) body_bytes: usize,
    /// How long a request may take until it counts as failed
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Unanswered requests at which further ones are counted as shed instead of sent
    #[arg(long, default_value_t = 2000)]
    pub(crate) in_flight: usize,
    /// Send an Idempotency-Key with each request, unlike any other
    #[arg(long)]
    pub(crate) idempotency_key: bool,
    /// Expect this many bytes of /blob, and count any other body as failed
    #[arg(long)]
    pub(crate) expect_blob: Option<u64>,
    /// File for what became of each request, one JSON object a line
    #[arg(long)]
    pub(crate) records: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Health {
    /// What to ask, such as http://127.0.0.1:3001/health
    pub(crate) url: String,
}

/// An address with a port; a name is looked up and its first address taken.
fn address(text: &str) -> Result<SocketAddr, String> {
    let invalid =
        || format!("`{text}` is no address; give one with a port, such as 127.0.0.1:3001");
    text.to_socket_addrs().ok().and_then(|mut found| found.next()).ok_or_else(invalid)
}

/// A number with a unit: 250ms, 30s, 5m, 1h.
fn duration(text: &str) -> Result<Duration, String> {
    let unit_at = text.find(|it: char| it.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let seconds_per_unit = match unit {
        "ms" => Some(1e-3),
        "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    };
    seconds_per_unit
        .zip(number.parse::<f64>().ok())
        .and_then(|(unit, number)| Duration::try_from_secs_f64(number * unit).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| {
            format!("`{text}` is no duration; give a number with ms, s, m or h, such as 30s")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn durations_have_a_unit() {
        let millis = |text| duration(text).unwrap().as_millis();
        assert_eq!(["250ms", "30s", "1.5m", "1h"].map(millis), [250, 30_000, 90_000, 3_600_000]);
        for text in ["30", "", "s", "0s", "-1s", "1d", "1 s x", "1e400s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_has_a_port() {
        assert_eq!(address("127.0.0.1:3001").unwrap().port(), 3001);
        assert!(address("127.0.0.1").is_err());
    }
}
