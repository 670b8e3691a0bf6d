//! The frames of `GET /feed`, and what has changed from one state to the next.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admin::wire::{Health, Incident, Pool, Series};

/// What the sidecar says.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FeedFrame {
    /// All there is. It replaces whatever was known.
    Snapshot {
        /// See [`SCHEMA`](crate::admin::wire::SCHEMA).
        schema: u32,
        /// The number of the change that it holds last. A reader that comes again says it.
        seq: u64,
        /// The whole state.
        health: Health,
        /// The latest incidents, newest first.
        incidents: Vec<Incident>,
    },
    /// What has changed since the frame of the number before.
    Change {
        /// One more than before.
        seq: u64,
        /// The state, of pools only those that changed, and of their backends only those that changed.
        health: Health,
        /// Those that are new or changed, newest first.
        incidents: Vec<Incident>,
    },
    /// Points of the pool that is watched: after a snapshot or `watch` all that were asked for, then
    /// those that have come.
    Series {
        /// The points.
        series: Series,
    },
}

/// What a reader says.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum FeedRequest {
    /// Watch another pool.
    Watch {
        /// Its name.
        pool: String,
        /// How many seconds of it are wanted to begin with, up to 900.
        seconds: u64,
    },
}

/// Returns what of `after` is another than in `before`; `None` if the two are not of the same pools and
/// backends, so that what has changed cannot be said.
pub fn changed(before: &Health, after: &Health) -> Option<Health> {
    let is_same = before.pools.len() == after.pools.len()
        && before.pools.iter().zip(&after.pools).all(|(before, after)| is_same(before, after));
    if !is_same || before.started_at != after.started_at {
        return None;
    }
    let pools = before.pools.iter().zip(&after.pools).filter(|(before, after)| before != after);
    let pools = pools.map(|(before, after)| {
        let backends = before.backends.iter().zip(&after.backends);
        let backends = backends.filter(|(before, after)| before != after);
        Pool { backends: backends.map(|(_, after)| after.clone()).collect(), ..after.clone() }
    });
    Some(Health { pools: pools.collect(), ..after.clone() })
}

fn is_same(before: &Pool, after: &Pool) -> bool {
    before.name == after.name
        && before.backends.len() == after.backends.len()
        && before.backends.iter().zip(&after.backends).all(|(before, after)| {
            (&before.name, &before.url, before.tier) == (&after.name, &after.url, after.tier)
        })
}
