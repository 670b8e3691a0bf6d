//! Answers that only read.

use std::{sync::Arc, time::Duration};

use bascule::{
    admin::Stage,
    clock::Timestamp,
    event::{Fate, LossReason},
    incident::{Cause, Incident, IncidentState, Moments, Requests},
    model::{BackendId, PoolId},
    snapshot::Condition,
};
use serde_json::{Value, json};

use crate::world::{RELAY_KEY, World};

#[tokio::test]
async fn the_state_is_json_that_nobody_keeps() {
    let world = World::new().await;
    let answer = world.get("/proxy/health").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    let health = answer.json();
    assert_eq!(health["schema"], 1);
    assert_eq!(health["active"], "primary");
    assert_eq!(health["ready"], true);
    assert_eq!(health["pools"][0]["status"], "serving");
    world.be(Some(1), [Condition::Unhealthy, Condition::Healthy]);
    let health = world.get("/proxy/health").await.json();
    assert_eq!(health["active"], "secondary");
    assert_eq!(health["pools"][0]["status"], "failed_over");
}

#[tokio::test]
async fn alive_is_not_ready() {
    let world = World::new().await;
    assert_eq!(world.get("/livez").await.json(), json!({"live": true}));
    let ready = world.get("/readyz").await;
    assert_eq!((ready.status, ready.json()), (200, json!({"ready": true, "reason": null})));
    world.be(None, [Condition::Unknown, Condition::Healthy]);
    let ready = world.get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["ready"], false);
    world.be(None, [Condition::Unhealthy, Condition::Unhealthy]);
    assert_eq!(world.get("/readyz").await.status, 200, "nothing to send to is not unready");
    world.state.process.enter(Stage::Draining { successor: None });
    let ready = world.get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.json()["reason"].as_str().unwrap().starts_with("draining"));
    assert_eq!(world.get("/proxy/health").await.json()["ready"], false);
    assert_eq!(world.get("/livez").await.status, 200);
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let world = World::new().await;
    let answer = world.get("/metrics").await;
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(answer.text, "bascule_build_info 1\n");
    let head = world.clients.ask("HEAD", "/metrics", &[], "").await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}

pub(crate) fn incident(number: u64) -> Arc<Incident> {
    let at = Timestamp::from_millis(1000 * number);
    Arc::new(Incident {
        number,
        pool: "api".to_owned(),
        backend: "primary".to_owned(),
        place: Some(BackendId { pool: PoolId(0), index: 0 }),
        state: IncidentState::Open,
        cause: Cause::Crash,
        detected_by: LossReason::HealthCheck,
        is_requested: false,
        from_tier: 0,
        heir: None,
        heir_name: None,
        evidence: vec![],
        moments: Moments {
            suspected: at,
            decided: at,
            serving: None,
            stable: None,
            recovered: None,
            failed_back: None,
        },
        window_from: at,
        window_to: None,
        requests: Requests::default(),
        before: None,
        during: None,
        after: None,
    })
}

