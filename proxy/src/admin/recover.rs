//! `POST /proxy/recover`: ends what `POST /proxy/fail` and the backends' own faults began.
//!
//! Whether a backend is well again is not for an operator to say: health checks decide.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::{
    admin::{
        Sidecar, api,
        change::Change,
        fail,
        order::{self, Names},
        reach::Call,
        wire,
    },
    clock,
    exchange::Generation,
    model::BackendId,
    web::HttpError,
};

/// Calls under way at a time; each may take two seconds.
const CALLS_AT_ONCE: usize = 16;

pub(crate) async fn recover(
    State(sidecar): State<Arc<Sidecar>>,
    body: Body,
) -> Result<Response, HttpError> {
    let generation = sidecar.state.generation();
    // Without fault injection there is nothing to end, and a strange service's `/recover` is not
    // for us to call.
    fail::require_fault_injection(&generation)?;
    let names = Names::of(&order::body_of(body).await?)?;
    let backends = backends_meant(&generation, &names)?;
    let target = match (names.pool, names.backend) {
        (None, None) => "all backends".to_owned(),
        (Some(name), None) | (None, Some(name)) => name,
        (Some(pool), Some(backend)) => format!("{pool}/{backend}"),
    };
    let before = present(&generation, &backends);
    let recovered = end(&generation, backends).await;
    let change = Change { action: "fault.end", target, before, after: json!(recovered) };
    Ok((change.noted(), Json(recovered)).into_response())
}

/// Returns the faults of these backends.
fn present(generation: &Generation, backends: &[BackendId]) -> Value {
    let topology = &generation.topology;
    let now = clock::now();
    let faults = backends.iter().filter_map(|id| {
        let fault = generation.live.backend(*id).fault(now)?;
        let name = format!("{}/{}", topology.pool(id.pool).name, topology.backend(*id).name);
        Some((name, json!(wire::FaultTerms::of(&fault))))
    });
    Value::Object(faults.collect())
}

/// Ends the faults of these backends, and asks them to end their own.
pub(crate) async fn end(generation: &Generation, backends: Vec<BackendId>) -> wire::Recovered {
    for backend in &backends {
        generation.live.backend(*backend).inject(None);
    }
    let results: Vec<_> = stream::iter(backends)
        .map(|backend| async move { (backend, tell(generation, backend).await) })
        .buffered(CALLS_AT_ONCE)
        .collect()
        .await;
    let topology = &generation.topology;
    let mut answer = wire::Recovered { recovered: Vec::new(), not_recovered: Vec::new() };
    for (id, result) in results {
        let backend = topology.backend(id).name.clone();
        match result {
            Ok(()) => answer.recovered.push(backend),
            Err(message) => {
                let pool = topology.pool(id.pool).name.clone();
                answer.not_recovered.push(wire::NotRecovered { pool, backend, message });
            }
        }
    }
    answer
}

async fn tell(generation: &Generation, backend: BackendId) -> Result<(), String> {
    let told = match Call::to(generation, backend, "/recover") {
        Ok(call) => call.make(generation).await,
        Err(error) => Err(error),
    };
    told.map_err(|error| format!("injected faults have ended; its own may not: {error}"))
}

fn backends_meant(generation: &Generation, names: &Names) -> Result<Vec<BackendId>, HttpError> {
    let topology = &generation.topology;
    match (&names.pool, &names.backend) {
        (None, None) => Ok(topology.backend_ids().collect()),
        (None, Some(backend)) => Ok(vec![fail::backend_anywhere(generation, backend)?]),
        (Some(pool), None) => {
            let pool = api::pool_named(topology, pool)?;
            Ok(topology.backend_ids().filter(|id| id.pool == pool).collect())
        }
        (Some(pool), Some(backend)) => {
            let pool = api::pool_named(topology, pool)?;
            Ok(vec![BackendId { pool, index: fail::index_of(generation, pool, backend)? }])
        }
    }
}
