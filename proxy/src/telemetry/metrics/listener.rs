//! What is counted of requests, by listener and by where they went.

use std::sync::OnceLock;

use prometheus::{
    Error, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
};

use crate::telemetry::metrics::{
    family,
    label::{CODE_CLASSES, Origin},
    table,
};

#[derive(Debug)]
pub(crate) struct ListenerFamilies {
    requests: IntCounterVec,
    duration: HistogramVec,
    in_flight: IntGaugeVec,
    bytes_in: IntCounterVec,
    bytes_out: IntCounterVec,
}

impl ListenerFamilies {
    pub(crate) fn new(registry: &family::Registry) -> Result<Self, Error> {
        Ok(Self {
            requests: family::counters(registry, &table::REQUESTS)?,
            duration: family::histograms(registry, &table::REQUEST_DURATION)?,
            in_flight: family::gauges(registry, &table::REQUESTS_IN_FLIGHT)?,
            bytes_in: family::counters(registry, &table::REQUEST_BYTES)?,
            bytes_out: family::counters(registry, &table::RESPONSE_BYTES)?,
        })
    }
}

#[derive(Debug)]
pub(crate) struct ListenerHandles {
    pub(crate) in_flight: IntGauge,
    pub(crate) bytes_in: IntCounter,
    pub(crate) bytes_out: IntCounter,
    /// In the order of the pool labels.
    pub(crate) requests: Vec<RequestHandles>,
}

#[derive(Debug)]
pub(crate) struct RequestHandles {
    /// Indexed as [`CODE_CLASSES`].
    pub(crate) by_class: [IntCounter; 6],
    pub(crate) duration: Histogram,
}

impl ListenerHandles {
    pub(crate) fn new(families: &ListenerFamilies, listener: &str, pools: &[&str]) -> Self {
        let requests = pools.iter().map(|pool| RequestHandles {
            by_class: family::each(&families.requests, &[listener, pool], CODE_CLASSES),
            duration: families.duration.with_label_values(&[listener, pool]),
        });
        Self {
            in_flight: families.in_flight.with_label_values(&[listener]),
            bytes_in: families.bytes_in.with_label_values(&[listener]),
            bytes_out: families.bytes_out.with_label_values(&[listener]),
            requests: requests.collect(),
        }
    }
}

/// Statuses with a label value of their own; what a backend makes up beyond them shares one.
const CODES: usize = 500;
const CODE_FIRST: u16 = 100;

/// Counters of responses by status, for one pool label.
///
/// Five hundred series a pool would drown the ten that occur. So a counter is made when its
/// status first occurs, and reached by index from then on.
#[derive(Debug)]
pub(crate) struct ResponseHandles {
    family: IntCounterVec,
    pool: String,
    /// Indexed by [`Origin`], then by status; the last one is for all other statuses.
    cells: [Vec<OnceLock<IntCounter>>; 2],
}

impl ResponseHandles {
    pub(crate) fn new(family: &IntCounterVec, pool: &str) -> Self {
        let cells = || (0..=CODES).map(|_| OnceLock::new()).collect();
        Self { family: family.clone(), pool: pool.to_owned(), cells: [cells(), cells()] }
    }

    /// Returns the counter of `status`.
    pub(crate) fn get(&self, status: u16, origin: Origin) -> &IntCounter {
        let known = status.checked_sub(CODE_FIRST).map(usize::from).filter(|&it| it < CODES);
        self.cells[origin as usize][known.unwrap_or(CODES)].get_or_init(|| {
            let code = known.map_or_else(|| "other".to_owned(), |_| status.to_string());
            self.family.with_label_values(&[
                self.pool.as_str(),
                &code,
                Origin::NAMES[origin as usize],
            ])
        })
    }
}
