//! `POST /proxy/fail`: makes a backend fail, so that everybody can watch what happens then.

use std::sync::Arc;

use axum::{Extension, Json, body::Body, extract::State};
use http::{HeaderMap, Method, StatusCode, header};
use tokio::sync::mpsc::error::TrySendError;

use crate::{
    access::Client,
    admin::{
        Sidecar, api,
        guard::speaks_for,
        order::{self, FailOrder, Names},
        query::{bad_request, shorten},
        reach::{Call, ReachError},
        wire,
    },
    clock,
    event::{Fault, FaultMode},
    fleet,
    model::{BackendId, PoolId},
    telemetry::logging::AUDIT,
    web::HttpError,
};

pub(crate) async fn fail(
    State(sidecar): State<Arc<Sidecar>>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<wire::FailAccepted>), HttpError> {
    let answer = attempt(&sidecar, body).await;
    let (address, speaks_for) = (client.address, speaks_for(client, &headers));
    match &answer {
        Ok(it) => tracing::info!(
            target: AUDIT, client = %address, speaks_for, pool = it.pool, backend = it.backend,
            mode = it.mode, "backend made to fail"
        ),
        Err(error) => tracing::warn!(
            target: AUDIT, client = %address, speaks_for, code = error.code,
            reason = error.message, "failing a backend refused"
        ),
    }
    answer.map(|accepted| (StatusCode::ACCEPTED, Json(accepted)))
}

/// Answers every other method with the command to use.
pub(crate) async fn how_to_fail(method: Method, headers: HeaderMap) -> HttpError {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("HOST");
    let remedy = format!("curl -X POST http://{}/proxy/fail", shorten(host));
    api::wrong_method(&method, "POST", remedy)
}

async fn attempt(sidecar: &Sidecar, body: Body) -> Result<wire::FailAccepted, HttpError> {
    require_fault_injection(sidecar)?;
    let order = FailOrder::of(&order::body_of(body).await?)?;
    let backend = backend_meant(sidecar, &order.names)?;
    let now = clock::now();
    let ends_at = if order.mode == FaultMode::Crash {
        // Whatever can be known to be in the way is looked at before the fleet is told.
        let call = Call::to(sidecar, backend, "/fail").map_err(|error| unreachable(&error))?;
        tell_fleet(sidecar, backend, order.mode)?;
        call.make(&sidecar.client).await.map_err(|error| unreachable(&error))?;
        None
    } else {
        tell_fleet(sidecar, backend, order.mode)?;
        let ends_at = now + order.length;
        let fault = Fault { mode: order.mode, ends_at, delay: order.delay };
        sidecar.state.live.backend(backend).inject(Some(fault));
        Some(ends_at)
    };
    let topology = &sidecar.state.topology;
    Ok(wire::FailAccepted {
        pool: topology.pool(backend.pool).name.clone(),
        backend: topology.backend(backend).name.clone(),
        mode: order.mode.name(),
        accepted_at: clock::rfc3339_of(now),
        ends_at: ends_at.map(clock::rfc3339_of),
    })
}

pub(crate) fn require_fault_injection(sidecar: &Sidecar) -> Result<(), HttpError> {
    if sidecar.state.topology.admin.fault_injection {
        return Ok(());
    }
    Err(HttpError::new(
        StatusCode::FORBIDDEN,
        "fault_injection_disabled",
        "fault injection is not enabled",
        "set admin.fault_injection to true where backends may be made to fail",
    ))
}

/// Tells the fleet before anything fails, so that the incident knows that it was asked for.
fn tell_fleet(sidecar: &Sidecar, backend: BackendId, mode: FaultMode) -> Result<(), HttpError> {
    let input = fleet::Input::FaultRequested { backend, mode };
    sidecar.state.inbox.try_send(input).map_err(|error| {
        let message = match error {
            TrySendError::Full(_) => "too much is happening at once",
            TrySendError::Closed(_) => "the proxy is ending",
        };
        let status = StatusCode::SERVICE_UNAVAILABLE;
        HttpError::new(status, "busy", message, "try again in a second")
    })
}

fn backend_meant(sidecar: &Sidecar, names: &Names) -> Result<BackendId, HttpError> {
    let state = &sidecar.state;
    let pool = match (&names.pool, &names.backend) {
        (Some(pool), _) => api::pool_named(&state.topology, pool)?,
        (None, Some(backend)) => return backend_anywhere(sidecar, backend),
        (None, None) => api::first_pool(&state.topology)?,
    };
    let index = match &names.backend {
        Some(name) => Some(index_of(sidecar, pool, name)?),
        None => state.snapshot.load().pool(pool).active_backend(),
    };
    index.map(|index| BackendId { pool, index }).ok_or_else(|| {
        HttpError::new(
            StatusCode::CONFLICT,
            "nothing_active",
            format!("no backend of pool `{}` serves", state.topology.pool(pool).name),
            "name a backend, or wait until one is eligible",
        )
    })
}

/// Returns the index of the backend called `name` in `pool`.
pub(crate) fn index_of(sidecar: &Sidecar, pool: PoolId, name: &str) -> Result<usize, HttpError> {
    let pool = sidecar.state.topology.pool(pool);
    pool.backends.iter().position(|backend| backend.name == name).ok_or_else(|| {
        let names: Vec<_> = pool.backends.iter().map(|backend| backend.name.as_str()).collect();
        let message = format!("pool `{}` has no backend `{}`", pool.name, shorten(name));
        let remedy = format!("its backends: {}", names.join(", "));
        HttpError::new(StatusCode::NOT_FOUND, "unknown_backend", message, remedy)
    })
}

/// Returns the only backend called `name`, in whichever pool it is.
pub(crate) fn backend_anywhere(sidecar: &Sidecar, name: &str) -> Result<BackendId, HttpError> {
    let topology = &sidecar.state.topology;
    let mut found = topology.backend_ids().filter(|id| topology.backend(*id).name == name);
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id),
        (Some(_), Some(_)) => {
            let message = format!("several pools have a backend `{}`", shorten(name));
            Err(bad_request("ambiguous_backend", message, "name the pool, too"))
        }
        (None, _) => {
            let message = format!("no pool has a backend `{}`", shorten(name));
            let remedy = "GET /proxy/health lists the backends";
            Err(HttpError::new(StatusCode::NOT_FOUND, "unknown_backend", message, remedy))
        }
    }
}

fn unreachable(error: &ReachError) -> HttpError {
    let remedy = match error {
        ReachError::Refused { .. } => {
            "the mode `crash` needs a backend that answers POST /fail; use another mode"
        }
        ReachError::Tls => {
            "use another mode: it works in the proxy and needs nothing of the backend"
        }
        ReachError::NoAddress | ReachError::NoAnswer(_) => {
            "check that the backend runs, or use another mode"
        }
    };
    let message = format!("the backend was not made to fail: {error}");
    HttpError::new(StatusCode::BAD_GATEWAY, "backend_unreachable", message, remedy)
}
