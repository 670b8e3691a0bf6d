//! The backends of a world: what each of them does with what reaches it.

use std::time::Duration;

use bascule::event::Symptom;
use fastrand::Rng;

use crate::script::Kind;

/// What a connection meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meeting {
    Refused,
    /// Nothing comes back.
    Void,
    /// It is taken, and answered after this long at the earliest.
    Accepted(Duration),
}

/// What becomes of a request whose turn has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Nothing, until the fault ends.
    Waits,
    /// It is executed, then its connection is closed.
    Closes,
    /// It is executed and answered with this status, a bad one.
    Errs(u16),
    /// It is executed; the response breaks off.
    Cuts,
    /// It is executed and answered.
    Answers,
}

/// One backend.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backend {
    faults: Vec<Kind>,
    /// Attempts that have reached it, or would have, and get nothing until the fault ends.
    pub(crate) limbo: Vec<u64>,
}

impl Backend {
    pub(crate) fn fault_begins(&mut self, kind: Kind) {
        self.faults.push(kind);
    }

    /// Ends a fault. Returns who has waited for that, if nothing else holds them back.
    pub(crate) fn fault_ends(&mut self, kind: Kind) -> Vec<u64> {
        if let Some(index) = self.faults.iter().position(|&it| it == kind) {
            self.faults.remove(index);
        }
        if self.is_silent() || self.is(Kind::Stuck) {
            return Vec::new();
        }
        std::mem::take(&mut self.limbo)
    }

    /// Says what meets a new connection.
    pub(crate) fn meet(&self, random: &mut Rng) -> Meeting {
        if self.is(Kind::Vanished) {
            return Meeting::Void;
        }
        if self.is(Kind::Gone) {
            return Meeting::Refused;
        }
        // Far below the shortest time that counts as an overstay.
        let work = Duration::from_micros(random.u64(300..20_000));
        Meeting::Accepted(work + self.delay())
    }

    /// Says what becomes of a request that was accepted.
    pub(crate) fn serve(&self, random: &mut Rng) -> Service {
        if self.is_silent() || self.is(Kind::Stuck) {
            return Service::Waits;
        }
        if self.is(Kind::Closing) {
            return Service::Closes;
        }
        if self.is(Kind::Errors) {
            return Service::Errs(503);
        }
        let (mut grey, mut cut) = (0, 0);
        for kind in &self.faults {
            match *kind {
                Kind::Grey(share) => grey = grey.max(share),
                Kind::Cut(share) => cut = cut.max(share),
                Kind::Gone
                | Kind::Vanished
                | Kind::Hung
                | Kind::Stuck
                | Kind::Closing
                | Kind::Errors
                | Kind::Slow(_)
                | Kind::FalseAlarm => {}
            }
        }
        if random.u8(..100) < grey {
            Service::Errs(503)
        } else if random.u8(..100) < cut {
            Service::Cuts
        } else {
            Service::Answers
        }
    }

    /// Tells whether nothing comes back from it.
    pub(crate) fn is_silent(&self) -> bool {
        self.is(Kind::Vanished) || self.is(Kind::Hung)
    }

    /// Says how a health check that has this much time left will end, and after how long, if nothing
    /// changes.
    pub(crate) fn check(&self, timeout: Duration) -> (Option<Symptom>, Duration) {
        let soon = Duration::from_micros(700).min(timeout);
        if self.is(Kind::Vanished) {
            return (Some(Symptom::ConnectTimedOut), timeout);
        }
        if self.is(Kind::Gone) {
            return (Some(Symptom::ConnectionRefused), soon);
        }
        if self.is(Kind::Hung) || timeout <= self.delay() {
            return (Some(Symptom::ResponseTimedOut), timeout);
        }
        let took = (soon + self.delay()).min(timeout);
        if self.is(Kind::Closing) {
            return (Some(Symptom::ConnectionClosed), took);
        }
        let errs = self.is(Kind::Errors) || self.is(Kind::FalseAlarm);
        (errs.then_some(Symptom::ErrorStatus(503)), took)
    }

    fn is(&self, kind: Kind) -> bool {
        self.faults.contains(&kind)
    }

    fn delay(&self) -> Duration {
        let longest = self.faults.iter().filter_map(|kind| match *kind {
            Kind::Slow(delay) => Some(delay),
            Kind::Gone
            | Kind::Vanished
            | Kind::Hung
            | Kind::Stuck
            | Kind::Closing
            | Kind::Errors
            | Kind::Grey(_)
            | Kind::Cut(_)
            | Kind::FalseAlarm => None,
        });
        longest.max().unwrap_or_default()
    }
}
