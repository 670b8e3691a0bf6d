//! Commands that change something: what they send, and what they say.

use serde_json::{Value, json};

use crate::fake::{Fake, backend, refusal};

fn answer(backend: Value, is_done: bool) -> Value {
    let persists = json!({ "reload": true, "upgrade": true, "restart": false });
    json!({ "schema": 1, "backend": backend, "is_done": is_done, "persists": persists })
}

fn draining() -> Value {
    let mut draining = backend("b", 1, "up");
    draining["intent"] = "draining".into();
    draining["eligible"] = false.into();
    draining
}

#[tokio::test]
async fn a_backend_is_drained_by_its_name() {
    let fake = Fake::start().await;
    fake.answers("POST /backends/api/b/drain", 200, answer(draining(), true));
    let ran = fake.run(&["backend", "drain", "b", "--wait", "30s"]).await;
    assert_eq!((ran.code, ran.error.as_str()), (Some(0), ""), "{ran:?}");
    let expected = "\
api/b: draining, up, not eligible, weight 100, 3 in flight
kept over a reload and an upgrade, not over a restart
";
    assert_eq!(ran.out, expected);
    let change = ("POST /backends/api/b/drain".to_owned(), json!({ "wait": "30s" }));
    assert_eq!(fake.changes(), [change]);
}

#[tokio::test]
async fn every_term_of_an_order_is_sent() {
    let fake = Fake::start().await;
    let cases: &[(&[&str], &str, Value)] = &[
        (&["undrain", "web/a"], "POST /backends/web/a/undrain", json!({})),
        (&["disable", "w", "--force"], "POST /backends/web/w/disable", json!({ "force": true })),
        (&["enable", "w"], "POST /backends/web/w/enable", json!({})),
        (&["readmit", "b"], "POST /backends/api/b/readmit", json!({})),
        (&["eject", "b", "--for", "5m"], "POST /backends/api/b/eject", json!({ "for": "5m" })),
        (
            &["weight", "b", "50", "--expect", "weight=100", "--expect", "intent=enabled"],
            "POST /backends/api/b/weight",
            json!({ "weight": 50, "expect": { "weight": 100, "intent": "enabled" } }),
        ),
    ];
    for (arguments, path, body) in cases {
        fake.answers(path, 200, answer(backend("b", 1, "up"), true));
        let ran = fake.run(&[&["backend"], *arguments].concat()).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(fake.changes().last(), Some(&((*path).to_owned(), body.clone())));
    }
}

#[tokio::test]
async fn only_what_takes_a_backend_out_can_be_forced() {
    let fake = Fake::start().await;
    for order in [&["undrain", "b"][..], &["enable", "b"], &["readmit", "b"], &["weight", "b", "1"]]
    {
        let ran = fake.run(&[&["backend"], order, &["--force"]].concat()).await;
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.error.contains("--force"), "{ran:?}");
    }
    for (order, path) in [("drain", "drain"), ("disable", "disable"), ("eject", "eject")] {
        let path = format!("POST /backends/api/b/{path}");
        fake.answers(&path, 200, answer(backend("b", 1, "up"), true));
        let ran = fake.run(&["backend", order, "b", "--force"]).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(fake.changes().last(), Some(&(path, json!({ "force": true }))));
    }
}

#[tokio::test]
async fn a_wait_that_ends_before_its_time_is_a_no() {
    let fake = Fake::start().await;
    fake.answers("POST /backends/api/b/drain", 200, answer(draining(), false));
    let ran = fake.run(&["backend", "drain", "b", "--wait", "1s"]).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.error.contains("api/b still has 3 requests in flight after 1s"), "{}", ran.error);
}

