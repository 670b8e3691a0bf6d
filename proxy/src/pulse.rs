//! A sign of life of something that runs for ever, for those who watch whether it still does.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::clock::Timestamp;

/// When something last gave a sign of life.
#[derive(Debug, Default)]
pub struct Pulse(AtomicU64);

impl Pulse {
    /// Gives a sign of life.
    pub fn beat(&self, now: Timestamp) {
        // 0 stands for none, also in the first millisecond.
        self.0.store(now.as_millis().max(1), Relaxed);
    }

    /// Tells whether there has been a sign of life at all.
    pub fn has_begun(&self) -> bool {
        self.0.load(Relaxed) != 0
    }

    /// Returns how long ago the latest sign of life was.
    pub fn age(&self, now: Timestamp) -> Duration {
        now.since(Timestamp::from_millis(self.0.load(Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_grows_old_until_the_next() {
        let pulse = Pulse::default();
        pulse.beat(Timestamp::from_millis(1000));
        let age = |at| pulse.age(Timestamp::from_millis(at)).as_millis();
        assert_eq!([age(1000), age(1500)], [0, 500]);
        pulse.beat(Timestamp::from_millis(1500));
        assert_eq!(age(1500), 0);
    }
}
