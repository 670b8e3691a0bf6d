//! What must hold of the tiers: who serves, when traffic returns, how it is divided, and what a
//! backend weighs in its tier. Worked out from the policies, and from what events told.

use std::time::Duration;

use bascule::{
    clock::Timestamp,
    event::{Event, TierReason},
    model::{Backend, Capacity, FailbackMode, Pool, WhenDown},
    snapshot::PoolSnapshot,
};

/// What sums of shares may be off by.
const ROUNDING: f64 = 1e-6;
/// The part that whatever returns begins with: one step of twenty.
const STEP: f64 = 0.05;

/// Whether a law holds, or how it is broken.
pub(crate) type Ruling = Result<(), String>;

/// Watches the tiers of one world.
#[derive(Debug)]
pub(crate) struct TierLaws {
    active: Option<usize>,
    /// While no tier is able: one that has more left than the active one, and since when.
    fitter: Option<(usize, Timestamp)>,
    /// Since when each tier has been able to serve without a break, and its returns.
    able_since: Vec<Option<Timestamp>>,
    /// How long the next hold-down is.
    hold_down: Duration,
    /// When traffic last returned, and whether that has proved too early.
    returned: Option<(Timestamp, bool)>,
    /// The return under way, and when it began.
    ramp: Option<(usize, Timestamp)>,
    /// Whether an operator is asking for traffic to return.
    is_asked: bool,
    /// When each backend was regained, if it is eligible.
    regained: Vec<Option<Timestamp>>,
}

impl TierLaws {
    pub(crate) fn new(pool: &Pool) -> Self {
        Self {
            active: None,
            fitter: None,
            able_since: vec![None; pool.tier_count()],
            hold_down: pool.tiers.failback_after,
            returned: None,
            ramp: None,
            is_asked: false,
            regained: vec![None; pool.backends.len()],
        }
    }

    pub(crate) fn asks(&mut self, is_asking: bool) {
        self.is_asked = is_asking;
    }

    /// Takes in an event. To be told before [`TierLaws::look`] forgets what was.
    pub(crate) fn heard(
        &mut self,
        event: &Event,
        pool: &Pool,
        snapshot: &PoolSnapshot,
        now: Timestamp,
    ) -> Ruling {
        match *event {
            Event::TierChanged { from, to, reason, .. } => {
                self.changed((from, to), reason, pool, snapshot, now)
            }
            Event::FailbackBegan { to, .. } => {
                let ramp = self.ramp.replace((to, now));
                is_free(snapshot)?;
                ensure(ramp.is_none(), || format!("failback to {to} began within {ramp:?}"))?;
                self.is_due(to, pool, now)
            }
            Event::FailbackAborted { to, .. } => {
                let ramp = self.ramp.take();
                if self.is_asked {
                    // He wants traffic to stay where it is: nothing has failed.
                    return Ok(());
                }
                let is_of_it = ramp.is_some_and(|(it, _)| it == to);
                self.lengthen(pool);
                self.returned = Some((now, true));
                self.able_since[to] = Some(now);
                ensure(is_of_it, || format!("failback to {to} was aborted, but {ramp:?} was"))
            }
            Event::BackendLost { backend, .. } | Event::BackendDrained { backend, .. } => {
                self.regained[backend.index] = None;
                Ok(())
            }
            Event::BackendRegained { backend } => {
                self.regained[backend.index] = Some(now);
                Ok(())
            }
            Event::BackendSuspected { .. }
            | Event::EvidenceGathered { .. }
            | Event::BackendCleared { .. }
            | Event::BackendServed { .. }
            | Event::BackendEjected { .. }
            | Event::BackendEnabled { .. }
            | Event::WeightChanged { .. }
            | Event::FailoverRequested { .. }
            | Event::FailoverEnded { .. }
            | Event::EvidenceDisagreed { .. }
            | Event::EvidenceAgreed { .. }
            | Event::FaultRequested { .. }
            | Event::FaultWithdrawn { .. } => Ok(()),
        }
    }

