//! `/backends…` and `/pools…`: what operators order of backends and pools.
//!
//! Handlers read what is asked, place the order and say what became of it; whether it may be carried
//! out is decided by the fleet, in one step with carrying it out. Waiting for what follows holds
//! nothing but the connection of whoever waits.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    admin::{Sidecar, api, change::Change, command, command::Terms, fail, failback, order, wire},
    alarms::Farewell,
    clock,
    exchange::Generation,
    fleet::{Command, Order, Ordered, Refusal, Target},
    model::{BackendId, PoolId},
    snapshot::PoolSnapshot,
    web::HttpError,
};

/// How often somebody who waits looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A request that read the snapshot before an order may begin an attempt after it, for a moment:
/// nothing in flight says that all is over when this has passed.
const STRAGGLERS: Duration = Duration::from_millis(100);

pub(crate) async fn list(State(sidecar): State<Arc<Sidecar>>) -> Json<wire::Backends> {
    Json(wire::backends(&sidecar.state.generation()))
}

pub(crate) async fn one(
    State(sidecar): State<Arc<Sidecar>>,
    Path((pool, name)): Path<(String, String)>,
) -> Result<Json<wire::OneBackend>, HttpError> {
    let generation = sidecar.state.generation();
    let backend = wire::backend(&generation, find(&generation, &pool, &name)?);
    Ok(Json(wire::OneBackend { schema: wire::SCHEMA, backend }))
}

/// Answers every other method with the command to use.
pub(crate) async fn how_to(method: Method, headers: HeaderMap, uri: Uri) -> HttpError {
    api::use_post(&method, &headers, uri.path())
}

pub(crate) async fn order(
    State(sidecar): State<Arc<Sidecar>>,
    Path((pool, name, verb)): Path<(String, String, String)>,
    body: Body,
) -> Result<Response, HttpError> {
    let (command, terms) = command::of_backend(&verb, &order::body_of(body).await?)?;
    find(&sidecar.state.generation(), &pool, &name)?;
    let target = Target::Backend(name.clone(), command);
    let ordered = place(&sidecar, &pool, target, &terms).await?;
    let until = terms.wait.map(|wait| Instant::now() + wait);
    let is_done = loop {
        let is_over = until.is_none_or(|until| until <= Instant::now());
        match has_come_about(&sidecar, &pool, &name, command, until.is_some())? {
            true if until.is_none() => break true,
            // Once more, for stragglers.
            true => {
                sleep(STRAGGLERS).await;
                if has_come_about(&sidecar, &pool, &name, command, true)? {
                    break true;
                }
            }
            false if is_over => break false,
            false => sleep(LOOK_EVERY).await,
        }
    };
    let generation = sidecar.state.generation();
    let id = find(&generation, &pool, &name)?;
    if !is_done && terms.is_forced && terms.wait.is_some() {
        // Whoever insists does not wait for conversations that may go on for days.
        generation.alarms.say(id, Farewell::Now);
    }
    let change = Change {
        action: action(command),
        target: format!("{pool}/{name}"),
        before: told(&ordered.before, ordered.index),
        after: told(&ordered.after, ordered.index),
    };
    let backend = wire::backend(&generation, id);
    let schema = wire::SCHEMA;
    let answer = wire::BackendAnswer { schema, backend, is_done, persists: wire::PERSISTS };
    Ok((change.noted(), Json(answer)).into_response())
}

pub(crate) async fn fail_over(
    State(sidecar): State<Arc<Sidecar>>,
    Path(pool): Path<String>,
    body: Body,
) -> Result<Response, HttpError> {
    let (to, terms) = command::of_failover(&order::body_of(body).await?)?;
    api::pool_named(&sidecar.state.generation().topology, &pool)?;
    let ordered = place(&sidecar, &pool, Target::FailOver(to), &terms).await?;
    // All traffic has moved when the order is answered.
    answer_of_pool(&sidecar, &pool, "pool.failover", &ordered, true)
}

pub(crate) async fn fail_back(
    State(sidecar): State<Arc<Sidecar>>,
    Path(pool): Path<String>,
    body: Body,
) -> Result<Response, HttpError> {
    let terms = command::of_failback(&order::body_of(body).await?)?;
    api::pool_named(&sidecar.state.generation().topology, &pool)?;
    let ordered = place(&sidecar, &pool, Target::FailBack, &terms).await?;
    let goal = ordered.before.returnable;
    let until = terms.wait.map(|wait| Instant::now() + wait);
    let is_done = loop {
        let generation = sidecar.state.generation();
        let id = api::pool_named(&generation.topology, &pool)?;
        if generation.snapshot.load().pool(id).active_tier <= goal {
            break true;
        }
        if until.is_none_or(|until| until <= Instant::now()) {
            break false;
        }
        sleep(LOOK_EVERY).await;
    };
    answer_of_pool(&sidecar, &pool, "pool.failback", &ordered, is_done)
}

fn answer_of_pool(
    sidecar: &Sidecar,
    name: &str,
    action: &'static str,
    ordered: &Ordered,
    is_done: bool,
) -> Result<Response, HttpError> {
    let generation = sidecar.state.generation();
    let pool = wire::pool(&generation, api::pool_named(&generation.topology, name)?);
    let change = Change {
        action,
        target: name.to_owned(),
        before: told(&ordered.before, None),
        after: told(&ordered.after, None),
    };
    let schema = wire::SCHEMA;
    let answer = wire::PoolAnswer { schema, pool, is_done, persists: wire::PERSISTS };
    Ok((change.noted(), Json(answer)).into_response())
}

