//! Faults that an operator injects between the proxy and one backend.
//!
//! A fault is played below balancing: requests are routed, backends picked and checks sent as
//! always, and what is struck meets what a failing backend or network would have done to it.
//! Whether one attempt or check is struck is decided here, by chance where the fault has a share.

use std::{fmt, time::Duration};

use crate::{clock::Timestamp, event::Source};

/// A fault under way: as long as it lasts, attempts and health checks of its backend may meet it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub mode: FaultMode,
    /// For whom.
    pub scope: FaultScope,
    /// The share of those that are struck; each by its own chance.
    pub percent: Percent,
    /// With [`FaultMode::Error`]: the status of the answers.
    pub status: u16,
    /// With [`FaultMode::Slow`]: what is added to each answer.
    pub delay: Delay,
    /// When it ends by itself.
    pub ends_at: Timestamp,
}

impl Fault {
    /// Tells whether the fault still applies at `now`.
    pub fn is_active(&self, now: Timestamp) -> bool {
        now < self.ends_at
    }

    /// Decides what happens to one attempt or health check, of which `whose` tells; `None` when it
    /// goes on as if there were no fault. To be asked once of each.
    pub fn strike(
        &self,
        whose: Source,
        now: Timestamp,
        random: &mut fastrand::Rng,
    ) -> Option<Strike> {
        let is_struck =
            self.is_active(now) && self.scope.covers(whose) && self.percent.strikes(random);
        if !is_struck {
            return None;
        }
        match self.mode {
            // The process itself ends; nothing is left to play.
            FaultMode::Crash => None,
            FaultMode::Refuse => Some(Strike::Refuse),
            FaultMode::Blackhole => Some(Strike::Blackhole),
            FaultMode::Hang => Some(Strike::Hang),
            FaultMode::Reset => Some(Strike::Reset),
            FaultMode::Truncate => Some(Strike::Truncate),
            FaultMode::Error => Some(Strike::Error(self.status)),
            FaultMode::Slow => Some(Strike::Delay(self.delay.draw(random))),
        }
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultMode {
    /// The backend's own `POST /fail` is called: its process ends.
    Crash,
    /// Connections are refused.
    Refuse,
    /// Nothing answers attempts to connect.
    Blackhole,
    /// Connected, but no answer comes.
    Hang,
    /// Connections are closed before the response.
    Reset,
    /// Responses break off half-way.
    Truncate,
    /// Answers have an error's status.
    Error,
    /// Answers come late.
    Slow,
}

impl FaultMode {
    /// Every mode, in the order in which they are offered.
    pub const ALL: [Self; 8] = [
        Self::Crash,
        Self::Refuse,
        Self::Blackhole,
        Self::Hang,
        Self::Reset,
        Self::Truncate,
        Self::Error,
        Self::Slow,
    ];

    /// Returns the name used in the API, the log and the page.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Refuse => "refuse",
            Self::Blackhole => "blackhole",
            Self::Hang => "hang",
            Self::Reset => "reset",
            Self::Truncate => "truncate",
            Self::Error => "error",
            Self::Slow => "slow",
        }
    }

    /// Returns the mode called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// Tells whether it strikes before there is a connection.
    pub fn is_before_connection(self) -> bool {
        match self {
            Self::Refuse | Self::Blackhole => true,
            Self::Crash | Self::Hang | Self::Reset | Self::Truncate | Self::Error | Self::Slow => {
                false
            }
        }
    }
}

impl fmt::Display for FaultMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// For whom something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultScope {
    /// Clients' requests and health checks.
    All,
    /// Clients' requests only: health checks go on as if nothing were wrong.
    Traffic,
    /// Health checks only: requests go on as if nothing were wrong.
    Checks,
}

impl FaultScope {
    /// Every scope, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::All, Self::Traffic, Self::Checks];

    /// Returns the name used in the API, the log and the page.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Traffic => "traffic",
            Self::Checks => "checks",
        }
    }

    /// Returns the scope called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }

    fn covers(self, whose: Source) -> bool {
        match (self, whose) {
            (Self::All, Source::Traffic | Source::HealthCheck)
            | (Self::Traffic, Source::Traffic)
            | (Self::Checks, Source::HealthCheck) => true,
            (Self::Traffic, Source::HealthCheck) | (Self::Checks, Source::Traffic) => false,
        }
    }
}

/// A share in whole percent, 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u8);

impl Percent {
    /// Everything.
    pub const ALL: Self = Self(100);

    /// Returns the share of that many percent; `None` outside 1 to 100.
    pub fn new(percent: u8) -> Option<Self> {
        (1..=100).contains(&percent).then_some(Self(percent))
    }

    /// Returns the percent.
    pub const fn value(self) -> u8 {
        self.0
    }

    fn strikes(self, random: &mut fastrand::Rng) -> bool {
        random.u8(0..100) < self.0
    }
}

/// How late answers are: by chance, each length between two bounds as likely as any other.
///
/// Uniform, because its two numbers say all there is to know of it, and because no draw is longer
/// than what the operator wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    min: Duration,
    max: Duration,
}

impl Delay {
    /// Returns the delay that is always `length`.
    pub const fn fixed(length: Duration) -> Self {
        Self { min: length, max: length }
    }

    /// Returns the delay between these bounds, both included; `None` when they are in the wrong
    /// order.
    pub fn between(min: Duration, max: Duration) -> Option<Self> {
        (min <= max).then_some(Self { min, max })
    }

