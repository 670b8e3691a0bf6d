//! What becomes of requests whose backend fails while they are under way.

use std::time::Duration;

use crate::model::{Pool, Protocol, RetryPolicy, Route};

/// The longest that a client waits for its answer to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// When one backend hangs and another is well: until another is asked. For a request that may be
    /// repeated, of which nothing is known yet; as a rule it is hedged much sooner.
    pub one_hangs: Option<Duration>,
    /// Whether a wait out of line is followed by a second attempt before that, and the shortest wait
    /// that counts as one.
    pub hedged_from: Option<Duration>,
    /// In any case: then the client is told that there is no answer.
    pub at_most: Duration,
    /// After an answer has begun, between two pieces of it.
    pub between_pieces: Duration,
}

/// A kind of request, or of its state, that matters when its backend fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Case {
    /// It may be repeated, and all of its body is kept.
    Idempotent,
    /// It may not be repeated.
    Other,
    /// Its body is longer than what is kept.
    LongBody,
    /// Its answer has begun, and is held back.
    HeldBack,
    /// Its answer has begun, and is passed on as it comes.
    Streamed,
    /// It has become a WebSocket.
    WebSocket,
}

impl Case {
    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Idempotent => "idempotent",
            Self::Other => "other",
            Self::LongBody => "long_body",
            Self::HeldBack => "held_back",
            Self::Streamed => "streamed",
            Self::WebSocket => "websocket",
        }
    }
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Another backend answers, and the client notices nothing.
    Rescued,
    /// The same, while the failed backend has provably received nothing of it.
    RescuedUnsent,
    /// The client gets an error, or sees that its answer is broken.
    Lost,
}

impl Outcome {
    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rescued => "rescued",
            Self::RescuedUnsent => "rescued_if_nothing_was_received",
            Self::Lost => "lost",
        }
    }
}

/// What becomes of one kind of request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rescue {
    /// Which kind.
    pub case: Case,
    /// What becomes of it.
    pub outcome: Outcome,
    /// The bounds of that, for people.
    pub note: String,
}

pub(crate) fn stall(route: &Route, pool: &Pool, policy: &RetryPolicy) -> Stall {
    let can_retry = is_somebody_else(pool) && 1 < policy.max_attempts.get();
    let attempt = policy.per_try_timeout.min(route.timeout);
    let is_hedged = can_retry && pool.suspicion.is_enabled && pool.suspicion.hedge;
    Stall {
        one_hangs: can_retry.then_some(attempt).filter(|it| *it < route.timeout),
        hedged_from: is_hedged.then_some(pool.suspicion.floor),
        at_most: route.timeout,
        between_pieces: pool.timeouts.between_reads,
    }
}

pub(crate) fn rescues(pool: &Pool, policy: &RetryPolicy) -> Vec<Rescue> {
    let can_retry = 1 < policy.max_attempts.get();
    let (is_pair, is_single) = (is_somebody_else(pool), pool.backends.len() == 1);
    let mut rescues = Vec::new();
    let mut add = |case, outcome, note: String| rescues.push(Rescue { case, outcome, note });

    if !can_retry {
        add(Case::Idempotent, Outcome::Lost, "max_attempts is 1".to_owned());
    } else if is_single {
        let note = "only if the one backend answers again in time".to_owned();
        add(Case::Idempotent, Outcome::RescuedUnsent, note);
    } else {
        add(Case::Idempotent, Outcome::Rescued, failures(policy));
    }
    let proof = match (policy.on_proof, pool.backends.iter().any(|it| it.address.is_tls())) {
        (true, false) => "no connection, or the kernel proves that nothing arrived",
        (true, true) => "no connection; over TLS nothing more can be proven",
        (false, _) => "no connection",
    };
    let unsent = if can_retry && is_pair { Outcome::RescuedUnsent } else { Outcome::Lost };
    add(Case::Other, unsent, proof.to_owned());
    let kept = write_size(policy.replay_size);
    add(Case::LongBody, unsent, format!("longer than {kept}, which is kept; no connection"));
    if can_retry && is_pair && 0 < pool.hold_back.size {
        let note = format!("idempotent, answer up to {}", write_size(pool.hold_back.size));
        add(Case::HeldBack, Outcome::Rescued, note);
    }
    let streamed = format!("longer than {}, or a stream", write_size(pool.hold_back.size));
    add(Case::Streamed, Outcome::Lost, format!("{streamed}; broken off visibly"));
    if pool.protocol == Protocol::Http1 {
        add(Case::WebSocket, Outcome::Lost, "an open one; its opening is as any GET".to_owned());
    }
    rescues
}

/// Tells whether there is another backend to go to.
fn is_somebody_else(pool: &Pool) -> bool {
    1 < pool.backends.len()
}

fn failures(policy: &RetryPolicy) -> String {
    let statuses: Vec<String> = policy.statuses.iter().map(u16::to_string).collect();
    let statuses =
        if statuses.is_empty() { String::new() } else { format!(", {}", statuses.join(", ")) };
    format!(
        "no connection, broken off, hanging{statuses}; within {:.0}% and {}/s retries",
        policy.budget_ratio * 100.0,
        policy.budget_min_per_second
    )
}

/// Writes a number of bytes in its largest unit that needs no fraction.
pub(crate) fn write_size(bytes: usize) -> String {
    let (number, unit) = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
        .into_iter()
        .find(|(each, _)| *each <= bytes && bytes.is_multiple_of(*each))
        .map_or((bytes, "B"), |(each, unit)| (bytes / each, unit));
    format!("{number}{unit}")
}
