//! From a file without mistakes to the limits that it describes.

use crate::{
    config::{
        file::limits::{Limits, RateKey, RateLimit},
        units::Name,
    },
    model,
};

/// Returns what the process lets in.
pub(crate) fn process_limits(limits: &Limits) -> model::ProcessLimits {
    model::ProcessLimits {
        max_requests: limits.max_requests,
        max_lag: limits.max_lag.map(|it| it.0),
    }
}

/// Returns how often a route may be asked.
pub(crate) fn rate_limit(limit: RateLimit) -> model::RateLimit {
    let key = match limit.key {
        Some(RateKey { header: Some(Name(header)), .. }) => {
            model::RateKey::Header(header.to_ascii_lowercase())
        }
        Some(RateKey { route: Some(true), .. }) => model::RateKey::Route,
        Some(RateKey { .. }) | None => model::RateKey::ClientAddress,
    };
    model::RateLimit {
        requests: limit.requests,
        per: limit.per.0,
        burst: limit.burst.unwrap_or(limit.requests),
        key,
    }
}
