use std::{collections::BTreeSet, num::NonZeroU32};

use super::*;
use crate::{
    event::{Delay, Ejection, Evidence, Fault, FaultMode, FaultScope, LossReason, Percent, Source},
    model::{Mirror, RateKey, RateLimit, sample},
    snapshot::{BackendSnapshot, PoolSnapshot, TierSnapshot},
};

const API: PoolId = PoolId(0);
const B0: BackendId = BackendId { pool: API, index: 0 };
const MILLI: Duration = Duration::from_millis(1);

/// One listener, one pool of two tiers with a backend each, one route with a rate limit.
fn topology() -> Topology {
    let mut topology = sample::topology(vec![sample::pool("api", &[(0, 100), (1, 50)])]);
    let (requests, per) = (NonZeroU32::MIN, Duration::from_secs(1));
    let limit = RateLimit { requests, per, burst: requests, key: RateKey::Route };
    topology.routes[0].rate_limit = Some(limit);
    topology
}

fn finished(target: Option<Target>, answer: Answer) -> FinishedRequest {
    FinishedRequest { listener: 0, target, answer, took: MILLI, bytes_in: 3, bytes_out: 5 }
}

/// Asserts that each of `expected` is a line of the text format.
fn check(metrics: &Metrics, expected: &[&str]) {
    let text = metrics.render();
    for line in expected {
        assert!(text.lines().any(|it| it == *line), "{line} is not in\n{text}");
    }
}

fn series(metrics: &Metrics) -> usize {
    metrics.render().lines().filter(|line| !line.starts_with('#')).count()
}

#[test]
fn what_is_rendered_is_what_the_table_declares() {
    let mut topology = topology();
    topology.listeners[0].tls = Some(sample::tls());
    topology.routes[0].mirror = Some(Mirror { pool: API, share: 0.1 });
    let metrics = Metrics::new(&topology).unwrap();
    metrics.request_started(0);
    metrics.request_finished(&finished(None, Answer::Proxy(404)));
    let families = metrics.families.registry.scraped().gather();
    let rendered: BTreeSet<_> = families.iter().map(|it| it.name()).collect();
    let declared: BTreeSet<_> = TABLE.iter().map(|it| it.name).collect();
    let own: BTreeSet<_> =
        rendered.iter().copied().filter(|name| name.starts_with("bascule_")).collect();
    assert_eq!(own, declared);
    assert!(rendered.difference(&own).all(|name| name.starts_with("process_")));
    for family in families.iter().filter(|it| own.contains(it.name())) {
        let metric = TABLE.iter().find(|it| it.name == family.name()).unwrap();
        let labels: BTreeSet<_> =
            family.get_metric()[0].get_label().iter().map(|it| it.name()).collect();
        assert_eq!(labels, metric.labels.iter().copied().collect(), "{}", metric.name);
    }
}

#[test]
fn what_alerts_ask_of_is_there_from_the_start() {
    let metrics = Metrics::new(&topology()).unwrap();
    check(
        &metrics,
        &[
            r#"bascule_requests_total{code_class="5xx",listener="public",pool="api"} 0"#,
            r#"bascule_requests_total{code_class="aborted",listener="public",pool="none"} 0"#,
            r#"bascule_requests_total{code_class="2xx",listener="public",pool="sidecar"} 0"#,
            r#"bascule_request_duration_seconds_count{listener="public",pool="api"} 0"#,
            r#"bascule_upstream_requests_total{backend="b1",outcome="reset",pool="api"} 0"#,
            r#"bascule_retries_total{outcome="denied_budget",pool="api"} 0"#,
            r#"bascule_rejected_total{pool="api",reason="no_backend"} 0"#,
            r#"bascule_ejections_total{pool="api",reason="consecutive_failures"} 0"#,
            r#"bascule_failovers_total{direction="over",pool="api",reason="outlier"} 0"#,
            r#"bascule_failovers_total{direction="back",pool="api",reason="fault_injection"} 0"#,
            r#"bascule_failover_detection_seconds_count{pool="api",reason="health_check"} 0"#,
            r#"bascule_failover_masked_requests_total{pool="api",rescue="retry"} 0"#,
            r#"bascule_incident_events_total{cause="crash",pool="api"} 0"#,
            "bascule_evidence_dropped_total 0",
            "bascule_log_lines_dropped_total 0",
            r#"bascule_pool_active_tier{pool="api"} -1"#,
            r#"bascule_backend_eligible{backend="b0",pool="api"} 0"#,
            r#"bascule_backend_health{backend="b0",pool="api",state="unknown"} 1"#,
            r#"bascule_backend_info{backend="b1",pool="api",tier="1"} 1"#,
            r#"bascule_backend_weight{backend="b1",pool="api"} 50"#,
        ],
    );
}

