//! Where a pool's traffic is: turns changes of tier into failovers and failbacks.

use crate::telemetry::metrics::label::{Direction, FailoverReason};

/// Where a pool's traffic was last served, and why it is not elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Placement {
    /// The tier that served last; `None` before any did.
    tier: Option<usize>,
    /// Why the latest tier was lost, if traffic has gone nowhere since.
    loss: Option<FailoverReason>,
    /// Why traffic last moved to a later tier.
    over: Option<FailoverReason>,
}

impl Placement {
    /// Takes in that traffic moved from one tier to another, with the reason if that was a loss.
    /// Returns what this amounts to.
    ///
    /// Traffic that goes nowhere for a time has moved only once it is served again, and only if
    /// that is by another tier. A move back bears the reason of the move that it undoes.
    pub(crate) fn moved(
        &mut self,
        from: Option<usize>,
        to: Option<usize>,
        loss: Option<FailoverReason>,
    ) -> Option<(Direction, FailoverReason)> {
        self.tier = from.or(self.tier);
        self.loss = loss.or(self.loss);
        let to = to?;
        let loss = self.loss.take();
        let last = self.tier.replace(to)?;
        if last < to {
            let reason = loss.unwrap_or(FailoverReason::HealthCheck);
            self.over = Some(reason);
            Some((Direction::Over, reason))
        } else if to < last {
            // Without a move to undo, the preferred tier was unfit from the start, which only
            // health checks can have said.
            Some((Direction::Back, self.over.unwrap_or(FailoverReason::HealthCheck)))
        } else {
            None
        }
    }
}

impl Placement {
    /// Takes in that traffic is in a tier of that number because tiers are numbered otherwise.
    pub(crate) fn renamed(&mut self, to: Option<usize>) {
        self.tier = to.or(self.tier);
    }
}

#[cfg(test)]
mod tests {
    use Direction::{Back, Over};
    use FailoverReason::{FaultInjection, HealthCheck, Outlier};

    use super::*;

    type Move = (Option<usize>, Option<FailoverReason>, Option<(Direction, FailoverReason)>);

    fn check(start: Option<usize>, moves: &[Move]) {
        let mut placement = Placement::default();
        let mut tier = start;
        for &(to, loss, expected) in moves {
            assert_eq!(placement.moved(tier, to, loss), expected, "{tier:?} to {to:?}");
            tier = to;
        }
    }

    #[test]
    fn a_move_and_its_return_have_the_same_reason() {
        check(
            Some(0),
            &[
                (Some(1), Some(Outlier), Some((Over, Outlier))),
                (Some(0), None, Some((Back, Outlier))),
                (Some(1), Some(FaultInjection), Some((Over, FaultInjection))),
                (Some(0), None, Some((Back, FaultInjection))),
            ],
        );
    }

    #[test]
    fn starting_is_not_failing_over() {
        check(None, &[(Some(1), None, None), (Some(0), None, Some((Back, HealthCheck)))]);
    }

    #[test]
    fn an_outage_is_a_failover_only_if_another_tier_ends_it() {
        check(Some(0), &[(None, Some(Outlier), None), (Some(0), None, None)]);
        check(Some(0), &[(None, Some(Outlier), None), (Some(1), None, Some((Over, Outlier)))]);
        check(
            Some(0),
            &[
                (Some(1), Some(Outlier), Some((Over, Outlier))),
                (None, Some(HealthCheck), None),
                (Some(0), None, Some((Back, Outlier))),
            ],
        );
    }
}
