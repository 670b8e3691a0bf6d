//! The backends' own control paths: `POST /fail` and `POST /recover`.

use std::time::Duration;

use bytes::Bytes;
use pingora::http::RequestHeader;
use tokio::time::timeout;

use crate::{
    event::Symptom,
    exchange::{Generation, question::Question},
    model::BackendId,
};

/// A backend that takes longer to say that it will fail has failed already.
const WITHIN: Duration = Duration::from_secs(2);

/// Why a backend did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReachError {
    /// Its name was never resolved.
    #[error("its name has not been resolved to an address")]
    NoAddress,
    /// No answer.
    #[error("it did not answer within {} s", WITHIN.as_secs())]
    TimedOut,
    /// No connection, or one that broke.
    #[error("{0}")]
    NoAnswer(Symptom),
    /// It answered, but not that it will.
    #[error("it answered {status} to POST {path}")]
    Refused {
        /// The answer's status.
        status: u16,
        /// What was asked.
        path: &'static str,
    },
}

impl ReachError {
    /// Tells whether the backend certainly does not do as it was told. One that broke off may have
    /// done so.
    pub(crate) fn is_certain(&self) -> bool {
        match self {
            Self::NoAddress | Self::Refused { .. } => true,
            // What a fault does is not what the system says.
            Self::NoAnswer(Symptom::Injected(_)) => false,
            Self::NoAnswer(symptom) => symptom.is_before_request(),
            Self::TimedOut => false,
        }
    }
}

/// A call that can be made.
#[derive(Debug)]
pub(crate) struct Call {
    backend: BackendId,
    question: Question,
    path: &'static str,
}

impl Call {
    /// Prepares `POST path` to `backend`. Fails, without effect, where it cannot be called.
    pub(crate) fn to(
        generation: &Generation,
        backend: BackendId,
        path: &'static str,
    ) -> Result<Self, ReachError> {
        if generation.live.backend(backend).place().is_none() {
            return Err(ReachError::NoAddress);
        }
        let topology = &generation.topology;
        let question = post(path, &topology.backend(backend).address.authority())
            .and_then(|request| {
                let protocol = topology.pool(backend.pool).protocol;
                Question::new(&request, Bytes::new(), protocol, 0).ok()
            })
            .ok_or(ReachError::NoAddress)?;
        Ok(Self { backend, question, path })
    }

    /// Calls, and waits for an answer that says yes.
    pub(crate) async fn make(self, generation: &Generation) -> Result<(), ReachError> {
        let asked = generation.connections.ask(self.backend, &self.question, WITHIN);
        let told = timeout(WITHIN, asked).await.map_err(|_| ReachError::TimedOut)?;
        let told = told.map_err(ReachError::NoAnswer)?;
        let status = told.head.status;
        if status.is_success() {
            Ok(())
        } else {
            Err(ReachError::Refused { status: status.as_u16(), path: self.path })
        }
    }
}

fn post(path: &str, host: &str) -> Option<RequestHeader> {
    let mut request = RequestHeader::build("POST", path.as_bytes(), Some(2)).ok()?;
    request.append_header("Host", host).ok()?;
    request.append_header("Content-Length", "0").ok()?;
    Some(request)
}