fn ids(list: &Value) -> Vec<&str> {
    let incidents = list["incidents"].as_array().unwrap();
    incidents.iter().map(|incident| incident["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn incidents_come_newest_first() {
    let world = World::new().await;
    assert_eq!(world.get("/incidents").await.json(), json!({"schema": 1, "incidents": []}));
    world.state.incidents.store(Arc::new((1..=60).map(incident).collect()));
    let list = world.get("/incidents?pool=api&limit=2").await.json();
    assert_eq!(ids(&list), ["api-60", "api-59"]);
    assert_eq!(ids(&world.get("/incidents").await.json()).len(), 50);
    let one = world.get("/incidents/api-7").await.json();
    assert_eq!(one["id"], "api-7");
    assert_eq!(one["detected_by"], "health_check");
    let health = world.get("/proxy/health").await.json();
    assert_eq!(health["pools"][0]["open_incident"], "api-60");
}

#[tokio::test]
async fn what_is_not_there_is_named_with_what_is() {
    let world = World::new().await;
    for (path, status, code, remedy) in [
        ("/incidents/api-1", 404, "unknown_incident", "GET /incidents"),
        ("/incidents/%F0%9F%92%A5", 404, "unknown_incident", "GET /incidents"),
        ("/incidents?pool=x", 404, "unknown_pool", "pools: api"),
        ("/incidents?limit=0", 400, "bad_parameter", "from 1 to 1000"),
        ("/incidents?limt=3", 400, "unknown_parameter", "pool, limit"),
        ("/series?pool=x", 404, "unknown_pool", "pools: api"),
        ("/series?seconds=86401", 400, "bad_parameter", "from 1 to 86400"),
        ("/series?seconds=x", 400, "bad_parameter", "from 1 to 86400"),
        ("/series?end=0", 400, "bad_parameter", "from 1 to"),
        ("/nothing", 404, "unknown_path", "/proxy/health"),
        ("/proxy/health/", 404, "unknown_path", "/proxy/health"),
        ("/", 404, "unknown_path", "/proxy/health"),
    ] {
        let answer = world.get(path).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}");
        assert!(answer.remedy().contains(remedy), "{path}: {}", answer.remedy());
    }
}

#[tokio::test]
async fn a_wrong_method_is_named_with_the_right_one() {
    let mut world = World::new().await;
    for path in ["/proxy/health", "/metrics", "/incidents", "/series", "/logs", "/livez"] {
        let answer = world.post(path, "").await;
        assert_eq!((answer.status, answer.code().as_str()), (405, "method_not_allowed"), "{path}");
        assert_eq!(answer.headers["allow"], "GET, HEAD", "{path}");
    }
    for method in ["GET", "PUT", "DELETE"] {
        let answer = world.clients.ask(method, "/proxy/fail", &[], "").await;
        assert_eq!((answer.status, answer.code().as_str()), (405, "method_not_allowed"));
        assert_eq!(answer.headers["allow"], "POST");
        let curl = format!("curl -X POST http://{}/proxy/fail", world.address);
        assert_eq!(answer.remedy(), curl);
        let answer = world.clients.ask(method, "/proxy/recover", &[], "").await;
        assert_eq!((answer.status, &answer.headers["allow"]), (405, &"POST".parse().unwrap()));
    }
    world.assert_untouched();
}

#[tokio::test]
async fn a_series_has_columns_of_one_length() {
    let mut world = World::new().await;
    let now = bascule::clock::now();
    world.state.started_at = now;
    let generation = world.state.generation();
    let timeline = &generation.live.pool(PoolId(0)).timeline;
    timeline.record(now, Duration::from_millis(3), Fate::Served, 1);
    let series = world.get("/series?pool=api&seconds=10").await.json();
    assert_eq!((&series["schema"], &series["step_seconds"]), (&json!(1), &json!(1)));
    assert_eq!(series["pool"], "api");
    let points = series["requests"].as_array().unwrap().len();
    assert_eq!(points, 10);
    for column in [
        &series["lost"],
        &series["rescued"],
        &series["p50_seconds"],
        &series["p99_seconds"],
        &series["backends"]["primary"],
        &series["backends"]["secondary"],
    ] {
        assert_eq!(column.as_array().unwrap().len(), points);
    }
}

#[tokio::test]
async fn data_comes_through_the_data_plane_with_its_status() {
    let world = World::new().await;
    let answer = world.get("/proxy/data?x=1").await;
    assert_eq!((answer.status, answer.text.as_str()), (418, "tea"));
    assert_eq!(answer.headers["x-backend"], "fake");
    assert_eq!(answer.headers["content-type"], "a/b");
    assert!(!answer.headers.contains_key("x-secret"));
    assert_eq!(world.data_plane.asked(), ["GET /proxy/data?x=1"]);
}

#[tokio::test]
async fn a_route_that_leads_in_a_circle_is_broken() {
    let world = World::new().await;
    let relayed = [("x-bascule-relay", RELAY_KEY), ("x-bascule-client", "127.0.0.1")];
    let answer = world.clients.ask("GET", "/proxy/data", &relayed, "").await;
    assert_eq!((answer.status, answer.code().as_str()), (508, "loop_detected"));
    assert!(world.data_plane.asked().is_empty());
}