    /// Failover leaves only a tier that is not able; failback waits out its hold-down and its ramp.
    fn changed(
        &mut self,
        (from, to): (Option<usize>, Option<usize>),
        reason: TierReason,
        pool: &Pool,
        snapshot: &PoolSnapshot,
        now: Timestamp,
    ) -> Ruling {
        let active = std::mem::replace(&mut self.active, to);
        ensure(from == active && from != to, || {
            format!("tier changed from {from:?} to {to:?} while {active:?} was active")
        })?;
        let ramp = self.ramp.take();
        if reason == TierReason::Manual {
            let can = to.is_some_and(|to| is_able(pool, snapshot, to));
            return ensure(can, || format!("moved to tier {to:?}, which is not able"));
        }
        let is_able = from.is_some_and(|from| is_able(pool, snapshot, from));
        let is_back = matches!(reason, TierReason::HoldDownEnded | TierReason::Requested);
        if !is_back {
            if matches!(reason, TierReason::Lost(_)) && to.is_none_or(|to| from < Some(to)) {
                self.failed_over(pool, now);
            }
            return ensure(!is_able, || format!("failover from tier {from:?}, which is able"));
        }
        is_free(snapshot)?;
        self.returned = Some((now, false));
        let to = to.filter(|&to| Some(to) < from).ok_or_else(|| format!("{from:?} < {to:?}"))?;
        ensure(is_able, || format!("failback from tier {from:?}, which is not able"))?;
        if pool.tiers.failback_ramp.is_zero() {
            return self.is_due(to, pool, now);
        }
        let is_over = ramp.is_some_and(|(it, at)| it == to && at + pool.tiers.failback_ramp <= now);
        ensure(is_over, || format!("failback to tier {to} is complete, but {ramp:?} was going on"))
    }

    /// A failover soon after a return makes the next hold-down longer, once for each return.
    fn failed_over(&mut self, pool: &Pool, now: Timestamp) {
        let longest = pool.tiers.failback_after_max;
        match self.returned {
            Some((at, true)) if now.since(at) <= longest => {}
            Some((at, false)) if now.since(at) <= longest => {
                self.returned = Some((at, true));
                self.lengthen(pool);
            }
            Some(_) | None => self.hold_down = pool.tiers.failback_after,
        }
    }

    fn lengthen(&mut self, pool: &Pool) {
        self.hold_down = (self.hold_down * 2).min(pool.tiers.failback_after_max);
    }

    /// Traffic returns when somebody asks for it, or, where that is not left to people, after the
    /// hold-down.
    fn is_due(&self, to: usize, pool: &Pool, now: Timestamp) -> Ruling {
        if self.is_asked {
            return ensure(self.able_since[to].is_some(), || format!("tier {to} is not able"));
        }
        ensure(pool.tiers.failback == FailbackMode::Automatic, || {
            format!("nobody has asked for the failback to {to}")
        })?;
        let (since, length) = (self.able_since[to], self.hold_down);
        ensure(since.is_some_and(|since| since + length <= now), || {
            format!("failback to tier {to}, able since {since:?}, within {length:?}")
        })
    }

    /// What is published agrees with what was said, and with the policies.
    pub(crate) fn look(
        &mut self,
        pool: &Pool,
        snapshot: &PoolSnapshot,
        is_any_unknown: bool,
        now: Timestamp,
    ) -> Ruling {
        for (tier, since) in self.able_since.iter_mut().enumerate() {
            *since = is_able(pool, snapshot, tier).then(|| since.unwrap_or(now));
        }
        let is_any_able = self.able_since.iter().any(Option::is_some);
        let left = snapshot.active_tier.map_or(0.0, |active| share(pool, snapshot, active));
        let is_fitter = |&it: &usize| !is_any_able && left + ROUNDING < share(pool, snapshot, it);
        let fitter = fittest(pool, snapshot).filter(is_fitter);
        self.fitter = fitter.map(|it| match self.fitter {
            Some((known, since)) if known == it => (it, since),
            Some(_) | None => (it, now),
        });
        let (active, told) = (snapshot.active_tier, self.active);
        ensure(active == told, || format!("tier {active:?} is active, but told {told:?}"))?;
        lists(pool, snapshot)?;
        self.weigh(pool, snapshot, now)?;
        let Some(active) = active else {
            let anybody = fittest(pool, snapshot);
            return ensure(anybody.is_none() || is_any_unknown, || {
                format!("no tier is active, and {anybody:?} could be")
            });
        };
        self.serves(active, pool, snapshot, now)?;
        self.divides(active, pool, snapshot, now)
    }

