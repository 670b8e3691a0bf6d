//! The feed: a snapshot, then changes, for readers that come, go, come again and are too many.

use std::sync::Arc;

use bascule::snapshot::Condition;
use serde_json::{Value, json};

use crate::{
    reads::incident,
    world::{Reader, World},
};

/// Returns the next frame of a kind; what is of another is passed over.
async fn next(reader: &mut Reader, kind: &str) -> Value {
    loop {
        let frame = reader.next().await.unwrap();
        if frame["type"] == kind {
            return frame;
        }
    }
}

/// Returns the next change in which something is said of a backend.
async fn next_of(reader: &mut Reader, backend: &str) -> Value {
    loop {
        let frame = next(reader, "change").await;
        let pools = frame["health"]["pools"].as_array().unwrap();
        let backends = pools.iter().flat_map(|it| it["backends"].as_array().unwrap());
        if backends.clone().any(|it| it["name"] == backend) {
            return frame;
        }
    }
}

#[tokio::test]
async fn a_reader_gets_everything_then_what_changes() {
    let world = World::new().await;
    let mut reader = world.clients.watch("/feed?seconds=5", &[]).await.unwrap();
    let snapshot = reader.next().await.unwrap();
    assert_eq!((&snapshot["type"], &snapshot["schema"]), (&json!("snapshot"), &json!(1)));
    assert_eq!(snapshot["health"]["pools"][0]["backends"][1]["name"], "secondary");
    assert_eq!(snapshot["incidents"], json!([]));
    let points = reader.next().await.unwrap();
    assert_eq!((&points["type"], &points["series"]["pool"]), (&json!("series"), &json!("api")));
    assert_eq!(points["series"]["requests"].as_array().unwrap().len(), 5);
    world.be(Some(1), [Condition::Unhealthy, Condition::Healthy]);
    world.state.incidents.store(Arc::new(vec![incident(1)]));
    let change = next_of(&mut reader, "primary").await;
    assert!(snapshot["seq"].as_u64() < change["seq"].as_u64());
    assert_eq!(change["health"]["pools"][0]["status"], "failed_over");
    assert_eq!(change["health"]["pools"][0]["backends"][0]["state"], "down");
    assert_eq!(change["incidents"][0]["id"], "api-1");
    // What has not changed since is not said again.
    let change = next(&mut reader, "change").await;
    assert_eq!(change["incidents"], json!([]));
    assert_eq!(change["health"]["pools"], json!([]));
}

#[tokio::test]
async fn points_follow_each_other_without_a_gap() {
    let world = World::new().await;
    let mut reader = world.clients.watch("/feed?seconds=3", &[]).await.unwrap();
    let end_of = |frame: &Value| {
        let points = frame["series"]["requests"].as_array().unwrap().len() as u64;
        frame["series"]["start"].as_u64().unwrap() + points
    };
    let mut end = end_of(&next(&mut reader, "series").await);
    for _ in 0..2 {
        let frame = next(&mut reader, "series").await;
        assert_eq!(frame["series"]["start"], end);
        end = end_of(&frame);
    }
    reader.say(r#"{"type":"watch","pool":"api","seconds":60}"#).await;
    let frame = next(&mut reader, "series").await;
    assert_eq!(frame["series"]["requests"].as_array().unwrap().len(), 60);
}

#[tokio::test]
async fn who_comes_again_is_told_what_was_missed() {
    let world = World::new().await;
    let mut reader = world.clients.watch("/feed", &[]).await.unwrap();
    let snapshot = next(&mut reader, "snapshot").await;
    drop(reader);
    // Somebody else sees it happen.
    let mut other = world.clients.watch("/feed", &[]).await.unwrap();
    next(&mut other, "snapshot").await;
    world.state.incidents.store(Arc::new(vec![incident(1)]));
    while next(&mut other, "change").await["incidents"] == json!([]) {}
    let known = snapshot["seq"].as_u64().unwrap();
    let again = format!("/feed?after={known}");
    let mut reader = world.clients.watch(&again, &[]).await.unwrap();
    let mut expected = known + 1;
    loop {
        let change = reader.next().await.unwrap();
        assert_eq!((&change["type"], &change["seq"]), (&json!("change"), &json!(expected)));
        expected += 1;
        if change["incidents"] != json!([]) {
            break;
        }
    }
    // A number of another process, or of long ago, is answered with everything.
    for known in [1, known + 1_000_000] {
        let again = format!("/feed?after={known}");
        let mut reader = world.clients.watch(&again, &[]).await.unwrap();
        assert_eq!(reader.next().await.unwrap()["type"], "snapshot");
    }
}

#[tokio::test]
async fn readers_are_limited_and_make_room_when_they_leave() {
    let world = World::new().await;
    let mut readers = Vec::new();
    for _ in 0..64 {
        readers.push(world.clients.watch("/feed", &[]).await.unwrap());
    }
    assert_eq!(world.clients.watch("/feed", &[]).await.err(), Some(503));
    drop(readers.pop());
    while world.clients.watch("/feed", &[]).await.err() == Some(503) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn nonsense_is_refused_with_the_reason() {
    let world = World::new().await;
    for (path, status) in [
        ("/feed?pool=x", 404),
        ("/feed?seconds=901", 400),
        ("/feed?after=x", 400),
        ("/feed?aftr=1", 400),
    ] {
        assert_eq!(world.clients.watch(path, &[]).await.err(), Some(status), "{path}");
    }
    let answer = world.get("/feed").await;
    assert_eq!((answer.status, answer.code().as_str()), (426, "websocket_required"));
    for message in ["what?", r#"{"type":"watch","pool":"x","seconds":9}"#, r#"{"type":"watch"}"#] {
        let mut reader = world.clients.watch("/feed", &[]).await.unwrap();
        reader.say(message).await;
        let end = loop {
            if let Err(end) = reader.next().await {
                break end;
            }
        };
        assert_eq!(end.0, 1008, "{message}: {}", end.1);
    }
}

#[tokio::test]
async fn when_the_sidecar_ends_readers_are_told() {
    let world = World::new().await;
    let mut reader = world.clients.watch("/feed", &[]).await.unwrap();
    next(&mut reader, "snapshot").await;
    world.stop.send(true).unwrap();
    let end = loop {
        if let Err(end) = reader.next().await {
            break end;
        }
    };
    assert_eq!(end.0, 1001, "{}", end.1);
}
