//! The access log as operators read it, and what becomes of it when its file is moved.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::{Value, json};

use crate::{
    client::until,
    load::{assert_counts_agree, assert_none_failed, load, served},
    proxy::{Proxy, folder},
    setup::{Setup, backend},
    stub::Refusing,
};

/// A file for a log, in a folder of its own.
struct Log(PathBuf);

impl Log {
    fn new() -> Self {
        Self(folder().join("access.log"))
    }

    fn setup(&self, setup: Setup) -> Setup {
        let file = self.0.to_str().unwrap();
        setup.with("logging.access", json!({ "file": file, "sample": "100%" }))
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.0).unwrap_or_default()
    }

    fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|it| serde_json::from_str(it).unwrap()).collect()
    }

    /// Waits for that many lines.
    async fn until(&self, count: usize) -> Vec<Value> {
        until(async || {
            let text = self.text();
            let lines = text.lines().count();
            if count <= lines && text.ends_with('\n') { Ok(()) } else { Err(format!("{lines}")) }
        })
        .await;
        self.lines()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(self.0.parent().unwrap());
    }
}

#[tokio::test]
async fn a_request_has_a_line_with_what_became_of_it_and_no_secret() {
    let (primary, log) = (backend("primary"), Log::new());
    let proxy = log
        .setup(Setup::tiers(&[&primary]))
        .with("logging.access.request_headers", json!(["Authorization", "X-Tenant"]))
        .start()
        .await;
    let headers = [
        ("authorization", "Bearer hidden"),
        ("x-tenant", "acme"),
        ("user-agent", "a \"b\""),
        ("x-request-id", "id-1"),
    ];
    let answer = proxy.ask("GET", "/echo?token=hidden&a=b", &headers, "").await;
    assert_eq!(answer.status, 200);
    let lines = log.until(1).await;
    let line = &lines[0];
    assert!(!log.text().contains("hidden"), "{line}");
    let check = |name: &str, value: Value| assert_eq!(line[name], value, "{name} of {line:#}");
    check("method", "GET".into());
    check("path", "/echo".into());
    check("query", "token=[redacted]&a=b".into());
    check("status", 200.into());
    check("client", "127.0.0.1".into());
    check("host", proxy.public.to_string().into());
    check("protocol", "HTTP/1.1".into());
    check("bytes_in", 0.into());
    check("bytes_out", answer.body.len().into());
    check("route", "rest".into());
    check("pool", "api".into());
    check("backend", "primary".into());
    check("fate", "served".into());
    check("request_id", "id-1".into());
    check("user_agent", "a \"b\"".into());
    check("request_header.authorization", "[redacted]".into());
    check("request_header.x-tenant", "acme".into());
    let duration = line["duration"].as_f64().unwrap();
    assert!(line["first_byte"].as_f64().unwrap() <= duration, "{line:#}");
    let attempts = line["attempt_details"].as_array().unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!(
        (&attempts[0]["outcome"], &attempts[0]["status"]),
        (&json!("answered"), &json!(200))
    );
    proxy.metric_until("bascule_access_log_lines_total", 1.0).await;
    assert_eq!(proxy.metric("bascule_access_log_dropped_total").await, 0.0);
}

#[tokio::test]
async fn without_chance_only_what_matters_has_a_line() {
    let (refusing, secondary, log) = (Refusing::new(), backend("secondary"), Log::new());
    let addresses = [("primary", refusing.addr()), ("secondary", secondary.addr())];
    let proxy = log
        .setup(Setup::addresses(&addresses))
        .with("logging.access.sample", "0%")
        .with("pools.api.health_check.interval", "60s")
        .with("pools.api.health_check.fast_interval", "60s")
        .start()
        .await;
    drop(refusing);
    for _ in 0..5 {
        assert_eq!(proxy.get("/api/data").await.status, 200);
    }
    assert_eq!(proxy.ask("GET", "/status/503", &[], "").await.status, 503);
    let lines = until(async || {
        let lines = log.lines();
        let is_told = lines.iter().any(|it| it["path"] == "/status/503");
        if is_told { Ok(lines) } else { Err(format!("{lines:?}")) }
    })
    .await;
    for line in &lines {
        let is_retried = 1 < line["attempt_details"].as_array().unwrap().len();
        let is_touched = line["incident_id"].is_string();
        assert!(is_retried || is_touched || line["status"] == 503, "{line:#}");
    }
}

