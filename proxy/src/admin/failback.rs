//! `POST /proxy/failback`: lets traffic return to a preferred tier without waiting any longer.
//!
//! It is how a pool whose failback is manual gets its traffic back, and cuts the hold-down short
//! elsewhere. Whether the tier can serve is not for an operator to say: the fleet decides.

use std::sync::Arc;

use axum::{Extension, Json, body::Body, extract::State};
use http::{HeaderMap, Method, StatusCode};

use crate::{
    access::Client,
    admin::{Sidecar, api, fail, guard::speaks_for, order, wire},
    clock,
    exchange::Generation,
    fleet,
    model::PoolId,
    telemetry::logging::AUDIT,
    web::HttpError,
};

pub(crate) async fn fail_back(
    State(sidecar): State<Arc<Sidecar>>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<wire::FailbackAccepted>), HttpError> {
    let answer = attempt(&sidecar.state.generation(), body).await;
    let (address, speaks_for) = (client.address, speaks_for(client, &headers));
    match &answer {
        Ok(it) => tracing::info!(
            target: AUDIT, client = %address, speaks_for, pool = it.pool, to_tier = it.to_tier,
            "failback requested"
        ),
        Err(error) => tracing::warn!(
            target: AUDIT, client = %address, speaks_for, code = error.code,
            reason = error.message, "failback refused"
        ),
    }
    answer.map(|accepted| (StatusCode::ACCEPTED, Json(accepted)))
}

/// Answers every other method with the command to use.
pub(crate) async fn how_to_fail_back(method: Method, headers: HeaderMap) -> HttpError {
    api::use_post(&method, &headers, "/proxy/failback")
}

async fn attempt(generation: &Generation, body: Body) -> Result<wire::FailbackAccepted, HttpError> {
    let pool = match order::pool_of(&order::body_of(body).await?)? {
        Some(name) => api::pool_named(&generation.topology, &name)?,
        None => api::first_pool(&generation.topology)?,
    };
    let to_tier = returnable(generation, pool)?;
    fail::tell_fleet(generation, fleet::Input::FailbackRequested { pool })?;
    Ok(wire::FailbackAccepted {
        pool: generation.topology.pool(pool).name.clone(),
        to_tier,
        accepted_at: clock::rfc3339_of(clock::now()),
    })
}

/// Returns the tier that traffic can return to, or says why there is none.
pub(crate) fn returnable(generation: &Generation, pool: PoolId) -> Result<usize, HttpError> {
    let snapshot = generation.snapshot.load();
    let snapshot = snapshot.pool(pool);
    let name = &generation.topology.pool(pool).name;
    match (snapshot.returnable, snapshot.active_tier) {
        (Some(tier), _) => Ok(tier),
        (None, Some(0)) => Err(HttpError::new(
            StatusCode::CONFLICT,
            "nothing_to_fail_back",
            format!("pool `{name}` is served by its preferred tier"),
            "nothing needs to be done",
        )),
        (None, Some(tier)) => Err(HttpError::new(
            StatusCode::CONFLICT,
            "preferred_tier_not_able",
            format!("no tier of pool `{name}` before tier {tier}, which serves, can serve"),
            "repair its backends and wait until they are eligible; GET /proxy/health says how they \
             are",
        )),
        (None, None) => Err(HttpError::new(
            StatusCode::CONFLICT,
            "nothing_active",
            format!("no backend of pool `{name}` serves"),
            "repair a backend: the first that is eligible serves at once",
        )),
    }
}
