//! Configuration: from a file to a [`Topology`], or to everything that is wrong with the file.
//!
//! The passes, each of which reports all it finds: [`locate`] (text to a tree with places),
//! [`check`] (does every key and value fit?), decoding into [`file`], [`validate`] (does it make
//! sense as a whole?), [`assemble`]. Only the first can end the reading: text that is not YAML has
//! no keys. No other module knows YAML, and a rejected file changes nothing.

use std::{
    fmt, fs,
    io::{self, Read},
    net::SocketAddr,
    path::Path,
};

mod assemble;
mod check;
mod environment;
mod file;
mod locate;
mod path;
pub mod problem;
mod reference;
mod report;
mod shape;
mod suggest;
mod units;
pub mod urls;
mod validate;

use crate::{
    config::{
        environment::Environment,
        problem::{Code, Location, Problem, Severity},
        urls::UrlsRejected,
    },
    model::Topology,
};

/// What `bascule demo` runs.
pub const DEMO: &str = include_str!("../../config/demo.yaml");

/// A configuration of a thousand backends is a tenth of this.
const LARGEST: usize = 1024 * 1024;

/// An accepted configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the configuration describes.
    pub topology: Topology,
    /// What was probably not meant so. All are of [`Severity::Warning`].
    pub warnings: Vec<Problem>,
}

/// A refused configuration. Displays as the complete report, several lines long.
#[derive(Clone, Debug)]
pub struct Rejection {
    problems: Vec<Problem>,
    report: String,
}

impl Rejection {
    fn new(name: &str, text: &str, problems: Vec<Problem>) -> Self {
        Self { report: report::render(name, text, &problems), problems }
    }

    /// Returns all that is wrong, warnings included; at least one is an error.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.report.trim_end())
    }
}

impl std::error::Error for Rejection {}

/// Reads the file at `path`. Relative paths in it start at its folder.
pub fn load(path: &Path) -> Result<Loaded, Rejection> {
    let name = path.display().to_string();
    let text = read(path).map_err(|unreadable| match unreadable {
        Unreadable::Io(error) => {
            let message = format!("cannot read the file: {error}");
            let remedy = "check the path, and that this user may read it";
            refuse(&name, Code::Unreadable, message, remedy)
        }
        Unreadable::TooLarge => too_large(&name),
        Unreadable::NotUtf8 { text, line } => {
            let message = format!("line {line} is not UTF-8");
            let remedy = "save the file as UTF-8";
            let location = Some(Location::of(&text, text.len()..text.len()));
            let (path, remedy) = (String::new(), remedy.to_owned());
            let problem = Problem { code: Code::NotUtf8, path, location, message, remedy };
            Rejection::new(&name, &text, vec![problem])
        }
    })?;
    parse(&name, &text, path.parent().unwrap_or(Path::new("")))
}

/// Reads a configuration from `text`, which reports call `name`. Relative paths in it start at
/// `base`; `${…}` takes variables of this process's environment.
pub fn parse(name: &str, text: &str, base: &Path) -> Result<Loaded, Rejection> {
    parse_with(name, text, base, &|variable| std::env::var(variable).ok())
}

/// Returns `problems` of the file `name` with contents `text` as a report for people: each with its
/// line, the place marked, and a remedy; then how many there are.
pub fn render(name: &str, text: &str, problems: &[Problem]) -> String {
    report::render(name, without_mark(text), problems)
}

/// Returns the JSON Schema (2020-12) of the configuration.
pub fn schema() -> String {
    format!("{:#}\n", shape::json_schema())
}

/// Returns the reference of all keys, as Markdown.
pub fn reference() -> String {
    reference::markdown()
}

/// Returns a topology of one pool with a backend for each of `urls`, the first preferred, each
/// further one in a tier of its own.
pub fn from_urls(listen: SocketAddr, urls: &[String]) -> Result<Topology, UrlsRejected> {
    urls::topology(listen, urls)
}

fn parse_with(
    name: &str,
    text: &str,
    base: &Path,
    environment: Environment<'_>,
) -> Result<Loaded, Rejection> {
    if LARGEST < text.len() {
        return Err(too_large(name));
    }
    let text = without_mark(text);
    let (root, mut problems) = locate::locate(text);
    let Some(root) = root else {
        return Err(Rejection::new(name, text, problems));
    };
    let shape = shape::root().map_err(|message| internal(name, message))?;
    let checked = check::check(text, &root, shape, environment);
    let file: file::File = serde_yaml::from_value(checked.value)
        .map_err(|error| internal(name, &error.to_string()))?;
    problems.extend(checked.problems);
    problems.extend(validate::review(text, &root, &checked.damaged, &file));
    if problems.iter().any(|problem| problem.severity() == Severity::Error) {
        return Err(Rejection::new(name, text, problems));
    }
    let topology =
        assemble::assemble(file, base).ok_or_else(|| internal(name, "a rule was not checked"))?;
    Ok(Loaded { topology, warnings: problems })
}

/// Returns `text` without the byte order mark that some editors put first. Places count from there.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

