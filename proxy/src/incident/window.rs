//! The window of an incident: from the first sign of trouble until traffic has settled.
//!
//! Traffic has settled when a whole second has passed without a failed attempt, counted from the
//! first success elsewhere. The window includes that second, so that there is always something to
//! measure. An attempt that was waiting at the lost backend all along and fails after that, a
//! `POST` in its timeout say, opens the window again: its client was hit by this incident.
//! Attempts that fail elsewhere in the pool may belong to it, because its load has moved there, or
//! be the stray errors of any day; after a minute of service they no longer keep a window open.
//!
//! Counts are summed up while time passes rather than at the end, so that an outage longer than
//! the timeline's memory is counted whole.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    incident::{Incident, LatencySummary, Requests},
    snapshot::{SLOT, Timeline, WindowCounts},
};

/// This long without a failed attempt, and traffic has settled.
const QUIET: Duration = Duration::from_secs(1);
/// How much before and after the window is measured for comparison.
const COMPARED: Duration = Duration::from_secs(10);
/// How long after the end of a slot its counts are taken to be complete.
const LATE: Duration = Duration::from_millis(50);
/// How far before the first sign of trouble a window may begin: as long as the closing of idle
/// connections can go unnoticed under traffic.
const REACH_BACK: Duration = Duration::from_secs(1);
/// Without a single request for this long there is no traffic to settle.
const IDLE: Duration = Duration::from_secs(10);
/// How long after the first success elsewhere failures elsewhere are taken to be of the incident.
const SPREAD: Duration = Duration::from_secs(60);

/// Follows one incident's window.
#[derive(Debug)]
pub(crate) struct Window {
    /// Sums of whole slots up to `counted_to`.
    sums: WindowCounts,
    counted_to: Timestamp,
    /// The last time something failed, or the first success elsewhere.
    disturbed: Timestamp,
    /// When there was a request last, or when the story began.
    requested: Timestamp,
    /// Whether attempts still failed elsewhere when the window was closed for its length.
    is_unsettled: bool,
    /// What must be done next, and when.
    next: Option<Timestamp>,
}

impl Window {
    pub(crate) fn new(from: Timestamp, now: Timestamp) -> Self {
        Self {
            sums: WindowCounts::default(),
            counted_to: from,
            disturbed: now,
            requested: now,
            is_unsettled: false,
            next: Some(now + SLOT),
        }
    }

    /// Returns when [`Window::advance`] must be called next.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.next
    }

    /// Ends the window where its counts end: another story of the same backend begins.
    pub(crate) fn close(&mut self, incident: &mut Incident) {
        incident.window_to.get_or_insert(self.counted_to);
        self.next = None;
    }

    /// Notes that an attempt failed at `at` at another backend.
    pub(crate) fn disturbed_elsewhere(&mut self, incident: &mut Incident, at: Timestamp) {
        if incident.moments.serving.is_some_and(|serving| serving + SPREAD <= at) {
            self.is_unsettled = true;
        } else {
            self.disturbed(incident, at);
        }
    }

    /// Notes that traffic had not settled at `at`.
    pub(crate) fn disturbed(&mut self, incident: &mut Incident, at: Timestamp) {
        self.disturbed = self.disturbed.max(at);
        let counted = incident.window_to.take();
        if counted.is_some() {
            incident.moments.stable = None;
            incident.after = None;
        }
        self.next = Some(at + SLOT);
    }

    /// Counts what has passed, and closes the window if traffic has settled.
    pub(crate) fn advance(&mut self, incident: &mut Incident, timeline: &Timeline, now: Timestamp) {
        if let Some(to) = incident.window_to {
            self.look_after(incident, to, timeline, now);
            return;
        }
        let quiet_from = Timeline::ceil(self.disturbed);
        let end = quiet_from + QUIET;
        let is_served = incident.moments.serving.is_some();
        let has_settled = is_served && end + LATE <= now;
        self.count(if has_settled { end } else { now.minus(LATE) }, timeline, now);
        let is_idle = !is_served && self.requested + IDLE <= now;
        if has_settled || is_idle {
            incident.window_to = Some(self.counted_to);
            incident.moments.stable = (has_settled && !self.is_unsettled).then_some(quiet_from);
            self.next = Some(self.counted_to + COMPARED + LATE);
        } else {
            self.next = Some(now + SLOT);
        }
        incident.requests = Requests {
            total: self.sums.requests,
            rescued_by_retry: self.sums.rescued_by_retry,
            rescued_by_hedge: self.sums.rescued_by_hedge,
            lost: self.sums.lost,
            extra_attempts: self.sums.extra_attempts,
        };
        incident.during = summary(&self.sums);
    }

    /// Adds the whole slots up to `to`.
    fn count(&mut self, to: Timestamp, timeline: &Timeline, now: Timestamp) {
        let to = Timeline::floor(to);
        if self.counted_to < to {
            let counts = timeline.window(self.counted_to, to, now);
            if counts.requests != 0 {
                self.requested = self.requested.max(to);
            }
            self.sums.add(&counts);
            self.counted_to = to;
        }
    }

    /// Measures the time after the window, once it has passed.
    fn look_after(
        &mut self,
        incident: &mut Incident,
        to: Timestamp,
        timeline: &Timeline,
        now: Timestamp,
    ) {
        if self.next.is_some_and(|next| next <= now) {
            incident.after = summary(&timeline.window(to, to + COMPARED, now));
            self.next = None;
        }
    }
}

/// Returns where the window of a story begins of which the first sign was seen at `suspected`.
///
/// Usually that is the slot of the sign. But when a process ends, its idle connections close first,
/// and requests saved from those leave no sign, because idle connections close on good days too.
/// So the window reaches back over slots that end in the sign's and in each of which clients were
/// hit, up to a second.
pub(crate) fn beginning(timeline: &Timeline, suspected: Timestamp, now: Timestamp) -> Timestamp {
    let sign = Timeline::floor(suspected);
    let earliest = sign.minus(REACH_BACK);
    let mut from = sign;
    while earliest < from {
        let counts = timeline.window(from.minus(SLOT), from, now);
        if counts.rescued() + counts.lost == 0 {
            break;
        }
        from = from.minus(SLOT);
    }
    from
}

/// Measures the time before a window.
pub(crate) fn before(
    timeline: &Timeline,
    from: Timestamp,
    now: Timestamp,
) -> Option<LatencySummary> {
    summary(&timeline.window(from.minus(COMPARED), from, now))
}

fn summary(counts: &WindowCounts) -> Option<LatencySummary> {
    (counts.requests != 0).then(|| LatencySummary {
        requests: counts.requests,
        p50_seconds: counts.latencies.quantile(0.5),
        p99_seconds: counts.latencies.quantile(0.99),
    })
}
