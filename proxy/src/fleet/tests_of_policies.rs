//! What pools may be configured to do: ramps, spill-over, slow start, failing open.

use proptest::prelude::*;

use super::*;
use crate::{
    event::{Heir, LossReason},
    model::{Capacity, FailbackMode, Topology, WhenDown, sample},
};

fn fleet_of(tiers: &[usize], change: impl FnOnce(&mut Pool)) -> Fleet {
    let mut topology: Topology = (*sample::tiers(tiers)).clone();
    change(&mut topology.pools[0]);
    Fleet::new(Arc::new(topology), Timestamp::ZERO)
}

/// Says what is heard, apart from trials, disputes and why backends are ejected.
fn hear(fleet: &mut Fleet, script: &str) -> String {
    let said = tests::hear(fleet, script);
    let wanted = |word: &&str| !word.contains([':', 'T', '#', '=']);
    said.split(' ').filter(wanted).collect::<Vec<_>>().join(" ")
}

/// A preferred backend is ejected, returns, is cleared, and begins to get its traffic back.
const BACK: &str = "1:a+ 2:b+ 10:a!3 11:b* 5010:. 5020:a+ 5030:a+ 6510:. 15010:.";

/// Picks of a tier in one round, as letters.
fn turns(fleet: &Fleet, tier: usize) -> String {
    let schedule = &fleet.snapshot().pools[0].tiers[tier].schedule;
    let turns = (0..schedule.len()).filter_map(|at| schedule.turn(at));
    turns.map(|index| char::from(b'a' + index as u8)).collect()
}

fn part(fleet: &Fleet, tier: usize) -> f64 {
    (fleet.snapshot().pools[0].part(tier) * 100.0).round()
}

fn ramp(pool: &mut Pool) {
    pool.tiers.failback_ramp = Duration::from_millis(1_900);
    pool.tiers.failback_after_max = Duration::from_secs(40);
}

#[test]
fn a_failback_along_a_ramp_is_told_when_all_traffic_is_back() {
    let mut fleet = fleet_of(&[0, 1], ramp);
    let said = hear(&mut fleet, BACK);
    assert_eq!(said, "->0 a? aX 0>1 b* aO a. 0%");
    assert_eq!(hear(&mut fleet, "15960:."), "");
    assert_eq!((part(&fleet, 0), part(&fleet, 1)), (50.0, 50.0));
    assert_eq!(hear(&mut fleet, "16909:. 16910:. 16911:a*"), "1<0 a*");
}

#[test]
fn a_failure_that_traffic_meets_on_the_ramp_aborts_it_and_checks_alone_do_not() {
    for (script, expected) in [
        ("15500:a!1%1/200 15600:a+ 15700:a+ 35499:. 35500:. 37400:.", "a? 0! a. 0% 1<0"),
        ("15500:a^90 17000:.", "a? 0!"),
        ("15500:a- 15600:a+ 15700:a+ 16910:.", "a? a. 1<0"),
        // From before the loss.
        ("15500:a!1<10600 16910:.", "a~ 1<0"),
    ] {
        let mut fleet = fleet_of(&[0, 1], ramp);
        hear(&mut fleet, BACK);
        assert_eq!(hear(&mut fleet, script), expected, "{script}");
    }
}

#[test]
fn a_loss_on_the_ramp_is_the_loss_of_a_backend_that_served() {
    let mut fleet = fleet_of(&[0, 1], ramp);
    hear(&mut fleet, BACK);
    let backend = BackendId { pool: PoolId(0), index: 0 };
    for millis in [15_500, 15_600] {
        let failure = Some(Symptom::ConnectTimedOut);
        let took = Duration::ZERO;
        let input = Input::Checked { backend, failure, took, recent: Recent::default() };
        fleet.handle(input, Timestamp::from_millis(millis));
    }
    let outputs: Vec<_> = std::iter::from_fn(|| fleet.poll_output()).collect();
    let lost = outputs.iter().position(|it| {
        let heir = Some(Heir { tier: 1, index: 1 });
        let reason = LossReason::HealthCheck;
        *it == Output::Event(Event::BackendLost { backend, reason, served: Some(0), heir })
    });
    let aborted = Output::Event(Event::FailbackAborted { pool: PoolId(0), to: 0 });
    assert_eq!(outputs.iter().position(|it| *it == aborted), lost.map(|at| at + 1));
    assert_eq!((lost.is_some(), part(&fleet, 1)), (true, 100.0));
}

