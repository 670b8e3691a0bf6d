//! Hold-back: a response reaches the client only when it is whole, up to a bound.
//!
//! A response that breaks off cannot be taken back once its head has been sent. Held back, it can be
//! asked for again, and the client sees nothing. What it costs: the memory, which is bounded, and
//! for a body that comes slowly the time until its first byte is passed on, which is bounded, too.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use crate::{
    clock::{self, Timestamp},
    event::Symptom,
    exchange::{
        Exchange, attempts::Remains, http1::Happened, leg::Leg, memory::Reservation, plan::Plan,
    },
    model::{BackendId, RetryPolicy},
    wire::{
        Header, grpc,
        response::{BodyLength, Event, HttpVersion, ResponseHead},
    },
};

/// By how much earlier than its attempt's end a body that comes slowly is passed on.
const HEADWAY: Duration = Duration::from_millis(5);

/// A response that may be passed on.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: ResponseHead,
    pub(crate) length: BodyLength,
    /// What has come of the body.
    pub(crate) held: Vec<Bytes>,
    pub(crate) trailers: Vec<Header>,
    /// Where the rest comes from; `None` when the response is whole.
    pub(crate) rest: Option<Leg>,
    /// Whether it comes so slowly that it is passed on before it is whole.
    pub(crate) is_slow: bool,
    /// Whether an injected fault breaks it off after what has come.
    pub(crate) is_cut: bool,
    /// What `held` takes.
    pub(crate) reserved: Reservation,
}

impl Answer {
    /// Returns the status by which this counts as a failed attempt; `None` if it is good. A call that
    /// failed says so in its trailers, and has the HTTP status that says the same.
    pub(crate) fn error_status(&self, policy: &RetryPolicy) -> Option<u16> {
        let status = self.head.status.as_u16();
        if policy.statuses.contains(&status) {
            return Some(status);
        }
        let code = self.grpc_status()?;
        policy.grpc_statuses.contains(&code).then(|| grpc::http_of_status(code))
    }

    /// Tells whether nothing follows the head.
    pub(crate) fn is_head_all(&self) -> bool {
        self.rest.is_none() && self.held.is_empty() && self.trailers.is_empty() && !self.is_cut
    }

    /// Returns how a call ended, if all of its answer is there.
    pub(crate) fn grpc_status(&self) -> Option<u16> {
        if self.head.version != HttpVersion::Http2 || self.rest.is_some() {
            return None;
        }
        // Without messages, the trailers stand in the place of the head.
        status_in(&self.trailers).or_else(|| self.head.grpc_status())
    }
}

/// Returns how a call ended, if these headers say so.
pub(crate) fn status_in(headers: &[Header]) -> Option<u16> {
    let said = headers.iter().find(|it| it.is(grpc::STATUS))?;
    grpc::status(said.value.as_bytes())
}

impl Exchange {
    /// Holds a response back until it is whole, or too long to be held back, or so slow that its
    /// attempt would end at `limit` without anything to show.
    pub(crate) async fn hold(
        &self,
        plan: &Plan<'_>,
        id: BackendId,
        limit: Timestamp,
        leg: Leg,
        head: ResponseHead,
    ) -> Result<Box<Answer>, Remains> {
        self.live.backend(id).times.answered(clock::now());
        let length = leg.body();
        // It is handed up through many hands.
        let mut answer = Box::new(Answer {
            head,
            length,
            held: Vec::new(),
            trailers: Vec::new(),
            rest: None,
            is_slow: false,
            is_cut: false,
            reserved: self.held.nothing(),
        });
        let rule = &plan.pool.hold_back;
        let is_short = match length {
            BodyLength::Known(0) => {
                self.keep(leg, plan.pool);
                return Ok(answer);
            }
            BodyLength::Known(bytes) => bytes <= rule.size as u64,
            BodyLength::Chunked | BodyLength::UntilClose => rule.size != 0,
        };
        if !is_short || plan.body.is_none() || plan.is_stream || is_trickle(&answer.head) {
            answer.rest = Some(leg);
            return Ok(answer);
        }
        let until = match length {
            // What comes at once is taken together; nobody waits for the rest.
            _ if plan.is_call => clock::now(),
            BodyLength::Known(_) => limit.minus(HEADWAY),
            BodyLength::Chunked | BodyLength::UntilClose => clock::now() + rule.patience,
        };
        self.gather(plan, until, leg, answer).await
    }

    /// Gathers the body until it is whole, too long, or `until`.
    async fn gather(
        &self,
        plan: &Plan<'_>,
        until: Timestamp,
        mut leg: Leg,
        mut answer: Box<Answer>,
    ) -> Result<Box<Answer>, Remains> {
        let rule = &plan.pool.hold_back;
        let timer = Instant::from_std(clock::instant_of(until));
        let mut bytes = 0;
        loop {
            let Ok(happened) = timeout_at(timer, leg.next()).await else {
                // Somebody may be waiting for what has come so far.
                answer.is_slow = true;
                break;
            };
            match happened {
                Ok(Happened::Sent) => {}
                Ok(Happened::Said(Event::Data(data))) => {
                    bytes += data.len();
                    let taken = data.len() + size_of::<Bytes>();
                    let is_kept = answer.reserved.grow(taken, rule.memory);
                    answer.held.push(data);
                    if rule.size < bytes || !is_kept {
                        break;
                    }
                }
                Ok(Happened::Said(Event::Trailers(trailers))) => answer.trailers = trailers,
                Ok(Happened::Said(Event::End)) => {
                    self.keep(leg, plan.pool);
                    return Ok(answer);
                }
                Ok(Happened::Said(Event::Interim(_) | Event::Head(_))) => {
                    return Err(plan.failed(&leg, Symptom::Garbage));
                }
                Err(error) => return Err(plan.broken(&leg, error)),
            }
        }
        answer.rest = Some(leg);
        Ok(answer)
    }
}

/// Tells whether a response asks to be passed on as it comes.
fn is_trickle(head: &ResponseHead) -> bool {
    let is_events =
        |it: &[u8]| it.get(..17).is_some_and(|it| it.eq_ignore_ascii_case(b"text/event-stream"));
    head.values("content-type").any(is_events)
        || head.values("x-accel-buffering").any(|it| it.eq_ignore_ascii_case(b"no"))
}
