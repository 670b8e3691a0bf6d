//! Histograms out of `/metrics`, as far as a quantile needs them. Pure.

use std::collections::BTreeMap;

/// How many of what was measured did not exceed each bound.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Histogram {
    /// Bounds, rising, each with all that was measured up to it; the last bound is infinite.
    buckets: Vec<(f64, f64)>,
}

impl Histogram {
    /// Returns what was measured after `earlier`. Counts that went back were reset.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        if earlier.buckets.len() != self.buckets.len() {
            return self.clone();
        }
        let pairs = self.buckets.iter().zip(&earlier.buckets);
        Self { buckets: pairs.map(|(now, then)| (now.0, (now.1 - then.1).max(0.0))).collect() }
    }

    /// Returns the value that the share `q` of what was measured does not exceed: within a bucket,
    /// values are taken to be spread evenly, as Prometheus does. `None` if nothing was measured.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        let total = self.buckets.last()?.1;
        if total <= 0.0 {
            return None;
        }
        let rank = q * total;
        let mut below = (0.0, 0.0);
        for &(bound, count) in &self.buckets {
            if rank <= count {
                // Beyond the last finite bound nothing is known but that.
                let is_known = bound.is_finite() && below.1 < count;
                let part = if is_known { (rank - below.1) / (count - below.1) } else { 0.0 };
                let upper = if is_known { bound } else { below.0 };
                return Some(below.0 + (upper - below.0) * part);
            }
            below = (bound, count);
        }
        None
    }
}

/// Returns the histograms called `name`, by pool and backend.
pub(crate) fn histograms(text: &str, name: &str) -> BTreeMap<(String, String), Histogram> {
    let mut found: BTreeMap<(String, String), Histogram> = BTreeMap::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix(name).and_then(|rest| rest.strip_prefix("_bucket{"))
        else {
            continue;
        };
        let Some((labels, value)) = rest.rsplit_once("} ") else { continue };
        let label = |key: &str| {
            let labels = labels.split(',').filter_map(|label| label.split_once('='));
            labels.filter(|(it, _)| *it == key).map(|(_, value)| value.trim_matches('"')).next()
        };
        let (Some(pool), Some(backend), Some(bound), Ok(count)) =
            (label("pool"), label("backend"), label("le"), value.trim().parse())
        else {
            continue;
        };
        let bound = if bound == "+Inf" { Some(f64::INFINITY) } else { bound.parse().ok() };
        let Some(bound) = bound else { continue };
        let histogram = found.entry((pool.to_owned(), backend.to_owned())).or_default();
        histogram.buckets.push((bound, count));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP x_seconds Time.
x_seconds_bucket{backend=\"a\",pool=\"api\",le=\"0.1\"} 50
x_seconds_bucket{backend=\"a\",pool=\"api\",le=\"0.2\"} 100
x_seconds_bucket{backend=\"a\",pool=\"api\",le=\"+Inf\"} 100
x_seconds_sum{backend=\"a\",pool=\"api\"} 9
y_seconds_bucket{backend=\"a\",pool=\"api\",le=\"+Inf\"} 7
x_seconds_bucket{broken
";

    fn histogram() -> Histogram {
        let found = histograms(TEXT, "x_seconds");
        assert_eq!(found.len(), 1);
        found[&("api".to_owned(), "a".to_owned())].clone()
    }

    #[test]
    fn a_quantile_lies_within_its_bucket() {
        let histogram = histogram();
        assert_eq!(histogram.quantile(0.5), Some(0.1));
        let third = histogram.quantile(0.75).unwrap();
        assert!((third - 0.15).abs() < 1e-9, "{third}");
        assert_eq!(histogram.quantile(0.25), Some(0.05));
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn what_was_measured_before_does_not_count() {
        let (all, mut later) = (histogram(), histogram());
        assert_eq!(all.since(&all).quantile(0.5), None);
        later.buckets[1].1 += 10.0;
        later.buckets[2].1 += 20.0;
        let between = later.since(&all);
        let middle = between.quantile(0.25).unwrap();
        assert!((middle - 0.15).abs() < 1e-9, "{middle}");
        // Slower than every bound: only that is known.
        assert_eq!(between.quantile(0.99), Some(0.2));
    }
}