#[test]
fn a_return_to_the_middle_is_followed_by_the_one_to_the_best_that_is_due() {
    let mut fleet = fleet_of(&[0, 1, 2], |pool| {
        pool.tiers.failback_after = Duration::from_secs(1);
        pool.tiers.failback_ramp = Duration::from_secs(19);
    });
    hear(&mut fleet, "1:a- 2:b- 3:c+ 4:c* 100:b+ 200:b+ 1200:. 5000:a+ 5100:a+");
    assert_eq!(fleet.snapshot().pools[0].failback.map(|it| it.to_tier), Some(1));
    assert_eq!(hear(&mut fleet, "20199:. 20200:. 39200:."), "2<1 0% 1<0");
}

#[test]
fn a_return_that_is_broken_off_lets_the_next_best_begin_at_once() {
    let mut fleet = fleet_of(&[0, 1, 2], |pool| {
        pool.tiers.failback_after = Duration::from_secs(1);
        pool.tiers.failback_after_max = Duration::from_secs(1);
        pool.tiers.failback_ramp = Duration::from_secs(19);
    });
    hear(&mut fleet, "1:a- 2:b- 3:c+ 4:c* 100:a+ 200:a+ 1200:. 2000:b+ 2100:b+");
    assert_eq!(fleet.snapshot().pools[0].failback.map(|it| it.to_tier), Some(0));
    assert_eq!(hear(&mut fleet, "5000:a!3 24000:."), "a? aX 0! 1% aO 2<1");
}

#[test]
fn an_operator_brings_traffic_back_when_failback_is_manual() {
    let mut fleet = fleet_of(&[0, 1], |pool| pool.tiers.failback = FailbackMode::Manual);
    let said = hear(&mut fleet, "1:a+ 2:b+ 10:a!3 11:b* 5010:. 99999:.");
    assert_eq!(said, "->0 a? aX 0>1 b* aO");
    let pool = &fleet.snapshot().pools[0];
    assert_eq!((pool.failback, pool.returnable), (None, Some(0)));
    let now = Timestamp::from_millis(100_000);
    fleet.handle(Input::FailbackRequested { pool: PoolId(0) }, now);
    assert_eq!(hear(&mut fleet, "100001:a*"), "1<0 a*");
    fleet.handle(Input::FailbackRequested { pool: PoolId(0) }, now);
    assert_eq!((hear(&mut fleet, "100002:."), fleet.next_deadline()), (String::new(), None));
}

#[test]
fn a_tier_that_spills_over_stays_the_active_one() {
    let mut fleet = fleet_of(&[0, 0, 1], |pool| {
        pool.tiers.spill_over = true;
        pool.tiers.fail_over_below = Capacity::Share(1.0);
    });
    assert_eq!(hear(&mut fleet, "1:a+ 2:b+ 3:c+ 10:a!3 11:b*"), "->0 a? aX b*");
    assert_eq!((part(&fleet, 0), part(&fleet, 1)), (50.0, 50.0));
    assert_eq!(hear(&mut fleet, "12:c* 5010:."), "aO");
    assert_eq!((part(&fleet, 0), part(&fleet, 1)), (100.0, 0.0));
}

#[test]
fn a_backend_that_is_regained_gets_its_share_of_its_tier_little_by_little() {
    let mut fleet = fleet_of(&[0, 0], |pool| pool.slow_start = Duration::from_millis(1_900));
    hear(&mut fleet, "1:a+ 2:b+");
    assert_eq!(turns(&fleet, 0), "ab");
    hear(&mut fleet, "10:a!3");
    assert_eq!(turns(&fleet, 0), "b");
    hear(&mut fleet, "5010:.");
    assert_eq!(turns(&fleet, 0).matches('a').count(), 1);
    assert_eq!(turns(&fleet, 0).matches('b').count(), 20);
    assert_eq!(*fleet.snapshot().pools[0].weights, [1, 20]);
    hear(&mut fleet, "5910:.");
    assert_eq!(turns(&fleet, 0), "abb");
    assert_eq!(fleet.next_deadline(), Some(Timestamp::from_millis(6_010)));
    hear(&mut fleet, "6910:.");
    assert_eq!((turns(&fleet, 0), fleet.next_deadline()), ("ab".to_owned(), None));
}

