//! Keeps the history up to date: what requests have counted, and the incidents.

use std::{collections::BTreeMap, env, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tracing::{info, warn};

use crate::{
    admin::{IncidentList, wire},
    clock::{self, Timestamp},
    control::Numbers,
    exchange::GenerationCell,
    history::{History, Place, Status, StoredIncident},
    incident::Incident,
    model,
    telemetry::metrics::HistoryTotals,
};

/// How often what is over is taken in. Whoever asks meanwhile has it taken in himself.
const EVERY: Duration = Duration::from_secs(1);
/// How often it is written; what a killed process loses.
const WRITE_EVERY: Duration = Duration::from_secs(10);
/// Longest wait for the file at the start. It is read and checked then, and incidents are numbered on
/// from it; if it takes longer, they are once it is there.
const OPENED_WITHIN: Duration = Duration::from_secs(5);
/// The file's name in a folder for state.
const FILE: &str = "history.redb";

/// Begins the history that is configured. `is_successor` says whether another process still has the
/// file; then it is not waited for.
pub(crate) fn begin(config: &model::History, is_successor: bool) -> Result<History> {
    let Some(place) = place(config, env::var_os("STATE_DIRECTORY").map(PathBuf::from)) else {
        info!(
            target: "bascule::history",
            "the history is in memory and ends with the process; `history.file` names a file for it"
        );
        return Ok(History::default());
    };
    let (history, opened) =
        History::on_disk(place).context("could not start the history's thread")?;
    if !is_successor && opened.recv_timeout(OPENED_WITHIN).is_err() {
        warn!(target: "bascule::history", "the history's file is not read yet; it is not waited for");
    }
    Ok(history)
}

/// Returns where the history is to be kept; `None` for in memory.
fn place(config: &model::History, state: Option<PathBuf>) -> Option<Place> {
    if !config.persist {
        return None;
    }
    let in_state = || {
        // systemd lists several, with colons between.
        let first = env::split_paths(state.as_ref()?).next()?;
        first.is_absolute().then(|| first.join(FILE))
    };
    let file = config.file.clone().or_else(in_state)?;
    Some(Place { file, bytes_max: config.max_size, days: config.days, again: Place::AGAIN })
}

/// Returns what the metrics show of how it fares.
pub(crate) fn totals(status: Status) -> HistoryTotals {
    let Status { is_stored, bytes, writes, dropped, failures } = status;
    HistoryTotals { is_stored, bytes, writes, dropped, failures }
}

/// What is to be kept of the past, and where it comes from.
#[derive(Clone)]
pub(crate) struct Keeper {
    pub(crate) history: History,
    pub(crate) current: GenerationCell,
    pub(crate) incidents: IncidentList,
    /// What incidents have been numbered up to in the file.
    pub(crate) numbers: watch::Sender<Numbers>,
}

impl Keeper {
    /// Takes in what comes about; never ends.
    pub(crate) async fn run(self) {
        let mut turns = interval(EVERY);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = Told::default();
        let mut written = clock::now();
        loop {
            turns.tick().await;
            let now = clock::now();
            let generation = self.current.load_full();
            self.history.sample(&generation.topology, &generation.live, now);
            if self.history.wants_incidents_again() {
                told = Told::default();
                self.numbers.send_replace(self.history.numbers());
            }
            let changed = told.changed(&self.incidents);
            if !changed.is_empty() || WRITE_EVERY <= now.since(written) {
                written = now;
                self.history.write(changed);
            }
        }
    }

    /// Writes all there is, and gives the file up.
    pub(crate) fn close(&self) {
        let generation = self.current.load_full();
        let incidents = Told::default().changed(&self.incidents);
        self.history.close(&generation.topology, &generation.live, incidents);
    }

    /// Returns the highest number that an incident of each pool has had.
    pub(crate) fn numbers(&self) -> Numbers {
        let mut numbers = self.history.numbers();
        for incident in self.incidents.load().iter() {
            let highest = numbers.entry(incident.pool.clone()).or_default();
            *highest = incident.number.max(*highest);
        }
        numbers
    }
}

/// The incidents as they were last given to the history.
#[derive(Default)]
struct Told {
    list: Option<Arc<Vec<Arc<Incident>>>>,
    each: BTreeMap<(String, u64), Arc<Incident>>,
}

impl Told {
    /// Returns those that are new, or another than before.
    fn changed(&mut self, incidents: &IncidentList) -> Vec<StoredIncident> {
        let list = incidents.load_full();
        if self.list.as_ref().is_some_and(|it| Arc::ptr_eq(it, &list)) {
            return Vec::new();
        }
        let each = list.iter().map(|it| ((it.pool.clone(), it.number), Arc::clone(it)));
        let before = std::mem::replace(&mut self.each, each.collect());
        self.list = Some(Arc::clone(&list));
        let is_new = |it: &&Arc<Incident>| {
            before.get(&(it.pool.clone(), it.number)).is_none_or(|before| before != *it)
        };
        list.iter().filter(is_new).filter_map(|it| stored(it)).collect()
    }
}

fn stored(incident: &Incident) -> Option<StoredIncident> {
    Some(StoredIncident {
        pool: incident.pool.clone(),
        number: incident.number,
        decided: millis_of(incident.moments.decided),
        // It always is.
        record: serde_json::to_vec(&wire::incident(incident)).ok()?,
    })
}

fn millis_of(at: Timestamp) -> u64 {
    clock::whole_millis(clock::wall_of(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_is_where_it_is_configured_or_with_the_state_or_nowhere() {
        let config = model::History::default();
        let file = |config: &model::History, state: Option<&str>| {
            place(config, state.map(PathBuf::from)).map(|it| it.file)
        };
        assert_eq!(file(&config, None), None);
        assert_eq!(file(&config, Some("relative")), None);
        let state = Some("/var/lib/bascule:/var/lib/other");
        assert_eq!(file(&config, state), Some("/var/lib/bascule/history.redb".into()));
        let elsewhere = model::History { file: Some("/data/h".into()), ..config };
        assert_eq!(file(&elsewhere, state), Some("/data/h".into()));
        assert_eq!(file(&model::History { persist: false, ..elsewhere }, state), None);
    }
}
