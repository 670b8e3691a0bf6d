//! The level at which the log is written, which can be changed while the process runs.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{clock::Timestamp, model::Level};

/// The level at which the log is written. Clones are the same level.
#[derive(Clone)]
pub struct LogLevel(Arc<Shared>);

struct Shared {
    apply: Box<dyn Fn(Level) + Send + Sync>,
    state: Mutex<State>,
}

/// What is written, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// What the configuration says.
    pub configured: Level,
    /// What is written at present.
    pub level: Level,
    /// When the configuration's is written again; `None` when it is, or when nothing was said.
    pub until: Option<Timestamp>,
    /// Rises with each change.
    turn: u64,
}

impl LogLevel {
    /// Makes the level that is configured; `apply` changes what is written.
    pub(crate) fn new(configured: Level, apply: impl Fn(Level) + Send + Sync + 'static) -> Self {
        let state = State { configured, level: configured, until: None, turn: 0 };
        Self(Arc::new(Shared { apply: Box::new(apply), state: Mutex::new(state) }))
    }

    /// Returns what is written.
    pub fn state(&self) -> State {
        *self.lock()
    }

    /// Writes from this level on, until then if that is said. Returns by what [`LogLevel::end`] knows
    /// this change.
    pub fn set(&self, level: Level, until: Option<Timestamp>) -> u64 {
        let mut state = self.lock();
        *state = State { level, until, turn: state.turn + 1, ..*state };
        (self.0.apply)(level);
        state.turn
    }

    /// Ends a change, if nothing was said since. Tells whether it did.
    pub fn end(&self, turn: u64) -> bool {
        let mut state = self.lock();
        let is_latest = state.turn == turn;
        if is_latest {
            *state = State { level: state.configured, until: None, ..*state };
            (self.0.apply)(state.level);
        }
        is_latest
    }

    /// Takes in what another configuration says. What was ordered for a time goes on.
    pub fn configure(&self, configured: Level) {
        let mut state = self.lock();
        state.configured = configured;
        if state.until.is_none() {
            state.level = configured;
            (self.0.apply)(configured);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic while the lock is held leaves a whole state.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogLevel").field(&self.state()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_ends_unless_another_came_after_it() {
        let applied = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&applied);
        let level = LogLevel::new(Level::Info, move |level| seen.lock().unwrap().push(level));
        let until = Some(Timestamp::from_millis(9));
        let first = level.set(Level::Debug, until);
        level.configure(Level::Warn);
        assert_eq!((level.state().level, level.state().until), (Level::Debug, until));
        let second = level.set(Level::Error, until);
        assert!(!level.end(first));
        assert!(level.end(second));
        assert_eq!((level.state().level, level.state().until), (Level::Warn, None));
        level.configure(Level::Info);
        let expected = [Level::Debug, Level::Error, Level::Warn, Level::Info];
        assert_eq!(*applied.lock().unwrap(), expected);
    }
}
