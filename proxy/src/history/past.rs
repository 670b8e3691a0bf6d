//! The incidents that are known, those of processes before this one included.

use std::{collections::BTreeMap, sync::Arc};

use crate::history::store::StoredIncident;

/// As many as can be asked for at once. The oldest go first.
const KEPT: usize = 1_000;

/// Incidents, by when they were decided.
#[derive(Debug, Default)]
pub(crate) struct Past {
    incidents: BTreeMap<(u64, String, u64), Arc<StoredIncident>>,
    /// The highest number in the file, by pool.
    pub(crate) numbers: BTreeMap<String, u64>,
}

impl Past {
    /// Takes in incidents, new or changed.
    pub(crate) fn extend(&mut self, incidents: impl IntoIterator<Item = StoredIncident>) {
        for it in incidents {
            self.incidents.insert((it.decided, it.pool.clone(), it.number), Arc::new(it));
        }
        self.forget_the_oldest();
    }

    /// Takes in what a file holds. What is known of the same incidents already is newer.
    pub(crate) fn inherit(
        &mut self,
        incidents: Vec<StoredIncident>,
        numbers: BTreeMap<String, u64>,
    ) {
        for it in incidents {
            let key = (it.decided, it.pool.clone(), it.number);
            self.incidents.entry(key).or_insert_with(|| Arc::new(it));
        }
        self.numbers = numbers;
        self.forget_the_oldest();
    }

    pub(crate) fn newest_first(&self) -> Vec<Arc<StoredIncident>> {
        self.incidents.values().rev().map(Arc::clone).collect()
    }

    fn forget_the_oldest(&mut self) {
        while KEPT < self.incidents.len() {
            self.incidents.pop_first();
        }
    }
}