/// Places an order, and says what was wrong with it if it is refused.
async fn place(
    sidecar: &Sidecar,
    pool: &str,
    target: Target,
    terms: &Terms,
) -> Result<Ordered, HttpError> {
    let expected = terms.expected.clone();
    let order = Order { pool: pool.to_owned(), target, expected, is_forced: terms.is_forced };
    match sidecar.state.orders.place(order.clone()).await {
        Ok(Ok(ordered)) => Ok(ordered),
        Ok(Err(refusal)) => Err(refused(&sidecar.state.generation(), &order, refusal)),
        Err(error) => Err(HttpError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            error.to_string(),
            "try again in a second",
        )),
    }
}

/// Tells whether what was ordered of a backend has come about. `is_waited` is whether somebody waits
/// for what follows.
fn has_come_about(
    sidecar: &Sidecar,
    pool: &str,
    name: &str,
    command: Command,
    is_waited: bool,
) -> Result<bool, HttpError> {
    let generation = sidecar.state.generation();
    let backend = wire::backend(&generation, find(&generation, pool, name)?);
    Ok(match command {
        Command::Intend(intent) if intent.is_enabled() => backend.is_eligible,
        Command::Intend(_) => backend.in_flight == 0,
        Command::Readmit => backend.is_eligible || !is_waited,
        Command::Weigh(_) | Command::Eject(_) => true,
    })
}

fn find(generation: &Generation, pool: &str, name: &str) -> Result<BackendId, HttpError> {
    let pool = api::pool_named(&generation.topology, pool)?;
    Ok(BackendId { pool, index: fail::index_of(generation, pool, name)? })
}

fn action(command: Command) -> &'static str {
    match command {
        Command::Intend(crate::model::Intent::Enabled) => "backend.enable",
        Command::Intend(crate::model::Intent::Draining) => "backend.drain",
        Command::Intend(crate::model::Intent::Disabled) => "backend.disable",
        Command::Weigh(_) => "backend.weight",
        Command::Eject(_) => "backend.eject",
        Command::Readmit => "backend.readmit",
    }
}

/// Returns what orders change, of a backend or of its pool.
fn told(pool: &PoolSnapshot, index: Option<usize>) -> Value {
    match index.map(|index| &pool.backends[index]) {
        Some(backend) => json!({
            "intent": backend.intent.name(),
            "weight": backend.weight,
            "condition": backend.condition.name(),
            "is_eligible": backend.is_eligible(),
        }),
        None => json!({ "active_tier": pool.active_tier, "held_tier": pool.held }),
    }
}

/// Says why an order was refused, and what would help.
fn refused(generation: &Generation, order: &Order, refusal: Refusal) -> HttpError {
    let conflict = |code, message: String, remedy: &str| {
        HttpError::new(StatusCode::CONFLICT, code, message, remedy)
    };
    let pool = &order.pool;
    match refusal {
        // Both were looked up; another configuration came between.
        Refusal::UnknownPool | Refusal::UnknownBackend | Refusal::UnknownTier => {
            let tiers = api::pool_named(&generation.topology, pool)
                .map_or(0, |id| generation.topology.pool(id).tier_count());
            let message = format!("pool `{pool}` has no such backend or tier");
            let remedy =
                format!("GET /backends lists the backends; tiers: 0 to {}", tiers.max(1) - 1);
            HttpError::new(StatusCode::NOT_FOUND, "unknown_backend", message, remedy)
        }
        Refusal::Changed { index, field, present, .. } => {
            let told = match field {
                "active" => {
                    json!({ "active_tier": present.active_tier, "active": name_of_active(generation, pool, &present) })
                }
                _ => told(&present, index),
            };
            let found = told.get(field).unwrap_or(&Value::Null);
            let message = format!("`{field}` is {found}, which is not what was expected");
            conflict("changed", message, "look again, and expect what is so now").with_present(told)
        }
        Refusal::LastEligible => conflict(
            "last_eligible",
            format!("nobody else of pool `{pool}` may be picked: its requests would fail"),
            "bring another backend back first, or set `force` to true",
        ),
        Refusal::NotAble { tier, is_any: true } => conflict(
            "tier_not_able",
            format!("tier {tier} of pool `{pool}` has less left than it needs"),
            "bring more of its backends back first, or set `force` to true",
        ),
        Refusal::NotAble { tier, is_any: false } => conflict(
            "tier_not_able",
            format!("nothing of tier {tier} of pool `{pool}` may be picked"),
            "bring one of its backends back first; GET /backends says how they are",
        ),
        Refusal::NoOtherTier => conflict(
            "no_other_tier",
            format!("pool `{pool}` has no other tier that can serve"),
            "bring a backend of another tier back first; GET /backends says how they are",
        ),
        Refusal::NothingToFailBack => nothing_to_fail_back(generation, pool),
    }
}

fn nothing_to_fail_back(generation: &Generation, pool: &str) -> HttpError {
    let id = api::pool_named(&generation.topology, pool);
    match id.and_then(|id: PoolId| failback::returnable(generation, id)) {
        Err(error) => error,
        // It has become able in this very moment.
        Ok(_) => HttpError::new(
            StatusCode::CONFLICT,
            "nothing_to_fail_back",
            format!("nothing of pool `{pool}` could take its traffic back"),
            format!("try again; it is {} now", clock::rfc3339_of(clock::now())),
        ),
    }
}

fn name_of_active(generation: &Generation, pool: &str, present: &PoolSnapshot) -> Option<String> {
    let id = generation.topology.pool_named(pool)?;
    let backends = &generation.topology.pool(id).backends;
    Some(backends.get(present.active_backend()?)?.name.clone())
}
