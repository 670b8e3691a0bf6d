//! One attempt, from picking up a connection to a response that may be passed on.

use std::{future::pending, sync::atomic::Ordering::Relaxed};

use http::{Method, uri::Scheme};
use tokio::time::{sleep, timeout};

use crate::{
    clock,
    event::{FaultMode, Idempotence, Strike, Symptom},
    exchange::{
        Exchange,
        attempts::Remains,
        connection::Connection as Open,
        connections::{Look, MaxIdle},
        dial::Wanted,
        hold::Answer,
        http1::{Happened, Http1Leg},
        http2::Handle,
        http2_leg::Http2Leg,
        leg::Leg,
        plan::{LegInUse, Plan, Progress},
        shared::Flight,
    },
    model::{BackendId, Pool, Protocol},
    retry::{Connection, Delivery},
    telemetry::requests::trail::Mark,
    wire::response::{Event, ResponseHead},
};

/// Whether the end of a connection can prove that nothing was received: see `http1.rs`.
const CAN_PROVE: bool = cfg!(target_os = "linux");
/// How often a request looks for a place on an HTTP/2 connection before it goes elsewhere. Each time
/// somebody else got the place that it had seen.
const TURNS: u32 = 16;

/// Where an attempt begins, or goes on.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Without a connection, and struck by this fault.
    Start(Option<Strike>),
    /// All of the request has been given to the leg.
    Waiting(Leg),
    /// The final head has come.
    Headed(Leg, ResponseHead),
}

/// What an attempt came to.
#[derive(Debug)]
pub(crate) enum Step {
    /// The backend sent an interim response; the attempt goes on with [`Stage::Waiting`].
    Interim(Leg, ResponseHead),
    /// The response may be passed on.
    Ready(Box<Answer>),
    /// It failed.
    Failed(Remains),
}

impl Exchange {
    /// Carries an attempt on until its response may be passed on, or it has failed. Waits as long
    /// as it takes: whoever calls this watches the clock.
    pub(crate) async fn advance(
        &self,
        plan: &Plan<'_>,
        id: BackendId,
        progress: &Progress,
        mark: &Mark,
        stage: Stage,
    ) -> Step {
        let is_cut = matches!(stage, Stage::Start(Some(Strike::Truncate)));
        let step = self.advance_on(plan, id, progress, mark, stage).await;
        match step {
            Step::Ready(answer) if is_cut && answer.rest.is_none() => {
                let (symptom, fresh) = (Symptom::Injected(FaultMode::Truncate), Connection::Fresh);
                Step::Failed(plan.remains(symptom, fresh, Delivery::Possible))
            }
            Step::Ready(mut answer) if is_cut => {
                answer.is_cut = true;
                Step::Ready(answer)
            }
            Step::Ready(_) | Step::Failed(_) | Step::Interim(..) => step,
        }
    }

    async fn advance_on(
        &self,
        plan: &Plan<'_>,
        id: BackendId,
        progress: &Progress,
        mark: &Mark,
        stage: Stage,
    ) -> Step {
        let leg = match stage {
            Stage::Start(strike) => match self.open_through(strike, plan, id, progress, mark).await
            {
                Ok(mut leg) => {
                    progress.set_sent();
                    leg.send_request(plan.outgoing, mark.parent(), plan.body);
                    self.join_burst(plan.is_http2).await;
                    leg
                }
                Err(remains) => return Step::Failed(remains),
            },
            Stage::Waiting(leg) => leg,
            Stage::Headed(leg, head) => {
                return self
                    .hold(plan, id, progress.limit(), leg, head)
                    .await
                    .map_or_else(Step::Failed, Step::Ready);
            }
        };
        let mut used = LegInUse::new(leg, progress);
        let happened = loop {
            match used.next().await {
                Ok(Happened::Sent) => mark.sent(),
                Ok(Happened::Said(said)) => {
                    mark.answered();
                    break Ok(said);
                }
                Err(error) => break Err(error),
            }
        };
        let Some(leg) = used.take() else { return pending().await };
        match happened {
            Ok(Event::Interim(head)) => Step::Interim(leg, head),
            Ok(Event::Head(head)) => self
                .hold(plan, id, progress.limit(), leg, head)
                .await
                .map_or_else(Step::Failed, Step::Ready),
            Ok(Event::Data(_) | Event::Trailers(_) | Event::End) => {
                Step::Failed(plan.failed(&leg, Symptom::Garbage))
            }
            Err(error) => Step::Failed(plan.broken(&leg, error)),
        }
    }

    /// Plays an injected fault, then finds or makes a connection.
    async fn open_through(
        &self,
        strike: Option<Strike>,
        plan: &Plan<'_>,
        id: BackendId,
        progress: &Progress,
        mark: &Mark,
    ) -> Result<Leg, Remains> {
        let ended = match strike {
            None | Some(Strike::Truncate) => return self.open(plan, id, mark).await,
            Some(Strike::Delay(delay)) => {
                sleep(delay).await;
                return self.open(plan, id, mark).await;
            }
            Some(strike @ Strike::Refuse) => strike,
            Some(strike @ Strike::Blackhole) => {
                sleep(plan.pool.timeouts.connect).await;
                strike
            }
            Some(strike @ (Strike::Reset | Strike::Error(_))) => {
                progress.set_sent();
                strike
            }
            Some(Strike::Hang) => {
                progress.set_sent();
                pending().await
            }
        };
        let symptom = Symptom::Injected(ended.mode());
        Err(plan.remains(symptom, Connection::Fresh, Delivery::Possible))
    }

