//! Orders given to a fleet, and what it makes of them.

use proptest::prelude::*;

use super::{
    tests::{hear, listen},
    *,
};
use crate::{
    event::{LossReason, TierReason},
    model::{Intent, sample},
};

fn fleet_of(tiers: &[usize], change: impl FnOnce(&mut Pool)) -> Fleet {
    let members: Vec<_> = tiers.iter().map(|&tier| (tier, 1)).collect();
    let mut pool = sample::pool("api", &members);
    change(&mut pool);
    Fleet::new(Arc::new(sample::topology(vec![pool])), Timestamp::ZERO)
}

/// A fleet whose backends have all passed their first check.
fn well(tiers: &[usize]) -> Fleet {
    let mut fleet = fleet_of(tiers, |_| {});
    let checks: Vec<_> = ["1:a+", "1:b+", "1:c+", "1:d+"].into_iter().take(tiers.len()).collect();
    hear(&mut fleet, &checks.join(" "));
    fleet
}

fn order(target: Target) -> Order {
    Order { pool: "api".to_owned(), target, expected: Expectation::default(), is_forced: false }
}

/// What the script calls `a` is called `b0`.
fn name(letter: &str) -> String {
    format!("b{}", letter.as_bytes()[0] - b'a')
}

fn backend(letter: &str, command: Command) -> Order {
    order(Target::Backend(name(letter), command))
}

fn drain(letter: &str) -> Order {
    backend(letter, Command::Intend(Intent::Draining))
}

fn enable(letter: &str) -> Order {
    backend(letter, Command::Intend(Intent::Enabled))
}

fn forced(order: Order) -> Order {
    Order { is_forced: true, ..order }
}

/// Gives an order and returns what the fleet says.
fn give(fleet: &mut Fleet, order: &Order, millis: u64) -> Result<String, Refusal> {
    fleet.order(order, Timestamp::from_millis(millis))?;
    Ok(listen(fleet))
}

fn eligible(fleet: &Fleet) -> Vec<usize> {
    let snapshot = fleet.snapshot();
    snapshot.pools[0].tiers.iter().flat_map(|it| it.eligible.clone()).collect()
}

#[test]
fn a_drained_backend_gets_nothing_and_is_still_checked() {
    let mut fleet = well(&[0, 0]);
    assert_eq!(give(&mut fleet, &drain("a"), 10).unwrap(), "adr0");
    assert_eq!(eligible(&fleet), [1]);
    assert_eq!(fleet.snapshot().pools[0].backends[0].condition, Condition::Healthy);
    assert_eq!(hear(&mut fleet, "20:a- 30:a-"), "a? a~ aX");
    // It cannot be picked before its checks pass again, and an operator says so.
    assert_eq!(give(&mut fleet, &enable("a"), 40).unwrap(), "aen");
    assert_eq!(eligible(&fleet), [1]);
    assert_eq!(hear(&mut fleet, "50:a+ 60:a+ 70:a+"), "aO");
    assert_eq!(give(&mut fleet, &drain("a"), 80).unwrap(), "adr0");
    assert_eq!(give(&mut fleet, &enable("a"), 90).unwrap(), "aen aO");
    assert_eq!(eligible(&fleet), [0, 1]);
}

#[test]
fn an_order_that_is_carried_out_already_changes_nothing() {
    let mut fleet = well(&[0, 0]);
    give(&mut fleet, &drain("a"), 10).unwrap();
    let before = fleet.snapshot();
    for again in [drain("a"), backend("b", Command::Readmit), backend("b", Command::Weigh(1))] {
        assert_eq!(give(&mut fleet, &again, 20).unwrap(), "");
    }
    assert_eq!(fleet.snapshot(), before);
}

