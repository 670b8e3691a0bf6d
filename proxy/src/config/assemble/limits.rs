//! From a file without mistakes to the limits that it describes.

use crate::{
    config::{
        file::limits::{RateKey, RateLimit},
        units::Name,
    },
    model,
};

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
