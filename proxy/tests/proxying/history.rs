//! What is known of the past outlives the process, however it ends.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{
    client::until,
    proxy::{Proxy, folder},
    setup::{Setup, backend},
};

/// A folder for a history, which goes when it goes.
struct Kept(PathBuf);

impl Kept {
    fn new() -> Self {
        Self(folder())
    }

    fn file(&self) -> PathBuf {
        self.0.join("history.redb")
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

fn keeping(setup: Setup, file: &Path) -> Setup {
    setup.with("history.file", file.to_str().unwrap())
}

/// Returns the sum of a column over the last quarter of an hour; what is not known is nothing.
async fn sum(proxy: &Proxy, column: &str) -> u64 {
    let series = proxy.sidecar("/series?seconds=900").await;
    let column = series.pointer(column).and_then(Value::as_array).unwrap();
    column.iter().filter_map(Value::as_u64).sum()
}

/// Waits until that many requests are in the series: a second's are when it is over.
async fn has_sum(proxy: &Proxy, expected: u64) {
    until(async || match sum(proxy, "/requests").await {
        found if found == expected => Ok(()),
        found => Err(format!("{found}, not {expected}")),
    })
    .await;
}

/// Returns how many of its listener's requests this process has answered.
async fn answered(proxy: &Proxy) -> u64 {
    let text = crate::client::try_ask(proxy.admin, "GET", "/metrics", &[], "").await.unwrap().body;
    let text = String::from_utf8(text.to_vec()).unwrap();
    let counts = text.lines().filter(|it| {
        it.starts_with("bascule_requests_total{") && it.contains("listener=\"public\"")
    });
    counts.map(|it| it.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

async fn ask(proxy: &Proxy, times: usize) {
    for _ in 0..times {
        assert_eq!(proxy.get("/api/data").await.status, 200);
    }
}

/// Waits until everything that has come about by now is in the file.
async fn written(proxy: &Proxy) {
    const WRITES: &str = "bascule_history_writes_total";
    let before = proxy.metric(WRITES).await;
    // One may be under way already. Each takes ten seconds to come.
    for more in [1.0, 2.0] {
        until(async || match proxy.metric(WRITES).await {
            found if before + more <= found => Ok(()),
            found => Err(format!("{found} after {before}")),
        })
        .await;
    }
}

#[tokio::test]
async fn a_killed_process_leaves_what_it_knew() {
    let (mut primary, secondary) = (backend("primary"), backend("secondary"));
    let kept = Kept::new();
    let proxy = keeping(Setup::tiers(&[&primary, &secondary]), &kept.file()).start().await;
    ask(&proxy, 30).await;
    has_sum(&proxy, 30).await;
    primary.kill().await;
    let lost = proxy.incident_until(1, |it| it["backend"] == "primary").await;
    let before = proxy.sidecar("/incidents/api-1").await;
    written(&proxy).await;
    // Killed, without a moment to say goodbye.
    drop(proxy);
    let proxy = keeping(Setup::tiers(&[&primary, &secondary]), &kept.file()).start().await;
    assert_eq!(proxy.metric("bascule_history_stored").await, 1.0);
    assert_eq!(proxy.metric("bascule_history_failures_total").await, 0.0);
    let after = proxy.sidecar("/incidents/api-1").await;
    assert_eq!(after["moments"]["decided_at"], lost["moments"]["decided_at"]);
    // Its backend never came back: the story ended with the process.
    assert_eq!((&after["state"], &after["interrupted"]), (&"closed".into(), &true.into()));
    let evidence = |it: &Value| it["evidence"].as_array().unwrap().clone();
    assert!(evidence(&after).starts_with(&evidence(&before)), "{after}");
    assert_eq!(sum(&proxy, "/requests").await, 30);
    assert_eq!(sum(&proxy, "/backends/primary").await, 30);
    ask(&proxy, 5).await;
    has_sum(&proxy, 35).await;
    // The next one has a number of its own.
    primary = primary.restart().await.unwrap();
    proxy.pool_until(|it| it["active_backend"] == "primary").await;
    primary.kill().await;
    let list = until(async || match proxy.incidents().await {
        list if list.len() == 2 => Ok(list),
        list => Err(format!("{list:?}")),
    })
    .await;
    assert_eq!((&list[0]["id"], &list[1]["id"]), (&"api-1".into(), &"api-2".into()));
}

#[tokio::test]
async fn a_process_that_takes_over_gets_the_history_too() {
    let primary = backend("primary");
    let kept = Kept::new();
    let proxy = keeping(Setup::tiers(&[&primary]), &kept.file()).start().await;
    ask(&proxy, 20).await;
    let before = proxy.sidecar("/process").await["pid"].clone();
    let answer = crate::client::try_ask(proxy.admin, "POST", "/upgrade", &[], "").await.unwrap();
    assert_eq!(answer.status, 200);
    until(async || match proxy.sidecar("/process").await {
        it if it["pid"] != before => Ok(()),
        it => Err(it.to_string()),
    })
    .await;
    ask(&proxy, 7).await;
    proxy.metric_until("bascule_history_stored", 1.0).await;
    // The old process may have answered some of them after it gave the file up.
    until(async || match (sum(&proxy, "/requests").await, answered(&proxy).await) {
        (sum, answered) if sum == 20 + answered && answered != 0 => Ok(()),
        found => Err(format!("{found:?}")),
    })
    .await;
    assert_eq!(proxy.metric("bascule_history_failures_total").await, 0.0);
}

#[tokio::test]
async fn incidents_are_numbered_on_from_a_file_that_is_had_late() {
    let (mut primary, secondary) = (backend("primary"), backend("secondary"));
    let kept = Kept::new();
    let one = keeping(Setup::tiers(&[&primary, &secondary]), &kept.file()).start().await;
    primary.kill().await;
    one.incident_until(1, |it| it["backend"] == "primary").await;
    written(&one).await;
    primary = primary.restart().await.unwrap();
    let other = keeping(Setup::tiers(&[&primary, &secondary]), &kept.file()).start().await;
    assert_eq!(other.metric("bascule_history_stored").await, 0.0, "the first one has it");
    drop(one);
    other.metric_until("bascule_history_stored", 1.0).await;
    // Said a moment later to who gives numbers.
    until(async || match other.incidents().await {
        list if list.len() == 1 => Ok(()),
        list => Err(format!("{list:?}")),
    })
    .await;
    written(&other).await;
    primary.kill().await;
    other.incident_until(2, |it| it["backend"] == "primary").await;
    assert_eq!(other.metric("bascule_history_dropped_total").await, 0.0);
}

#[tokio::test]
async fn a_file_that_cannot_be_had_stops_nobody() {
    let primary = backend("primary");
    let kept = Kept::new();
    let one = keeping(Setup::tiers(&[&primary]), &kept.file()).start().await;
    // Another process has it; a folder is in its place; its folder is not there.
    std::fs::create_dir(kept.0.join("folder")).unwrap();
    for file in [kept.file(), kept.0.join("folder"), kept.0.join("none/history.redb")] {
        let other = keeping(Setup::tiers(&[&primary]), &file).start().await;
        ask(&other, 9).await;
        has_sum(&other, 9).await;
        assert_eq!(other.metric("bascule_history_stored").await, 0.0, "{}", file.display());
    }
    assert_eq!(one.metric("bascule_history_stored").await, 1.0);
    // A damaged one makes room for another.
    drop(one);
    std::fs::write(kept.file(), "scribble").unwrap();
    let other = keeping(Setup::tiers(&[&primary]), &kept.file()).start().await;
    other.metric_until("bascule_history_stored", 1.0).await;
    other.log_until("has been put aside").await;
}
