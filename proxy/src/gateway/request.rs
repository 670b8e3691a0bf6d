//! The phases of a request that the engine forwards, or that needs no backend.
//!
//! Pingora's frame calls them (`gateway.rs`), as does who serves requests without it ([`Gateway::serve`]).

use std::net::SocketAddr;

use http::{HeaderName, HeaderValue, Method, header::CONNECTION};
use pingora::{
    Error, ErrorSource, Result,
    http::RequestHeader,
    protocols::{
        http::{ServerSession, custom::server::Session},
        l4::socket::SocketAddr as PeerAddress,
    },
};

use crate::{
    classify::client_fault,
    client_connection::ClientConnection,
    clock,
    event::Idempotence,
    exchange::{
        client,
        draft::Draft,
        edits::edit_request,
        request::{Failure, RequestContext},
        upload::{is_too_long, too_long},
    },
    gateway::{
        CLIENT_PATIENCE, Gateway, grpc,
        headers::{self, Downstream, IDEMPOTENCY_KEY},
        host_of, max_forwards,
        reply::Reply,
    },
    model::{BackendId, Place, ProxyStatusAnswers, Target},
    wire::{connection, preamble::Speaker, proxy_status::PROXY_STATUS},
};

impl Gateway {
    /// Serves a request from its head to the end of its response, without Pingora's frame, which prepares
    /// room for all that a request may need there: most of the frame's own work. Gives back what only the
    /// frame can serve.
    pub async fn serve(&self, session: Box<dyn Session>) -> Option<Box<ServerSession>> {
        // Made here: each hand that it goes through would copy room for a session of Pingora's.
        let mut session = ServerSession::new_custom(session);
        let mut ctx = RequestContext::new(clock::now());
        match self.filter(&mut session, &mut ctx).await {
            Ok(true) => {
                // Whoever answered has finished the response.
                self.end(&session, None, &mut ctx);
                None
            }
            Ok(false) => {
                let connection = ClientConnection::of(session.digest())?;
                connection.aside.put_begun(Box::new(ctx));
                Some(Box::new(session))
            }
            Err(error) => {
                tracing::debug!(target: "bascule::gateway", %error, "request failed");
                self.fail(&mut session, &error, &mut ctx).await;
                self.end(&session, Some(&error), &mut ctx);
                None
            }
        }
    }

    /// Takes what is known of a request that [`Gateway::serve`] has begun and given back.
    pub(crate) fn begun(session: &ServerSession) -> Option<RequestContext> {
        let begun = ClientConnection::of(session.digest())?.aside.begun()?;
        begun.downcast().ok().map(|it| *it)
    }

