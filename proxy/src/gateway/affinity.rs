//! What keeps a request with others: its key, or the cookie that names its backend.

use std::net::IpAddr;

use http::header::COOKIE;
use pingora::protocols::http::ServerSession;

use crate::{
    clock,
    exchange::{draft::Draft, request::RequestContext, sessions::seconds},
    gateway::{Gateway, client_ip, headers},
    model::{Balance, HashKey, PoolId},
    snapshot::hash,
    wire::cookie,
};

impl Gateway {
    /// Notes where the request belongs.
    pub(crate) fn note_affinity(
        &self,
        id: PoolId,
        session: &ServerSession,
        ctx: &mut RequestContext,
    ) {
        let pool = self.exchange.topology.pool(id);
        if pool.balance == Balance::Hash {
            ctx.hash = self.hash_of(&pool.hash, session, ctx);
        }
        if let (Some(sticky), Some(cookies)) = (&pool.sticky, self.exchange.sessions.of(id)) {
            let now = seconds(clock::now());
            let values = cookie::values(&session.req_header().headers, &sticky.cookie);
            ctx.session = values.filter_map(|it| cookies.read(it, now)).next();
        }
    }

    fn hash_of(&self, key: &HashKey, session: &ServerSession, ctx: &RequestContext) -> Option<u64> {
        let request = session.req_header();
        match key {
            HashKey::Path => Some(hash(request.uri.path().as_bytes())),
            HashKey::Header(name) => request.headers.get(name).map(|it| hash(it.as_bytes())),
            HashKey::Cookie(name) => cookie::values(&request.headers, name).next().map(hash),
            HashKey::ClientAddress => {
                let peer = client_ip(session);
                let trusted = &self.exchange.topology.listeners[ctx.listener].trusted_proxies;
                // Whom an untrusted peer speaks for, it may make up.
                let client = headers::client_of(request, peer, trusted).or(peer)?;
                Some(match client.to_canonical() {
                    IpAddr::V4(address) => hash(&address.octets()),
                    IpAddr::V6(address) => hash(&address.octets()),
                })
            }
        }
    }

    /// Removes the cookie that is none of the backends' concern.
    pub(crate) fn strip_session(&self, id: PoolId, request: &mut Draft<'_>) {
        let Some(sticky) = &self.exchange.topology.pool(id).sticky else { return };
        if cookie::among(request.all(COOKIE.as_str()), &sticky.cookie).next().is_none() {
            return;
        }
        let fields = request.all(COOKIE.as_str());
        let kept: Vec<Vec<u8>> =
            fields.filter_map(|it| cookie::without(it, &sticky.cookie)).collect();
        request.remove(COOKIE.as_str());
        for field in kept {
            request.add("Cookie", field);
        }
    }
}
