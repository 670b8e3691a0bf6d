//! The fleet as a whole: a small world is told what happens, and what it says is compared.

use std::{fmt::Write, sync::Arc};

use super::*;
use crate::{event::TierReason, model::sample};

/// Plays words such as `100:a-` against backends in `tiers`: at 100 ms, a check of `a` fails.
///
/// `+` a check passes, `-` a check fails, `-w` it fails while traffic is well, `!3` the third
/// attempt in a row fails, `!3<250` after 250 ms, `!3%9/20` as the ninth failure of the last
/// twenty attempts; `*` an attempt succeeds, `*250` in 250 ms; `^200` an attempt has overstayed, of
/// 200 ms; `@` a request takes the trial; `=90` twenty answers have a median of 90 ms; `.` (without a backend) time passes.
///
/// Returns what the fleet says, in the same short hand: `a?` suspected, `a~` evidence, `a.`
/// cleared, `a:latency` ejected, `aX` lost, `aO` regained, `a*` served, `0>1` tier change, `1<0`
/// failback, `0%` a failback begins, `0!` it is aborted, `aT` a trial is granted, `a#` evidence
/// disagrees, `a=` agrees.
pub(crate) fn play(tiers: &[usize], script: &str) -> String {
    hear(&mut Fleet::new(sample::tiers(tiers), Timestamp::ZERO), script)
}

/// Plays words against `fleet`, as [`play`] does.
pub(crate) fn hear(fleet: &mut Fleet, script: &str) -> String {
    let mut said = String::new();
    for word in script.split_whitespace() {
        let (at, what) = word.split_once(':').unwrap();
        let now = Timestamp::from_millis(at.parse().unwrap());
        fleet.handle_deadline(now);
        if what != "." {
            fleet.handle(input(what, now), now);
        }
        let more = listen(fleet);
        if !more.is_empty() {
            write!(said, "{more} ").unwrap();
        }
    }
    said.trim_end().to_owned()
}

/// Returns what `fleet` has said since it was last listened to.
pub(crate) fn listen(fleet: &mut Fleet) -> String {
    let mut said = String::new();
    while let Some(output) = fleet.poll_output() {
        match output {
            Output::Event(event) => write!(said, "{} ", short(&event)).unwrap(),
            Output::Trial(id) => write!(said, "{}T ", letter(id)).unwrap(),
            Output::TrialOver(_) | Output::Pace(..) | Output::Watch(..) => {}
        }
    }
    said.trim_end().to_owned()
}

fn input(what: &str, now: Timestamp) -> Input {
    let (name, what) = what.split_at(1);
    let backend = BackendId { pool: PoolId(0), index: usize::from(name.as_bytes()[0] - b'a') };
    let (kind, number) = what.split_at(1);
    let millis = |text: &str, or: u64| Duration::from_millis(text.parse().unwrap_or(or));
    let symptom = Symptom::ConnectionRefused;
    match kind {
        "+" | "-" => Input::Checked {
            backend,
            failure: (kind == "-").then_some(symptom),
            took: millis("", 1),
            recent: Recent { attempts: if number == "w" { 100 } else { 0 }, failures: 0 },
        },
        "*" => Input::AttemptSucceeded { backend, took: millis(number, 0) },
        "^" => Input::Overstayed {
            backend,
            symptom: Symptom::Overstayed,
            waited: millis(number, 0),
            at: now,
        },
        "@" => Input::TrialTaken { backend, at: now },
        "=" => {
            let median = millis(number, 0);
            let measure = Measure { quartile: median, median, latest: median, answers: 20 };
            Input::Measured { backend, measure }
        }
        _ => {
            let (number, recent) = number.split_once('%').unwrap_or((number, "0/0"));
            let (failures, attempts) = recent.split_once('/').unwrap();
            let (run, waited) = number.split_once('<').unwrap_or((number, "0"));
            Input::AttemptFailed {
                backend,
                symptom,
                waited: millis(waited, 0),
                run: run.parse().unwrap(),
                recent: Recent {
                    attempts: attempts.parse().unwrap(),
                    failures: failures.parse().unwrap(),
                },
                at: now,
            }
        }
    }
}

fn letter(id: BackendId) -> char {
    char::from(b'a' + u8::try_from(id.index).unwrap())
}

