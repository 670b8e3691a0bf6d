//! Requests that wait until a backend of their pool has room: first come, first served.
//!
//! A slot is one attempt under way at one backend, counted where balancing reads it. Who gives a
//! slot back wakes the first in the queue, who picks again by itself; being woken promises nothing.
//! No wake-up is lost: one side frees a slot and then looks for somebody who waits, the other queues
//! up and then looks for a slot, and a fence on either side lets at least one of them see the other.
//! Who leaves the queue, for whatever reason, hands on to the next; who finds everything full does
//! not, so that one free slot does not wake everybody.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
            fence,
        },
    },
};

use tokio::sync::Notify;

/// The queue of one pool.
#[derive(Debug)]
pub struct Queue {
    /// Attempts that may be under way at each backend.
    slots: AtomicU64,
    /// Requests that may wait.
    bound: AtomicUsize,
    /// Locked for the time of a few comparisons, and only while all backends are full.
    places: Mutex<VecDeque<Arc<Place>>>,
    /// How many wait, for those who only want to know whether anybody does.
    length: AtomicUsize,
    /// How many of them could use a slot that those before them cannot.
    choosy: AtomicUsize,
}

#[derive(Debug)]
struct Place {
    /// Remembers one wake-up that nobody has waited for yet.
    bell: Notify,
    is_choosy: bool,
}

/// A place in a queue, given up when dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    queue: &'a Queue,
    place: Arc<Place>,
}

impl Queue {
    pub(crate) fn new(slots: u64, bound: usize) -> Self {
        Self {
            slots: AtomicU64::new(slots),
            bound: AtomicUsize::new(bound),
            places: Mutex::default(),
            length: AtomicUsize::new(0),
            choosy: AtomicUsize::new(0),
        }
    }

    /// Returns how many attempts may be under way at each backend.
    pub fn slots(&self) -> u64 {
        self.slots.load(Relaxed)
    }

    /// Takes over the bounds of another queue, which it will be used in place of.
    pub(crate) fn adjust(&self, other: &Self) {
        self.slots.store(other.slots(), Relaxed);
        self.bound.store(other.bound.load(Relaxed), Relaxed);
    }

    /// Returns how many requests wait.
    pub fn len(&self) -> usize {
        self.length.load(Relaxed)
    }

    /// Tells whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the last place. `None` when the queue is full. `is_choosy` is for requests that cannot
    /// use every slot, because they have tried some backends before.
    ///
    /// Whoever joins must then look for a free slot once more, and [`Queue::wake_first`] if there is
    /// one.
    pub fn join(&self, is_choosy: bool) -> Option<Turn<'_>> {
        let place = Arc::new(Place { bell: Notify::new(), is_choosy });
        {
            let mut places = lock(&self.places);
            if self.bound.load(Relaxed) <= places.len() {
                return None;
            }
            places.push_back(Arc::clone(&place));
            self.length.store(places.len(), Relaxed);
        }
        if is_choosy {
            self.choosy.fetch_add(1, Relaxed);
        }
        fence(SeqCst);
        Some(Turn { queue: self, place })
    }

    /// Says that a slot has been given back.
    pub fn freed(&self) {
        fence(SeqCst);
        if !self.is_empty() {
            self.wake_first();
        }
    }

    /// Wakes the first in the queue.
    pub fn wake_first(&self) {
        if let Some(first) = lock(&self.places).front() {
            first.bell.notify_one();
        }
    }

    /// Tells whether somebody waits who could use a slot that others cannot.
    pub fn has_choosy(&self) -> bool {
        self.choosy.load(Relaxed) != 0
    }
}

