//! Routing: finds a request's route, and answers what needs no backend.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::Method;
use pingora::protocols::http::ServerSession;
use pingora::{
    Result,
    http::{RequestHeader, ResponseHeader},
};
use tokio::time::timeout;

use crate::{
    exchange::{edits::edit_response, request::RequestContext},
    gateway::{Gateway, client_ip, grpc, headers, host_of, reply::Reply},
    model::{Destination, FixedResponse, PoolId, Redirect, Route, Split, SplitKey, Target},
    routing::{self, RequestFacts, split},
    snapshot::Kind,
    wire::cookie,
};

/// Longest request body that is read and thrown away, so that the client's connection can be kept:
/// reading it costs less than a new connection.
const READ_AWAY: u64 = 64 * 1024;
/// How long the answer waits for such a body, which nearly always comes with the head.
const READ_AWAY_PATIENCE: Duration = Duration::from_secs(1);

impl Gateway {
    /// Finds the request's route and notes what it asks for.
    pub(crate) fn find_route(
        &self,
        session: &ServerSession,
        ctx: &mut RequestContext,
    ) -> Option<&Route> {
        let request = session.req_header();
        let facts = RequestFacts {
            host: host_of(request),
            path: request.uri.path(),
            query: request.uri.query(),
            method: request.method.as_str(),
            headers: &request.headers,
            listener: ctx.listener,
        };
        let (number, route) = self.exchange.routes.route(&self.exchange.topology, &facts)?;
        ctx.route = Some(number);
        ctx.kind = Kind::of(number, facts.method, facts.path);
        ctx.deadline = ctx.began + route.timeout;
        grpc::note(session, route.timeout, ctx);
        let target = match &route.destination {
            Destination::Pool(pool) => Target::Pool(*pool),
            Destination::Split(split) => Target::Pool(self.side(split, session, ctx)?),
            Destination::Sidecar => Target::Sidecar,
            Destination::Redirect(_) | Destination::Respond(_) => Target::Proxy,
        };
        ctx.target = Some(target);
        if target != Target::Proxy {
            ctx.rewritten =
                route.rewrite.as_ref().map(|it| routing::rewrite(path_and_query(request), it));
        }
        Some(route)
    }

    /// Tells on which side of a split the request falls.
    fn side(&self, split: &Split, session: &ServerSession, ctx: &RequestContext) -> Option<PoolId> {
        let request = session.req_header();
        let key = match &split.by {
            None => None,
            Some(SplitKey::Header(name)) => {
                request.headers.get(name).map(|it| Cow::Borrowed(it.as_bytes()))
            }
            Some(SplitKey::Cookie(name)) => {
                let mut values = cookie::values(&request.headers, name);
                // An empty one is as good as none.
                values.next().filter(|it| !it.is_empty()).map(Cow::Borrowed)
            }
            Some(SplitKey::ClientAddress) => {
                let peer = client_ip(session);
                let trusted = &self.exchange.topology.listeners[ctx.listener].trusted_proxies;
                // Whom an untrusted peer speaks for, it may make up.
                let client = headers::client_of(request, peer, trusted).or(peer);
                client.map(|it| Cow::Owned(it.to_canonical().to_string().into_bytes()))
            }
        };
        split::pick(split, key.as_deref(), &mut fastrand::Rng::new())
    }

    /// Answers a request whose route needs no backend.
    pub(crate) async fn answer(
        &self,
        route: &Route,
        session: &mut ServerSession,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        let (mut header, body) = match &route.destination {
            Destination::Redirect(redirect) => {
                let Some(header) = redirection(redirect, route, session.req_header())? else {
                    return self.tell(&Reply::bad_request(400), session, ctx).await;
                };
                (header, Bytes::new())
            }
            Destination::Respond(response) => (fixed(response)?, response.body.clone()),
            Destination::Pool(_) | Destination::Split(_) | Destination::Sidecar => return Ok(()),
        };
        header.insert_header("X-Request-Id", &ctx.request_id)?;
        edit_response(&mut header, &route.response_headers)?;
        read_away(session).await;
        let is_head = session.req_header().method == Method::HEAD;
        ctx.answering();
        session.write_response_header(Box::new(header)).await?;
        if !is_head && !body.is_empty() {
            session.write_response_body(body, true).await?;
        }
        session.finish_body().await
    }
}

/// Builds a redirect's head; `None` if the client must name a host for it and does not.
fn redirection(
    redirect: &Redirect,
    route: &Route,
    request: &RequestHeader,
) -> Result<Option<ResponseHeader>> {
    let (host, sent) = (host_of(request), path_and_query(request));
    let location = routing::location(redirect, route.rewrite.as_ref(), host, sent);
    let Some(location) = location else { return Ok(None) };
    let mut header = ResponseHeader::build(redirect.status, Some(4))?;
    header.insert_header("Location", location)?;
    header.insert_header("Content-Length", "0")?;
    Ok(Some(header))
}

fn fixed(response: &FixedResponse) -> Result<ResponseHeader> {
    let mut header = ResponseHeader::build(response.status, Some(response.headers.len() + 4))?;
    for (name, value) in &response.headers {
        header.append_header(name, value)?;
    }
    // Neither has a body, nor a length (RFC 9110 §8.6).
    if !matches!(response.status, 204 | 304) {
        header.insert_header("Content-Length", response.body.len().to_string())?;
    }
    Ok(header)
}

fn path_and_query(request: &RequestHeader) -> &str {
    request.uri.path_and_query().map_or("/", |it| it.as_str())
}

/// Reads a short body that is on its way, so that the connection can be kept. What is left of one
/// closes it.
async fn read_away(session: &mut ServerSession) {
    if session.is_body_empty() {
        return;
    }
    let headers = &session.req_header().headers;
    let length = headers.get(http::header::CONTENT_LENGTH).and_then(|it| it.to_str().ok());
    let is_short = length.and_then(|it| it.parse().ok()).is_some_and(|it: u64| it <= READ_AWAY);
    // Whoever waits to be asked for a body does not send it after an answer.
    let is_coming = !headers.contains_key(http::header::EXPECT);
    if is_short && is_coming {
        let reading = session.drain_request_body();
        // A connection on which some of it is left is closed by Pingora.
        _ = timeout(READ_AWAY_PATIENCE, reading).await;
    }
}