#[tokio::test]
async fn a_refusal_names_its_reason_and_the_way_out() {
    let fake = Fake::start().await;
    let last = refusal("last_eligible", "`b` is the last eligible backend of pool `api`", "");
    fake.answers("POST /backends/api/b/drain", 409, last);
    let ran = fake.run(&["backend", "drain", "b"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    let expected = format!(
        "error: refused by {}: `b` is the last eligible backend of pool `api`\n  \
         = help: --force does it all the same\n",
        fake.address
    );
    assert_eq!(ran.error, expected);
    let changed = refusal("changed", "`weight` is 50, not 100", "");
    fake.answers("POST /backends/api/b/drain", 409, changed);
    let ran = fake.run(&["backend", "drain", "b", "--expect", "weight=100"]).await;
    assert!(ran.code == Some(1) && ran.error.contains("--expect"), "{ran:?}");
}

#[tokio::test]
async fn a_name_that_is_not_clear_changes_nothing() {
    let fake = Fake::start().await;
    for (name, error) in [
        ("a", "error: several pools have a backend `a`\n  = help: say which: api/a, web/a\n"),
        ("api/bb", "error: pool `api` has no backend `bb`\n  = help: did you mean `b`?\n"),
        ("apj/a", "error: there is no pool `apj`\n  = help: did you mean `api`?\n"),
        ("zzz", "error: there is no backend `zzz`\n  = help: there are: a, b, a, w\n"),
    ] {
        let ran = fake.run(&["backend", "drain", name]).await;
        assert_eq!((ran.code, ran.error.as_str()), (Some(2), error));
    }
    assert_eq!(fake.changes(), []);
}

#[tokio::test]
async fn a_pool_fails_over_and_back() {
    let fake = Fake::start().await;
    fake.answers("POST /pools/api/failover", 200, json!({ "schema": 1, "is_done": true }));
    let orders = [
        ("b", json!("b")),
        ("1", json!("tier 1")),
        ("tier 1", json!("tier 1")),
        ("tier1", json!("tier 1")),
    ];
    for (to, sent) in orders {
        let ran = fake.run(&["failover", "api", "--to", to, "--expect", "active=a"]).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let body = json!({ "to": sent, "expect": { "active": "a" } });
        assert_eq!(fake.changes().last().unwrap().1, body);
        assert!(ran.out.starts_with("pool api: Serving from a"), "{}", ran.out);
    }
    let ran = fake.run(&["failover"]).await;
    assert_eq!(ran.code, Some(2));
    assert!(ran.error.contains("say which: api, web"), "{}", ran.error);
    fake.answers("POST /pools/web/failback", 200, json!({ "schema": 1, "is_done": false }));
    let ran = fake.run(&["failback", "web", "--wait", "1s"]).await;
    assert!(ran.code == Some(1) && ran.error.contains("has not moved after 1s"), "{ran:?}");
}

#[tokio::test]
async fn faults_are_injected_listed_and_ended() {
    let fake = Fake::start().await;
    let fault = json!({
        "schema": 1, "pool": "api", "backend": "b", "mode": "slow", "scope": "traffic",
        "percent": 30, "delay_min_seconds": 0.1, "delay_max_seconds": 2.0,
        "ends_at": "2026-11-23T10:05:57.000Z", "remaining_seconds": 30.0,
    });
    fake.answers("POST /faults", 202, fault.clone());
    let arguments = [
        "fault",
        "inject",
        "b",
        "--mode",
        "slow",
        "--scope",
        "traffic",
        "--percent",
        "30",
        "--delay",
        "100ms..2s",
        "--for",
        "30s",
    ];
    let ran = fake.run(&arguments).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let expected = "api/b: slow by 100 ms to 2 s for 30 % of traffic until 10:05:57Z; end it with \
                    `bascule fault end api/b`\n";
    assert_eq!(ran.out, expected);
    let body = json!({
        "pool": "api", "backend": "b", "mode": "slow", "for": "30s", "scope": "traffic",
        "percent": 30, "delay": { "min": "100ms", "max": "2s" },
    });
    assert_eq!(fake.changes(), [("POST /faults".to_owned(), body)]);
    fake.answers("GET /faults", 200, json!({ "schema": 1, "faults": [fault] }));
    let ran = fake.run(&["fault", "list"]).await;
    assert!(
        ran.out.contains("api/b    slow by 100 ms to 2 s for 30 % of traffic     30 s"),
        "{}",
        ran.out
    );
    fake.answers("DELETE /faults/api/b", 200, json!({ "recovered": ["b"], "not_recovered": [] }));
    let ran = fake.run(&["fault", "end", "b"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "recovered: b\n"));
}

#[tokio::test]
async fn recovery_says_who_did_not_recover() {
    let fake = Fake::start().await;
    let failed = json!([{ "pool": "api", "backend": "b", "message": "it does not answer" }]);
    let answer = json!({ "recovered": ["a"], "not_recovered": failed });
    fake.answers("POST /proxy/recover", 200, answer);
    let ran = fake.run(&["recover"]).await;
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.out, "recovered: a\nnot recovered: api/b: it does not answer\n");
    assert!(ran.error.contains("1 backend did not say that it recovered"), "{}", ran.error);
}

#[tokio::test]
async fn a_change_that_no_mode_allows_is_caught_before_it_is_sent() {
    let fake = Fake::start().await;
    for arguments in [
        &["fault", "inject", "b"][..],
        &["fault", "inject", "b", "--mode", "explode"],
        &["fault", "inject", "b", "--mode", "slow", "--delay", "3"],
        &["backend", "weight", "b", "-1"],
        &["backend", "drain", "b", "--wait", "1m30s"],
        &["backend", "drain", "b", "--expect", "weight"],
        &["drain"],
        &["log-level", "loud"],
    ] {
        let ran = fake.run(arguments).await;
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ran.error.starts_with("error: "), "{}", ran.error);
    }
    assert_eq!(fake.asked(), []);
}

