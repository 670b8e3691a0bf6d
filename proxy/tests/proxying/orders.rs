//! What operators order while clients are served: draining, weights, ejections, moves.

use std::time::Duration;

use bascule_backend::{
    Running,
    load::{LoadRun, start},
};
use futures_util::{SinkExt, StreamExt};
use http::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};

use crate::{
    client::{Raw, soon, try_ask, until},
    load::{assert_none_failed, load, plan, served},
    proxy::Proxy,
    setup::{Setup, backend},
};

/// What the sidecar answers to an order.
async fn order(proxy: &Proxy, path: &str, body: Value) -> (u16, Value) {
    let headers = [("content-type", "application/json")];
    let answer = try_ask(proxy.admin(), "POST", path, &headers, body.to_string()).await.unwrap();
    (answer.status, answer.json())
}

/// Gives an order that must be carried out.
async fn ordered(proxy: &Proxy, path: &str, body: Value) -> Value {
    let (status, answer) = order(proxy, path, body).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

fn one_tier(backends: &[Running]) -> Setup {
    Setup::one_tier(&backends.iter().map(|it| (it, 100)).collect::<Vec<_>>())
}

/// 200 POST requests a second, until stopped.
fn posts(proxy: &Proxy) -> LoadRun {
    start(plan(proxy, "/delay/20").method(Method::POST).body_bytes(100))
}

#[tokio::test]
async fn every_backend_is_drained_in_turn_and_no_request_fails() {
    let backends = ["a", "b", "c"].map(backend);
    let proxy = one_tier(&backends).start().await;
    let (gets, posts) = (load(&proxy, "/api/data"), posts(&proxy));
    served(&gets, 50).await;
    for drained in &backends {
        let path = format!("/backends/api/{}", drained.name());
        let answer = ordered(&proxy, &format!("{path}/drain"), json!({ "wait": "20s" })).await;
        assert_eq!(answer["is_done"], true, "{answer}");
        let told = json!([answer["backend"]["intent"], answer["backend"]["is_eligible"]]);
        assert_eq!(told, json!(["draining", false]));
        assert_eq!(
            answer["persists"],
            json!({ "reload": true, "upgrade": true, "restart": false })
        );
        let before = drained.total();
        served(&gets, 60).await;
        assert_eq!(drained.total(), before, "{} got something new", drained.name());
        let answer = ordered(&proxy, &format!("{path}/undrain"), json!({ "wait": "20s" })).await;
        assert_eq!(
            (&answer["is_done"], &answer["backend"]["is_eligible"]),
            (&json!(true), &json!(true))
        );
    }
    assert_none_failed(&gets.stop().await);
    assert_none_failed(&posts.stop().await);
    let incidents = proxy.incidents().await;
    assert_eq!(incidents.len(), 3, "{incidents:?}");
    for incident in incidents {
        let told = json!([incident["cause"], incident["requested"], incident["detected_by"]]);
        assert_eq!(told, json!(["drained", true, "operator"]));
        assert_eq!(incident["requests"]["lost"], 0);
    }
}

#[tokio::test]
async fn what_is_in_flight_at_a_drained_backend_is_finished_and_conversations_are_told() {
    let (a, b) = (backend("a"), backend("b"));
    let proxy = Setup::tiers(&[&a, &b]).start().await;
    let mut download = proxy.connect().await;
    download.get("/delay/1500", "").await;
    let mut socket = proxy.conversation("/ws").await;
    socket.send(Message::text("x")).await.unwrap();
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::text("x"));
    proxy.pool_until(|pool| pool["backends"][0]["in_flight"] == 2).await;
    let answer = ordered(&proxy, "/backends/api/a/drain", json!({ "wait": "20s" })).await;
    assert_eq!((&answer["is_done"], &answer["backend"]["in_flight"]), (&json!(true), &json!(0)));
    let last = soon(socket.next()).await;
    let Some(Ok(Message::Close(Some(close)))) = last else { panic!("{last:?}") };
    assert_eq!(close.code, CloseCode::Away);
    let (head, _) = soon(download.answer()).await;
    assert!(head.starts_with("http/1.1 200") && head.contains("x-backend: a"), "{head}");
}

