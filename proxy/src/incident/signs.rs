//! What the signs of trouble of one backend add up to.
//!
//! A symptom alone speaks for one class of failure, and of all symptoms the one seen most often
//! prevails. Some classes take more than symptoms to tell apart from others:
//!
//! - A backend that *hangs* and one that is *slow* look alike to whoever gives up waiting. The slow
//!   one still answers those who wait longer, so an answer between two signs of trouble makes the
//!   difference. Answers that come in a burst when a stopped process goes on do not: no sign of
//!   trouble follows them.
//! - A network that carries nothing looks the same, too, to whoever waits on a connection that was
//!   made before. A new connection shows the difference: a process that hangs still gets it, from
//!   its kernel.
//! - A *grey* failure is one that checks do not see. So it takes a check that began and passed after
//!   traffic had failed, and none that failed.

use crate::{
    clock::Timestamp,
    event::{Evidence, FaultMode, Source, Symptom},
    incident::Cause,
    snapshot::Timeline,
};

/// Adds up the signs of trouble of one backend.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signs {
    first_at: Option<Timestamp>,
    /// How often each class was spoken for, in the order in which it first was.
    votes: Vec<(Cause, u32)>,
    has_failed_check: bool,
    has_passed_check: bool,
    /// From when on an answer shows that the backend is slow; `None` before it first was late.
    late_from: Option<Timestamp>,
    /// Whether it answered somebody after it had been late, and was late again.
    is_answering: bool,
    /// What an operator's order makes of it, whatever else is seen.
    ordered: Option<Cause>,
}

impl Signs {
    /// Takes in a sign of trouble of the backend at `index` of the timeline's pool.
    pub(crate) fn note(
        &mut self,
        evidence: Evidence,
        timeline: &Timeline,
        index: usize,
        now: Timestamp,
    ) {
        self.first_at.get_or_insert(evidence.at);
        let vote = spoken_for(evidence.symptom);
        match self.votes.iter_mut().find(|(cause, _)| *cause == vote) {
            Some((_, count)) => *count += 1,
            None => self.votes.push((vote, 1)),
        }
        self.has_failed_check |= evidence.source == Source::HealthCheck;
        if vote != Cause::Hang {
            return;
        }
        // Whole slots only: an answer in the slot of the first sign may have come before it.
        let to = Timeline::floor(evidence.at);
        match self.late_from {
            None => self.late_from = Some(Timeline::ceil(evidence.at)),
            Some(from) if from < to => {
                self.is_answering |= timeline.answers(from, to, now, index) != 0;
                self.late_from = Some(to);
            }
            Some(_) => {}
        }
    }

    /// Takes in that an operator's order took the backend out.
    pub(crate) fn ordered(&mut self, cause: Cause) {
        self.ordered = Some(cause);
    }

    /// Takes in that a health check passed that had begun at `began`.
    pub(crate) fn check_passed(&mut self, began: Timestamp) {
        self.has_passed_check |= self.first_at.is_some_and(|first| first <= began);
    }

    /// Judges: what most signs speak for; of equals, what was seen first.
    pub(crate) fn cause(&self) -> Cause {
        if let Some(cause) = self.ordered {
            return cause;
        }
        // `max_by_key` keeps the last of equals, so ask from the end for the first.
        let most = self.votes.iter().rev().max_by_key(|(_, count)| *count);
        let prevailing = most.map_or(Cause::Unknown, |(cause, _)| *cause);
        let is_late = prevailing == Cause::Hang;
        let is_unseen = self.has_passed_check && !self.has_failed_check;
        let is_cut_off = self.votes.iter().any(|(cause, _)| *cause == Cause::Partition);
        if is_late && self.is_answering {
            Cause::Slow
        } else if is_late && is_cut_off {
            Cause::Partition
        } else if is_unseen && (is_late || prevailing == Cause::Errors) {
            Cause::Grey
        } else {
            prevailing
        }
    }
}

