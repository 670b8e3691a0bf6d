//! The live log over a WebSocket, with readers of every kind.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::world::{Reader, Wish, World, until};

async fn hello(reader: &mut Reader) -> u64 {
    let frame = reader.next().await.unwrap();
    assert_eq!((&frame["type"], &frame["schema"]), (&json!("hello"), &json!(1)));
    frame["recent"].as_u64().unwrap()
}

#[tokio::test]
async fn recent_lines_come_first_then_new_ones() {
    let world = World::new().await;
    for number in 0..250 {
        tracing::info!(pool = "api", number, "recent");
    }
    let mut reader = world.clients.watch("/logs", &[]).await.unwrap();
    assert_eq!(hello(&mut reader).await, 250);
    let mut sizes = Vec::new();
    for _ in 0..3 {
        sizes.push(reader.messages().await.len());
    }
    assert_eq!(sizes, [100, 100, 50]);
    tracing::warn!(pool = "api", backend = "primary", "new");
    let frame = reader.next().await.unwrap();
    let line = &frame["lines"][0];
    assert_eq!(line["seq"], 251);
    assert_eq!(line["level"], "warn");
    assert_eq!(line["message"], "new");
    assert_eq!(line["fields"], json!({"pool": "api", "backend": "primary"}));
}

#[tokio::test]
async fn the_server_filters_and_the_client_may_change_its_mind() {
    let world = World::new().await;
    tracing::error!(pool = "api", "lost");
    tracing::info!(pool = "api", "fine");
    tracing::debug!(pool = "api", "detail");
    let mut reader = world.clients.watch("/logs?level=error", &[]).await.unwrap();
    assert_eq!(hello(&mut reader).await, 1);
    assert_eq!(reader.messages().await, ["lost"]);
    tracing::info!(pool = "api", "not for you");
    tracing::error!("for you");
    assert_eq!(reader.messages().await, ["for you"]);
    reader.say(r#"{"type":"filter","level":"debug","text":"ABC","pool":"api"}"#).await;
    // The filter is in force once a line that only it lets through arrives.
    let mut seen = Vec::new();
    while seen.is_empty() {
        tracing::debug!(pool = "api", "xabcx");
        let next = timeout(Duration::from_millis(20), reader.messages()).await;
        seen.extend(next.into_iter().flatten());
    }
    tracing::error!("abc without a pool");
    tracing::error!(pool = "api", "without the text");
    tracing::info!(pool = "api", detail = "aBc", "last");
    while seen.last().map(String::as_str) != Some("last") {
        seen.extend(reader.messages().await);
    }
    assert!(seen.iter().all(|it| it == "xabcx" || it == "last"), "{seen:?}");
}

#[tokio::test]
async fn a_message_that_is_no_filter_ends_the_connection_with_the_reason() {
    let world = World::new().await;
    for (text, reason) in [
        ("hello", "not a filter"),
        (r#"{"type":"filter","level":"loud"}"#, "`level` is `loud`"),
        (r#"{"type":"filter","pool":"x"}"#, "there is no pool `x`"),
        (r#"{"type":"filter","what":"x"}"#, "not a filter"),
    ] {
        let mut reader = world.clients.watch("/logs", &[]).await.unwrap();
        hello(&mut reader).await;
        reader.say(text).await;
        let mut frame = reader.next().await;
        while frame.is_ok() {
            frame = reader.next().await;
        }
        let (code, found) = frame.unwrap_err();
        assert_eq!(code, 1008, "{text}");
        assert!(found.contains(reason), "{text}: {found}");
    }
    let mut reader = world.clients.watch("/logs", &[]).await.unwrap();
    hello(&mut reader).await;
    reader.say(&"x".repeat(5_000)).await;
    while reader.next().await.is_ok() {}
    until("everybody has left", || world.state.logs.clients() == 0).await;
}

#[tokio::test]
async fn what_is_no_websocket_or_asks_for_nonsense_is_refused_in_json() {
    let world = World::new().await;
    let answer = world.get("/logs").await;
    assert_eq!((answer.status, answer.code().as_str()), (426, "websocket_required"));
    assert_eq!(answer.headers["upgrade"], "websocket");
    for path in ["/logs?level=loud", "/logs?lvl=info", "/logs?text=a&text=b"] {
        assert_eq!(world.clients.watch(path, &[]).await.err(), Some(400), "{path}");
    }
    assert_eq!(world.clients.watch("/logs?pool=x", &[]).await.err(), Some(404));
    assert_eq!(world.state.logs.clients(), 0);
}

#[tokio::test]
async fn readers_are_limited_and_make_room_when_they_leave() {
    let world = World::with(Wish { log_clients: 2, ..Wish::default() }).await;
    let first = world.clients.watch("/logs", &[]).await.unwrap();
    let _second = world.clients.watch("/logs", &[]).await.unwrap();
    assert_eq!(world.clients.watch("/logs", &[]).await.err(), Some(503));
    drop(first);
    until("the first has left", || world.state.logs.clients() == 1).await;
    assert!(world.clients.watch("/logs", &[]).await.is_ok());
}

/// Returns how many lines a frame holds, and how many it says were missed.
fn counts(frame: &Value) -> (u64, u64) {
    match frame["type"].as_str() {
        Some("lines") => (frame["lines"].as_array().unwrap().len() as u64, 0),
        Some("dropped") => (0, frame["count"].as_u64().unwrap()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn ten_thousand_lines_a_second_reach_a_reader_or_are_counted() {
    const LINES: u64 = 10_000;
    let world = World::new().await;
    let mut reader = world.clients.watch("/logs", &[]).await.unwrap();
    hello(&mut reader).await;
    let logging = async {
        for number in 0..LINES {
            tracing::info!(pool = "api", backend = "primary", number, "attempt failed");
            if number % 100 == 99 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };
    let (mut frames, mut lines, mut dropped) = (0, 0, 0);
    let reading = async {
        while lines + dropped < LINES {
            let (more, missed) = counts(&reader.next().await.unwrap());
            assert!(more <= 100, "{more}");
            (frames, lines, dropped) = (frames + 1, lines + more, dropped + missed);
        }
    };
    tokio::join!(logging, reading);
    assert_eq!(lines + dropped, LINES);
    assert!(frames < LINES / 10, "{frames} frames");
}

/// Logs lines of a kilobyte until `is_enough`, and lets others run in between.
async fn log_until(is_enough: impl Fn() -> bool) -> u64 {
    let filling = "x".repeat(1_000);
    let mut logged = 0;
    while !is_enough() {
        for _ in 0..100 {
            tracing::info!(filling, "line");
        }
        logged += 100;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    logged
}

#[tokio::test]
async fn a_slow_reader_learns_how_many_lines_it_missed() {
    let world = World::with(Wish { log_buffer: 100, ..Wish::default() }).await;
    let mut reader = world.clients.watch("/logs", &[]).await.unwrap();
    hello(&mut reader).await;
    // More than the sockets' buffers take, and well within the five seconds after which the
    // reader would be cut.
    let filling = "x".repeat(2_000);
    let logged = 15_000;
    for _ in 0..logged / 100 {
        for _ in 0..100 {
            tracing::info!(filling, "line");
        }
        tokio::task::yield_now().await;
    }
    let (mut lines, mut dropped, mut last) = (0, 0, 0);
    while lines + dropped < logged {
        let frame = reader.next().await.unwrap();
        let (more, missed) = counts(&frame);
        if let Some(line) = frame["lines"].get(0) {
            let seq = line["seq"].as_u64().unwrap();
            assert_eq!(seq, lines + dropped + 1, "nothing is lost without being counted");
            last = seq;
        }
        (lines, dropped) = (lines + more, dropped + missed);
    }
    assert_eq!(lines + dropped, logged);
    assert!(0 < dropped && 0 < last, "{lines} {dropped}");
    assert_eq!(world.state.logs.dropped(), dropped);
}

#[tokio::test]
async fn a_reader_that_never_reads_is_cut() {
    let world = World::with(Wish { log_buffer: 100, ..Wish::default() }).await;
    let mut reader = world.clients.watch("/logs", &[]).await.unwrap();
    hello(&mut reader).await;
    let logs = world.state.logs.clone();
    let logging = log_until(|| logs.clients() == 0);
    timeout(Duration::from_secs(30), logging).await.unwrap();
}

#[tokio::test]
async fn when_the_sidecar_ends_readers_are_told() {
    let world = World::new().await;
    let mut reader = world.clients.watch("/logs", &[]).await.unwrap();
    hello(&mut reader).await;
    world.stop.send(true).unwrap();
    let (code, reason) = loop {
        if let Err(end) = reader.next().await {
            break end;
        }
    };
    assert_eq!((code, reason.as_str()), (1001, "the proxy is ending"));
    timeout(Duration::from_secs(7), world.stopped).await.unwrap().unwrap();
}