fn short(event: &Event) -> String {
    let name = |id: &BackendId| letter(*id);
    let tier = |tier: Option<usize>| tier.map_or("-".to_owned(), |tier| tier.to_string());
    match event {
        Event::BackendSuspected { backend, .. } => format!("{}?", name(backend)),
        Event::EvidenceGathered { backend, .. } => format!("{}~", name(backend)),
        Event::BackendCleared { backend } => format!("{}.", name(backend)),
        Event::BackendLost { backend, .. } => format!("{}X", name(backend)),
        Event::BackendEjected { backend, ejection } => {
            format!("{}:{}", name(backend), ejection.name())
        }
        Event::BackendRegained { backend } => format!("{}O", name(backend)),
        Event::BackendDrained { backend, intent, served, .. } => {
            format!("{}{}{}", name(backend), &intent.name()[..2], tier(*served))
        }
        Event::BackendEnabled { backend } => format!("{}en", name(backend)),
        Event::WeightChanged { backend, from, to } => format!("{}{from}-{to}", name(backend)),
        Event::FailoverRequested { backend, from, .. } => format!("{}!!{from}", name(backend)),
        Event::FailoverEnded { tier, .. } => format!("{tier}!."),
        Event::EvidenceDisagreed { backend, .. } => format!("{}#", name(backend)),
        Event::EvidenceAgreed { backend } => format!("{}=", name(backend)),
        Event::TierChanged { from, to, reason, .. } => {
            let is_back = matches!(reason, TierReason::HoldDownEnded | TierReason::Requested);
            let arrow = if is_back { "<" } else { ">" };
            format!("{}{arrow}{}", tier(*from), tier(*to))
        }
        Event::FailbackBegan { to, .. } => format!("{to}%"),
        Event::FailbackAborted { to, .. } => format!("{to}!"),
        Event::BackendServed { backend } => format!("{}*", name(backend)),
        Event::FaultRequested { backend, .. } => format!("{}f", name(backend)),
        Event::FaultWithdrawn { backend } => format!("{}w", name(backend)),
    }
}

/// Compares what the fleet says, apart from why backends are ejected.
fn check(tiers: &[usize], script: &str, expected: &str) {
    let said = play(tiers, script);
    let said: Vec<&str> = said.split(' ').filter(|word| !word.contains(':')).collect();
    assert_eq!(said.join(" "), expected, "{script}");
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
        "->0 a? aX 0>1 a# a= aO aT 1<0",
    );
}

