//! What the sidecar refused, and what its audit file lacks.

use prometheus::{Error, IntCounter};

use crate::{
    access::REFUSALS,
    telemetry::metrics::{Metrics, family, table},
};

#[derive(Debug)]
pub(crate) struct SidecarHandles {
    audit_lost: IntCounter,
    /// Indexed as [`REFUSALS`].
    refused: [IntCounter; REFUSALS.len()],
}

impl SidecarHandles {
    pub(crate) fn new(registry: &family::Registry) -> Result<Self, Error> {
        let audit_lost = family::counters(registry, &table::AUDIT_LOST)?;
        Ok(Self {
            audit_lost: audit_lost.with_label_values::<&str>(&[]),
            refused: family::each(
                &family::counters(registry, &table::ADMIN_REFUSED)?,
                &[],
                REFUSALS,
            ),
        })
    }
}

impl Metrics {
    /// Shows totals: of changes that are not in the audit file, and of refusals, in the order of
    /// [`REFUSALS`]. Totals never fall, and only one thread shows them at a time.
    pub fn sidecar(&self, audit_lost: u64, refused: [u64; REFUSALS.len()]) {
        let handles = &self.families.sidecar;
        family::raise(&handles.audit_lost, audit_lost);
        for (counter, total) in handles.refused.iter().zip(refused) {
            family::raise(counter, total);
        }
    }
}
