//! How soon a failure is found, and how soon what was lost is back.

use std::time::Duration;

use crate::{
    forecast::stretched,
    model::{CheckKind, FailbackMode, HealthCheck, Pool},
};

/// A way in which a backend fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// It refuses connections, or resets them.
    Crash,
    /// It accepts connections and answers nobody.
    Hang,
    /// Nothing comes back from it, not even a refusal.
    Partition,
    /// It answers, with an error.
    Errors,
}

impl Failure {
    /// Every way there is.
    pub const ALL: [Self; 4] = [Self::Crash, Self::Hang, Self::Partition, Self::Errors];

    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Hang => "hang",
            Self::Partition => "partition",
            Self::Errors => "errors",
        }
    }
}

/// How soon one kind of failure is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detection {
    /// How the backend fails.
    pub failure: Failure,
    /// By health checks alone, without any request: until nobody is sent there any more. `None` if
    /// checks do not see it.
    pub by_checks: Option<Duration>,
    /// With requests: until the first that meets it makes others go elsewhere.
    pub with_traffic: Duration,
    /// From then on, until the backend is lost for good.
    pub verdict: Verdict,
}

/// What takes a backend out that traffic has come to suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Health checks, within this time.
    Checks(Duration),
    /// As many failed attempts in a row, or single failed trials: it counts requests, not time.
    Attempts(u32),
    /// Nothing: traffic alone never takes out the only backend.
    Never,
}

/// How a backend that is well again gets its traffic back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Return {
    /// Until it may be picked again: the first `rise` passed checks.
    pub eligible: Duration,
    /// Until it has its full share of its tier after that; zero is at once.
    pub slow_start: Duration,
    /// How its tier gets its traffic back; `None` where there is one tier.
    pub failback: Option<Failback>,
}

/// How a preferred tier gets its traffic back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failback {
    /// Whether an operator has to say so.
    pub is_manual: bool,
    /// The hold-down.
    pub after: Duration,
    /// The same, after failures that followed each other closely.
    pub after_max: Duration,
    /// Until all traffic is back after that; zero is at once.
    pub ramp: Duration,
}

/// Returns how soon each kind of failure is found in `pool`.
pub(crate) fn detections(pool: &Pool) -> Vec<Detection> {
    Failure::ALL.iter().map(|failure| detection(pool, *failure)).collect()
}

fn detection(pool: &Pool, failure: Failure) -> Detection {
    let check = &pool.health_check;
    // A failed check that only connects ends when the connection does not come about.
    let takes = match failure {
        Failure::Crash | Failure::Errors => Duration::ZERO,
        Failure::Hang | Failure::Partition => check.timeout,
    };
    let is_seen = match (failure, &check.kind) {
        // The kernel accepts connections for a process that hangs.
        (Failure::Hang | Failure::Errors, CheckKind::Tcp) => false,
        (_, _) => true,
    };
    let attempt = pool.retries.per_try_timeout;
    let with_traffic = match failure {
        Failure::Crash | Failure::Errors => Duration::ZERO,
        Failure::Hang => attempt,
        Failure::Partition => pool.timeouts.connect.min(attempt),
    };
    let verdict = if is_seen {
        Verdict::Checks(run(check, takes))
    } else if 1 < pool.backends.len() {
        Verdict::Attempts(pool.outlier_detection.consecutive_failures.get())
    } else {
        Verdict::Never
    };
    let by_checks = is_seen.then(|| first(check) + run(check, takes));
    Detection { failure, by_checks, with_traffic, verdict }
}

/// Returns how long after a failure the first check may come: one was passed just before.
fn first(check: &HealthCheck) -> Duration {
    stretched(check.interval, check.jitter)
}

/// Returns how long `fall` failed checks take, of which each takes `takes`. The fleet asks for the
/// second at once; it comes at the fast interval at the latest, as further ones do.
fn run(check: &HealthCheck, takes: Duration) -> Duration {
    let spacing = stretched(check.interval_fast, check.jitter).max(takes);
    takes + spacing * (check.fall.get() - 1)
}

/// Returns how traffic comes back in `pool`.
pub(crate) fn comes_back(pool: &Pool) -> Return {
    let check = &pool.health_check;
    let each = stretched(check.interval, check.jitter).max(check.timeout);
    let tiers = &pool.tiers;
    let failback = Failback {
        is_manual: tiers.failback == FailbackMode::Manual,
        after: tiers.failback_after,
        after_max: tiers.failback_after_max,
        ramp: tiers.failback_ramp,
    };
    Return {
        // A check may just have begun before the backend was well.
        eligible: each * check.rise.get() + check.timeout,
        slow_start: pool.slow_start,
        failback: (1 < pool.tier_count()).then_some(failback),
    }
}
