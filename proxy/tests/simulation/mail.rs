//! The way of facts from requests to the fleet: a bounded queue, which drops what does not fit, and
//! threads, which are overtaken by others.

use std::time::Duration;

use bascule::fleet::Input;
use fastrand::Rng;

/// What becomes of facts in one world.
#[derive(Debug)]
pub(crate) struct Mail {
    random: Rng,
    /// Shares of facts, in percent: lost, and late.
    lost: u8,
    late: u8,
}

/// What becomes of one fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    AtOnce,
    Later(Duration),
    Never,
}

impl Mail {
    pub(crate) fn new(mut random: Rng) -> Self {
        let (lost, late) = random.choice([(0, 0), (0, 0), (0, 30), (10, 10)]).unwrap_or((0, 0));
        Self { random, lost, late }
    }

    pub(crate) fn carry(&mut self, input: &Input) -> Carried {
        let fate = self.random.u8(..100);
        // Who has taken a trial is said by nobody else: where that is lost, silence acquits.
        let may_be_lost = !matches!(input, Input::TrialTaken { .. });
        if fate < self.lost && may_be_lost {
            Carried::Never
        } else if fate < self.lost + self.late {
            Carried::Later(Duration::from_micros(self.random.u64(1..60_000)))
        } else {
            Carried::AtOnce
        }
    }
}
