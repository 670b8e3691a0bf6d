//! A count over the last ten seconds that any thread can add to.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::clock::Timestamp;

/// One second each, so that the oldest second leaves the sum whole.
const SECONDS: usize = 10;

/// Counts events of the current second and the nine before it, without locks.
///
/// Each slot packs the second that it stands for (upper half) with the count (lower half), so
/// that reusing a slot and adding to it are one atomic step and no event is lost in between.
#[derive(Debug, Default)]
pub struct RateWindow {
    slots: [AtomicU64; SECONDS],
}

impl RateWindow {
    /// Counts one event at `now`.
    pub fn add(&self, now: Timestamp) {
        let second = second_of(now);
        let slot = &self.slots[index_of(second)];
        let mut seen = slot.load(Relaxed);
        loop {
            let next = if seen >> 32 == second { seen + 1 } else { (second << 32) | 1 };
            match slot.compare_exchange_weak(seen, next, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(other) => seen = other,
            }
        }
    }

    /// Returns the number of events in the last ten seconds, the current one included.
    pub fn count(&self, now: Timestamp) -> u64 {
        self.count_last(SECONDS as u64, now)
    }

    /// Returns the number of events in the last `seconds`, up to ten, the current one included.
    pub fn count_last(&self, seconds: u64, now: Timestamp) -> u64 {
        let second = second_of(now);
        let oldest = (second + 1).saturating_sub(seconds);
        self.slots
            .iter()
            .map(|slot| slot.load(Relaxed))
            .filter(|packed| (oldest..=second).contains(&(packed >> 32)))
            .map(|packed| packed & u64::from(u32::MAX))
            .sum()
    }
}

fn second_of(now: Timestamp) -> u64 {
    // The process does not live 136 years, but the packing must hold if it does.
    (now.as_millis() / 1000) & u64::from(u32::MAX)
}

fn index_of(second: u64) -> usize {
    usize::try_from(second).unwrap_or(0) % SECONDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_leave_the_sum_after_ten_seconds() {
        let window = RateWindow::default();
        window.add(Timestamp::from_millis(1_000));
        window.add(Timestamp::from_millis(1_999));
        window.add(Timestamp::from_millis(9_000));
        assert_eq!(window.count(Timestamp::from_millis(10_999)), 3);
        assert_eq!(window.count(Timestamp::from_millis(11_000)), 1);
        assert_eq!(window.count(Timestamp::from_millis(60_000)), 0);
        assert_eq!(window.count_last(2, Timestamp::from_millis(2_000)), 2);
        assert_eq!(window.count_last(2, Timestamp::from_millis(9_000)), 1);
    }

    #[test]
    fn a_slot_is_reused_for_a_later_second() {
        let window = RateWindow::default();
        window.add(Timestamp::from_millis(1_000));
        window.add(Timestamp::from_millis(11_000));
        assert_eq!(window.count(Timestamp::from_millis(11_000)), 1);
    }
}
