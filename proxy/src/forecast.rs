//! What a topology promises before anything has failed: how soon failures are found, how long
//! clients may have to wait, what is rescued and what is not, and the traps it holds.
//!
//! All of it follows from the configuration alone. Times are bounds: they hold whenever the failure
//! comes, as long as the proxy itself is not held up. They count from the failure, leave out what
//! the network takes for an answer that comes at once, and come from the same rules that the fleet
//! follows: after a failed check the next ones come at the fast interval, or earlier.

use std::time::Duration;

mod detection;
mod json;
mod rescue;
mod text;
mod traps;

pub use detection::{Detection, Failure, Return, Verdict};
pub use rescue::{Case, Outcome, Rescue, Stall};
pub use traps::{Step, Trap, TrapKind};

use crate::model::{Destination, Pool, Topology};

/// What a topology promises.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// In the order of the configuration.
    pub pools: Vec<PoolForecast>,
    /// Those that lead to pools, in the order of the configuration.
    pub routes: Vec<RouteForecast>,
    /// What was probably not meant so.
    pub traps: Vec<Trap>,
}

/// What a pool promises, whoever asks.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolForecast {
    /// The pool's name.
    pub name: String,
    /// How many backends it has.
    pub backends: usize,
    /// In how many tiers.
    pub tiers: usize,
    /// How soon each kind of failure is found.
    pub detections: Vec<Detection>,
    /// How traffic comes back.
    pub comes_back: Return,
}

/// What a route promises of one of the pools that it leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteForecast {
    /// The route's name.
    pub name: String,
    /// The pool's name.
    pub pool: String,
    /// The longest that a client waits for an answer to begin.
    pub stall: Stall,
    /// What becomes of a request whose backend fails.
    pub rescues: Vec<Rescue>,
}

/// Works out what `topology` promises.
pub fn forecast(topology: &Topology) -> Forecast {
    let mut routes = Vec::new();
    for (index, route) in topology.routes.iter().enumerate() {
        for id in route.destination.pools() {
            let (pool, policy) = (topology.pool(id), topology.retries(Some(index), id));
            routes.push(RouteForecast {
                name: route.name.clone(),
                pool: pool.name.clone(),
                stall: rescue::stall(route, pool, policy),
                rescues: rescue::rescues(pool, policy),
            });
        }
    }
    Forecast {
        pools: topology.pools.iter().map(of_pool).collect(),
        routes,
        traps: traps::find(topology),
    }
}

fn of_pool(pool: &Pool) -> PoolForecast {
    PoolForecast {
        name: pool.name.clone(),
        backends: pool.backends.len(),
        tiers: pool.tier_count(),
        detections: detection::detections(pool),
        comes_back: detection::comes_back(pool),
    }
}

/// Returns the longest that `interval` becomes by chance.
fn stretched(interval: Duration, jitter: f64) -> Duration {
    interval.mul_f64(1.0 + jitter.clamp(0.0, 1.0))
}

/// Tells whether the destination has backends behind it.
fn leads_to_pools(destination: &Destination) -> bool {
    matches!(destination, Destination::Pool(_) | Destination::Split(_))
}

#[cfg(test)]
mod tests;
