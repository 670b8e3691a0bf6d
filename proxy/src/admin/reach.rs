//! The backends' own control paths: `POST /fail` and `POST /recover`.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;

use crate::{
    admin::Sidecar,
    model::BackendId,
    web::{HttpClient, HttpClientError},
};

/// A backend that takes longer to say that it will fail has failed already.
const WITHIN: Duration = Duration::from_secs(2);

/// Why a backend did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReachError {
    /// We speak plain HTTP only.
    #[error("it speaks TLS, and its control paths are called over plain HTTP only")]
    Tls,
    /// Its name was never resolved.
    #[error("its name has not been resolved to an address")]
    NoAddress,
    /// No answer.
    #[error("{0}")]
    NoAnswer(#[from] HttpClientError),
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
            Self::Tls
            | Self::NoAddress
            | Self::Refused { .. }
            | Self::NoAnswer(HttpClientError::Unreachable { .. }) => true,
            Self::NoAnswer(_) => false,
        }
    }
}

/// A call that can be made.
#[derive(Debug)]
pub(crate) struct Call {
    request: Request<Full<Bytes>>,
    path: &'static str,
}

impl Call {
    /// Prepares `POST path` to `backend`. Fails, without effect, where it cannot be called.
    pub(crate) fn to(
        sidecar: &Sidecar,
        backend: BackendId,
        path: &'static str,
    ) -> Result<Self, ReachError> {
        let configured = &sidecar.state.topology.backend(backend).address;
        if configured.tls {
            return Err(ReachError::Tls);
        }
        let address = sidecar.state.live.backend(backend).address().ok_or(ReachError::NoAddress)?;
        let request = Request::post(format!("http://{address}{path}"))
            .header(header::HOST, configured.authority())
            .body(Full::default())
            .map_err(|_| ReachError::NoAddress)?;
        Ok(Self { request, path })
    }

    /// Calls, and waits for an answer that says yes.
    pub(crate) async fn make(self, client: &HttpClient) -> Result<(), ReachError> {
        let status = client.send(self.request, WITHIN).await?.status();
        if status.is_success() {
            Ok(())
        } else {
            Err(ReachError::Refused { status: status.as_u16(), path: self.path })
        }
    }
}
