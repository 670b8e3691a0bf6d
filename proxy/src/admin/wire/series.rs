//! `GET /series`: a pool's requests, second by second, for charts.
//!
//! Points are whole seconds of the wall clock, so that charts of several pools, and of the
//! dashboard and Grafana, share an axis. The timeline counts in slots of 100 ms since the start of
//! the process, so a point holds the ten slots that begin at or, by less than a slot, before its
//! second.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    admin::wire::SCHEMA,
    clock::{self, Timestamp},
    model,
    snapshot::Timeline,
};

const STEP: Duration = Duration::from_secs(1);

/// Columns of equal length, oldest first.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Series {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// The pool's name.
    pub pool: String,
    /// From one point to the next.
    pub step_seconds: u32,
    /// The Unix time of the first point.
    pub start: u64,
    /// All that finished.
    pub requests: Vec<u64>,
    /// Ended in an error of the proxy's or a backend's making.
    pub lost: Vec<u64>,
    /// Answered well after a failed attempt.
    pub rescued: Vec<u64>,
    /// Median latency; `null` without requests.
    pub p50_seconds: Vec<Option<f64>>,
    /// 99th percentile of latency; `null` without requests.
    pub p99_seconds: Vec<Option<f64>>,
    /// Attempts answered, by backend.
    pub backends: BTreeMap<String, Vec<u64>>,
}

/// Returns the last `seconds` whole seconds before `now`.
///
/// Fewer when `seconds` is more than the timeline reaches back, or than the process is old. The
/// second under way is left out: half a second's requests would look like a drop.
pub fn series(
    pool: &model::Pool,
    timeline: &Timeline,
    seconds: usize,
    started_at: Timestamp,
    now: Timestamp,
) -> Series {
    let into_second = Duration::from_nanos(u64::from(clock::wall_of(now).subsec_nanos()));
    let end = now.minus(into_second);
    let reach = Timeline::reach().saturating_sub(into_second).as_secs();
    let age = end.since(started_at).as_secs();
    let points = u64::try_from(seconds).unwrap_or(u64::MAX).min(reach).min(age);
    let start = end.minus(Duration::from_secs(points));
    let mut series = Series {
        schema: SCHEMA,
        pool: pool.name.clone(),
        step_seconds: 1,
        start: clock::wall_of(end).as_secs() - points,
        requests: Vec::new(),
        lost: Vec::new(),
        rescued: Vec::new(),
        p50_seconds: Vec::new(),
        p99_seconds: Vec::new(),
        backends: BTreeMap::new(),
    };
    let mut columns = vec![Vec::new(); pool.backends.len()];
    for point in 0..points {
        let from = start + Duration::from_secs(point);
        let to = from + STEP;
        let counts = timeline.window(from, to, now);
        series.requests.push(counts.requests);
        series.lost.push(counts.lost);
        series.rescued.push(counts.rescued());
        series.p50_seconds.push(counts.latencies.quantile(0.5));
        series.p99_seconds.push(counts.latencies.quantile(0.99));
        for (index, column) in columns.iter_mut().enumerate() {
            column.push(timeline.answers(from, to, now, index));
        }
    }
    let names = pool.backends.iter().map(|backend| backend.name.clone());
    series.backends = names.zip(columns).collect();
    series
}

#[cfg(test)]
mod tests;
