//! What goes wrong, where, from when until when.

use std::time::Duration;

use bascule::clock::Timestamp;

use crate::policy::stream;

/// The first fault comes after this, when all is known to be well.
const QUIET: Duration = Duration::from_secs(4);
/// The last fault is over by then.
pub(crate) const OVER: Timestamp = Timestamp::from_millis(32_000);

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) backend: usize,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) kind: Kind,
}

/// How a backend fails. Shares are in percent of its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The process ends: what it was doing breaks off, then connections are refused.
    Gone,
    /// Packets are dropped, both ways.
    Vanished,
    /// The process is stopped; when it goes on, it does what it was asked in the meantime.
    Hung,
    /// Traffic is taken and gets nothing until this ends; checks see nothing.
    Stuck,
    /// Requests are executed, then their connection is closed; checks, too.
    Closing,
    /// Traffic and checks get 503.
    Errors,
    /// This share of the traffic gets 503; checks see nothing.
    Grey(u8),
    /// Every answer takes this much longer.
    Slow(Duration),
    /// This share of the responses breaks off; checks see nothing.
    Cut(u8),
    /// Checks fail, and nothing else.
    FalseAlarm,
}

/// Draws what goes wrong in the world of `seed`, whose backends are in these tiers. In order of
/// beginning.
pub(crate) fn draw(seed: u64, tiers: &[usize]) -> Vec<Fault> {
    let mut random = stream(seed, "faults");
    let mut faults = Vec::new();
    for _ in 0..random.usize(2..=6) {
        let kind = kind(&mut random);
        let from = Timestamp::ZERO + QUIET + Duration::from_millis(random.u64(0..20_000));
        let length = Duration::from_millis(random.choice([150, 700, 2_500, 8_000]).unwrap_or(700));
        let victim = random.usize(..tiers.len());
        // A flapping backend, a whole tier at the same instant, or one backend once.
        match random.u8(..6) {
            0 => {
                let part = length / 7;
                for turn in (0..7).step_by(2) {
                    let from = from + part * turn;
                    faults.push(Fault { backend: victim, from, to: from + part, kind });
                }
            }
            1 => faults.extend(
                (0..tiers.len())
                    .filter(|&index| tiers[index] == tiers[victim])
                    .map(|backend| Fault { backend, from, to: from + length, kind }),
            ),
            _ => faults.push(Fault { backend: victim, from, to: from + length, kind }),
        }
    }
    faults.sort_by_key(|fault| (fault.from, fault.backend));
    assert!(faults.iter().all(|fault| fault.to <= OVER), "the script ends in time");
    faults
}

fn kind(random: &mut fastrand::Rng) -> Kind {
    match random.u8(..10) {
        0 => Kind::Vanished,
        1 => Kind::Hung,
        2 => Kind::Closing,
        3 => Kind::Errors,
        4 => Kind::Grey(random.choice([10, 30, 100]).unwrap_or(30)),
        5 => Kind::Slow(Duration::from_millis(random.u64(50..4_000))),
        6 => Kind::Cut(random.choice([10, 50, 100]).unwrap_or(10)),
        7 => Kind::FalseAlarm,
        8 => Kind::Stuck,
        _ => Kind::Gone,
    }
}
