//! Suspicion: what makes a backend distrusted, and what it takes to be trusted again.
//!
//! A suspected backend stays eligible, as the last resort, but whoever can goes elsewhere. That
//! costs nothing while others are trusted, so the first sign is enough; and it must end by itself,
//! because a backend that is asked nothing can prove nothing. Who raised the suspicion decides what
//! ends it:
//!
//! - **Checks alone**: two passes in a row. Two, so that a single lucky pass does not.
//! - **Traffic** (a failed attempt, or one that overstayed): checks ask one question, and traffic
//!   has just found another that they do not ask. So a pass does not acquit; it only shows that it
//!   is worth trying. From then on single requests are let through, one at a time, and three of them
//!   answered in time do acquit. With the fast interval at its default that takes a quarter of a
//!   second. If nobody comes to be tried and checks pass throughout, there is no traffic to ask and
//!   no traffic to harm: the suspicion ends, too. A trial that somebody has come for and still waits
//!   on is not silence: after as long a time another is granted, and when nobody comes for that one,
//!   the first still speaks against the backend.
//! - **An ejection that has run out** (probation): the same trials, and none may fail.
//!
//! Only an attempt that began after the latest turn says anything of what came after it: requests
//! that one hiccup caught fail, or overstay, long after everything is well again, and neither
//! prolong the suspicion nor raise it anew. A success counts only while a trial is granted, and one
//! for each, whether the request was the one let through or, where nobody is trusted, any other.
//!
//! A backend that fails its second trial, or gives trouble soon after it was acquitted, is not
//! unlucky but ill in a way that checks do not see: [`Ruling`] says so, and it is ejected if the
//! pool can do without it. Of attempts that overstayed it takes one acquittal more: a machine that is
//! busy may hold a backend up twice, and nobody failed by it. A trial that overstays has not failed by that: the backend may have become
//! slower for good, and is well. It has when it is not answered by the time at which another is
//! granted; that is told by the next one that overstays.

use std::time::Duration;

use crate::clock::Timestamp;

/// Passes of health checks in a row that end a suspicion which checks alone have raised, and that
/// must have been seen before silence ends one.
const PASSES: u32 = 2;
/// Trials answered in time that end a suspicion which traffic has raised.
const PROOFS: u32 = 3;
/// Trials answered at all that do so: a backend that is slow and never fails is as it is. Whether it
/// is too slow for its tier is decided by comparing it with the others.
const ANSWERS: u32 = 10;
/// Trials that may fail before the backend is convicted.
const STRIKES: u32 = 2;
/// How long a trial waits for a request before it counts as not wanted, and a request for its answer
/// before another is tried. Longer than a trial is kept for requests that may be repeated, so that a
/// pool that gets no others is tried, too.
const SILENCE: Duration = Duration::from_millis(1_500);
/// How long a trial that is not answered keeps silence from being taken for a good sign. Its client may
/// have gone away, and then it never will be.
const WAITED: Duration = Duration::from_secs(30);
/// Trouble that comes this soon after an acquittal makes a repeat offender.
const REPEAT: Duration = Duration::from_secs(10);
/// How often it may come in the shape of attempts that overstay, and no more than that.
const OVERSTAYS: u32 = 1;

/// Follows the trust in one backend.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Suspicion {
    doubt: Doubt,
    /// When a suspicion raised by traffic last ended well.
    acquitted: Option<Timestamp>,
    /// Suspicions in a row that traffic raised soon after the one before had ended well.
    repeats: u32,
}

#[derive(Clone, Copy, Debug, Default)]
enum Doubt {
    #[default]
    None,
    /// Checks alone have raised it.
    Checks,
    /// Traffic has raised it, or an ejection is just over.
    Traffic(Inquiry),
}

/// What is still to be found out.
#[derive(Clone, Copy, Debug)]
struct Inquiry {
    grounds: Grounds,
    /// The latest trouble that traffic gave. Attempts that began before say nothing.
    since: Timestamp,
    /// Since the latest trouble: checks passed in a row, trials answered in time, and at all.
    passes: u32,
    proofs: u32,
    answers: u32,
    /// Trials failed.
    strikes: u32,
    /// Trials that were taken before this moment and overstayed are among them.
    struck: Timestamp,
    /// When a trial was taken of which nothing has been heard, and no other has been answered.
    waiting: Option<Timestamp>,
    trial: Trial,
    /// When the first trial was granted since the latest trouble. Any that was may fail yet, also
    /// one that has been answered: its response breaks off.
    tried: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grounds {
    Accusation,
    Probation,
}

/// The one request that may try the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    /// None, before a check has passed.
    Withheld,
    /// To be granted at this moment.
    Due(Timestamp),
    /// Granted at this moment. A request will take it.
    Granted(Timestamp),
    /// A request has taken it, and waits.
    Taken {
        granted: Timestamp,
        /// When it was taken.
        at: Timestamp,
        /// Whether the wait is out of line.
        has_overstayed: bool,
    },
}

