//! A bound on what many requests keep in memory together.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Counts bytes kept, up to a bound that each user names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory(Arc<AtomicUsize>);

/// Bytes that are counted as kept until this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    memory: Memory,
    bytes: usize,
}

impl Memory {
    /// Returns a reservation of nothing.
    pub(crate) fn nothing(&self) -> Reservation {
        Reservation { memory: self.clone(), bytes: 0 }
    }
}

impl Reservation {
    /// Reserves `more` bytes if all reservations then stay within `bound`. Returns whether.
    pub(crate) fn grow(&mut self, more: usize, bound: usize) -> bool {
        let fits = |kept: usize| kept.checked_add(more).filter(|it| *it <= bound);
        let is_had = self.memory.0.fetch_update(Relaxed, Relaxed, fits).is_ok();
        if is_had {
            self.bytes += more;
        }
        is_had
    }

    /// Gives back so many bytes, or what there is.
    pub(crate) fn shrink(&mut self, by: usize) {
        let by = by.min(self.bytes);
        if by != 0 {
            self.bytes -= by;
            self.memory.0.fetch_sub(by, Relaxed);
        }
    }

    /// Gives everything back.
    pub(crate) fn clear(&mut self) {
        self.shrink(self.bytes);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_together_stays_within_the_bound_and_comes_back() {
        let memory = Memory::default();
        let (mut first, mut second) = (memory.nothing(), memory.nothing());
        assert!(first.grow(60, 100));
        assert!(!second.grow(41, 100));
        assert!(second.grow(40, 100));
        drop(first);
        assert!(second.grow(60, 100));
        second.shrink(30);
        assert!(second.grow(30, 100) && !second.grow(1, 100));
        second.shrink(1000);
        assert_eq!(memory.0.load(Relaxed), 0);
    }
}
