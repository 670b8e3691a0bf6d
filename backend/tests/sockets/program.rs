//! The program itself: command line, signals, exit status.

use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::client::{get, primary, soon};

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bascule-backend"));
    command.args(args).kill_on_drop(true).stdin(Stdio::null()).env_remove("RUST_LOG");
    command
}

async fn output(args: &[&str]) -> Output {
    soon(program(args).output()).await.unwrap()
}

/// A serving child and the URL it serves at.
async fn serving(options: &[&str]) -> (Child, String) {
    let mut command = program(&["serve", "--listen", "127.0.0.1:0"]);
    command.args(options);
    let mut child = command.env("BACKEND_NAME", "child").stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = soon(lines.next_line()).await.unwrap().unwrap();
    let addr = line.split("127.0.0.1:").nth(1).unwrap();
    let port: String = addr.chars().take_while(char::is_ascii_digit).collect();
    // The log must find a reader for as long as the child writes to it.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, format!("http://127.0.0.1:{port}"))
}

#[tokio::test]
async fn fail_exits_with_status_1() {
    let (mut child, url) = serving(&[]).await;
    let fail = format!("{url}/fail");
    let load = ["load", &fail, "--rate", "1", "--duration", "1ms", "--method", "POST"];
    let summary: Value = serde_json::from_slice(&output(&load).await.stdout).unwrap();
    assert_eq!((&summary["ok"], &summary["answered_by"]["child"]), (&1.into(), &1.into()));
    assert_eq!(soon(child.wait()).await.unwrap().code(), Some(1));
}

#[tokio::test]
async fn sigterm_and_sigint_exit_with_status_0() {
    for signal in ["-TERM", "-INT"] {
        let (mut child, url) = serving(&[]).await;
        let health = format!("{url}/health");
        assert_eq!(output(&["health", &health]).await.status.code(), Some(0));
        let pid = child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().await.unwrap().success());
        assert_eq!(soon(child.wait()).await.unwrap().code(), Some(0), "{signal}");
        assert_eq!(output(&["health", &health]).await.status.code(), Some(1));
    }
}

#[tokio::test]
async fn a_port_in_use_is_explained() {
    let running = primary();
    let addr = running.addr().to_string();
    let refused = output(&["serve", "--listen", &addr]).await;
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(text.contains(&format!("cannot listen on {addr}: the port is in use; stop")), "{text}");
}

#[tokio::test]
async fn load_until_a_signal_prints_one_line_of_json() {
    let running = primary();
    let url = running.url("/api/data");
    let mut command = program(&["load", &url, "--rate", "200"]);
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    soon(running.received_at_least(20)).await;
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    let output = soon(child.wait_with_output()).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let summary: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((output.status.code(), text.lines().count()), (Some(0), 1));
    assert_eq!((&summary["failed"], summary["ok"].as_u64()), (&0.into(), Some(running.total())));
}

#[tokio::test]
async fn a_ledger_outlives_the_process_that_wrote_it() {
    let folder = std::env::temp_dir().join(format!("bascule-ledger-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (ledger, records) = (folder.join("ledger"), folder.join("records"));
    let (ledger_path, records_path) = (ledger.to_str().unwrap(), records.to_str().unwrap());
    for _ in 0..2 {
        let (mut child, url) = serving(&["--ledger", ledger_path]).await;
        let url = format!("{url}/blob?size=3000");
        let expected = ["--method", "POST", "--expect-blob", "3000", "--idempotency-key"];
        let mut load =
            vec!["load", &url, "--rate", "100", "--duration", "50ms", "--records", records_path];
        load.extend(expected);
        let summary: Value = serde_json::from_slice(&output(&load).await.stdout).unwrap();
        assert_eq!(summary["ok"], 5, "{summary}");
        child.kill().await.unwrap();
    }
    let written = std::fs::read_to_string(&ledger).unwrap();
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!(lines.len(), 10, "{written}");
    let recorded = std::fs::read_to_string(&records).unwrap();
    for line in recorded.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&record["fate"], &record["status"]), (&"ok".into(), &200.into()));
        let id = record["id"].as_str().unwrap();
        assert!(lines[5..].contains(&format!("POST {id}").as_str()), "{line}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn usage_errors_exit_with_status_2_or_say_what_is_wrong() {
    for args in [
        vec!["load", "http://127.0.0.1:1/", "--rate", "x"],
        vec!["load", "http://127.0.0.1:1/", "--rate", "1", "--duration", "30"],
        vec!["serve", "--listen", "nonsense"],
        vec!["health"],
    ] {
        assert_eq!(output(&args).await.status.code(), Some(2), "{args:?}");
    }
    for args in [vec!["load", "https://x/", "--rate", "1"], vec!["health", "x"]] {
        let refused = output(&args).await;
        let text = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{args:?}");
        assert!(text.contains("is no http:// URL; give one such as http://127.0.0.1:"), "{text}");
    }
}

#[tokio::test]
async fn health_says_why_it_does_not_pass() {
    let running = primary();
    let url = running.url("/status/503");
    let failed = output(&["health", &url]).await;
    let text = String::from_utf8(failed.stderr).unwrap();
    assert!(text.contains(&format!("{url} answered 503 Service Unavailable;")), "{text}");
    assert_eq!(get(&running, "/health").await.status.as_u16(), 200);
}
