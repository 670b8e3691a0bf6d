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
//!   another backend could have spared them. Nor does `max_attempts` end it while there is a
//!   backend that the request has not tried: when a whole tier dies at once, its requests must get
//!   past it. Each backend is met once that way; the deadline bounds it all.
//! - **An idle connection was closed as it was reused**: most likely nothing was executed, but
//!   nobody can prove it, so only idempotent requests are sent again (RFC 9112 §9.3.1 allows it
//!   for them). The first such retry of a request is free as well: keep-alive ending says nothing
//!   of load, and when a backend restarts it happens to all its idle connections at once. Free
//!   retries can thus at most double what such a backend is asked.
//! - **The kernel proves that nothing was received** ([`Delivery::Disproved`]): as if nothing had
//!   been sent.
//! - **Its backend was lost while it waited** ([`Symptom::BackendLost`]): an idempotent request is
//!   called back and sent elsewhere, free as well. This happens once to each of those that waited,
//!   at the moment of the loss; what they ask of the others is the work that the lost backend does
//!   not do.
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
    event::{FaultMode, Idempotence, Symptom},
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
    /// Whether the backend may have received the request.
    pub delivery: Delivery,
    /// Attempts made for this request, the failed one included.
    pub attempts_made: u32,
    /// Whom the next attempt could go to.
    pub candidates: Candidates,
    /// Time left to the request's deadline; zero when it has passed.
    pub time_left: Duration,
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

/// Whether a backend may have received any of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It may.
    Possible,
    /// It cannot: nothing was sent, or there is proof that nothing arrived.
    Disproved,
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
    if facts.symptom.is_before_request() || facts.delivery == Delivery::Disproved {
        return Decision::Retry(Cost::Free);
    }
    if facts.idempotence == Idempotence::NotIdempotent {
        return Decision::GiveUp(Reason::NotIdempotent);
    }
    if facts.symptom == Symptom::BackendLost || facts.attempts_made <= 1 && was_stale(facts) {
        return Decision::Retry(Cost::Free);
    }
    if !allows(policy, live, now) {
        return Decision::GiveUp(Reason::Budget);
    }
    Decision::Retry(Cost::Budget)
}

/// What is known when a request has waited out of line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HedgeFacts {
    /// Whether executing the request twice does no harm.
    pub idempotence: Idempotence,
    /// Whether the request's body can be sent again.
    pub body: Body,
    /// Attempts made for this request.
    pub attempts_made: u32,
    /// Whom the next attempt could go to.
    pub candidates: Candidates,
}

/// Decides whether a second attempt is begun beside one that is still waited for.
///
/// It is a retry like any other to the backends that have to answer it, so it draws on the same
/// budget. It goes to a backend that this request has not tried, or is not made.
pub fn may_hedge(
    facts: &HedgeFacts,
    policy: &RetryPolicy,
    live: &PoolLive,
    now: Timestamp,
) -> bool {
    facts.idempotence == Idempotence::Idempotent
        && facts.body != Body::Gone
        && facts.attempts_made < policy.max_attempts.get()
        && facts.candidates == Candidates::Untried
        && allows(policy, live, now)
}

/// Returns the wait before the next attempt, of which `attempts_made` have been made: none before
/// another backend is asked, longer each time before the same one is asked again.
pub fn backoff(candidates: Candidates, attempts_made: u32, policy: &RetryPolicy) -> Duration {
    match candidates {
        Candidates::Untried | Candidates::Nobody => Duration::ZERO,
        Candidates::TriedOnly => {
            policy.backoff.saturating_mul(1 << attempts_made.saturating_sub(1).min(10))
        }
    }
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
    } else if policy.max_attempts.get() <= facts.attempts_made && !may_go_past(facts, policy) {
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

/// Tells whether the attempt is one more backend that could not even be reached, of which there may
/// be any number before one that can. Not where no retries are wanted at all.
fn may_go_past(facts: &Facts, policy: &RetryPolicy) -> bool {
    1 < policy.max_attempts.get()
        && facts.symptom.is_before_request()
        && facts.candidates == Candidates::Untried
}

/// Tells whether the backend's own answer could be passed on.
fn is_error_status(symptom: Symptom) -> bool {
    match symptom {
        Symptom::ErrorStatus(_) | Symptom::Injected(FaultMode::Error) => true,
        Symptom::ConnectionRefused
        | Symptom::ConnectTimedOut
        | Symptom::NameUnknown
        | Symptom::TlsFailed
        | Symptom::BadCertificate
        | Symptom::ConnectFailed
        | Symptom::ConnectionClosed
        | Symptom::ResponseTimedOut
        | Symptom::Overstayed
        | Symptom::BackendLost
        | Symptom::OutOfLine
        | Symptom::ResponseCut
        | Symptom::Garbage
        | Symptom::Unexpected
        | Symptom::Injected(
            FaultMode::Crash
            | FaultMode::Refuse
            | FaultMode::Blackhole
            | FaultMode::Hang
            | FaultMode::Reset
            | FaultMode::Truncate
            | FaultMode::Slow,
        ) => false,
    }
}

/// Tells whether the attempt looks like an idle connection that its backend had given up.
fn was_stale(facts: &Facts) -> bool {
    facts.symptom == Symptom::ConnectionClosed && facts.connection == Connection::Reused
}

#[cfg(test)]
mod tests;