#[tokio::test]
async fn a_failover_has_the_ids_of_its_incident_in_as_many_lines_as_it_counts() {
    let (mut primary, secondary, log) = (backend("primary"), backend("secondary"), Log::new());
    let proxy = log.setup(Setup::tiers(&[&primary, &secondary])).start().await;
    // So that somebody is there at any moment.
    let load = load(&proxy, "/delay/50");
    served(&load, 100).await;
    primary.kill().await;
    let incident = proxy.incident_until(1, |it| it["window"]["to"].is_string()).await;
    served(&load, 50).await;
    let report = load.stop().await;
    assert_none_failed(&report);
    assert_counts_agree(&incident, &report);
    let lines = log.until(report.records.len()).await;
    let retried = lines.iter().filter(|it| it["fate"] == "rescued").collect::<Vec<_>>();
    assert!(!retried.is_empty(), "somebody was at the backend when it died");
    for line in retried {
        assert_eq!(line["incident_id"], incident["id"], "{line:#}");
        assert_eq!(line["backend"], "secondary", "{line:#}");
        let attempts = line["attempt_details"].as_array().unwrap();
        assert_eq!(attempts[0]["backend"], "primary", "{line:#}");
    }
}

#[tokio::test]
async fn rotation_under_load_loses_no_line_and_tears_none() {
    let (primary, log) = (backend("primary"), Log::new());
    let proxy = log.setup(Setup::tiers(&[&primary])).start().await;
    let load = load(&proxy, "/api/data");
    let mut moved = Vec::new();
    for round in 0..4 {
        served(&load, 40).await;
        let old = log.0.with_extension(format!("log.{round}"));
        until(async || fs::rename(&log.0, &old).map_err(|error| error.to_string())).await;
        proxy.signal("-USR1").await;
        moved.push(old);
    }
    served(&load, 40).await;
    let report = load.stop().await;
    assert_none_failed(&report);
    let all = until(async || {
        let files = moved.iter().chain([&log.0]);
        let all: String = files.map(|it| fs::read_to_string(it).unwrap_or_default()).collect();
        let count = all.lines().count();
        if count == report.records.len() { Ok(all) } else { Err(format!("{count}")) }
    })
    .await;
    let ids: BTreeSet<String> = all
        .lines()
        .map(|it| {
            serde_json::from_str::<Value>(it).unwrap()["request_id"].as_str().unwrap().to_owned()
        })
        .collect();
    let sent: BTreeSet<String> = report.records.iter().map(|it| it.id.clone()).collect();
    assert_eq!(ids, sent);
    assert!(moved.iter().all(|it| !fs::read_to_string(it).unwrap().is_empty()));
}

#[tokio::test]
async fn a_log_that_cannot_be_written_delays_nobody_and_is_counted() {
    let primary = backend("primary");
    let folder = folder();
    let pipe = folder.join("pipe");
    let made = tokio::process::Command::new("mkfifo").arg(&pipe).status().await.unwrap();
    assert!(made.success());
    // Somebody who has opened it and reads nothing: beyond 64 KiB, writing blocks.
    let _reader = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let proxy = Setup::tiers(&[&primary])
        .with("logging.access", json!({ "file": pipe.to_str().unwrap() }))
        .start()
        .await;
    // More than the pipe, the thread that writes and its queue can hold.
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut client = proxy.connect().await;
        clients.spawn(async move {
            for _ in 0..1_500 {
                client.get("/api/data", "").await;
                assert_eq!(client.status().await, "200");
            }
        });
    }
    clients.join_all().await;
    let dropped = proxy.metric("bascule_access_log_dropped_total").await;
    assert!(0.0 < dropped, "{dropped}");
    fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_file_that_cannot_be_made_is_said_at_the_start() {
    let primary = backend("primary");
    let setup = Setup::tiers(&[&primary])
        .with("logging.access", json!({ "file": "/nowhere/at/all/access.log" }));
    let said = Proxy::refusal(setup).await;
    assert!(said.contains("/nowhere/at/all/access.log cannot be written"), "{said}");
}

#[tokio::test]
async fn the_log_itself_goes_to_a_file_and_is_rotated_too() {
    let primary = backend("primary");
    // Relative to the configuration.
    let proxy = Setup::tiers(&[&primary]).with("logging.file", "bascule.log").start().await;
    let (file, old) = (proxy.file("bascule.log"), proxy.file("old.log"));
    assert!(fs::read_to_string(&file).unwrap().contains("accepting"));
    fs::rename(&file, &old).unwrap();
    proxy.signal("-USR1").await;
    until(async || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        if text.contains("log files are opened again") { Ok(()) } else { Err(text) }
    })
    .await;
    assert!(!fs::read_to_string(&old).unwrap().contains("opened again"));
}

#[tokio::test]
async fn an_id_is_kept_of_trusted_proxies_only_by_default() {
    let primary = backend("primary");
    for (trusted, is_kept) in [(json!([]), false), (json!(["127.0.0.0/8"]), true)] {
        let proxy = Setup::tiers(&[&primary])
            .with("logging.request_id", "trusted_proxies")
            .with("listeners.public.trusted_proxies", trusted)
            .start()
            .await;
        let answer = proxy.ask("GET", "/echo", &[("x-request-id", "mine")], "").await;
        let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(id == "mine", is_kept, "{id}");
        assert!(is_kept || id.len() == 32, "{id}");
        let seen = answer.json()["headers"].to_string();
        assert!(seen.contains(&id), "the backend gets the same: {seen}");
    }
}
