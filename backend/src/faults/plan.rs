//! What the active faults make of one request. Pure: chance and time are arguments.

use std::time::{Duration, Instant};

use axum::http::StatusCode;

use crate::faults::{Fault, FaultKind, Scope};

/// What a request is to a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Steers the backend itself; never faulted.
    Control,
    Health,
    Traffic,
}

impl Subject {
    pub(crate) fn of(path: &str) -> Subject {
        match path {
            "/faults" | "/recover" | "/fail" | "/requests" => Subject::Control,
            "/health" => Subject::Health,
            _ => Subject::Traffic,
        }
    }
}

/// A fault that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ActiveFault {
    pub(crate) fault: Fault,
    pub(crate) ends_at: Instant,
    /// Requests in its scope so far.
    pub(crate) seen: u64,
}

impl ActiveFault {
    pub(crate) fn new(fault: Fault, now: Instant) -> ActiveFault {
        ActiveFault { fault, ends_at: now + fault.lasting, seen: 0 }
    }

    /// Counts a request in its scope, and decides whether it is struck.
    fn strikes(&mut self, rng: &mut fastrand::Rng) -> bool {
        self.seen += 1;
        let is_its_turn = self.seen.is_multiple_of(u64::from(self.fault.every.get()));
        is_its_turn && rng.u8(0..100) < self.fault.percent.value()
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.ends_at <= now
    }
}

/// What is to become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// How long its end is held back.
    pub(crate) delay: Option<Duration>,
    pub(crate) ending: Ending,
}

/// How a request ends. Later variants outrank earlier ones when several faults strike it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    Served,
    Truncated,
    Error(StatusCode),
    Reset,
    Hung { until: Instant },
}

/// Decides by which of the active faults the request is struck, and what comes of it.
pub(crate) fn plan(
    active: &mut [ActiveFault],
    subject: Subject,
    now: Instant,
    rng: &mut fastrand::Rng,
) -> Plan {
    let mut plan = Plan { delay: None, ending: Ending::Served };
    for active in active.iter_mut().filter(|active| !active.is_over(now)) {
        if !covers(active.fault.scope, subject) || !active.strikes(rng) {
            continue;
        }
        let ending = match active.fault.kind {
            // These strike connections, not requests.
            FaultKind::Refuse | FaultKind::CloseIdle { .. } => continue,
            FaultKind::Slow { delay } => {
                plan.delay = plan.delay.max(Some(delay));
                continue;
            }
            FaultKind::Hang => Ending::Hung { until: active.ends_at },
            FaultKind::Error { status } => Ending::Error(status),
            FaultKind::Reset => Ending::Reset,
            FaultKind::Truncate => Ending::Truncated,
        };
        plan.ending = plan.ending.max(ending);
    }
    plan
}

fn covers(scope: Scope, subject: Subject) -> bool {
    match (scope, subject) {
        (_, Subject::Control) => false,
        (Scope::All, Subject::Health | Subject::Traffic)
        | (Scope::Traffic, Subject::Traffic)
        | (Scope::Health, Subject::Health) => true,
        (Scope::Traffic, Subject::Health) | (Scope::Health, Subject::Traffic) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::faults::Percent;

    const MINUTE: Duration = Duration::from_secs(60);

    fn decide(faults: &[Fault], subject: Subject) -> Plan {
        let now = clock::now();
        plan(&mut active(faults, now), subject, now, &mut fastrand::Rng::with_seed(1))
    }

    fn active(faults: &[Fault], now: Instant) -> Vec<ActiveFault> {
        faults.iter().map(|fault| ActiveFault::new(*fault, now)).collect()
    }

    #[test]
    fn no_fault_serves() {
        let expected = Plan { delay: None, ending: Ending::Served };
        assert_eq!(decide(&[], Subject::Traffic), expected);
    }

    #[test]
    fn scope_decides_whom_a_fault_strikes() {
        let struck = |scope, subject| {
            let fault = Fault::new(FaultKind::Reset, MINUTE).in_scope(scope);
            decide(&[fault], subject).ending == Ending::Reset
        };
        let table = [Scope::All, Scope::Traffic, Scope::Health].map(|scope| {
            [Subject::Traffic, Subject::Health, Subject::Control].map(|it| struck(scope, it))
        });
        assert_eq!(table, [[true, true, false], [true, false, false], [false, true, false]]);
    }

    #[test]
    fn the_worst_ending_wins_and_delay_adds_to_it() {
        let delay = Duration::from_secs(3);
        let faults = [
            Fault::new(FaultKind::Reset, MINUTE),
            Fault::new(FaultKind::Slow { delay }, MINUTE),
            Fault::new(FaultKind::Truncate, MINUTE),
        ];
        let expected = Plan { delay: Some(delay), ending: Ending::Reset };
        assert_eq!(decide(&faults, Subject::Traffic), expected);
    }

    #[test]
    fn a_fault_is_over_at_the_moment_it_ends() {
        let now = clock::now();
        let mut faults = active(&[Fault::new(FaultKind::Reset, MINUTE)], now);
        let mut rng = fastrand::Rng::with_seed(1);
        let mut ending = |at| plan(&mut faults, Subject::Traffic, at, &mut rng).ending;
        assert_eq!(ending(now + MINUTE - Duration::from_nanos(1)), Ending::Reset);
        assert_eq!(ending(now + MINUTE), Ending::Served);
    }

    #[test]
    fn a_share_strikes_about_that_share() {
        let now = clock::now();
        let fault = Fault::new(FaultKind::Reset, MINUTE).striking(Percent::new(30).unwrap());
        let (mut faults, mut rng) = (active(&[fault], now), fastrand::Rng::with_seed(7));
        let mut struck =
            || plan(&mut faults, Subject::Traffic, now, &mut rng).ending == Ending::Reset;
        let count = (0..10_000).filter(|_| struck()).count();
        assert!((2_800..=3_200).contains(&count), "{count} of 10000");
    }

    #[test]
    fn every_third_is_exactly_every_third_of_those_in_scope() {
        let now = clock::now();
        let fault = Fault::new(FaultKind::Reset, MINUTE)
            .in_scope(Scope::Traffic)
            .striking_every(3.try_into().unwrap());
        let (mut faults, mut rng) = (active(&[fault], now), fastrand::Rng::with_seed(1));
        let mut struck =
            |subject| plan(&mut faults, subject, now, &mut rng).ending != Ending::Served;
        let seen: Vec<bool> = (0..7)
            .map(|_| {
                assert!(!struck(Subject::Health));
                struck(Subject::Traffic)
            })
            .collect();
        assert_eq!(seen, [false, false, true, false, false, true, false]);
    }
}
