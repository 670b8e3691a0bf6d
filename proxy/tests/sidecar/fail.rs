//! Failing backends on purpose, and ending that.

use bascule::{
    clock,
    event::{Delay, FaultMode, FaultScope, Percent},
    fleet::Input,
    model::{BackendId, PoolId},
    snapshot::Condition,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::world::{Fake, Wish, World};

const PRIMARY: BackendId = BackendId { pool: PoolId(0), index: 0 };
const SECONDARY: BackendId = BackendId { pool: PoolId(0), index: 1 };

#[tokio::test]
async fn the_active_backend_is_told_to_crash_and_the_fleet_is_told_that() {
    let mut world = World::new().await;
    let answer = world.post("/proxy/fail", "").await;
    assert_eq!(answer.status, 202);
    let accepted = answer.json();
    assert_eq!(accepted["pool"], "api");
    assert_eq!(accepted["backend"], "primary");
    assert_eq!(accepted["mode"], "crash");
    assert_eq!(accepted["ends_at"], json!(null));
    assert!(accepted["accepted_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(world.primary.asked(), ["POST /fail"]);
    assert_eq!(world.secondary.asked(), Vec::<String>::new());
    let told = world.told();
    assert_eq!(told, Input::FaultRequested { backend: PRIMARY, mode: FaultMode::Crash });
    assert_eq!(world.fault(0), None);
}

#[tokio::test]
async fn the_active_backend_follows_the_tier() {
    let world = World::new().await;
    world.be(Some(1), [Condition::Unhealthy, Condition::Healthy]);
    let answer = world.post("/proxy/fail", r#"{"pool":"api","mode":"crash"}"#).await;
    assert_eq!(answer.json()["backend"], "secondary");
    assert_eq!(world.secondary.asked(), ["POST /fail"]);
}

#[tokio::test]
async fn other_faults_are_injected_and_end_by_themselves() {
    let mut world = World::new().await;
    let body = r#"{"backend":"secondary","mode":"slow","for":"2m","delay":"250ms"}"#;
    let before = clock::now();
    let accepted = world.post("/proxy/fail", body).await.json();
    assert_eq!(accepted["backend"], "secondary");
    let fault = world.fault(1).unwrap();
    assert_eq!(fault.mode, FaultMode::Slow);
    assert_eq!(fault.delay, Delay::fixed(Duration::from_millis(250)));
    assert_eq!((fault.scope, fault.percent), (FaultScope::All, Percent::ALL));
    let length = fault.ends_at.since(before);
    assert!((120..125).contains(&length.as_secs()), "{length:?}");
    assert_eq!(accepted["ends_at"], clock::rfc3339_of(fault.ends_at));
    let told = world.told();
    assert_eq!(told, Input::FaultRequested { backend: SECONDARY, mode: FaultMode::Slow });
    assert_eq!(world.secondary.asked(), Vec::<String>::new());
    let health = world.get("/proxy/health").await.json();
    assert_eq!(health["pools"][0]["backends"][1]["fault"]["mode"], "slow");
}

#[tokio::test]
async fn a_fault_says_what_it_is_wherever_it_is_shown() {
    let world = World::new().await;
    let slow = r#"{"mode":"slow","scope":"traffic","percent":30,
        "delay":{"min":"100ms","max":"2s"}}"#;
    let error = r#"{"mode":"error","status":429,"scope":"checks","for":"1s"}"#;
    let plain = r#"{"mode":"blackhole"}"#;
    let cases = [
        (slow, json!(["slow", "traffic", 30, null, 0.1, 2.0])),
        (error, json!(["error", "checks", 100, 429, null, null])),
        (plain, json!(["blackhole", "all", 100, null, null, null])),
    ];
    let keys =
        ["mode", "scope", "percent", "status", "delay_min_seconds", "delay_max_seconds", "ends_at"];
    for (order, mut expected) in cases {
        let accepted = world.post("/proxy/fail", order).await.json();
        expected.as_array_mut().unwrap().push(accepted["ends_at"].clone());
        let health = world.get("/proxy/health").await.json();
        let fault = &health["pools"][0]["backends"][0]["fault"];
        let audit = world.audit_fields().pop().unwrap();
        for shown in [&accepted, fault] {
            let found: Vec<_> = keys.iter().map(|key| shown[key].clone()).collect();
            assert_eq!(json!(found), expected, "{order}");
        }
        assert_eq!(
            (&audit["action"], &audit["on"]),
            (&json!("fault.inject"), &json!("api/primary"))
        );
        let after: Value = serde_json::from_str(audit["after"].as_str().unwrap()).unwrap();
        for (key, expected) in keys.iter().zip(expected.as_array().unwrap()) {
            let found = if *key == "ends_at" { &after[*key] } else { &after["fault"][*key] };
            assert_eq!(found, expected, "{order}: {audit:?}");
        }
    }
}

#[tokio::test]
async fn what_the_checks_cannot_see_is_not_injected_into_them_alone() {
    let mut world = World::with(Wish { tcp_checks: true, ..Wish::default() }).await;
    let answer = world.post("/proxy/fail", r#"{"mode":"hang","scope":"checks"}"#).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "no_effect"));
    assert!(answer.remedy().contains("`blackhole`"), "{}", answer.remedy());
    world.assert_untouched();
    for order in [r#"{"mode":"refuse","scope":"checks"}"#, r#"{"mode":"hang"}"#] {
        assert_eq!(world.post("/proxy/fail", order).await.status, 202, "{order}");
    }
}

#[tokio::test]
async fn bad_orders_are_refused_without_effect() {
    let mut world = World::new().await;
    for (body, status, code) in [
        (r#"{"pool":"nope"}"#, 404, "unknown_pool"),
        (r#"{"pool":"api","backend":"nope"}"#, 404, "unknown_backend"),
        (r#"{"backend":"nope","mode":"hang"}"#, 404, "unknown_backend"),
        (r#"{"mode":"explode"}"#, 400, "bad_value"),
        (r#"{"mode":"hang","for":"11m"}"#, 400, "bad_value"),
        (r#"{"mode":"hang","fro":"1m"}"#, 400, "unknown_key"),
        (r#"{"mode":"hang","status":503}"#, 400, "bad_value"),
        (r#"{"mode":"hang","percent":0}"#, 400, "bad_value"),
        (r#"{"mode":"hang","scope":"health"}"#, 400, "bad_value"),
        (r#"{"mode":"slow","delay":{"min":"2s","max":"1s"}}"#, 400, "bad_value"),
        ("{", 400, "malformed_body"),
        ("mode=hang", 400, "malformed_body"),
    ] {
        let answer = world.post("/proxy/fail", body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{body}");
    }
    for (body, status, code) in [
        (r#"{"pool":"nope"}"#, 404, "unknown_pool"),
        (r#"{"backend":"nope"}"#, 404, "unknown_backend"),
        (r#"{"mode":"hang"}"#, 400, "unknown_key"),
        ("[]", 400, "malformed_body"),
    ] {
        let answer = world.post("/proxy/recover", body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{body}");
    }
    world.assert_untouched();
    assert_eq!(world.audit().len(), 16);
}

#[tokio::test]
async fn a_body_has_a_limit() {
    let mut world = World::new().await;
    let long = format!(r#"{{"pool":"{}"}}"#, "x".repeat(70_000));
    let answer = world.post("/proxy/fail", &long).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));
    world.assert_untouched();
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_its_body_has_no_effect() {
    let mut world = World::new().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = "POST /proxy/fail HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    drop(stream);
    assert_eq!(world.get("/livez").await.status, 200);
    world.assert_untouched();
}

#[tokio::test]
async fn without_fault_injection_nothing_is_failed_nor_recovered() {
    let mut world = World::with(Wish { fault_injection: false, ..Wish::default() }).await;
    for path in ["/proxy/fail", "/proxy/recover"] {
        let answer = world.post(path, "").await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "fault_injection_disabled"));
    }
    world.assert_untouched();
    assert_eq!(world.get("/proxy/health").await.json()["fault_injection"], false);
}

#[tokio::test]
async fn when_nothing_is_active_a_backend_must_be_named() {
    let mut world = World::new().await;
    world.be(None, [Condition::Unhealthy, Condition::Unhealthy]);
    let answer = world.post("/proxy/fail", "").await;
    assert_eq!((answer.status, answer.code().as_str()), (409, "nothing_active"));
    world.assert_untouched();
    let answer = world.post("/proxy/fail", r#"{"backend":"primary","mode":"refuse"}"#).await;
    assert_eq!(answer.status, 202);
}

#[tokio::test]
async fn a_fleet_that_cannot_listen_refuses_without_effect() {
    let mut world = World::with(Wish { inbox: 1, ..Wish::default() }).await;
    assert_eq!(world.post("/proxy/fail", "").await.status, 202);
    for body in ["", r#"{"mode":"hang"}"#] {
        let answer = world.post("/proxy/fail", body).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "busy"));
    }
    assert_eq!(world.primary.asked(), ["POST /fail"]);
    assert_eq!(world.fault(0), None);
    assert!(world.inbox.try_recv().is_ok());
    assert!(world.inbox.try_recv().is_err());
}

/// Lets the primary's address lead to `address`.
fn move_primary(world: &World, address: std::net::SocketAddr) {
    world.state.generation().live.backend(PRIMARY).resolved_to(address);
}

#[tokio::test]
async fn a_backend_that_cannot_be_told_is_named_with_the_reason() {
    let world = World::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    move_primary(&world, nobody);
    let answer = world.post("/proxy/fail", "").await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "backend_unreachable"));
    assert!(answer.message().contains("connection refused"), "{}", answer.message());

    let recovered = world.post("/proxy/recover", "").await;
    assert_eq!(recovered.status, 200);
    let recovered = recovered.json();
    assert_eq!(recovered["recovered"], json!(["secondary"]));
    let failed = &recovered["not_recovered"][0];
    assert_eq!((&failed["pool"], &failed["backend"]), (&json!("api"), &json!("primary")));
    assert!(failed["message"].as_str().unwrap().contains("connection refused"));
}

#[tokio::test]
async fn a_backend_that_says_no_is_not_said_to_crash() {
    let world = World::new().await;
    let strange = Fake::start(404, "no such thing").await;
    move_primary(&world, strange.address);
    let answer = world.post("/proxy/fail", "").await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "backend_unreachable"));
    assert!(answer.message().contains("answered 404 to POST /fail"), "{}", answer.message());
}

#[tokio::test]
async fn a_backend_that_never_answers_is_given_up() {
    let world = World::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    move_primary(&world, listener.local_addr().unwrap());
    let answer = world.post("/proxy/fail", "").await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "backend_unreachable"));
    assert!(answer.message().contains("did not answer within 2 s"), "{}", answer.message());
}

#[tokio::test]
async fn recovery_ends_what_was_injected_and_tells_the_backends() {
    let world = World::new().await;
    for backend in ["primary", "secondary"] {
        let body = format!(r#"{{"backend":"{backend}","mode":"hang"}}"#);
        assert_eq!(world.post("/proxy/fail", &body).await.status, 202);
    }
    let answer = world.post("/proxy/recover", r#"{"backend":"secondary"}"#).await;
    assert_eq!(answer.json(), json!({"recovered": ["secondary"], "not_recovered": []}));
    assert!(world.fault(0).is_some());
    assert_eq!(world.fault(1), None);
    assert_eq!(world.secondary.asked(), ["POST /recover"]);
    let answer = world.post("/proxy/recover", r#"{"pool":"api"}"#).await;
    assert_eq!(answer.json()["recovered"], json!(["primary", "secondary"]));
    assert_eq!(world.fault(0), None);
}
