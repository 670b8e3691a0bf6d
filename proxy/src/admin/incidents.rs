//! The record of failovers: those of this process, and those that were kept of processes before.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
};
use http::{StatusCode, Uri};

use crate::{
    admin::{
        AdminState, Sidecar, api,
        query::{Parameters, shorten},
        wire,
    },
    clock,
    history::StoredIncident,
    web::HttpError,
};

/// As many as a page shows without asking for more.
const LIMIT: usize = 50;
const LIMIT_MAX: usize = 1_000;
/// The last second that a Unix time of 32 bits can name.
const SINCE_MAX: usize = u32::MAX as usize;

pub(crate) async fn list(
    State(sidecar): State<Arc<Sidecar>>,
    uri: Uri,
) -> Result<Json<wire::Incidents>, HttpError> {
    let state = &sidecar.state;
    let parameters = Parameters::of(&uri, &["pool", "limit", "since"])?;
    let pool = parameters.text("pool");
    let all = all(state);
    let is_known = |name: &str| all.iter().any(|it| it.pool() == name);
    if let Some(name) = pool.filter(|name| !is_known(name)) {
        // Incidents outlive their pool.
        api::pool_named(&state.generation().topology, name)?;
    }
    let limit = parameters.count("limit", LIMIT_MAX)?.unwrap_or(LIMIT);
    let since = parameters.count("since", SINCE_MAX)?;
    let since = since.map(|it| clock::rfc3339(Duration::from_secs(it as u64)));
    let newest_first = all
        .iter()
        .filter(|it| pool.is_none_or(|pool| it.pool() == pool))
        .filter_map(Known::record)
        .filter(|it| since.as_ref().is_none_or(|since| !it.is_over_before(since)))
        .take(limit)
        .collect();
    Ok(Json(wire::Incidents { schema: wire::SCHEMA, incidents: newest_first }))
}

pub(crate) async fn one(
    State(sidecar): State<Arc<Sidecar>>,
    Path(id): Path<String>,
) -> Result<Json<wire::Incident>, HttpError> {
    let all = all(&sidecar.state);
    let found = all.iter().find(|it| it.id() == id).and_then(Known::record);
    found.map(Json).ok_or_else(|| {
        HttpError::new(
            StatusCode::NOT_FOUND,
            "unknown_incident",
            format!("there is no incident `{}`", shorten(&id)),
            "GET /incidents lists those that are kept",
        )
    })
}

/// Returns the records of at most `limit` incidents, newest first.
pub(crate) fn newest(state: &AdminState, limit: usize) -> Vec<wire::Incident> {
    all(state).iter().filter_map(Known::record).take(limit).collect()
}

/// An incident that can be shown.
enum Known {
    /// This process follows it, or did.
    Ours(Arc<crate::incident::Incident>),
    /// It was kept.
    Kept(Arc<StoredIncident>),
}

impl Known {
    fn pool(&self) -> &str {
        match self {
            Self::Ours(it) => &it.pool,
            Self::Kept(it) => &it.pool,
        }
    }

    fn number(&self) -> u64 {
        match self {
            Self::Ours(it) => it.number,
            Self::Kept(it) => it.number,
        }
    }

    fn id(&self) -> String {
        format!("{}-{}", self.pool(), self.number())
    }

    /// Returns its record; `None` if a later version has kept it in a way that this one cannot read.
    fn record(&self) -> Option<wire::Incident> {
        match self {
            Self::Ours(it) => Some(wire::incident(it)),
            Self::Kept(it) => {
                serde_json::from_slice(&it.record).ok().map(wire::Incident::of_the_past)
            }
        }
    }
}

/// Returns all that are known, newest first.
fn all(state: &AdminState) -> Vec<Known> {
    let ours = state.incidents.load();
    let is_ours = |it: &StoredIncident| {
        ours.iter().any(|mine| mine.number == it.number && mine.pool == it.pool)
    };
    let kept = state.history.incidents();
    let mut kept = kept.into_iter().filter(|it| !is_ours(it)).peekable();
    let mut all = Vec::new();
    for incident in ours.iter().rev() {
        let decided = clock::whole_millis(clock::wall_of(incident.moments.decided));
        // Nearly always all of this process's come first.
        while let Some(later) = kept.next_if(|it| decided < it.decided) {
            all.push(Known::Kept(later));
        }
        all.push(Known::Ours(Arc::clone(incident)));
    }
    all.extend(kept.map(Known::Kept));
    all
}
