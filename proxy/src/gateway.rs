//! The gateway: the life of a request, a phase per function.
//!
//! Pingora calls one function per phase; each asks one question of one module and decides nothing
//! itself. Exchanges are forwarded by the engine ([`crate::exchange`]), over HTTP/1.1 without Pingora's
//! frame around it (`request.rs`); what it leaves to Pingora's own path, the sidecar and upgrades, goes
//! through the phases after `request_filter`.

mod account;
mod affinity;
mod grpc;
mod headers;
mod limits;
mod max_forwards;
mod peer;
mod pingora_path;
mod record;
mod reply;
mod request;
mod route;
mod tunnel;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Version, header::HOST};
use pingora::{
    Error, ErrorSource, ErrorType, Result,
    http::{RequestHeader, ResponseHeader},
    modules::http::HttpModules,
    protocols::{Digest, http::ServerSession},
    upstreams::peer::HttpPeer,
};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

pub use limits::Limits;

use crate::{
    classify::{connect_symptom, exchange_symptom},
    client_connection::ClientConnection,
    clock,
    event::{AttemptOutcome, Rescue, Symptom},
    exchange::{
        Exchange, client,
        draft::Draft,
        edits::edit_response,
        request::{Failure, RequestContext},
        upload::too_long,
    },
    gateway::peer::{Expectation, SidecarDial, peer_of},
    model::{Place, Target, Timeouts},
    retry::Connection,
    telemetry::sinks::Sinks,
};

/// Longest silence of a client in the middle of a request, and of one that does not take its
/// response.
const CLIENT_PATIENCE: Duration = Duration::from_secs(60);
/// Bounds on an exchange with the sidecar. Its log stream is silent when nothing happens.
const SIDECAR_TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(1),
    between_reads: Duration::from_secs(30),
    stream_idle: Duration::from_secs(30),
    websocket_idle: Duration::from_secs(3600),
    idle: Duration::from_secs(30),
    idle_connections: 16,
};
/// How long the sidecar may take to begin its answer: a fault is passed on to a backend in it.
const SIDECAR_PATIENCE: Duration = Duration::from_secs(10);

