//! Time: the only place that reads the system's clocks.
//!
//! Decisions take a [`Timestamp`] as an argument, so that tests and simulations run them in any
//! order and at any speed. A timestamp counts from the start of the process on the monotonic
//! clock: it never jumps. Wall-clock time is derived from it for people to read.

use std::{
    cell::Cell,
    ops::Add,
    sync::OnceLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// A moment, as the time since the clock's start. Never goes backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(Duration);

impl Timestamp {
    /// The clock's start.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// Returns the moment `nanos` nanoseconds after the clock's start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(Duration::from_nanos(nanos))
    }

    /// Returns the moment `millis` milliseconds after the clock's start.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// Returns the moment `micros` microseconds after the clock's start.
    pub const fn from_micros(micros: u64) -> Self {
        Self(Duration::from_micros(micros))
    }

    /// Returns the microseconds since the clock's start.
    pub fn as_micros(self) -> u64 {
        u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX)
    }

    /// Returns the nanoseconds since the clock's start (good for 584 years).
    pub fn as_nanos(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Returns the milliseconds since the clock's start.
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns how long after `earlier` this moment is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns the moment `duration` before this one, or the clock's start.
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// Returns a length of time in whole milliseconds.
pub fn whole_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The pair of readings that ties timestamps to the monotonic and the wall clock.
struct Start {
    instant: Instant,
    /// Wall-clock time at `instant`, since the Unix epoch.
    wall: Duration,
}

fn start() -> &'static Start {
    static START: OnceLock<Start> = OnceLock::new();
    START.get_or_init(|| Start {
        instant: read_instant(),
        wall: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
    })
}

#[expect(clippy::disallowed_methods, reason = "this module is the one that reads the clock")]
fn read_instant() -> Instant {
    Instant::now()
}

/// Reads the clock. The first call in a process starts it. Within a [`step`], all calls return the
/// same moment.
pub fn now() -> Timestamp {
    match STEP.get() {
        Step::None => read(),
        Step::Begun => {
            let now = read();
            STEP.set(Step::At(now));
            now
        }
        Step::At(now) => now,
    }
}

/// Does something that neither waits nor takes long, such as one poll of a future, and for which time
/// stands still meanwhile. For one request the clock would be read nine times otherwise, nearly always
/// twice in the same microsecond.
pub fn step<T>(act: impl FnOnce() -> T) -> T {
    /// Puts back what was before, also when `act` panics.
    struct Before(Step);
    impl Drop for Before {
        fn drop(&mut self) {
            STEP.set(self.0);
        }
    }
    let _before = Before(STEP.replace(Step::Begun));
    act()
}

/// What a thread knows of the time.
#[derive(Clone, Copy)]
enum Step {
    /// It is in no [`step`].
    None,
    /// It is in one, and has not read the clock in it.
    Begun,
    /// It has.
    At(Timestamp),
}

thread_local! {
    static STEP: Cell<Step> = const { Cell::new(Step::None) };
}

fn read() -> Timestamp {
    let start = start();
    Timestamp(read_instant().duration_since(start.instant))
}

/// Returns the monotonic instant of `at`, for timers that want one.
pub fn instant_of(at: Timestamp) -> Instant {
    start().instant + at.0
}

/// Returns the wall-clock time of `at`, as the time since the Unix epoch.
///
/// Computed from one reading at the start of the process, so that two timestamps keep their order
/// and distance even when the wall clock is set in between.
pub fn wall_of(at: Timestamp) -> Duration {
    start().wall + at.0
}

/// Returns the moment at which the wall clock showed `wall`, the time since the Unix epoch; the clock's
/// start if that was before it. The opposite of [`wall_of`].
pub fn at_wall(wall: Duration) -> Timestamp {
    Timestamp(wall.saturating_sub(start().wall))
}

/// Returns `at` as RFC 3339 in UTC with milliseconds, e.g. `2026-11-23T06:20:00.123Z`.
pub fn rfc3339_of(at: Timestamp) -> String {
    rfc3339(wall_of(at))
}

/// Formats a time since the Unix epoch as RFC 3339 in UTC with milliseconds.
pub fn rfc3339(since_epoch: Duration) -> String {
    let millis = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis)
        .map_or_else(|_| "invalid".to_owned(), |t| format!("{t:.3}"))
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;

    use super::*;

    #[test]
    fn time_stands_still_within_a_step_and_goes_on_behind_it() {
        let moment = Duration::from_millis(2);
        let before = now();
        let (first, second) = step(|| {
            let first = now();
            sleep(moment);
            // One within another is a step of its own.
            assert!(first + moment <= step(now));
            (first, now())
        });
        assert!(before <= first && first == second);
        assert!(first + moment <= now());
        let panicked = std::panic::catch_unwind(|| step(|| panic!("within a step")));
        assert!(panicked.is_err());
        let first = now();
        sleep(moment);
        assert!(first + moment <= now());
    }

    #[test]
    fn a_timestamp_is_written_with_milliseconds_and_zone() {
        assert_eq!(rfc3339(Duration::from_millis(1_700_000_000_120)), "2023-11-14T22:13:20.120Z");
    }

    #[test]
    fn the_time_since_a_later_moment_is_zero() {
        let early = Timestamp::from_millis(5);
        let late = Timestamp::from_millis(9);
        assert_eq!(late.since(early), Duration::from_millis(4));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
