//! What the attempts of one request have in common, and what a failed one leaves behind.

use std::{
    future::pending,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use crate::{
    clock::Timestamp,
    event::{Idempotence, Symptom},
    exchange::{
        attempts::Remains,
        http1::{Happened, LegError},
        leg::Leg,
        outgoing::Outgoing,
        request::RequestContext,
        upload::Whole,
    },
    model::{Pool, RetryPolicy},
    retry::{Body, Connection, Delivery, Response},
    wire::preamble::Speaker,
};

/// What all attempts of one request have in common.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) pool: &'a Pool,
    /// How attempts are repeated.
    pub(crate) retries: &'a RetryPolicy,
    pub(crate) outgoing: &'a Outgoing,
    /// All of the request's body; `None` while the client is still sending it.
    pub(crate) body: Option<Whole<'a>>,
    /// Whether the body can be sent again.
    pub(crate) replay: Body,
    pub(crate) idempotence: Idempotence,
    /// Whether nothing has gone wrong so far.
    pub(crate) is_first: bool,
    /// Whether its client speaks HTTP/2.
    pub(crate) is_http2: bool,
    /// Who asks, where backends are told.
    pub(crate) speaker: Speaker,
    /// When a response must have begun.
    pub(crate) deadline: Timestamp,
    /// Whether the client waits for events that trickle in.
    pub(crate) is_stream: bool,
    /// Whether it is a call of gRPC, whose messages are passed on as they come.
    pub(crate) is_call: bool,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(
        pool: &'a Pool,
        retries: &'a RetryPolicy,
        outgoing: &'a Outgoing,
        body: Option<Whole<'a>>,
        replay: Body,
        ctx: &RequestContext,
    ) -> Self {
        Self {
            pool,
            retries,
            outgoing,
            body,
            replay,
            idempotence: ctx.idempotence,
            is_first: ctx.attempts <= 1,
            is_http2: ctx.is_http2,
            speaker: ctx.speaker,
            deadline: ctx.deadline,
            is_stream: outgoing.wants_events,
            is_call: ctx.call.is_some(),
        }
    }

    /// Returns when an attempt has taken too long.
    ///
    /// Only a request that may be repeated is cut short: the first answer to another is the only
    /// one that it gets, so it is waited for until the route's timeout.
    pub(crate) fn limit(&self, began: Timestamp) -> Timestamp {
        if self.is_stream {
            // Whoever subscribes to events waits for them, longer than for an answer.
            self.deadline.max(began + self.pool.timeouts.between_reads)
        } else if self.idempotence == Idempotence::Idempotent {
            self.deadline.min(began + self.retries.per_try_timeout)
        } else {
            self.deadline
        }
    }

    /// Says what an attempt that sent nothing leaves behind.
    pub(crate) fn unsent(&self, symptom: Symptom) -> Remains {
        self.remains(symptom, Connection::Fresh, Delivery::Disproved)
    }

    /// Says what an attempt leaves behind whose leg failed.
    pub(crate) fn broken(&self, leg: &Leg, error: LegError) -> Remains {
        self.remains(error.symptom, leg.connection(), error.delivery)
    }

    /// Says what an attempt leaves behind that was given up for this reason.
    pub(crate) fn failed(&self, leg: &Leg, symptom: Symptom) -> Remains {
        self.remains(symptom, leg.connection(), Delivery::Possible)
    }

    /// Says what an attempt that failed this way leaves behind.
    pub(crate) fn remains(
        &self,
        symptom: Symptom,
        connection: Connection,
        delivery: Delivery,
    ) -> Remains {
        let (response, body) = (Response::NotStarted, self.replay);
        Remains { symptom, connection, delivery, response, body }
    }
}

/// How far an attempt has got, for those who watch it.
#[derive(Debug)]
pub(crate) struct Progress {
    /// When the attempt will have taken too long, in microseconds.
    limit: AtomicU64,
    /// Whether any of the request may have been sent.
    is_sent: AtomicBool,
    /// Whether the leg is wanted when the attempt is given up, and the leg.
    is_leg_wanted: AtomicBool,
    leg: Mutex<Option<Leg>>,
}

impl Progress {
    /// Makes the progress of an attempt of which something may have been sent already: a body that
    /// is sent while it comes, is sent before the answer is waited for.
    pub(crate) fn new(limit: Timestamp, is_sent: bool) -> Self {
        Self {
            limit: AtomicU64::new(limit.as_micros()),
            is_sent: AtomicBool::new(is_sent),
            is_leg_wanted: AtomicBool::new(false),
            leg: Mutex::new(None),
        }
    }

    /// Says that the leg is wanted if the attempt is given up: it may be carried on.
    pub(crate) fn want_leg(&self) {
        self.is_leg_wanted.store(true, Relaxed);
    }

    /// Returns the leg of an attempt that was given up, if it had one and that was wanted.
    pub(crate) fn take_leg(&self) -> Option<Leg> {
        self.leg.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn limit(&self) -> Timestamp {
        Timestamp::from_micros(self.limit.load(Relaxed))
    }

    pub(crate) fn set_sent(&self) {
        self.is_sent.store(true, Relaxed);
    }

    /// Begins again, with another attempt in the same place.
    pub(crate) fn restart(&self, limit: Timestamp) {
        self.limit.store(limit.as_micros(), Relaxed);
        self.is_sent.store(false, Relaxed);
    }

    pub(crate) fn is_sent(&self) -> bool {
        self.is_sent.load(Relaxed)
    }
}

/// A leg that an attempt uses. When the attempt is given up, the leg is left with its progress if
/// somebody wants it.
#[derive(Debug)]
pub(crate) struct LegInUse<'a> {
    leg: Option<Leg>,
    progress: &'a Progress,
}

impl<'a> LegInUse<'a> {
    pub(crate) fn new(leg: Leg, progress: &'a Progress) -> Self {
        Self { leg: Some(leg), progress }
    }

    /// Sends and receives until something happens; for ever, after [`LegInUse::take`].
    pub(crate) async fn next(&mut self) -> Result<Happened, LegError> {
        match &mut self.leg {
            Some(leg) => leg.next().await,
            None => pending().await,
        }
    }

    /// Returns the leg, which is no longer used here.
    pub(crate) fn take(&mut self) -> Option<Leg> {
        self.leg.take()
    }
}

impl Drop for LegInUse<'_> {
    fn drop(&mut self) {
        if self.progress.is_leg_wanted.load(Relaxed) {
            *self.progress.leg.lock().unwrap_or_else(PoisonError::into_inner) = self.leg.take();
        }
    }
}
