//! `/backends…` and `/pools…`: what operators order of backends and pools.
//!
//! Handlers read what is asked, place the order and say what became of it; whether it may be carried
//! out is decided by the fleet, in one step with carrying it out. Waiting for what follows holds
//! nothing but the connection of whoever waits.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    admin::{
        Sidecar, api,
        change::{Ahead, Change},
        command,
        command::Terms,
        fail, failback, order, wire,
    },
    alarms::Farewell,
    clock,
    exchange::Generation,
    fleet::{Command, Order, Ordered, Refusal, Target},
    model::{BackendId, Intent, PoolId},
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
    Extension(ahead): Extension<Ahead>,
    Path((pool, name, verb)): Path<(String, String, String)>,
    body: Body,
) -> Result<Response, HttpError> {
    let (command, terms) = command::of_backend(&verb, &order::body_of(body).await?)?;
    let mut seen = Seen::of(sidecar.state.generation(), &pool, &name)?;
    let target = Target::Backend(name.clone(), command);
    let ordered = place(&sidecar, &pool, target, &terms).await?;
    let about = ordered.index.map(|index| (index, Some(seen.tier())));
    let change = Change {
        action: action(command),
        target: format!("{pool}/{name}"),
        before: told(&ordered.before, about),
        after: told(&ordered.after, about),
    };
    ahead.note(&change);
    let outcome = seen.follow(&sidecar, command, terms.wait).await;
    if outcome == Outcome::TimeIsUp && terms.is_forced && terms.wait.is_some() {
        seen.insist(command);
    }
    let backend = wire::backend(&seen.generation, seen.id);
    let (schema, is_done) = (wire::SCHEMA, outcome == Outcome::Done);
    let answer = wire::BackendAnswer { schema, backend, is_done, persists: wire::PERSISTS };
    Ok((change.noted(), Json(answer)).into_response())
}

/// What became of an order about a backend while it was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It has come about.
    Done,
    /// It may still come about.
    TimeIsUp,
    /// It will not: somebody ordered otherwise, or the backend is configured no more.
    Overtaken,
}

/// A backend where it was seen last: one that is configured no more is told of as it was.
struct Seen {
    generation: Arc<Generation>,
    id: BackendId,
}

impl Seen {
    fn of(generation: Arc<Generation>, pool: &str, name: &str) -> Result<Self, HttpError> {
        let id = find(&generation, pool, name)?;
        Ok(Self { generation, id })
    }

    fn tier(&self) -> usize {
        self.generation.topology.backend(self.id).tier
    }

    fn intent(&self) -> Intent {
        self.generation.snapshot.load().backend(self.id).intent
    }

    /// Looks for the backend in the present generation. Tells whether it is there.
    fn renew(&mut self, sidecar: &Sidecar) -> bool {
        let topology = &self.generation.topology;
        let (pool, name) = (&topology.pool(self.id.pool).name, &topology.backend(self.id).name);
        let found = Self::of(sidecar.state.generation(), pool, name);
        found.map(|it| *self = it).is_ok()
    }

    /// Looks until what was ordered has come about, but no longer than `wait`.
    async fn follow(
        &mut self,
        sidecar: &Sidecar,
        command: Command,
        wait: Option<Duration>,
    ) -> Outcome {
        let until = wait.map(|wait| Instant::now() + wait);
        let mut was_done = false;
        loop {
            let is_over = until.is_none_or(|until| until <= Instant::now());
            let outcome = if self.renew(sidecar) {
                let backend = wire::backend(&self.generation, self.id);
                outcome(command, self.intent(), &backend, until.is_some())
            } else {
                Outcome::Overtaken
            };
            match outcome {
                Outcome::Overtaken => return outcome,
                Outcome::Done if was_done || until.is_none() => return outcome,
                // Once more, for stragglers.
                Outcome::Done => sleep(STRAGGLERS).await,
                Outcome::TimeIsUp if is_over => return outcome,
                Outcome::TimeIsUp => sleep(LOOK_EVERY).await,
            }
            was_done = outcome == Outcome::Done;
        }
    }

    /// Ends what is still under way at a backend that was taken out: whoever insists does not wait
    /// for conversations that may go on for days.
    fn insist(&self, command: Command) {
        let is_wanted_out = matches!(command, Command::Intend(intent) if !intent.is_enabled());
        if is_wanted_out && !self.intent().is_enabled() {
            self.generation.alarms.say(self.id, Farewell::Now);
        }
    }
}

pub(crate) async fn fail_over(
    State(sidecar): State<Arc<Sidecar>>,
    Path(pool): Path<String>,
    body: Body,
) -> Result<Response, HttpError> {
    let (to, terms) = command::of_failover(&order::body_of(body).await?)?;
    let generation = sidecar.state.generation();
    let id = api::pool_named(&generation.topology, &pool)?;
    let ordered = place(&sidecar, &pool, Target::FailOver(to), &terms).await?;
    // All traffic has moved when the order is answered.
    Ok(answer_of_pool(&generation, id, "pool.failover", &ordered, true))
}

