//! The faults that are active, at most one of each mode.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::clock;
use crate::faults::plan::{ActiveFault, Plan, Subject, plan};
use crate::faults::{Fault, FaultKind, InvalidFault, LASTING_MAX, Percent, Scope};

#[derive(Debug)]
pub(crate) struct FaultBoard {
    /// Held only to look or to replace an element; at most one fault per mode.
    active: Mutex<Vec<ActiveFault>>,
    /// Until when connections are refused; the server obeys it.
    refused_until: watch::Sender<Option<Instant>>,
    /// How idle connections are closed; the server obeys it.
    idle_closing: watch::Sender<Option<IdleClosing>>,
    /// How often all faults were ended; whatever a fault holds back waits for a change.
    recoveries: watch::Sender<u64>,
}

/// The closing of idle connections, after each period and for as long as it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdleClosing {
    pub(crate) period: Duration,
    pub(crate) until: Instant,
}

impl FaultBoard {
    pub(crate) fn new() -> FaultBoard {
        FaultBoard {
            active: Mutex::new(Vec::new()),
            refused_until: watch::Sender::new(None),
            idle_closing: watch::Sender::new(None),
            recoveries: watch::Sender::new(0),
        }
    }

    /// Begins a fault; one of the same mode is replaced.
    pub(crate) fn inject(&self, fault: Fault, now: Instant) -> Result<ActiveFault, InvalidFault> {
        validate(&fault)?;
        let lasting = fault.lasting.min(LASTING_MAX);
        let begun = ActiveFault::new(Fault { lasting, ..fault }, now);
        let mut active = self.active();
        active.retain(|other| !other.is_over(now) && other.fault.kind.mode() != fault.kind.mode());
        active.push(begun);
        match fault.kind {
            FaultKind::Refuse => _ = self.refused_until.send_replace(Some(begun.ends_at)),
            FaultKind::CloseIdle { period } => {
                let closing = IdleClosing { period, until: begun.ends_at };
                self.idle_closing.send_replace(Some(closing));
            }
            FaultKind::Hang
            | FaultKind::Error { .. }
            | FaultKind::Slow { .. }
            | FaultKind::Reset
            | FaultKind::Truncate => {}
        }
        Ok(begun)
    }

    /// Ends every fault and releases what they hold back; returns those that were active.
    pub(crate) fn recover(&self, now: Instant) -> Vec<ActiveFault> {
        let mut ended = std::mem::take(&mut *self.active());
        ended.retain(|fault| !fault.is_over(now));
        self.refused_until.send_replace(None);
        self.idle_closing.send_replace(None);
        self.recoveries.send_modify(|recoveries| *recoveries += 1);
        ended
    }

    /// The faults active at `now`, longest active first.
    pub(crate) fn snapshot(&self, now: Instant) -> Vec<ActiveFault> {
        let mut active = self.active();
        active.retain(|fault| !fault.is_over(now));
        active.clone()
    }

    pub(crate) fn plan(&self, subject: Subject, now: Instant, rng: &mut fastrand::Rng) -> Plan {
        plan(&mut self.active(), subject, now, rng)
    }

    /// Waits for `delay`, or until the faults are ended.
    pub(crate) async fn hold_for(&self, delay: Duration) {
        self.hold_until(clock::now() + delay).await;
    }

    /// Waits until `moment`, or until the faults are ended.
    pub(crate) async fn hold_until(&self, moment: Instant) {
        let mut recoveries = self.recoveries.subscribe();
        tokio::select! {
            () = clock::sleep_until(Some(moment)) => {}
            // Fails only when the sender is gone, and the sender is `self`.
            _ = recoveries.changed() => {}
        }
    }

    pub(crate) fn refusal(&self) -> watch::Receiver<Option<Instant>> {
        self.refused_until.subscribe()
    }

    pub(crate) fn idle_closing(&self) -> watch::Receiver<Option<IdleClosing>> {
        self.idle_closing.subscribe()
    }

    fn active(&self) -> MutexGuard<'_, Vec<ActiveFault>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn validate(fault: &Fault) -> Result<(), InvalidFault> {
    let invalid =
        |message: String, remedy: &str| Err(InvalidFault { message, remedy: remedy.to_owned() });
    let mode = fault.kind.mode();
    match fault.kind {
        FaultKind::Refuse | FaultKind::CloseIdle { .. } if fault.percent != Percent::ALL => {
            invalid(
                format!("`percent` is {} with `mode` {mode}", fault.percent.value()),
                "leave `percent` out or give 100: connections are closed to everyone",
            )
        }
        FaultKind::Refuse | FaultKind::CloseIdle { .. } if fault.every != NonZeroU32::MIN => {
            invalid(
                format!("`every` is {} with `mode` {mode}", fault.every),
                "leave `every` out or give 1: connections are closed to everyone",
            )
        }
        FaultKind::Refuse | FaultKind::CloseIdle { .. } if fault.scope != Scope::All => invalid(
            format!("`scope` is `{}` with `mode` {mode}", fault.scope.word()),
            "leave `scope` out or give `all`: connections are closed to everyone",
        ),
        FaultKind::Error { status } if !(400..600).contains(&status.as_u16()) => invalid(
            format!("`status` is {}", status.as_u16()),
            "give `status` a whole number from 400 to 599",
        ),
        FaultKind::Refuse
        | FaultKind::Hang
        | FaultKind::Error { .. }
        | FaultKind::Slow { .. }
        | FaultKind::Reset
        | FaultKind::Truncate
        | FaultKind::CloseIdle { .. } => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_fault_of_the_same_mode_is_replaced_and_others_stay() {
        let (board, now) = (FaultBoard::new(), clock::now());
        let slow = |ms| FaultKind::Slow { delay: Duration::from_millis(ms) };
        for kind in [slow(1), FaultKind::Hang, slow(2)] {
            board.inject(Fault::new(kind, MINUTE), now).unwrap();
        }
        let kinds: Vec<_> = board.snapshot(now).iter().map(|it| it.fault.kind).collect();
        assert_eq!(kinds, [FaultKind::Hang, slow(2)]);
    }

    #[test]
    fn faults_leave_the_board_when_they_end() {
        let (board, now) = (FaultBoard::new(), clock::now());
        board.inject(Fault::new(FaultKind::Hang, MINUTE), now).unwrap();
        assert_eq!(board.snapshot(now + MINUTE), []);
    }

    #[test]
    fn no_fault_lasts_longer_than_the_bound() {
        let (board, now) = (FaultBoard::new(), clock::now());
        let begun = board.inject(Fault::new(FaultKind::Hang, LASTING_MAX * 2), now).unwrap();
        assert_eq!((begun.fault.lasting, begun.ends_at), (LASTING_MAX, now + LASTING_MAX));
    }

    #[test]
    fn refusing_only_some_requests_is_refused() {
        let (board, now) = (FaultBoard::new(), clock::now());
        let refuse = Fault::new(FaultKind::Refuse, MINUTE);
        assert!(board.inject(refuse.in_scope(Scope::Health), now).is_err());
        assert!(board.inject(refuse.striking(Percent::new(50).unwrap()), now).is_err());
        assert_eq!(*board.refusal().borrow(), None);
    }

    #[tokio::test]
    async fn recovery_releases_what_is_held_back() {
        let board = FaultBoard::new();
        let held = board.hold_for(MINUTE);
        let recover = async { board.recover(clock::now()) };
        tokio::join!(biased; held, recover);
    }
}