    /// Routes a request and serves it, if that is not left to Pingora's own path: then `false`.
    pub(crate) async fn filter(
        &self,
        session: &mut ServerSession,
        ctx: &mut RequestContext,
    ) -> Result<bool> {
        self.begin(session, ctx);
        if let Some(refusal) = self.out_of_bounds(session, ctx) {
            self.tell(&refusal, session, ctx).await?;
            return Ok(true);
        }
        if max_forwards::ends_here(session.req_header()) {
            max_forwards::answer(session, &ctx.request_id).await?;
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
        let has_body = !session.is_body_empty();
        let outgoing = {
            let connection = ClientConnection::of(session.digest()).filter(|_| !ctx.is_http2);
            let head = connection.and_then(|it| it.aside.request());
            let mut draft = match &head {
                Some(head) => Draft::over(session.req_header(), head),
                None => Draft::of(session.req_header()),
            };
            self.prepare(&mut draft, session, ctx);
            self.exchange.outgoing(pool, &draft, has_body, ctx)?
        };
        let forwarded = self.exchange.forward(pool, outgoing, session, ctx).await;
        if forwarded.as_ref().is_err_and(|error| is_too_long(error)) {
            ctx.failure = Some(Failure::BodyTooLong);
        }
        forwarded.map(|()| true)
    }

    /// Tells the client that no attempt is left. Returns the status that it is told; 0 if it is gone.
    pub(crate) async fn fail(
        &self,
        session: &mut ServerSession,
        error: &Error,
        ctx: &mut RequestContext,
    ) -> u16 {
        let Some(reply) = self.reply_to(error, ctx) else { return 0 };
        if let Err(unsent) = self.tell(&reply, session, ctx).await {
            tracing::debug!(target: "bascule::gateway", error = %unsent, "client left before the reply");
        }
        reply.status
    }

    /// Takes in that the request is over.
    pub(crate) fn end(
        &self,
        session: &ServerSession,
        error: Option<&Error>,
        ctx: &mut RequestContext,
    ) {
        self.account(session, error, ctx);
        // What follows is the end of its connection, which may take seconds, and no request any more.
        ctx.guard = None;
        ctx.attempt = None;
    }

    /// Notes what must be known of a request before anything can fail.
    fn begin(&self, session: &mut ServerSession, ctx: &mut RequestContext) {
        ctx.listener = self.listener;
        ctx.is_http2 = session.is_http2();
        self.exchange.metrics.request_started(ctx.listener);
        let mut random = fastrand::Rng::new();
        let request = session.req_header();
        ctx.request_id =
            headers::request_id(request, self.keeps_request_id(session, ctx), &mut random);
        ctx.trail = self.begin_trail(session, ctx, &mut random);
        let key = request.headers.get(&IDEMPOTENCY_KEY).map(|value| value.as_bytes());
        ctx.idempotence = Idempotence::of(request.method.as_str(), key);
        ctx.speaker = speaker_of(session);
        // Pingora reads the first line of `Connection` alone (RFC 9110 §5.3: several are one list).
        let options = request.headers.get_all(CONNECTION).iter().map(|it| it.as_bytes());
        if connection::lists(options, "close") {
            client::end_connection(session);
        }
        session.set_read_timeout(Some(CLIENT_PATIENCE));
        session.set_write_timeout(Some(CLIENT_PATIENCE));
    }

    /// Returns the answer to a request that is nobody's to serve, whatever it asks for.
    ///
    /// Requests over HTTP/1.1 have been held against the listener's bounds before; those over HTTP/2
    /// come in another way.
    fn out_of_bounds(&self, session: &ServerSession, ctx: &RequestContext) -> Option<Reply> {
        let request = session.req_header();
        if request.method == Method::TRACE {
            return Some(Reply::bad_request(501));
        }
        let limits = &self.exchange.topology.listeners[ctx.listener].limits;
        if limits.target < request.raw_path().len() {
            return Some(Reply::bad_request(414));
        }
        (limits.headers < request.headers.len()).then(|| Reply::bad_request(431))
    }

    /// Makes a request what backends get to see.
    pub(crate) fn prepare<'a>(
        &'a self,
        request: &mut Draft<'a>,
        session: &'a ServerSession,
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
        session: &mut ServerSession,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        let policy = self.exchange.topology.listeners[ctx.listener].proxy_status;
        if policy.answers != ProxyStatusAnswers::None {
            let backend_address = if policy.backend_address { self.asked_last(ctx) } else { None };
            let status = HeaderValue::try_from(reply.proxy_status(backend_address));
            let name = HeaderName::from_static(PROXY_STATUS);
            ctx.additions.extend(status.ok().map(|status| (name, status)));
        }
        grpc::answer(reply, session, ctx).await
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

/// Returns how long the request's body is said to be; 0 if nothing is said.
fn announced(request: &RequestHeader) -> u64 {
    let length = request.headers.get(http::header::CONTENT_LENGTH);
    length.and_then(|it| it.to_str().ok()).and_then(|it| it.trim().parse().ok()).unwrap_or(0)
}

/// Returns who is at the other end of a client's connection.
fn speaker_of(session: &ServerSession) -> Speaker {
    match (session.client_addr(), session.server_addr()) {
        (Some(PeerAddress::Inet(source)), Some(PeerAddress::Inet(destination))) => {
            Speaker::client(*source, *destination)
        }
        (Some(PeerAddress::Unix(_)), _) => Speaker::LocalClient,
        (Some(PeerAddress::Inet(_)) | None, _) => Speaker::Unknown,
    }
}
