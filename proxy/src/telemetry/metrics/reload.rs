//! What is counted of reloads of the configuration.

use prometheus::{Error, IntCounter, IntGauge};

use crate::{
    clock::{self, Timestamp},
    telemetry::metrics::{Metrics, family, table},
};

/// How a reload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadResult {
    /// What was read is in use.
    Applied,
    /// It is what was in use before.
    Unchanged,
    /// It cannot be used; what was in use before still is.
    Refused,
}

impl ReloadResult {
    /// The names used in the API, the log and the metrics, in the order of the variants.
    pub const NAMES: [&'static str; 3] = ["applied", "unchanged", "refused"];

    /// Returns the name used in the API, the log and the metrics.
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// What requests were given time for, and have outlasted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// A backend that is configured no more.
    Backend,
    /// The process.
    Process,
}

impl Drained {
    const NAMES: [&'static str; 2] = ["backend", "process"];
}

#[derive(Debug)]
pub(crate) struct ReloadHandles {
    was_successful: IntGauge,
    last: IntGauge,
    generation: IntGauge,
    /// Indexed by [`ReloadResult`].
    total: [IntCounter; 3],
    /// Indexed by [`Drained`].
    cut: [IntCounter; 2],
}

impl ReloadHandles {
    pub(crate) fn new(registry: &family::Registry) -> Result<Self, Error> {
        let single = |metric| {
            let family = family::gauges(registry, metric)?;
            Ok::<_, Error>(family.with_label_values::<&str>(&[]))
        };
        let handles = Self {
            was_successful: single(&table::RELOAD_SUCCESSFUL)?,
            last: single(&table::RELOAD_LAST)?,
            generation: single(&table::GENERATION)?,
            total: family::each(
                &family::counters(registry, &table::RELOADS)?,
                &[],
                ReloadResult::NAMES,
            ),
            cut: family::each(&family::counters(registry, &table::CUT)?, &[], Drained::NAMES),
        };
        handles.was_successful.set(1);
        handles.generation.set(1);
        Ok(handles)
    }
}

impl Metrics {
    /// Counts requests that were ended because they outlasted a drain.
    pub fn cut(&self, drained: Drained, count: u64) {
        self.families.reload.cut[drained as usize].inc_by(count);
    }

    /// Counts a reload that ended at `now`, and shows the generation that is in use since.
    pub fn reloaded(&self, result: ReloadResult, generation: u64, now: Timestamp) {
        let reload = &self.families.reload;
        reload.total[result as usize].inc();
        reload.was_successful.set(i64::from(result != ReloadResult::Refused));
        reload.last.set(i64::try_from(clock::wall_of(now).as_secs()).unwrap_or(i64::MAX));
        reload.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
    }
}
