//! What a health check asks of a backend, and what it makes of the answer.

use std::{ops::RangeInclusive, time::Duration};

use bytes::Bytes;
use pingora::http::RequestHeader;
use pingora_load_balancing::{
    Backend as Target,
    health_check::{HealthCheck as _, TcpHealthCheck},
};

use crate::{
    classify::connect_symptom,
    event::Symptom,
    exchange::{
        Connections,
        question::{Question, Told},
    },
    model::{Backend, BackendAddress, BackendId, CheckKind, HttpCheck, Place, Pool, Protocol},
    wire::{
        grpc,
        grpc_health::{self, Unwell},
    },
};

/// How backends know a check.
const AGENT: &str = "bascule-health-check";
/// Most of an answer's body that is read.
const BODY_MAX: usize = 64 << 10;

/// A health check of one backend, the same each time.
pub(crate) enum Check {
    /// The connection is accepted, and nothing is said on it.
    Accept(Box<TcpHealthCheck>),
    /// The connection is accepted and agreed on: by TLS, after a PROXY header, at a Unix socket.
    Connect(Protocol),
    /// The answer is one of those expected.
    Ask(Box<Question>, Expected),
    /// It cannot be asked; validation has ruled that out.
    Impossible,
}

/// The answers that pass.
#[derive(Debug)]
pub(crate) enum Expected {
    Http {
        statuses: RangeInclusive<u16>,
        /// What must occur in the body.
        text: Option<String>,
    },
    /// A service of gRPC that serves.
    Serving,
}

impl Check {
    /// Makes the check of a backend of `pool`.
    pub(crate) fn new(pool: &Pool, backend: &Backend) -> Self {
        let host = backend.address.authority();
        let asked = match &pool.health_check.kind {
            CheckKind::Tcp => return Self::connecting(pool, backend),
            CheckKind::Http(check) => ask(check, &host, pool.protocol),
            CheckKind::Grpc { service } => ask_service(service, &host),
        };
        let Some((question, expected)) = asked else { return Self::Impossible };
        Self::Ask(Box::new(question), expected)
    }

    fn connecting(pool: &Pool, backend: &Backend) -> Self {
        let is_plain = matches!(backend.address, BackendAddress::Tcp { tls: false, .. });
        if !is_plain || pool.proxy_protocol.is_some() {
            return Self::Connect(pool.protocol);
        }
        let mut check = TcpHealthCheck::new();
        check.peer_template.options.connection_timeout = Some(limit_of(pool));
        Self::Accept(check)
    }

    /// Makes the check of a backend that is at `place`. Returns what was wrong, if anything. Connecting may take until `limit`; all
    /// of it takes as long as it takes.
    pub(crate) async fn make(
        &self,
        connections: &Connections,
        id: BackendId,
        place: Option<&Place>,
        limit: Duration,
    ) -> Option<Symptom> {
        match self {
            Self::Accept(check) => accepted(check, place).await,
            Self::Connect(protocol) => connections.knock(id, *protocol, limit).await.err(),
            Self::Ask(question, expected) => connections
                .ask(id, question, limit)
                .await
                .map_or_else(Some, |it| expected.miss(&it)),
            Self::Impossible => Some(Symptom::ConnectFailed),
        }
    }
}

/// Returns how long connecting may take: a little less than the whole check, so that the reason is
/// known.
pub(crate) fn limit_of(pool: &Pool) -> Duration {
    pool.health_check.timeout.mul_f64(0.9)
}

async fn accepted(check: &TcpHealthCheck, place: Option<&Place>) -> Option<Symptom> {
    let Some(Place::Ip(address)) = place else { return Some(Symptom::ConnectFailed) };
    let asked = match Target::new(&address.to_string()) {
        Ok(target) => check.check(&target).await,
        Err(error) => Err(error),
    };
    asked.err().map(|error| connect_symptom(&error))
}

impl Expected {
    /// Returns what an answer lacks.
    fn miss(&self, told: &Told) -> Option<Symptom> {
        let status = told.head.status.as_u16();
        match self {
            Self::Http { statuses, .. } if !statuses.contains(&status) => {
                Some(Symptom::ErrorStatus(status))
            }
            Self::Http { text: Some(text), .. } if !contains(&told.body, text.as_bytes()) => {
                Some(Symptom::Unexpected)
            }
            Self::Http { .. } => None,
            Self::Serving if status != 200 => Some(Symptom::ErrorStatus(status)),
            Self::Serving => match told.grpc_status() {
                Some(0) => match grpc_health::read(&told.body) {
                    Ok(()) => None,
                    Err(Unwell::NotServing) => Some(Symptom::Unexpected),
                    Err(Unwell::Garbage) => Some(Symptom::Garbage),
                },
                Some(code) => Some(Symptom::ErrorStatus(grpc::http_of_status(code))),
                None => Some(Symptom::Garbage),
            },
        }
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    body.windows(text.len()).any(|part| part == text)
}

/// Builds an HTTP check; `None` for what validation has ruled out.
fn ask(check: &HttpCheck, host: &str, protocol: Protocol) -> Option<(Question, Expected)> {
    let mut request = RequestHeader::build("GET", check.path.as_bytes(), Some(4)).ok()?;
    request.append_header("Host", check.host.as_deref().unwrap_or(host)).ok()?;
    let has_agent = check.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("user-agent"));
    if !has_agent {
        request.append_header("User-Agent", AGENT).ok()?;
    }
    for (name, value) in &check.headers {
        request.append_header(name.clone(), value.as_str()).ok()?;
    }
    let body_max = if check.body_contains.is_some() { BODY_MAX } else { 0 };
    // A backend of which requests are asked in HTTP/2 may understand nothing else.
    let question = Question::new(&request, Bytes::new(), protocol, body_max).ok()?;
    let (statuses, text) = (check.expect.clone(), check.body_contains.clone());
    Some((question, Expected::Http { statuses, text }))
}

/// Builds a check by gRPC's own health checking.
fn ask_service(service: &str, host: &str) -> Option<(Question, Expected)> {
    let path = grpc_health::PATH.as_bytes();
    let mut request = RequestHeader::build("POST", path, Some(4)).ok()?;
    request.append_header("Host", host).ok()?;
    request.append_header("User-Agent", AGENT).ok()?;
    request.append_header("Content-Type", "application/grpc").ok()?;
    request.append_header("TE", "trailers").ok()?;
    let body = grpc_health::request(service);
    let question = Question::new(&request, body, Protocol::Http2, BODY_MAX).ok()?;
    Some((question, Expected::Serving))
}