    /// Everybody is well again.
    pub(crate) fn calm(&self, snapshot: &PoolSnapshot) -> Ruling {
        let active = snapshot.active_tier;
        ensure(active == Some(0), || format!("tier {active:?} is active"))?;
        ensure(self.ramp.is_none(), || "traffic is still returning".to_owned())
    }

    /// The active tier is the first that is able, but for those in their hold-down or returning;
    /// where none is able, the one with the largest share left, or, for a hold-down, one with less.
    fn serves(
        &self,
        active: usize,
        pool: &Pool,
        snapshot: &PoolSnapshot,
        now: Timestamp,
    ) -> Ruling {
        let first_able = self.able_since.iter().position(Option::is_some);
        if self.able_since[active].is_none() {
            let may_wait = |(_, since): (usize, Timestamp)| {
                now < since + self.hold_down && 0.0 < share(pool, snapshot, active)
            };
            let may_go_on = first_able.is_none() && self.fitter.is_none_or(may_wait);
            return ensure(may_go_on, || {
                format!("tier {active} is active and not able; {:?} is fitter", self.fitter)
            });
        }
        if let Some((to, began)) = self.ramp {
            let is_over = began + pool.tiers.failback_ramp <= now;
            let goes_on = !is_over && self.able_since[to].is_some() && to < active;
            return ensure(goes_on, || format!("the return to {to} from {began:?} goes on"));
        }
        if snapshot.held.is_some() {
            let is_it = snapshot.held == Some(active);
            return ensure(is_it, || format!("{active} serves, not {:?}", snapshot.held));
        }
        // A tier between waits for a better one that is able, too: traffic then moves once.
        let Some(best) = first_able.filter(|&best| best < active) else { return Ok(()) };
        if pool.tiers.failback == FailbackMode::Manual {
            return Ok(());
        }
        let (since, length) = (self.able_since[best], self.hold_down);
        ensure(since.is_none_or(|since| now < since + length), || {
            format!("failback to tier {best}, able since {since:?}, is overdue after {length:?}")
        })
    }

    /// A tier gets what it can carry, of what those before it cannot; a returning one gets no more
    /// than its ramp has come to.
    fn divides(
        &self,
        active: usize,
        pool: &Pool,
        snapshot: &PoolSnapshot,
        now: Timestamp,
    ) -> Ruling {
        let parts: Vec<f64> = (0..pool.tier_count()).map(|tier| snapshot.part(tier)).collect();
        let mut expected = vec![0.0; parts.len()];
        let mut rest = 1.0;
        if let Some((to, began)) = self.ramp {
            let climbed = STEP + part_of(now.since(began), pool.tiers.failback_ramp);
            let is_within = 0.0 < parts[to] && parts[to] <= climbed + ROUNDING;
            ensure(is_within, || format!("tier {to} returns: {parts:?}, {climbed} climbed"))?;
            expected[to] = parts[to];
            rest -= parts[to];
        }
        if pool.tiers.spill_over {
            let mut left = 1.0_f64;
            for (tier, part) in expected.iter_mut().enumerate().skip(active) {
                *part = capacity(pool, snapshot, tier).min(left);
                left -= *part;
            }
            for part in &mut expected[active..] {
                *part *= rest / (1.0 - left);
            }
        } else {
            expected[active] = rest;
        }
        let is_so = parts.iter().zip(&expected).all(|(is, due)| (is - due).abs() < ROUNDING);
        ensure(is_so, || format!("traffic is divided {parts:?}; it should be {expected:?}"))
    }

    /// A backend has its full weight in its tier, unless it is warming up.
    fn weigh(&self, pool: &Pool, snapshot: &PoolSnapshot, now: Timestamp) -> Ruling {
        for tier in 0..pool.tier_count() {
            let factor = |index: usize| {
                f64::from(snapshot.weights[index]) / f64::from(snapshot.backends[index].weight)
            };
            let warmed = |index: usize| {
                let elapsed = self.regained[index].map(|at| now.since(at));
                elapsed.map_or(1.0, |elapsed| part_of(elapsed, pool.slow_start))
            };
            let members = || eligible(pool, snapshot, tier).map(|(index, _)| index);
            let Some(full) = members().find(|&index| 1.0 <= warmed(index)).map(factor) else {
                continue;
            };
            for index in members() {
                let (is, climbed) = (factor(index) / full, (1.0 - STEP) * warmed(index));
                let is_so = climbed - ROUNDING < is && is < climbed + STEP + ROUNDING;
                ensure(is_so, || format!("backend {index} weighs {is}, and {climbed} climbed"))?;
            }
        }
        Ok(())
    }
}