#[test]
fn a_disabled_backend_is_not_checked_and_checked_before_it_serves_again() {
    let mut fleet = well(&[0, 0]);
    let disable = backend("a", Command::Intend(Intent::Disabled));
    fleet.order(&disable, Timestamp::from_millis(10)).unwrap();
    let mut paces = Vec::new();
    while let Some(output) = fleet.poll_output() {
        if let Output::Pace(id, pace) = output {
            paces.push((id.index, pace));
        }
    }
    assert_eq!(paces, [(0, Pace::Never)]);
    // A check that was under way says nothing any more.
    assert_eq!(hear(&mut fleet, "20:a- 30:a- 40:a-"), "");
    assert_eq!(fleet.snapshot().pools[0].backends[0].condition, Condition::Healthy);
    assert!(fleet.snapshot().is_checked());
    assert_eq!(give(&mut fleet, &enable("a"), 50).unwrap(), "aen");
    assert_eq!(fleet.snapshot().pools[0].backends[0].condition, Condition::Unknown);
    assert!(fleet.snapshot().is_checked(), "the proxy is as ready as before");
    assert_eq!(eligible(&fleet), [1]);
    assert_eq!(hear(&mut fleet, "60:a+"), "aO");
    assert_eq!(eligible(&fleet), [0, 1]);
}

#[test]
fn the_last_eligible_backend_is_kept_unless_forced() {
    let mut fleet = well(&[0, 1]);
    hear(&mut fleet, "10:b- 20:b-");
    let commands = [
        Command::Intend(Intent::Draining),
        Command::Intend(Intent::Disabled),
        Command::Eject(Duration::from_secs(1)),
    ];
    for command in commands {
        assert_eq!(give(&mut fleet, &backend("a", command), 30), Err(Refusal::LastEligible));
    }
    assert_eq!(eligible(&fleet), [0]);
    // One that is not eligible anyway may be drained.
    give(&mut fleet, &drain("b"), 40).unwrap();
    assert_eq!(give(&mut fleet, &forced(drain("a")), 50).unwrap(), "adr0 0>-");
    assert_eq!(fleet.snapshot().pools[0].active_tier, None);
}

#[test]
fn draining_the_tier_that_serves_moves_the_pool_and_undraining_brings_it_back() {
    let mut fleet = well(&[0, 1]);
    assert_eq!(give(&mut fleet, &drain("a"), 10).unwrap(), "adr0 0>1");
    assert_eq!(give(&mut fleet, &enable("a"), 20).unwrap(), "aen aO");
    assert_eq!(fleet.snapshot().pools[0].active_tier, Some(1));
    assert_eq!(hear(&mut fleet, "30020:."), "1<0");
}

