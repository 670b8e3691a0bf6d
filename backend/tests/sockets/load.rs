//! The load generator against real backends.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use bascule_backend::load::{Fate, LoadPlan, Report, start};
use bascule_backend::{Fault, FaultKind, Running};

use crate::client::{primary, soon};

const MINUTE: Duration = Duration::from_secs(60);

fn plan(running: &Running, path: &str, rate: f64) -> LoadPlan {
    LoadPlan::new(&running.url(path), rate).unwrap()
}

async fn brief(running: &Running, fault: FaultKind) -> Report {
    running.inject(Fault::new(fault, MINUTE)).await.unwrap();
    let plan = plan(running, "/api/data", 100.0).timeout(Duration::from_millis(100));
    soon(start(plan.lasting(Duration::from_millis(50))).finish()).await
}

#[tokio::test]
async fn every_request_is_sent_once_at_its_time_and_answered() {
    let running = primary();
    let plan = plan(&running, "/api/data", 500.0).lasting(Duration::from_millis(200));
    let report = soon(start(plan).finish()).await;
    let summary = &report.summary;
    assert_eq!((summary.sent, summary.ok, summary.failed), (100, 100, 0));
    assert_eq!((summary.answered_by["primary"], running.total()), (100, 100));
    assert!(summary.p50_ms <= summary.p99_ms && summary.p99_ms <= summary.max_ms);
    let ids: BTreeSet<_> = report.records.iter().map(|record| &record.id).collect();
    assert_eq!(ids.len(), 100);
    assert!(ids.iter().all(|id| running.executed(id).count == 1));
    let last = report.records.iter().map(|record| record.started).max().unwrap();
    assert!(Duration::from_millis(198) <= last - report.started);
}

#[tokio::test]
async fn a_complete_body_of_something_else_is_a_failure() {
    let running = primary();
    let ask = |path: &str, size: u64| {
        let plan = plan(&running, path, 100.0).expecting_blob(Some(size));
        start(plan.lasting(Duration::from_millis(10))).finish()
    };
    for (path, size, ok) in
        [("/blob?size=900&chunked=true", 900, 1), ("/blob?size=900", 901, 0), ("/api/data", 900, 0)]
    {
        let summary = soon(ask(path, size)).await.summary;
        assert_eq!(summary.ok, ok, "{path}: {summary:?}");
        assert_eq!(summary.failed_by_kind.contains_key("wrong_body"), ok == 0);
    }
}

#[tokio::test]
async fn it_does_not_wait_for_answers() {
    let running = primary();
    running.inject(Fault::new(FaultKind::Hang, MINUTE)).await.unwrap();
    let run = start(plan(&running, "/api/data", 500.0));
    soon(running.received_at_least(50)).await;
    assert_eq!(run.progress().failed, 0);
    running.recover().await;
    soon(run.until(|it| 1 <= it.ok)).await;
    let report = soon(run.stop()).await;
    assert!(50 <= report.summary.failed_by_kind["connection_closed"]);
}

#[tokio::test]
async fn each_failure_has_its_kind() {
    let running = primary();
    let error = FaultKind::Error { status: StatusCode::SERVICE_UNAVAILABLE };
    for (fault, kind) in [
        (FaultKind::Hang, "timeout"),
        (error, "status_503"),
        (FaultKind::Reset, "connection_reset"),
        (FaultKind::Truncate, "truncated"),
        (FaultKind::Refuse, "connection_refused"),
    ] {
        let report = brief(&running, fault).await;
        let kinds: Vec<_> = report.summary.failed_by_kind.iter().collect();
        assert_eq!(kinds, [(&kind.to_owned(), &5)], "{:?}", report.records);
        assert_eq!((report.summary.sent, report.failures().count()), (5, 5));
        running.recover().await;
    }
}

#[tokio::test]
async fn a_kill_in_the_middle_shows_in_the_slices() {
    let mut running = primary();
    let run = start(plan(&running, "/api/data", 500.0).lasting(Duration::from_millis(300)));
    soon(run.until(|it| 50 <= it.ok)).await;
    running.kill().await;
    let killed = std::time::Instant::now();
    let report = soon(run.finish()).await;
    let before = report.summary_between(report.started, killed);
    let after = report.summary_between(killed, report.finished);
    assert!(50 <= before.ok, "{before:?}");
    assert_eq!((after.ok, after.failed), (0, after.sent), "{after:?}");
    assert_eq!(before.sent + after.sent, report.summary.sent);
}

#[tokio::test]
async fn beyond_the_bound_requests_are_shed_and_counted() {
    let running = primary();
    running.inject(Fault::new(FaultKind::Hang, MINUTE)).await.unwrap();
    let plan = plan(&running, "/api/data", 500.0).in_flight_max(3).timeout(MINUTE).records_max(5);
    let run = start(plan);
    soon(run.until(|it| 10 <= it.failed)).await;
    assert_eq!(run.progress().sent, 3);
    running.recover().await;
    let report = soon(run.stop()).await;
    assert!(10 <= report.summary.failed_by_kind["shed"]);
    assert!(report.records.iter().take(5).all(|record| record.fate == Fate::Shed));
    assert_eq!(report.records.len(), 5);
    let counted = report.summary.ok + report.summary.failed;
    assert_eq!(report.records_left_out, counted - 5);
}

#[tokio::test]
async fn method_and_body_are_as_planned() {
    let running = primary();
    let plan = plan(&running, "/echo", 100.0).method(Method::POST).body_bytes(1234);
    let report = soon(start(plan.lasting(Duration::from_millis(20))).finish()).await;
    assert_eq!(report.summary.ok, 2);
    let executed = running.executed(&report.records[0].id);
    assert_eq!((executed.count, executed.methods), (1, vec!["POST".to_owned()]));
}
