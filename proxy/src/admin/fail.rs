//! `POST /proxy/fail`: makes a backend fail, so that everybody can watch what happens then.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc::error::TrySendError;

use crate::{
    admin::{
        Sidecar, api,
        change::Change,
        order::{self, FailOrder, Names},
        query::{bad_request, shorten},
        reach::{Call, ReachError},
        wire,
    },
    clock,
    event::{Fault, FaultMode, FaultScope},
    exchange::Generation,
    fleet,
    model::{BackendId, CheckKind, PoolId},
    web::HttpError,
};

pub(crate) async fn fail(
    State(sidecar): State<Arc<Sidecar>>,
    body: Body,
) -> Result<Response, HttpError> {
    let (accepted, before) = attempt(&sidecar.state.generation(), body).await?;
    let change = Change {
        action: "fault.inject",
        target: format!("{}/{}", accepted.pool, accepted.backend),
        before: before.map_or(Value::Null, |it| json!(wire::FaultTerms::of(&it))),
        after: json!({ "fault": accepted.terms, "ends_at": accepted.ends_at }),
    };
    Ok((StatusCode::ACCEPTED, change.noted(), Json(accepted)).into_response())
}

/// Answers every other method with the command to use.
pub(crate) async fn how_to_fail(method: Method, headers: HeaderMap) -> HttpError {
    api::use_post(&method, &headers, "/proxy/fail")
}

/// Returns what was accepted, and the fault that it is in place of.
async fn attempt(
    generation: &Generation,
    body: Body,
) -> Result<(wire::FailAccepted, Option<Fault>), HttpError> {
    require_fault_injection(generation)?;
    let order = FailOrder::of(&order::body_of(body).await?)?;
    let backend = backend_meant(generation, &order.names)?;
    require_effect(generation, backend, &order)?;
    let now = clock::now();
    let input = fleet::Input::FaultRequested { backend, mode: order.mode };
    let fault = order.begun(now);
    let before = generation.live.backend(backend).fault(now);
    let ends_at = if order.mode == FaultMode::Crash {
        // Whatever can be known to be in the way is looked at before the fleet is told.
        let call = Call::to(generation, backend, "/fail").map_err(|error| unreachable(&error))?;
        tell_fleet(generation, input)?;
        if let Err(error) = call.make(generation).await {
            if error.is_certain() {
                // A crash that comes now is nobody's wish.
                _ = tell_fleet(generation, fleet::Input::FaultWithdrawn { backend });
            }
            return Err(unreachable(&error));
        }
        None
    } else {
        tell_fleet(generation, input)?;
        generation.live.backend(backend).inject(Some(fault));
        Some(fault.ends_at)
    };
    let topology = &generation.topology;
    let accepted = wire::FailAccepted {
        pool: topology.pool(backend.pool).name.clone(),
        backend: topology.backend(backend).name.clone(),
        terms: wire::FaultTerms::of(&fault),
        accepted_at: clock::rfc3339_of(now),
        ends_at: ends_at.map(clock::rfc3339_of),
    };
    Ok((accepted, before))
}

pub(crate) fn require_fault_injection(generation: &Generation) -> Result<(), HttpError> {
    if generation.topology.admin.fault_injection {
        return Ok(());
    }
    Err(HttpError::new(
        StatusCode::FORBIDDEN,
        "fault_injection_disabled",
        "fault injection is not enabled",
        "set admin.fault_injection to true where backends may be made to fail",
    ))
}

/// Refuses what nobody would ever meet: a check that only connects learns of nothing that comes
/// later.
fn require_effect(
    generation: &Generation,
    backend: BackendId,
    order: &FailOrder,
) -> Result<(), HttpError> {
    let pool = generation.topology.pool(backend.pool);
    let is_met = order.scope != FaultScope::Checks
        || pool.health_check.kind != CheckKind::Tcp
        || order.mode.is_before_connection();
    if is_met {
        return Ok(());
    }
    let message = format!(
        "`mode` is `{}` and `scope` is `checks`, but the health checks of pool `{}` only connect",
        order.mode, pool.name
    );
    let remedy = "use the mode `refuse` or `blackhole`, or the scope `traffic`";
    Err(bad_request("no_effect", message, remedy))
}

/// Tells the fleet what an operator asked for: before anything fails, so that the incident knows.
pub(crate) fn tell_fleet(generation: &Generation, input: fleet::Input) -> Result<(), HttpError> {
    generation.inbox.try_send(input).map_err(|error| {
        let message = match error {
            TrySendError::Full(_) => "too much is happening at once",
            TrySendError::Closed(_) => "the proxy is ending",
        };
        let status = StatusCode::SERVICE_UNAVAILABLE;
        HttpError::new(status, "busy", message, "try again in a second")
    })
}

fn backend_meant(generation: &Generation, names: &Names) -> Result<BackendId, HttpError> {
    let pool = match (&names.pool, &names.backend) {
        (Some(pool), _) => api::pool_named(&generation.topology, pool)?,
        (None, Some(backend)) => return backend_anywhere(generation, backend),
        (None, None) => api::first_pool(&generation.topology)?,
    };
    let index = match &names.backend {
        Some(name) => Some(index_of(generation, pool, name)?),
        None => generation.snapshot.load().pool(pool).active_backend(),
    };
    index.map(|index| BackendId { pool, index }).ok_or_else(|| {
        HttpError::new(
            StatusCode::CONFLICT,
            "nothing_active",
            format!("no backend of pool `{}` serves", generation.topology.pool(pool).name),
            "name a backend, or wait until one is eligible",
        )
    })
}

/// Returns the index of the backend called `name` in `pool`.
pub(crate) fn index_of(
    generation: &Generation,
    pool: PoolId,
    name: &str,
) -> Result<usize, HttpError> {
    let pool = generation.topology.pool(pool);
    pool.backends.iter().position(|backend| backend.name == name).ok_or_else(|| {
        let names: Vec<_> = pool.backends.iter().map(|backend| backend.name.as_str()).collect();
        let message = format!("pool `{}` has no backend `{}`", pool.name, shorten(name));
        let remedy = format!("its backends: {}", names.join(", "));
        HttpError::new(StatusCode::NOT_FOUND, "unknown_backend", message, remedy)
    })
}

/// Returns the only backend called `name`, in whichever pool it is.
pub(crate) fn backend_anywhere(
    generation: &Generation,
    name: &str,
) -> Result<BackendId, HttpError> {
    let topology = &generation.topology;
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
        ReachError::NoAddress | ReachError::TimedOut | ReachError::NoAnswer(_) => {
            "check that the backend runs, or use another mode"
        }
    };
    let message = format!("the backend was not made to fail: {error}");
    HttpError::new(StatusCode::BAD_GATEWAY, "backend_unreachable", message, remedy)
}
