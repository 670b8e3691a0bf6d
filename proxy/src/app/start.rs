//! What a process begins with: the sockets that it was handed, and the process before it.

use std::io;

use tracing::info;

use crate::{
    app::{
        record::{Predecessor, Record},
        upgrade::Program,
    },
    sockets::Inherited,
};

/// What this process begins with.
#[derive(Debug, Default)]
pub struct Start {
    pub(crate) inherited: Inherited,
    pub(crate) predecessor: Option<Predecessor>,
    /// What is started when another one shall take over.
    pub(crate) program: Option<Program>,
}

impl Start {
    /// Takes what this process was started with. To be called first of all: it changes the
    /// environment, which nobody else may read meanwhile.
    ///
    /// # Errors
    /// When something was handed over that is not what this program can use.
    pub fn take() -> io::Result<Self> {
        let mut inherited = Inherited::take_all()?;
        let connection = inherited.take_predecessor();
        let predecessor = connection.map(Predecessor::hear).transpose()?;
        Ok(Self { inherited, predecessor, program: Program::of_this_process() })
    }

    /// Makes one of a process that no other one can take over from.
    #[must_use]
    pub fn last(self) -> Self {
        Self { program: None, ..self }
    }

    /// Tells the process before, if there is one, that this one accepts clients.
    ///
    /// # Errors
    /// When it cannot be told: it then goes on, and this one must not.
    pub(crate) fn ready(&self) -> io::Result<()> {
        self.predecessor.as_ref().map_or(Ok(()), Predecessor::ready)
    }

    /// Tells the process before, if there is one, that this one ends, and why.
    pub fn failed(&self, reason: &str) {
        if let Some(predecessor) = &self.predecessor {
            // It hears of the end in any case.
            _ = predecessor.failed(reason);
        }
    }

    /// Closes the sockets that nobody has taken.
    pub(crate) fn close_rest(&self) {
        let unused = self.inherited.close_rest();
        if 0 < unused {
            info!(target: "bascule::app", unused, "sockets that were handed over are not listened on");
        }
    }

    /// Returns what the process before has told.
    pub(crate) fn record(&self) -> Option<&Record> {
        self.predecessor.as_ref()?.record.as_ref()
    }
}
