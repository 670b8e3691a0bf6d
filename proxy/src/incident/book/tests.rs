//! Stories told to a book, and what it makes of them.

use super::*;
use crate::{
    event::{Fate, Rescue, TierReason},
    model::sample,
};

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// A book about a preferred backend `0` and its backup `1`, with traffic of a request every 10 ms.
struct World {
    book: Book,
    live: Live,
    now: Timestamp,
}

const PREFERRED: BackendId = BackendId { pool: PoolId(0), index: 0 };
const BACKUP: BackendId = BackendId { pool: PoolId(0), index: 1 };

impl World {
    fn new() -> Self {
        let topology = sample::tiers(&[0, 1]);
        let live = Live::new(&topology);
        Self { book: Book::new(topology), live, now: Timestamp::ZERO }
    }

    /// Lets requests of this fate come in until `to`.
    fn traffic(&mut self, to: Timestamp, fate: Fate) {
        while self.now < to {
            let took = Duration::from_millis(1);
            let attempts = if fate == Fate::Served { 1 } else { 2 };
            self.live.pools[0].timeline.clear_ahead(self.now);
            self.live.pools[0].timeline.record(self.now, took, fate, attempts);
            self.pass(self.now + Duration::from_millis(10));
        }
    }

    fn pass(&mut self, to: Timestamp) {
        self.now = to;
        while self.book.next_deadline().is_some_and(|due| due <= to) {
            let due = self.book.next_deadline().unwrap();
            self.book.handle_deadline(&self.live, to);
            if self.book.next_deadline() == Some(due) {
                break;
            }
        }
    }

    fn tell(&mut self, event: Event) {
        self.book.handle(&event, &self.live, self.now);
    }

    fn evidence(&self, symptom: Symptom) -> Evidence {
        Evidence { at: self.now, began: self.now, source: Source::Traffic, symptom }
    }

    fn lose(&mut self, symptom: Symptom) {
        let evidence = self.evidence(symptom);
        self.tell(Event::BackendSuspected { backend: PREFERRED, evidence });
        self.traffic(self.now + Duration::from_millis(50), Fate::Rescued(Rescue::Retry));
        self.tell(Event::BackendLost {
            backend: PREFERRED,
            reason: LossReason::Outlier,
            served: Some(0),
            heir: Some(Heir { tier: 1, index: 1 }),
        });
        self.tell(Event::TierChanged {
            pool: PoolId(0),
            from: Some(0),
            to: Some(1),
            reason: TierReason::Lost(LossReason::Outlier),
        });
    }

    fn fail_back(&mut self) {
        self.tell(Event::TierChanged {
            pool: PoolId(0),
            from: Some(1),
            to: Some(0),
            reason: TierReason::HoldDownEnded,
        });
    }

    fn incident(&self) -> Arc<Incident> {
        let mut incidents = self.book.incidents();
        assert_eq!(incidents.len(), 1);
        incidents.remove(0)
    }

    fn news(&mut self) -> Vec<News> {
        std::iter::from_fn(|| self.book.poll_entry()).map(|entry| entry.news).collect()
    }
}

#[test]
fn a_backend_behind_the_tier_that_serves_is_back_when_it_is_regained() {
    let mut world = World::new();
    world.traffic(at(10_000), Fate::Served);
    world.tell(Event::TierChanged {
        pool: PoolId(0),
        from: None,
        to: Some(0),
        reason: TierReason::Regained,
    });
    // The preferred tier spills over to it.
    let evidence = world.evidence(Symptom::ConnectionRefused);
    world.tell(Event::BackendSuspected { backend: BACKUP, evidence });
    world.tell(Event::BackendLost {
        backend: BACKUP,
        reason: LossReason::Outlier,
        served: Some(1),
        heir: Some(Heir { tier: 0, index: 0 }),
    });
    world.tell(Event::BackendServed { backend: PREFERRED });
    world.traffic(at(30_000), Fate::Served);
    world.tell(Event::BackendRegained { backend: BACKUP });
    let incident = world.incident();
    assert_eq!((incident.from_tier, incident.state), (1, IncidentState::Closed));
    assert_eq!(incident.moments.failed_back, Some(at(30_000)));
}

