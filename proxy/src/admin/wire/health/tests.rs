use std::num::NonZeroU32;

use serde_json::{Value, json};

use super::*;
use crate::{
    admin::wire::{self, Incidents},
    event::{
        self, Delay, Evidence, Fate, FaultMode, FaultScope, Heir, LossReason, Percent, Rescue,
        Source, Symptom,
    },
    incident::{Cause, IncidentState, LatencySummary, Moments, Requests},
    model::sample,
    snapshot::{Division, Schedule, TierSnapshot},
};

fn at(seconds: f64) -> Timestamp {
    Timestamp::ZERO + Duration::from_secs_f64(seconds)
}

/// Pool `api`: `primary` in the first tier, `secondary` in the second.
pub(crate) fn topology() -> Topology {
    let mut topology = (*sample::tiers(&[0, 1])).clone();
    for (backend, (name, port)) in
        topology.pools[0].backends.iter_mut().zip([("primary", 3001), ("secondary", 3002)])
    {
        backend.name = name.to_owned();
        backend.url = format!("http://127.0.0.1:{port}");
        backend.weight = NonZeroU32::new(100).unwrap();
    }
    topology
}

fn condition(condition: Condition) -> BackendSnapshot {
    BackendSnapshot { weight: 100, ..BackendSnapshot::sample(condition, at(1.0)) }
}

fn snapshot(active_tier: Option<usize>, conditions: [Condition; 2]) -> Snapshot {
    let tiers = (0..2)
        .map(|tier| TierSnapshot {
            eligible: if conditions[tier].is_eligible() { vec![tier] } else { vec![] },
            schedule: Schedule::default(),
            trusted: None,
        })
        .collect();
    let pool = PoolSnapshot {
        active_tier,
        since: at(2.0),
        tiers,
        backends: conditions.map(condition).to_vec(),
        ..PoolSnapshot::default()
    };
    Snapshot { pools: vec![pool] }
}

fn seen(snapshot: &Snapshot, live: &Live, incidents: &[Arc<incident::Incident>]) -> Value {
    let topology = topology();
    let view = View {
        topology: &topology,
        snapshot,
        live,
        incidents,
        started_at: at(0.5),
        is_ready: true,
        now: at(100.0),
    };
    serde_json::to_value(health(&view)).unwrap()
}

#[test]
fn a_quiet_pool_has_every_key() {
    let snapshot = snapshot(Some(0), [Condition::Healthy, Condition::Healthy]);
    let found = seen(&snapshot, &Live::new(&topology()), &[]);
    let time = |seconds| clock::rfc3339_of(at(seconds));
    let backend = |name: &str, tier: usize, port: u16| {
        json!({
            "name": name, "url": format!("http://127.0.0.1:{port}"), "tier": tier, "weight": 100,
            "configured_weight": 100, "intent": "enabled", "ejected_by_operator": false,
            "state": "up", "eligible": true, "active": tier == 0, "reason": null,
            "since": time(1.0), "ejected_until": null, "in_flight": 0, "requests": 0,
            "failures": 0, "last_check": null, "fault": null,
        })
    };
    let expected = json!({
        "schema": 1, "now": time(100.0), "version": env!("CARGO_PKG_VERSION"),
        "started_at": time(0.5), "ready": true, "fault_injection": true, "active": "primary",
        "pools": [{
            "name": "api", "status": "serving", "active_tier": 0, "active_backend": "primary",
            "since": time(2.0), "shares": [1.0, 0.0], "failback": null, "returnable_tier": null,
            "held_tier": null, "failing_open": false, "open_incident": null,
            "last_minute": {
                "requests": 0, "lost": 0, "rescued": 0, "error_ratio": 0.0,
                "requests_per_second": 0.0, "p50_seconds": null, "p99_seconds": null,
            },
            "backends": [backend("primary", 0, 3001), backend("secondary", 1, 3002)],
        }],
    });
    assert_eq!(found, expected);
}

#[test]
fn a_pool_is_serving_degraded_failed_over_or_down() {
    let (up, down) = (Condition::Healthy, Condition::Unhealthy);
    let check = |tier, conditions, expected: &str| {
        let found = seen(&snapshot(tier, conditions), &Live::new(&topology()), &[]);
        assert_eq!(found["pools"][0]["status"], expected, "{tier:?} {conditions:?}");
    };
    check(Some(0), [up, up], "serving");
    check(Some(0), [Condition::Suspected, up], "serving");
    check(Some(0), [up, down], "degraded");
    check(Some(0), [up, Condition::Unknown], "degraded");
    check(Some(1), [down, up], "failed_over");
    check(Some(1), [up, up], "failed_over");
    check(None, [down, down], "down");
    check(None, [Condition::Unknown, Condition::Unknown], "down");
}