#[test]
fn what_is_expected_must_be_so() {
    let mut fleet = well(&[0, 0]);
    let expecting = |expected: Expectation| Order { expected, ..drain("a") };
    let wrong = [
        (Expectation { intent: Some(Intent::Draining), ..Expectation::default() }, "intent"),
        (Expectation { weight: Some(7), ..Expectation::default() }, "weight"),
        (Expectation { condition: Some("down".to_owned()), ..Expectation::default() }, "condition"),
        (Expectation { is_eligible: Some(false), ..Expectation::default() }, "is_eligible"),
        (Expectation { is_active: Some(false), ..Expectation::default() }, "is_active"),
        (Expectation { active: Some("b1".to_owned()), ..Expectation::default() }, "active"),
    ];
    for (expected, wrong) in wrong {
        match fleet.order(&expecting(expected), Timestamp::from_millis(10)) {
            Err(Refusal::Changed { field, .. }) => assert_eq!(field, wrong),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(listen(&mut fleet), "");
    let right = Expectation {
        intent: Some(Intent::Enabled),
        weight: Some(1),
        condition: Some("up".to_owned()),
        is_eligible: Some(true),
        is_active: Some(true),
        active: Some("tier 0".to_owned()),
    };
    assert_eq!(give(&mut fleet, &expecting(right), 20).unwrap(), "adr0");
}

#[test]
fn a_weight_changes_the_turns_of_its_tier_and_none_makes_a_spare() {
    let mut fleet = well(&[0, 0, 1]);
    assert_eq!(give(&mut fleet, &backend("a", Command::Weigh(3)), 10).unwrap(), "a1-3");
    let tier = |fleet: &Fleet, tier: usize| fleet.snapshot().pools[0].tiers[tier].clone();
    assert_eq!(tier(&fleet, 0).schedule.len(), 4);
    assert_eq!(give(&mut fleet, &backend("a", Command::Weigh(0)), 20).unwrap(), "a3-0");
    assert_eq!((tier(&fleet, 0).schedule.len(), tier(&fleet, 0).eligible), (1, vec![0, 1]));
    // As configured: there is no override left.
    give(&mut fleet, &backend("a", Command::Weigh(1)), 30).unwrap();
    assert_eq!(
        fleet.pools[0].backends[0]
            .weight(fleet.topology.backend(BackendId { pool: PoolId(0), index: 0 })),
        1
    );
    assert_eq!(fleet.snapshot(), {
        let mut other = well(&[0, 0, 1]);
        listen(&mut other);
        other.snapshot()
    });
}

#[test]
fn keys_move_only_in_the_tier_whose_weights_change() {
    let mut fleet = fleet_of(&[0, 0, 1], |pool| pool.balance = crate::model::Balance::Hash);
    let before = fleet.snapshot().pools[0].tables.clone();
    fleet.order(&backend("a", Command::Weigh(0)), Timestamp::ZERO).unwrap();
    let after = fleet.snapshot().pools[0].tables.clone();
    let keys: Vec<u64> = (0..1_000).map(crate::snapshot::again).collect();
    assert!(keys.iter().all(|&key| after[0].of(key) == Some(1)));
    assert!(keys.iter().any(|&key| before[0].of(key) == Some(0)));
    assert_eq!(before[1], after[1]);
    fleet.order(&drain("b"), Timestamp::ZERO).unwrap();
    assert_eq!(fleet.snapshot().pools[0].tables, after, "drained, its keys are still its own");
}

#[test]
fn an_ejection_by_hand_lasts_until_its_end_or_a_readmission_and_probation_follows() {
    let mut fleet = well(&[0, 0]);
    let eject = backend("a", Command::Eject(Duration::from_secs(5)));
    assert_eq!(give(&mut fleet, &eject, 10).unwrap(), "a:manual aX");
    assert!(fleet.snapshot().pools[0].backends[0].is_ejected_by_hand);
    // Checks that fail and pass meanwhile do not end it.
    let said = hear(&mut fleet, "20:a- 30:a- 40:a+ 50:a+ 60:a+");
    assert!(!said.contains('O'), "{said}");
    assert_eq!(hear(&mut fleet, "5010:."), "aO aT");
    give(&mut fleet, &eject, 5_020).unwrap();
    assert_eq!(give(&mut fleet, &backend("a", Command::Readmit), 5_030).unwrap(), "aO");
    assert_eq!(fleet.snapshot().pools[0].backends[0].condition, Condition::Suspected);
}

#[test]
fn a_readmission_does_not_overrule_checks() {
    let mut fleet = well(&[0, 0]);
    give(&mut fleet, &backend("a", Command::Eject(Duration::from_secs(5))), 10).unwrap();
    hear(&mut fleet, "20:a- 30:a-");
    give(&mut fleet, &backend("a", Command::Readmit), 40).unwrap();
    assert_eq!(fleet.snapshot().pools[0].backends[0].condition, Condition::Unhealthy);
}

#[test]
fn a_pool_that_an_operator_moved_stays_until_he_asks_for_the_return() {
    let mut fleet = well(&[0, 1]);
    let to = |it| order(Target::FailOver(Some(it)));
    let moved = give(&mut fleet, &to(Subject::Backend(name("b"))), 10).unwrap();
    assert_eq!(moved, "a!!0 0>1");
    assert_eq!(hear(&mut fleet, "99999:."), "", "no failback by itself");
    let snapshot = fleet.snapshot();
    assert_eq!((snapshot.pools[0].held, snapshot.pools[0].returnable), (Some(1), Some(0)));
    assert_eq!(give(&mut fleet, &to(Subject::Tier(1)), 100_000).unwrap(), "");
    assert_eq!(give(&mut fleet, &order(Target::FailBack), 100_010).unwrap(), "1<0");
    assert_eq!(fleet.snapshot().pools[0].held, None);
    let nothing = Err(Refusal::NothingToFailBack);
    assert_eq!(give(&mut fleet, &order(Target::FailBack), 100_020), nothing);
}

#[test]
fn a_pool_whose_chosen_tier_fails_returns_by_itself_and_says_so() {
    let mut fleet = well(&[0, 1]);
    assert_eq!(give(&mut fleet, &order(Target::FailOver(None)), 10).unwrap(), "a!!0 0>1");
    assert_eq!(hear(&mut fleet, "20:b- 30:b-"), "b? b~ bX 1!. 1>0");
    assert_eq!(fleet.snapshot().pools[0].held, None);
}

#[test]
fn what_keeps_a_pool_elsewhere_can_be_lifted_while_nothing_can_take_its_traffic() {
    let mut fleet = well(&[0, 1]);
    give(&mut fleet, &order(Target::FailOver(None)), 10).unwrap();
    assert_eq!(hear(&mut fleet, "20:a- 30:a-"), "a? a~ aX");
    assert_eq!(give(&mut fleet, &order(Target::FailBack), 40).unwrap(), "");
    let snapshot = fleet.snapshot();
    assert_eq!((snapshot.pools[0].held, snapshot.pools[0].active_tier), (None, Some(1)));
    let nothing = Err(Refusal::NothingToFailBack);
    assert_eq!(give(&mut fleet, &order(Target::FailBack), 50), nothing);
    assert_eq!(hear(&mut fleet, "60:a+ 70:a+ 30070:."), "aO 1<0", "it returns by itself");
}

#[test]
fn a_weight_by_which_a_tier_cannot_serve_moves_the_pool_on_the_operators_account() {
    let mut fleet = fleet_of(&[0, 0, 1], |pool| {
        pool.tiers.fail_over_below = crate::model::Capacity::Share(0.5);
    });
    hear(&mut fleet, "1:a+ 1:b+ 1:c+ 10:b- 20:b-");
    assert_eq!(fleet.snapshot().pools[0].active_tier, Some(0));
    // Three quarters of the tier are out now.
    fleet.order(&backend("b", Command::Weigh(3)), Timestamp::from_millis(30)).unwrap();
    let mut moved = Vec::new();
    while let Some(output) = fleet.poll_output() {
        match output {
            Output::Event(Event::FailoverRequested { backend, from, heir }) => {
                assert_eq!((backend.index, from, heir.unwrap().index), (1, 0, 2));
                moved.push("requested");
            }
            Output::Event(Event::TierChanged { from, to, reason, .. }) => {
                assert_eq!((from, to), (Some(0), Some(1)));
                assert_eq!(reason, TierReason::Lost(LossReason::Manual));
                moved.push("moved");
            }
            Output::Event(_)
            | Output::Trial(_)
            | Output::TrialOver(_)
            | Output::Pace(..)
            | Output::Watch(..) => {}
        }
    }
    assert_eq!(moved, ["requested", "moved"]);
    // Weighed as before, it gets its traffic back like any other.
    assert_eq!(give(&mut fleet, &backend("b", Command::Weigh(1)), 40).unwrap(), "b3-1");
    assert_eq!(hear(&mut fleet, "30040:."), "1<0");
}

#[test]
fn a_check_that_began_before_a_backend_was_enabled_says_nothing() {
    let mut fleet = well(&[0, 0]);
    let disable = backend("a", Command::Intend(Intent::Disabled));
    give(&mut fleet, &disable, 10).unwrap();
    give(&mut fleet, &enable("a"), 50).unwrap();
    let mut check = |took, at| {
        let (took, recent) = (Duration::from_millis(took), Recent::default());
        let backend = BackendId { pool: PoolId(0), index: 0 };
        let input = Input::Checked { backend, failure: None, took, recent };
        fleet.handle(input, Timestamp::from_millis(at));
        eligible(&fleet)
    };
    assert_eq!(check(55, 60), [1], "it began before the backend was disabled");
    assert_eq!(check(15, 60), [1], "it began while the backend was disabled");
    assert_eq!(check(10, 60), [0, 1]);
}

#[test]
fn what_operators_eject_is_not_counted_among_what_traffic_may() {
    // Half of them may be ejected at once.
    let mut fleet = well(&[0, 0, 0, 0]);
    for letter in ["a", "b"] {
        let eject = backend(letter, Command::Eject(Duration::from_secs(60)));
        give(&mut fleet, &eject, 10).unwrap();
    }
    assert!(hear(&mut fleet, "20:c!3").contains("c:consecutive_failures"));
    assert_eq!(eligible(&fleet), [3]);
}

#[test]
fn a_ramp_goes_on_when_one_of_many_is_drained_and_is_broken_off_when_one_fails() {
    let ramping = || {
        let mut fleet = fleet_of(&[0, 0, 0, 1], |pool| {
            pool.tiers.failback_ramp = Duration::from_secs(60);
        });
        hear(&mut fleet, "1:a+ 1:b+ 1:c+ 1:d+");
        give(&mut fleet, &order(Target::FailOver(None)), 10).unwrap();
        assert_eq!(give(&mut fleet, &order(Target::FailBack), 20).unwrap(), "0%");
        fleet
    };
    let mut fleet = ramping();
    assert_eq!(give(&mut fleet, &drain("a"), 1_000).unwrap(), "adr0");
    let eject = backend("b", Command::Eject(Duration::from_secs(1_000)));
    assert_eq!(give(&mut fleet, &eject, 2_000).unwrap(), "b:manual bX");
    assert_eq!(hear(&mut fleet, "30000:. 60020:."), "1<0");
    let mut fleet = ramping();
    assert!(hear(&mut fleet, "1000:a- 1010:a-").contains("0!"));
    // Nobody of it left is too many.
    let mut fleet = ramping();
    for (letter, at) in [("a", 1_000), ("b", 2_000)] {
        assert!(!give(&mut fleet, &drain(letter), at).unwrap().contains("0!"));
    }
    assert!(give(&mut fleet, &drain("c"), 3_000).unwrap().contains("0!"));
}

#[test]
fn a_pool_is_not_moved_to_a_tier_that_cannot_serve() {
    let mut fleet = well(&[0, 1, 1]);
    hear(&mut fleet, "10:b- 20:b- 30:c- 40:c-");
    let to = |tier| order(Target::FailOver(Some(Subject::Tier(tier))));
    let refusal = Refusal::NotAble { tier: 1, is_any: false };
    assert_eq!(give(&mut fleet, &to(1), 50), Err(refusal));
    assert_eq!(give(&mut fleet, &to(2), 50), Err(Refusal::UnknownTier));
    assert_eq!(give(&mut fleet, &order(Target::FailOver(None)), 50), Err(Refusal::NoOtherTier));
    let mut short = fleet_of(&[0, 1, 1], |pool| {
        pool.tiers.fail_over_below = crate::model::Capacity::Share(1.0);
    });
    hear(&mut short, "1:a+ 1:b+ 1:c+ 10:c- 20:c-");
    let refusal = Refusal::NotAble { tier: 1, is_any: true };
    assert_eq!(give(&mut short, &to(1), 50), Err(refusal));
    assert_eq!(give(&mut short, &forced(to(1)), 50).unwrap(), "a!!0 0>1");
    assert_eq!(hear(&mut short, "99999:."), "", "half of it is enough for him");
    assert_eq!(hear(&mut short, "100000:b- 100010:b-"), "b? b~ bX 1!. 1>0");
}

#[test]
fn a_pool_that_fails_open_asks_nobody_who_is_drained() {
    let mut fleet = fleet_of(&[0, 0], |pool| pool.when_down = crate::model::WhenDown::FailOpen);
    hear(&mut fleet, "1:a+ 1:b+ 10:b- 20:b-");
    fleet.order(&forced(drain("a")), Timestamp::from_millis(30)).unwrap();
    assert_eq!(eligible(&fleet), [1]);
    let now = Timestamp::from_millis(40);
    for intent in [Intent::Draining, Intent::Disabled] {
        let order = backend("b", Command::Intend(intent));
        assert_eq!(fleet.order(&order, now), Err(Refusal::LastEligible));
    }
    assert_eq!(eligible(&fleet), [1]);
    fleet.order(&forced(drain("b")), now).unwrap();
    assert_eq!(eligible(&fleet), [0; 0]);
}

#[test]
fn a_pool_that_fails_open_after_a_weight_was_ordered_picks_by_that_weight() {
    let mut fleet = fleet_of(&[0, 0], |pool| pool.when_down = crate::model::WhenDown::FailOpen);
    hear(&mut fleet, "1:a- 1:b- 10:a- 10:b-");
    fleet.order(&backend("a", Command::Weigh(7)), Timestamp::from_millis(20)).unwrap();
    let snapshot = fleet.snapshot();
    assert!(snapshot.pools[0].is_failing_open);
    assert_eq!(snapshot.pools[0].weights[..], [7, 1]);
}

#[test]
fn a_backend_disabled_before_its_first_check_does_not_keep_the_others_from_serving() {
    let mut fleet = fleet_of(&[0, 1], |_| {});
    let disable = backend("a", Command::Intend(Intent::Disabled));
    fleet.order(&disable, Timestamp::ZERO).unwrap();
    hear(&mut fleet, "10:b+");
    assert_eq!(fleet.snapshot().pools[0].active_tier, Some(1));
}

#[test]
fn what_does_not_exist_is_refused() {
    let mut fleet = well(&[0, 1]);
    let elsewhere = Order { pool: "web".to_owned(), ..drain("a") };
    assert_eq!(give(&mut fleet, &elsewhere, 10), Err(Refusal::UnknownPool));
    assert_eq!(give(&mut fleet, &drain("z"), 10), Err(Refusal::UnknownBackend));
}

proptest! {
    /// Whatever operators order while backends come and go: a pool is never emptied by an order that
    /// is not forced, and nobody is offered whom they took out.
    #[test]
    fn whatever_is_ordered_the_promises_hold(
        steps in prop::collection::vec((0_usize..4, 0_u8..11, 1_u64..3_000), 1..80),
    ) {
        let mut fleet = well(&[0, 0, 1, 2]);
        let mut now = Timestamp::from_millis(1);
        for (index, kind, wait) in steps {
            now = now + Duration::from_millis(wait);
            fleet.handle_deadline(now);
            let letter = ["a", "b", "c", "d"][index];
            let id = BackendId { pool: PoolId(0), index };
            let check = |failure| Input::Checked {
                backend: id, failure, took: Duration::ZERO, recent: Recent::default(),
            };
            let command = match kind {
                0 => { fleet.handle(check(None), now); None }
                1 => { fleet.handle(check(Some(Symptom::ConnectionRefused)), now); None }
                2 => Some(drain(letter)),
                3 | 4 => Some(enable(letter)),
                5 => Some(backend(letter, Command::Intend(Intent::Disabled))),
                6 => Some(backend(letter, Command::Eject(Duration::from_millis(wait)))),
                7 => Some(backend(letter, Command::Readmit)),
                8 => Some(backend(letter, Command::Weigh(u32::try_from(wait % 3).unwrap_or(0)))),
                9 => Some(order(Target::FailOver(Some(Subject::Backend(name(letter)))))),
                _ => Some(order(Target::FailBack)),
            };
            let before = eligible(&fleet);
            if let Some(order) = command {
                let outcome = fleet.order(&order, now);
                let after = eligible(&fleet);
                prop_assert!(before.is_empty() || !after.is_empty(), "{:?} {:?}", order, outcome);
                let backends = &fleet.snapshot().pools[0].backends;
                prop_assert!(after.iter().all(|&it| backends[it].is_eligible()));
            }
            while fleet.poll_output().is_some() {}
            let pool = &fleet.snapshot().pools[0];
            if let Some(held) = pool.held {
                prop_assert_eq!(pool.active_tier, Some(held));
            }
            for (index, backend) in pool.backends.iter().enumerate() {
                let is_offered = pool.tiers.iter().any(|it| it.eligible.contains(&index));
                prop_assert_eq!(is_offered, backend.is_eligible());
            }
        }
        // A readmission makes a trial due in the very moment. Time passes after every order, and
        // leaves nothing to be done over and over.
        fleet.handle_deadline(now);
        prop_assert!(fleet.next_deadline().is_none_or(|at| now < at));
    }
}
