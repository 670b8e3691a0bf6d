//! The record of failovers.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
};
use http::{StatusCode, Uri};

use crate::{
    admin::{
        Sidecar, api,
        query::{Parameters, shorten},
        wire,
    },
    clock,
    web::HttpError,
};

/// As many as a page shows without asking for more.
const LIMIT: usize = 50;
const LIMIT_MAX: usize = 1_000;

pub(crate) async fn list(
    State(sidecar): State<Arc<Sidecar>>,
    uri: Uri,
) -> Result<Json<wire::Incidents>, HttpError> {
    let state = &sidecar.state;
    let parameters = Parameters::of(&uri, &["pool", "limit", "since"])?;
    let pool = parameters.text("pool");
    let is_known = |name: &str| state.incidents.load().iter().any(|it| it.pool == name);
    if let Some(name) = pool.filter(|name| !is_known(name)) {
        // Incidents outlive their pool.
        api::pool_named(&state.generation().topology, name)?;
    }
    let limit = parameters.count("limit", LIMIT_MAX)?.unwrap_or(LIMIT);
    let since = parameters.count("since", u32::MAX as usize)?;
    let since = since.map(|it| clock::at_wall(Duration::from_secs(it as u64)));
    let incidents = state.incidents.load();
    let newest_first = incidents
        .iter()
        .rev()
        .filter(|incident| pool.is_none_or(|pool| incident.pool == pool))
        .filter(|incident| since.is_none_or(|since| !incident.is_over_before(since)))
        .take(limit)
        .map(|incident| wire::incident(incident))
        .collect();
    Ok(Json(wire::Incidents { schema: wire::SCHEMA, incidents: newest_first }))
}

pub(crate) async fn one(
    State(sidecar): State<Arc<Sidecar>>,
    Path(id): Path<String>,
) -> Result<Json<wire::Incident>, HttpError> {
    let state = &sidecar.state;
    let incidents = state.incidents.load();
    let found = incidents.iter().find(|it| it.id() == id);
    match found {
        Some(incident) => Ok(Json(wire::incident(incident))),
        None => Err(HttpError::new(
            StatusCode::NOT_FOUND,
            "unknown_incident",
            format!("there is no incident `{}`", shorten(&id)),
            "GET /incidents lists those that are kept",
        )),
    }
}
