//! The gateway: the life of a request, a phase per function.
//!
//! Pingora calls one function per phase; each asks one question of one module and decides nothing
//! itself. Exchanges are forwarded by the engine ([`crate::exchange`]); what it leaves to Pingora's
//! own path, the sidecar and upgrades, goes through the phases after `request_filter`.

mod account;
mod forwarded;
mod headers;
mod max_forwards;
mod peer;
mod pingora_path;
mod reply;
mod upgrade;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use http::Version;
use pingora::{
    Error, ErrorSource, ErrorType, Result,
    http::{RequestHeader, ResponseHeader},
    modules::http::HttpModules,
    protocols::Digest,
    upstreams::peer::HttpPeer,
};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

use crate::{
    classify::{client_fault, connect_symptom, exchange_symptom},
    client_connection::ClientConnection,
    clock,
    event::{AttemptOutcome, Idempotence, Rescue, Symptom},
    exchange::{
        Exchange,
        request::{Failure, InFlight, RequestContext},
    },
    gateway::{
        headers::{Downstream, IDEMPOTENCY_KEY},
        peer::{Expectation, peer_of},
        reply::Reply,
    },
    model::{Target, Timeouts},
    retry::Connection,
    routing::{self, RequestFacts},
    snapshot::Kind,
    wire::connection,
};

/// Longest silence of a client in the middle of a request, and of one that does not take its
/// response.
const CLIENT_PATIENCE: Duration = Duration::from_secs(60);
/// Bounds on an exchange with the sidecar. Its log stream is silent when nothing happens.
const SIDECAR_TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(1),
    between_reads: Duration::from_secs(30),
    idle: Duration::from_secs(30),
    idle_connections: 16,
};
/// How long the sidecar may take to begin its answer: a fault is passed on to a backend in it.
const SIDECAR_PATIENCE: Duration = Duration::from_secs(10);

