//! What is known of the attempts of a request, and what they are called in a trace.

use crate::{
    clock::Timestamp,
    event::{AttemptOutcome, Symptom},
    model::BackendId,
    wire::trace_context::TraceParent,
};

/// Attempts of one request of which details are kept; more are only counted. By default there are
/// three at most.
pub const DETAILED: usize = 6;

/// What is known of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// Where it was made.
    pub backend: BackendId,
    /// Its number among the request's, from 1.
    pub number: u32,
    /// What it was made for.
    pub role: Role,
    /// Whether it was the trial of a suspected backend.
    pub is_trial: bool,
    /// Whether it went on when its request had been answered.
    pub is_heard_out: bool,
    /// When it began.
    pub began: Timestamp,
    /// When it had a connection, and whether that was an old one.
    pub connected: Option<(Timestamp, bool)>,
    /// When all of the request had been sent.
    pub sent: Option<Timestamp>,
    /// When the first of the response came.
    pub first_byte: Option<Timestamp>,
    /// When its wait was out of line.
    pub overstayed: Option<Timestamp>,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<AttemptOutcome>,
    /// What was wrong, also where that is not held against the backend.
    pub symptom: Option<Symptom>,
}

/// What an attempt was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The first of its request.
    First,
    /// After another had failed or was given up.
    Retry,
    /// Beside another that had overstayed.
    Hedge,
    /// To send a copy whose answer nobody gets.
    Mirror,
}

impl Role {
    /// Returns the name used in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Retry => "retry",
            Self::Hedge => "hedge",
            Self::Mirror => "mirror",
        }
    }
}

/// The attempts of a request, in the order in which they began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempts {
    list: [Option<AttemptRecord>; DETAILED],
}

impl Attempts {
    /// Returns those that details are kept of.
    pub fn iter(&self) -> impl Iterator<Item = &AttemptRecord> {
        self.list.iter().flatten()
    }

    /// Returns the attempt of that number.
    pub(crate) fn numbered(&mut self, number: u32) -> Option<&mut AttemptRecord> {
        self.list.iter_mut().flatten().find(|it| it.number == number)
    }

    pub(crate) fn push(&mut self, attempt: AttemptRecord) {
        if let Some(place) = self.list.iter_mut().find(|it| it.is_none()) {
            *place = Some(attempt);
        }
    }
}

/// Where a request stands in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracePlace {
    /// Names the trace.
    pub trace: u128,
    /// Names the request within it.
    pub span: u64,
    /// What the request was sent from, if that is known.
    pub parent: Option<u64>,
    /// As in `traceparent`.
    pub flags: u8,
}

impl TracePlace {
    /// Returns what names the attempt of that number; that of a copy has the number 0.
    pub fn attempt(&self, number: u32) -> u64 {
        // Spread over all bits, so that no two attempts of two requests are likely to be called alike
        // (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
        let mut mixed =
            self.span ^ u64::from(number).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).max(1)
    }

    /// Returns what the attempt of that number tells its backend.
    pub fn parent_for(&self, number: u32) -> TraceParent {
        TraceParent { trace: self.trace, span: self.attempt(number), flags: self.flags }
    }
}
