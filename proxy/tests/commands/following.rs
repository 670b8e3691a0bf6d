//! Commands that go on: the log, and `--watch`, through restarts.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
    time::timeout,
};

use crate::fake::{Fake, PATIENCE, failed_over, health, incident, program};

fn hello(recent: u64, oldest: u64, newest: u64, started_at: &str) -> Value {
    json!({
        "type": "hello", "schema": 1, "recent": recent, "oldest": oldest, "newest": newest,
        "started_at": started_at,
    })
}

fn lines(seqs: impl IntoIterator<Item = u64>) -> Value {
    let line = |seq: u64| {
        json!({
            "seq": seq, "at": "2026-11-23T10:03:13.012Z", "level": "info", "target": "fleet",
            "message": format!("line {seq}"),
            "fields": { "backend": if seq.is_multiple_of(2) { "even" } else { "odd" } },
        })
    };
    json!({ "type": "lines", "lines": seqs.into_iter().map(line).collect::<Vec<_>>() })
}

/// The program while it goes on.
struct Following {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
}

impl Following {
    fn start(fake: &Fake, arguments: &[&str]) -> Self {
        let mut command = program(arguments);
        command.env("BASCULE_ADMIN", fake.url()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, out }
    }

    async fn line(&mut self) -> String {
        timeout(PATIENCE, self.out.next_line()).await.expect("silence").unwrap().expect("the end")
    }

    /// Ends it, and returns what it said on standard error.
    async fn said(mut self) -> String {
        self.child.start_kill().unwrap();
        let output = timeout(PATIENCE, self.child.wait_with_output()).await.unwrap().unwrap();
        String::from_utf8(output.stderr).unwrap()
    }
}

#[tokio::test]
async fn logs_shows_the_last_of_the_recent_lines_and_ends() {
    let fake = Fake::start().await;
    fake.logs(vec![hello(4, 1, 4, "x"), lines([1, 2]), lines([3, 4])]);
    let ran =
        fake.run(&["logs", "-n", "2", "--level", "warn", "--pool", "api", "--grep", "a b"]).await;
    assert_eq!((ran.code, ran.error.as_str()), (Some(0), ""));
    let expected = "10:03:13.012 INFO  fleet: line 3 backend=odd\n\
                    10:03:13.012 INFO  fleet: line 4 backend=even\n";
    assert_eq!(ran.out, expected);
    assert_eq!(fake.asked()[0].what, "GET /logs?level=warn&pool=api&text=a%20b");
    fake.logs(vec![hello(4, 1, 4, "x"), lines([1, 2, 3, 4])]);
    let ran = fake.run(&["logs", "--backend", "even", "--format", "json"]).await;
    let seqs: Vec<Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].clone())
        .collect();
    assert_eq!(seqs, [2, 4]);
    fake.logs(vec![hello(0, 0, 0, "x")]);
    let ran = fake.run(&["logs"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn logs_follows_through_a_lost_connection_and_a_restart() {
    let fake = Fake::start().await;
    fake.logs(vec![
        hello(1, 5, 5, "x"),
        lines([5]),
        lines([6]),
        json!({ "type": "dropped", "count": 3 }),
    ]);
    // The connection is lost; ten lines later, the ring begins at 14.
    fake.logs(vec![hello(2, 14, 15, "x"), lines([14, 15])]);
    // Some lines are seen twice, and are shown once.
    fake.logs(vec![hello(3, 14, 16, "x"), lines([14, 15, 16])]);
    // Another process begins anew.
    fake.logs(vec![hello(1, 1, 1, "y"), lines([1])]);
    let mut logs = Following::start(&fake, &["logs", "-f"]);
    for seq in [5, 6, 14, 15, 16, 1] {
        let line = logs.line().await;
        assert!(line.contains(&format!("fleet: line {seq} ")), "{line}");
    }
    let said = logs.said().await;
    for part in
        ["-- 3 lines missed", "connecting again", "-- up to 7 lines missed", "was restarted at y"]
    {
        assert_eq!(said.matches(part).count().min(1), 1, "{part}: {said}");
    }
    assert_eq!(said.matches("missed").count(), 2, "{said}");
}

#[tokio::test]
async fn watching_adds_a_line_for_each_change() {
    let fake = Fake::start().await;
    let mut web_only = health();
    web_only["pools"].as_array_mut().unwrap().truncate(1);
    fake.answers("GET /incidents", 200, json!({ "incidents": [incident()] }));
    let mut watching = Following::start(&fake, &["status", "--watch", "--interval", "100ms"]);
    let first: Vec<String> =
        [watching.line().await, watching.line().await, watching.line().await].into();
    assert!(first[0].ends_with("bascule 0.1.0, started at 2026-11-23T07:51:27.000Z"), "{first:?}");
    assert!(first[1].contains("pool api: serving. Serving from a since 10:03:13Z."), "{first:?}");
    fake.answers("GET /proxy/health", 200, failed_over());
    let line = watching.line().await;
    assert!(line.contains("pool api: failed over. Serving from b since"), "{line}");
    assert!(line.ends_with("Incident api-1."), "{line}");
    fake.answers("GET /proxy/health", 502, Value::Null);
    let line = watching.line().await;
    assert!(line.contains("not connected: "), "{line}");
    fake.answers("GET /proxy/health", 200, health());
    let line = watching.line().await;
    assert!(line.contains("bascule 0.1.0, started at"), "{line}");
    assert_eq!(watching.said().await, "");
}

#[tokio::test]
async fn an_incident_is_followed_until_it_is_closed() {
    let fake = Fake::start().await;
    let mut closed = incident();
    closed["state"] = "closed".into();
    closed["moments"]["failed_back_at"] = "2026-11-23T10:04:13.000Z".into();
    fake.answers_in_turn("GET /incidents/api-1", [(200, incident()), (200, closed)]);
    let ran = fake.run(&["incidents", "api-1", "--follow"]).await;
    assert_eq!((ran.code, ran.error.as_str()), (Some(0), ""));
    assert_eq!(ran.out.matches("What clients paid").count(), 1, "{}", ran.out);
    assert!(ran.out.contains("incident api-1: closed"), "{}", ran.out);
}