#[test]
fn a_regained_backend_gets_little_among_the_trusted_ones_too() {
    let mut fleet = fleet_of(&[0, 0, 0], |pool| pool.slow_start = Duration::from_millis(1_900));
    hear(&mut fleet, "1:a+ 2:b+ 3:c+ 10:a- 20:a- 30:a+ 40:a+ 50:c-");
    let tier = &fleet.snapshot().pools[0].tiers[0];
    assert_eq!((tier.schedule.len(), tier.trusted().schedule.len()), (41, 21));
    hear(&mut fleet, "1940:.");
    let tier = &fleet.snapshot().pools[0].tiers[0];
    assert_eq!((tier.schedule.len(), tier.trusted().schedule.len()), (3, 2));
}

#[test]
fn a_backend_alone_in_its_tier_gets_everything_warm_or_not() {
    let mut fleet = fleet_of(&[0, 1], |pool| pool.slow_start = Duration::from_secs(60));
    hear(&mut fleet, "1:a+ 2:b+ 10:a- 20:a- 30:a+ 40:a+");
    assert_eq!(turns(&fleet, 0), "a");
}

#[test]
fn a_pool_that_fails_open_offers_every_backend_when_none_is_eligible() {
    for (when_down, expected) in [(WhenDown::FailOpen, ["ab", "c"]), (WhenDown::Reject, ["", ""])] {
        let mut fleet = fleet_of(&[0, 0, 1], |pool| pool.when_down = when_down);
        let check = |fleet: &Fleet, is_failing_open, expected: [&str; 2]| {
            let pool = &fleet.snapshot().pools[0];
            assert_eq!(pool.is_failing_open, is_failing_open);
            assert_eq!([turns(fleet, 0), turns(fleet, 1)], expected, "{when_down:?}");
        };
        let is_open = when_down == WhenDown::FailOpen;
        check(&fleet, is_open, expected);
        hear(&mut fleet, "1:a+ 2:b- 3:c-");
        check(&fleet, false, ["a", ""]);
        hear(&mut fleet, "10:a- 20:a-");
        check(&fleet, is_open, expected);
        assert_eq!(fleet.snapshot().pools[0].active_tier, None);
        hear(&mut fleet, "30:c+ 40:c+");
        check(&fleet, false, ["", "c"]);
    }
}

fn pools() -> impl Strategy<Value = Fleet> {
    let capacity = prop_oneof![
        (1_usize..4).prop_map(|it| Capacity::Backends(it.try_into().unwrap())),
        (0.05_f64..1.0).prop_map(Capacity::Share),
    ];
    let lengths = (0_u64..4_000, 1_u64..5_000, 0_u64..4_000);
    (capacity, any::<bool>(), any::<bool>(), lengths).prop_map(
        |(fail_over_below, spill_over, is_failing_open, (ramp, hold_down, slow_start))| {
            fleet_of(&[0, 0, 0, 1, 1, 2], |pool| {
                let millis = |it| Duration::from_millis(if it < 500 { 0 } else { it });
                pool.tiers.fail_over_below = fail_over_below;
                pool.tiers.spill_over = spill_over;
                pool.tiers.failback_ramp = millis(ramp);
                pool.tiers.failback_after = Duration::from_millis(hold_down);
                pool.tiers.failback_after_max = Duration::from_secs(20);
                pool.slow_start = millis(slow_start);
                if is_failing_open {
                    pool.when_down = WhenDown::FailOpen;
                }
            })
        },
    )
}

