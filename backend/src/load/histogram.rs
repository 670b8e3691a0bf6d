//! A histogram of durations in fixed memory, exact to better than one percent.
//!
//! Each power of two of microseconds is split into [`STEPS`] buckets of equal width, so the width
//! of a bucket is always below 1/128 of its value.

use std::time::Duration;

const STEP_BITS: u32 = 7;
const STEPS: u64 = 1 << STEP_BITS;

/// Up to 2^36 µs, about 19 hours.
const BUCKETS: usize = (36 - STEP_BITS as usize) * STEPS as usize;

#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: Duration,
}

impl Histogram {
    pub(crate) fn new() -> Histogram {
        Histogram { buckets: vec![0; BUCKETS], count: 0, max: Duration::ZERO }
    }

    pub(crate) fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.buckets[index(micros).min(BUCKETS - 1)] += 1;
        self.count += 1;
        self.max = self.max.max(duration);
    }

    /// The duration that a share of `quantile` (0 to 1) do not exceed; `None` without any.
    pub(crate) fn quantile(&self, quantile: f64) -> Option<Duration> {
        let rank = ((self.count as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if rank <= seen {
                return Some(Duration::from_micros(upper_bound(index)).min(self.max));
            }
        }
        None
    }

    /// The longest, exact; `None` without any.
    pub(crate) fn max(&self) -> Option<Duration> {
        (0 < self.count).then_some(self.max)
    }
}

fn index(micros: u64) -> usize {
    let shift = (u64::BITS - micros.leading_zeros()).saturating_sub(STEP_BITS + 1);
    (u64::from(shift) * STEPS + (micros >> shift)) as usize
}

/// The largest value in the bucket.
fn upper_bound(index: usize) -> u64 {
    let shift = (index as u64 / STEPS).saturating_sub(1);
    let step = index as u64 - shift * STEPS;
    ((step + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_within_one_percent() {
        let mut micros = 0;
        while micros < 1 << 35 {
            let index = index(micros);
            let (upper, lower) = (upper_bound(index), index.checked_sub(1).map(upper_bound));
            assert!(micros <= upper && lower.is_none_or(|lower| lower < micros), "{micros}");
            assert!((upper - micros) * 100 <= micros, "{micros} is shown as {upper}");
            micros += 1 + micros / 97;
        }
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut histogram = Histogram::new();
        assert_eq!((histogram.quantile(0.5), histogram.max()), (None, None));
        for millis in 1..=100 {
            histogram.record(Duration::from_millis(millis));
        }
        for (quantile, millis) in [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
            let found = histogram.quantile(quantile).map_or(0.0, |it| it.as_secs_f64() * 1e3);
            assert!((found / millis - 1.0).abs() < 0.01, "{quantile}: {found}");
        }
        assert_eq!(histogram.max(), Some(Duration::from_millis(100)));
    }

    #[test]
    fn absurd_durations_do_no_harm() {
        let mut histogram = Histogram::new();
        histogram.record(Duration::MAX);
        assert!(histogram.quantile(0.5).is_some());
    }
}