fn spoken_for(symptom: Symptom) -> Cause {
    match symptom {
        Symptom::ConnectionRefused | Symptom::ConnectionClosed => Cause::Crash,
        Symptom::ConnectTimedOut
        | Symptom::NameUnknown
        | Symptom::TlsFailed
        | Symptom::BadCertificate
        | Symptom::ConnectFailed => Cause::Partition,
        Symptom::ResponseTimedOut | Symptom::Overstayed | Symptom::BackendLost => Cause::Hang,
        Symptom::OutOfLine => Cause::Slow,
        Symptom::ErrorStatus(_) | Symptom::Unexpected | Symptom::Garbage => Cause::Errors,
        Symptom::ResponseCut => Cause::Truncation,
        Symptom::Injected(FaultMode::Crash) => Cause::Crash,
        Symptom::Injected(
            FaultMode::Refuse
            | FaultMode::Blackhole
            | FaultMode::Hang
            | FaultMode::Reset
            | FaultMode::Truncate
            | FaultMode::Error
            | FaultMode::Slow,
        ) => Cause::Injected,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// Plays words, each 200 ms after the one before: `refused`, `closed`, `late`, `lost`, `500`, `cut`,
    /// `injected` are signs that traffic saw, with `check:` before them checks did; `pass` is a
    /// check that passed, `answer` an answer to a client.
    fn check(story: &str, expected: Cause) {
        let timeline = Timeline::new(1);
        let mut signs = Signs::default();
        for (turn, word) in story.split_whitespace().enumerate() {
            let now = at(1_050 + 200 * turn as u64);
            let (source, word) = match word.strip_prefix("check:") {
                Some(rest) => (Source::HealthCheck, rest),
                None => (Source::Traffic, word),
            };
            let symptom = match word {
                "pass" => {
                    signs.check_passed(now);
                    continue;
                }
                "answer" => {
                    timeline.record_answer(now, 0);
                    continue;
                }
                "refused" => Symptom::ConnectionRefused,
                "closed" => Symptom::ConnectionClosed,
                "late" => Symptom::ResponseTimedOut,
                "lost" => Symptom::ConnectTimedOut,
                "cut" => Symptom::ResponseCut,
                "injected" => Symptom::Injected(FaultMode::Hang),
                status => Symptom::ErrorStatus(status.parse().unwrap()),
            };
            signs.note(Evidence { at: now, began: now, source, symptom }, &timeline, 0, now);
        }
        assert_eq!(signs.cause(), expected, "{story}");
    }

    #[test]
    fn most_signs_decide_and_of_equals_the_first() {
        check("", Cause::Unknown);
        check("closed refused", Cause::Crash);
        check("late refused", Cause::Hang);
        check("500 late late", Cause::Hang);
        check("injected", Cause::Injected);
    }

    #[test]
    fn a_connection_that_is_not_made_makes_partition_out_of_hang() {
        check("late late check:lost late", Cause::Partition);
        check("late late check:late", Cause::Hang);
    }

    #[test]
    fn responses_that_break_off_are_truncation_whatever_checks_say() {
        check("cut 500 cut", Cause::Truncation);
        check("cut pass cut", Cause::Truncation);
    }

    #[test]
    fn errors_that_no_check_sees_are_grey() {
        check("500 pass 500", Cause::Grey);
        check("pass 500", Cause::Errors);
        check("late pass late", Cause::Grey);
        check("500 500", Cause::Errors);
        check("500 pass check:500", Cause::Errors);
        check("closed pass refused", Cause::Crash);
    }

    #[test]
    fn a_backend_that_is_late_and_answers_is_slow() {
        check("late answer check:late", Cause::Slow);
        check("late answer pass late", Cause::Slow);
        check("answer late check:late", Cause::Hang);
        // A stopped process that goes on answers everybody; nothing is late after that.
        check("late check:late answer answer pass", Cause::Hang);
    }
    proptest! {
        /// Signs of trouble, passed checks and answers, each so many milliseconds after the last.
        #[test]
        fn a_cause_is_one_that_was_spoken_for_or_made_of_it(
            facts in prop::collection::vec((0_u8..9, any::<bool>(), 0_u64..500), 0..60),
        ) {
            let timeline = Timeline::new(1);
            let mut signs = Signs::default();
            let (mut now, mut votes, mut has_failed_check) = (at(1_000), Vec::new(), false);
            for (kind, is_check, wait) in facts {
                now = now + std::time::Duration::from_millis(wait);
                let symptom = match kind {
                    0 => Symptom::ConnectionRefused,
                    1 => Symptom::ConnectTimedOut,
                    2 => Symptom::ResponseTimedOut,
                    3 => Symptom::ErrorStatus(500),
                    4 => Symptom::ResponseCut,
                    5 => Symptom::OutOfLine,
                    6 => Symptom::Injected(FaultMode::Slow),
                    7 => {
                        signs.check_passed(now);
                        continue;
                    }
                    _ => {
                        timeline.record_answer(now, 0);
                        continue;
                    }
                };
                let source = if is_check { Source::HealthCheck } else { Source::Traffic };
                has_failed_check |= is_check;
                votes.push(spoken_for(symptom));
                signs.note(Evidence { at: now, began: now, source, symptom }, &timeline, 0, now);
            }
            let cause = signs.cause();
            let count = |cause: Cause| votes.iter().filter(|it| **it == cause).count();
            let most = votes.iter().map(|it| count(*it)).max().unwrap_or(0);
            match cause {
                Cause::Unknown => prop_assert!(votes.is_empty()),
                Cause::Grey => prop_assert!(
                    !has_failed_check && (count(Cause::Hang) == most || count(Cause::Errors) == most)
                ),
                Cause::Slow | Cause::Partition => {
                    prop_assert!(count(cause) == most || count(Cause::Hang) == most);
                }
                Cause::Crash
                | Cause::Hang
                | Cause::Errors
                | Cause::Truncation
                | Cause::Injected
                | Cause::Drained
                | Cause::Manual => prop_assert_eq!(count(cause), most),
            }
        }
    }
}
