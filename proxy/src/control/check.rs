//! What a health check asks of a backend, and what it makes of the answer.

use std::{ops::RangeInclusive, time::Duration};

use bytes::Bytes;
use pingora::http::RequestHeader;

use crate::{
    event::Symptom,
    exchange::{
        Connections,
        question::{Question, Told},
    },
    model::{Backend, BackendId, CheckKind, Pool, Protocol},
};

/// A health check of one backend, the same each time.
#[derive(Debug)]
pub(crate) enum Check {
    /// The connection is accepted.
    Connect(Protocol),
    /// The answer is one of those expected.
    Ask(Box<Question>, Expected),
    /// It cannot be asked; validation has ruled that out.
    Impossible,
}

/// The answers that pass.
#[derive(Debug)]
pub(crate) struct Expected {
    statuses: RangeInclusive<u16>,
}

impl Check {
    /// Makes the check of a backend of `pool`.
    pub(crate) fn new(pool: &Pool, backend: &Backend) -> Self {
        match &pool.health_check.kind {
            CheckKind::Tcp => Self::Connect(pool.protocol),
            CheckKind::Http { path, expect } => {
                let expected = Expected { statuses: expect.clone() };
                // A backend of which requests are asked in HTTP/2 may understand nothing else.
                let question = request_of(path, &backend.address.authority())
                    .and_then(|it| Question::new(it, Bytes::new(), pool.protocol, 0).ok());
                question.map_or(Self::Impossible, |it| Self::Ask(Box::new(it), expected))
            }
        }
    }

    /// Makes the check. Returns what was wrong, if anything. Connecting may take until `limit`; all
    /// of it takes as long as it takes.
    pub(crate) async fn make(
        &self,
        connections: &Connections,
        id: BackendId,
        limit: Duration,
    ) -> Option<Symptom> {
        match self {
            Self::Connect(protocol) => connections.knock(id, *protocol, limit).await.err(),
            Self::Ask(question, expected) => connections
                .ask(id, question, limit)
                .await
                .map_or_else(Some, |it| expected.miss(&it)),
            Self::Impossible => Some(Symptom::ConnectFailed),
        }
    }
}

impl Expected {
    /// Returns what an answer lacks.
    fn miss(&self, told: &Told) -> Option<Symptom> {
        let status = told.head.status.as_u16();
        (!self.statuses.contains(&status)).then_some(Symptom::ErrorStatus(status))
    }
}

/// Builds the request of an HTTP check; `None` for what validation has ruled out.
fn request_of(path: &str, host: &str) -> Option<RequestHeader> {
    let mut request = RequestHeader::build("GET", path.as_bytes(), Some(3)).ok()?;
    request.append_header("Host", host).ok()?;
    request.append_header("User-Agent", "bascule-health-check").ok()?;
    Some(request)
}