#[tokio::test]
async fn an_order_whose_client_does_not_wait_is_in_the_audit_trail_with_what_it_changed() {
    let (a, b) = (backend("a"), backend("b"));
    let setup = Setup::tiers(&[&a, &b]).with("shutdown.websocket_grace", "1h");
    let proxy = setup.with("shutdown.drain", "2h").start().await;
    // A conversation, which goes on for as long as it likes.
    let mut socket = proxy.conversation("/ws").await;
    socket.send(Message::text("x")).await.unwrap();
    soon(socket.next()).await.unwrap().unwrap();
    let mut operator = Raw::connect(proxy.admin()).await;
    let body = r#"{"wait":"50s"}"#;
    let head = format!("POST /backends/api/a/drain HTTP/1.1\r\nhost: {}\r\n", proxy.admin());
    let head = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    operator.send(head).await;
    until(async || match proxy.sidecar("/backends/api/a").await {
        it if it["backend"]["intent"] == "draining" => Ok(()),
        it => Err(it.to_string()),
    })
    .await;
    drop(operator);
    let entry = until(async || {
        let trail = proxy.sidecar("/audit").await;
        let entries = trail["entries"].as_array().unwrap();
        entries.first().cloned().ok_or_else(|| trail.to_string())
    })
    .await;
    let told = json!([entry["action"], entry["target"], entry["result"], entry["code"]]);
    assert_eq!(told, json!(["backend.drain", "api/a", "done", "client_left"]));
    let intents = json!([entry["before"]["intent"], entry["after"]["intent"]]);
    assert_eq!(intents, json!(["enabled", "draining"]));
}

#[tokio::test]
async fn an_operator_who_insists_does_not_wait_for_conversations() {
    let (a, b) = (backend("a"), backend("b"));
    let setup = Setup::tiers(&[&a, &b]).with("shutdown.websocket_grace", "1h");
    let proxy = setup.with("shutdown.drain", "2h").start().await;
    let mut socket = proxy.conversation("/ws").await;
    socket.send(Message::text("x")).await.unwrap();
    soon(socket.next()).await.unwrap().unwrap();
    let answer = ordered(&proxy, "/backends/api/a/drain", json!({ "wait": "10ms" })).await;
    assert_eq!(answer["is_done"], false);
    let body = json!({ "wait": "10ms", "force": true });
    ordered(&proxy, "/backends/api/a/drain", body).await;
    let last = soon(socket.next()).await;
    assert!(matches!(last, Some(Ok(Message::Close(_)))), "{last:?}");
    proxy.pool_until(|pool| pool["backends"][0]["in_flight"] == 0).await;
}

#[tokio::test]
async fn a_weight_shifts_the_share_and_none_makes_a_spare() {
    let backends = ["a", "b"].map(backend);
    let proxy = one_tier(&backends).start().await;
    let ask = async |count: usize| {
        let before = [backends[0].total(), backends[1].total()];
        for _ in 0..count {
            assert_eq!(proxy.get("/api/data").await.status, 200);
        }
        [backends[0].total() - before[0], backends[1].total() - before[1]]
    };
    assert_eq!(ask(20).await, [10, 10]);
    let answer = ordered(&proxy, "/backends/api/a/weight", json!({ "weight": 300 })).await;
    let told = json!([answer["backend"]["weight"], answer["backend"]["configured_weight"]]);
    assert_eq!(told, json!([300, 100]));
    assert_eq!(answer["backend"]["share"], 0.75);
    assert_eq!(ask(20).await, [15, 5]);
    assert_eq!(proxy.metric("bascule_backend_weight{backend=\"a\",pool=\"api\"}").await, 300.0);
    ordered(&proxy, "/backends/api/a/weight", json!({ "weight": 0 })).await;
    assert_eq!(ask(20).await, [0, 20]);
    // The spare serves when nobody else can.
    ordered(&proxy, "/backends/api/b/drain", json!({})).await;
    assert_eq!(ask(20).await, [20, 0]);
}

