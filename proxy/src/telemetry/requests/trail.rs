//! The trail of a request: what each of its attempts did, and when.
//!
//! It is kept only where somebody asks for it, the access log or tracing; then it is one allocation
//! of fixed size. The request's task writes into it, and those that outlive the request: a trial that
//! is heard out, a copy that is mirrored. Whoever lets go of it last hands it on to be traced, so
//! that nobody waits for the others and nothing is missing.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::{
    clock::{self, Timestamp},
    event::{AttemptOutcome, Symptom},
    model::BackendId,
    retry::Connection,
    telemetry::requests::{
        attempts::{AttemptRecord, Attempts, Role, TracePlace},
        queue::Queue,
        record::Record,
    },
    wire::trace_context::TraceParent,
};

/// A request that is to be traced, and what has become of all of its attempts.
#[derive(Debug)]
pub struct Traced {
    /// The request.
    pub record: Arc<Record>,
    /// Its attempts, those included that went on after it.
    pub attempts: Attempts,
}

/// The trail of one request.
#[derive(Debug)]
pub struct Trail {
    /// Where it stands in a trace, if requests are traced.
    pub place: Option<TracePlace>,
    notes: Mutex<Notes>,
    /// What is to be traced of it, once its request is over; nothing if it is not.
    traced: OnceLock<(Arc<Record>, Arc<Queue<Traced>>)>,
}

#[derive(Debug, Default)]
struct Notes {
    attempts: Attempts,
    first_byte: Option<Timestamp>,
}

impl Trail {
    /// Begins one.
    pub fn new(place: Option<TracePlace>) -> Self {
        Self { place, notes: Mutex::default(), traced: OnceLock::new() }
    }

    /// Notes that the client is being answered.
    pub fn answering(&self, now: Timestamp) {
        self.notes().first_byte.get_or_insert(now);
    }

    /// Returns what has been noted of the attempts, and when the client was answered.
    pub fn seen(&self) -> (Attempts, Option<Timestamp>) {
        let notes = self.notes();
        (notes.attempts, notes.first_byte)
    }

    /// Has `record` traced with what is known of the attempts, once all of them are over.
    pub fn trace(&self, record: Arc<Record>, queue: Arc<Queue<Traced>>) {
        _ = self.traced.set((record, queue));
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        if let Some((record, queue)) = self.traced.take() {
            let attempts = self.notes().attempts;
            let spans = 1 + attempts.iter().count() as u64;
            queue.offer(Traced { record, attempts }, spans);
        }
    }
}

/// The place of one attempt in the trail of its request, if there is a trail.
#[derive(Clone, Debug, Default)]
pub struct Mark(Option<(Arc<Trail>, u32)>);

impl Mark {
    /// Notes that an attempt begins.
    pub fn begin(
        trail: &Arc<Trail>,
        (backend, number): (BackendId, u32),
        role: Role,
        is_trial: bool,
        began: Timestamp,
    ) -> Self {
        trail.notes().attempts.push(AttemptRecord {
            backend,
            number,
            role,
            is_trial,
            is_heard_out: false,
            began,
            connected: None,
            sent: None,
            first_byte: None,
            overstayed: None,
            ended: None,
            outcome: None,
            symptom: None,
        });
        Self(Some((Arc::clone(trail), number)))
    }

    /// Returns what the attempt tells its backend of the trace.
    pub fn parent(&self) -> Option<TraceParent> {
        let (trail, number) = self.0.as_ref()?;
        Some(trail.place?.parent_for(*number))
    }

    /// Notes that the attempt is a second one beside another.
    pub fn hedges(&self) {
        self.note(|it, _| it.role = Role::Hedge);
    }

    /// Notes that it has a connection.
    pub fn connected(&self, connection: Connection) {
        let is_reused = connection == Connection::Reused;
        self.note(|it, now| it.connected = Some((now, is_reused)));
    }

    /// Notes that all of the request has been sent.
    pub fn sent(&self) {
        self.note(|it, now| _ = it.sent.get_or_insert(now));
    }

    /// Notes that the response begins.
    pub fn answered(&self) {
        self.note(|it, now| _ = it.first_byte.get_or_insert(now));
    }

    /// Notes that the wait is out of line.
    pub fn overstayed(&self) {
        self.note(|it, now| _ = it.overstayed.get_or_insert(now));
    }

    /// Notes that the attempt goes on though its request has been answered.
    pub fn heard_out(&self) {
        self.note(|it, _| it.is_heard_out = true);
    }

    /// Notes what was wrong.
    pub fn failed(&self, symptom: Symptom) {
        self.note(|it, _| it.symptom = Some(symptom));
    }

    /// Notes how it ended.
    pub fn ended(&self, outcome: AttemptOutcome) {
        self.note(|it, now| {
            (it.ended, it.outcome) = (Some(now), Some(outcome));
            if let AttemptOutcome::Failed(symptom) = outcome {
                it.symptom = Some(symptom);
            }
        });
    }

    /// Notes that the last of its response has been passed on.
    pub fn delivered(&self) {
        self.note(|it, now| it.ended = Some(now));
    }

    fn note(&self, note: impl FnOnce(&mut AttemptRecord, Timestamp)) {
        let Some((trail, number)) = &self.0 else { return };
        let now = clock::now();
        let mut notes = trail.notes();
        if let Some(attempt) = notes.attempts.numbered(*number) {
            note(attempt, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PoolId;

    const PLACE: TracePlace = TracePlace { trace: 1, span: 2, parent: None, flags: 1 };

    fn begin(trail: &Arc<Trail>, number: u32) -> Mark {
        let backend = BackendId { pool: PoolId(0), index: 0 };
        let now = Timestamp::from_millis(1);
        Mark::begin(trail, (backend, number), Role::First, false, now)
    }

    #[test]
    fn no_two_attempts_are_called_alike() {
        let all: std::collections::BTreeSet<u64> = (0..1000).map(|it| PLACE.attempt(it)).collect();
        assert_eq!(all.len(), 1000);
        assert!(!all.contains(&PLACE.span) && !all.contains(&0));
    }

    #[test]
    fn an_attempt_tells_of_itself() {
        let trail = Arc::new(Trail::new(Some(PLACE)));
        let parent = begin(&trail, 2).parent().unwrap();
        assert_eq!((parent.trace, parent.span, parent.flags), (1, PLACE.attempt(2), 1));
        assert_eq!(Mark::default().parent(), None);
        assert_eq!(begin(&Arc::new(Trail::new(None)), 1).parent(), None);
    }

    #[test]
    fn attempts_beyond_the_bound_are_not_detailed_and_disturb_nobody() {
        let trail = Arc::new(Trail::new(None));
        let marks: Vec<Mark> = (1..=10).map(|number| begin(&trail, number)).collect();
        for mark in &marks {
            mark.ended(AttemptOutcome::Answered { status: 200 });
        }
        let (attempts, _) = trail.seen();
        let numbers: Vec<u32> = attempts.iter().map(|it| it.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
        assert!(attempts.iter().all(|it| it.outcome.is_some()));
    }
}