#[test]
fn a_failover_is_told_from_the_first_sign_to_the_return() {
    let mut world = World::new();
    world.traffic(at(10_000), Fate::Served);
    world.lose(Symptom::ConnectionRefused);
    world.tell(Event::BackendServed { backend: BACKUP });
    world.traffic(at(30_000), Fate::Served);
    world.tell(Event::BackendRegained { backend: PREFERRED });
    world.traffic(at(40_000), Fate::Served);
    world.fail_back();
    let incident = world.incident();
    assert_eq!(incident.state, IncidentState::Closed);
    assert_eq!(incident.cause, Cause::Crash);
    let moments = incident.moments;
    assert_eq!(moments.suspected, at(10_000));
    assert_eq!(moments.decided, at(10_050));
    assert_eq!(moments.serving, Some(at(10_050)));
    assert_eq!(moments.stable, Some(at(10_100)));
    assert_eq!(moments.recovered, Some(at(30_000)));
    assert_eq!(moments.failed_back, Some(at(40_000)));
    // The window: from the sign of trouble to the end of the first quiet second.
    assert_eq!((incident.window_from, incident.window_to), (at(10_000), Some(at(11_100))));
    assert_eq!(
        incident.requests,
        Requests { total: 110, rescued_by_retry: 5, extra_attempts: 5, ..Requests::default() }
    );
    assert_eq!(incident.before.unwrap().requests, 1_000);
    assert_eq!(incident.during.unwrap().requests, 110);
    assert_eq!(incident.after.unwrap().requests, 1_000);
    let news = [News::Opened, News::Serving, News::Settled, News::Recovered, News::Closed];
    assert_eq!(world.news(), news);
}

#[test]
fn a_suspicion_that_is_cleared_is_no_incident() {
    let mut world = World::new();
    let evidence = world.evidence(Symptom::ResponseTimedOut);
    world.tell(Event::BackendSuspected { backend: PREFERRED, evidence });
    world.tell(Event::BackendCleared { backend: PREFERRED });
    assert!(world.book.incidents().is_empty());
}

#[test]
fn the_loss_of_a_backend_that_stands_by_is_no_incident() {
    let mut world = World::new();
    let heir = Some(Heir { tier: 0, index: 0 });
    let reason = LossReason::HealthCheck;
    world.tell(Event::BackendLost { backend: BACKUP, reason, served: Some(0), heir });
    assert!(world.book.incidents().is_empty());
}

#[test]
fn an_attempt_that_fails_late_opens_the_window_again() {
    let mut world = World::new();
    world.traffic(at(1_000), Fate::Served);
    world.lose(Symptom::ResponseTimedOut);
    world.tell(Event::BackendServed { backend: BACKUP });
    world.traffic(at(5_000), Fate::Served);
    assert!(world.incident().window_to.is_some());
    world.live.pools[0].timeline.record(at(5_000), Duration::from_secs(4), Fate::Lost, 1);
    let evidence = world.evidence(Symptom::ResponseTimedOut);
    world.tell(Event::EvidenceGathered { backend: PREFERRED, evidence });
    assert!(world.incident().window_to.is_none());
    world.traffic(at(8_000), Fate::Served);
    let incident = world.incident();
    assert_eq!(incident.window_to, Some(at(6_000)));
    assert_eq!(incident.requests.lost, 1);
    assert_eq!(world.news(), [News::Opened, News::Serving, News::Settled, News::Recounted]);
}

#[test]
fn an_outage_with_nobody_left_lasts_until_somebody_serves() {
    let mut world = World::new();
    world.traffic(at(1_000), Fate::Served);
    world.lose(Symptom::ConnectionRefused);
    world.traffic(at(400_000), Fate::Lost);
    let incident = world.incident();
    assert_eq!((incident.state, incident.window_to), (IncidentState::Open, None));
    world.tell(Event::BackendServed { backend: BACKUP });
    world.traffic(at(402_000), Fate::Served);
    // Far longer than the timeline remembers, and every request is in.
    assert_eq!(world.incident().requests.lost, 39_895);
}

#[test]
fn a_window_begins_where_clients_were_first_hit() {
    let mut world = World::new();
    world.traffic(at(9_750), Fate::Served);
    // Saved from idle connections that closed: no sign of trouble, for now.
    world.traffic(at(10_000), Fate::Rescued(Rescue::Retry));
    world.lose(Symptom::ConnectionRefused);
    let incident = world.incident();
    assert_eq!((incident.moments.suspected, incident.window_from), (at(10_000), at(9_700)));
    world.tell(Event::BackendServed { backend: BACKUP });
    world.traffic(at(30_000), Fate::Served);
    assert_eq!(world.incident().requests.rescued(), 25 + 5);
}

