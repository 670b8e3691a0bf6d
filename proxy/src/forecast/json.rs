//! A forecast for programs. Times are as in the configuration.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    forecast::{Detection, Forecast, PoolForecast, RouteForecast, Verdict},
    units::write_length,
};

impl Forecast {
    /// Returns everything but the traps.
    pub fn json(&self) -> Value {
        json!({
            "pools": self.pools.iter().map(pool).collect::<Vec<_>>(),
            "routes": self.routes.iter().map(route).collect::<Vec<_>>(),
        })
    }
}

fn pool(pool: &PoolForecast) -> Value {
    let comes_back = pool.comes_back;
    let failback = comes_back.failback.map(|it| {
        json!({
            "is_manual": it.is_manual,
            "after": time(it.after),
            "max_after": time(it.after_max),
            "ramp": time(it.ramp),
        })
    });
    json!({
        "name": pool.name,
        "backends": pool.backends,
        "tiers": pool.tiers,
        "detection": pool.detections.iter().map(detection).collect::<Vec<_>>(),
        "eligible_again": time(comes_back.eligible),
        "slow_start": time(comes_back.slow_start),
        "failback": failback,
    })
}

fn detection(detection: &Detection) -> Value {
    let (lost_within, lost_after_attempts) = match detection.verdict {
        Verdict::Checks(within) => (Some(time(within)), None),
        Verdict::Attempts(count) => (None, Some(count)),
        Verdict::Never => (None, None),
    };
    json!({
        "failure": detection.failure.word(),
        "by_checks": detection.by_checks.map(time),
        "with_traffic": time(detection.with_traffic),
        "lost_within": lost_within,
        "lost_after_attempts": lost_after_attempts,
    })
}

fn route(route: &RouteForecast) -> Value {
    let rescues = route
        .rescues
        .iter()
        .map(|it| json!({ "case": it.case.word(), "outcome": it.outcome.word(), "note": it.note }));
    json!({
        "name": route.name,
        "pool": route.pool,
        "stall": {
            "at_most": time(route.stall.at_most),
            "one_backend_hangs": route.stall.one_hangs.map(time),
            "hedged_from": route.stall.hedged_from.map(time),
            "between_pieces": time(route.stall.between_pieces),
        },
        "rescues": rescues.collect::<Vec<_>>(),
    })
}

fn time(length: Duration) -> String {
    write_length(length)
}
