//! Forwarding by Pingora's own path: what the engine leaves to it.
//!
//! Upgrades need a connection that both sides use as they like, and the sidecar needs no failover.
//! Attempts are begun, reported and retried by the same functions as the engine's.

use std::{sync::Arc, time::Duration};

use pingora::{Result, upstreams::peer::HttpPeer};
use pingora_proxy::Session;

use crate::{
    clock,
    event::{Idempotence, Strike, Symptom},
    exchange::{
        attempts::Remains,
        request::{Failure, RequestContext},
        unserved,
    },
    gateway::{
        Gateway, has_answered, headers,
        peer::{BackendDial, Expectation, peer_of},
    },
    model::{BackendId, PoolId, RetryPolicy},
    retry::{Body, Connection, Delivery, Response},
    strike::{Patience, play},
};

impl Gateway {
    /// Begins the next attempt, with injected faults played on the way: a faulty attempt is over
    /// before Pingora hears of it.
    pub(crate) async fn next_attempt(
        &self,
        pool: PoolId,
        session: &mut Session,
        ctx: &mut RequestContext,
    ) -> Result<Box<HttpPeer>> {
        loop {
            let client = session.as_downstream_mut();
            let begun = self.exchange.await_attempt(pool, true, client, ctx).await?;
            let Some(attempt) = begun else { return Err(unserved()) };
            let id = attempt.backend;
            ctx.attempt = Some(Box::new(attempt));
            let strike = self.exchange.strike(id);
            let Some(strike) = strike else { return self.peer(id, session, ctx) };
            let pool = self.exchange.topology.pool(pool);
            let retries = self.exchange.topology.retries(ctx.route, id.pool);
            let idle = pool.timeouts.websocket_idle;
            let limit = expected(retries, idle, session, ctx).limit();
            let response = limit.min(ctx.time_left(clock::now()));
            let symptom = play(strike, Patience { connect: pool.timeouts.connect, response }).await;
            let Some(symptom) = symptom else { return self.peer(id, session, ctx) };
            if !self.may_follow(strike, symptom, session, ctx) {
                return Err(unserved());
            }
        }
    }

    /// Takes in that an injected fault ended the attempt under way. Returns whether another may
    /// follow.
    fn may_follow(
        &self,
        strike: Strike,
        symptom: Symptom,
        session: &mut Session,
        ctx: &mut RequestContext,
    ) -> bool {
        let Some(mut attempt) = ctx.attempt.take() else { return false };
        let remains = self.remains(symptom, Connection::Fresh, session);
        let may_follow = match strike {
            Strike::Error(status) => {
                self.exchange.may_follow_error(status, &mut attempt, remains, ctx)
            }
            Strike::Refuse
            | Strike::Blackhole
            | Strike::Hang
            | Strike::Reset
            | Strike::Truncate
            | Strike::Delay(_) => self.exchange.may_retry(&mut attempt, remains, ctx),
        };
        ctx.attempt = Some(attempt);
        may_follow
    }

    /// Describes the attempt under way to Pingora.
    fn peer(
        &self,
        id: BackendId,
        session: &Session,
        ctx: &mut RequestContext,
    ) -> Result<Box<HttpPeer>> {
        let topology = &self.exchange.topology;
        let pool = topology.pool(id.pool);
        let Some(place) = self.exchange.live.backend(id).place() else {
            // Eligible, so it was checked; its name cannot have been unknown then.
            ctx.failure = Some(Failure::NoBackend);
            return Err(unserved());
        };
        let dial = BackendDial {
            connections: Arc::clone(&self.exchange.connections),
            backend: id,
            epoch: self.exchange.snapshot.load().backend(id).epoch,
            speaker: ctx.speaker,
            departure: self.exchange.departure.clone(),
            alarms: Arc::clone(&self.exchange.alarms),
            limit: pool.timeouts.connect,
        };
        let idle = pool.timeouts.websocket_idle;
        let expectation = expected(topology.retries(ctx.route, id.pool), idle, session, ctx);
        let time_left = ctx.time_left(clock::now()).max(Duration::from_millis(1));
        let mut peer = peer_of(&place, Some(dial), &pool.timeouts, expectation, time_left)?;
        if pool.proxy_protocol.is_some() {
            // Nobody else's key: the backend takes whoever uses the connection for this client.
            peer.group_key = fastrand::u64(..);
            peer.options.idle_timeout = Some(Duration::from_secs(1));
        }
        Ok(Box::new(peer))
    }

    /// Takes in that the attempt under way failed. Returns whether another may follow.
    pub(crate) fn may_retry(
        &self,
        symptom: Symptom,
        connection: Connection,
        session: &mut Session,
        ctx: &mut RequestContext,
    ) -> bool {
        let Some(mut attempt) = ctx.attempt.take() else { return false };
        let remains = self.remains(symptom, connection, session);
        let is_retried = self.exchange.may_retry(&mut attempt, remains, ctx);
        ctx.attempt = Some(attempt);
        is_retried
    }

    fn remains(&self, symptom: Symptom, connection: Connection, session: &mut Session) -> Remains {
        let response = if has_answered(session) { Response::Started } else { Response::NotStarted };
        let (delivery, body) = (Delivery::Possible, body_of(session));
        Remains { symptom, connection, delivery, response, body }
    }
}

/// Returns what the exchange is expected to be like.
///
/// Only a request that may be repeated is cut short: the first answer of a non-idempotent one is
/// the only one it gets, so it is waited for until the route's timeout.
fn expected(
    retries: &RetryPolicy,
    idle: Duration,
    session: &Session,
    ctx: &RequestContext,
) -> Expectation {
    if headers::is_websocket(session.req_header()) {
        Expectation::Upgrade(idle)
    } else if ctx.idempotence == Idempotence::Idempotent {
        Expectation::ResponseWithin(retries.per_try_timeout)
    } else {
        Expectation::ResponseWithin(Duration::MAX)
    }
}

/// Tells whether the request's body can be sent again.
fn body_of(session: &mut Session) -> Body {
    if session.as_downstream().retry_buffer_truncated() {
        Body::Gone
    } else if session.as_downstream_mut().is_body_empty() {
        Body::Untouched
    } else {
        Body::Buffered
    }
}
