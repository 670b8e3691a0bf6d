//! Numbers of a proxy at one moment, and what lies between two of them. Pure.

use std::collections::BTreeMap;

use crate::cli::{
    answers::{Backend, Health},
    top::exposition::Histogram,
};

/// Everything that was seen at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// In seconds, on the sidecar's clock, from some moment on.
    pub(crate) at: f64,
    pub(crate) health: Health,
    /// Times of attempts, by pool and backend.
    pub(crate) times: BTreeMap<(String, String), Histogram>,
}

/// One backend between two samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) pool: String,
    pub(crate) backend: Backend,
    pub(crate) requests_per_second: f64,
    pub(crate) failures_per_second: f64,
    /// `None` without requests.
    pub(crate) p50_seconds: Option<f64>,
    pub(crate) p99_seconds: Option<f64>,
}

/// Returns a row for each backend of `last`, in the order of the configuration.
///
/// Without a `first`, or where it is from another process, rates and times are empty.
pub(crate) fn rows(first: Option<&Sample>, last: &Sample) -> Vec<Row> {
    let first = first.filter(|first| first.health.started_at == last.health.started_at);
    let mut rows = Vec::new();
    for pool in &last.health.pools {
        for backend in &pool.backends {
            let before = first.and_then(|first| {
                let pool = first.health.pools.iter().find(|it| it.name == pool.name)?;
                pool.backends.iter().find(|it| it.name == backend.name)
            });
            let seconds = first.map_or(0.0, |first| last.at - first.at);
            // A counter that went back belongs to a backend that was removed and added again.
            let per_second = |of: fn(&Backend) -> u64| match before {
                Some(before) if 0.0 < seconds => {
                    per(of(backend).saturating_sub(of(before)), seconds)
                }
                Some(_) | None => 0.0,
            };
            let key = (pool.name.clone(), backend.name.clone());
            let none = Histogram::default();
            let times = last.times.get(&key).map(|times| {
                times.since(first.and_then(|first| first.times.get(&key)).unwrap_or(&none))
            });
            let times = times.filter(|_| before.is_some());
            rows.push(Row {
                pool: pool.name.clone(),
                backend: backend.clone(),
                requests_per_second: per_second(|it| it.requests),
                failures_per_second: per_second(|it| it.failures),
                p50_seconds: times.as_ref().and_then(|times| times.quantile(0.5)),
                p99_seconds: times.as_ref().and_then(|times| times.quantile(0.99)),
            });
        }
    }
    rows
}

fn per(count: u64, seconds: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts between two looks fit an f64")]
    let count = count as f64;
    count / seconds
}

/// What rows are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Sort {
    /// As configured
    #[default]
    Order,
    /// By name
    Name,
    /// Most requests first
    Rate,
    /// Most failures first
    Errors,
    /// Highest median first
    P50,
    /// Highest 99th percentile first
    P99,
    /// Most in flight first
    InFlight,
    /// What is in trouble first
    Condition,
}

impl Sort {
    /// The key that sorts so, and what the screen calls it.
    pub(crate) const KEYS: [(char, Self, &str); 8] = [
        ('o', Self::Order, "order"),
        ('n', Self::Name, "name"),
        ('r', Self::Rate, "req/s"),
        ('e', Self::Errors, "err"),
        ('5', Self::P50, "p50"),
        ('9', Self::P99, "p99"),
        ('i', Self::InFlight, "flight"),
        ('c', Self::Condition, "cond"),
    ];

    /// Sorts `rows`; among equals the order of the configuration holds.
    pub(crate) fn sort(self, rows: &mut [Row]) {
        let falling = |rows: &mut [Row], of: fn(&Row) -> f64| {
            rows.sort_by(|left, right| of(right).total_cmp(&of(left)));
        };
        match self {
            Self::Order => {}
            Self::Name => rows.sort_by(|left, right| {
                (&left.pool, &left.backend.name).cmp(&(&right.pool, &right.backend.name))
            }),
            Self::Rate => falling(rows, |row| row.requests_per_second),
            Self::Errors => falling(rows, |row| row.failures_per_second),
            Self::P50 => falling(rows, |row| row.p50_seconds.unwrap_or(-1.0)),
            Self::P99 => falling(rows, |row| row.p99_seconds.unwrap_or(-1.0)),
            Self::InFlight => rows.sort_by_key(|row| std::cmp::Reverse(row.backend.in_flight)),
            Self::Condition => rows.sort_by_key(|row| gravity(&row.backend)),
        }
    }
}

/// Lower is worse.
fn gravity(backend: &Backend) -> u8 {
    match backend.state.as_str() {
        "down" => 0,
        "ejected" => 1,
        "failing" => 2,
        "unknown" => 3,
        _ if backend.intent.as_deref().is_some_and(|intent| intent != "enabled") => 4,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::answers::Pool;

    fn sample(at: f64, started_at: &str, backends: &[(&str, &str, u64, u64)]) -> Sample {
        let backend = |(name, state, requests, failures): &(&str, &str, u64, u64)| Backend {
            name: (*name).to_owned(),
            state: (*state).to_owned(),
            requests: *requests,
            failures: *failures,
            ..Backend::default()
        };
        let pool = Pool {
            name: "api".to_owned(),
            backends: backends.iter().map(backend).collect(),
            ..Pool::default()
        };
        let health =
            Health { started_at: started_at.to_owned(), pools: vec![pool], ..Health::default() };
        Sample { at, health, times: BTreeMap::new() }
    }

    #[test]
    fn rates_are_what_was_counted_in_between() {
        let first = sample(10.0, "x", &[("a", "up", 100, 5)]);
        let last = sample(12.0, "x", &[("a", "up", 140, 6), ("new", "up", 7, 0)]);
        let rows = rows(Some(&first), &last);
        assert_eq!((rows[0].requests_per_second, rows[0].failures_per_second), (20.0, 0.5));
        // Added meanwhile: nobody knows since when it counts.
        assert_eq!(rows[1].requests_per_second, 0.0);
    }

    #[test]
    fn another_process_counts_anew() {
        let first = sample(10.0, "x", &[("a", "up", 100, 5)]);
        let last = sample(12.0, "y", &[("a", "up", 140, 6)]);
        assert_eq!(rows(Some(&first), &last)[0].requests_per_second, 0.0);
    }

    #[test]
    fn rows_are_sorted_by_what_is_asked_and_stay_in_order_otherwise() {
        let sample =
            sample(0.0, "x", &[("b", "up", 0, 0), ("a", "down", 0, 0), ("c", "failing", 0, 0)]);
        let sorted = |sort: Sort| {
            let mut rows = rows(None, &sample);
            rows[2].requests_per_second = 3.0;
            sort.sort(&mut rows);
            rows.iter().map(|row| row.backend.name.clone()).collect::<String>()
        };
        assert_eq!(sorted(Sort::Order), "bac");
        assert_eq!(sorted(Sort::Name), "abc");
        assert_eq!(sorted(Sort::Rate), "cba");
        assert_eq!(sorted(Sort::P99), "bac");
        assert_eq!(sorted(Sort::Condition), "acb");
    }
}