#[test]
fn a_condition_has_one_word_on_the_wire() {
    let check = |condition, word: &str, eligible: bool| {
        let found =
            seen(&snapshot(None, [condition, Condition::Healthy]), &Live::new(&topology()), &[]);
        let backend = &found["pools"][0]["backends"][0];
        assert_eq!(backend["state"], word);
        assert_eq!(backend["eligible"], eligible);
        assert_eq!(backend["active"], false);
    };
    check(Condition::Healthy, "up", true);
    check(Condition::Suspected, "failing", true);
    check(Condition::Unhealthy, "down", false);
    check(Condition::Unknown, "unknown", false);
    check(Condition::Ejected { until: at(9.0) }, "ejected", false);
}

#[test]
fn a_return_under_way_is_told_with_what_has_returned() {
    let mut snapshot = snapshot(Some(1), [Condition::Healthy, Condition::Healthy]);
    let pool = &mut snapshot.pools[0];
    pool.failback = Some(crate::snapshot::Failback { to_tier: 0, at: at(103.0) });
    pool.returnable = Some(0);
    pool.division = Division::new(&[(0, 0.05), (1, 0.95)]);
    let found = seen(&snapshot, &Live::new(&topology()), &[]);
    let pool = &found["pools"][0];
    let failback = json!({"to_tier": 0, "at": clock::rfc3339_of(at(103.0)),
        "remaining_seconds": 3.0, "share": 0.05});
    assert_eq!(pool["failback"], failback);
    assert_eq!((&pool["shares"], &pool["returnable_tier"]), (&json!([0.05, 0.95]), &json!(0)));
    // All traffic is not back yet.
    assert_eq!((&pool["status"], &pool["active_tier"]), (&json!("failed_over"), &json!(1)));
    assert_eq!(
        (&pool["backends"][0]["active"], &pool["backends"][1]["active"]),
        (&json!(true), &json!(true))
    );
}

#[test]
fn a_pool_that_fails_open_is_down_and_says_so() {
    let mut snapshot = snapshot(None, [Condition::Unhealthy, Condition::Unhealthy]);
    snapshot.pools[0].is_failing_open = true;
    snapshot.pools[0].tiers[0].eligible = vec![0];
    let found = seen(&snapshot, &Live::new(&topology()), &[]);
    let pool = &found["pools"][0];
    assert_eq!((&pool["status"], &pool["failing_open"]), (&json!("down"), &json!(true)));
    assert_eq!(pool["backends"][0]["eligible"], false);
}

#[test]
fn trouble_checks_faults_and_counts_are_told() {
    let mut snapshot =
        snapshot(Some(1), [Condition::Ejected { until: at(105.0) }, Condition::Healthy]);
    snapshot.pools[0].failback = Some(crate::snapshot::Failback { to_tier: 0, at: at(103.25) });
    let primary = &mut snapshot.pools[0].backends[0];
    primary.trouble = Some(Symptom::ConnectionRefused);
    primary.last_check = Some(crate::snapshot::LastCheck {
        at: at(99.0),
        failure: Some(Symptom::ResponseTimedOut),
        took: Duration::from_millis(500),
    });
    let live = Live::new(&topology());
    let pool = live.pool(PoolId(0));
    pool.backends[0].inject(Some(event::Fault {
        mode: FaultMode::Slow,
        scope: FaultScope::Traffic,
        percent: Percent::new(30).unwrap(),
        status: 503,
        delay: Delay::between(Duration::from_millis(250), Duration::from_secs(2)).unwrap(),
        ends_at: at(112.5),
    }));
    pool.backends[0].failed(at(100.0));
    pool.backends[0].succeeded(at(100.0));
    for _ in 0..118 {
        pool.timeline.record(at(70.0), Duration::from_millis(2), Fate::Served, 1);
    }
    pool.timeline.record(at(70.0), Duration::from_millis(2), Fate::Lost, 1);
    pool.timeline.record(at(70.0), Duration::from_millis(2), Fate::Rescued(Rescue::Retry), 2);
    pool.timeline.record(at(39.0), Duration::from_millis(2), Fate::Lost, 1);
    let found = seen(&snapshot, &live, &[]);
    let pool = &found["pools"][0];
    assert_eq!(found["active"], "secondary");
    assert_eq!(pool["failback"]["to_tier"], 0);
    assert_eq!(pool["failback"]["remaining_seconds"], 3.25);
    let minute = &pool["last_minute"];
    assert_eq!(minute["requests"], 120);
    assert_eq!(minute["lost"], 1);
    assert_eq!(minute["rescued"], 1);
    assert_eq!(minute["requests_per_second"], 2.0);
    assert_eq!(minute["error_ratio"], 1.0 / 120.0);
    assert!(minute["p99_seconds"].is_f64());
    let primary = &pool["backends"][0];
    assert_eq!(primary["reason"], "connection refused");
    assert_eq!(primary["ejected_until"], clock::rfc3339_of(at(105.0)));
    assert_eq!(primary["requests"], 2);
    assert_eq!(primary["failures"], 1);
    assert_eq!(primary["last_check"]["result"], "timeout");
    assert_eq!(primary["last_check"]["duration_seconds"], 0.5);
    assert_eq!(primary["last_check"]["detail"], "no response in time");
    let fault = json!({
        "mode": "slow", "scope": "traffic", "percent": 30, "status": null,
        "delay_min_seconds": 0.25, "delay_max_seconds": 2.0,
        "ends_at": clock::rfc3339_of(at(112.5)), "remaining_seconds": 12.5,
    });
    assert_eq!(primary["fault"], fault);
}

