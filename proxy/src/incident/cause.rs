//! What kind of failure an incident was.

use std::fmt;

use crate::event::{Evidence, FaultMode, Symptom};

/// The class of a failure, judged from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The process is gone: connections are refused, or broke off.
    Crash,
    /// The process holds connections and answers nothing.
    Hang,
    /// Answers come, too late.
    Slow,
    /// Answers come, and are errors.
    Errors,
    /// The network does not carry connections there.
    Partition,
    /// An operator injected a fault in the proxy.
    Injected,
    /// The evidence fits nothing above.
    Unknown,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 7] = [
        Self::Crash,
        Self::Hang,
        Self::Slow,
        Self::Errors,
        Self::Partition,
        Self::Injected,
        Self::Unknown,
    ];

    /// Judges by the evidence: what most of it speaks for; of equals, what was seen first.
    pub fn of(evidence: &[Evidence]) -> Self {
        let mut votes: Vec<(Self, usize)> = Vec::new();
        for vote in evidence.iter().map(|it| Self::spoken_for(it.symptom)) {
            match votes.iter_mut().find(|(cause, _)| *cause == vote) {
                Some((_, count)) => *count += 1,
                None => votes.push((vote, 1)),
            }
        }
        // `max_by_key` keeps the last of equals, so ask from the end for the first.
        votes
            .iter()
            .rev()
            .max_by_key(|(_, count)| *count)
            .map_or(Self::Unknown, |(cause, _)| *cause)
    }

    fn spoken_for(symptom: Symptom) -> Self {
        match symptom {
            Symptom::ConnectionRefused | Symptom::ConnectionClosed => Self::Crash,
            Symptom::ConnectTimedOut | Symptom::ConnectFailed => Self::Partition,
            Symptom::ResponseTimedOut => Self::Hang,
            Symptom::ErrorStatus(_) | Symptom::ResponseCut | Symptom::Garbage => Self::Errors,
            Symptom::Injected(FaultMode::Crash) => Self::Crash,
            Symptom::Injected(
                FaultMode::Refuse | FaultMode::Hang | FaultMode::Error | FaultMode::Slow,
            ) => Self::Injected,
        }
    }

    /// Returns the name used in the API, the log, the metrics and the page.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Hang => "hang",
            Self::Slow => "slow",
            Self::Errors => "errors",
            Self::Partition => "partition",
            Self::Injected => "injected",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Timestamp, event::Source};

    fn check(symptoms: &[Symptom], expected: Cause) {
        let evidence: Vec<Evidence> = symptoms
            .iter()
            .map(|&symptom| Evidence { at: Timestamp::ZERO, source: Source::Traffic, symptom })
            .collect();
        assert_eq!(Cause::of(&evidence), expected, "{symptoms:?}");
    }

    #[test]
    fn most_of_the_evidence_decides_and_of_equals_the_first() {
        check(&[], Cause::Unknown);
        check(&[Symptom::ConnectionClosed, Symptom::ConnectionRefused], Cause::Crash);
        check(&[Symptom::ResponseTimedOut, Symptom::ConnectionRefused], Cause::Hang);
        check(
            &[Symptom::ErrorStatus(500), Symptom::ResponseTimedOut, Symptom::ResponseTimedOut],
            Cause::Hang,
        );
        check(&[Symptom::Injected(FaultMode::Hang)], Cause::Injected);
    }
}
