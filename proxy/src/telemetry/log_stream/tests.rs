use std::num::NonZeroUsize;

use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::model::Level;

fn stream(buffer: usize, clients: usize) -> LogStream {
    LogStream::new(LogStreamLimits {
        buffer: NonZeroUsize::new(buffer).unwrap(),
        clients: NonZeroUsize::new(clients).unwrap(),
    })
}

/// Runs `log` with `stream` as the thread's only subscriber.
fn logging(stream: &LogStream, log: impl FnOnce()) {
    let subscriber = tracing_subscriber::registry().with(stream.clone());
    tracing::subscriber::with_default(subscriber, log);
}

fn seqs(lines: &[Arc<Line>]) -> Vec<u64> {
    lines.iter().map(|line| line.seq()).collect()
}

#[test]
fn a_line_has_number_time_level_word_message_and_fields() {
    let stream = stream(10, 1);
    logging(&stream, || {
        let error = std::io::Error::other("no luck");
        tracing::warn!(
            target: "bascule::fleet::tiers",
            pool = "api",
            tier = 1_u64,
            drift = -2_i64,
            ratio = 0.5,
            requested = true,
            backend = %"primary",
            reason = ?Some(3),
            error = &error as &dyn std::error::Error,
            "pool failed over"
        );
    });
    let lines = stream.subscribe().unwrap().take_recent();
    let line: Value = serde_json::from_str(lines[0].json()).unwrap();
    let at = line["at"].as_str().unwrap();
    assert!(at.ends_with('Z') && at.len() == "2026-11-23T06:20:00.123Z".len(), "{at}");
    let expected = json!({
        "seq": 1, "at": at, "level": "warn", "target": "fleet", "message": "pool failed over",
        "fields": {
            "pool": "api", "tier": 1, "drift": -2, "ratio": 0.5, "requested": true,
            "backend": "primary", "reason": "Some(3)", "error": "no luck",
        },
    });
    assert_eq!(line, expected);
}

#[test]
fn only_the_latest_lines_are_kept() {
    let stream = stream(3, 1);
    logging(&stream, || (0..10).for_each(|at| tracing::info!(at, "line")));
    assert_eq!(seqs(&stream.subscribe().unwrap().take_recent()), [8, 9, 10]);
}

#[tokio::test]
async fn a_reader_gets_each_line_once_recent_or_new() {
    let stream = stream(100, 1);
    let mut found = Vec::new();
    let writer = {
        let stream = stream.clone();
        std::thread::spawn(move || logging(&stream, || (0..90).for_each(|_| tracing::info!("x"))))
    };
    let mut subscription = stream.subscribe().unwrap();
    found.extend(seqs(&subscription.take_recent()));
    writer.join().unwrap();
    while found.len() < 90 {
        match subscription.next().await {
            Some(Received::Line(line)) => found.push(line.seq()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(found, (1..=90).collect::<Vec<_>>());
    assert!(subscription.take_recent().is_empty());
}

#[tokio::test]
async fn a_reader_that_falls_behind_learns_how_many_lines_it_missed() {
    let stream = stream(8, 1);
    let mut subscription = stream.subscribe().unwrap();
    logging(&stream, || (0..20).for_each(|_| tracing::info!("x")));
    let Some(Received::Dropped(missed)) = subscription.next().await else { panic!("not told") };
    let Some(Received::Line(line)) = subscription.next().await else { panic!("no line") };
    assert_eq!(line.seq(), missed + 1);
    assert_eq!(stream.dropped(), missed);
    assert!(12 <= missed, "{missed}");
}

#[test]
fn readers_are_limited_and_leave_their_place() {
    let stream = stream(8, 2);
    let first = stream.subscribe().unwrap();
    let second = stream.subscribe().unwrap();
    assert!(stream.subscribe().is_none());
    assert_eq!(stream.clients(), 2);
    drop(first);
    assert!(stream.subscribe().is_some());
    drop(second);
    assert_eq!(stream.clients(), 0);
}

#[test]
fn ten_thousand_lines_are_cheap_when_nobody_listens() {
    let stream = stream(1_000, 1);
    let before = clock::now();
    logging(&stream, || {
        (0..10_000_u64).for_each(|at| tracing::info!(pool = "api", at, "backend ejected"));
    });
    let took = clock::now().since(before);
    // A tenth of one core would be 100 ms of each second; the bound leaves room for a busy machine
    // and an unoptimised build.
    assert!(took < std::time::Duration::from_secs(1), "{took:?}");
    assert_eq!(seqs(&stream.subscribe().unwrap().take_recent()).len(), 1_000);
}

#[test]
fn a_filter_asks_for_level_text_and_pool() {
    let stream = stream(10, 1);
    logging(&stream, || {
        tracing::error!(pool = "api", "Backend LOST");
        tracing::info!(pool = "web", detail = "Backend back", "fine");
        tracing::debug!(target: "bascule::control", count = 17, "checked");
    });
    let lines = stream.subscribe().unwrap().take_recent();
    let check = |level, text: Option<&str>, pool: Option<&str>, expected: &[u64]| {
        let filter = Filter::new(level, text, pool);
        let wanted: Vec<_> = lines.iter().filter(|line| filter.matches(line)).cloned().collect();
        assert_eq!(seqs(&wanted), expected, "{filter:?}");
    };
    check(Level::Debug, None, None, &[1, 2, 3]);
    check(Level::Info, None, None, &[1, 2]);
    check(Level::Error, None, None, &[1]);
    check(Level::Debug, Some("bACKEND"), None, &[1, 2]);
    check(Level::Debug, Some("17"), None, &[3]);
    check(Level::Debug, Some("control"), None, &[3]);
    check(Level::Debug, Some(""), None, &[1, 2, 3]);
    check(Level::Debug, None, Some("web"), &[2]);
    check(Level::Debug, Some("lost"), Some("web"), &[]);
    check(Level::Debug, None, Some("we"), &[]);
}