#[tokio::test]
async fn the_log_level_is_changed_for_a_while() {
    let fake = Fake::start().await;
    let answer = json!({ "schema": 1, "level": "debug", "until": "2026-11-23T10:15:27.000Z" });
    fake.answers("PUT /log-level", 200, answer);
    let ran = fake.run(&["log-level", "debug", "--for", "10m"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "debug until 10:15:27Z\n"));
    let body = json!({ "level": "debug", "for": "10m" });
    assert_eq!(fake.changes(), [("PUT /log-level".to_owned(), body)]);
}

#[tokio::test]
async fn a_reload_says_what_changed_or_all_that_is_wrong() {
    let fake = Fake::start().await;
    let mut answer = json!({
        "schema": 1, "result": "applied", "generation": 4, "took_seconds": 0.013, "problems": [],
        "changes": [{ "kind": "changed", "path": "pools.api.slow_start", "before": "0s", "after": "5s" }],
        "needs_restart": [],
    });
    fake.answers("POST /config/reload", 200, answer.clone());
    let ran = fake.run(&["reload", "--expect", "generation=3"]).await;
    let expected = "generation 4 is in use, after 13 ms\n~ pools.api.slow_start: 0s -> 5s\n";
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), expected), "{ran:?}");
    assert_eq!(fake.changes()[0].1, json!({ "expect": { "generation": 3 } }));
    answer["result"] = "refused".into();
    answer["problems"] = json!([{
        "code": "B0103", "severity": "error", "path": "pools.api", "line": 7, "column": 3,
        "message": "unknown key `balnce`", "remedy": "did you mean `balance`?",
    }]);
    fake.answers("POST /config/reload", 422, answer);
    let ran = fake.run(&["reload", "--dry-run"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (Some(78), ""));
    let expected = "\
error[B0103]: line 7: pools.api: unknown key `balnce`
  = help: did you mean `balance`?
error: the configuration was rejected; the proxy goes on with the one that it has
  = help: `bascule check FILE` says more
";
    assert_eq!(ran.error, expected);
}

#[tokio::test]
async fn an_upgrade_is_done_when_another_process_answers() {
    let fake = Fake::start().await;
    let process = |pid: u32| (200, json!({ "schema": 1, "pid": pid, "version": "0.1.0" }));
    fake.answers_in_turn("GET /process", [process(7), process(7), process(8)]);
    fake.answers("POST /upgrade", 202, json!({ "schema": 1 }));
    let ran = fake.run(&["upgrade"]).await;
    let expected = "process 8 (bascule 0.1.0) has taken over from 7 (0.1.0)\n";
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), expected), "{ran:?}");
    fake.answers("GET /process", 200, process(7).1);
    let ran = fake.run(&["upgrade", "--wait", "500ms"]).await;
    assert!(ran.code == Some(1) && ran.error.contains("the old one still does"), "{ran:?}");
}
