//! The answers about what operators order of backends and pools, and about injected faults.

use std::sync::atomic::Ordering::Relaxed;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    admin::wire::{FaultTerms, LastCheck, SCHEMA, health},
    clock::{self, Timestamp},
    exchange::Generation,
    model::{BackendId, PoolId},
    snapshot::{Condition, PoolSnapshot},
};

/// The answer to `GET /backends`.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Backends {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// Pool by pool, in the order of the configuration.
    pub backends: Vec<OrderedBackend>,
}

/// The answer to `GET /backends/{pool}/{name}`.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct OneBackend {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// The backend.
    pub backend: OrderedBackend,
}

/// One backend, as operators order it about.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct OrderedBackend {
    /// Its pool's name.
    pub pool: String,
    /// Unique in its pool.
    pub name: String,
    /// As configured.
    pub url: String,
    /// 0 is preferred.
    pub tier: usize,
    /// In relation to those of its tier, as last ordered.
    pub weight: u32,
    /// The same, as configured.
    pub configured_weight: u32,
    /// Which part of the pool's requests it gets at present, 0 to 1.
    pub share: f64,
    /// How it is: `up`, `failing`, `down`, `ejected` or `unknown`.
    pub condition: &'static str,
    /// What operators want of it: `enabled`, `draining` or `disabled`.
    pub intent: &'static str,
    /// Whether it may be picked.
    pub is_eligible: bool,
    /// Whether it is eligible and of a tier that gets traffic.
    pub is_active: bool,
    /// Attempts that have begun and not ended.
    pub in_flight: u64,
    /// The latest sign of trouble, until all is well again.
    pub trouble: Option<String>,
    /// Since when it is in this condition.
    pub since: String,
    /// When it may be picked again, if it is ejected.
    pub ejected_until: Option<String>,
    /// The latest health check.
    pub last_check: Option<LastCheck>,
}

/// The answer to an order about a backend.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct BackendAnswer {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// The backend, as it is now.
    pub backend: OrderedBackend,
    /// Whether what was ordered has come about: a drained backend has nothing in flight, one that
    /// shall serve is eligible.
    pub is_done: bool,
    /// What the order outlives.
    pub persists: Persists,
}

/// The answer to an order about a pool.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct PoolAnswer {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// The pool, as it is now.
    pub pool: OrderedPool,
    /// Whether all traffic is where it was ordered to go.
    pub is_done: bool,
    /// What the order outlives.
    pub persists: Persists,
}

/// One pool, as operators order it about.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct OrderedPool {
    /// Unique.
    pub name: String,
    /// The tier that serves; `null` when nothing can.
    pub active_tier: Option<usize>,
    /// The active tier's first eligible backend.
    pub active_backend: Option<String>,
    /// The tier that an operator moved the pool to, until traffic is asked back.
    pub held_tier: Option<usize>,
    /// The tier that a failback would return traffic to.
    pub returnable_tier: Option<usize>,
    /// Which part of the traffic each tier gets, 0 to 1, in order of preference.
    pub shares: Vec<f64>,
}

/// What an order outlives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Persists {
    /// A reload; unless its configuration changes the very weight that was ordered, or gives the backend
    /// another address: whoever serves there is another backend, of which nobody has ordered anything.
    pub reload: bool,
    /// An upgrade.
    pub upgrade: bool,
    /// A restart.
    pub restart: bool,
}

/// What all orders outlive: they live as long as what is known of the backends does.
pub const PERSISTS: Persists = Persists { reload: true, upgrade: true, restart: false };

/// The answer to `GET /faults`.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Faults {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// Those under way, in the order of the configuration.
    pub faults: Vec<FaultAt>,
}

/// A fault under way, and where.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct FaultAt {
    /// The pool's name.
    pub pool: String,
    /// The backend's name.
    pub backend: String,
    /// What goes wrong, and for whom.
    #[serde(flatten)]
    pub terms: FaultTerms,
    /// When it ends by itself.
    pub ends_at: String,
    /// How long until then.
    pub remaining_seconds: f64,
}

