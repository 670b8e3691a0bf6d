//! The fleet as a whole: a small world is told what happens, and what it says is compared.

use std::{fmt::Write, sync::Arc};

use super::*;
use crate::{event::TierReason, model::sample};

/// Plays words such as `100:a-` against backends in `tiers`: at 100 ms, a check of `a` fails.
///
/// `+` a check passes, `-` a check fails, `!3` the third attempt in a row fails, `*` an attempt
/// succeeds, `.` (without a backend) time passes. Returns what the fleet says, in the same short
/// hand: `a?` suspected, `a~` evidence, `a.` cleared, `aX` lost, `aO` regained, `a*` served,
/// `0>1` tier change.
fn play(tiers: &[usize], script: &str) -> String {
    let mut fleet = Fleet::new(sample::tiers(tiers), Timestamp::ZERO);
    let mut said = String::new();
    for word in script.split_whitespace() {
        let (at, what) = word.split_once(':').unwrap();
        let now = Timestamp::from_millis(at.parse().unwrap());
        let mut letters = what.chars();
        let letter = letters.next().unwrap();
        fleet.handle_deadline(now);
        if letter != '.' {
            let index = usize::from(letter as u8 - b'a');
            let backend = BackendId { pool: PoolId(0), index };
            let took = Duration::from_millis(1);
            let symptom = Symptom::ConnectionRefused;
            fleet.handle(
                match letters.next().unwrap() {
                    '+' => Input::Checked { backend, failure: None, took },
                    '-' => Input::Checked { backend, failure: Some(symptom), took },
                    '*' => Input::AttemptSucceeded { backend },
                    _ => {
                        let run = letters.as_str().parse().unwrap();
                        Input::AttemptFailed { backend, symptom, run, at: now }
                    }
                },
                now,
            );
        }
        while let Some(output) = fleet.poll_output() {
            if let Output::Event(event) = output {
                write!(said, "{} ", short(&event)).unwrap();
            }
        }
    }
    said.trim_end().to_owned()
}

fn short(event: &Event) -> String {
    let name = |id: BackendId| char::from(b'a' + id.index as u8);
    let tier = |tier: Option<usize>| tier.map_or("-".to_owned(), |tier| tier.to_string());
    match event {
        Event::BackendSuspected { backend, .. } => format!("{}?", name(*backend)),
        Event::EvidenceGathered { backend, .. } => format!("{}~", name(*backend)),
        Event::BackendCleared { backend } => format!("{}.", name(*backend)),
        Event::BackendLost { backend, .. } => format!("{}X", name(*backend)),
        Event::BackendRegained { backend } => format!("{}O", name(*backend)),
        Event::TierChanged { from, to, reason, .. } => {
            let arrow = if *reason == TierReason::HoldDownEnded { "<" } else { ">" };
            format!("{}{arrow}{}", tier(*from), tier(*to))
        }
        Event::BackendServed { backend } => format!("{}*", name(*backend)),
        Event::FaultRequested { backend, .. } => format!("{}f", name(*backend)),
    }
}

fn check(tiers: &[usize], script: &str, expected: &str) {
    assert_eq!(play(tiers, script), expected, "{script}");
}

#[test]
fn the_preferred_tier_serves_once_both_are_checked() {
    check(&[0, 1], "1:b+ 2:a+ 3:a*", "->0 a*");
    check(&[0, 1], "1:a- 2:b+", "a~ ->1");
}

#[test]
fn a_run_of_failed_checks_fails_over_and_a_run_of_passes_then_the_hold_down_fails_back() {
    check(
        &[0, 1],
        "1:a+ 2:b+ 1000:a- 1100:a- 1200:b* 3000:a+ 4000:a+ 13999:. 14000:.",
        "->0 a? a~ aX 0>1 b* aO 1<0",
    );
}

#[test]
fn a_run_of_failed_attempts_ejects_without_waiting_for_checks() {
    check(&[0, 1], "1:a+ 2:b+ 10:a!1 11:a!2 12:a!3 13:b*", "->0 a? a~ a~ aX 0>1 b*");
}

#[test]
fn an_ejected_backend_that_checks_never_doubted_returns_when_its_time_is_over() {
    check(
        &[0, 1],
        "1:a+ 2:b+ 10:a!3 1000:a+ 2000:a+ 5009:. 5010:. 15010:.",
        "->0 a? aX 0>1 aO 1<0",
    );
}

#[test]
fn a_recovery_seen_by_checks_ends_an_ejection_early() {
    check(&[0, 1], "1:a+ 2:b+ 10:a!3 20:a- 120:a- 900:a+ 1900:a+", "->0 a? aX 0>1 a~ a~ aO");
}

#[test]
fn two_passes_clear_a_suspicion() {
    check(&[0, 1], "1:a+ 2:b+ 10:a!1 110:a+ 210:a+", "->0 a? a.");
    check(&[0, 1], "1:a+ 2:b+ 10:a- 110:a+ 160:a!1 210:a+ 310:a+", "->0 a? a~ a.");
}

#[test]
fn the_last_eligible_backend_is_never_ejected() {
    check(&[0, 1], "1:a+ 2:b- 10:a!3 11:a!9", "->0 b~ a? a~");
    check(&[0], "1:a+ 10:a!3", "->0 a?");
}