#[tokio::test]
async fn two_operators_at_once_cannot_empty_a_pool_nor_both_be_the_first() {
    let (a, b) = (backend("a"), backend("b"));
    let proxy = Setup::tiers(&[&a, &b]).start().await;
    let drain =
        async |name: &str| order(&proxy, &format!("/backends/api/{name}/drain"), json!({})).await;
    let (one, other) = tokio::join!(drain("a"), drain("b"));
    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{one:?} {other:?}");
    let refused = if one.0 == 409 { one.1 } else { other.1 };
    assert_eq!(refused["error"]["code"], "last_eligible", "{refused}");
    assert_eq!(proxy.get("/api/data").await.status, 200);

    let weigh = async |weight: u32| {
        let body = json!({ "weight": weight, "expect": { "weight": 100 } });
        order(&proxy, "/backends/api/a/weight", body).await
    };
    let (one, other) = tokio::join!(weigh(7), weigh(8));
    let (won, lost) = if one.0 == 200 { (one, other) } else { (other, one) };
    assert_eq!((won.0, lost.0), (200, 409));
    assert_eq!(lost.1["error"]["code"], "changed", "{}", lost.1);
    assert_eq!(lost.1["error"]["present"]["weight"], won.1["backend"]["weight"]);

    for name in ["a", "b"] {
        let forced = json!({ "force": true });
        ordered(&proxy, &format!("/backends/api/{name}/drain"), forced).await;
    }
    assert_eq!(proxy.get("/api/data").await.status, 503);
    ordered(&proxy, "/backends/api/b/enable", json!({ "wait": "20s" })).await;
    assert_eq!(proxy.get("/api/data").await.status, 200);
}

#[tokio::test]
async fn an_ejected_backend_is_back_when_an_operator_says_so() {
    let backends = ["a", "b"].map(backend);
    let proxy = one_tier(&backends).start().await;
    let load = load(&proxy, "/api/data");
    served(&load, 20).await;
    let answer = ordered(&proxy, "/backends/api/a/eject", json!({ "for": "1h" })).await;
    assert_eq!(answer["backend"]["condition"], "ejected");
    assert!(answer["backend"]["ejected_until"].is_string());
    // What was under way when it was ejected ends there.
    proxy.pool_until(|pool| pool["backends"][0]["in_flight"] == 0).await;
    let before = backends[0].total();
    served(&load, 40).await;
    assert_eq!(backends[0].total(), before);
    let answer = ordered(&proxy, "/backends/api/a/readmit", json!({ "wait": "20s" })).await;
    assert_eq!(answer["backend"]["is_eligible"], true, "{answer}");
    // It is on probation until its trials have succeeded.
    proxy.pool_until(|pool| pool["backends"][0]["state"] == "up").await;
    assert_none_failed(&load.stop().await);
    assert_eq!(proxy.metric("bascule_ejections_total{pool=\"api\",reason=\"manual\"}").await, 1.0);
}

#[tokio::test]
async fn an_operator_moves_a_pool_and_it_stays_until_he_asks_for_the_return() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).start().await;
    let load = load(&proxy, "/api/data");
    served(&load, 20).await;
    let expecting = |active: &str| json!({ "to": "tier 1", "expect": { "active": active } });
    let (status, refused) = order(&proxy, "/pools/api/failover", expecting("secondary")).await;
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("changed")));
    let answer = ordered(&proxy, "/pools/api/failover", expecting("primary")).await;
    assert_eq!((&answer["is_done"], &answer["pool"]["held_tier"]), (&json!(true), &json!(1)));
    let held = "bascule_pool_held_tier{pool=\"api\"}";
    assert_eq!(proxy.metric(held).await, 1.0);
    proxy.pool_until(|pool| pool["backends"][0]["in_flight"] == 0).await;
    let before = primary.total();
    // Longer than the hold-down, which is a second.
    served(&load, 300).await;
    assert_eq!(primary.total(), before, "traffic returned by itself");
    let answer = ordered(&proxy, "/pools/api/failback", json!({ "wait": "20s" })).await;
    assert_eq!((&answer["is_done"], &answer["pool"]["active_tier"]), (&json!(true), &json!(0)));
    assert_eq!(proxy.metric(held).await, -1.0);
    assert_none_failed(&load.stop().await);
    let incident = proxy.incident_until(1, |it| it["state"] == "closed").await;
    assert_eq!((&incident["cause"], &incident["requested"]), (&json!("manual"), &json!(true)));
    let over = "bascule_failovers_total{direction=\"over\",pool=\"api\",reason=\"manual\"}";
    assert_eq!(proxy.metric(over).await, 1.0);
}

