//! Suspicion: has a request waited out of line?
//!
//! A backend that hangs says nothing, so nothing is learned from it until a timeout; and a timeout
//! that never cuts off a slow answer is far longer than clients should wait. What tells a hang
//! early is a wait that is long *for this kind of request at this backend*, while the backend
//! answers *nobody*. Either alone is common in health:
//!
//! - A slow URL beside quick ones waits long, but the backend keeps answering the others; and once
//!   it has been seen a few times, its own time is known.
//! - A stream or a long poll waits long by nature: its kind is known to take that long, or is not
//!   known at all, and what is not known is not judged. A cold start is the same.
//! - When the proxy itself was held up, its timers are late, and answers may lie unread: a wait
//!   that is noticed late is given more time instead of being judged.
//!
//! Overstaying is suspicion, not failure: the request may still be answered, and a wrong suspicion
//! costs a second attempt at most.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    model::SuspicionPolicy,
    snapshot::{Kind, Times},
};

/// Returns how long a request of this kind may wait before the wait is judged; `None` if it never
/// is.
pub fn patience(times: &Times, kind: Kind, policy: &SuspicionPolicy) -> Option<Duration> {
    if !policy.is_enabled {
        return None;
    }
    let longest = times.longest(kind)?;
    Some(longest.mul_f64(policy.factor).max(policy.floor))
}

/// Tells whether an answer, which took so long, shows that what is known of its kind is out of date:
/// it came after the patience with it had ended, but not as late as if something were wrong.
pub fn is_disproof(times: &Times, kind: Kind, took: Duration, policy: &SuspicionPolicy) -> bool {
    patience(times, kind, policy)
        .is_some_and(|patience| patience < took && took <= patience.mul_f64(policy.factor))
}

/// What to think of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is out of line: the backend is to be suspected.
    Overstayed,
    /// Nothing can be said yet; judge again at this moment.
    WaitUntil(Timestamp),
}

/// Judges, at `now`, a wait that began at `began` and was to be judged at `due`.
pub fn judge(
    began: Timestamp,
    due: Timestamp,
    patience: Duration,
    last_answer: Timestamp,
    now: Timestamp,
) -> Verdict {
    // A timer this late was held up with everything else in this process.
    if patience / 4 < now.since(due) {
        return Verdict::WaitUntil(now + patience);
    }
    let silent_since = began.max(last_answer);
    if now.since(silent_since) < patience {
        return Verdict::WaitUntil(silent_since + patience);
    }
    Verdict::Overstayed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::sample;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    const PATIENCE: Duration = Duration::from_millis(50);

    #[test]
    fn what_is_not_known_is_not_judged() {
        let policy = sample::pool("api", &[(0, 1)]).suspicion;
        let (times, kind) = (Times::default(), Kind::of(0, "GET", "/"));
        assert_eq!(patience(&times, kind, &policy), None);
        let learn = |millis| {
            for _ in 0..60 {
                times.learn(kind, Duration::from_millis(millis), at(1));
            }
            times.digest();
        };
        learn(1);
        assert_eq!(patience(&times, kind, &policy), Some(policy.floor));
        times.forget();
        learn(100);
        assert!(Duration::from_millis(400) <= patience(&times, kind, &policy).unwrap());
        let off = SuspicionPolicy { is_enabled: false, ..policy };
        assert_eq!(patience(&times, kind, &off), None);
    }

    #[test]
    fn an_answer_that_is_a_little_too_late_disproves_what_is_known() {
        let policy = sample::pool("api", &[(0, 1)]).suspicion;
        let (times, kind) = (Times::default(), Kind::of(0, "GET", "/"));
        let is_disproof =
            |millis| is_disproof(&times, kind, Duration::from_millis(millis), &policy);
        assert!(!is_disproof(1_000), "nothing is known yet");
        for _ in 0..60 {
            times.learn(kind, Duration::from_millis(1), at(1));
        }
        times.digest();
        let patience = u64::try_from(policy.floor.as_millis()).unwrap();
        assert_eq!(
            [patience, patience + 1, patience * 4, patience * 4 + 1].map(is_disproof),
            [false, true, true, false]
        );
    }

    proptest! {
        /// However often it is judged again: only who has been silent for as long as a request has
        /// waited for its patience is suspected, and never by a timer that was held up.
        #[test]
        fn nobody_is_suspected_who_answers_or_whose_judge_was_held_up(
            patience in 4_u64..2_000,
            answers in prop::collection::vec(0_u64..10_000, 0..20),
            lates in prop::collection::vec(0_u64..3_000, 1..40),
        ) {
            let (began, patience) = (at(1_000), Duration::from_millis(patience));
            let (mut due, mut now) = (began + patience, began);
            for late in lates {
                now = now.max(due) + Duration::from_millis(late);
                let answered = answers.iter().map(|&it| at(it)).filter(|&it| it <= now).max();
                let last_answer = answered.unwrap_or_default();
                match judge(began, due, patience, last_answer, now) {
                    Verdict::Overstayed => {
                        prop_assert!(now.since(due) <= patience / 4);
                        prop_assert!(patience <= now.since(began.max(last_answer)));
                        return Ok(());
                    }
                    Verdict::WaitUntil(at) => {
                        prop_assert!(now < at, "a judge that does not wait spins");
                        due = at;
                    }
                }
            }
        }
    }

    #[test]
    fn a_silent_backend_is_suspected_when_the_wait_is_out_of_line() {
        assert_eq!(judge(at(100), at(150), PATIENCE, at(90), at(150)), Verdict::Overstayed);
    }

    #[test]
    fn a_backend_that_answers_others_is_not() {
        let verdict = judge(at(100), at(150), PATIENCE, at(140), at(150));
        assert_eq!(verdict, Verdict::WaitUntil(at(190)));
    }

    #[test]
    fn a_wait_noticed_late_gets_more_time() {
        let verdict = judge(at(100), at(150), PATIENCE, at(90), at(400));
        assert_eq!(verdict, Verdict::WaitUntil(at(450)));
    }
}