#[test]
fn when_nothing_is_left_the_first_to_return_serves_at_once() {
    check(
        &[0, 1],
        "1:a+ 2:b+ 10:a- 20:a- 30:b- 40:b- 1000:b+ 2000:b+",
        "->0 a? a~ aX 0>1 b? b~ bX 1>- bO ->1",
    );
}

#[test]
fn a_tier_of_two_serves_on_with_one() {
    check(&[0, 0, 1], "1:a+ 2:b+ 3:c+ 10:a!3 11:b*", "->0 a? aX b*");
}

#[test]
fn the_pace_is_fast_while_a_backend_is_suspected() {
    let mut fleet = Fleet::new(sample::tiers(&[0, 1]), Timestamp::ZERO);
    let backend = BackendId { pool: PoolId(0), index: 0 };
    let took = Duration::ZERO;
    let mut paces = Vec::new();
    let refused = Some(Symptom::ConnectionRefused);
    for (millis, failure) in [(1, None), (2, refused), (3, refused), (4, None), (5, None)] {
        fleet.handle(Input::Checked { backend, failure, took }, Timestamp::from_millis(millis));
        while let Some(output) = fleet.poll_output() {
            if let Output::Pace(_, pace) = output {
                paces.push((millis, pace));
            }
        }
    }
    assert_eq!(paces, [(2, Pace::Fast), (3, Pace::Normal)]);
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    /// Facts of a random world: backend, kind of fact, milliseconds since the one before.
    fn facts() -> impl Strategy<Value = Vec<(usize, u8, u64)>> {
        prop::collection::vec((0usize..4, 0u8..4, 0u64..3_000), 1..120)
    }

    proptest! {
        #[test]
        fn whatever_happens_the_promises_hold(facts in facts()) {
            let tiers = [0, 0, 1, 2];
            let topology = sample::tiers(&tiers);
            let mut fleet = Fleet::new(Arc::clone(&topology), Timestamp::ZERO);
            let mut now = Timestamp::ZERO;
            let mut lost = [false; 4];
            let mut runs = [0; 4];
            for (index, kind, wait) in facts {
                now = now + Duration::from_millis(wait);
                fleet.handle_deadline(now);
                let backend = BackendId { pool: PoolId(0), index };
                let took = Duration::from_millis(1);
                let symptom = Symptom::ResponseTimedOut;
                let input = match kind {
                    0 => Input::Checked { backend, failure: None, took },
                    1 => Input::Checked { backend, failure: Some(symptom), took },
                    2 => {
                        runs[index] += 1;
                        Input::AttemptFailed { backend, symptom, run: runs[index], at: now }
                    }
                    _ => {
                        runs[index] = 0;
                        Input::AttemptSucceeded { backend }
                    }
                };
                fleet.handle(input, now);
                let mut tier = None;
                while let Some(output) = fleet.poll_output() {
                    match output {
                        // Lost and regained alternate.
                        Output::Event(Event::BackendLost { backend, heir, .. }) => {
                            prop_assert!(!std::mem::replace(&mut lost[backend.index], true));
                            let snapshot = fleet.snapshot();
                            if let Some(heir) = heir {
                                let heir = &snapshot.pools[0].backends[heir.index];
                                prop_assert!(heir.condition.is_eligible());
                            }
                        }
                        Output::Event(Event::BackendRegained { backend }) => {
                            lost[backend.index] = false;
                        }
                        Output::Event(Event::TierChanged { from, to, .. }) => {
                            prop_assert_ne!(from, to);
                            if let Some(before) = tier {
                                prop_assert_eq!(before, from);
                            }
                            tier = Some(to);
                        }
                        Output::Event(_) | Output::Pace(..) | Output::Watch(..) => {}
                    }
                }
                hold(&fleet, now)?;
            }
        }
    }

    fn hold(fleet: &Fleet, now: Timestamp) -> Result<(), TestCaseError> {
        let snapshot = fleet.snapshot();
        let pool = &snapshot.pools[0];
        let eligible = |tier: usize| &pool.tiers[tier].eligible;
        // Whoever may be picked is eligible, and the other way round.
        for (index, backend) in pool.backends.iter().enumerate() {
            let listed = pool.tiers.iter().any(|tier| tier.eligible.contains(&index));
            prop_assert_eq!(listed, backend.condition.is_eligible());
            if let Condition::Ejected { until } = backend.condition {
                prop_assert!(now < until);
            }
        }
        // No more than half the pool is ejected.
        let is_ejected = |it: &&crate::snapshot::BackendSnapshot| {
            matches!(it.condition, Condition::Ejected { .. })
        };
        prop_assert!(pool.backends.iter().filter(is_ejected).count() <= 2);
        // The tier that serves can; nothing serves only when nothing can.
        match pool.active_tier {
            Some(tier) => prop_assert!(!eligible(tier).is_empty()),
            None => {
                let unknown = pool.backends.iter().any(|it| it.condition == Condition::Unknown);
                prop_assert!(unknown || (0..3).all(|tier| eligible(tier).is_empty()));
            }
        }
        // A better tier that can serve waits for its hold-down, never longer.
        if let Some(failback) = pool.failback {
            prop_assert!(now < failback.at);
            prop_assert!(failback.at <= now + Duration::from_secs(10));
        }
        Ok(())
    }
}
