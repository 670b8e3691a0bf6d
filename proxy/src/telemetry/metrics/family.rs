//! Families: metrics of the table, registered, from which handles are taken.

use prometheus::{
    Error, Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts,
    Registry,
};

use crate::telemetry::metrics::table::{Kind, Metric};

pub(crate) fn counters(registry: &Registry, metric: &Metric) -> Result<IntCounterVec, Error> {
    let family = IntCounterVec::new(Opts::new(metric.name, metric.help), metric.labels)?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

pub(crate) fn gauges(registry: &Registry, metric: &Metric) -> Result<IntGaugeVec, Error> {
    let family = IntGaugeVec::new(Opts::new(metric.name, metric.help), metric.labels)?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

pub(crate) fn histograms(registry: &Registry, metric: &Metric) -> Result<HistogramVec, Error> {
    let bounds = match metric.kind {
        Kind::Histogram(bounds) => bounds,
        Kind::Counter | Kind::Gauge => &[],
    };
    let opts = HistogramOpts::new(metric.name, metric.help).buckets(bounds.to_vec());
    let family = HistogramVec::new(opts, metric.labels)?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

/// Returns the gauge of a metric without labels whose values have fractions.
pub(crate) fn real_gauge(registry: &Registry, metric: &Metric) -> Result<Gauge, Error> {
    let gauge = Gauge::new(metric.name, metric.help)?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

/// Returns one counter, at zero, for each of `values` of the last label.
pub(crate) fn each<const N: usize>(
    family: &IntCounterVec,
    labels: &[&str],
    values: [&str; N],
) -> [IntCounter; N] {
    values.map(|value| family.with_label_values(&[labels, &[value]].concat()))
}

/// The value of a label or gauge that is a small number.
pub(crate) fn small(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
