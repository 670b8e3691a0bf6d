//! Retries: after a failed attempt, may there be another?
//!
//! A request is executed at most once, unless executing it again does no harm. Everything here
//! follows from asking what the failed attempt may have done:
//!
//! - **Nothing was sent** ([`Symptom::is_before_request`]): the next attempt is the first that any
//!   application sees. Every method is retried, and no budget is drawn on: a refused connection
//!   costs the backend next to nothing, and the attempt that follows is work that the client
//!   asked for once and that is done once. Were it to draw on the budget, the loss of a backend
//!   under load would be the very moment at which the budget runs dry and clients see errors that
//!   another backend could have spared them. `max_attempts` and the deadline still bound it.
//! - **An idle connection was closed as it was reused**: most likely nothing was executed, but
//!   nobody can prove it, so only idempotent requests are sent again (RFC 9112 §9.3.1 allows it
//!   for them). The first such retry of a request is free as well: keep-alive ending says nothing
//!   of load, and when a backend restarts it happens to all its idle connections at once. Free
//!   retries can thus at most double what such a backend is asked.
//! - **Anything else** may have been executed, a garbled answer included. It is retried when the
//!   request is idempotent and its body can be sent again, and paid for from the budget.
//!
//! An error status is a special case: the backend's own answer is at hand, and is worth more to
//! the client than a second opinion of the same backend. It is retried only where another can be
//! asked.

mod budget;

use std::time::Duration;

use crate::{
    clock::Timestamp,
    event::{FaultMode, Symptom},
    model::RetryPolicy,
    snapshot::{Candidates, PoolLive},
};

pub use budget::allows;

/// What is known when an attempt has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// How it failed.
    pub symptom: Symptom,
    /// Whether executing the request twice does no harm.
    pub idempotence: Idempotence,
    /// How much of the response the client has been sent.
    pub response: Response,
    /// Whether the request's body can be sent again.
    pub body: Body,
    /// The connection that the attempt used.
    pub connection: Connection,
    /// Attempts made for this request, the failed one included.
    pub attempts_made: u32,
    /// Whom the next attempt could go to.
    pub candidates: Candidates,
    /// Time left to the request's deadline; zero when it has passed.
    pub time_left: Duration,
}

/// Whether executing a request twice does no more than executing it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotence {
    /// It does no more.
    Idempotent,
    /// It may.
    NotIdempotent,
}

impl Idempotence {
    /// Judges a request by its method (RFC 9110 §9.2.2; case matters) and its `Idempotency-Key`.
    ///
    /// The key, if not blank, is the client's word that the backend recognises repetitions.
    pub fn of(method: &str, idempotency_key: Option<&[u8]>) -> Self {
        let has_key = idempotency_key.is_some_and(|key| !key.trim_ascii().is_empty());
        match method {
            "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE" => Self::Idempotent,
            _ if has_key => Self::Idempotent,
            _ => Self::NotIdempotent,
        }
    }
}

/// How much of the response the client has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// Nothing of it.
    NotStarted,
    /// Its head, or more.
    Started,
}

/// Whether a request's body can be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is none, or nothing of it was read from the client.
    Untouched,
    /// All that was read from the client is still buffered.
    Buffered,
    /// Some of what was read is gone.
    Gone,
}

/// The connection that an attempt used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Made for this attempt, or not made at all.
    Fresh,
    /// Had served other requests.
    Reused,
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Make another attempt.
    Retry(Cost),
    /// Make none; the client gets an error, or the backend's own answer if there is one.
    GiveUp(Reason),
}

/// What a retry costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// It does not draw on the budget.
    Free,
    /// It draws on the budget: the caller adds it to [`PoolLive::retries`].
    Budget,
}

/// Why there is no further attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The client has seen a part of this response.
    ResponseStarted,
    /// `max_attempts` have been made.
    AttemptsExhausted,
    /// The request's deadline has passed.
    Deadline,
    /// Nobody else can be asked.
    NoBackend,
    /// The body cannot be sent again.
    BodyNotReplayable,
    /// The request may have been executed, and must not be twice. It would have been retried.
    NotIdempotent,
    /// Too many of the pool's recent requests were retried. It would have been retried.
    Budget,
}

/// Decides whether another attempt is made.
///
/// What can never be is ruled out first and the budget is asked last, so that a request counts as
/// denied by its method or by the budget only when it would otherwise have been retried.
pub fn decide(facts: &Facts, policy: &RetryPolicy, live: &PoolLive, now: Timestamp) -> Decision {
    if let Some(reason) = impediment(facts, policy) {
        return Decision::GiveUp(reason);
    }
    if facts.symptom.is_before_request() {
        return Decision::Retry(Cost::Free);
    }
    if facts.idempotence == Idempotence::NotIdempotent {
        return Decision::GiveUp(Reason::NotIdempotent);
    }
    if facts.attempts_made <= 1 && was_stale(facts) {
        return Decision::Retry(Cost::Free);
    }
    if !allows(policy, live, now) {
        return Decision::GiveUp(Reason::Budget);
    }
    Decision::Retry(Cost::Budget)
}

/// Returns what rules a retry out whatever the request may have done.
fn impediment(facts: &Facts, policy: &RetryPolicy) -> Option<Reason> {
    let is_somebody_left = match facts.candidates {
        Candidates::Untried => true,
        Candidates::TriedOnly => !is_error_status(facts.symptom),
        Candidates::Nobody => false,
    };
    if facts.response == Response::Started {
        Some(Reason::ResponseStarted)
    } else if policy.max_attempts.get() <= facts.attempts_made {
        Some(Reason::AttemptsExhausted)
    } else if facts.time_left.is_zero() {
        Some(Reason::Deadline)
    } else if !is_somebody_left {
        Some(Reason::NoBackend)
    } else if facts.body == Body::Gone {
        // Even when this attempt sent nothing: an earlier one has eaten a part of the body.
        Some(Reason::BodyNotReplayable)
    } else {
        None
    }
}

/// Tells whether the backend's own answer could be passed on.
fn is_error_status(symptom: Symptom) -> bool {
    match symptom {
        Symptom::ErrorStatus(_) | Symptom::Injected(FaultMode::Error) => true,
        Symptom::ConnectionRefused
        | Symptom::ConnectTimedOut
        | Symptom::ConnectFailed
        | Symptom::ConnectionClosed
        | Symptom::ResponseTimedOut
        | Symptom::ResponseCut
        | Symptom::Garbage
        | Symptom::Injected(
            FaultMode::Crash | FaultMode::Refuse | FaultMode::Hang | FaultMode::Slow,
        ) => false,
    }
}

/// Tells whether the attempt looks like an idle connection that its backend had given up.
fn was_stale(facts: &Facts) -> bool {
    facts.symptom == Symptom::ConnectionClosed && facts.connection == Connection::Reused
}

#[cfg(test)]
mod tests;
