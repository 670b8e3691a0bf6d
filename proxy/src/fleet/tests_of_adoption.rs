//! Another topology for the same fleet: what is kept, and that what comes of it is well formed.

use proptest::prelude::*;

use super::*;
use crate::{
    event::TierReason,
    fleet::tests::{hear, listen},
    model::{Intent, sample},
    snapshot::BackendSnapshot,
};

/// A pool as it may be configured: for each backend its name, tier and weight.
type Shape = Vec<(usize, usize, u32)>;

fn pool_of(name: &str, shape: &Shape) -> Pool {
    let mut pool = sample::pool(name, &shape.iter().map(|it| (it.1, it.2)).collect::<Vec<_>>());
    let all = sample::pool(name, &[(0, 1); 8]);
    for (backend, (own, ..)) in pool.backends.iter_mut().zip(shape) {
        backend.name.clone_from(&all.backends[*own].name);
        backend.address = all.backends[*own].address.clone();
    }
    pool
}

fn topology_of(shapes: &[Shape]) -> SharedTopology {
    let pools = shapes.iter().enumerate().map(|(index, it)| pool_of(&format!("p{index}"), it));
    Arc::new(sample::topology(pools.collect()))
}

/// Some of eight backends, in any order, in tiers without gaps.
fn shapes() -> impl Strategy<Value = Shape> {
    let some = prop::sample::subsequence((0..8_usize).collect::<Vec<_>>(), 1..6).prop_shuffle();
    (some, prop::collection::vec((0_usize..3, 1_u32..4), 6)).prop_map(|(names, rest)| {
        let mut tiers: Vec<usize> = names.iter().zip(&rest).map(|(_, it)| it.0).collect();
        let mut used = tiers.clone();
        used.sort_unstable();
        used.dedup();
        for tier in &mut tiers {
            *tier = used.iter().position(|it| it == tier).unwrap();
        }
        let each = names.into_iter().zip(tiers).zip(rest);
        each.map(|((name, tier), (_, weight))| (name, tier, weight)).collect()
    })
}

fn fact(fleet: &Fleet, (pool, index, kind): (usize, usize, u8), now: Timestamp) -> Input {
    let pool = PoolId(pool % fleet.topology.pools.len());
    let index = index % fleet.topology.pool(pool).backends.len();
    let backend = BackendId { pool, index };
    let (symptom, took, recent) =
        (Symptom::ConnectionRefused, Duration::from_millis(1), Recent { attempts: 9, failures: 9 });
    match kind {
        0..=4 => Input::Checked { backend, failure: None, took, recent: Recent::default() },
        5 | 6 => Input::Checked { backend, failure: Some(symptom), took, recent },
        7 | 8 => Input::AttemptFailed { backend, symptom, waited: took, run: 3, recent, at: now },
        9 => Input::Overstayed { backend, symptom: Symptom::Overstayed, waited: took, at: now },
        10 => Input::AttemptSucceeded { backend, took },
        _ => Input::FailbackRequested { pool },
    }
}

fn check_form(fleet: &Fleet) -> Result<(), TestCaseError> {
    let snapshot = fleet.snapshot();
    prop_assert_eq!(snapshot.pools.len(), fleet.topology.pools.len());
    for (pool, seen) in fleet.topology.pools.iter().zip(&snapshot.pools) {
        prop_assert_eq!(seen.backends.len(), pool.backends.len());
        prop_assert_eq!(seen.weights.len(), pool.backends.len());
        prop_assert_eq!(seen.tiers.len(), pool.tier_count());
        for (tier, picks) in seen.tiers.iter().enumerate() {
            let eligible: Vec<usize> = (0..pool.backends.len())
                .filter(|&it| pool.backends[it].tier == tier)
                .filter(|&it| seen.backends[it].condition.is_eligible())
                .collect();
            prop_assert_eq!(&picks.eligible, &eligible);
            let is_trusted = |it: &usize| seen.backends[*it].condition.is_trusted();
            let trusted: Vec<usize> = eligible.into_iter().filter(is_trusted).collect();
            prop_assert_eq!(&picks.trusted().eligible, &trusted);
        }
        if let Some(active) = seen.active_tier {
            prop_assert!(!seen.tiers[active].eligible.is_empty());
        }
        let parts: f64 = (0..pool.tier_count()).map(|tier| seen.part(tier)).sum();
        prop_assert!((parts - f64::from(u8::from(seen.active_tier.is_some()))).abs() < 0.01);
    }
    Ok(())
}

