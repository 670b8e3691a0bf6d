//! Settings that are each allowed, and together do what nobody wants.

use std::time::Duration;

use crate::{
    fleet::ejectable,
    forecast::{leads_to_pools, rescue::write_size},
    model::{
        CheckKind, FailbackMode, HostMatch, Match, Pool, PoolId, RetryPolicy, Route, Topology,
    },
    units::write_length,
};

/// A kind of trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrapKind {
    /// Not all attempts fit into the route's time.
    DeadlineTooShort,
    /// There is nobody to rescue anything.
    NoSpare,
    /// Fewer backends may be ejected than are bad in a bad release.
    OneEjection,
    /// Retries may add as much load as clients do.
    RetryStorm,
    /// All traffic is back at backends that have not had time to warm up.
    ColdFailback,
    /// Nearly every answer is passed on before it is whole.
    HoldsBackLittle,
    /// Backends close idle connections first.
    IdleTooLong,
    /// Checks do not see that answers are wrong.
    BlindCheck,
    /// Only timeouts find a backend that hangs.
    SlowSuspicion,
    /// Nothing is ever retried.
    NeverRetried,
    /// A request may wait in the queue until its time is up.
    PatientQueue,
    /// The process ends before requests that are under way may.
    ShortDrain,
    /// Two pools take each other's cookies away.
    SharedCookie,
}

/// One trap: where it is, what it does and what would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap {
    /// Which kind.
    pub kind: TrapKind,
    /// The key to change, as steps from the top: names, and indices of lists.
    pub path: Vec<Step>,
    /// What happens.
    pub message: String,
    /// What would prevent it.
    pub remedy: String,
}

/// One step to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into a mapping.
    Key(String),
    /// Into a list, counted from 0.
    Item(usize),
}

/// Servers commonly close idle connections after a minute.
const USUAL_IDLE: Duration = Duration::from_secs(60);
/// Answers of APIs are often longer.
const USUAL_ANSWER: usize = 16 * 1024;
/// Pools with fewer backends have nothing to gain from a second ejection.
const BACKENDS_FOR_TWO: usize = 4;
/// From this share on, retries weigh as much as a failure that they are to hide.
const STORM: f64 = 0.5;

/// Returns every trap in `topology`.
pub(crate) fn find(topology: &Topology) -> Vec<Trap> {
    let mut traps = Vec::new();
    for pool in &topology.pools {
        backends(pool, &mut traps);
        judging(pool, &mut traps);
        attempts(pool, &mut traps);
    }
    for (index, route) in topology.routes.iter().enumerate() {
        if leads_to_pools(&route.destination) {
            for id in route.destination.pools() {
                let (pool, policy) = (topology.pool(id), topology.retries(Some(index), id));
                deadline((index, route.timeout), pool, policy, &mut traps);
            }
        }
    }
    drain(topology, &mut traps);
    cookies(topology, &mut traps);
    traps
}

/// Pools do not know each other's cookies, and replace what they do not know: a client that asks both
/// is kept at neither.
fn cookies(topology: &Topology, traps: &mut Vec<Trap>) {
    let reached: Vec<(&Route, PoolId, &str)> = topology
        .routes
        .iter()
        .filter(|route| leads_to_pools(&route.destination))
        .flat_map(|route| route.destination.pools().map(move |id| (route, id)))
        .filter_map(|(route, id)| {
            let sticky = topology.pool(id).sticky.as_ref()?;
            Some((route, id, sticky.cookie.as_str()))
        })
        .collect();
    let mut told = Vec::new();
    for (at, &(route, id, cookie)) in reached.iter().enumerate() {
        let mut others = reached[..at].iter().filter(|it| it.1 != id && it.2 == cookie);
        let other = others.find(|it| share_a_host(&it.0.matches, &route.matches));
        if let Some((_, other, _)) = other
            && !told.contains(&id)
        {
            told.push(id);
            let (pool, other) = (topology.pool(id), &topology.pool(*other).name);
            let message = format!(
                "clients of one host reach pools `{other}` and `{}`, which both keep them by the \
                 cookie `{cookie}`: each replaces the other's",
                pool.name
            );
            let path = of_pool(pool, "sticky.cookie");
            traps.push(trap(TrapKind::SharedCookie, path, message, "give each a name of its own"));
        }
    }
}