/// Forwards requests: the frame that Pingora calls.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Who forwards.
    pub exchange: Arc<Exchange>,
    /// How the sidecar knows requests that come through here.
    pub relay_key: String,
    /// Where the sidecar listens.
    pub sidecar: SocketAddr,
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
        if let Some(refusal) = self.refusal(session, ctx) {
            refusal.send(session.as_downstream_mut(), &ctx.request_id).await?;
            return Ok(true);
        }
        if max_forwards::ends_here(session.req_header()) {
            max_forwards::answer(session.as_downstream_mut(), &ctx.request_id).await?;
            return Ok(true);
        }
        let Some(target) = self.route(session, ctx) else {
            Reply::no_route().send(session.as_downstream_mut(), &ctx.request_id).await?;
            return Ok(true);
        };
        ctx.target = Some(target);
        let Target::Pool(pool) = target else { return Ok(false) };
        if headers::is_websocket(session.req_header()) {
            return Ok(false);
        }
        let mut request = session.req_header().clone();
        self.prepare(&mut request, session, ctx)?;
        self.exchange.forward(pool, request, session.as_downstream_mut(), ctx).await?;
        Ok(true)
    }

    /// Balancing: which backend receives this attempt?
    async fn upstream_peer(
        &self,
        session: &mut Session,
        ctx: &mut RequestContext,
    ) -> Result<Box<HttpPeer>> {
        match ctx.target {
            Some(Target::Pool(pool)) => self.next_attempt(pool, session, ctx).await,
            Some(Target::Sidecar) | None => Ok(Box::new(self.sidecar_peer(session))),
        }
    }

    /// What does the backend get to see?
    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        self.prepare(request, session, ctx)
    }

    /// Connected: the attempt may now reach the backend's application.
    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        _reused: bool,
        _peer: &HttpPeer,
        _fd: std::os::fd::RawFd,
        _digest: Option<&Digest>,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        ctx.is_retry_decided = false;
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
        if !self.exchange.topology.pool(pool).retries.statuses.contains(&status) {
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
        // A client of HTTP/1.0 knows no chunks (RFC 9112 §6.1): there, the connection's end is the
        // body's.
        if session.req_header().version == Version::HTTP_10
            && response.remove_header("transfer-encoding").is_some()
        {
            session.set_keepalive(None);
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
        if let Err(unsent) = reply.send(session.as_downstream_mut(), &ctx.request_id).await {
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
        ctx.listener = ClientConnection::of(session.digest()).map_or(0, |it| it.listener);
        self.exchange.metrics.request_started(ctx.listener);
        let mut random = fastrand::Rng::new();
        let request = session.req_header();
        ctx.request_id = headers::request_id(request, &mut random);
        let key = request.headers.get(IDEMPOTENCY_KEY).map(|value| value.as_bytes());
        ctx.idempotence = Idempotence::of(request.method.as_str(), key);
        // Pingora reads the first line of `Connection` alone (RFC 9110 §5.3: several are one list).
        let options = request.headers.get_all("connection").iter().map(|it| it.as_bytes());
        if connection::lists(options, "close") {
            session.set_keepalive(None);
        }
        session.set_read_timeout(Some(CLIENT_PATIENCE));
        session.set_write_timeout(Some(CLIENT_PATIENCE));
    }

    /// Returns the answer to a request that is nobody's to serve, whatever it asks for.
    ///
    /// Requests over HTTP/1.1 have been held against the listener's bounds before; those over HTTP/2
    /// come in another way.
    fn refusal(&self, session: &Session, ctx: &RequestContext) -> Option<Reply> {
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
    fn prepare(
        &self,
        request: &mut RequestHeader,
        session: &Session,
        ctx: &RequestContext,
    ) -> Result<()> {
        let listener = &self.exchange.topology.listeners[ctx.listener];
        let client = client_ip(session);
        let downstream = Downstream {
            peer: client,
            trusted_proxies: &listener.trusted_proxies,
            is_tls: session.digest().is_some_and(|digest| digest.ssl_digest.is_some()),
            host: host_of(session.req_header()),
            version: session.req_header().version,
            certificate: ClientConnection::of(session.digest())
                .and_then(|it| it.certificate.as_deref()),
        };
        headers::forward(request, downstream, &ctx.request_id)?;
        max_forwards::count_down(request)?;
        match ctx.target {
            Some(Target::Sidecar) => {
                let trusted = &listener.trusted_proxies;
                let asking = headers::client_of(session.req_header(), client, trusted);
                headers::add_relay(request, &self.relay_key, asking)?;
            }
            Some(Target::Pool(_)) | None => headers::strip_relay(request),
        }
        if let Some(path) = &ctx.rewritten {
            request.set_raw_path(path.as_bytes())?;
        }
        Ok(())
    }

    /// Finds the request's route and notes what it asks for.
    fn route(&self, session: &Session, ctx: &mut RequestContext) -> Option<Target> {
        let request = session.req_header();
        let facts = RequestFacts {
            host: host_of(request),
            path: request.uri.path(),
            method: request.method.as_str(),
        };
        let (number, route) = routing::route(&self.exchange.topology, &facts)?;
        ctx.kind = Kind::of(number, facts.method, facts.path);
        ctx.deadline = ctx.began + route.timeout;
        ctx.rewritten = route.rewrite.as_ref().map(|rewrite| {
            let sent = request.uri.path_and_query().map_or("/", |it| it.as_str());
            routing::rewrite(sent, rewrite)
        });
        if let Target::Pool(pool) = route.target {
            self.exchange.live.pool(pool).requests.add(ctx.began);
            // The sidecar's are not counted: whoever reads the log must not hold up the end.
            ctx.guard = Some(InFlight::request(&self.exchange.live));
        }
        Some(route.target)
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

    fn sidecar_peer(&self, session: &Session) -> HttpPeer {
        let expectation = if headers::is_websocket(session.req_header()) {
            Expectation::Upgrade
        } else {
            Expectation::ResponseWithin(SIDECAR_PATIENCE)
        };
        let address = crate::model::BackendAddress {
            tls: false,
            host: self.sidecar.ip().to_string(),
            port: self.sidecar.port(),
        };
        peer_of(&address, self.sidecar, 0, &SIDECAR_TIMEOUTS, expectation, SIDECAR_PATIENCE)
    }

    /// Returns the answer that the proxy gives itself; `None` when the client is gone.
    fn reply_to(&self, error: &Error, ctx: &RequestContext) -> Option<Reply> {
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
            None => Some(Reply::bad_request(400)),
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
