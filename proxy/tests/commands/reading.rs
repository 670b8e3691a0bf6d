//! Commands that read.

use serde_json::{Value, json};

use crate::fake::{Fake, backend, failed_over, health, incident};

#[tokio::test]
async fn status_begins_with_the_verdict() {
    let fake = Fake::start().await;
    let ran = fake.run(&["status"]).await;
    assert_eq!((ran.code, ran.error.as_str()), (Some(0), ""));
    assert!(
        ran.out.starts_with(
            "All 2 pools serve from their first tier. 0 lost requests, 4 rescued in the last \
             minute.\nbascule 0.1.0 at 127.0.0.1:"
        ),
        "{}",
        ran.out
    );
    assert!(ran.out.contains(", up 2 h 14 m, ready"), "{}", ran.out);
    assert!(
        ran.out.contains("\npool web: serving for 2 m 14 s; 20 req/s, p50 1 ms"),
        "{}",
        ran.out
    );
}

#[tokio::test]
async fn status_tells_of_the_incident_under_way() {
    let fake = Fake::start().await;
    fake.answers("GET /proxy/health", 200, failed_over());
    fake.answers("GET /incidents", 200, json!({ "schema": 1, "incidents": [incident()] }));
    let ran = fake.run(&["status", "api"]).await;
    let expected = format!(
        "\
Serving from b since 10:03:13Z; a is down: connection refused. 0 lost requests, 2 rescued in the last minute.
bascule 0.1.0 at {}, up 2 h 14 m, ready, faults may be injected

pool api: failed over to tier 1 for 2 m 14 s; 20 req/s, p50 1 ms, p99 10 ms, 0 lost, 2 rescued in the last minute
     BACKEND  TIER  HEALTH  INTENT   SHARE  IN FLIGHT  FOR       TROUBLE             URL
     a           0  down    enabled    0 %          3  2 m 14 s  connection refused  http://a:80
  >  b           1  up      enabled    0 %          3  2 m 14 s                      http://b:80
  incident api-1 is serving: a was lost (crash), noticed in 100 ms, switched in 4 ms; 40 requests, 2 rescued, 0 lost
",
        fake.address
    );
    assert_eq!(ran.out, expected);
    assert_eq!(ran.code, Some(0));
}

#[tokio::test]
async fn status_answers_no_when_a_pool_cannot_serve() {
    let fake = Fake::start().await;
    let mut down = failed_over();
    down["pools"][0]["status"] = "down".into();
    down["pools"][0]["active_tier"] = Value::Null;
    down["pools"][0]["open_incident"] = Value::Null;
    fake.answers("GET /proxy/health", 200, down);
    let ran = fake.run(&["status"]).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.starts_with("api: Nothing can serve since 10:03:13Z"), "{}", ran.out);
    let quiet = fake.run(&["status", "-q"]).await;
    assert_eq!((quiet.code, quiet.out.as_str(), quiet.error.as_str()), (Some(1), "", ""));
    assert_eq!(fake.run(&["status", "web"]).await.code, Some(0), "web is well");
}

#[tokio::test]
async fn status_ready_passes_the_reason_on() {
    let fake = Fake::start().await;
    fake.answers("GET /readyz", 200, json!({ "ready": true, "reason": null }));
    let ran = fake.run(&["status", "--ready"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "ready\n"));
    fake.answers("GET /readyz", 503, json!({ "ready": false, "reason": "draining" }));
    let ran = fake.run(&["status", "--ready"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), "not ready: draining\n"));
    let ran = fake.run(&["status", "--ready", "--format", "json"]).await;
    assert_eq!(ran.json(), json!({ "schema": 1, "ready": false, "reason": "draining" }));
}