/// Tells whether some host fits both.
fn share_a_host(one: &Match, other: &Match) -> bool {
    let is_below = |name: &str, domain: &str| {
        name == domain || name.strip_suffix(domain).is_some_and(|it| it.ends_with('.'))
    };
    let meet = |one: &HostMatch, other: &HostMatch| match (one, other) {
        (HostMatch::Exact(one), HostMatch::Exact(other)) => one == other,
        (HostMatch::Exact(name), HostMatch::Below(domain))
        | (HostMatch::Below(domain), HostMatch::Exact(name)) => {
            name != domain && is_below(name, domain)
        }
        (HostMatch::Below(one), HostMatch::Below(other)) => {
            is_below(one, other) || is_below(other, one)
        }
    };
    one.hosts.is_empty()
        || other.hosts.is_empty()
        || one.hosts.iter().any(|one| other.hosts.iter().any(|other| meet(one, other)))
}

fn drain(topology: &Topology, traps: &mut Vec<Trap>) {
    let to_pools = topology.routes.iter().filter(|it| leads_to_pools(&it.destination));
    let Some(slowest) = to_pools.max_by_key(|it| it.timeout) else { return };
    let drain = topology.shutdown.drain;
    if drain < slowest.timeout {
        let message = format!(
            "the process ends {} (`drain`) after it was told to, while requests of route `{}` may \
             take {}",
            write_length(drain),
            slowest.name,
            write_length(slowest.timeout)
        );
        let path = ["shutdown", "drain"].map(|it| Step::Key(it.to_owned())).to_vec();
        let remedy = "raise `drain`, and what the service manager grants, above that";
        traps.push(trap(TrapKind::ShortDrain, path, message, remedy));
    }
}

fn of_pool(pool: &Pool, keys: &str) -> Vec<Step> {
    let steps = ["pools", pool.name.as_str()].into_iter().chain(keys.split('.'));
    steps.filter(|it| !it.is_empty()).map(|it| Step::Key(it.to_owned())).collect()
}

fn trap(
    kind: TrapKind,
    path: Vec<Step>,
    message: impl Into<String>,
    remedy: impl Into<String>,
) -> Trap {
    Trap { kind, path, message: message.into(), remedy: remedy.into() }
}

fn backends(pool: &Pool, traps: &mut Vec<Trap>) {
    let count = pool.backends.len();
    let ejectable = ejectable(count, &pool.outlier_detection);
    if count == 1 {
        let remedy = "add a second backend, if need be in a tier of its own";
        let message = "with one backend nothing is ejected, rescued or taken over";
        traps.push(trap(TrapKind::NoSpare, of_pool(pool, "backends"), message, remedy));
    } else if BACKENDS_FOR_TWO <= count && ejectable == 1 {
        let path = of_pool(pool, "outlier_detection.max_ejected");
        let message = format!("only one of {count} backends can be ejected at a time");
        traps.push(trap(TrapKind::OneEjection, path, message, "raise `max_ejected`"));
    }
    let tiers = &pool.tiers;
    let until_all_is_back = tiers.failback_after + tiers.failback_ramp;
    let is_automatic = tiers.failback == FailbackMode::Automatic && 1 < pool.tier_count();
    if is_automatic && until_all_is_back < pool.slow_start {
        let message = format!(
            "a tier has all of its traffic back after {}, while its backends need {} (`slow_start`) \
             for their share",
            write_length(until_all_is_back),
            write_length(pool.slow_start)
        );
        let remedy = "raise `failback.after` or `failback.ramp` above `slow_start`";
        traps.push(trap(TrapKind::ColdFailback, of_pool(pool, "slow_start"), message, remedy));
    }
}

