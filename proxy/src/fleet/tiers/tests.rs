use std::time::Duration;

use super::*;
use crate::model::{Capacity, sample};

const SECOND: Duration = Duration::from_secs(1);

/// One backend a tier, and a hold-down of a second.
fn policy() -> TierPolicy {
    TierPolicy {
        failback_after: SECOND,
        failback_after_max: SECOND,
        ..sample::pool("api", &[(0, 1)]).tiers
    }
}

/// A policy whose ramp takes a step every 100 ms and whose hold-down may grow to eight seconds.
fn ramped() -> TierPolicy {
    TierPolicy {
        failback_after_max: 8 * SECOND,
        failback_ramp: Duration::from_millis(1_900),
        ..policy()
    }
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// A tier of `eligible` and other backends, such as `1`, `0` (one, ineligible), `2/3`, `?` (one,
/// unknown), `1/3?` (the others are unknown).
fn fitness(word: &str) -> Fitness {
    let (numbers, is_unknown) = word.strip_suffix('?').map_or((word, false), |it| (it, true));
    let (eligible, size) = match numbers.split_once('/') {
        Some((eligible, size)) => (eligible.parse().unwrap(), size.parse().unwrap()),
        None => (numbers.parse().unwrap_or(0), 1_u32),
    };
    Fitness {
        size: size as usize,
        eligible: eligible as usize,
        unknown: if is_unknown { (size - eligible) as usize } else { 0 },
        weight: f64::from(size),
        weight_eligible: f64::from(eligible),
    }
}

struct World {
    tiers: Tiers,
    policy: TierPolicy,
    fitness: Vec<Fitness>,
    said: Vec<String>,
}

impl World {
    fn new(policy: TierPolicy) -> Self {
        Self {
            tiers: Tiers::new(0, Timestamp::ZERO),
            policy,
            fitness: Vec::new(),
            said: Vec::new(),
        }
    }

    /// Takes in the line `millis fitness-per-tier`, e.g. `0 1 1`; or `millis !0`: traffic meets
    /// trouble in tier 0; or `millis <`: an operator asks for a failback. Deadlines before it are
    /// acted on first.
    fn hear(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let now = at(words.next().unwrap().parse().unwrap());
        while let Some(due) = self.tiers.next_deadline(&self.policy).filter(|&due| due < now) {
            let step = self.tiers.judge(&self.fitness, None, &self.policy, due);
            self.say(step);
            assert!(self.tiers.next_deadline(&self.policy) != Some(due), "due again: {due:?}");
        }
        let words: Vec<&str> = words.collect();
        let (fitness, policy) = (&self.fitness, &self.policy);
        let step = if words == ["<"] {
            self.tiers.fail_back(fitness, policy, now)
        } else if let Some(tier) = words[0].strip_prefix('!') {
            self.tiers.disturbed(tier.parse().unwrap(), fitness, policy, now)
        } else {
            self.judge(&words, now)
        };
        self.say(step);
    }

    fn judge(&mut self, words: &[&str], now: Timestamp) -> Option<Step> {
        if self.fitness.is_empty() {
            self.tiers = Tiers::new(words.len(), Timestamp::ZERO);
        }
        let fitness: Vec<_> = words.iter().map(|word| fitness(word)).collect();
        let lost =
            self.fitness.iter().zip(&fitness).position(|(old, it)| it.eligible < old.eligible);
        let loss = lost.map(|tier| Loss { tier, reason: LossReason::HealthCheck });
        self.fitness = fitness;
        self.tiers.judge(&self.fitness, loss, &self.policy, now)
    }

    fn say(&mut self, step: Option<Step>) {
        let name = |tier: Option<usize>| tier.map_or("-".to_owned(), |tier| tier.to_string());
        self.said.extend(step.map(|step| match step {
            Step::Changed { from, to, reason } => {
                let arrow = match reason {
                    TierReason::Lost(_)
                    | TierReason::Regained
                    | TierReason::Reconfigured
                    | TierReason::Manual => ">",
                    TierReason::HoldDownEnded | TierReason::Requested => "<",
                };
                format!("{}{arrow}{}", name(from), name(to))
            }
            Step::FailbackBegan { to } => format!("{to}%"),
            Step::FailbackAborted { to } => format!("{to}!"),
        }));
    }

    /// Returns each tier's part of the traffic, in percent.
    #[expect(clippy::cast_possible_truncation, reason = "percent")]
    fn parts(&self) -> Vec<i32> {
        let whole = |tier| if self.tiers.active() == Some(tier) { 1.0 } else { 0.0 };
        let part = |tier| self.tiers.division().part(tier).unwrap_or(whole(tier));
        (0..self.fitness.len()).map(|tier| (part(tier) * 100.0).round() as i32).collect()
    }
}

/// Plays `lines` and compares what is said: `0>1` change, `1<0` failback, `0%` a ramp begins, `0!`
/// it is broken off.
fn check(policy: TierPolicy, lines: &[&str], expected: &str) {
    let mut world = World::new(policy);
    lines.iter().for_each(|line| world.hear(line));
    assert_eq!(world.said.join(" "), expected, "{lines:?}");
}

fn share(share: f64) -> TierPolicy {
    TierPolicy { fail_over_below: Capacity::Share(share), ..policy() }
}

#[test]
fn the_first_choice_waits_for_the_first_check_of_a_better_tier() {
    check(policy(), &["0 ? 1"], "");
    check(policy(), &["0 ? 1", "5 1 1"], "->0");
    check(policy(), &["0 ? 1", "5 0 1"], "->1");
}

#[test]
fn a_tier_that_may_yet_become_able_is_waited_for_at_the_start() {
    check(share(0.6), &["0 1/3? 1", "5 2/3? 1"], "->0");
    check(share(0.6), &["0 1/3? ?", "5 1/3? 0", "7 1/3 0"], "->0");
    check(share(0.6), &["0 1/3? 1", "5 1/3 1"], "->1");
}

#[test]
fn failover_is_at_once_and_failback_waits_out_the_hold_down() {
    check(policy(), &["0 1 1", "10 0 1", "20 1 1", "1020 1 1"], "->0 0>1 1<0");
    check(policy(), &["0 1 1", "10 0 1", "20 1 1", "1019 1 1"], "->0 0>1");
}

#[test]
fn a_break_starts_the_hold_down_again() {
    let broken = ["0 1 1", "10 0 1", "20 1 1", "900 0 1", "950 1 1", "1949 1 1"];
    check(policy(), &broken, "->0 0>1");
}

#[test]
fn a_tier_in_its_hold_down_takes_over_when_the_active_one_fails() {
    check(policy(), &["0 1 1", "10 0 1", "20 1 1", "30 1 0"], "->0 0>1 1>0");
}

#[test]
fn nothing_left_is_none_and_anything_regained_serves_at_once() {
    check(policy(), &["0 1 1", "10 0 0", "20 0 1"], "->0 0>- ->1");
}

#[test]
fn a_tier_below_its_share_hands_over_though_some_of_it_is_left() {
    check(share(0.5), &["0 3/3 2/2", "10 2/3 2/2", "20 1/3 2/2"], "->0 0>1");
}

#[test]
fn when_no_tier_is_able_the_fittest_serves() {
    check(share(0.9), &["0 3/3 2/2", "10 2/3 1/2"], "->0");
    check(share(0.9), &["0 3/3 2/2", "10 1/3 1/2"], "->0 0>1");
    check(share(0.9), &["0 3/3 2/2", "10 1/3 1/2", "20 1/3 0/2", "30 0/3 0/2"], "->0 0>1 1>0 0>-");
}

#[test]
fn when_no_tier_is_able_traffic_does_not_follow_every_backend_that_comes_and_goes() {
    let flapping =
        ["0 4/4 4/4", "10 3/4 2/4", "20 1/4 2/4", "30 3/4 2/4", "40 1/4 2/4", "50 3/4 2/4"];
    check(share(0.9), &flapping, "->0 0>1");
    // What stays fitter for the hold-down is moved to, and equals are not.
    check(share(0.9), &[&flapping[..], &["1051 3/4 2/4"]].concat(), "->0 0>1 1>0");
    check(share(0.9), &["0 4/4 4/4", "10 1/4 2/4", "20 2/4 2/4", "5000 2/4 2/4"], "->0 0>1");
    // Whoever is hit has no time to wait, nor one that has nothing left.
    check(share(0.9), &["0 4/4 4/4", "10 1/4 2/4", "20 3/4 2/4", "30 3/4 1/4"], "->0 0>1 1>0");
    check(share(0.9), &["0 4/4 4/4", "10 1/4 2/4", "20 1/4 0/4"], "->0 0>1 1>0");
}

#[test]
fn with_spill_over_a_tier_keeps_what_it_can_carry() {
    let mut world = World::new(TierPolicy { spill_over: true, ..share(0.5) });
    for (line, parts) in [
        ("0 4/4 2/2", [100, 0]),
        ("10 2/4 2/2", [100, 0]),
        ("20 1/4 2/2", [50, 50]),
        ("30 1/4 0/2", [100, 0]),
        ("40 0/4 2/2", [0, 100]),
        // Back, but in its hold-down; then what it can carry.
        ("50 1/4 2/2", [0, 100]),
        ("1100 1/4 2/2", [50, 50]),
        ("1200 4/4 2/2", [100, 0]),
    ] {
        world.hear(line);
        assert_eq!(world.parts(), parts, "{line}");
    }
    assert_eq!(world.said.join(" "), "->0 0>1 1<0");
}

#[test]
fn a_ramp_gives_the_returning_tier_more_at_every_step() {
    let mut world = World::new(ramped());
    for (line, parts) in [
        ("0 1 1", [100, 0]),
        ("10 0 1", [0, 100]),
        ("20 1 1", [0, 100]),
        ("1020 1 1", [5, 95]),
        ("1119 1 1", [5, 95]),
        ("1120 1 1", [10, 90]),
        ("2819 1 1", [90, 10]),
        ("2820 1 1", [95, 5]),
        ("2920 1 1", [100, 0]),
    ] {
        world.hear(line);
        assert_eq!(world.parts(), parts, "{line}");
    }
    assert_eq!(world.said.join(" "), "->0 0>1 0% 1<0");
}

#[test]
fn trouble_in_the_returning_tier_breaks_the_ramp_off_and_doubles_the_hold_down() {
    let down = ["0 1 1", "10 0 1", "20 1 1"];
    for trouble in [&["1500 !0"][..], &["1500 0 1", "1500 1 1"]] {
        let mut world = World::new(ramped());
        down.iter().chain(trouble).for_each(|line| world.hear(line));
        assert_eq!(
            (world.said.join(" "), world.parts()),
            ("->0 0>1 0% 0!".to_owned(), vec![0, 100])
        );
        world.hear("3499 1 1");
        assert_eq!(world.said.last().unwrap(), "0!");
        world.hear("3500 1 1");
        assert_eq!(world.said.last().unwrap(), "0%");
    }
    // One of two lost, though one would be enough.
    check(ramped(), &["0 2/2 1", "10 0/2 1", "20 2/2 1", "1500 1/2 1"], "->0 0>1 0% 0!");
    // Trouble elsewhere is none of its business.
    check(ramped(), &["0 1 1", "10 0 1", "20 1 1", "1500 !1", "3000 1 1"], "->0 0>1 0% 1<0");
}

#[test]
fn a_returning_tier_takes_all_when_the_active_one_fails() {
    check(ramped(), &["0 1 1", "10 0 1", "20 1 1", "1500 1 0"], "->0 0>1 0% 1>0");
}

#[test]
fn a_manual_failback_waits_for_an_operator_or_for_need() {
    let manual = TierPolicy { failback: FailbackMode::Manual, ..policy() };
    let well = ["0 1 1", "10 0 1", "20 1 1"];
    let with = |more: &[&'static str]| [&well[..], more].concat();
    check(manual, &with(&["99999 1 1"]), "->0 0>1");
    check(manual, &with(&["99999 <"]), "->0 0>1 1<0");
    check(manual, &with(&["99999 1 0"]), "->0 0>1 1>0");
    check(manual, &["0 1 1", "10 0 1", "20 <"], "->0 0>1");
    check(manual, &["0 1 1", "10 <"], "->0");
    let ramped = TierPolicy { failback: FailbackMode::Manual, ..ramped() };
    check(ramped, &with(&["5000 <", "5100 <", "7000 1 1"]), "->0 0>1 0% 1<0");
    check(ramped, &with(&["5000 <", "5100 !0", "99999 1 1"]), "->0 0>1 0% 0!");
}

#[test]
fn an_operator_may_cut_the_hold_down_short() {
    check(policy(), &["0 1 1", "10 0 1", "20 1 1", "30 <"], "->0 0>1 1<0");
}

#[test]
fn what_is_waited_for_is_told() {
    let mut world = World::new(ramped());
    ["0 1 1", "10 0 1"].iter().for_each(|line| world.hear(line));
    assert_eq!((world.tiers.failback(&world.policy), world.tiers.returnable()), (None, None));
    world.hear("20 1 1");
    let failback = Some(Failback { to_tier: 0, at: at(2_920) });
    for line in ["21 1 1", "1500 1 1"] {
        world.hear(line);
        assert_eq!(world.tiers.failback(&world.policy), failback, "{line}");
        assert_eq!(world.tiers.returnable(), Some(0), "{line}");
    }
    world.hear("2921 1 1");
    assert_eq!((world.tiers.failback(&world.policy), world.tiers.returnable()), (None, None));
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A preferred tier that is able for `spell` and unable for `spell`, for ten minutes.
        #[test]
        fn traffic_follows_a_flapping_tier_only_until_the_hold_down_has_grown(
            hold_down in 10_u64..2_000,
            ramp in prop_oneof![Just(0), 1_u64..1_500],
            spell in 50_u64..2_000,
        ) {
            let max = Duration::from_secs(30);
            let mut world = World::new(TierPolicy {
                failback_after: Duration::from_millis(hold_down),
                failback_after_max: max,
                failback_ramp: Duration::from_millis(ramp),
                ..policy()
            });
            world.hear("0 1 1");
            let mut now = 0;
            for _ in 0..600_000 / (2 * spell) {
                world.hear(&format!("{} 0 1", now + spell));
                world.hear(&format!("{} 1 1", now + 2 * spell));
                now += 2 * spell;
            }
            let doublings = (spell / hold_down).checked_ilog2().map_or(0, |it| it as usize + 1);
            // Once over; then back and over, or a ramp and its end, once for each doubling.
            prop_assert!(world.said.len() <= 2 + 3 * (doublings + 1), "{:?}", world.said);
            // When it stays well, it gets its traffic back after the hold-down, which has a limit.
            world.hear(&format!("{} 1 1", now + 32_000));
            prop_assert_eq!(world.tiers.active(), Some(0));
        }

        #[test]
        fn whatever_happens_a_tier_serves_while_one_can(
            fail_over_below in 0.05_f64..1.0,
            spill_over in any::<bool>(),
            is_manual in any::<bool>(),
            ramp in prop_oneof![Just(0), 1_u64..3_000],
            facts in prop::collection::vec(
                (0_u8..4, 0_usize..3, 0_u32..4, 0_u64..2_000),
                1..80,
            ),
        ) {
            let failback = if is_manual { FailbackMode::Manual } else { FailbackMode::Automatic };
            let mut world = World::new(TierPolicy {
                fail_over_below: Capacity::Share(fail_over_below),
                spill_over,
                failback,
                failback_ramp: Duration::from_millis(ramp),
                failback_after_max: 8 * SECOND,
                ..policy()
            });
            let mut eligible = [3, 3, 3];
            world.hear("0 3/3 3/3 3/3");
            let mut now = 0;
            for (kind, tier, left, wait) in facts {
                now += wait;
                match kind {
                    0 => world.hear(&format!("{now} !{tier}")),
                    1 => world.hear(&format!("{now} <")),
                    _ => {
                        eligible[tier] = left;
                        let [a, b, c] = eligible;
                        world.hear(&format!("{now} {a}/3 {b}/3 {c}/3"));
                    }
                }
                let parts = world.parts();
                let is_up = eligible.iter().any(|&it| it != 0);
                prop_assert_eq!(world.tiers.active().is_some(), is_up);
                let sum: i32 = parts.iter().sum();
                prop_assert!(!is_up || (99..=101).contains(&sum), "{:?}", parts);
                for (part, eligible) in parts.iter().zip(eligible) {
                    prop_assert!(*part == 0 || eligible != 0, "{:?}", parts);
                }
                // What is waited for comes within the longest hold-down and the ramp.
                if let Some(failback) = world.tiers.failback(&world.policy) {
                    prop_assert!(failback.at <= at(now) + 8 * SECOND + world.policy.failback_ramp);
                }
            }
        }
    }
}