proptest! {
    #[test]
    fn adopting_changes_no_verdict_and_leaves_everything_well_formed(
        configurations in prop::collection::vec(prop::collection::vec(shapes(), 1..3), 1..5),
        facts in prop::collection::vec((0_usize..2, 0_usize..8, 0_u8..12), 0..200),
    ) {
        let each = facts.len() / configurations.len() + 1;
        let mut now = Timestamp::ZERO;
        let mut fleet = Fleet::new(topology_of(&configurations[0]), now);
        let mut facts = facts.chunks(each);
        for shapes in &configurations {
            let (before, old) = (fleet.snapshot(), fleet.topology.clone());
            while fleet.poll_output().is_some() {}
            fleet.adopt(topology_of(shapes), now);
            let heirs = Succession::between(&old, &fleet.topology);
            let after = fleet.snapshot();
            for id in old.backend_ids() {
                if let Some(heir) = heirs.backend(id) {
                    // What it weighs, the configuration says.
                    let weight = after.backend(heir).weight;
                    let before = BackendSnapshot { weight, ..before.backend(id).clone() };
                    prop_assert_eq!(&before, after.backend(heir));
                }
            }
            check_form(&fleet)?;
            while let Some(output) = fleet.poll_output() {
                let is_fit = match output {
                    Output::Event(Event::TierChanged { pool, to, reason, .. }) => {
                        reason == TierReason::Reconfigured
                            && to == after.pool(pool).active_tier
                    }
                    Output::Event(Event::FailbackBegan { .. } | Event::FailbackAborted { .. })
                    | Output::Watch(..) => true,
                    Output::Event(_) | Output::Pace(..) | Output::Trial(_)
                    | Output::TrialOver(_) => false,
                };
                prop_assert!(is_fit);
            }
            for &it in facts.next().unwrap_or_default() {
                now = now + Duration::from_millis(70);
                fleet.handle_deadline(now);
                fleet.handle(fact(&fleet, it, now), now);
                check_form(&fleet)?;
            }
        }
    }

    #[test]
    fn adopting_the_same_topology_changes_nothing(
        shape in shapes(),
        facts in prop::collection::vec((0_usize..1, 0_usize..8, 0_u8..12), 0..80),
    ) {
        let mut fleet = Fleet::new(topology_of(std::slice::from_ref(&shape)), Timestamp::ZERO);
        let mut now = Timestamp::ZERO;
        for it in facts {
            now = now + Duration::from_millis(70);
            fleet.handle_deadline(now);
            fleet.handle(fact(&fleet, it, now), now);
        }
        let before = fleet.snapshot();
        while fleet.poll_output().is_some() {}
        fleet.adopt(topology_of(&[shape]), now);
        prop_assert_eq!(fleet.poll_output(), None);
        prop_assert_eq!(fleet.snapshot(), before);
    }
}

/// A fleet of one pool of such backends, all of which have passed their checks.
fn healthy(shape: &Shape) -> Fleet {
    let mut fleet = Fleet::new(topology_of(std::slice::from_ref(shape)), Timestamp::ZERO);
    for index in 0..shape.len() {
        let backend = BackendId { pool: PoolId(0), index };
        let (took, recent) = (Duration::ZERO, Recent::default());
        fleet.handle(Input::Checked { backend, failure: None, took, recent }, Timestamp::ZERO);
    }
    while fleet.poll_output().is_some() {}
    fleet
}

fn active(fleet: &Fleet) -> Option<usize> {
    fleet.snapshot().pools[0].active_tier
}

