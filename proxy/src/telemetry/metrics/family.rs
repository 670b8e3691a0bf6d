//! Families: metrics of the table, registered, from which handles are taken.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
};

use prometheus::{
    Error, Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts,
    core::Collector, proto::LabelPair,
};

use crate::telemetry::metrics::table::{Kind, Metric};

/// The labels of a series, by name.
pub(crate) type Labels<'l> = HashMap<&'l str, &'l str>;

/// What is scraped, and what can be taken out of it.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    scraped: prometheus::Registry,
    /// Locked when families are made, and to take series out.
    families: Mutex<Vec<Family>>,
}

/// Series that were of no use at one look, by hash: of two that share one, one goes sooner.
#[derive(Debug, Default)]
pub struct Marked(HashSet<u64>);

impl Marked {
    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn mark(family: usize, labels: &[LabelPair]) -> u64 {
    let mut hasher = DefaultHasher::new();
    family.hash(&mut hasher);
    for label in labels {
        (label.name(), label.value()).hash(&mut hasher);
    }
    hasher.finish()
}

#[derive(Debug)]
enum Family {
    Counters(IntCounterVec),
    Gauges(IntGaugeVec),
    Histograms(HistogramVec),
}

impl Registry {
    /// Returns what is scraped.
    pub(crate) fn scraped(&self) -> &prometheus::Registry {
        &self.scraped
    }

    /// Takes out the series whose labels say that they are of no more use, if they did at the last look,
    /// too. Returns those that do since.
    pub(crate) fn sweep(&self, last: &Marked, is_useless: impl Fn(&Labels<'_>) -> bool) -> Marked {
        let mut marked = Marked::default();
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, family) in families.iter().enumerate() {
            for metric in family.collect().iter().flat_map(|it| it.get_metric()) {
                let labels = metric.get_label().iter();
                let labels: Labels<'_> = labels.map(|it| (it.name(), it.value())).collect();
                if !is_useless(&labels) {
                    continue;
                }
                let mark = mark(number, metric.get_label());
                if last.0.contains(&mark) {
                    // An error says that it is gone already.
                    _ = family.remove(&labels);
                } else {
                    marked.0.insert(mark);
                }
            }
        }
        marked
    }

    fn add<F: Collector + Clone + 'static>(
        &self,
        family: F,
        kind: impl FnOnce(F) -> Family,
    ) -> Result<F, Error> {
        self.scraped.register(Box::new(family.clone()))?;
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        families.push(kind(family.clone()));
        Ok(family)
    }
}

impl Family {
    fn collect(&self) -> Vec<prometheus::proto::MetricFamily> {
        match self {
            Self::Counters(family) => family.collect(),
            Self::Gauges(family) => family.collect(),
            Self::Histograms(family) => family.collect(),
        }
    }

    fn remove(&self, labels: &Labels<'_>) -> Result<(), Error> {
        match self {
            Self::Counters(family) => family.remove(labels),
            Self::Gauges(family) => family.remove(labels),
            Self::Histograms(family) => family.remove(labels),
        }
    }
}

pub(crate) fn counters(registry: &Registry, metric: &Metric) -> Result<IntCounterVec, Error> {
    let family = IntCounterVec::new(Opts::new(metric.name, metric.help), metric.labels)?;
    registry.add(family, Family::Counters)
}

pub(crate) fn gauges(registry: &Registry, metric: &Metric) -> Result<IntGaugeVec, Error> {
    let family = IntGaugeVec::new(Opts::new(metric.name, metric.help), metric.labels)?;
    registry.add(family, Family::Gauges)
}

pub(crate) fn histograms(registry: &Registry, metric: &Metric) -> Result<HistogramVec, Error> {
    let bounds = match metric.kind {
        Kind::Histogram(bounds) => bounds,
        Kind::Counter | Kind::Gauge => &[],
    };
    let opts = HistogramOpts::new(metric.name, metric.help).buckets(bounds.to_vec());
    registry.add(HistogramVec::new(opts, metric.labels)?, Family::Histograms)
}

/// Returns the gauge of a metric without labels whose values have fractions.
pub(crate) fn real_gauge(registry: &Registry, metric: &Metric) -> Result<Gauge, Error> {
    let gauge = Gauge::new(metric.name, metric.help)?;
    registry.scraped.register(Box::new(gauge.clone()))?;
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

/// Raises a counter to a total that is kept elsewhere, and that never falls.
pub(crate) fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

/// The value of a label or gauge that is a small number.
pub(crate) fn small(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
