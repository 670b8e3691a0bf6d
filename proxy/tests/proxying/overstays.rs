//! Waits that are out of line, and waits that only seem so.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bascule_backend::{
    Fault, FaultKind, Running, Scope,
    load::{LoadPlan, start},
};
use futures_util::future::join_all;
use serde_json::json;

use crate::{
    client::soon,
    load::{assert_none_failed, load, served},
    proxy::Proxy,
    setup::{Setup, backend},
};

/// Held by those who stop the proxy or burn every core: each is about one kind of trouble, not about
/// both at once.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

const HEDGES: &str = r#"bascule_hedges_total{pool="api"}"#;

async fn break_traffic(backend: &Running, kind: FaultKind) {
    let fault = Fault::new(kind, Duration::from_secs(60)).in_scope(Scope::Traffic);
    backend.inject(fault).await.unwrap();
}

/// Has the proxy learn how long this usually takes.
async fn learn(proxy: &Proxy, path: &str) {
    for _ in 0..80 {
        assert_eq!(proxy.get(path).await.status, 200);
    }
    // What was learned is worked out twice a second.
    tokio::time::sleep(Duration::from_millis(1200)).await;
}

/// Nobody was suspected, and no request was sent twice.
async fn assert_calm(proxy: &Proxy) {
    assert_eq!(proxy.metric(HEDGES).await, 0.0);
    assert!(!proxy.log().contains("suspected"), "a backend was suspected");
    for backend in proxy.pool().await["backends"].as_array().unwrap() {
        assert_eq!((&backend["state"], &backend["failures"]), (&"up".into(), &0.into()));
    }
}

#[tokio::test]
async fn a_get_at_a_backend_that_falls_silent_is_answered_by_another_long_before_its_timeout() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).start().await;
    learn(&proxy, "/api/data").await;
    break_traffic(&primary, FaultKind::Hang).await;
    let asked = Instant::now();
    let answer = proxy.get("/api/data").await;
    assert_eq!((answer.status, answer.backend()), (200, "secondary"));
    assert!(asked.elapsed() < Duration::from_millis(2500), "{:?} of 5 s", asked.elapsed());
    assert!(1.0 <= proxy.metric(HEDGES).await);
    proxy.pool_until(|pool| pool["backends"][0]["in_flight"] == 0).await;
    let pool = proxy.pool_until(|pool| pool["last_minute"]["rescued"] == 1).await;
    assert_eq!(pool["last_minute"]["lost"], 0);
}

#[tokio::test]
async fn a_post_that_waits_out_of_line_is_sent_to_nobody_else() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).start().await;
    for _ in 0..80 {
        assert_eq!(proxy.ask("POST", "/echo", &[], "x").await.status, 200);
    }
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let slow = FaultKind::Slow { delay: Duration::from_millis(800) };
    break_traffic(&primary, slow).await;
    // Known to be short, and sent while it comes.
    let plain = "content-length: 1\r\n\r\nx";
    let chunked = "transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    for (id, rest) in [("plain", plain), ("chunked", chunked)] {
        let mut raw = proxy.connect().await;
        let head = format!("POST /echo HTTP/1.1\r\nhost: x\r\nx-request-id: {id}\r\n");
        raw.send(format!("{head}{rest}")).await;
        let (head, _) = raw.answer().await;
        assert!(head.starts_with("http/1.1 200 "), "{id}: {head}");
        let times = [primary.executed(id).received, secondary.executed(id).received];
        assert_eq!(times.iter().sum::<u64>(), 1, "{id}: {times:?}");
    }
    assert_eq!(proxy.metric(HEDGES).await, 0.0);
}

#[tokio::test]
async fn where_nobody_else_can_be_asked_the_answer_is_waited_for() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    learn(&proxy, "/api/data").await;
    break_traffic(&primary, FaultKind::Slow { delay: Duration::from_millis(700) }).await;
    let answer = proxy.ask("GET", "/api/data", &[("x-request-id", "slow")], "").await;
    assert_eq!((answer.status, answer.backend()), (200, "primary"));
    assert_eq!(primary.executed("slow").received, 1);
    assert_eq!(proxy.metric(HEDGES).await, 0.0);
}

/// The first answer wins, also when it is the one that seemed lost.
#[tokio::test]
async fn a_hedge_that_comes_second_saved_nothing_and_harms_nothing() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).start().await;
    learn(&proxy, "/api/data").await;
    break_traffic(&primary, FaultKind::Slow { delay: Duration::from_millis(600) }).await;
    break_traffic(&secondary, FaultKind::Hang).await;
    let answer = proxy.get("/api/data").await;
    assert_eq!((answer.status, answer.backend()), (200, "primary"));
    assert_eq!(proxy.metric(HEDGES).await, 1.0);
    proxy.pool_until(|pool| pool["backends"][1]["in_flight"] == 0).await;
    // 80 to learn from, and this one.
    let pool = proxy.pool_until(|pool| pool["last_minute"]["requests"] == 81).await;
    assert_eq!(pool["last_minute"]["rescued"], 0, "{pool:#}");
}

