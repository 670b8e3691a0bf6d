//! The checkers of all backends: one for each, which goes on when another configuration has the same
//! backend, and ends when none has.

use std::{collections::HashMap, sync::Arc};

use tokio::{sync::watch, task::JoinSet};

use crate::{
    control::checker::{Checker, Task},
    exchange::Generation,
    fleet::Pace,
    model::{BackendId, Succession},
};

/// Who checks whom.
#[derive(Debug, Default)]
pub(crate) struct Checkers {
    tasks: HashMap<BackendId, watch::Sender<Task>>,
    running: JoinSet<()>,
}

impl Checkers {
    /// Assigns the backends of a generation. Those that go on, as `heirs` says, keep their checker and
    /// its pace; the others get one that begins at once. To be called in a runtime.
    pub(crate) fn assign(&mut self, generation: &Arc<Generation>, heirs: &Succession) {
        let mut kept: HashMap<BackendId, watch::Sender<Task>> = self
            .tasks
            .drain()
            .filter_map(|(id, tasks)| Some((heirs.backend(id)?, tasks)))
            .collect();
        for id in generation.topology.backend_ids() {
            let tasks = match kept.remove(&id) {
                Some(tasks) => {
                    tasks.send_modify(|task| {
                        (task.generation, task.id) = (Arc::clone(generation), id);
                    });
                    tasks
                }
                None => {
                    let generation = Arc::clone(generation);
                    let task = Task { generation, id, pace: Pace::Normal, resumed: 0 };
                    let (tasks, receiver) = watch::channel(task);
                    self.running.spawn(Checker::new(receiver).run());
                    tasks
                }
            };
            self.tasks.insert(id, tasks);
        }
    }

    /// Has a backend checked at this pace from now on.
    pub(crate) fn set_pace(&self, id: BackendId, pace: Pace) {
        if let Some(tasks) = self.tasks.get(&id) {
            tasks.send_modify(|task| {
                // Who is stopped and told to go on during one check sees only that, at its end.
                task.resumed += u64::from(task.pace == Pace::Never && pace != Pace::Never);
                task.pace = pace;
            });
        }
    }

    /// Takes note of those that have ended.
    pub(crate) fn bury(&mut self) {
        while self.running.try_join_next().is_some() {}
    }
}
