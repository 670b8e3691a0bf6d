//! The service manager (systemd): it is told how this process is, and watches whether it still is.
//!
//! By the protocol of sd_notify(3), over the socket that `NOTIFY_SOCKET` names. Without one, nobody
//! is told anything and all of this does nothing.

use std::{sync::Arc, time::Duration};

use sd_notify::NotifyState;
use tokio::time::{Instant, sleep_until};

use crate::{clock, exchange::GenerationCell, model::Topology, pulse::Pulse, snapshot::Snapshot};

/// How often the status is looked at.
const STATUS: Duration = Duration::from_secs(1);
/// Pools that the status names. It is one line for people.
const POOLS: usize = 4;

/// Whoever has started this process and watches over it.
pub(crate) struct Notifier {
    /// How often it wants to hear that the process lives.
    watchdog: Option<Duration>,
    /// Beats of those without whom the process does nothing.
    pulses: Vec<Arc<Pulse>>,
    current: GenerationCell,
    said: String,
    next: Instant,
}

impl Notifier {
    pub(crate) fn new(current: GenerationCell, pulses: Vec<Arc<Pulse>>) -> Self {
        let watchdog = sd_notify::watchdog_enabled();
        let next = clock::instant_of(clock::now()).into();
        Self { watchdog, pulses, current, said: String::new(), next }
    }

    /// Clients are accepted, and every backend has been checked.
    pub(crate) fn ready(&mut self) {
        self.said = self.status();
        tell(&[NotifyState::Ready, NotifyState::Status(&self.said)]);
    }

    /// The process is about to end.
    pub(crate) fn stopping(&self) {
        tell(&[NotifyState::Stopping, NotifyState::Status("finishing what is in flight")]);
    }

    /// Another process is the service from here on.
    pub(crate) fn succeeded_by(&self, pid: u32) {
        tell(&[NotifyState::MainPid(pid)]);
    }

    /// Waits until it is time again, then says how the process is. Never needed to be polled for long:
    /// it may be dropped and called anew at any time.
    pub(crate) async fn look_after(&mut self) {
        sleep_until(self.next).await;
        let interval = self.watchdog.map_or(STATUS, |it| STATUS.min(it / 2));
        self.next += interval;
        let now = clock::now();
        // Half of what is granted: a beat that is older than that is missing.
        let is_well = |limit: Duration| self.pulses.iter().all(|it| it.age(now) < limit / 2);
        if self.watchdog.is_some_and(is_well) {
            tell(&[NotifyState::Watchdog]);
        }
        let status = self.status();
        if status != self.said {
            self.said = status;
            tell(&[NotifyState::Status(&self.said)]);
        }
    }

    fn status(&self) -> String {
        let generation = self.current.load();
        status(&generation.topology, &generation.snapshot.load())
    }
}

/// Another configuration is being loaded, until [`reloaded`].
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => {
            tracing::debug!(target: "bascule::app", %error, "the monotonic clock could not be read");
        }
    }
}

/// A configuration has been loaded, or the one before stays.
pub(crate) fn reloaded() {
    tell(&[NotifyState::Ready]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(target: "bascule::app", %error, "the service manager could not be told");
    }
}

/// Says in one line who serves.
fn status(topology: &Topology, snapshot: &Snapshot) -> String {
    let pools = topology.pools.iter().zip(&snapshot.pools).take(POOLS).map(|(pool, state)| {
        let served = state.active_backend().map(|index| pool.backends[index].name.as_str());
        let (name, tier) = (&pool.name, state.active_tier.filter(|it| *it != 0));
        match (served, tier) {
            (Some(backend), None) => format!("{name}: served by {backend}"),
            (Some(backend), Some(tier)) => {
                format!("{name}: failed over to {backend} (tier {tier})")
            }
            (None, _) => format!("{name}: no backend can serve"),
        }
    });
    let mut text = pools.collect::<Vec<_>>().join("; ");
    if POOLS < topology.pools.len() {
        text.push_str(&format!("; and {} pools more", topology.pools.len() - POOLS));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        fleet::{Fleet, Input},
        model::{BackendId, PoolId, sample},
    };

    #[test]
    fn the_status_says_who_serves() {
        let topology = Arc::new(sample::topology(vec![sample::pool("api", &[(0, 1), (1, 1)])]));
        let now = Timestamp::from_millis(1000);
        let mut fleet = Fleet::new(Arc::clone(&topology), now);
        let said = |fleet: &Fleet| status(&topology, &fleet.snapshot());
        assert_eq!(said(&fleet), "api: no backend can serve");
        for (index, failure) in [(0, None), (1, None)] {
            let backend = BackendId { pool: PoolId(0), index };
            let (took, recent) = (Duration::ZERO, crate::snapshot::Recent::default());
            fleet.handle(Input::Checked { backend, failure, took, recent }, now);
        }
        assert_eq!(said(&fleet), "api: served by b0");
    }
}