/// Forwards the requests that come in on one listener, as one generation says: the frame that Pingora
/// calls.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Who forwards.
    pub exchange: Arc<Exchange>,
    /// Index of the listener whose clients are served.
    pub listener: usize,
    /// How the sidecar knows requests that come through here.
    pub relay_key: String,
    /// Where the sidecar listens.
    pub sidecar: SocketAddr,
    /// What is let in.
    pub limits: Arc<Limits>,
    /// Where requests are recorded.
    pub sinks: Arc<Sinks>,
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = RequestContext;

    fn new_ctx(&self) -> RequestContext {
        RequestContext::new(clock::now())
    }

    /// None: Pingora's default adds a compression module to every request.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    /// Routing: which pool serves this request?
    async fn request_filter(
        &self,
        session: &mut Session,
        ctx: &mut RequestContext,
    ) -> Result<bool> {
        if let Some(begun) = Self::begun(session) {
            *ctx = begun;
            return Ok(false);
        }
        self.filter(session.as_downstream_mut(), ctx).await
    }

    /// What the sidecar gets of a request's body. An upgraded connection is not one.
    async fn request_body_filter(
        &self,
        session: &mut Session,
        _body: &mut Option<Bytes>,
        _is_end: bool,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        let limit = self.exchange.max_body(ctx).filter(|_| ctx.target == Some(Target::Sidecar));
        let is_plain = !headers::is_websocket(session.req_header());
        let read = session.as_downstream().body_bytes_read() as u64;
        if limit.is_some_and(|limit| is_plain && limit < read) {
            ctx.failure = Some(Failure::BodyTooLong);
            return Err(too_long());
        }
        Ok(())
    }

    /// Balancing: which backend receives this attempt?
    async fn upstream_peer(
        &self,
        session: &mut Session,
        ctx: &mut RequestContext,
    ) -> Result<Box<HttpPeer>> {
        match ctx.target {
            Some(Target::Pool(pool)) => self.next_attempt(pool, session, ctx).await,
            Some(Target::Sidecar | Target::Proxy) | None => {
                Ok(Box::new(self.sidecar_peer(session)?))
            }
        }
    }

    /// What does the backend get to see?
    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        let mut draft = Draft::of(request);
        self.prepare(&mut draft, session.as_downstream(), ctx);
        *request = draft.to_header()?;
        Ok(())
    }

    /// Connected: the attempt may now reach the backend's application.
    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        reused: bool,
        _peer: &HttpPeer,
        _fd: std::os::fd::RawFd,
        _digest: Option<&Digest>,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        ctx.is_retry_decided = false;
        if let Some(attempt) = &ctx.attempt {
            attempt.mark.connected(if reused { Connection::Reused } else { Connection::Fresh });
        }
        Ok(())
    }

    /// The attempt was answered: is the answer good enough to pass on?
    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        let Some(Target::Pool(pool)) = ctx.target else { return Ok(()) };
        let status = response.status.as_u16();
        if response.status.is_informational() && status != 101 {
            return Ok(());
        }
        if let Some(attempt) = &ctx.attempt {
            attempt.mark.answered();
        }
        if !self.exchange.topology.retries(ctx.route, pool).statuses.contains(&status) {
            self.report(AttemptOutcome::Answered { status }, ctx);
            return Ok(());
        }
        let symptom = Symptom::ErrorStatus(status);
        if self.may_retry(symptom, Connection::Fresh, session, ctx) {
            ctx.is_retry_decided = true;
            let mut error = Error::explain(ErrorType::HTTPStatus(status), "answer not passed on");
            error.set_retry(true);
            return Err(error);
        }
        // Nobody else can be asked: the backend's own answer, body and all, is the best there is.
        ctx.failure = None;
        Ok(())
    }

    /// What does the client get to see?
    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        let is_http2 = response.version == Version::HTTP_2;
        response.append_header("Via", if is_http2 { "2 bascule" } else { "1.1 bascule" })?;
        response.insert_header("X-Request-Id", &ctx.request_id)?;
        if let Some(attempt) = &ctx.attempt
            && let Some(cookie) = self.exchange.session_field(attempt.backend, ctx)
        {
            response.append_header("Set-Cookie", cookie)?;
        }
        for (name, value) in &ctx.additions {
            response.append_header(name, value)?;
        }
        let is_final = !response.status.is_informational() || response.status.as_u16() == 101;
        if is_final {
            ctx.answering();
        }
        if let Some(route) = ctx.route.filter(|_| is_final) {
            edit_response(response, &self.exchange.topology.routes[route].response_headers)?;
        }
        // A client of HTTP/1.0 knows no chunks (RFC 9112 §6.1): there, the connection's end is the
        // body's.
        if session.req_header().version == Version::HTTP_10
            && response.remove_header("transfer-encoding").is_some()
        {
            client::end_connection(session.as_downstream_mut());
        }
        if self.exchange.departure.has_begun() {
            client::end_connection(session.as_downstream_mut());
        }
        Ok(())
    }

    /// The attempt failed with nothing sent: may another be made?
    fn fail_to_connect(
        &self,
        session: &mut Session,
        _peer: &HttpPeer,
        ctx: &mut RequestContext,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let is_retried = matches!(ctx.target, Some(Target::Pool(_)))
            && self.may_retry(connect_symptom(&error), Connection::Fresh, session, ctx);
        error.set_retry(is_retried);
        error
    }

    /// The attempt failed part-way: may another be made?
    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        ctx: &mut RequestContext,
        client_reused: bool,
    ) -> Box<Error> {
        let is_retried = if ctx.is_retry_decided {
            true
        } else if *error.esource() == ErrorSource::Downstream {
            self.report(AttemptOutcome::Abandoned, ctx);
            false
        } else if !matches!(ctx.target, Some(Target::Pool(_))) {
            false
        } else if has_answered(session) {
            self.report(AttemptOutcome::Failed(Symptom::ResponseCut), ctx);
            false
        } else if is_unfinished(session, &error) {
            // Nobody can answer a request of which a part is missing: no backend is to blame.
            self.report(AttemptOutcome::Abandoned, ctx);
            ctx.failure = Some(Failure::BodyUnfinished);
            false
        } else {
            let connection = if client_reused { Connection::Reused } else { Connection::Fresh };
            self.may_retry(exchange_symptom(&error), connection, session, ctx)
        };
        error.set_retry(is_retried);
        error
    }

    /// No attempt is left: what does the client hear?
    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        ctx: &mut RequestContext,
    ) -> FailToProxy {
        let error_code = self.fail(session.as_downstream_mut(), error, ctx).await;
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    /// The request is over: who needs to know?
    async fn logging(
        &self,
        session: &mut Session,
        error: Option<&Error>,
        ctx: &mut RequestContext,
    ) {
        self.end(session.as_downstream(), error, ctx);
    }

    /// Failures are counted, and told by the fleet once they mean something: a line per failed
    /// request would bury that.
    fn suppress_error_log(&self, _: &Session, _: &RequestContext, error: &Error) -> bool {
        tracing::debug!(target: "bascule::gateway", %error, "request failed");
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _: &Session,
        _: &RequestContext,
        _: &Error,
        _: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}

impl Gateway {
    /// Reports how the attempt of Pingora's path ended.
    fn report(&self, outcome: AttemptOutcome, ctx: &mut RequestContext) {
        if let Some(attempt) = &mut ctx.attempt {
            if matches!(outcome, AttemptOutcome::Answered { .. }) && 1 < attempt.number {
                ctx.rescue = Some(Rescue::Retry);
            }
            self.exchange.report(attempt, outcome);
        }
    }

    fn sidecar_peer(&self, session: &Session) -> Result<HttpPeer> {
        let is_upgrade = headers::is_websocket(session.req_header());
        let expectation = if is_upgrade {
            Expectation::Upgrade(SIDECAR_TIMEOUTS.websocket_idle)
        } else {
            Expectation::ResponseWithin(SIDECAR_PATIENCE)
        };
        let place = Place::Ip(self.sidecar);
        let mut peer = peer_of(&place, None, &SIDECAR_TIMEOUTS, expectation, SIDECAR_PATIENCE)?;
        if is_upgrade {
            let dial =
                SidecarDial { address: self.sidecar, departure: self.exchange.departure.clone() };
            peer.options.custom_l4 = Some(Arc::new(dial));
            // None of the connections that were made otherwise.
            peer.group_key = 1;
        }
        Ok(peer)
    }
}

/// Tells whether the head of the final response has been sent. Interim ones (RFC 9110 §15.2) do not
/// count, but for the one that switches protocols.
fn has_answered(session: &Session) -> bool {
    session
        .response_written()
        .is_some_and(|it| !it.status.is_informational() || it.status.as_u16() == 101)
}

/// Tells whether the wait for a response ended before the client had sent all of its request.
fn is_unfinished(session: &mut Session, error: &Error) -> bool {
    exchange_symptom(error) == Symptom::ResponseTimedOut
        && !session.as_downstream_mut().is_body_done()
}

fn client_ip(session: &ServerSession) -> Option<IpAddr> {
    ClientConnection::of(session.digest())?.address
}

fn host_of(request: &RequestHeader) -> Option<&str> {
    request
        .uri
        .authority()
        .map(|authority| authority.as_str())
        .or_else(|| request.headers.get(HOST)?.to_str().ok())
}