#[test]
fn a_window_begins_a_second_before_the_first_sign_at_most() {
    let mut world = World::new();
    world.traffic(at(10_000), Fate::Lost);
    world.lose(Symptom::ConnectionRefused);
    assert_eq!(world.incident().window_from, at(9_000));
}

#[test]
fn a_cause_is_judged_again_when_more_is_known() {
    let mut world = World::new();
    world.traffic(at(1_000), Fate::Served);
    world.lose(Symptom::ErrorStatus(500));
    assert_eq!(world.incident().cause, Cause::Errors);
    world.book.check_passed(PREFERRED, world.now);
    assert_eq!(world.incident().cause, Cause::Grey);
    let evidence =
        Evidence { source: Source::HealthCheck, ..world.evidence(Symptom::ErrorStatus(500)) };
    world.tell(Event::EvidenceGathered { backend: PREFERRED, evidence });
    assert_eq!(world.incident().cause, Cause::Errors);
}

#[test]
fn a_story_of_a_backup_ends_with_the_return_to_a_better_tier() {
    let mut world = World::new();
    world.traffic(at(1_000), Fate::Served);
    let heir = Some(Heir { tier: 0, index: 0 });
    let reason = LossReason::Outlier;
    world.tell(Event::BackendLost { backend: BACKUP, reason, served: Some(1), heir });
    world.fail_back();
    world.tell(Event::BackendServed { backend: PREFERRED });
    world.traffic(at(5_000), Fate::Served);
    assert_eq!(world.incident().state, IncidentState::Serving);
    world.tell(Event::BackendRegained { backend: BACKUP });
    assert_eq!(world.incident().state, IncidentState::Closed);
}

#[test]
fn an_operator_who_asked_for_it_is_remembered() {
    let mut world = World::new();
    world.tell(Event::FaultRequested { backend: PREFERRED, mode: crate::event::FaultMode::Crash });
    world.traffic(at(1_000), Fate::Served);
    world.lose(Symptom::ConnectionClosed);
    assert!(world.incident().is_requested);
}

#[test]
fn an_injected_fault_was_asked_for_however_long_ago() {
    let mut world = World::new();
    world.traffic(at(1_000), Fate::Served);
    world.lose(Symptom::Injected(crate::event::FaultMode::Hang));
    assert!(world.incident().is_requested);
    assert_eq!(world.incident().cause, Cause::Injected);
}

#[test]
fn losing_it_again_before_the_return_ends_one_story_and_begins_another() {
    let mut world = World::new();
    world.lose(Symptom::ConnectionRefused);
    world.tell(Event::BackendRegained { backend: PREFERRED });
    world.lose(Symptom::ConnectionRefused);
    let incidents = world.book.incidents();
    let states: Vec<_> = incidents.iter().map(|it| it.state).collect();
    assert_eq!(states, [IncidentState::Closed, IncidentState::Open]);
    assert_eq!(incidents[1].number, 2);
}

#[test]
fn a_backend_that_was_alone_ends_its_own_outage() {
    let mut world = World::new();
    world.traffic(at(1_000), Fate::Served);
    world.lose(Symptom::ConnectionRefused);
    world.traffic(at(5_000), Fate::Lost);
    world.tell(Event::BackendRegained { backend: PREFERRED });
    world.fail_back();
    world.tell(Event::BackendServed { backend: PREFERRED });
    world.traffic(at(8_000), Fate::Served);
    assert_eq!(world.incident().state, IncidentState::Closed);
    assert!(!world.book.is_open(PoolId(0)));
    assert_eq!(world.book.next_deadline(), Some(at(16_050)));
}

#[test]
fn a_story_that_another_one_ends_leaves_no_window_open() {
    let mut world = World::new();
    world.traffic(at(1_000), Fate::Served);
    world.lose(Symptom::ConnectionRefused);
    world.tell(Event::BackendRegained { backend: PREFERRED });
    world.fail_back();
    world.lose(Symptom::ConnectionRefused);
    world.tell(Event::BackendServed { backend: BACKUP });
    world.traffic(at(20_000), Fate::Served);
    assert!(!world.book.is_open(PoolId(0)));
    assert_eq!(world.book.next_deadline(), None);
}

