//! What is known of one request while it is under way.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use http::{HeaderName, HeaderValue};

use crate::{
    alarms::Queue,
    clock::{self, Timestamp},
    event::{Idempotence, Rescue, Strike, Symptom},
    model::{BackendId, Target},
    retry::Reason,
    snapshot::{Kind, Live},
    sticky::Session,
    telemetry::requests::trail::{Mark, Trail},
    wire::preamble::Speaker,
};

/// One request, from its header to its end.
#[derive(Debug)]
pub struct RequestContext {
    /// When the request's header had been read.
    pub(crate) began: Timestamp,
    /// What is known of it as a call of gRPC, if it is one.
    pub(crate) call: Option<Call>,
    /// Index of the listener it came in on.
    pub(crate) listener: usize,
    /// Whether it came over HTTP/2.
    pub(crate) is_http2: bool,
    /// Index of its route in the topology; `None` before routing, and without a matching route.
    pub(crate) route: Option<usize>,
    /// Where its route leads; `None` before routing, and without a matching route.
    pub(crate) target: Option<Target>,
    /// The moment by which a response must have begun.
    pub(crate) deadline: Timestamp,
    /// Who sent it, where backends are told.
    pub(crate) speaker: Speaker,
    /// Whether it may be executed twice.
    pub(crate) idempotence: Idempotence,
    /// Names the request in headers and logs.
    pub(crate) request_id: String,
    /// The path and query sent on, where a rewrite changes them.
    pub(crate) rewritten: Option<String>,
    /// What its wait is compared with.
    pub(crate) kind: Kind,
    /// What its key hashes to, where its pool balances by hash.
    pub(crate) hash: Option<u64>,
    /// Where its client is kept, as its cookie says.
    pub(crate) session: Option<Session>,
    /// Backends that have been tried, in order.
    pub(crate) tried: Vec<usize>,
    /// Attempts begun.
    pub(crate) attempts: u32,
    /// The attempt under way, or the last one, where Pingora forwards.
    pub(crate) attempt: Option<Box<Attempt>>,
    /// How it was saved, if its first attempt did not answer it.
    pub(crate) rescue: Option<Rescue>,
    /// How the latest failed attempt failed.
    pub(crate) symptom: Option<Symptom>,
    /// What the client gets in the head of a response besides what the backend sends.
    pub(crate) additions: Vec<(HeaderName, HeaderValue)>,
    /// Why the proxy answers itself.
    pub(crate) failure: Option<Failure>,
    /// Whether the decision to retry has been made where the answer was seen.
    pub(crate) is_retry_decided: bool,
    /// Whether this request was counted as begun.
    pub(crate) guard: Option<InFlight>,
    /// What its attempts did, if that is recorded.
    pub(crate) trail: Option<Arc<Trail>>,
}

/// A request that is a call of gRPC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// The route's: how long a response may take to begin once all of the request is there. A client
    /// may send messages for much longer.
    pub(crate) timeout: Duration,
    /// When the client stops waiting, if it has said so.
    pub(crate) latest: Option<Timestamp>,
    /// The HTTP status that says what the call's status says, once it is known.
    pub(crate) meant: Option<u16>,
}

/// One try at one backend.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) backend: BackendId,
    pub(crate) began: Timestamp,
    /// Since when its answer is waited for: since it began, or since all of a body had been sent
    /// that came slowly from the client.
    pub(crate) asked: Timestamp,
    /// Counts the attempt as in flight until it is dropped, however that comes about.
    _guard: InFlight,
    /// The backend's epoch when it began.
    pub(crate) epoch: u64,
    /// Its number among the request's attempts, from 1.
    pub(crate) number: u32,
    /// Whether it is the trial of a backend that is suspected.
    pub(crate) is_trial: bool,
    /// The injected fault that it meets.
    pub(crate) strike: Option<Strike>,
    /// Whether its outcome has been reported.
    pub(crate) is_reported: bool,
    /// Failures in a row at the backend that this attempt's answer ended, for the case that the
    /// answer breaks off; `None` without an answer.
    pub(crate) run_ended: Option<u32>,
    /// Its place in the request's trail.
    pub(crate) mark: Mark,
}

impl Attempt {
    pub(crate) fn new(
        backend: BackendId,
        epoch: u64,
        number: u32,
        began: Timestamp,
        guard: InFlight,
    ) -> Self {
        Self {
            backend,
            began,
            asked: began,
            _guard: guard,
            epoch,
            number,
            is_trial: false,
            strike: None,
            is_reported: false,
            run_ended: None,
            mark: Mark::default(),
        }
    }
}