pub(crate) async fn fail_back(
    State(sidecar): State<Arc<Sidecar>>,
    Extension(ahead): Extension<Ahead>,
    Path(pool): Path<String>,
    body: Body,
) -> Result<Response, HttpError> {
    let terms = command::of_failback(&order::body_of(body).await?)?;
    let mut generation = sidecar.state.generation();
    let mut id = api::pool_named(&generation.topology, &pool)?;
    let ordered = place(&sidecar, &pool, Target::FailBack, &terms).await?;
    ahead.note(&change_of_pool("pool.failback", &pool, &ordered));
    // Where nothing can take the traffic yet, it returns when something can.
    let kept = ordered.before.held.and_then(|tier| tier.checked_sub(1));
    let goal = ordered.before.returnable.or(kept);
    let until = terms.wait.map(|wait| Instant::now() + wait);
    let is_done = loop {
        let present = sidecar.state.generation();
        // One that is configured no more is told of as it was.
        let Some(found) = present.topology.pool_named(&pool) else { break false };
        (generation, id) = (present, found);
        if generation.snapshot.load().pool(id).active_tier.is_some_and(|it| Some(it) <= goal) {
            break true;
        }
        if until.is_none_or(|until| until <= Instant::now()) {
            break false;
        }
        sleep(LOOK_EVERY).await;
    };
    Ok(answer_of_pool(&generation, id, "pool.failback", &ordered, is_done))
}

fn answer_of_pool(
    generation: &Generation,
    id: PoolId,
    action: &'static str,
    ordered: &Ordered,
    is_done: bool,
) -> Response {
    let pool = wire::pool(generation, id);
    let change = change_of_pool(action, &pool.name, ordered);
    let schema = wire::SCHEMA;
    let answer = wire::PoolAnswer { schema, pool, is_done, persists: wire::PERSISTS };
    (change.noted(), Json(answer)).into_response()
}

fn change_of_pool(action: &'static str, pool: &str, ordered: &Ordered) -> Change {
    let (before, after) = (told(&ordered.before, None), told(&ordered.after, None));
    Change { action, target: pool.to_owned(), before, after }
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

/// Tells what became so far of an order about a backend of which operators now want `present`.
/// `is_waited` is whether somebody waits for what follows.
fn outcome(
    command: Command,
    present: Intent,
    backend: &wire::OrderedBackend,
    is_waited: bool,
) -> Outcome {
    let is_done = match command {
        Command::Intend(intent) if intent != present => return Outcome::Overtaken,
        Command::Intend(Intent::Enabled) => backend.is_eligible,
        Command::Intend(Intent::Draining | Intent::Disabled) => backend.in_flight == 0,
        Command::Readmit => backend.is_eligible || !is_waited,
        Command::Weigh(_) | Command::Eject(_) => true,
    };
    if is_done { Outcome::Done } else { Outcome::TimeIsUp }
}

fn find(generation: &Generation, pool: &str, name: &str) -> Result<BackendId, HttpError> {
    let pool = api::pool_named(&generation.topology, pool)?;
    Ok(BackendId { pool, index: fail::index_of(generation, pool, name)? })
}

fn action(command: Command) -> &'static str {
    match command {
        Command::Intend(Intent::Enabled) => "backend.enable",
        Command::Intend(Intent::Draining) => "backend.drain",
        Command::Intend(Intent::Disabled) => "backend.disable",
        Command::Weigh(_) => "backend.weight",
        Command::Eject(_) => "backend.eject",
        Command::Readmit => "backend.readmit",
    }
}

/// Returns what orders change, of a backend or of its pool. `about` is the backend's index, and its
/// tier unless it is configured no more.
fn told(pool: &PoolSnapshot, about: Option<(usize, Option<usize>)>) -> Value {
    match about.map(|(index, tier)| (&pool.backends[index], tier)) {
        Some((backend, tier)) => json!({
            "intent": backend.intent.name(),
            "weight": backend.weight,
            "condition": backend.condition.name(),
            "is_eligible": backend.is_eligible(),
            "is_active": tier.map(|tier| backend.is_eligible() && 0.0 < pool.part(tier)),
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
                _ => told(&present, index.map(|index| (index, tier_of(generation, order)))),
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

fn tier_of(generation: &Generation, order: &Order) -> Option<usize> {
    let Target::Backend(name, _) = &order.target else { return None };
    let id = find(generation, &order.pool, name).ok()?;
    Some(generation.topology.backend(id).tier)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fleet::Fleet, model::sample};

    #[test]
    fn whoever_waits_is_told_that_somebody_ordered_otherwise() {
        let topology = sample::topology(vec![sample::pool("api", &[(0, 1)])]);
        let (facts, _inbox) = tokio::sync::mpsc::channel(1);
        let generation = Generation::first(topology, facts).unwrap();
        let fleet = Fleet::new(Arc::clone(&generation.topology), clock::now());
        generation.snapshot.store(Arc::new(fleet.snapshot()));
        let id = BackendId { pool: PoolId(0), index: 0 };
        let mut backend = wire::backend(&generation, id);
        let drain = Command::Intend(Intent::Draining);
        assert_eq!(outcome(drain, Intent::Draining, &backend, true), Outcome::Done);
        assert_eq!(outcome(drain, Intent::Enabled, &backend, true), Outcome::Overtaken);
        assert_eq!(outcome(drain, Intent::Disabled, &backend, true), Outcome::Overtaken);
        backend.in_flight = 1;
        assert_eq!(outcome(drain, Intent::Draining, &backend, true), Outcome::TimeIsUp);
    }
}