/// Whoever may be picked is listed, and the trusted ones apart; where a pool fails open, everybody.
fn lists(pool: &Pool, snapshot: &PoolSnapshot) -> Ruling {
    let is_open = pool.when_down == WhenDown::FailOpen && fittest(pool, snapshot).is_none();
    ensure(snapshot.is_failing_open == is_open, || format!("it fails open, or not: {is_open}"))?;
    for (index, backend) in pool.backends.iter().enumerate() {
        let (condition, known) = (snapshot.backends[index].condition, &snapshot.backends[index]);
        let is_eligible = known.is_eligible();
        let is_open = is_open && known.intent.is_enabled();
        let tier = &snapshot.tiers[backend.tier];
        for (list, is_due) in
            [(tier, is_eligible), (tier.trusted(), is_eligible && condition.is_trusted())]
        {
            let is_listed = list.eligible.contains(&index);
            ensure(is_listed == (is_open || is_due), || {
                format!("backend {index} is {condition:?}, and it is {is_listed} that it is listed")
            })?;
        }
    }
    Ok(())
}

/// No operator wants traffic to stay elsewhere.
fn is_free(snapshot: &PoolSnapshot) -> Ruling {
    ensure(snapshot.held.is_none(), || format!("a failback from tier {:?}, held", snapshot.held))
}

/// Tells whether a tier can serve: with enough of it, or, where it may share, with any of it.
fn is_able(pool: &Pool, snapshot: &PoolSnapshot, tier: usize) -> bool {
    let least = if pool.tiers.spill_over { f64::MIN_POSITIVE } else { 1.0 };
    least <= capacity(pool, snapshot, tier)
}

/// Returns which part of all traffic a tier can carry, 0 to 1.
fn capacity(pool: &Pool, snapshot: &PoolSnapshot, tier: usize) -> f64 {
    let capacity = match pool.tiers.fail_over_below {
        Capacity::Backends(needed) => {
            let size = pool.backends.iter().filter(|it| it.tier == tier).count();
            let eligible = eligible(pool, snapshot, tier).count();
            eligible as f64 / needed.get().min(size) as f64
        }
        Capacity::Share(needed) => share(pool, snapshot, tier) / needed,
    };
    if 1.0 - ROUNDING < capacity { 1.0 } else { capacity }
}

/// Returns which part of a tier's weight may be picked.
fn share(pool: &Pool, snapshot: &PoolSnapshot, tier: usize) -> f64 {
    let weigh = |sum: f64, index: usize| sum + f64::from(snapshot.backends[index].weight);
    let all = (0..pool.backends.len()).filter(|&it| pool.backends[it].tier == tier);
    eligible(pool, snapshot, tier).map(|(it, _)| it).fold(0.0, weigh) / all.fold(0.0, weigh)
}

/// Returns the tier with the largest share left, the first of equals.
fn fittest(pool: &Pool, snapshot: &PoolSnapshot) -> Option<usize> {
    let shares = (0..pool.tier_count()).map(|tier| (tier, share(pool, snapshot, tier)));
    let fitter = |best: Option<(usize, f64)>, it: (usize, f64)| {
        if best.map_or(0.0, |best| best.1) + ROUNDING < it.1 { Some(it) } else { best }
    };
    shares.fold(None, fitter).map(|(tier, _)| tier)
}

/// Returns index and configuration of the backends of a tier that may be picked.
fn eligible<'a>(
    pool: &'a Pool,
    snapshot: &'a PoolSnapshot,
    tier: usize,
) -> impl Iterator<Item = (usize, &'a Backend)> {
    pool.backends
        .iter()
        .enumerate()
        .filter(move |(_, it)| it.tier == tier)
        .filter(|&(index, _)| snapshot.backends[index].is_eligible())
}

fn part_of(elapsed: Duration, length: Duration) -> f64 {
    if length <= elapsed { 1.0 } else { elapsed.as_secs_f64() / length.as_secs_f64() }
}

fn ensure(holds: bool, law: impl FnOnce() -> String) -> Ruling {
    if holds { Ok(()) } else { Err(law()) }
}