#[tokio::test]
async fn everything_that_reads_speaks_json_with_its_schema() {
    let fake = Fake::start().await;
    let list = json!({ "schema": 1, "incidents": [incident()] });
    fake.answers("GET /incidents", 200, list);
    fake.answers("GET /incidents/api-1", 200, incident());
    fake.answers("GET /backends", 200, json!({ "schema": 1, "backends": [backend("a", 0, "up")] }));
    fake.answers("GET /faults", 200, json!({ "faults": [] }));
    fake.answers("GET /log-level", 200, json!({ "level": "info" }));
    fake.answers("GET /audit", 200, json!({ "schema": 1, "entries": [] }));
    fake.answers("GET /whoami", 200, json!({ "schema": 1, "role": "operator" }));
    fake.answers("GET /metrics", 200, "".into());
    for arguments in [
        &["status"][..],
        &["incidents"],
        &["incidents", "last"],
        &["incidents", "api-1"],
        &["backend", "list"],
        &["fault", "list"],
        &["log-level"],
        &["audit"],
        &["whoami"],
        &["top", "--once", "--interval", "200ms"],
        &["version"],
    ] {
        let ran = fake.run(&[arguments, &["--format", "json"]].concat()).await;
        assert_eq!((ran.code, ran.error.as_str()), (Some(0), ""), "{arguments:?}");
        assert_eq!(ran.json()["schema"], 1, "{arguments:?}: {}", ran.out);
        assert_eq!(ran.out.lines().count(), 1, "{arguments:?}: {}", ran.out);
    }
}

#[tokio::test]
async fn status_in_json_has_the_verdict_and_the_whole_answer() {
    let fake = Fake::start().await;
    let answer = fake.run(&["status", "web", "--format", "json"]).await.json();
    assert_eq!(answer["verdict"]["is_well"], true);
    assert!(answer["verdict"]["sentence"].as_str().unwrap().starts_with("Serving from a"));
    assert_eq!(answer["pools"], json!([health()["pools"][1]]));
}

#[tokio::test]
async fn incidents_are_a_table_or_a_story() {
    let fake = Fake::start().await;
    fake.answers("GET /incidents", 200, json!({ "schema": 1, "incidents": [incident()] }));
    let ran = fake.run(&["incidents", "--pool", "api", "-n", "5"]).await;
    let expected = "\
ID     WHEN                  BACKEND  CAUSE  STATE    NOTICED  SWITCHED  REQUESTS  RESCUED  LOST
api-1  2026-11-23 10:03:12Z  a        crash  serving   100 ms      4 ms        40        2     0
";
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), expected));
    assert_eq!(fake.asked().last().unwrap().what, "GET /incidents?limit=5&pool=api");
    let ran = fake.run(&["incidents", "last"]).await;
    assert!(ran.out.starts_with("incident api-1: serving"), "{}", ran.out);
    fake.answers("GET /incidents", 200, json!({ "schema": 1, "incidents": [] }));
    let ran = fake.run(&["incidents"]).await;
    assert_eq!(ran.out, "No failover since the proxy was started.\n");
    assert_eq!(fake.run(&["incidents", "last"]).await.code, Some(1));
}

#[tokio::test]
async fn top_once_prints_rates_between_two_looks() {
    let fake = Fake::start().await;
    let mut later = health();
    later["now"] = "2026-11-23T10:05:29.000Z".into();
    later["pools"][0]["backends"][0]["requests"] = 1_040.into();
    fake.answers_in_turn("GET /proxy/health", [(200, health()), (200, later)]);
    let metrics = |count: u64| {
        let name = "bascule_upstream_duration_seconds_bucket";
        let labels = "backend=\"a\",pool=\"api\"";
        format!("{name}{{{labels},le=\"0.01\"}} {count}\n{name}{{{labels},le=\"+Inf\"}} {count}\n")
    };
    fake.answers_in_turn("GET /metrics", [(200, metrics(7).into()), (200, metrics(47).into())]);
    let ran = fake.run(&["top", "--once", "--interval", "200ms", "--sort", "rate"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let row = ran.out.lines().find(|line| line.starts_with("api/a")).unwrap();
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words, ["api/a", "0", "20", "0", "5", "ms", "9.9", "ms", "3", "up"], "{}", ran.out);
}

#[tokio::test]
async fn colours_are_used_when_they_are_wanted() {
    let fake = Fake::start().await;
    let plain = fake.run(&["status"]).await;
    assert!(!plain.out.contains('\u{1b}'), "no terminal, no colours");
    let colored = fake.run(&["status", "--color", "always"]).await;
    assert!(colored.out.contains("\u{1b}[32m"), "{}", colored.out);
}