/// Why the proxy answers a request itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No backend of the pool may be picked.
    NoBackend,
    /// Somebody could serve the request, and has too much to do.
    Overloaded(Overload),
    /// Its client, or everybody together, asks more often than the route allows.
    RateLimited,
    /// An attempt failed and no other may follow.
    GivenUp(Reason),
    /// No response began before the deadline.
    DeadlinePassed,
    /// The client stopped in the middle of its request's body.
    BodyUnfinished,
    /// The request's body is longer than its route allows.
    BodyTooLong,
    /// An injected fault answered with this status.
    Injected(u16),
}

impl Failure {
    /// Returns the name used in records.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NoBackend => "no_backend",
            Self::Overloaded(Overload::QueueFull) => "queue_full",
            Self::Overloaded(Overload::QueueTimeout) => "queue_timeout",
            Self::Overloaded(Overload::MaxRequests) => "max_requests",
            Self::Overloaded(Overload::Lag) => "lag",
            Self::RateLimited => "rate_limited",
            Self::GivenUp(Reason::ResponseStarted) => "response_started",
            Self::GivenUp(Reason::NotIdempotent) => "not_idempotent",
            Self::GivenUp(Reason::BodyNotReplayable) => "body_not_replayable",
            Self::GivenUp(Reason::AttemptsExhausted) => "attempts_exhausted",
            Self::GivenUp(Reason::Deadline) | Self::DeadlinePassed => "deadline",
            Self::GivenUp(Reason::NoBackend) => "no_other_backend",
            Self::GivenUp(Reason::Budget) => "retry_budget",
            Self::BodyUnfinished => "body_unfinished",
            Self::BodyTooLong => "body_too_long",
            Self::Injected(_) => "fault_injected",
        }
    }
}

/// Which bound on what is under way turned a request away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overload {
    /// All backends are full, and as many requests wait as may.
    QueueFull,
    /// All backends were full for as long as the request could wait.
    QueueTimeout,
    /// As many requests are under way in this process as may.
    MaxRequests,
    /// The data plane runs late, and the request is of the share that is turned away.
    Lag,
}

/// Counts something as in flight for as long as it lives.
#[derive(Debug)]
pub(crate) struct InFlight {
    live: Arc<Live>,
    backend: Option<BackendId>,
    /// Who waits for a slot, where there is a bound on them.
    queue: Option<Arc<Queue>>,
}

impl InFlight {
    /// A request, on any listener.
    pub(crate) fn request(live: &Arc<Live>) -> Self {
        live.requests_in_flight.fetch_add(1, Relaxed);
        Self { live: Arc::clone(live), backend: None, queue: None }
    }

    /// An attempt at `backend`; `queue` is its pool's. `None` when the backend is full.
    pub(crate) fn at(
        backend: BackendId,
        live: &Arc<Live>,
        queue: Option<&Arc<Queue>>,
    ) -> Option<Self> {
        let in_flight = &live.backend(backend).in_flight;
        match queue {
            None => _ = in_flight.fetch_add(1, Relaxed),
            Some(queue) => {
                let one_more = |it: u64| (it < queue.slots()).then_some(it + 1);
                in_flight.fetch_update(Relaxed, Relaxed, one_more).ok()?;
            }
        }
        Some(Self { live: Arc::clone(live), backend: Some(backend), queue: queue.cloned() })
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        match self.backend {
            Some(backend) => self.live.backend(backend).in_flight.fetch_sub(1, Relaxed),
            None => self.live.requests_in_flight.fetch_sub(1, Relaxed),
        };
        if let Some(queue) = &self.queue {
            queue.freed();
        }
    }
}

impl RequestContext {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            began: now,
            call: None,
            is_http2: false,
            listener: 0,
            route: None,
            target: None,
            deadline: now,
            speaker: Speaker::Unknown,
            idempotence: Idempotence::NotIdempotent,
            request_id: String::new(),
            rewritten: None,
            kind: Kind::of(0, "", ""),
            hash: None,
            session: None,
            tried: Vec::new(),
            attempts: 0,
            attempt: None,
            rescue: None,
            symptom: None,
            additions: Vec::new(),
            failure: None,
            is_retry_decided: false,
            guard: None,
            trail: None,
        }
    }

    /// Notes that all of a request has been sent that came piece by piece: only from now on does a
    /// call wait for its response.
    pub(crate) fn sent(&mut self, now: Timestamp) {
        if let Some(call) = self.call {
            let deadline = self.deadline.max(now + call.timeout);
            self.deadline = call.latest.map_or(deadline, |latest| deadline.min(latest));
        }
    }

    /// Notes that the client is being answered.
    pub(crate) fn answering(&self) {
        if let Some(trail) = &self.trail {
            trail.answering(clock::now());
        }
    }

    /// Returns the time left until a response must have begun.
    pub(crate) fn time_left(&self, now: Timestamp) -> Duration {
        self.deadline.since(now)
    }
}
