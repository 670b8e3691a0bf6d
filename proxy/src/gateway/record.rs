//! Recording requests: for the access log, and for traces.

use std::{net::IpAddr, sync::Arc};

use http::{HeaderMap, HeaderName, header};
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;

use crate::{
    clock::Timestamp,
    event::Fate,
    exchange::{draft::Draft, request::RequestContext},
    gateway::{Gateway, client_ip, headers, host_of},
    model::{AccessField, AccessFormat, AccessLog, PoolId, Target, Tracing, Trusted},
    snapshot::Condition,
    telemetry::{
        metrics::Answer,
        requests::{
            attempts::TracePlace,
            record::{Kept, Merits, Record, Text, Texts},
            trail::Trail,
        },
    },
    wire::{
        grpc,
        trace_context::{self, RANDOM, SAMPLED, TraceParent},
    },
};

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub(crate) at: Timestamp,
    /// The status of the response's head.
    pub(crate) written: Option<u16>,
    /// The status by which its client judges.
    pub(crate) status: Option<u16>,
    pub(crate) fate: Fate,
    pub(crate) answer: Answer,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

impl Gateway {
    /// Tells whether the request's id is taken over from its client.
    pub(crate) fn keeps_request_id(&self, session: &ServerSession, ctx: &RequestContext) -> bool {
        self.believes(self.exchange.topology.logging.request_id, session, ctx)
    }

    fn believes(&self, trusted: Trusted, session: &ServerSession, ctx: &RequestContext) -> bool {
        match trusted {
            Trusted::Everyone => true,
            Trusted::Proxies => client_ip(session).is_some_and(|ip| {
                let proxies = &self.exchange.topology.listeners[ctx.listener].trusted_proxies;
                proxies.iter().any(|it| it.contains(&ip.to_canonical()))
            }),
        }
    }

    /// Begins the trail of a request, if anybody wants to know.
    pub(crate) fn begin_trail(
        &self,
        session: &ServerSession,
        ctx: &RequestContext,
        random: &mut fastrand::Rng,
    ) -> Option<Arc<Trail>> {
        let topology = &self.exchange.topology;
        if topology.traces.is_none() && topology.logging.access.is_none() {
            return None;
        }
        let place = topology.traces.as_ref().map(|it| self.place(it, session, ctx, random));
        Some(Arc::new(Trail::new(place)))
    }

    /// Continues the trace that the request says it belongs to, if that is believed, or begins one.
    fn place(
        &self,
        tracing: &Tracing,
        session: &ServerSession,
        ctx: &RequestContext,
        random: &mut fastrand::Rng,
    ) -> TracePlace {
        let values = session.req_header().headers.get_all(trace_context::PARENT);
        let told = TraceParent::only(values.iter().map(|it| it.as_bytes()));
        let span = random.u64(1..);
        match told.filter(|_| self.believes(tracing.trust, session, ctx)) {
            Some(TraceParent { trace, span: parent, flags }) => {
                TracePlace { trace, span, parent: Some(parent), flags }
            }
            None => {
                let is_chosen = tracing.collector.is_some() && is_chosen(tracing.sample, random);
                let flags = if is_chosen { RANDOM | SAMPLED } else { RANDOM };
                TracePlace { trace: random.u128(1..), span, parent: None, flags }
            }
        }
    }

    /// Says in a request that is sent on which trace it belongs to. Without tracing, what its client
    /// said is left as it is.
    pub(crate) fn place_in_trace(
        &self,
        request: &mut Draft<'_>,
        session: &ServerSession,
        ctx: &RequestContext,
    ) {
        let place = ctx.trail.as_ref().and_then(|it| it.place);
        let (Some(place), Some(tracing)) = (place, &self.exchange.topology.traces) else { return };
        let parent = match (ctx.target, &ctx.attempt) {
            (Some(Target::Pool(_)), None) => place.parent_for(1),
            (Some(Target::Pool(_)), Some(attempt)) => place.parent_for(attempt.number),
            (_, _) => TraceParent { trace: place.trace, span: place.span, flags: place.flags },
        };
        request.set(trace_context::PARENT, parent.write().into_bytes());
        let is_state = trace_context::is_state(request.all(trace_context::STATE));
        if place.parent.is_none() || !is_state {
            request.remove(trace_context::STATE);
        }
        if !tracing.baggage || !self.believes(tracing.trust, session, ctx) {
            request.remove(trace_context::BAGGAGE);
        }
    }

    /// Records a request that is over, if it is worth it.
    pub(crate) fn record(&self, session: &ServerSession, ending: Ending, ctx: &RequestContext) {
        let Some(trail) = &ctx.trail else { return };
        let topology = &self.exchange.topology;
        let (live, pool) = (&self.exchange.live, pool_of(ctx));
        let merits = Merits {
            status: ending.status,
            fate: ending.fate,
            took: ending.at.since(ctx.began),
            attempts: ctx.attempts,
            is_in_incident: pool.is_some_and(|it| live.pool(it).incident_at(ending.at).is_some()),
        };
        let access = topology.logging.access.as_ref();
        let logged = access.and_then(|it| {
            let is_chosen = is_chosen(it.sample, &mut fastrand::Rng::new());
            merits.kept(it.always, it.slow, is_chosen)
        });
        let tracing = topology.traces.as_ref().filter(|it| it.collector.is_some());
        let traced = tracing
            .zip(trail.place)
            .and_then(|(it, place)| merits.kept(it.always, it.slow, place.flags & SAMPLED != 0));
        let Some(kept) = logged.or(traced) else { return };
        let record = Arc::new(self.record_of(session, ending, kept, trail, ctx));
        if logged.is_some() {
            self.sinks.access.offer(Arc::clone(&record));
        }
        if let Some(queue) = traced.and_then(|_| self.sinks.traces.queue()) {
            trail.trace(record, Arc::clone(queue));
        }
    }

