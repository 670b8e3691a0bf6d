//! `GET /series`: a pool's requests over time, for charts.
//!
//! Points are whole seconds of the wall clock, or whole tens or minutes, so that charts of several
//! pools, and of the dashboard and Grafana, share an axis. The timeline counts in slots of 100 ms since
//! the start of the process, so a second holds the ten slots that begin at or, by less than a slot,
//! before it.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    admin::wire::SCHEMA,
    history::{Span, Table},
    model,
};

/// Columns of equal length, oldest first. Where the proxy did not run, every column holds `null`.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Series {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// The pool's name.
    pub pool: String,
    /// From one point to the next: 1, 10 or 60.
    pub step_seconds: u64,
    /// The Unix time of the first point, a multiple of the step.
    pub start: u64,
    /// All that finished.
    pub requests: Vec<Option<u64>>,
    /// Ended in an error of the proxy's or a backend's making.
    pub lost: Vec<Option<u64>>,
    /// Answered well after a failed attempt.
    pub rescued: Vec<Option<u64>>,
    /// Median latency, of all requests of a point together; `null` without requests.
    pub p50_seconds: Vec<Option<f64>>,
    /// 99th percentile of latency, likewise.
    pub p99_seconds: Vec<Option<f64>>,
    /// Attempts answered, by backend: of those that are configured, and of those that were and answered
    /// any.
    pub backends: BTreeMap<String, Vec<Option<u64>>>,
}

/// Returns what is known of `pool`.
pub fn series(pool: &model::Pool, table: &Table) -> Series {
    let column = |value: fn(&Span) -> u64| -> Vec<Option<u64>> {
        table.points.iter().map(|point| point.as_ref().map(value)).collect()
    };
    let latency = |value: fn(&Span) -> Option<Duration>| -> Vec<Option<f64>> {
        let seconds =
            |point: &Option<Span>| point.as_ref().and_then(value).map(|it| it.as_secs_f64());
        table.points.iter().map(seconds).collect()
    };
    let configured = pool.backends.iter().map(|it| &it.name);
    let answers = |name: &String| {
        let counts = table.answers.get(name);
        let count = |index: usize| counts.map_or(0, |it| it[index]);
        let points = table.points.iter().enumerate();
        points.map(|(index, point)| point.as_ref().map(|_| count(index))).collect()
    };
    Series {
        schema: SCHEMA,
        pool: pool.name.clone(),
        step_seconds: table.grid.step,
        start: table.grid.start,
        requests: column(|it| it.requests),
        lost: column(|it| it.lost),
        rescued: column(|it| it.rescued),
        p50_seconds: latency(|it| it.p50),
        p99_seconds: latency(|it| it.p99),
        backends: configured
            .chain(table.answers.keys())
            .map(|name| (name.clone(), answers(name)))
            .collect(),
    }
}

#[cfg(test)]
mod tests;