#[test]
fn a_request_is_counted_where_it_went() {
    let metrics = Metrics::new(&topology()).unwrap();
    let pool = Some(Target::Pool(API));
    for (target, answer) in [
        (pool, Answer::Upstream(200)),
        (pool, Answer::Proxy(503)),
        (pool, Answer::Upstream(799)),
        (pool, Answer::Aborted),
        (Some(Target::Sidecar), Answer::Proxy(200)),
        (None, Answer::Proxy(404)),
    ] {
        metrics.request_started(0);
        metrics.request_finished(&finished(target, answer));
    }
    metrics.request_started(0);
    check(
        &metrics,
        &[
            r#"bascule_requests_total{code_class="2xx",listener="public",pool="api"} 1"#,
            r#"bascule_requests_total{code_class="5xx",listener="public",pool="api"} 2"#,
            r#"bascule_requests_total{code_class="aborted",listener="public",pool="api"} 1"#,
            r#"bascule_requests_total{code_class="2xx",listener="public",pool="sidecar"} 1"#,
            r#"bascule_requests_total{code_class="4xx",listener="public",pool="none"} 1"#,
            r#"bascule_responses_total{code="200",origin="upstream",pool="api"} 1"#,
            r#"bascule_responses_total{code="503",origin="proxy",pool="api"} 1"#,
            r#"bascule_responses_total{code="other",origin="upstream",pool="api"} 1"#,
            r#"bascule_request_duration_seconds_bucket{listener="public",pool="api",le="0.001"} 4"#,
            r#"bascule_requests_in_flight{listener="public"} 1"#,
            r#"bascule_request_bytes_total{listener="public"} 18"#,
            r#"bascule_response_bytes_total{listener="public"} 30"#,
        ],
    );
}