    fn record_of(
        &self,
        session: &ServerSession,
        ending: Ending,
        kept: Kept,
        trail: &Trail,
        ctx: &RequestContext,
    ) -> Record {
        let (attempts, first_byte) = trail.seen();
        let request = session.req_header();
        let digest = session.digest().and_then(|it| it.ssl_digest.as_ref());
        let peer = client_ip(session);
        Record {
            topology: Arc::clone(&self.exchange.topology),
            live: Arc::clone(&self.exchange.live),
            listener: ctx.listener,
            route: ctx.route,
            target: ctx.target,
            began: ctx.began,
            first_byte,
            ended: ending.at,
            client: self.client_of(request, peer, ctx),
            peer,
            method: request.method.clone(),
            version: request.version,
            tls: digest.map(|it| it.version.clone()),
            answer: ending.answer,
            status: ending.written,
            grpc_status: ctx.call.and_then(|_| grpc_status(session)),
            fate: ending.fate,
            rescue: ctx.rescue,
            failure: ctx.failure.map(|it| it.name()),
            symptom: ctx.symptom,
            attempt_count: ctx.attempts,
            attempts,
            place: trail.place,
            bytes_in: ending.bytes_in,
            bytes_out: ending.bytes_out,
            is_uncertain: ctx.symptom.is_some() || self.is_pool_in_doubt(ctx),
            kept,
            texts: self.texts(session, ctx),
        }
    }

    fn client_of(
        &self,
        request: &RequestHeader,
        peer: Option<IpAddr>,
        ctx: &RequestContext,
    ) -> Option<IpAddr> {
        let trusted = &self.exchange.topology.listeners[ctx.listener].trusted_proxies;
        // Whom an untrusted peer speaks for, it may make up.
        headers::client_of(request, peer, trusted).or(peer)
    }

    /// Tells whether a backend of the request's pool is suspected: an incident may follow that counts
    /// what ends now.
    fn is_pool_in_doubt(&self, ctx: &RequestContext) -> bool {
        let snapshot = self.exchange.snapshot.load();
        pool_of(ctx).is_some_and(|pool| {
            let mut backends = snapshot.pool(pool).backends.iter();
            backends.any(|it| it.condition == Condition::Suspected)
        })
    }

    /// Copies what is text, and asked for, into one buffer.
    fn texts(&self, session: &ServerSession, ctx: &RequestContext) -> Texts {
        let request = session.req_header();
        let headers = &request.headers;
        let topology = &self.exchange.topology;
        let access = topology.logging.access.as_ref();
        let mut texts = Texts::new();
        texts.push(Text::RequestId, ctx.request_id.as_bytes());
        if let Some(host) = host_of(request) {
            texts.push(Text::Host, host.as_bytes());
        }
        texts.push(Text::Target, request.raw_path());
        if let Some(path) = ctx.rewritten.as_ref().filter(|_| topology.traces.is_some()) {
            texts.push(Text::Rewritten, path.as_bytes());
        }
        for (text, name, field) in [
            (Text::UserAgent, header::USER_AGENT, AccessField::UserAgent),
            (Text::Referer, header::REFERER, AccessField::Referer),
        ] {
            let is_wanted = topology.traces.is_some() || access.is_some_and(|it| has(it, field));
            if is_wanted {
                push(&mut texts, text, headers, &name);
            }
        }
        if ctx.trail.as_ref().and_then(|it| it.place).is_some_and(|it| it.parent.is_some()) {
            let lines = headers.get_all(trace_context::STATE);
            if trace_context::is_state(lines.iter().map(|it| it.as_bytes())) {
                let name = HeaderName::from_static(trace_context::STATE);
                push(&mut texts, Text::TraceState, headers, &name);
            }
        }
        let Some(access) = access else { return texts };
        for (index, name) in access.request_headers.iter().enumerate() {
            push(&mut texts, Text::RequestHeader(index), headers, name);
        }
        if let Some(response) = session.response_written() {
            for (index, name) in access.response_headers.iter().enumerate() {
                push(&mut texts, Text::ResponseHeader(index), &response.headers, name);
            }
        }
        texts
    }
}

fn has(log: &AccessLog, field: AccessField) -> bool {
    log.fields.contains(&field) || log.format == AccessFormat::Combined
}

fn push(texts: &mut Texts, text: Text, headers: &HeaderMap, name: &HeaderName) {
    let mut values = headers.get_all(name).iter();
    if let Some(first) = values.next() {
        texts.push(text, first.as_bytes());
        values.for_each(|it| texts.join(it.as_bytes()));
    }
}

fn pool_of(ctx: &RequestContext) -> Option<PoolId> {
    match ctx.target? {
        Target::Pool(pool) => Some(pool),
        Target::Sidecar | Target::Proxy => None,
    }
}

/// Draws by chance.
fn is_chosen(share: f64, random: &mut fastrand::Rng) -> bool {
    1.0 <= share || (0.0 < share && random.f64() < share)
}

/// Returns how a call ended, if its answer had no messages: the status stands in its head then.
fn grpc_status(session: &ServerSession) -> Option<u16> {
    let response = session.response_written()?;
    grpc::status(response.headers.get(grpc::STATUS)?.as_bytes())
}
