//! `POST /proxy/failback`: lets traffic return to a preferred tier without waiting any longer.
//!
//! It is how a pool whose failback is manual gets its traffic back, and cuts the hold-down short
//! elsewhere. Whether the tier can serve is not for an operator to say: the fleet decides.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;

use crate::{
    admin::{Sidecar, api, change::Change, fail, order, wire},
    clock,
    exchange::Generation,
    fleet,
    model::PoolId,
    web::HttpError,
};

pub(crate) async fn fail_back(
    State(sidecar): State<Arc<Sidecar>>,
    body: Body,
) -> Result<Response, HttpError> {
    let (accepted, active_tier) = attempt(&sidecar.state.generation(), body).await?;
    let change = Change {
        action: "pool.failback",
        target: accepted.pool.clone(),
        before: json!({ "active_tier": active_tier }),
        after: json!({ "to_tier": accepted.to_tier }),
    };
    Ok((StatusCode::ACCEPTED, change.noted(), Json(accepted)).into_response())
}

/// Answers every other method with the command to use.
pub(crate) async fn how_to_fail_back(method: Method, headers: HeaderMap) -> HttpError {
    api::use_post(&method, &headers, "/proxy/failback")
}

/// Returns what was accepted, and the tier that serves until then.
async fn attempt(
    generation: &Generation,
    body: Body,
) -> Result<(wire::FailbackAccepted, Option<usize>), HttpError> {
    let pool = match order::pool_of(&order::body_of(body).await?)? {
        Some(name) => api::pool_named(&generation.topology, &name)?,
        None => api::first_pool(&generation.topology)?,
    };
    let to_tier = returnable(generation, pool)?;
    let active_tier = generation.snapshot.load().pool(pool).active_tier;
    fail::tell_fleet(generation, fleet::Input::FailbackRequested { pool })?;
    let accepted = wire::FailbackAccepted {
        pool: generation.topology.pool(pool).name.clone(),
        to_tier,
        accepted_at: clock::rfc3339_of(clock::now()),
    };
    Ok((accepted, active_tier))
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
        (None, Some(tier)) if snapshot.held.is_some() => Err(HttpError::new(
            StatusCode::CONFLICT,
            "preferred_tier_not_able",
            format!("no tier of pool `{name}` before tier {tier}, where it is kept, can serve"),
            format!("POST /pools/{name}/failback lets its traffic return once one can"),
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