/// What a failed attempt means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// Nothing: it began before the latest turn.
    Stale,
    /// The backend is suspected, for the first time or still.
    Noted,
    /// Suspected again, soon after it was acquitted.
    Repeated,
    /// Guilty: its trials fail.
    Convicted,
}

impl Suspicion {
    /// Tells whether nothing speaks against the backend.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self.doubt, Doubt::None)
    }

    /// Tells whether successes must be heard of.
    pub(crate) fn wants_successes(&self) -> bool {
        matches!(self.doubt, Doubt::Traffic(_))
    }

    /// Tells whether a request may try the backend.
    pub(crate) fn has_trial(&self) -> bool {
        matches!(self.doubt, Doubt::Traffic(Inquiry { trial: Trial::Granted(_), .. }))
    }

    /// Begins a probation.
    pub(crate) fn readmitted(&mut self, now: Timestamp) {
        let inquiry = Inquiry::new(Grounds::Probation, now);
        // Its checks pass, or it would not be eligible.
        self.doubt = Doubt::Traffic(Inquiry { trial: Trial::Due(now), ..inquiry });
    }

    /// Forgets everything: the backend was lost, or checks have seen its trouble come and go.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Takes in a passed check, the last of `passes` in a row.
    pub(crate) fn check_passed(&mut self, passes: u32, now: Timestamp) {
        match &mut self.doubt {
            Doubt::None => {}
            Doubt::Checks => {
                if PASSES <= passes {
                    self.doubt = Doubt::None;
                }
            }
            Doubt::Traffic(inquiry) => {
                inquiry.passes = inquiry.passes.saturating_add(1);
                if inquiry.trial == Trial::Withheld {
                    inquiry.trial = Trial::Due(now);
                }
                self.handle_deadline(now);
            }
        }
    }

    /// Takes in a failed check.
    pub(crate) fn check_failed(&mut self) {
        match &mut self.doubt {
            Doubt::None => self.doubt = Doubt::Checks,
            Doubt::Checks => {}
            Doubt::Traffic(inquiry) => inquiry.start_over(),
        }
    }

    /// Takes in that a request has taken the trial at `at`.
    pub(crate) fn trial_taken(&mut self, at: Timestamp) {
        if let Doubt::Traffic(inquiry) = &mut self.doubt {
            inquiry.taken(at, false);
        }
    }

    /// Takes in that an attempt, which began at `began`, waits out of line.
    pub(crate) fn overstayed(&mut self, began: Timestamp, now: Timestamp) -> Ruling {
        match &mut self.doubt {
            Doubt::Traffic(inquiry) => inquiry.overstayed(began),
            Doubt::None | Doubt::Checks => match self.attempt_failed(began, now) {
                Ruling::Repeated if self.repeats <= OVERSTAYS => Ruling::Noted,
                ruling @ (Ruling::Repeated | Ruling::Stale | Ruling::Noted | Ruling::Convicted) => {
                    ruling
                }
            },
        }
    }

    /// Takes in that an attempt, which began at `began`, failed.
    pub(crate) fn attempt_failed(&mut self, began: Timestamp, now: Timestamp) -> Ruling {
        if let Doubt::Traffic(inquiry) = &mut self.doubt {
            return inquiry.attempt_failed(began, now);
        }
        if self.acquitted.is_some_and(|at| began < at) {
            return Ruling::Stale;
        }
        self.doubt = Doubt::Traffic(Inquiry::new(Grounds::Accusation, now));
        if self.acquitted.is_some_and(|at| now.since(at) < REPEAT) {
            self.repeats = self.repeats.saturating_add(1);
            Ruling::Repeated
        } else {
            self.repeats = 0;
            Ruling::Noted
        }
    }

    /// Takes in that an attempt, which began at `began`, was answered at `now`; `in_time` is how
    /// long it may have taken, `spacing` how far apart trials are.
    pub(crate) fn attempt_succeeded(
        &mut self,
        began: Timestamp,
        in_time: Duration,
        spacing: Duration,
        now: Timestamp,
    ) {
        let Doubt::Traffic(inquiry) = &mut self.doubt else { return };
        let (Trial::Granted(granted) | Trial::Taken { granted, .. }) = inquiry.trial else {
            return;
        };
        if inquiry.tried.is_none_or(|first| began < first) {
            return;
        }
        inquiry.waiting = None;
        inquiry.answers += 1;
        inquiry.proofs += u32::from(now.since(began) <= in_time);
        inquiry.trial = Trial::Due(granted + spacing);
        if PROOFS <= inquiry.proofs || ANSWERS <= inquiry.answers {
            self.acquit(now);
        }
    }

    /// Returns when [`Suspicion::handle_deadline`] must be called next.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let Doubt::Traffic(inquiry) = &self.doubt else { return None };
        match inquiry.trial {
            Trial::Withheld => None,
            Trial::Due(at) => Some(at),
            // Before that, the next pass tells.
            Trial::Granted(at) => (PASSES <= inquiry.passes).then(|| at + SILENCE),
            Trial::Taken { at, .. } => Some(at + SILENCE),
        }
    }

    /// Grants a trial that is due, or ends a suspicion that nobody comes to bear out.
    pub(crate) fn handle_deadline(&mut self, now: Timestamp) {
        if self.deadline().is_none_or(|at| now < at) {
            return;
        }
        let Doubt::Traffic(inquiry) = &mut self.doubt else { return };
        match inquiry.trial {
            Trial::Granted(_) if inquiry.waiting.is_none_or(|at| WAITED <= now.since(at)) => {
                return self.acquit(now);
            }
            Trial::Taken { has_overstayed: true, .. } => {
                inquiry.strikes += 1;
                inquiry.struck = now;
            }
            Trial::Granted(_) | Trial::Taken { .. } | Trial::Withheld | Trial::Due(_) => {}
        }
        inquiry.trial = Trial::Granted(now);
        inquiry.tried.get_or_insert(now);
    }

    fn acquit(&mut self, now: Timestamp) {
        self.doubt = Doubt::None;
        self.acquitted = Some(now);
    }
}