impl Turn<'_> {
    /// Waits until it is worth while to look for a free slot.
    pub async fn called(&self) {
        self.place.bell.notified().await;
    }

    /// Wakes the next, because there is a free slot which this one cannot use.
    pub fn pass_on(&self) {
        let places = lock(&self.queue.places);
        let own = places.iter().position(|it| Arc::ptr_eq(it, &self.place));
        if let Some(next) = own.and_then(|at| places.get(at + 1)) {
            next.bell.notify_one();
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let queue = self.queue;
        if self.place.is_choosy {
            queue.choosy.fetch_sub(1, Relaxed);
        }
        let mut places = lock(&queue.places);
        let Some(own) = places.iter().position(|it| Arc::ptr_eq(it, &self.place)) else { return };
        places.remove(own);
        queue.length.store(places.len(), Relaxed);
        // There may have been more than one slot, and this one may have been woken for nothing.
        if let Some(next) = places.get(own) {
            next.bell.notify_one();
        }
    }
}

/// A thread that panicked while it held the lock has left the list whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;

    fn is_called(turn: &Turn<'_>) -> bool {
        turn.called().now_or_never().is_some()
    }

    #[test]
    fn who_came_first_is_called_first_and_only_as_many_as_slots_are_freed() {
        let queue = Queue::new(1, 3);
        let turns = [(); 3].map(|()| queue.join(false).unwrap());
        assert!(queue.join(false).is_none());
        queue.freed();
        assert_eq!(turns.each_ref().map(is_called), [true, false, false]);
        let [first, second, third] = turns;
        // It got the slot, and cannot know whether there are more.
        drop(first);
        assert_eq!([is_called(&second), is_called(&third)], [true, false]);
        assert_eq!(queue.len(), 2);
        assert!(queue.join(false).is_some());
    }

    #[test]
    fn a_wake_up_is_handed_on_by_who_leaves_and_by_who_cannot_use_it() {
        let queue = Queue::new(1, 9);
        let [first, second, third] = [(); 3].map(|()| queue.join(false).unwrap());
        queue.freed();
        drop(first);
        assert!(is_called(&second));
        second.pass_on();
        assert!(is_called(&third));
        third.pass_on();
        drop(third);
        drop(second);
        assert!(queue.is_empty());
        queue.freed();
        assert!(!is_called(&queue.join(false).unwrap()));
    }

    #[test]
    fn a_wake_up_before_the_wait_begins_is_not_lost() {
        let queue = Queue::new(1, 9);
        let turn = queue.join(true).unwrap();
        assert!(queue.has_choosy());
        queue.freed();
        assert!(is_called(&turn));
        drop(turn);
        assert!(!queue.has_choosy());
    }

    proptest! {
        /// Requests come, leave and end in any order. Afterwards, whenever a slot is free and
        /// somebody waits, somebody who has been woken is still to look.
        #[test]
        fn no_slot_stays_free_while_somebody_waits_unwoken(
            steps in prop::collection::vec((0_u8..3, any::<prop::sample::Index>()), 1..80),
            slots in 1_usize..4,
        ) {
            let queue = Queue::new(0, 8);
            let mut turns: Vec<Turn<'_>> = Vec::new();
            let mut taken = 0;
            for (step, which) in steps {
                match step {
                    0 if taken < slots && queue.is_empty() => taken += 1,
                    0 => {
                        let before = queue.len();
                        turns.extend(queue.join(false));
                        prop_assert_eq!(queue.len(), (before + 1).min(8));
                        if taken < slots {
                            queue.wake_first();
                        }
                    }
                    1 if !turns.is_empty() => drop(turns.remove(which.index(turns.len()))),
                    _ if 0 < taken => {
                        taken -= 1;
                        queue.freed();
                    }
                    _ => {}
                }
                // Whoever has been woken looks, until nobody is.
                while let Some(at) = turns.iter().position(is_called) {
                    if taken < slots {
                        taken += 1;
                        drop(turns.remove(at));
                    }
                }
                prop_assert!(taken == slots || turns.is_empty(), "{taken} of {slots}");
                prop_assert_eq!(queue.len(), turns.len());
            }
        }
    }
}