fn story(state: IncidentState) -> Arc<incident::Incident> {
    let place = BackendId { pool: PoolId(0), index: 0 };
    Arc::new(incident::Incident {
        number: 3,
        pool: "api".to_owned(),
        backend: topology().backend(place).name.clone(),
        place: Some(place),
        state,
        cause: Cause::Crash,
        detected_by: LossReason::Outlier,
        is_requested: true,
        from_tier: 0,
        heir: Some(Heir { tier: 1, index: 1 }),
        heir_name: Some(topology().pools[0].backends[1].name.clone()),
        evidence: vec![Evidence {
            at: at(10.0),
            began: at(9.9),
            source: Source::Traffic,
            symptom: Symptom::ConnectionRefused,
        }],
        moments: Moments {
            suspected: at(10.0),
            decided: at(10.125),
            serving: Some(at(10.25)),
            stable: None,
            recovered: None,
            failed_back: None,
        },
        window_from: at(10.0),
        window_to: None,
        requests: Requests {
            total: 200,
            rescued_by_retry: 3,
            rescued_by_hedge: 2,
            lost: 1,
            extra_attempts: 7,
        },
        before: Some(LatencySummary { requests: 9, p50_seconds: Some(0.001), p99_seconds: None }),
        during: None,
        after: None,
    })
}

#[test]
fn an_incident_is_open_until_it_is_closed() {
    let snapshot = snapshot(Some(1), [Condition::Unhealthy, Condition::Healthy]);
    let live = Live::new(&topology());
    let check = |incidents: &[Arc<incident::Incident>], expected: Value| {
        assert_eq!(seen(&snapshot, &live, incidents)["pools"][0]["open_incident"], expected);
    };
    check(&[], Value::Null);
    check(&[story(IncidentState::Open)], json!("api-3"));
    check(&[story(IncidentState::Recovered)], json!("api-3"));
    check(&[story(IncidentState::Open), story(IncidentState::Closed)], Value::Null);
}

#[test]
fn an_incident_tells_its_story() {
    let time = |seconds| clock::rfc3339_of(at(seconds));
    let incident = wire::incident(&story(IncidentState::Serving));
    let list = Incidents { schema: SCHEMA, incidents: vec![incident] };
    let expected = json!({"schema": 1, "incidents": [{
        "id": "api-3", "pool": "api", "backend": "primary", "state": "serving", "cause": "crash",
        "detected_by": "traffic", "requested": true, "from_tier": 0, "to_tier": 1,
        "to_backend": "secondary",
        "evidence": [{"at": time(10.0), "source": "traffic", "detail": "connection refused"}],
        "moments": {
            "suspected_at": time(10.0), "decided_at": time(10.125), "serving_at": time(10.25),
            "stable_at": null, "recovered_at": null, "failed_back_at": null,
        },
        "detection_seconds": 0.125, "switch_seconds": 0.125,
        "window": {"from": time(10.0), "to": null},
        "requests": {
            "total": 200, "rescued": 5, "rescued_by_retry": 3, "rescued_by_hedge": 2, "lost": 1,
            "extra_attempts": 7, "error_ratio": 0.005,
        },
        "latency": {
            "before": {"requests": 9, "p50_seconds": 0.001, "p99_seconds": null},
            "during": null, "after": null,
        },
        "interrupted": false,
    }]});
    assert_eq!(serde_json::to_value(list).unwrap(), expected);
}
