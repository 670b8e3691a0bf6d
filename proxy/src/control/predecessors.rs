//! Earlier generations that requests still hold: what they tell is translated, and they are told.

use std::sync::{Arc, Weak};

use tracing::info;

use crate::{
    alarms::Parting,
    clock::Timestamp,
    exchange::Generation,
    fleet::Input,
    inbox::Fact,
    model::{SharedTopology, Succession, Topology},
    snapshot::Snapshot,
};

/// The generations before the current one, for as long as anybody holds them.
#[derive(Debug, Default)]
pub(crate) struct Predecessors {
    all: Vec<Predecessor>,
    /// Oldest first.
    partings: Vec<Partings>,
}

/// Backends that one reload has removed.
#[derive(Debug)]
struct Partings {
    /// When their conversations are to close within the grace; `None` once they have been told.
    soon: Option<Timestamp>,
    /// When what is left ends.
    end: Timestamp,
    backends: Vec<Parting>,
}

#[derive(Debug)]
struct Predecessor {
    number: u64,
    generation: Weak<Generation>,
    topology: SharedTopology,
    /// What of it goes on in the current generation.
    heirs: Succession,
}

impl Predecessors {
    /// Takes in that `before` has been followed by a generation of `current`.
    pub(crate) fn push(&mut self, before: &Arc<Generation>, current: &Topology) {
        self.forget_the_finished();
        self.all.push(Predecessor {
            number: before.number,
            generation: Arc::downgrade(before),
            topology: Arc::clone(&before.topology),
            heirs: Succession::default(),
        });
        for it in &mut self.all {
            it.heirs = Succession::between(&it.topology, current);
        }
    }

    /// Takes in that what is under way at those of `before` that are not in `current` is to end after
    /// `current`'s time for that.
    pub(crate) fn part(&mut self, before: &Generation, current: &Topology, now: Timestamp) {
        let heirs = Succession::between(&before.topology, current);
        let gone = before.topology.backend_ids().filter(|&id| heirs.backend(id).is_none());
        let backends: Vec<Parting> = gone.map(|id| before.alarms.parting(id)).collect();
        if backends.is_empty() {
            return;
        }
        let (drain, grace) = (current.reload.drain, current.shutdown.websocket_grace);
        let soon = Some(now + drain.saturating_sub(grace));
        self.partings.push(Partings { soon, end: now + drain, backends });
    }

    /// Returns when [`Predecessors::end_the_overdue`] must be called next.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.partings.iter().map(|it| it.soon.unwrap_or(it.end)).min()
    }

    /// Ends what has been under way for too long at backends that are configured no more.
    pub(crate) fn end_the_overdue(&mut self, now: Timestamp) {
        for it in &mut self.partings {
            if it.soon.take_if(|soon| *soon <= now).is_some() {
                it.backends.iter().for_each(Parting::say_soon);
            }
        }
        self.partings.retain(|it| {
            let is_due = it.end <= now;
            if is_due {
                // Counted and said first: who is told stops listening at once.
                let backends = it.backends.iter().filter(|it| it.is_heard()).count();
                if backends != 0 {
                    info!(
                        target: "bascule::config", backends,
                        "what is still under way at backends that are configured no more is ended"
                    );
                }
                Parting::end_all(&it.backends);
            }
            !is_due
        });
    }

    /// Forgets those that nobody holds any more.
    pub(crate) fn forget_the_finished(&mut self) {
        self.all.retain(|it| it.generation.strong_count() != 0);
        for it in &mut self.partings {
            it.backends.retain(Parting::is_heard);
        }
        self.partings.retain(|it| !it.backends.is_empty());
    }

    /// Returns a fact in the words of the current generation; `None` if there are none for it.
    pub(crate) fn translate(&self, fact: Fact) -> Option<Input> {
        let teller = self.all.iter().find(|it| it.number == fact.generation)?;
        fact.input.renamed(&teller.heirs)
    }

    /// Shows what the fleet has decided.
    pub(crate) fn show(&self, present: &Snapshot) {
        for it in &self.all {
            if let Some(generation) = it.generation.upgrade() {
                let last = generation.snapshot.load();
                let seen = present.in_retrospect(&it.topology, &it.heirs, &last);
                generation.snapshot.store(Arc::new(seen));
            }
        }
    }

    /// Has their queues look again.
    pub(crate) fn look_again(&self) {
        for generation in self.all.iter().filter_map(|it| it.generation.upgrade()) {
            generation.alarms.look_again();
        }
    }
}