#[tokio::test]
async fn a_disabled_backend_may_be_switched_off_and_is_checked_before_it_serves_again() {
    let (mut a, b) = (backend("a"), backend("b"));
    let proxy = Setup::tiers(&[&a, &b]).start().await;
    ordered(&proxy, "/backends/api/a/disable", json!({ "wait": "20s" })).await;
    a.kill().await;
    let checks = async || {
        let told = proxy.sidecar("/backends/api/a").await;
        told["backend"]["last_check"]["at"].as_str().unwrap().to_owned()
    };
    // One may have been under way.
    let last = checks().await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(checks().await, last, "it is still checked");
    let told = proxy.sidecar("/backends/api/a").await;
    assert_eq!(
        (&told["backend"]["condition"], &told["backend"]["intent"]),
        (&json!("up"), &json!("disabled"))
    );
    assert_eq!(proxy.sidecar("/readyz").await["ready"], true);
    let answer = ordered(&proxy, "/backends/api/a/enable", json!({})).await;
    assert_eq!(answer["is_done"], false, "nobody knows how it is: {answer}");
    proxy.pool_until(|pool| pool["backends"][0]["state"] == "down").await;
    let _a = a.restart().await.unwrap();
    until(async || {
        let told = proxy.sidecar("/backends/api/a").await["backend"].clone();
        if told["is_eligible"] == true { Ok(()) } else { Err(told.to_string()) }
    })
    .await;
}

#[tokio::test]
async fn faults_are_listed_and_ended() {
    let (a, b) = (backend("a"), backend("b"));
    let proxy = Setup::tiers(&[&a, &b]).start().await;
    let fault = json!({ "pool": "api", "backend": "b", "mode": "hang", "for": "60s" });
    let (status, answer) = order(&proxy, "/faults", fault).await;
    assert_eq!(status, 202, "{answer}");
    let faults = proxy.sidecar("/faults").await["faults"].clone();
    assert_eq!((faults.as_array().unwrap().len(), &faults[0]["mode"]), (1, &json!("hang")));
    let ended = try_ask(proxy.admin(), "DELETE", "/faults/api/b", &[], "").await.unwrap();
    assert_eq!(ended.status, 200, "{ended:?}");
    assert_eq!(proxy.sidecar("/faults").await["faults"], json!([]));
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused_with_a_remedy() {
    let only = backend("only");
    let proxy = Setup::tiers(&[&only]).start().await;
    for (path, body, status, code) in [
        ("/backends/api/none/drain", json!({}), 404, "unknown_backend"),
        ("/backends/none/only/drain", json!({}), 404, "unknown_pool"),
        ("/backends/api/only/dry", json!({}), 404, "unknown_path"),
        ("/backends/api/only/drain", json!({ "now": true }), 400, "unknown_key"),
        ("/backends/api/only/drain", json!({}), 409, "last_eligible"),
        ("/pools/api/failover", json!({}), 409, "no_other_tier"),
        ("/pools/api/failover", json!({ "to": "tier 7" }), 404, "unknown_backend"),
        ("/pools/api/failback", json!({}), 409, "nothing_to_fail_back"),
    ] {
        let (found, answer) = order(&proxy, path, body).await;
        assert_eq!((found, &answer["error"]["code"]), (status, &json!(code)), "{path}: {answer}");
        assert!(answer["error"]["remedy"].as_str().is_some_and(|it| !it.is_empty()));
    }
    for (method, path, allowed) in [
        ("GET", "/backends/api/only/drain", "POST"),
        ("DELETE", "/pools/api/failover", "POST"),
        ("POST", "/faults/api/only", "DELETE"),
        ("PUT", "/faults", "GET, HEAD, POST"),
    ] {
        let answer = try_ask(proxy.admin(), method, path, &[], "").await.unwrap();
        assert_eq!((answer.status, answer.header("allow")), (405, allowed), "{method} {path}");
    }
}

#[tokio::test]
async fn the_log_says_more_for_a_time() {
    let only = backend("only");
    let proxy = Setup::tiers(&[&only]).start().await;
    let told = async || {
        let told = proxy.sidecar("/log-level").await;
        json!([told["level"], told["configured"], told["until"].is_string()])
    };
    assert_eq!(told().await, json!(["info", "info", false]));
    let put = async |body: Value| {
        try_ask(proxy.admin(), "PUT", "/log-level", &[], body.to_string()).await.unwrap()
    };
    let answer = put(json!({ "level": "debug", "for": "2s" })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(told().await, json!(["debug", "info", true]));
    // A request without a host is told of at that level only.
    let mut client = proxy.connect().await;
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    proxy.log_until("DEBUG").await;
    until(async || match told().await {
        ended if ended == json!(["info", "info", false]) => Ok(()),
        other => Err(other.to_string()),
    })
    .await;
    let refused = put(json!({ "level": "loud" })).await;
    assert_eq!(
        (refused.status, refused.json()["error"]["code"].as_str()),
        (400, Some("bad_value"))
    );
}
