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
        for _ in 0..60 {
            times.learn(kind, Duration::from_millis(1));
        }
        times.digest();
        assert_eq!(patience(&times, kind, &policy), Some(policy.floor));
        for _ in 0..60 {
            times.learn(kind, Duration::from_millis(100));
        }
        times.digest();
        assert!(Duration::from_millis(400) <= patience(&times, kind, &policy).unwrap());
        let off = SuspicionPolicy { is_enabled: false, ..policy };
        assert_eq!(patience(&times, kind, &off), None);
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
