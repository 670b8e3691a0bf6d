//! Earlier generations that requests still hold: what they tell is translated, and they are told.

use std::sync::{Arc, Weak};

use crate::{
    exchange::Generation,
    fleet::Input,
    inbox::Fact,
    model::{SharedTopology, Succession, Topology},
    snapshot::Snapshot,
};

/// The generations before the current one, for as long as anybody holds them.
#[derive(Debug, Default)]
pub(crate) struct Predecessors(Vec<Predecessor>);

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
        self.0.push(Predecessor {
            number: before.number,
            generation: Arc::downgrade(before),
            topology: Arc::clone(&before.topology),
            heirs: Succession::default(),
        });
        for it in &mut self.0 {
            it.heirs = Succession::between(&it.topology, current);
        }
    }

    /// Forgets those that nobody holds any more.
    pub(crate) fn forget_the_finished(&mut self) {
        self.0.retain(|it| it.generation.strong_count() != 0);
    }

    /// Returns a fact in the words of the current generation; `None` if there are none for it.
    pub(crate) fn translate(&self, fact: Fact) -> Option<Input> {
        let teller = self.0.iter().find(|it| it.number == fact.generation)?;
        fact.input.renamed(&teller.heirs)
    }

    /// Shows what the fleet has decided.
    pub(crate) fn show(&self, present: &Snapshot) {
        for it in &self.0 {
            if let Some(generation) = it.generation.upgrade() {
                let last = generation.snapshot.load();
                let seen = present.in_retrospect(&it.topology, &it.heirs, &last);
                generation.snapshot.store(Arc::new(seen));
            }
        }
    }

    /// Has their queues look again.
    pub(crate) fn look_again(&self) {
        for generation in self.0.iter().filter_map(|it| it.generation.upgrade()) {
            generation.alarms.look_again();
        }
    }
}