impl Inquiry {
    fn new(grounds: Grounds, now: Timestamp) -> Self {
        Self {
            grounds,
            since: now,
            passes: 0,
            proofs: 0,
            answers: 0,
            strikes: 0,
            struck: now,
            waiting: None,
            trial: Trial::Withheld,
            tried: None,
        }
    }

    fn attempt_failed(&mut self, began: Timestamp, now: Timestamp) -> Ruling {
        self.waiting = self.waiting.filter(|&at| began < at);
        if began < self.since {
            return Ruling::Stale;
        }
        let is_trial = self.tried.is_some_and(|at| at <= began);
        if is_trial && began < self.struck {
            // It has been counted already, and others are under way.
            return self.ruling();
        }
        self.strikes += u32::from(is_trial);
        self.start_over();
        self.since = now;
        self.ruling()
    }

    fn overstayed(&mut self, began: Timestamp) -> Ruling {
        if began < self.since {
            return Ruling::Stale;
        }
        self.taken(began, true);
        self.ruling()
    }

    /// Notes that a request has taken the trial, if that is still news; or waits out of line.
    fn taken(&mut self, at: Timestamp, has_overstayed: bool) {
        match &mut self.trial {
            Trial::Granted(granted) if *granted <= at => {
                self.trial = Trial::Taken { granted: *granted, at, has_overstayed };
                self.waiting.get_or_insert(at);
            }
            Trial::Taken { granted, has_overstayed: known, .. } if *granted <= at => {
                *known |= has_overstayed;
            }
            Trial::Granted(_) | Trial::Taken { .. } | Trial::Withheld | Trial::Due(_) => {}
        }
    }

    fn ruling(&self) -> Ruling {
        let allowed = match self.grounds {
            Grounds::Accusation => STRIKES,
            Grounds::Probation => 1,
        };
        if allowed <= self.strikes { Ruling::Convicted } else { Ruling::Noted }
    }

    /// Forgets what spoke for the backend.
    fn start_over(&mut self) {
        self.passes = 0;
        self.proofs = 0;
        self.answers = 0;
        self.trial = Trial::Withheld;
        self.tried = None;
    }
}

#[cfg(test)]
mod tests;