/// Returns every backend of a generation.
pub(crate) fn backends(generation: &Generation) -> Backends {
    let all = generation.topology.backend_ids().map(|id| backend(generation, id));
    Backends { schema: SCHEMA, backends: all.collect() }
}

/// Returns one backend of a generation.
pub(crate) fn backend(generation: &Generation, id: BackendId) -> OrderedBackend {
    let configured = generation.topology.backend(id);
    let snapshot = generation.snapshot.load();
    let (pool, found) = (snapshot.pool(id.pool), snapshot.backend(id));
    let is_eligible = found.is_eligible();
    let share = share(pool, configured.tier, id.index);
    OrderedBackend {
        pool: generation.topology.pool(id.pool).name.clone(),
        name: configured.name.clone(),
        url: configured.url.clone(),
        tier: configured.tier,
        weight: found.weight,
        configured_weight: configured.weight.get(),
        share: health::rounded(share),
        condition: found.condition.name(),
        intent: found.intent.name(),
        is_eligible,
        is_active: is_eligible && 0.0 < pool.part(configured.tier),
        in_flight: generation.live.backend(id).in_flight.load(Relaxed),
        trouble: found.trouble.map(|trouble| trouble.to_string()),
        since: clock::rfc3339_of(found.since),
        ejected_until: match found.condition {
            Condition::Ejected { until } => Some(clock::rfc3339_of(until)),
            Condition::Unknown
            | Condition::Healthy
            | Condition::Suspected
            | Condition::Unhealthy => None,
        },
        last_check: found.last_check.as_ref().map(health::last_check),
    }
}

/// Returns one pool of a generation.
pub(crate) fn pool(generation: &Generation, id: PoolId) -> OrderedPool {
    let configured = generation.topology.pool(id);
    let snapshot = generation.snapshot.load();
    let found = snapshot.pool(id);
    OrderedPool {
        name: configured.name.clone(),
        active_tier: found.active_tier,
        active_backend: found.active_backend().map(|at| configured.backends[at].name.clone()),
        held_tier: found.held,
        returnable_tier: found.returnable,
        shares: (0..configured.tier_count()).map(|it| health::rounded(found.part(it))).collect(),
    }
}

/// Returns the faults under way at `now`.
pub(crate) fn faults(generation: &Generation, now: Timestamp) -> Faults {
    let topology = &generation.topology;
    let under_way = topology.backend_ids().filter_map(|id| {
        let fault = generation.live.backend(id).fault(now)?;
        Some(FaultAt {
            pool: topology.pool(id.pool).name.clone(),
            backend: topology.backend(id).name.clone(),
            terms: FaultTerms::of(&fault),
            ends_at: clock::rfc3339_of(fault.ends_at),
            remaining_seconds: fault.ends_at.since(now).as_secs_f64(),
        })
    });
    Faults { schema: SCHEMA, faults: under_way.collect() }
}

/// Returns which part of the pool's requests a backend of this tier gets, by weight.
fn share(pool: &PoolSnapshot, tier: usize, index: usize) -> f64 {
    let Some(all) = pool.tiers.get(tier) else { return 0.0 };
    let trusted = all.trusted();
    let picks = if trusted.eligible.is_empty() { all } else { trusted };
    if !picks.eligible.contains(&index) {
        return 0.0;
    }
    // Weights and picks are published together; whoever has none is of no weight.
    let weight = |index: usize| pool.weights.get(index).map_or(0.0, |it| f64::from(*it));
    let total: f64 = picks.eligible.iter().map(|&index| weight(index)).sum();
    #[expect(clippy::cast_precision_loss, reason = "numbers of backends fit an f64")]
    let alone = 1.0 / picks.eligible.len() as f64;
    pool.part(tier) * if total == 0.0 { alone } else { weight(index) / total }
}
