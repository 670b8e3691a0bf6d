//! What is counted by route: where there is a rate limit, what it turned away.

use prometheus::{Error, IntCounter, IntCounterVec};

use crate::telemetry::metrics::{family, table};

#[derive(Debug)]
pub(crate) struct RouteFamilies {
    limited: IntCounterVec,
    forgotten: IntCounterVec,
}

impl RouteFamilies {
    pub(crate) fn new(registry: &family::Registry) -> Result<Self, Error> {
        Ok(Self {
            limited: family::counters(registry, &table::RATE_LIMITED)?,
            forgotten: family::counters(registry, &table::RATE_FORGOTTEN)?,
        })
    }
}

#[derive(Debug)]
pub(crate) struct RouteHandles {
    pub(crate) limited: IntCounter,
    pub(crate) forgotten: IntCounter,
}

impl RouteHandles {
    pub(crate) fn new(families: &RouteFamilies, route: &str) -> Self {
        Self {
            limited: families.limited.with_label_values(&[route]),
            forgotten: families.forgotten.with_label_values(&[route]),
        }
    }
}