#[test]
fn a_backend_that_recovers_after_its_tier_got_its_traffic_back_is_back_with_it() {
    let mut world = World::new();
    world.traffic(at(1_000), Fate::Served);
    world.lose(Symptom::ConnectionRefused);
    world.tell(Event::BackendServed { backend: BACKUP });
    world.traffic(at(5_000), Fate::Served);
    world.fail_back();
    world.tell(Event::BackendRegained { backend: PREFERRED });
    assert_eq!(world.incident().state, IncidentState::Closed);
}

/// A `POST` that began before the loss and ends after `after` has passed.
fn late_failure(world: &mut World, began: Timestamp) {
    let evidence = Evidence { began, ..world.evidence(Symptom::ResponseTimedOut) };
    world.live.pools[0].timeline.record(world.now, Duration::from_secs(9), Fate::Lost, 1);
    world.tell(Event::EvidenceGathered { backend: PREFERRED, evidence });
}

#[test]
fn what_waited_all_along_belongs_to_the_story_also_when_that_is_over() {
    for is_back in [false, true] {
        let mut world = World::new();
        world.traffic(at(1_000), Fate::Served);
        let began = world.now;
        world.lose(Symptom::ConnectionRefused);
        world.tell(Event::BackendServed { backend: BACKUP });
        world.traffic(at(4_000), Fate::Served);
        world.tell(Event::BackendRegained { backend: PREFERRED });
        if is_back {
            world.fail_back();
            assert_eq!(world.incident().state, IncidentState::Closed);
        }
        let lost = world.incident().requests.lost;
        world.news();
        late_failure(&mut world, began);
        world.traffic(at(12_000), Fate::Served);
        let incident = world.incident();
        assert_eq!(incident.requests.lost, lost + 1);
        assert!(incident.window_to.is_some());
        assert_eq!(world.news(), [News::Recounted]);
        // One that began after it is none of it.
        let began = world.now;
        late_failure(&mut world, began);
        world.traffic(at(15_000), Fate::Served);
        assert_eq!(world.incident().requests.lost, lost + 1);
    }
}

#[test]
fn what_is_counted_late_is_told_once() {
    let mut world = World::new();
    world.traffic(at(1_000), Fate::Served);
    let began = world.now;
    world.lose(Symptom::ConnectionRefused);
    world.tell(Event::BackendServed { backend: BACKUP });
    world.traffic(at(4_000), Fate::Served);
    late_failure(&mut world, began);
    world.traffic(at(8_000), Fate::Served);
    let told: Vec<Requests> = std::iter::from_fn(|| world.book.poll_entry())
        .filter(|it| matches!(it.news, News::Settled | News::Recounted))
        .map(|it| it.counted)
        .collect();
    assert_eq!(told.len(), 2);
    let requests = world.incident().requests;
    assert_eq!(told[0].total + told[1].total, requests.total);
    assert_eq!((told[0].lost, told[1].lost), (requests.lost - 1, 1));
}

#[test]
fn one_lost_request_and_then_a_quiet_night_end_the_window() {
    let mut world = World::new();
    world.traffic(at(1_000), Fate::Served);
    world.lose(Symptom::ConnectionRefused);
    world.traffic(at(1_500), Fate::Lost);
    for tenth in 16..=110 {
        world.pass(at(tenth * 100));
    }
    assert_eq!(world.incident().state, IncidentState::Open);
    for tenth in 111..=120 {
        world.pass(at(tenth * 100));
    }
    let incident = world.incident();
    assert_eq!((incident.state, incident.moments.stable), (IncidentState::Serving, None));
    assert!(0 < incident.requests.lost);
}