#[test]
fn attempts_and_checks_are_counted_by_how_they_ended() {
    let metrics = Metrics::new(&topology()).unwrap();
    for outcome in [
        AttemptOutcome::Answered { status: 200 },
        AttemptOutcome::Failed(Symptom::ConnectTimedOut),
        AttemptOutcome::Failed(Symptom::Garbage),
        AttemptOutcome::Failed(Symptom::Injected(FaultMode::Hang)),
        AttemptOutcome::Failed(Symptom::ErrorStatus(502)),
        AttemptOutcome::Abandoned,
    ] {
        metrics.attempt_finished(B0, outcome, MILLI);
    }
    metrics.health_check(B0, None, MILLI);
    metrics.health_check(B0, Some(Symptom::ErrorStatus(500)), MILLI);
    metrics.health_check(B0, Some(Symptom::ConnectTimedOut), MILLI);
    metrics.retry(API, RetryOutcome::DeniedMethod);
    metrics.rejected(API, Rejection::NoBackend);
    let mut expected: Vec<String> = label::OUTCOMES
        .iter()
        .map(|it| {
            format!(
                r#"bascule_upstream_requests_total{{backend="b0",outcome="{it}",pool="api"}} 1"#
            )
        })
        .collect();
    expected.extend(label::CHECK_RESULTS.iter().map(|it| {
        format!(r#"bascule_health_checks_total{{backend="b0",pool="api",result="{it}"}} 1"#)
    }));
    let mut expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    expected.extend([
        r#"bascule_upstream_duration_seconds_count{backend="b0",pool="api"} 5"#,
        r#"bascule_health_check_duration_seconds_count{pool="api"} 3"#,
        r#"bascule_retries_total{outcome="denied_method",pool="api"} 1"#,
        r#"bascule_rejected_total{pool="api",reason="no_backend"} 1"#,
    ]);
    check(&metrics, &expected);
}

#[test]
fn a_failover_is_told_in_full() {
    let metrics = Metrics::new(&topology()).unwrap();
    let now = Timestamp::from_millis(5_000);
    let evidence = Evidence {
        at: now,
        began: now,
        source: Source::Traffic,
        symptom: Symptom::ConnectionRefused,
    };
    let lost = LossReason::Outlier;
    let [over, back] =
        [(Some(0), Some(1), TierReason::Lost(lost)), (Some(1), Some(0), TierReason::HoldDownEnded)]
            .map(|(from, to, reason)| Event::TierChanged { pool: API, from, to, reason });
    for event in [
        Event::BackendSuspected { backend: B0, evidence },
        Event::BackendEjected { backend: B0, ejection: Ejection::Latency },
        Event::BackendLost { backend: B0, reason: lost, served: Some(0), heir: None },
        Event::EvidenceDisagreed { backend: B0, well: Source::HealthCheck },
        over,
        back,
    ] {
        metrics.event(&event, Trigger::Operator, now);
    }
    let reason = FailoverReason::new(lost, Trigger::Operator);
    metrics.failover_decided(API, reason, Duration::from_millis(50));
    metrics.failover_served(API, MILLI);
    let requests = Requests { rescued_by_retry: 7, rescued_by_hedge: 2, ..Requests::default() };
    metrics.incident_counted(API, Cause::Crash, requests);
    metrics.incident_recounted(API, Requests { rescued_by_retry: 3, ..Requests::default() });
    metrics.request_in_incident(API, MILLI);
    check(
        &metrics,
        &[
            r#"bascule_ejections_total{pool="api",reason="latency"} 1"#,
            r#"bascule_evidence_disagreement{backend="b0",pool="api"} 1"#,
            r#"bascule_failovers_total{direction="over",pool="api",reason="fault_injection"} 1"#,
            r#"bascule_failovers_total{direction="back",pool="api",reason="fault_injection"} 1"#,
            r#"bascule_failover_detection_seconds_bucket{pool="api",reason="fault_injection",le="0.05"} 1"#,
            r#"bascule_failover_switch_seconds_count{pool="api"} 1"#,
            r#"bascule_failover_client_errors_bucket{pool="api",le="0"} 1"#,
            r#"bascule_failover_masked_requests_total{pool="api",rescue="retry"} 10"#,
            r#"bascule_failover_masked_requests_total{pool="api",rescue="hedge"} 2"#,
            r#"bascule_failover_request_duration_seconds_count{pool="api"} 1"#,
            r#"bascule_incident_events_total{cause="crash",pool="api"} 1"#,
        ],
    );
}

#[test]
fn the_last_failover_is_dated() {
    let metrics = Metrics::new(&topology()).unwrap();
    check(&metrics, &[r#"bascule_failover_last_timestamp_seconds{pool="api"} 0"#]);
    let now = Timestamp::from_millis(5_000);
    let reason = TierReason::Lost(LossReason::HealthCheck);
    let event = Event::TierChanged { pool: API, from: Some(0), to: Some(1), reason };
    metrics.event(&event, Trigger::Failure, now);
    let expected = i64::try_from(clock::wall_of(now).as_secs()).unwrap();
    assert_eq!(metrics.pools[0].last.get(), expected);
}

fn backend(condition: Condition) -> BackendSnapshot {
    let since = Timestamp::ZERO;
    BackendSnapshot::sample(condition, since)
}

#[test]
fn what_is_published_is_the_snapshot() {
    let topology = topology();
    let live = Live::new(&topology);
    let metrics = Metrics::new(&topology).unwrap();
    let now = Timestamp::from_millis(10);
    let ends_at = Timestamp::from_millis(20);
    live.backend(B0).inject(Some(Fault {
        mode: FaultMode::Hang,
        scope: FaultScope::All,
        percent: Percent::ALL,
        status: 503,
        delay: Delay::fixed(MILLI),
        ends_at,
    }));
    live.pools[0].incident_is_open.store(true, Relaxed);
    let pool = PoolSnapshot {
        active_tier: Some(1),
        held: Some(1),
        since: now,
        tiers: vec![TierSnapshot::default(), TierSnapshot::default()],
        backends: vec![
            backend(Condition::Ejected { until: ends_at }),
            backend(Condition::Suspected),
        ],
        ..PoolSnapshot::default()
    };
    metrics.publish(&topology, &Snapshot { pools: vec![pool] }, &live, now);
    check(
        &metrics,
        &[
            r#"bascule_pool_active_tier{pool="api"} 1"#,
            r#"bascule_pool_held_tier{pool="api"} 1"#,
            r#"bascule_failover_in_progress{pool="api"} 1"#,
            r#"bascule_fault_active{backend="b0",pool="api"} 1"#,
            r#"bascule_backend_eligible{backend="b0",pool="api"} 0"#,
            r#"bascule_backend_eligible{backend="b1",pool="api"} 1"#,
            r#"bascule_backend_active{backend="b0",pool="api"} 0"#,
            r#"bascule_backend_active{backend="b1",pool="api"} 1"#,
            r#"bascule_backend_health{backend="b0",pool="api",state="unknown"} 0"#,
            r#"bascule_backend_health{backend="b0",pool="api",state="ejected"} 1"#,
            r#"bascule_backend_health{backend="b1",pool="api",state="failing"} 1"#,
        ],
    );
}

#[test]
fn what_the_sidecar_refused_is_counted_by_the_code_of_the_answer() {
    let metrics = Metrics::new(&topology()).unwrap();
    check(&metrics, &[r#"bascule_admin_refused_total{reason="token_wrong"} 0"#]);
    metrics.sidecar(1, [0, 0, 0, 5, 0, 0, 7]);
    metrics.sidecar(2, [0, 0, 0, 6, 0, 0, 7]);
    check(
        &metrics,
        &[
            "bascule_audit_lost_total 2",
            r#"bascule_admin_refused_total{reason="cross_origin"} 0"#,
            r#"bascule_admin_refused_total{reason="token_wrong"} 6"#,
            r#"bascule_admin_refused_total{reason="too_many_attempts"} 7"#,
        ],
    );
}

#[test]
fn the_number_of_series_stays_in_bounds() {
    let names = ["a", "b", "c", "d", "e"];
    let four = [(0, 1), (0, 1), (1, 1), (1, 1)];
    let mut topology =
        sample::topology(names.iter().map(|name| sample::pool(name, &four)).collect());
    topology.listeners.push(sample::listener("internal"));
    let metrics = Metrics::new(&topology).unwrap();
    let targets = (0..names.len()).map(|it| Some(Target::Pool(PoolId(it))));
    for target in targets.chain([Some(Target::Sidecar), None]) {
        for status in [200, 201, 204, 206, 301, 304, 400, 401, 403, 404, 405, 429, 500, 502, 503] {
            for answer in [Answer::Upstream(status), Answer::Proxy(status)] {
                metrics.request_started(0);
                metrics.request_finished(&finished(target, answer));
            }
        }
    }
    let count = series(&metrics);
    assert!(count < 2_500, "{count} series");
}

#[test]
fn a_series_goes_at_the_second_look_that_finds_it_of_no_use() {
    let of = |names: &[&str]| {
        sample::topology(names.iter().map(|name| sample::pool(name, &[(0, 1)])).collect())
    };
    let all = [of(&["a"]), of(&["b"]), of(&["c"])];
    let first = Metrics::new(&all[0]).unwrap();
    let second = first.succeeded_by(&all[1], &Succession::between(&all[0], &all[1]));
    let pools = |metrics: &Metrics| {
        let text = metrics.render();
        let has =
            |name: &&str| text.contains(&format!("bascule_pool_held_tier{{pool=\"{name}\"}}"));
        ["a", "b", "c"].into_iter().filter(has).collect::<Vec<_>>()
    };
    let marked = second.sweep(&all[1], &Marked::default());
    assert_eq!((pools(&second), marked.is_empty()), (vec!["a", "b"], false));
    // It has just come, and gone: it stays as long as any.
    let third = second.succeeded_by(&all[2], &Succession::between(&all[1], &all[2]));
    let marked = third.sweep(&all[2], &marked);
    assert_eq!((pools(&third), marked.is_empty()), (vec!["b", "c"], false));
    let marked = third.sweep(&all[2], &marked);
    assert_eq!((pools(&third), marked.is_empty()), (vec!["c"], true));
}
