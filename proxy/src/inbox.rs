//! The way to the fleet: facts, each in the words of the configuration under which it was learned.
//!
//! Pools and backends are named by their place in a topology, and requests that began before a
//! configuration was replaced go on to name them as they did. So a fact says of which generation it
//! is, and whoever owns the fleet translates.

use tokio::sync::mpsc::{self, error::TrySendError};

use crate::fleet::Input;

/// A fact on its way to the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The generation whose topology names what it is about.
    pub generation: u64,
    /// What is told.
    pub input: Input,
}

/// Where one generation's facts go in.
#[derive(Clone, Debug)]
pub struct Inbox {
    generation: u64,
    sender: mpsc::Sender<Fact>,
}

impl Inbox {
    /// Makes a way in for the facts of a generation.
    pub fn new(generation: u64, sender: mpsc::Sender<Fact>) -> Self {
        Self { generation, sender }
    }

    /// Returns the way in for the facts of another generation.
    #[must_use]
    pub fn of(&self, generation: u64) -> Self {
        Self { generation, sender: self.sender.clone() }
    }

    /// Tells the fleet, if there is room; never waits.
    ///
    /// # Errors
    /// When too many facts wait, or nobody takes them in any more.
    pub fn try_send(&self, input: Input) -> Result<(), TrySendError<Input>> {
        let fact = Fact { generation: self.generation, input };
        self.sender.try_send(fact).map_err(|error| match error {
            TrySendError::Full(fact) => TrySendError::Full(fact.input),
            TrySendError::Closed(fact) => TrySendError::Closed(fact.input),
        })
    }

    /// Tells the fleet, as soon as there is room. Returns whether anybody takes facts in.
    pub async fn send(&self, input: Input) -> bool {
        self.sender.send(Fact { generation: self.generation, input }).await.is_ok()
    }
}