#[test]
fn traffic_stays_with_those_who_served_whatever_their_tier_is_called() {
    let mut fleet = healthy(&vec![(0, 0, 1), (1, 1, 1)]);
    // A better one is put before it, of which nothing is known yet.
    fleet.adopt(topology_of(&[vec![(7, 0, 1), (0, 1, 1), (1, 2, 1)]]), Timestamp::from_millis(9));
    assert_eq!(active(&fleet), Some(1));
    assert_eq!(hear(&mut fleet, "10:."), "0>1");
    // It gets traffic like any that returns: after the hold-down.
    assert_eq!(hear(&mut fleet, "20:a+ 5000:a+"), "");
}

#[test]
fn a_pool_whose_servers_are_all_replaced_waits_for_the_preferred_ones_first_check() {
    let mut fleet = healthy(&vec![(0, 0, 1), (1, 1, 1)]);
    let next = vec![(7, 0, 1), (1, 1, 1)];
    fleet.adopt(topology_of(&[next]), Timestamp::from_millis(9));
    assert_eq!(active(&fleet), None);
    hear(&mut fleet, "20:a+");
    assert_eq!(active(&fleet), Some(0));
}

#[test]
fn an_ejection_outlives_another_weight_and_ends_when_it_would_have() {
    let mut fleet = healthy(&vec![(0, 0, 1), (1, 0, 1)]);
    hear(&mut fleet, "100:a!3");
    let ejected = fleet.snapshot().pools[0].backends[0].condition;
    assert!(matches!(ejected, Condition::Ejected { .. }));
    fleet.adopt(topology_of(&[vec![(0, 0, 3), (1, 0, 1)]]), Timestamp::from_millis(200));
    assert_eq!(fleet.snapshot().pools[0].backends[0].condition, ejected);
    assert!(hear(&mut fleet, "5100:.").contains("aO"));
}

#[test]
fn orders_go_on_and_a_weight_that_the_configuration_changes_is_the_configurations() {
    let mut fleet = healthy(&vec![(0, 0, 2), (1, 0, 2), (2, 1, 2)]);
    let names: Vec<_> = fleet.topology.pools[0].backends.iter().map(|it| it.name.clone()).collect();
    let pool = fleet.topology.pools[0].name.clone();
    let commands = [
        (0, Command::Intend(Intent::Draining)),
        (0, Command::Weigh(7)),
        (1, Command::Weigh(9)),
        (1, Command::Eject(Duration::from_secs(9))),
    ];
    for (index, command) in commands {
        let target = Target::Backend(names[index].clone(), command);
        let expected = Expectation::default();
        let order = Order { pool: pool.clone(), target, expected, is_forced: true };
        fleet.order(&order, Timestamp::from_millis(10)).unwrap();
    }
    hear(&mut fleet, "11:.");
    fleet.adopt(topology_of(&[vec![(0, 0, 2), (1, 0, 3), (2, 1, 2)]]), Timestamp::from_millis(20));
    assert_eq!(listen(&mut fleet), "b9-3");
    let snapshot = fleet.snapshot();
    let backends = &snapshot.pools[0].backends;
    assert_eq!((backends[0].intent, backends[0].weight), (Intent::Draining, 7));
    assert_eq!((backends[1].weight, backends[1].is_ejected_by_hand), (3, true));
    assert_eq!((snapshot.pools[0].active_tier, backends[2].weight), (Some(1), 2));
}

#[test]
fn a_pool_that_an_operator_moved_stays_there_whatever_its_tier_is_called() {
    let mut fleet = healthy(&vec![(0, 0, 1), (1, 1, 1)]);
    let pool = fleet.topology.pools[0].name.clone();
    let (target, expected) = (Target::FailOver(None), Expectation::default());
    let order = Order { pool, target, expected, is_forced: false };
    fleet.order(&order, Timestamp::from_millis(10)).unwrap();
    listen(&mut fleet);
    let at = Timestamp::from_millis(20);
    fleet.adopt(topology_of(&[vec![(7, 0, 1), (0, 1, 1), (1, 2, 1)]]), at);
    assert_eq!((active(&fleet), fleet.snapshot().pools[0].held), (Some(2), Some(2)));
}