#[test]
fn a_recovery_seen_by_checks_ends_an_ejection_early() {
    check(&[0, 1], "1:a+ 2:b+ 10:a!3 20:a- 120:a- 900:a+ 1900:a+", "->0 a? aX 0>1 a~ a~ aO");
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
fn whom_traffic_alone_has_condemned_is_taken_back_when_nobody_else_is_left() {
    let ejected = "1:a+ 2:b+ 10:a!3 11:b*";
    let said = "->0 a? aX 0>1 b*";
    // Its checks pass: it takes over at once, on probation, and is as good as the last one.
    check(
        &[0, 1],
        &format!("{ejected} 20:a+ 30:b- 40:b- 41:. 42:a!1 43:a*"),
        &format!("{said} a# b? b~ a= aO bX 1>0 aT a? a*"),
    );
    // A check that passes only then does the same.
    check(
        &[0, 1],
        &format!("{ejected} 30:b- 40:b- 50:a+"),
        &format!("{said} b? b~ bX 1>- a# a= aO ->0"),
    );
    // One that checks condemn as well is not.
    check(
        &[0, 1],
        &format!("{ejected} 20:a- 30:b- 40:b- 50:a-"),
        &format!("{said} a~ b? b~ bX 1>- a~"),
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
        let input = Input::Checked { backend, failure, took, recent: Recent::default() };
        fleet.handle(input, Timestamp::from_millis(millis));
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

    /// Facts of a random world: backend, kind of fact, a number, milliseconds since the one before.
    fn facts() -> impl Strategy<Value = Vec<(usize, u8, u64, u64)>> {
        prop::collection::vec((0usize..4, 0u8..8, 0u64..200, 0u64..3_000), 1..120)
    }

    fn fact(backend: BackendId, kind: u8, number: u64, run: &mut u32, at: Timestamp) -> Input {
        let took = Duration::from_millis(number);
        let symptom = Symptom::ResponseTimedOut;
        let recent = Recent { attempts: 100, failures: number / 2 };
        *run = if kind == 2 { *run + 1 } else { *run };
        match kind {
            0 => Input::Checked { backend, failure: None, took, recent },
            1 => Input::Checked { backend, failure: Some(symptom), took, recent },
            2 => Input::AttemptFailed { backend, symptom, waited: took, run: *run, recent, at },
            3 => Input::Overstayed { backend, symptom: Symptom::Overstayed, waited: took, at },
            4 => {
                let measure =
                    Measure { quartile: took, median: took, latest: took, answers: number };
                Input::Measured { backend, measure }
            }
            5 => Input::TrialTaken { backend, at },
            _ => {
                *run = 0;
                Input::AttemptSucceeded { backend, took }
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_the_promises_hold(facts in facts()) {
            let tiers = [0, 0, 1, 2];
            let topology = sample::tiers(&tiers);
            let mut fleet = Fleet::new(Arc::clone(&topology), Timestamp::ZERO);
            let mut now = Timestamp::ZERO;
            let mut told = Told::default();
            let mut runs = [0; 4];
            for (index, kind, number, wait) in facts {
                let then = now + Duration::from_millis(wait);
                // Every deadline in between is met, and moves on.
                while let Some(at) = fleet.next_deadline().filter(|at| *at <= then) {
                    now = now.max(at);
                    fleet.handle_deadline(now);
                    prop_assert!(fleet.next_deadline().is_none_or(|next| now < next), "stuck");
                    told.take(&mut fleet)?;
                    hold(&fleet, now)?;
                }
                now = then;
                let backend = BackendId { pool: PoolId(0), index };
                fleet.handle(fact(backend, kind, number, &mut runs[index], now), now);
                told.take(&mut fleet)?;
                // What became due at once is done at once.
                fleet.handle_deadline(now);
                told.take(&mut fleet)?;
                hold(&fleet, now)?;
            }
        }
    }

    /// What the fleet has said, by backend.
    #[derive(Default)]
    struct Told {
        lost: [bool; 4],
        disputed: [bool; 4],
        watched: [bool; 4],
        on_trial: [bool; 4],
    }

    impl Told {
        /// Asserts that what the fleet says alternates.
        fn take(&mut self, fleet: &mut Fleet) -> Result<(), TestCaseError> {
            let turn = |flag: &mut bool, to: bool| {
                prop_assert_ne!(std::mem::replace(flag, to), to);
                Ok(())
            };
            let mut tier = None;
            while let Some(output) = fleet.poll_output() {
                match output {
                    Output::Event(Event::BackendLost { backend, heir, .. }) => {
                        turn(&mut self.lost[backend.index], true)?;
                        if let Some(heir) = heir {
                            let heir = &fleet.snapshot().pools[0].backends[heir.index];
                            prop_assert!(heir.condition.is_eligible());
                        }
                    }
                    // A backend whose first check failed is regained without having been lost.
                    Output::Event(Event::BackendRegained { backend }) => {
                        self.lost[backend.index] = false;
                    }
                    Output::Event(Event::EvidenceDisagreed { backend, .. }) => {
                        turn(&mut self.disputed[backend.index], true)?;
                    }
                    Output::Event(Event::EvidenceAgreed { backend }) => {
                        turn(&mut self.disputed[backend.index], false)?;
                    }
                    Output::Event(Event::TierChanged { from, to, .. }) => {
                        prop_assert_ne!(from, to);
                        prop_assert!(tier.is_none_or(|before| before == from));
                        tier = Some(to);
                    }
                    Output::Watch(id, to) => turn(&mut self.watched[id.index], to)?,
                    Output::Trial(id) => turn(&mut self.on_trial[id.index], true)?,
                    Output::TrialOver(id) => turn(&mut self.on_trial[id.index], false)?,
                    Output::Event(_) | Output::Pace(..) => {}
                }
            }
            // Only who is suspected is tried, and is then listened to.
            let snapshot = fleet.snapshot();
            for (index, backend) in snapshot.pools[0].backends.iter().enumerate() {
                let is_suspected = backend.condition == Condition::Suspected;
                prop_assert!(!self.on_trial[index] || (is_suspected && self.watched[index]));
            }
            Ok(())
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
            let trusted = pool.tiers.iter().any(|tier| tier.trusted().eligible.contains(&index));
            prop_assert_eq!(trusted, backend.condition.is_trusted());
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