#[test]
fn a_suspicion_of_an_hour_is_not_how_long_a_crash_took_to_notice() {
    let mut world = World::new();
    world.traffic(at(1_000), Fate::Served);
    let evidence = world.evidence(Symptom::ErrorStatus(500));
    world.tell(Event::BackendSuspected { backend: PREFERRED, evidence });
    for minute in 1..60 {
        world.pass(at(1_000 + minute * 60_000));
        let evidence = world.evidence(Symptom::ErrorStatus(500));
        world.tell(Event::EvidenceGathered { backend: PREFERRED, evidence });
    }
    world.live.pools[0].timeline.clear_ahead(world.now);
    world.pass(at(3_600_000));
    world.live.pools[0].timeline.clear_ahead(world.now);
    let evidence = world.evidence(Symptom::ConnectionRefused);
    world.tell(Event::EvidenceGathered { backend: PREFERRED, evidence });
    let reason = LossReason::Outlier;
    world.tell(Event::BackendLost { backend: PREFERRED, reason, served: Some(0), heir: None });
    let incident = world.incident();
    assert!(incident.detection() <= EVIDENCE_HOLDS, "{:?}", incident.detection());
    assert!(at(3_538_000) <= incident.window_from, "{:?}", incident.window_from);
}

#[test]
fn stray_errors_elsewhere_keep_no_window_open_for_ever() {
    let mut world = World::new();
    world.traffic(at(1_000), Fate::Served);
    world.lose(Symptom::ConnectionRefused);
    world.tell(Event::BackendServed { backend: BACKUP });
    for half in 1..240 {
        world.traffic(at(1_050 + half * 500), Fate::Served);
        let evidence = world.evidence(Symptom::ErrorStatus(503));
        let event = if half == 1 {
            Event::BackendSuspected { backend: BACKUP, evidence }
        } else {
            Event::EvidenceGathered { backend: BACKUP, evidence }
        };
        world.tell(event);
        if half == 100 {
            assert_eq!(world.incident().window_to, None, "a minute is not over");
        }
    }
    let incident = world.incident();
    let length = incident.window_to.map(|to| to.since(incident.window_from));
    assert!(length.is_some_and(|it| it < Duration::from_secs(63)), "{length:?}");
    assert_eq!(incident.moments.stable, None);
}

#[test]
fn a_failure_that_did_not_come_about_explains_nothing() {
    let mut world = World::new();
    world.tell(Event::FaultRequested { backend: PREFERRED, mode: crate::event::FaultMode::Crash });
    world.tell(Event::FaultWithdrawn { backend: PREFERRED });
    world.traffic(at(1_000), Fate::Served);
    world.lose(Symptom::ConnectionClosed);
    assert!(!world.incident().is_requested);
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Losses, recoveries, returns and late failures, with traffic between that fares in turn
        /// well and badly, and pauses without any.
        #[test]
        fn every_window_counts_what_the_timeline_holds_and_ends(
            facts in prop::collection::vec((0_u8..6, 0_u64..3_000), 1..25),
        ) {
            let mut world = World::new();
            world.traffic(at(1_000), Fate::Served);
            let (mut is_lost, mut began) = (false, world.now);
            for (kind, wait) in facts {
                let then = world.now + Duration::from_millis(wait);
                match kind {
                    0 if !is_lost => {
                        began = world.now;
                        world.lose(Symptom::ConnectionRefused);
                        is_lost = true;
                    }
                    1 if is_lost => {
                        world.tell(Event::BackendRegained { backend: PREFERRED });
                        world.fail_back();
                        is_lost = false;
                    }
                    2 => late_failure(&mut world, began),
                    3 => world.tell(Event::BackendServed { backend: BACKUP }),
                    4 => world.traffic(then, Fate::Lost),
                    _ => world.traffic(then, Fate::Served),
                }
            }
            world.tell(Event::BackendServed { backend: BACKUP });
            if is_lost {
                world.tell(Event::BackendRegained { backend: PREFERRED });
                world.fail_back();
            }
            let end = world.now + Duration::from_secs(15);
            world.traffic(end, Fate::Served);
            prop_assert!(!world.book.is_open(PoolId(0)));
            let mut told = BTreeMap::<u64, u64>::new();
            for entry in std::iter::from_fn(|| world.book.poll_entry()) {
                *told.entry(entry.incident.number).or_default() += entry.counted.total;
            }
            for incident in world.book.incidents() {
                prop_assert_eq!(incident.state, IncidentState::Closed);
                let to = incident.window_to.unwrap();
                let timeline = &world.live.pools[0].timeline;
                let counts = timeline.window(incident.window_from, to, world.now);
                prop_assert_eq!(incident.requests.total, counts.requests);
                prop_assert_eq!(incident.requests.lost, counts.lost);
                prop_assert_eq!(told[&incident.number], counts.requests, "told in the metrics");
                prop_assert!(incident.moments.suspected <= incident.moments.decided);
            }
        }
    }
}