#[tokio::test]
async fn a_slow_url_beside_quick_ones_is_no_alarm() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).start().await;
    let load = load(&proxy, "/api/data");
    served(&load, 200).await;
    for _ in 0..6 {
        for answer in soon(join_all((0..10).map(|_| proxy.get("/delay/300")))).await {
            assert_eq!((answer.status, answer.backend()), (200, "primary"));
        }
    }
    assert_none_failed(&load.stop().await);
    assert_calm(&proxy).await;
}

#[tokio::test]
async fn long_polls_and_streams_beside_quick_answers_are_no_alarm() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).start().await;
    let load = load(&proxy, "/api/data");
    served(&load, 100).await;
    // The same kind answers at once or after long, as polls do.
    learn(&proxy, "/delay/1").await;
    let stream = "/blob?size=3000&chunk=1000&pace_ms=400&chunked=true";
    learn(&proxy, "/blob?size=10").await;
    let polls = join_all((0..5).map(|_| proxy.get("/delay/1000")));
    let streams = join_all((0..5).map(|_| proxy.get(stream)));
    let (polls, streams) = soon(async { tokio::join!(polls, streams) }).await;
    assert!(polls.iter().chain(&streams).all(|it| (it.status, it.backend()) == (200, "primary")));
    assert_none_failed(&load.stop().await);
    assert_calm(&proxy).await;
}

#[tokio::test]
async fn a_cold_start_is_no_alarm() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).start().await;
    break_traffic(&primary, FaultKind::Slow { delay: Duration::from_millis(500) }).await;
    for answer in soon(join_all((0..30).map(|_| proxy.get("/api/data")))).await {
        assert_eq!((answer.status, answer.backend()), (200, "primary"));
    }
    assert_calm(&proxy).await;
}

/// All timers are late at once, and all answers that came meanwhile lie unread.
#[tokio::test]
async fn a_proxy_that_was_held_up_itself_blames_nobody() {
    let _alone = ALONE.lock().await;
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).with_defaults().start().await;
    let load = start(LoadPlan::new(&proxy.url("/delay/20"), 200.0).unwrap());
    served(&load, 300).await;
    // Longer than a check may take, and than an attempt.
    for pause in [300, 1_300, 300, 3_000] {
        proxy.signal("-STOP").await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        proxy.signal("-CONT").await;
        served(&load, 100).await;
    }
    // Whatever was wrongly noticed would be told by now.
    served(&load, 200).await;
    assert_none_failed(&load.stop().await);
    assert_blameless(&proxy, 4.0).await;
}

/// More threads want a core than there are cores. The backends run in this process, and get as
/// little of them as the proxy does.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_machine_that_is_overloaded_makes_nobody_suspected() {
    let _alone = ALONE.lock().await;
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).with_defaults().start().await;
    let load = load(&proxy, "/api/data");
    served(&load, 300).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let cores = std::thread::available_parallelism().unwrap().get();
    for _ in 0..2 * cores {
        let (is_over, began) = (Arc::clone(&is_over), Instant::now());
        // It ends by itself, whatever becomes of this test.
        std::thread::spawn(move || {
            while !is_over.load(Relaxed) && began.elapsed() < Duration::from_secs(20) {}
        });
    }
    served(&load, 1_000).await;
    is_over.store(true, Relaxed);
    let report = load.stop().await;
    assert_none_failed(&report);
    assert_blameless(&proxy, 10.0).await;
}

/// Nobody was suspected or lost, and no more requests than that were sent to two backends.
async fn assert_blameless(proxy: &Proxy, most_hedges: f64) {
    let log = proxy.log();
    for word in ["suspected", "backend lost"] {
        assert!(!log.contains(word), "a backend was {word}");
    }
    let hedges = proxy.metric(HEDGES).await;
    assert!(hedges <= most_hedges, "{hedges} hedges");
    for backend in proxy.pool().await["backends"].as_array().unwrap() {
        assert_eq!((&backend["state"], &backend["failures"]), (&"up".into(), &0.into()));
    }
}

/// A backend that has become slower for good, or is cold after a restart, is well all the same. While
/// another is trusted, only trials could show that, and each of them overstays.
#[tokio::test]
async fn a_backend_that_has_become_slower_for_good_is_trusted_again() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let setup = Setup::tiers(&[&primary, &secondary]);
    let proxy = setup.with("pools.api.suspicion", json!({ "floor": "200ms" })).start().await;
    let load = load(&proxy, "/api/data");
    served(&load, 400).await;
    // Too late for what was learned, though the machine be busy, and not as late as if it were ill.
    let slower = FaultKind::Slow { delay: Duration::from_millis(450) };
    break_traffic(&primary, slower).await;
    proxy.log_until("backend suspected").await;
    proxy.pool_until(|pool| pool["backends"][0]["state"] == "up").await;
    // And it stays that way.
    let before = primary.total();
    served(&load, 300).await;
    assert!(200 < primary.total() - before, "{} of 300", primary.total() - before);
    assert_none_failed(&load.stop().await);
    assert!(!proxy.log().contains("backend lost"), "it was lost");
}
