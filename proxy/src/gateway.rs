//! The gateway: the life of a request, a phase per function.
//!
//! Pingora calls one function per phase; each asks one question of one module and decides nothing
//! itself. Exchanges are forwarded by the engine ([`crate::exchange`]); what it leaves to Pingora's
//! own path, the sidecar and upgrades, goes through the phases after `request_filter`.

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
mod route;
mod tunnel;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Version};
use pingora::{
    Error, ErrorSource, ErrorType, Result,
    http::{RequestHeader, ResponseHeader},
    modules::http::HttpModules,
    protocols::{Digest, l4::socket::SocketAddr as PeerAddress},
    upstreams::peer::HttpPeer,
};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

pub use limits::Limits;

use crate::{
    classify::{client_fault, connect_symptom, exchange_symptom},
    client_connection::ClientConnection,
    clock,
    event::{AttemptOutcome, Idempotence, Rescue, Symptom},
    exchange::{
        Exchange, client,
        draft::Draft,
        edits::{edit_request, edit_response},
        request::{Failure, RequestContext},
        upload::{is_too_long, too_long},
    },
    gateway::{
        headers::{Downstream, IDEMPOTENCY_KEY},
        peer::{Expectation, SidecarDial, peer_of},
        reply::Reply,
    },
    model::{BackendId, Place, ProxyStatusAnswers, Target, Timeouts},
    retry::Connection,
    telemetry::sinks::Sinks,
    wire::{connection, preamble::Speaker, proxy_status::PROXY_STATUS},
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
        self.begin(session, ctx);
        if let Some(refusal) = self.out_of_bounds(session, ctx) {
            self.tell(&refusal, session, ctx).await?;
            return Ok(true);
        }
        if max_forwards::ends_here(session.req_header()) {
            max_forwards::answer(session.as_downstream_mut(), &ctx.request_id).await?;
            return Ok(true);
        }
        let Some(route) = self.find_route(session, ctx) else {
            self.tell(&Reply::no_route(), session, ctx).await?;
            return Ok(true);
        };
        if let Some(reply) = self.refuse(session, ctx) {
            self.tell(&reply, session, ctx).await?;
            return Ok(true);
        }
        if route.max_body.is_some_and(|limit| limit < announced(session.req_header())) {
            ctx.failure = Some(Failure::BodyTooLong);
            return Err(too_long());
        }
        let pool = match ctx.target {
            Some(Target::Pool(pool)) => pool,
            Some(Target::Sidecar) | None => return Ok(false),
            Some(Target::Proxy) => {
                self.answer(route, session, ctx).await?;
                return Ok(true);
            }
        };
        self.exchange.live.pool(pool).requests.add(ctx.began);
        self.note_affinity(pool, session, ctx);
        if headers::is_websocket(session.req_header()) {
            return Ok(false);
        }
        let has_body = !session.as_downstream_mut().is_body_empty();
        let outgoing = {
            let mut draft = Draft::of(session.req_header());
            self.prepare(&mut draft, session, ctx);
            self.exchange.outgoing(pool, &draft, has_body, ctx)?
        };
        let downstream = session.as_downstream_mut();
        let forwarded = self.exchange.forward(pool, outgoing, downstream, ctx).await;
        if forwarded.as_ref().is_err_and(|error| is_too_long(error)) {
            ctx.failure = Some(Failure::BodyTooLong);
        }
        forwarded.map(|()| true)
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
        self.prepare(&mut draft, session, ctx);
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
        let reply = self.reply_to(error, ctx);
        let Some(reply) = reply else {
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        };
        if let Err(unsent) = self.tell(&reply, session, ctx).await {
            tracing::debug!(target: "bascule::gateway", error = %unsent, "client left before the reply");
        }
        FailToProxy { error_code: reply.status, can_reuse_downstream: false }
    }

    /// The request is over: who needs to know?
    async fn logging(
        &self,
        session: &mut Session,
        error: Option<&Error>,
        ctx: &mut RequestContext,
    ) {
        self.account(session, error, ctx);
        // What follows is the end of its connection, which may take seconds, and no request any more.
        ctx.guard = None;
        ctx.attempt = None;
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
    /// Notes what must be known of a request before anything can fail.
    fn begin(&self, session: &mut Session, ctx: &mut RequestContext) {
        ctx.listener = self.listener;
        self.exchange.metrics.request_started(ctx.listener);
        let mut random = fastrand::Rng::new();
        let request = session.req_header();
        ctx.request_id =
            headers::request_id(request, self.keeps_request_id(session, ctx), &mut random);
        ctx.trail = self.begin_trail(session, ctx, &mut random);
        let key = request.headers.get(IDEMPOTENCY_KEY).map(|value| value.as_bytes());
        ctx.idempotence = Idempotence::of(request.method.as_str(), key);
        ctx.speaker = speaker_of(session);
        // Pingora reads the first line of `Connection` alone (RFC 9110 §5.3: several are one list).
        let options = request.headers.get_all("connection").iter().map(|it| it.as_bytes());
        if connection::lists(options, "close") {
            client::end_connection(session.as_downstream_mut());
        }
        session.set_read_timeout(Some(CLIENT_PATIENCE));
        session.set_write_timeout(Some(CLIENT_PATIENCE));
    }

    /// Returns the answer to a request that is nobody's to serve, whatever it asks for.
    ///
    /// Requests over HTTP/1.1 have been held against the listener's bounds before; those over HTTP/2
    /// come in another way.
    fn out_of_bounds(&self, session: &Session, ctx: &RequestContext) -> Option<Reply> {
        let request = session.req_header();
        if request.method == http::Method::TRACE {
            return Some(Reply::bad_request(501));
        }
        let limits = &self.exchange.topology.listeners[ctx.listener].limits;
        if limits.target < request.raw_path().len() {
            return Some(Reply::bad_request(414));
        }
        (limits.headers < request.headers.len()).then(|| Reply::bad_request(431))
    }

    /// Makes a request what backends get to see.
    fn prepare<'a>(
        &'a self,
        request: &mut Draft<'a>,
        session: &'a Session,
        ctx: &'a RequestContext,
    ) {
        let listener = &self.exchange.topology.listeners[ctx.listener];
        let connection = ClientConnection::of(session.digest());
        let client = connection.and_then(|it| it.address);
        let downstream = Downstream {
            peer: client,
            peer_text: connection.and_then(|it| it.address_text.as_deref()),
            trusted_proxies: &listener.trusted_proxies,
            is_tls: session.digest().is_some_and(|digest| digest.ssl_digest.is_some()),
            host: host_of(session.req_header()),
            version: session.req_header().version,
            certificate: connection.and_then(|it| it.certificate.as_deref()),
        };
        headers::forward(request, downstream, &ctx.request_id);
        self.place_in_trace(request, session, ctx);
        max_forwards::count_down(request);
        match ctx.target {
            Some(Target::Sidecar) => {
                let trusted = &listener.trusted_proxies;
                let asking = headers::client_of(session.req_header(), client, trusted);
                headers::add_relay(request, &self.relay_key, asking);
            }
            Some(Target::Pool(pool)) => {
                headers::strip_relay(request);
                self.strip_session(pool, request);
            }
            Some(Target::Proxy) | None => headers::strip_relay(request),
        }
        if let Some(path) = &ctx.rewritten {
            // A target that is only a path names no host.
            if let (None, Some(host)) = (request.get("host"), downstream.host) {
                request.set("Host", host.as_bytes());
            }
            request.set_target(path.as_bytes());
        }
        if let Some(route) = ctx.route {
            edit_request(request, &self.exchange.topology.routes[route].request_headers);
        }
    }

    /// Sends an answer of the proxy's own. Nothing is sent when a response has already begun.
    pub(crate) async fn tell(
        &self,
        reply: &Reply,
        session: &mut Session,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        let policy = self.exchange.topology.listeners[ctx.listener].proxy_status;
        if policy.answers != ProxyStatusAnswers::None {
            let backend_address = if policy.backend_address { self.asked_last(ctx) } else { None };
            let status = HeaderValue::try_from(reply.proxy_status(backend_address));
            let name = HeaderName::from_static(PROXY_STATUS);
            ctx.additions.extend(status.ok().map(|status| (name, status)));
        }
        grpc::answer(reply, session.as_downstream_mut(), ctx).await
    }

    /// Returns the address of the backend that was tried last.
    fn asked_last(&self, ctx: &RequestContext) -> Option<SocketAddr> {
        let Some(Target::Pool(pool)) = ctx.target else { return None };
        let id = BackendId { pool, index: *ctx.tried.last()? };
        match *self.exchange.live.backend(id).place()? {
            Place::Ip(address) => Some(address),
            Place::Unix(_) => None,
        }
    }

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

    /// Returns the answer that the proxy gives itself; `None` when the client is gone.
    fn reply_to(&self, error: &Error, ctx: &RequestContext) -> Option<Reply> {
        if ctx.failure == Some(Failure::BodyTooLong) {
            return Some(Reply::body_too_long());
        }
        if *error.esource() == ErrorSource::Downstream {
            return client_fault(error).map(Reply::bad_request);
        }
        match ctx.target {
            Some(Target::Pool(pool)) => {
                let name = &self.exchange.topology.pool(pool).name;
                let failure = ctx.failure.unwrap_or(Failure::DeadlinePassed);
                // Without an attempt of its own, the client hears what others met.
                let snapshot = self.exchange.snapshot.load();
                let trouble =
                    snapshot.pool(pool).backends.iter().find_map(|backend| backend.trouble);
                Some(Reply::unserved(failure, ctx.symptom.or(trouble), name))
            }
            Some(Target::Sidecar) => Some(Reply::no_sidecar()),
            Some(Target::Proxy) | None => Some(Reply::bad_request(400)),
        }
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

/// Returns how long the request's body is said to be; 0 if nothing is said.
fn announced(request: &RequestHeader) -> u64 {
    let length = request.headers.get(http::header::CONTENT_LENGTH);
    length.and_then(|it| it.to_str().ok()).and_then(|it| it.trim().parse().ok()).unwrap_or(0)
}

/// Returns who is at the other end of a client's connection.
fn speaker_of(session: &Session) -> Speaker {
    match (session.client_addr(), session.server_addr()) {
        (Some(PeerAddress::Inet(source)), Some(PeerAddress::Inet(destination))) => {
            Speaker::client(*source, *destination)
        }
        (Some(PeerAddress::Unix(_)), _) => Speaker::LocalClient,
        (Some(PeerAddress::Inet(_)) | None, _) => Speaker::Unknown,
    }
}

fn client_ip(session: &Session) -> Option<IpAddr> {
    ClientConnection::of(session.digest())?.address
}

fn host_of(request: &RequestHeader) -> Option<&str> {
    request
        .uri
        .authority()
        .map(|authority| authority.as_str())
        .or_else(|| request.headers.get("host")?.to_str().ok())
}
