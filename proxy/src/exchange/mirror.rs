//! Mirroring: a sample of requests goes to another pool, too, and nobody waits for it.
//!
//! A copy is sent as it would be if the pool were asked in earnest, and its answer is thrown away.
//! It must cost the request that it copies nothing but the drawing of a number: it is sent by a task
//! of its own, holds nothing back, is dropped when too many are under way, and takes no part in what
//! is thought of the backends that it meets: traffic of which nobody needs the answers must not take
//! a backend from traffic of which somebody does.

use std::sync::Arc;

use bytes::Bytes;
use pingora::http::RequestHeader;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use crate::{
    clock::{self, Timestamp},
    event::{AttemptOutcome, Idempotence},
    exchange::{
        Exchange,
        advance::{Stage, Step},
        draft::Draft,
        http1::Happened,
        leg::Leg,
        outgoing::Outgoing,
        plan::{Plan, Progress},
        request::RequestContext,
        upload::{Upload, Whole},
    },
    model::{BackendId, Pool, PoolId},
    retry::Body,
    telemetry::{
        metrics::MirrorOutcome,
        requests::{
            attempts::Role,
            trail::{Mark, Trail},
        },
    },
    wire::{Header, response::Event},
};

/// Marks a copy, so that whoever gets it need not act on it.
pub(crate) const MARK: &str = "x-bascule-mirror";

/// Copies under way at a time. With bodies of 64 KiB they take 4 MiB; a pool that answers in 10 ms
/// gets 6400 a second.
const MOST: usize = 64;

/// What is read of an answer, in bytes, so that the connection can be used again.
const READ_AWAY: usize = 1024 * 1024;

/// Places for copies under way.
#[derive(Clone, Debug)]
pub(crate) struct Mirrors(Arc<Semaphore>);

impl Default for Mirrors {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

/// A request that is to be sent once more.
struct Copy {
    header: Box<RequestHeader>,
    body: Vec<Bytes>,
    trailers: Vec<Header>,
    pool: PoolId,
    deadline: Timestamp,
    /// That of the request that is copied.
    trail: Option<Arc<Trail>>,
    _place: OwnedSemaphorePermit,
}

impl Exchange {
    /// Sends a copy of a request to the pool that its route is mirrored to, if there is one and the
    /// draw has said so. Returns at once.
    pub(crate) fn mirror(
        self: &Arc<Self>,
        outgoing: &mut Outgoing,
        upload: &Upload,
        ctx: &RequestContext,
    ) {
        let mirror = ctx.route.and_then(|route| self.topology.routes[route].mirror.as_ref());
        let (Some(mirror), Some(header)) = (mirror, outgoing.copy.take()) else { return };
        let pool = mirror.pool;
        if !upload.is_complete() || upload.body() == Body::Gone {
            return self.metrics.mirrored(pool, MirrorOutcome::DroppedBody);
        }
        let Ok(place) = Arc::clone(&self.mirrors.0).try_acquire_owned() else {
            return self.metrics.mirrored(pool, MirrorOutcome::DroppedBusy);
        };
        let body = upload.kept().to_vec();
        let trailers = upload.trailers().to_vec();
        let (deadline, trail) = (ctx.deadline, ctx.trail.clone());
        let copy = Copy { header, body, trailers, pool, deadline, trail, _place: place };
        let exchange = Arc::clone(self);
        // It ends by itself: at the deadline, if not before.
        drop(tokio::spawn(async move {
            let outcome = exchange.send_copy(copy).await;
            exchange.metrics.mirrored(pool, outcome);
        }));
    }

    async fn send_copy(&self, copy: Copy) -> MirrorOutcome {
        let pool = self.topology.pool(copy.pool);
        let outgoing = {
            let mut draft = Draft::of(&copy.header);
            draft.set(MARK, &b"1"[..]);
            Outgoing::new(&draft, !copy.body.is_empty(), pool.protocol)
        };
        let Ok(outgoing) = outgoing else { return MirrorOutcome::DroppedUnserved };
        // Not to be repeated: so it takes no trial from a request whose outcome would tell something.
        let mut ctx = RequestContext::new(clock::now());
        ctx.deadline = copy.deadline;
        ctx.idempotence = Idempotence::NotIdempotent;
        // Nor does it wait for a slot.
        let Some(attempt) = self.begin_attempt(copy.pool, &mut ctx) else {
            return MirrorOutcome::DroppedUnserved;
        };
        let (id, began) = (attempt.backend, attempt.began);
        // Numbered apart from the attempts of the request.
        let mark =
            copy.trail.as_ref().map(|it| Mark::begin(it, (id, 0), Role::Mirror, false, began));
        let mark = mark.unwrap_or_default();
        let whole = Whole { pieces: &copy.body, trailers: &copy.trailers };
        let mut plan = Plan::new(pool, &pool.retries, &outgoing, Some(whole), Body::Buffered, &ctx);
        // Nothing is held back.
        plan.is_stream = true;
        let timer = Instant::from_std(clock::instant_of(copy.deadline));
        let outcome = timeout_at(timer, self.send_and_read(&plan, id, &mark)).await;
        drop(attempt);
        // What did not answer in time was sent all the same.
        outcome.unwrap_or(MirrorOutcome::Sent)
    }

    async fn send_and_read(&self, plan: &Plan<'_>, id: BackendId, mark: &Mark) -> MirrorOutcome {
        let progress = Progress::new(plan.deadline, false);
        let mut stage = Stage::Start(self.strike(id));
        loop {
            match self.advance(plan, id, &progress, mark, stage).await {
                Step::Interim(leg, _) => stage = Stage::Waiting(leg),
                Step::Failed(remains) => {
                    mark.ended(AttemptOutcome::Failed(remains.symptom));
                    return if remains.symptom.is_before_request() {
                        MirrorOutcome::DroppedUnserved
                    } else {
                        MirrorOutcome::Sent
                    };
                }
                Step::Ready(answer) => {
                    mark.ended(AttemptOutcome::Answered { status: answer.head.status.as_u16() });
                    if let Some(leg) = answer.rest {
                        self.read_away(leg, plan.pool).await;
                    }
                    return MirrorOutcome::Sent;
                }
            }
        }
    }

    /// Reads the rest of an answer, if it is not long, and keeps the connection.
    async fn read_away(&self, mut leg: Leg, pool: &Pool) {
        let mut bytes = 0;
        while bytes <= READ_AWAY {
            match leg.next().await {
                Ok(Happened::Said(Event::Data(data))) => bytes += data.len(),
                Ok(Happened::Said(Event::End)) => return self.keep(leg, pool),
                Ok(Happened::Sent | Happened::Said(Event::Trailers(_))) => {}
                Ok(Happened::Said(Event::Interim(_) | Event::Head(_))) | Err(_) => return,
            }
        }
    }
}
