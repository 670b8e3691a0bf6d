//! Configuration: from files to a [`Topology`], or to everything that is wrong with the files.
//!
//! The passes, each of which reports all it finds: [`locate`] (text to a tree with places),
//! [`check`] (does every key and value fit?), decoding into [`file`], [`validate`] (does it make
//! sense as a whole?), [`assemble`]. Only the first can end the reading: text that is not YAML has
//! no keys. Several files are joined to one tree by [`combine`]. No other module knows YAML, and a
//! rejected configuration changes nothing.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

mod assemble;
mod check;
mod combine;
mod defaults;
pub mod difference;
mod effective;
mod environment;
mod explain;
mod file;
pub mod findings;
mod locate;
mod machine;
mod path;
pub mod problem;
mod reference;
mod shape;
mod sources;
mod suggest;
mod traps;
mod units;
pub mod urls;
mod validate;

use crate::{
    config::{
        environment::Environment,
        findings::{Findings, Style},
        problem::{Code, Problem, Severity},
        sources::Sources,
        urls::UrlsRejected,
        validate::Review,
    },
    model::Topology,
};

pub use crate::config::{
    effective::{Effective, Origin},
    explain::{Unexplained, explain},
};

/// What `bascule demo` runs.
pub const DEMO: &str = include_str!("../../config/demo.yaml");

/// An accepted configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the configuration describes.
    pub topology: Topology,
    /// The same as it would be written with nothing left out.
    pub effective: Effective,
    /// What was probably not meant so: all its problems are of [`Severity::Warning`].
    pub findings: Findings,
}

/// A refused configuration. Displays as the complete report, several lines long.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// All that is wrong, warnings included; at least one problem is an error.
    pub findings: Findings,
}

impl Rejection {
    /// Returns all that is wrong, warnings included; at least one is an error.
    pub fn problems(&self) -> &[Problem] {
        self.findings.problems()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.findings.text(Style::Plain).trim_end())
    }
}

impl std::error::Error for Rejection {}

/// How far a check goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What the files say.
    Files,
    /// And whether this machine has what they speak of: ports, files, secrets, names.
    Machine,
}

/// Reads the file at `path`, or what else [`load_all`] takes.
pub fn load(path: &Path) -> Result<Loaded, Rejection> {
    load_all(&[path.to_owned()])
}

/// Reads one configuration from all of `paths`: files, folders (of which every file that ends in
/// `.yaml` or `.yml` is read, by name), and `-` for standard input. Relative paths in a file start
/// at its folder.
pub fn load_all(paths: &[PathBuf]) -> Result<Loaded, Rejection> {
    check_all(paths, Scope::Files)
}

/// Does the same as [`load_all`], and looks for mistakes in all of `scope`.
pub fn check_all(paths: &[PathBuf], scope: Scope) -> Result<Loaded, Rejection> {
    let (sources, problems) = Sources::read(paths);
    load_from(sources, problems, scope, &process_environment)
}

/// Does the same as [`parse`], and looks for mistakes in all of `scope`.
pub fn check_text(name: &str, text: &str, base: &Path, scope: Scope) -> Result<Loaded, Rejection> {
    let (sources, problems) = Sources::of_text(name, text, base);
    load_from(sources, problems, scope, &process_environment)
}

/// Reads a configuration from `text`, which reports call `name`. Relative paths in it start at
/// `base`; `${…}` takes variables of this process's environment.
pub fn parse(name: &str, text: &str, base: &Path) -> Result<Loaded, Rejection> {
    parse_with(name, text, base, &process_environment)
}

/// Returns the JSON Schema (2020-12) of the configuration.
pub fn schema() -> String {
    format!("{:#}\n", shape::json_schema())
}

/// Returns the reference of all keys, as Markdown.
pub fn reference() -> String {
    reference::markdown()
}

/// Returns the one of `known` that a mistyped `word` was probably meant to be.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    suggest::nearest(word, known)
}

/// Returns a topology of one pool with a backend for each of `urls`, the first preferred, each
/// further one in a tier of its own.
pub fn from_urls(listen: SocketAddr, urls: &[String]) -> Result<Topology, UrlsRejected> {
    urls::topology(listen, urls)
}

fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn parse_with(
    name: &str,
    text: &str,
    base: &Path,
    environment: Environment<'_>,
) -> Result<Loaded, Rejection> {
    let (sources, problems) = Sources::of_text(name, text, base);
    load_from(sources, problems, Scope::Files, environment)
}

/// Reads what `sources` holds; `problems` are those of reading it so far.
fn load_from(
    sources: Sources,
    mut problems: Vec<Problem>,
    scope: Scope,
    environment: Environment<'_>,
) -> Result<Loaded, Rejection> {
    let sources = Arc::new(sources);
    let accepted = read(&sources, &mut problems, scope, environment);
    let findings = Findings::new(sources, problems);
    match accepted {
        Ok((topology, effective)) if findings.is_accepted(false) => {
            Ok(Loaded { topology, effective, findings })
        }
        Ok(_) | Err(Refused) => Err(Rejection { findings }),
    }
}

/// The configuration is refused; why is among the problems.
struct Refused;

fn read(
    sources: &Arc<Sources>,
    problems: &mut Vec<Problem>,
    scope: Scope,
    environment: Environment<'_>,
) -> Result<(Topology, Effective), Refused> {
    let is_error =
        |problems: &[Problem]| problems.iter().any(|it| it.severity() == Severity::Error);
    let mut is_readable = !is_error(problems);
    let mut roots = Vec::new();
    for range in sources.ranges() {
        // What could not be read has been reported, and is there as no text.
        if is_readable || !range.is_empty() {
            let (root, found) = locate::locate(sources, range);
            is_readable &= root.is_some();
            problems.extend(found);
            roots.extend(root);
        }
    }
    let (root, found) = combine::combine(roots, sources);
    problems.extend(found);
    // With a part of it missing, nearly everything would seem to be wrong with the rest.
    let mut root = root.filter(|_| is_readable).ok_or(Refused)?;
    defaults::apply(&mut root);
    let shape = shape::root().map_err(|message| internal(problems, message))?;
    let checked = check::check(sources, &root, shape, environment);
    let file: file::File = serde_yaml::from_value(checked.value)
        .map_err(|error| internal(problems, &error.to_string()))?;
    problems.extend(checked.problems);
    let mut review = Review::new(sources, &root, &checked.damaged);
    validate::review(&file, &mut review);
    if scope == Scope::Machine {
        machine::look(&file, &mut review);
    }
    problems.extend(review.into_problems());
    if is_error(problems) {
        return Err(Refused);
    }
    let file = file::File { defaults: file::defaults::Defaults::default(), ..file };
    let value =
        serde_yaml::to_value(&file).map_err(|error| internal(problems, &error.to_string()))?;
    // Every relative path has been joined to its file's folder.
    let topology = assemble::assemble(file, Path::new(""))
        .ok_or_else(|| internal(problems, "a rule was not checked"))?;
    Ok((topology, Effective::new(Arc::clone(sources), root, value)))
}

fn internal(problems: &mut Vec<Problem>, detail: &str) -> Refused {
    let message = format!("the program contradicts itself: {detail}");
    problems.push(Problem::new(
        Code::Internal,
        "",
        None,
        message,
        "please report this, with the file",
    ));
    Refused
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
