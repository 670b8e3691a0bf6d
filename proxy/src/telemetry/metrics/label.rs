//! The closed sets from which label values come.

use crate::event::{AttemptOutcome, FaultMode, LossReason, Symptom};

/// How one of a pool's retries ended, or why it was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryOutcome {
    /// It was answered.
    Success,
    /// It failed, too.
    Failed,
    /// It was not made: the budget was spent.
    DeniedBudget,
    /// It was not made: the request must not be executed twice.
    DeniedMethod,
}

impl RetryOutcome {
    pub(crate) const NAMES: [&'static str; 4] =
        ["success", "failed", "denied_budget", "denied_method"];
}

/// How an attempt to let another process take over ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeResult {
    /// It has.
    Completed,
    /// It could not, and this one goes on.
    Failed,
    /// It was not made: another one was under way.
    Refused,
}

impl UpgradeResult {
    pub(crate) const NAMES: [&'static str; 3] = ["completed", "failed", "refused"];
}

/// What became of a copy of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MirrorOutcome {
    /// It was sent, whatever the answer.
    Sent,
    /// It was not: too many are under way.
    DroppedBusy,
    /// It was not: the request's body was not at hand as a whole.
    DroppedBody,
    /// It was not: no backend could be asked.
    DroppedUnserved,
}

impl MirrorOutcome {
    pub(crate) const NAMES: [&'static str; 4] =
        ["sent", "dropped_busy", "dropped_body", "dropped_unserved"];
}

/// Why a request was answered without an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Nothing was eligible.
    NoBackend,
    /// Everybody was full, and so was the queue.
    QueueFull,
    /// Everybody was full for as long as the request could wait.
    QueueTimeout,
    /// As many requests were under way in the process as may.
    MaxRequests,
    /// The data plane ran late.
    Lag,
}

impl Rejection {
    pub(crate) const NAMES: [&'static str; 5] =
        ["no_backend", "queue_full", "queue_timeout", "max_requests", "lag"];
}

/// Whether somebody asked for a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// An operator did, by injecting a fault.
    Operator,
    /// Nobody did.
    Failure,
}

/// Why traffic moved to a later tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailoverReason {
    /// Health checks failed.
    HealthCheck,
    /// Real traffic failed.
    Outlier,
    /// An operator injected a fault.
    FaultInjection,
    /// An operator drained or disabled a backend.
    Drain,
    /// An operator moved the pool, or ejected a backend.
    Manual,
}

impl FailoverReason {
    pub(crate) const NAMES: [&'static str; 5] = [
        LossReason::HealthCheck.name(),
        LossReason::Outlier.name(),
        "fault_injection",
        LossReason::Drained.name(),
        LossReason::Manual.name(),
    ];

    /// Returns the reason for a loss. That an operator asked for a failure outranks who noticed.
    pub fn new(loss: LossReason, trigger: Trigger) -> Self {
        match (trigger, loss) {
            (_, LossReason::Drained) => Self::Drain,
            (_, LossReason::Manual) => Self::Manual,
            (Trigger::Operator, _) => Self::FaultInjection,
            (Trigger::Failure, LossReason::HealthCheck) => Self::HealthCheck,
            (Trigger::Failure, LossReason::Outlier) => Self::Outlier,
        }
    }
}

/// Which way traffic moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// To a later tier.
    Over,
    /// To a preferred tier.
    Back,
}

impl Direction {
    pub(crate) const NAMES: [&'static str; 2] = ["over", "back"];
}

/// Classes of a response's status, the first digit less one, and after them `aborted`.
pub(crate) const CODE_CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "aborted"];

/// Index in [`CODE_CLASSES`] of requests whose response did not end.
pub(crate) const ABORTED: usize = 5;

/// Returns the index of a status in [`CODE_CLASSES`]. What is beyond 599 means no more to a client
/// than 500 does (RFC 9110 §15).
pub(crate) fn class_of(status: u16) -> usize {
    usize::from(status / 100).clamp(1, 5) - 1
}

/// Who made a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A backend.
    Upstream,
    /// The proxy itself, or its sidecar.
    Proxy,
}

impl Origin {
    pub(crate) const NAMES: [&'static str; 2] = ["upstream", "proxy"];
}

/// How attempts end.
pub(crate) const OUTCOMES: [&str; 5] =
    ["success", "error_status", "timeout", "connect_error", "reset"];

/// Returns the index in [`OUTCOMES`]; `None` for what says nothing of the backend.
pub(crate) fn outcome_of(outcome: AttemptOutcome) -> Option<usize> {
    let symptom = match outcome {
        AttemptOutcome::Answered { .. } => return Some(0),
        AttemptOutcome::Abandoned => return None,
        AttemptOutcome::Failed(symptom) => symptom,
    };
    Some(match symptom {
        Symptom::ErrorStatus(_) | Symptom::Unexpected | Symptom::Injected(FaultMode::Error) => 1,
        Symptom::ResponseTimedOut
        | Symptom::Overstayed
        | Symptom::OutOfLine
        | Symptom::Injected(FaultMode::Hang | FaultMode::Slow) => 2,
        Symptom::ConnectionRefused
        | Symptom::ConnectTimedOut
        | Symptom::NameUnknown
        | Symptom::TlsFailed
        | Symptom::BadCertificate
        | Symptom::ConnectFailed
        | Symptom::Injected(FaultMode::Refuse | FaultMode::Blackhole) => 3,
        Symptom::ConnectionClosed
        | Symptom::BackendLost
        | Symptom::ResponseCut
        | Symptom::Garbage
        | Symptom::Injected(FaultMode::Crash | FaultMode::Reset | FaultMode::Truncate) => 4,
    })
}

/// How health checks end.
pub(crate) const CHECK_RESULTS: [&str; 3] = ["pass", "fail", "timeout"];

/// Returns the index in [`CHECK_RESULTS`].
pub(crate) fn check_result_of(failure: Option<Symptom>) -> usize {
    match failure {
        None => 0,
        Some(symptom) if symptom.is_timeout() => 2,
        Some(_) => 1,
    }
}