    /// Finds or makes a connection for a request.
    pub(crate) async fn open(
        &self,
        plan: &Plan<'_>,
        id: BackendId,
        mark: &Mark,
    ) -> Result<Leg, Remains> {
        let leg = match plan.pool.protocol {
            Protocol::Http1 => self.open_http1(plan, id).await,
            // Apart, as what few requests need is: see `exchange.rs`.
            Protocol::Http2 => Box::pin(self.open_http2(plan, id, mark)).await,
        }?;
        mark.connected(leg.connection());
        Ok(leg)
    }

    async fn open_http1(&self, plan: &Plan<'_>, id: BackendId) -> Result<Leg, Remains> {
        let now = clock::now();
        let policy = plan.retries;
        let is_repeatable = plan.idempotence == Idempotence::Idempotent;
        let wants_proof = policy.on_proof && !is_repeatable;
        let max_idle =
            if is_repeatable { MaxIdle::Kept } else { MaxIdle::Fresh(policy.fresh_after) };
        // If a connection turns out to be closed, the first attempt is free (see `retry`): where
        // nothing is lost by it, because it may be repeated or its end proves that nobody got it.
        let is_free = plan.is_first && (is_repeatable || wants_proof && CAN_PROVE);
        let look = if is_free { Look::EventLoop } else { Look::Kernel };
        let epoch = self.snapshot.load().backend(id).epoch;
        let kept = self.connections.take(id, epoch, (max_idle, look), plan.pool, now);
        let connection = match kept {
            Some(connection) => connection,
            None => {
                let in_use = self.live.backend(id).in_flight.load(Relaxed);
                self.connections.make_room(id, plan.pool, in_use);
                self.connect(plan, id, epoch).await?
            }
        };
        let leg = Http1Leg::new(connection, &plan.outgoing.method, wants_proof);
        Ok(Leg::Http1(Box::new(leg)))
    }

    /// With HTTP/2 a request needs no connection of its own, and no caution about idle ones: the
    /// backend says which requests it has not processed.
    async fn open_http2(
        &self,
        plan: &Plan<'_>,
        id: BackendId,
        mark: &Mark,
    ) -> Result<Leg, Remains> {
        for _ in 0..TURNS {
            let (handle, connection) = self.find_http2(plan, id).await?;
            match handle.start(plan.outgoing.request(mark.parent()), plan.outgoing.framing) {
                Ok(leg) => {
                    let is_head = plan.outgoing.method == Method::HEAD;
                    return Ok(Leg::Http2(Box::new(Http2Leg::new(leg, connection, is_head))));
                }
                // Others were faster to take the last places, or the backend has begun to close
                // what it had kept. Neither is a failure of the backend.
                Err(_) if connection == Connection::Reused || handle.is_usable() => {}
                Err(_) => return Err(plan.unsent(Symptom::ConnectionClosed)),
            }
        }
        // As of an idle connection that is found closed: it says nothing of the backend.
        Err(plan.remains(Symptom::ConnectionClosed, Connection::Reused, Delivery::Disproved))
    }

    /// Finds a connection with room for another request, or makes one. While one is being made,
    /// others wait for it, because it will have room for them.
    async fn find_http2(
        &self,
        plan: &Plan<'_>,
        id: BackendId,
    ) -> Result<(Handle, Connection), Remains> {
        let shared = &self.connections.shared;
        if plan.pool.proxy_protocol.is_some() {
            // A connection belongs to the client that it was made for.
            let epoch = self.snapshot.load().backend(id).epoch;
            return self.begin_http2(plan, id, epoch).await.map(|it| (it, Connection::Fresh));
        }
        loop {
            let epoch = self.snapshot.load().backend(id).epoch;
            if let Some(handle) = shared.take(id, epoch) {
                return Ok((handle, Connection::Reused));
            }
            match shared.flight(id) {
                Flight::Own(flight) => {
                    let begun = self.begin_http2(plan, id, epoch).await;
                    if let Err(remains) = &begun {
                        flight.fail(remains.symptom);
                    }
                    return begun.map(|handle| (handle, Connection::Fresh));
                }
                Flight::Others(mut landing) => {
                    match timeout(plan.pool.timeouts.connect, landing.failure()).await {
                        Ok(None) => {}
                        Ok(Some(symptom)) => return Err(plan.unsent(symptom)),
                        // Whoever makes it is held up by its own client.
                        Err(_) => {
                            let begun = self.begin_http2(plan, id, epoch).await;
                            return begun.map(|handle| (handle, Connection::Fresh));
                        }
                    }
                }
            }
        }
    }

    async fn begin_http2(
        &self,
        plan: &Plan<'_>,
        id: BackendId,
        epoch: u64,
    ) -> Result<Handle, Remains> {
        let made = self.connect(plan, id, epoch).await?;
        let scheme = if made.is_tls() { Scheme::HTTPS } else { Scheme::HTTP };
        let is_shared = plan.pool.proxy_protocol.is_none();
        let begun = self.connections.shared.begin(made, scheme, is_shared).await;
        begun.map_err(|symptom| plan.unsent(symptom))
    }

    async fn connect(&self, plan: &Plan<'_>, id: BackendId, epoch: u64) -> Result<Open, Remains> {
        let limit = plan.pool.timeouts.connect;
        let wanted = Wanted { protocol: plan.pool.protocol, speaker: plan.speaker };
        let opened = Box::pin(self.connections.dial.connect(id, epoch, wanted, limit)).await;
        opened.map_err(|symptom| plan.unsent(symptom))
    }

    /// Keeps the connection of a leg that is over for another request, if it is fit for one.
    pub(crate) fn keep(&self, leg: Leg, pool: &Pool) {
        // A backend that was told who connects would take the next client for the same.
        if pool.proxy_protocol.is_none()
            && let Some(connection) = leg.into_idle()
        {
            self.connections.keep(connection, pool, clock::now());
        }
    }
}