    /// Returns the shortest that is drawn.
    pub const fn min(self) -> Duration {
        self.min
    }

    /// Returns the longest that is drawn.
    pub const fn max(self) -> Duration {
        self.max
    }

    fn draw(self, random: &mut fastrand::Rng) -> Duration {
        let nanos = |length: Duration| u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(random.u64(nanos(self.min)..=nanos(self.max)))
    }
}

/// What a fault does to one attempt or health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    /// The connection is refused, at once.
    Refuse,
    /// Connecting takes until its timeout.
    Blackhole,
    /// Connected; the request leads nowhere, and no answer comes before the deadline.
    Hang,
    /// The connection closes when the request has been sent and the response has not begun.
    Reset,
    /// The backend is asked, and its response breaks off half-way.
    Truncate,
    /// The answer is this status; the backend is not asked.
    Error(u16),
    /// The request is held back this long before it is sent on.
    Delay(Duration),
}

impl Strike {
    /// Returns the mode of the fault that struck.
    pub const fn mode(self) -> FaultMode {
        match self {
            Self::Refuse => FaultMode::Refuse,
            Self::Blackhole => FaultMode::Blackhole,
            Self::Hang => FaultMode::Hang,
            Self::Reset => FaultMode::Reset,
            Self::Truncate => FaultMode::Truncate,
            Self::Error(_) => FaultMode::Error,
            Self::Delay(_) => FaultMode::Slow,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const END: Timestamp = Timestamp::from_millis(1_000);

    fn fault(mode: FaultMode) -> Fault {
        Fault {
            mode,
            scope: FaultScope::All,
            percent: Percent::ALL,
            status: 500,
            delay: Delay::fixed(Duration::from_millis(7)),
            ends_at: END,
        }
    }

    fn strike(fault: Fault, whose: Source) -> Option<Strike> {
        fault.strike(whose, Timestamp::ZERO, &mut fastrand::Rng::with_seed(1))
    }

    #[test]
    fn every_mode_but_a_crash_strikes_as_itself() {
        for mode in FaultMode::ALL {
            let played = strike(fault(mode), Source::Traffic).map(Strike::mode);
            assert_eq!(played, (mode != FaultMode::Crash).then_some(mode));
            assert_eq!(FaultMode::named(mode.name()), Some(mode));
        }
        let error = strike(fault(FaultMode::Error), Source::Traffic);
        assert_eq!(error, Some(Strike::Error(500)));
        let slow = strike(fault(FaultMode::Slow), Source::Traffic);
        assert_eq!(slow, Some(Strike::Delay(Duration::from_millis(7))));
    }

    #[test]
    fn the_scope_says_whom_it_strikes() {
        let table = FaultScope::ALL.map(|scope| {
            [Source::Traffic, Source::HealthCheck]
                .map(|whose| strike(Fault { scope, ..fault(FaultMode::Reset) }, whose).is_some())
        });
        assert_eq!(table, [[true, true], [true, false], [false, true]]);
    }

    #[test]
    fn it_is_over_at_the_moment_it_ends() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut at =
            |moment| fault(FaultMode::Hang).strike(Source::Traffic, moment, &mut random).is_some();
        assert!(at(Timestamp::from_nanos(END.as_nanos() - 1)));
        assert!(!at(END));
    }

    proptest! {
        #[test]
        fn a_share_strikes_about_that_share(percent in 1_u8..=100, seed in any::<u64>()) {
            const DRAWS: f64 = 20_000.0;
            let share = Percent::new(percent).unwrap();
            let struck = Fault { percent: share, ..fault(FaultMode::Reset) };
            let mut random = fastrand::Rng::with_seed(seed);
            let mut count = 0.0;
            for _ in 0..20_000 {
                if struck.strike(Source::Traffic, Timestamp::ZERO, &mut random).is_some() {
                    count += 1.0;
                }
            }
            let p = f64::from(percent) / 100.0;
            // Six standard deviations: one honest generator in a billion is further off.
            let bound = 6.0 * (DRAWS * p * (1.0 - p)).sqrt();
            prop_assert!((count - DRAWS * p).abs() <= bound, "{count} of {DRAWS} at {percent}%");
        }

        #[test]
        fn a_delay_keeps_within_its_bounds_and_uses_all_between(
            min in 0_u64..10_000, more in 0_u64..60_000, seed in any::<u64>(),
        ) {
            let (min, max) = (Duration::from_millis(min), Duration::from_millis(min + more));
            let delay = Delay::between(min, max).unwrap();
            let mut random = fastrand::Rng::with_seed(seed);
            let drawn: Vec<Duration> = (0..1_000).map(|_| delay.draw(&mut random)).collect();
            prop_assert!(drawn.iter().all(|it| (min..=max).contains(it)));
            let mean = drawn.iter().sum::<Duration>() / 1_000;
            let off = mean.abs_diff((min + max) / 2);
            // Six standard deviations of the mean of a thousand: the spread over sqrt(12 * 1000).
            prop_assert!(off <= (max - min).mul_f64(6.0 / 109.5) + Duration::from_nanos(1));
        }
    }

    #[test]
    fn what_makes_no_sense_cannot_be_said() {
        assert_eq!([0, 101].map(Percent::new), [None; 2]);
        assert_eq!(Delay::between(Duration::from_secs(2), Duration::from_secs(1)), None);
    }
}