/// Acts on deadlines until `now`, each of which must be over once it has been acted on.
fn pass(fleet: &mut Fleet, now: Timestamp) -> Result<(), TestCaseError> {
    while let Some(due) = fleet.next_deadline().filter(|&due| due <= now) {
        fleet.handle_deadline(due);
        prop_assert!(fleet.next_deadline().is_none_or(|next| due < next), "{due:?} again");
    }
    Ok(())
}

fn hold(fleet: &Fleet) -> Result<(), TestCaseError> {
    let snapshot = fleet.snapshot();
    let pool = &snapshot.pools[0];
    let is_down = pool.backends.iter().all(|it| !it.condition.is_eligible());
    let may_fail_open = fleet.topology.pools[0].when_down == WhenDown::FailOpen;
    prop_assert_eq!(pool.is_failing_open, is_down && may_fail_open);
    for (index, backend) in pool.backends.iter().enumerate() {
        let tier = &pool.tiers[fleet.topology.pools[0].backends[index].tier];
        let has_turns = |tier: &TierSnapshot| {
            (0..tier.schedule.len()).any(|at| tier.schedule.turn(at) == Some(index))
        };
        let (all, trusted) = (tier, tier.trusted());
        let is_listed = pool.is_failing_open || backend.condition.is_eligible();
        prop_assert_eq!(all.eligible.contains(&index), is_listed);
        prop_assert_eq!(has_turns(all), is_listed);
        // Where anybody will do, trust does not matter.
        let is_trusted = pool.is_failing_open || backend.condition.is_trusted();
        prop_assert_eq!(trusted.eligible.contains(&index), is_trusted);
        prop_assert_eq!(has_turns(trusted), is_trusted);
        prop_assert!(!is_listed || pool.weights[index] != 0);
    }
    for (number, tier) in pool.tiers.iter().enumerate() {
        prop_assert!(pool.part(number) < 1e-6 || !tier.eligible.is_empty());
    }
    Ok(())
}

proptest! {
    // Each case plays minutes.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_configured_the_promises_hold_and_all_traffic_returns(
        mut fleet in pools(),
        facts in prop::collection::vec((0_usize..6, 0_u8..6, 0_u64..3_000), 1..60),
    ) {
        let mut now = Timestamp::ZERO;
        let mut runs = [0; 6];
        let took = Duration::from_millis(1);
        for (index, kind, wait) in facts {
            now = now + Duration::from_millis(wait);
            pass(&mut fleet, now)?;
            let backend = BackendId { pool: PoolId(0), index };
            let symptom = Symptom::ConnectionRefused;
            runs[index] = if kind == 2 { runs[index] + 1 } else { 0 };
            let run = runs[index];
            let recent = Recent::default();
            fleet.handle(match kind {
                0 => Input::Checked { backend, failure: None, took, recent },
                1 => Input::Checked { backend, failure: Some(symptom), took, recent },
                2 => Input::AttemptFailed { backend, symptom, waited: took, run, recent, at: now },
                3 => Input::Overstayed { backend, symptom: Symptom::Overstayed, waited: took, at: now },
                4 => Input::AttemptSucceeded { backend, took },
                _ => Input::FailbackRequested { pool: PoolId(0) },
            }, now);
            while fleet.poll_output().is_some() {}
            hold(&fleet)?;
        }
        // Faults end. All traffic is back after the longest ejection, hold-down and ramp.
        for _ in 0..400 {
            now = now + Duration::from_secs(1);
            pass(&mut fleet, now)?;
            for index in 0..6 {
                let backend = BackendId { pool: PoolId(0), index };
                let recent = Recent::default();
                fleet.handle(Input::Checked { backend, failure: None, took, recent }, now);
            }
            while fleet.poll_output().is_some() {}
        }
        hold(&fleet)?;
        let snapshot = fleet.snapshot();
        prop_assert_eq!(snapshot.pools[0].active_tier, Some(0));
        prop_assert!((snapshot.pools[0].part(0) - 1.0).abs() < 1e-6);
        prop_assert_eq!(&*snapshot.pools[0].weights, &[1; 6]);
        prop_assert_eq!(fleet.next_deadline(), None);
    }
}