enum Unreadable {
    Io(io::Error),
    TooLarge,
    /// With the text up to the first byte that is not, and its line.
    NotUtf8 {
        text: String,
        line: usize,
    },
}

/// Reads at most one byte more than a configuration may have, so that no device or pipe fills the
/// memory.
fn read(path: &Path) -> Result<String, Unreadable> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(Unreadable::Io)?;
    file.take(LARGEST as u64 + 1).read_to_end(&mut bytes).map_err(Unreadable::Io)?;
    if LARGEST < bytes.len() {
        return Err(Unreadable::TooLarge);
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        let line = text.matches('\n').count() + 1;
        Unreadable::NotUtf8 { text, line }
    })
}

fn too_large(name: &str) -> Rejection {
    let message = format!("the file has more than {LARGEST} bytes");
    refuse(name, Code::TooLarge, message, "check that this is the file that was meant")
}

fn internal(name: &str, detail: &str) -> Rejection {
    let message = format!("the program contradicts itself: {detail}");
    refuse(name, Code::Internal, message, "please report this, with the file")
}

/// Returns the rejection of a file as a whole.
fn refuse(name: &str, code: Code, message: String, remedy: &str) -> Rejection {
    let remedy = remedy.to_owned();
    let problem = Problem { code, path: String::new(), location: None, message, remedy };
    Rejection::new(name, "", vec![problem])
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroUsize, time::Duration};

    use super::*;
    use crate::model::{
        Balance, Capacity, CheckKind, Destination, FailbackMode, HoldBack, HttpCheck, Level,
        LogFormat, PathMatch, PoolId, Protocol, Rewrite, WhenDown,
    };

    const MINIMAL: &str = include_str!("../../config/examples/minimal.yaml");

    fn topology(text: &str) -> Topology {
        let environment = |name: &str| (name == "PORT").then(|| "4001".to_owned());
        match parse_with("a.yaml", text, Path::new("/etc/bascule"), &environment) {
            Ok(loaded) => loaded.topology,
            Err(rejection) => panic!("\n{rejection}"),
        }
    }

    #[test]
    fn what_is_not_given_has_its_default() {
        let topology = topology(MINIMAL);
        let pool = &topology.pools[0];
        let check = &pool.health_check;
        assert_eq!(topology.routes[0].name, "route-1");
        assert_eq!(topology.routes[0].timeout, Duration::from_secs(15));
        assert_eq!(pool.balance, Balance::RoundRobin);
        assert_eq!(pool.backends[0].weight.get(), 100);
        assert_eq!(pool.tiers.fail_over_below, Capacity::Backends(NonZeroUsize::MIN));
        assert_eq!(pool.tiers.failback_after, Duration::from_secs(30));
        assert_eq!(check.kind, CheckKind::Http(HttpCheck::of("/health")));
        let times = [check.interval, check.interval_fast, check.timeout].map(|it| it.as_millis());
        assert_eq!(times, [1000, 100, 500]);
        assert_eq!((check.jitter, check.rise.get(), check.fall.get()), (0.2, 3, 2));
        let outlier = &pool.outlier_detection;
        assert_eq!((outlier.consecutive_failures.get(), outlier.max_ejected), (3, 0.5));
        assert_eq!([outlier.eject_base, outlier.eject_max].map(|it| it.as_secs()), [5, 300]);
        let retries = &pool.retries;
        assert_eq!((retries.max_attempts.get(), retries.budget_min_per_second), (3, 3));
        assert_eq!((retries.budget_ratio, &retries.statuses[..]), (0.2, &[502, 503, 504][..]));
        assert_eq!(retries.per_try_timeout, Duration::from_secs(2));
        let timeouts = [pool.timeouts.connect, pool.timeouts.between_reads, pool.timeouts.idle];
        assert_eq!(timeouts.map(|it| it.as_millis()), [500, 30_000, 55_000]);
        assert_eq!(pool.timeouts.idle_connections, 1024);
        let admin = &topology.admin;
        assert_eq!(
            (admin.address.to_string().as_str(), admin.fault_injection),
            ("127.0.0.1:9901", false)
        );
        assert_eq!((admin.log_stream.buffer.get(), admin.log_stream.clients.get()), (1000, 32));
        assert_eq!(
            (topology.logging.level, topology.logging.format),
            (Level::Info, LogFormat::Text)
        );
    }

    #[test]
    fn a_pool_without_policies_has_those_that_lose_nothing() {
        let pool = topology(MINIMAL).pools.remove(0);
        let tiers = &pool.tiers;
        assert_eq!((tiers.failback, tiers.spill_over), (FailbackMode::Automatic, false));
        let times = [tiers.failback_after_max, tiers.failback_ramp, pool.slow_start];
        assert_eq!(times.map(|it| it.as_secs()), [300, 0, 0]);
        assert_eq!((pool.protocol, pool.when_down), (Protocol::Http1, WhenDown::Reject));
        let outlier = &pool.outlier_detection;
        assert_eq!((outlier.failure_ratio, outlier.failure_ratio_min.get()), (0.5, 10));
        assert_eq!((outlier.latency_factor, pool.suspicion.factor), (5.0, 4.0));
        assert!(pool.suspicion.is_enabled && pool.suspicion.hedge);
        let hold_back = HoldBack {
            size: 64 * 1024,
            memory: 64 * 1024 * 1024,
            patience: Duration::from_millis(100),
        };
        assert_eq!(pool.hold_back, hold_back);
        let retries = &pool.retries;
        assert_eq!((retries.replay_size, retries.replay_memory), (1 << 20, 64 << 20));
        let times = [retries.backoff, retries.fresh_after, pool.suspicion.floor];
        assert_eq!(times.map(|it| it.as_millis()), [25, 1000, 50]);
        assert!(retries.on_proof);
    }

    #[test]
    fn the_policies_of_a_pool_arrive() {
        let pool = topology(include_str!("../../config/examples/half-a-site.yaml")).pools.remove(0);
        assert_eq!(pool.tiers.fail_over_below, Capacity::Share(0.7));
        assert!(pool.tiers.spill_over);
        let times = [pool.tiers.failback_after, pool.tiers.failback_ramp, pool.slow_start];
        assert_eq!(times.map(|it| it.as_secs()), [60, 20, 30]);

        let text = include_str!("../../config/examples/careful-writes.yaml");
        let pool = topology(text).pools.remove(0);
        assert_eq!(pool.tiers.failback, FailbackMode::Manual);
        let retries = &pool.retries;
        assert_eq!((retries.replay_size, retries.replay_memory), (8 << 20, 256 << 20));
        assert_eq!((pool.hold_back.size, pool.hold_back.patience.as_millis()), (1 << 20, 250));
        assert_eq!((retries.fresh_after.as_millis(), pool.suspicion.floor.as_millis()), (0, 250));

        let text = include_str!("../../config/bascule.yaml");
        let text = text.replace("when_down: reject ", "when_down: fail_open ");
        let text = text.replace("protocol: http1 ", "protocol: http2 ");
        let text = text.replace("on_proof: true ", "on_proof: false ");
        let pool = topology(&text).pools.remove(0);
        assert_eq!((pool.protocol, pool.when_down), (Protocol::Http2, WhenDown::FailOpen));
        assert!(!pool.retries.on_proof);
    }

    #[test]
    fn what_is_given_arrives() {
        let text = include_str!("../../config/bascule.yaml");
        let topology = topology(text);
        let route = &topology.routes[0];
        assert_eq!(topology.threads.get(), 2);
        assert_eq!(topology.listeners[0].trusted_proxies[0].to_string(), "10.0.0.0/8");
        assert_eq!(route.matches.path, Some(PathMatch::Prefix("/v1/".to_owned())));
        assert_eq!(route.rewrite, Some(Rewrite::StripPrefix("/v1".to_owned())));
        assert!(matches!(route.destination, Destination::Pool(PoolId(0))));
        assert_eq!(
            topology.admin.token_file.as_deref(),
            Some(Path::new("/etc/bascule/bascule.token"))
        );
    }

    #[test]
    fn the_demo_is_quick_and_may_be_broken() {
        let topology = topology(DEMO);
        let pool = &topology.pools[0];
        let check = &pool.health_check;
        let times = [check.interval, check.interval_fast, check.timeout].map(|it| it.as_millis());
        assert_eq!(times, [500, 100, 250]);
        assert_eq!((check.rise.get(), check.fall.get()), (2, 2));
        assert_eq!(pool.tiers.failback_after, Duration::from_secs(5));
        assert_eq!(pool.retries.per_try_timeout, Duration::from_secs(1));
        assert!(topology.admin.fault_injection);
        let targets: Vec<&str> = topology
            .routes
            .iter()
            .map(|route| match route.destination {
                Destination::Pool(PoolId(0)) => "api",
                Destination::Sidecar => "sidecar",
                Destination::Pool(_)
                | Destination::Split(_)
                | Destination::Redirect(_)
                | Destination::Respond(_) => "another",
            })
            .collect();
        assert_eq!(targets, ["api", "sidecar", "sidecar", "api"]);
    }

    #[test]
    fn variables_stand_for_values_of_any_type() {
        let text = MINIMAL.replace("3001", "${PORT}").replace("tier: 1", "tier: '${TIER:-1}'");
        let topology = topology(&text);
        assert!(topology.pools[0].backends[0].address.authority().ends_with(":4001"));
        assert_eq!(topology.pools[0].backends[1].tier, 1);
    }

    #[test]
    fn pools_keep_the_order_of_the_file() {
        let text = include_str!("../../config/examples/hosts-and-paths.yaml");
        let names: Vec<String> = topology(text).pools.into_iter().map(|pool| pool.name).collect();
        assert_eq!(names, ["api", "files", "admin"]);
    }

    #[test]
    fn a_byte_order_mark_is_no_mistake() {
        assert_eq!(topology(&format!("\u{feff}{MINIMAL}")).pools.len(), 1);
    }
}