fn judging(pool: &Pool, traps: &mut Vec<Trap>) {
    if pool.health_check.kind == CheckKind::Tcp {
        let message =
            "checks only connect: a backend that hangs, or answers with errors, passes them";
        let remedy = "ask for something with `http` or `grpc`, if the backends can answer it";
        traps.push(trap(TrapKind::BlindCheck, of_pool(pool, "health_check"), message, remedy));
    }
    if !pool.suspicion.is_enabled {
        let message = format!(
            "only `per_try_timeout` ({}) finds a backend that hangs; clients wait for it",
            write_length(pool.retries.per_try_timeout)
        );
        let remedy = "leave `suspicion.enabled` as it is by default, or shorten `per_try_timeout`";
        traps.push(trap(
            TrapKind::SlowSuspicion,
            of_pool(pool, "suspicion.enabled"),
            message,
            remedy,
        ));
    }
}

fn attempts(pool: &Pool, traps: &mut Vec<Trap>) {
    let retries = &pool.retries;
    let further = f64::from(retries.max_attempts.get() - 1);
    let added = further.min(retries.budget_ratio);
    if STORM <= added {
        let message = format!(
            "in an outage, retries add up to {:.0}% to what backends are asked",
            added * 100.0
        );
        let remedy = "lower `budget.ratio`; 20% hides the loss of one backend in five";
        let path = of_pool(pool, "retries.budget.ratio");
        traps.push(trap(TrapKind::RetryStorm, path, message, remedy));
    }
    if retries.max_attempts.get() == 1 && 1 < pool.backends.len() {
        let message =
            "with `max_attempts: 1` every request is lost that a failing backend was sent";
        let remedy = "write at least 2; what may not be repeated is not repeated all the same";
        let path = of_pool(pool, "retries.max_attempts");
        traps.push(trap(TrapKind::NeverRetried, path, message, remedy));
    }
    if pool.hold_back.size < USUAL_ANSWER {
        let message = format!(
            "answers longer than {} reach clients broken when their backend fails",
            write_size(pool.hold_back.size)
        );
        let remedy = "raise `hold_back.size` above the size of usual answers";
        traps.push(trap(
            TrapKind::HoldsBackLittle,
            of_pool(pool, "hold_back.size"),
            message,
            remedy,
        ));
    }
    if USUAL_IDLE <= pool.timeouts.idle {
        let message = format!(
            "connections are kept for {}, and most servers close them after {}: the two may meet",
            write_length(pool.timeouts.idle),
            write_length(USUAL_IDLE)
        );
        let remedy = "set `timeouts.idle` below what the backends have";
        traps.push(trap(TrapKind::IdleTooLong, of_pool(pool, "timeouts.idle"), message, remedy));
    }
}

fn deadline(
    (index, timeout): (usize, Duration),
    pool: &Pool,
    policy: &RetryPolicy,
    traps: &mut Vec<Trap>,
) {
    let path = |key: &str| {
        vec![Step::Key("routes".to_owned()), Step::Item(index), Step::Key(key.to_owned())]
    };
    let attempts =
        policy.max_attempts.get().min(u32::try_from(pool.backends.len()).unwrap_or(u32::MAX));
    let needed = policy.per_try_timeout.saturating_mul(attempts);
    // A route in which not even one fits is a warning of its own.
    if 1 < attempts && policy.per_try_timeout <= timeout && timeout < needed {
        let message = format!(
            "{attempts} attempts of {} (`per_try_timeout`) do not fit into {}",
            write_length(policy.per_try_timeout),
            write_length(timeout)
        );
        let remedy =
            format!("shorten `per_try_timeout`, or raise `timeout` to {}", write_length(needed));
        traps.push(trap(TrapKind::DeadlineTooShort, path("timeout"), message, remedy));
    }
    if pool.slots().is_some() && 0 < pool.limits.queue && timeout <= pool.limits.queue_timeout {
        let message = format!(
            "a request may wait for a slot for {} (`queue_timeout`), which is all its time",
            write_length(pool.limits.queue_timeout)
        );
        let path = of_pool(pool, "limits.queue_timeout");
        let remedy = "shorten `queue_timeout`, so that an answer can come in time";
        traps.push(trap(TrapKind::PatientQueue, path, message, remedy));
    }
}
