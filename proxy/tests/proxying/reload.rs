//! Another configuration takes the place of the one in use, and nobody who asks notices.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use futures_util::{SinkExt, StreamExt};
use http::Request;
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinSet};
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};

use crate::{
    client::{Answer, Raw, soon, try_ask, until},
    proxy::{Proxy, free_address},
    setup::{Setup, backend},
    stub::{Habit, Stub},
};

impl Proxy {
    /// Asks for the configuration to be loaded again.
    async fn reload(&self, order: Value) -> Answer {
        try_ask(self.admin(), "POST", "/config/reload", &[], order.to_string()).await.unwrap()
    }

    /// Has this configuration take the place of the one in use.
    async fn becomes(&self, setup: &Setup) -> Value {
        self.write(setup);
        let answer = self.reload(json!({})).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Waits until the configuration of this number is in use.
    async fn generation(&self, number: u64) -> Value {
        until(async || {
            let config = self.sidecar("/config").await;
            if config["generation"] == number { Ok(config) } else { Err(config.to_string()) }
        })
        .await
    }
}

/// Asks again and again until told to stop. Returns how often, having been answered well each time.
async fn keep_asking(proxy: Arc<Proxy>, method: &'static str, stop: Arc<AtomicBool>) -> u64 {
    let mut raw = proxy.connect().await;
    let mut asked = 0;
    while !stop.load(Relaxed) {
        raw.send(format!("{method} /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")).await;
        assert_eq!(raw.status().await, "200", "{method} {asked}");
        asked += 1;
    }
    asked
}

/// The same in streams of one connection over HTTP/2.
async fn keep_streaming(proxy: Arc<Proxy>, stop: Arc<AtomicBool>) -> u64 {
    let stream = TcpStream::connect(proxy.public).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    let _driver = tokio::spawn(connection);
    let mut asked = 0;
    while !stop.load(Relaxed) {
        client = client.ready().await.unwrap();
        let request = Request::get(proxy.url("/echo")).body(()).unwrap();
        let (response, _) = client.send_request(request, true).unwrap();
        let mut body = soon(response).await.unwrap();
        assert_eq!(body.status(), 200, "HTTP/2 {asked}");
        while let Some(data) = body.body_mut().data().await {
            let length = data.unwrap().len();
            _ = body.body_mut().flow_control().release_capacity(length);
        }
        asked += 1;
    }
    asked
}

#[tokio::test]
async fn fifty_reloads_under_traffic_cost_nobody_anything() {
    const DOWNLOAD: usize = 20_000_000;
    let (one, two, three) = (backend("one"), backend("two"), backend("three"));
    let all = |weights: [u32; 3]| {
        let [a, b, c] = weights;
        let each = [(&one, a), (&two, b), (&three, c)];
        let each: Vec<_> = each.into_iter().filter(|it| it.1 != 0).collect();
        Setup::one_tier(&each)
    };
    let proxy = Arc::new(all([1, 1, 0]).start().await);
    let mut socket = proxy.conversation("/ws").await;
    let mut download = proxy.connect().await;
    download.get(&format!("/blob?size={DOWNLOAD}"), "").await;
    let head = download.head().await;
    assert!(head.starts_with("http/1.1 200"), "{head}");

    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for method in ["GET", "POST", "GET", "POST"] {
        clients.spawn(keep_asking(Arc::clone(&proxy), method, Arc::clone(&stop)));
    }
    clients.spawn(keep_streaming(Arc::clone(&proxy), Arc::clone(&stop)));
    for number in 0..50 {
        // Backends come and go, and those that stay weigh something else.
        let setup = all([1 + number % 3, number % 2, 1 + number % 2]);
        let reloaded = proxy.becomes(&setup).await;
        assert_eq!(reloaded["generation"], number + 2);
        assert_eq!(reloaded["result"], "applied", "{reloaded}");
    }
    stop.store(true, Relaxed);
    let asked = clients.join_all().await;
    assert!(asked.iter().all(|it| 0 < *it), "{asked:?}");
    assert_eq!(download.exactly(DOWNLOAD).await.len(), DOWNLOAD);
    socket.send(Message::text("still here")).await.unwrap();
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::text("still here"));
    let total = one.total() + two.total() + three.total();
    // Executed once each: and the download, and the WebSocket.
    assert_eq!(total, asked.iter().sum::<u64>() + 2);
    assert_eq!(proxy.metric(r#"bascule_config_reloads_total{result="applied"}"#).await, 50.0);
    assert_eq!(proxy.metric("bascule_config_generation").await, 51.0);
}

#[tokio::test]
async fn another_weight_keeps_connections_and_an_ejection() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let relay = Stub::new(Habit::Relay(primary.addr())).await;
    let both = Setup::addresses(&[("primary", relay.addr), ("secondary", secondary.addr())])
        .with("pools.api.outlier_detection.eject_for.base", "5m")
        .with("pools.api.outlier_detection.eject_for.max", "5m")
        .with("pools.api.backends.1.tier", 0);
    let proxy = both.clone().start().await;
    let order = r#"{"backend":"secondary","mode":"error","scope":"traffic","for":"1m"}"#;
    let failed = try_ask(proxy.admin(), "POST", "/proxy/fail", &[], order).await.unwrap();
    assert_eq!(failed.status, 202, "{failed:?}");
    let ejected = until(async || {
        proxy.get("/echo").await;
        let seen = proxy.pool().await["backends"][1].clone();
        if seen["state"] == "ejected" { Ok(seen) } else { Err(seen.to_string()) }
    })
    .await;
    let connections = relay.asked();
    let told = proxy.becomes(&both.with("pools.api.backends.0.weight", 7)).await;
    let changes = told["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{told}");
    assert_eq!(changes[0]["path"], "pools.api.backends[primary].weight");
    assert_eq!((&changes[0]["before"], &changes[0]["after"]), (&json!(100), &json!(7)));
    for _ in 0..20 {
        assert_eq!(proxy.get("/echo").await.backend(), "primary");
    }
    assert_eq!(relay.asked(), connections, "connections are used again");
    let seen = proxy.pool().await["backends"][1].clone();
    for key in ["state", "since", "ejected_until", "fault"] {
        if key != "fault" {
            assert_eq!(seen[key], ejected[key], "{key}");
        }
    }
    assert_eq!(seen["fault"]["mode"], "error", "an injected fault goes on");
}

#[tokio::test]
async fn a_backend_that_is_gone_finishes_what_it_has_and_gets_nothing_new() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Arc::new(Setup::tiers(&[&primary, &secondary]).start().await);
    let asked = Arc::clone(&proxy);
    let waiting = tokio::spawn(async move { asked.get("/delay/1500").await });
    soon(primary.received_at_least(1)).await;
    let told = proxy.becomes(&Setup::tiers(&[&secondary])).await;
    assert!(told["changes"].to_string().contains("backends[primary]"), "{told}");
    for _ in 0..10 {
        assert_eq!(proxy.get("/echo").await.backend(), "secondary");
    }
    let finished = waiting.await.unwrap();
    assert_eq!((finished.status, finished.backend()), (200, "primary"));
    assert_eq!(primary.total(), 1);
    assert_eq!(proxy.pool().await["backends"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_under_way_at_a_backend_that_is_gone_ends_after_a_while() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let both = Setup::tiers(&[&primary, &secondary])
        .with("routes", json!([{ "pool": "api", "timeout": "10m" }]))
        .with("pools.api.retries.per_try_timeout", "10m")
        .with("shutdown.websocket_grace", "10ms");
    let proxy = both.start().await;
    let mut socket = proxy.conversation("/ws").await;
    socket.send(Message::text("x")).await.unwrap();
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::text("x"));
    let mut stream = proxy.connect().await;
    stream.get("/blob?size=100000000&chunk=70000&pace_ms=500", "").await;
    assert!(stream.head().await.starts_with("http/1.1 200"));
    let mut post = proxy.connect().await;
    post.send("POST /delay/600000 HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await;
    let mut upload = proxy.connect().await;
    upload.send("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 2000000\r\n\r\n").await;
    upload.send(vec![b'x'; 1_000_000]).await;
    soon(primary.received_at_least(4)).await;

    let later = Setup::tiers(&[&secondary])
        .with("shutdown.websocket_grace", "10ms")
        .with("reload.drain", "300ms");
    proxy.becomes(&later).await;
    let last = soon(socket.next()).await;
    let Some(Ok(Message::Close(Some(close)))) = last else { panic!("{last:?}") };
    assert_eq!(close.code, CloseCode::Away);
    for mut waiting in [post, upload] {
        // It may have been executed: nobody else is asked.
        let (head, _) = waiting.answer().await;
        assert!(head.starts_with("http/1.1 502"), "{head}");
    }
    assert!(stream.rest().await.unwrap().len() < 100_000_000, "broken off");
    assert_eq!(secondary.total(), 0);
    proxy.metric_until(r#"bascule_requests_in_flight{listener="public"}"#, 0.0).await;
    proxy.log_until("configured no more is ended").await;
    assert_eq!(proxy.metric(r#"bascule_requests_cut_total{drained="backend"}"#).await, 3.0);
}

#[tokio::test]
async fn what_may_be_repeated_is_not_asked_again_of_backends_that_are_gone() {
    let (primary, secondary, heir) = (backend("primary"), backend("secondary"), backend("heir"));
    let proxy = Setup::tiers(&[&primary, &secondary])
        .with("routes", json!([{ "pool": "api", "timeout": "10m" }]))
        .with("pools.api.retries.per_try_timeout", "10m")
        .start()
        .await;
    let mut waiting = proxy.connect().await;
    waiting.get("/delay/600000", "").await;
    soon(primary.received_at_least(1)).await;
    proxy.becomes(&Setup::tiers(&[&heir]).with("reload.drain", "300ms")).await;
    let (head, _) = waiting.answer().await;
    assert!(head.starts_with("http/1.1 503") && head.contains("\"attempt_failed\""), "{head}");
    assert_eq!((primary.total(), secondary.total()), (1, 0));
    assert_eq!(proxy.metric(r#"bascule_requests_cut_total{drained="backend"}"#).await, 1.0);
    proxy.metric_until(r#"bascule_requests_in_flight{listener="public"}"#, 0.0).await;
}

#[tokio::test]
async fn a_backend_lost_after_a_reload_gives_back_what_waits_there_since_before() {
    let (mut primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Arc::new(Setup::tiers(&[&primary, &secondary]).start().await);
    let asked = Arc::clone(&proxy);
    let waiting = tokio::spawn(async move { asked.get("/delay/60000").await });
    soon(primary.received_at_least(1)).await;
    let both = Setup::tiers(&[&primary, &secondary]);
    proxy.becomes(&both.with("pools.api.backends.0.weight", 3)).await;
    primary.kill().await;
    let ended = until(
        async || {
            if waiting.is_finished() { Ok(()) } else { Err("still waiting".to_owned()) }
        },
    );
    // The other one waits as long: it is asked, which is what counts.
    soon(secondary.received_at_least(1)).await;
    drop(ended);
    waiting.abort();
}

#[tokio::test]
async fn servers_that_are_all_replaced_are_replaced_without_an_error() {
    let (old, new) = (backend("old"), backend("new"));
    let proxy = Arc::new(Setup::tiers(&[&old]).start().await);
    let stop = Arc::new(AtomicBool::new(false));
    let client = tokio::spawn(keep_asking(Arc::clone(&proxy), "POST", Arc::clone(&stop)));
    soon(old.received_at_least(1)).await;
    proxy.becomes(&Setup::tiers(&[&new])).await;
    soon(new.received_at_least(1)).await;
    stop.store(true, Relaxed);
    client.await.unwrap();
    assert_eq!(proxy.pool().await["last_minute"]["lost"], 0);
    assert_eq!(proxy.pool().await["active_backend"], "new");
}

#[tokio::test]
async fn a_configuration_with_mistakes_changes_nothing_and_says_all_of_them() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let broken = [
        Setup::tiers(&[&primary])
            .with("routes", json!([{ "pool": "nobody" }, { "pool": "nothing" }])),
        Setup::tiers(&[&primary])
            .with("listeners.other.address", taken.local_addr().unwrap().to_string()),
    ];
    for (number, (setup, problems)) in broken.iter().zip([2, 1]).enumerate() {
        proxy.write(setup);
        let answer = proxy.reload(json!({})).await;
        assert_eq!(answer.status, 422, "{answer:?}");
        let told = answer.json();
        assert_eq!((&told["result"], &told["generation"]), (&json!("refused"), &json!(1)));
        let errors = told["problems"].as_array().unwrap();
        assert_eq!(
            errors.iter().filter(|it| it["severity"] == "error").count(),
            problems,
            "{told}"
        );
        let shown = proxy.sidecar("/config").await;
        assert_eq!(shown["generation"], 1);
        assert_eq!(shown["last_reload"], told);
        assert_eq!(proxy.get("/echo").await.status, 200);
        assert_eq!(proxy.metric("bascule_config_last_reload_successful").await, 0.0);
        let refused = r#"bascule_config_reloads_total{result="refused"}"#;
        assert_eq!(proxy.metric(refused).await, f64::from(u32::try_from(number).unwrap() + 1));
    }
    proxy.becomes(&Setup::tiers(&[&primary])).await;
    assert_eq!(proxy.metric("bascule_config_last_reload_successful").await, 1.0);
}

#[tokio::test]
async fn what_is_expected_or_only_tried_changes_nothing() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary]).start().await;
    let both = Setup::tiers(&[&primary, &secondary]);
    proxy.write(&both);
    let other = proxy.reload(json!({ "expect": { "generation": 7 } })).await;
    assert_eq!((other.status, &other.json()["error"]["code"]), (409, &json!("changed")));
    assert_eq!(other.json()["error"]["present"]["generation"], 1);
    let tried = proxy.reload(json!({ "dry_run": true })).await;
    assert_eq!((tried.status, &tried.json()["result"]), (200, &json!("accepted")));
    assert_eq!(tried.json()["changes"].as_array().unwrap().len(), 1, "{tried:?}");
    let text = proxy.configured(&both.with("threads", 9)).0.to_string();
    let checked = try_ask(proxy.admin(), "POST", "/config/check", &[], text).await.unwrap();
    assert_eq!(checked.json()["needs_restart"], json!(["threads"]), "{checked:?}");
    let checked = try_ask(proxy.admin(), "POST", "/config/check", &[], "version: 2").await.unwrap();
    assert_eq!((checked.status, &checked.json()["result"]), (200, &json!("refused")));
    assert_eq!(proxy.sidecar("/config").await["generation"], 1);
    let asked = proxy.reload(json!({ "expect": { "generation": 1 } })).await;
    assert_eq!((asked.status, &asked.json()["generation"]), (200, &json!(2)));
}

#[tokio::test]
async fn listeners_come_and_go() {
    let primary = backend("primary");
    let one = Setup::tiers(&[&primary]);
    let proxy = one.clone().start().await;
    let address = free_address();
    proxy.becomes(&one.clone().with("listeners.second.address", address.to_string())).await;
    let answer = try_ask(address, "GET", "/echo", &[], "").await.unwrap();
    assert_eq!(answer.status, 200);
    let mut kept = Raw::connect(address).await;
    kept.get("/echo", "").await;
    assert_eq!(kept.status().await, "200");
    // The same door by another name, with other terms.
    let renamed = one.clone().with(
        "listeners.third",
        json!({ "address": address.to_string(), "limits": { "target": "1KiB" } }),
    );
    proxy.becomes(&renamed).await;
    let long = format!("/echo?{}", "x".repeat(1024));
    let long = try_ask(address, "GET", &long, &[], "").await.unwrap();
    assert_eq!(long.status, 414);
    assert_eq!(try_ask(address, "GET", "/echo", &[], "").await.unwrap().status, 200);
    proxy.becomes(&one).await;
    until(async || match TcpStream::connect(address).await {
        Ok(_) => Err("new connections are accepted".to_owned()),
        Err(_) => Ok(()),
    })
    .await;
    assert_eq!(proxy.get("/echo").await.status, 200);
}

#[tokio::test]
async fn a_client_of_a_listener_that_is_gone_is_served_once_more_and_told_to_go() {
    let primary = backend("primary");
    let one = Setup::tiers(&[&primary]).with("shutdown", json!({ "idle": "20s", "drain": "30s" }));
    let address = free_address();
    let two = one.clone().with("listeners.second.address", address.to_string());
    let proxy = two.start().await;
    let mut kept = Raw::connect(address).await;
    kept.get("/echo", "").await;
    assert_eq!(kept.status().await, "200");
    proxy.becomes(&one).await;
    kept.get("/echo", "").await;
    let (head, _) = kept.answer().await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("connection: close"), "{head}");
    assert_eq!(kept.rest().await.unwrap(), b"");
}

#[tokio::test]
async fn a_signal_or_another_file_in_its_place_is_enough() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let watching = Setup::tiers(&[&primary]).with("reload.watch", true);
    let proxy = watching.clone().start().await;
    proxy.write(&Setup::tiers(&[&secondary]).with("reload.watch", true));
    let shown = proxy.generation(2).await;
    assert_eq!(shown["last_reload"]["trigger"], "files");
    assert_eq!(proxy.get("/echo").await.backend(), "secondary");
    proxy.write(&Setup::tiers(&[&primary]));
    proxy.generation(3).await;
    // Watched no more.
    proxy.write(&watching);
    proxy.signal("-HUP").await;
    let shown = proxy.generation(4).await;
    assert_eq!(shown["last_reload"]["trigger"], "signal");
    assert_eq!(proxy.get("/echo").await.backend(), "primary");
}

#[tokio::test]
async fn a_folder_that_is_swapped_by_a_link_is_another_file() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let watching = |it| Setup::tiers(&[it]).with("reload.watch", true);
    let proxy = watching(&primary).start().await;
    // As Kubernetes mounts a ConfigMap: file -> ..data/file, ..data -> a folder of its own.
    let put = |name: &str, setup: &Setup| {
        let folder = proxy.folder().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("bascule.yaml"), proxy.configured(setup).0.to_string()).unwrap();
        let link = proxy.folder().join("..new");
        std::os::unix::fs::symlink(name, &link).unwrap();
        fs::rename(link, proxy.folder().join("..data")).unwrap();
    };
    put("..1", &watching(&primary));
    let link = proxy.folder().join("link");
    std::os::unix::fs::symlink("..data/bascule.yaml", &link).unwrap();
    fs::rename(link, proxy.folder().join("bascule.yaml")).unwrap();
    proxy.generation(2).await;
    put("..2", &watching(&secondary));
    proxy.generation(3).await;
    assert_eq!(proxy.get("/echo").await.backend(), "secondary");
}

#[tokio::test]
async fn series_of_what_stays_go_on_and_of_what_comes_begin() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary]).start().await;
    let count = |name: &str| {
        format!(
            r#"bascule_upstream_requests_total{{backend="{name}",outcome="success",pool="api"}}"#
        )
    };
    for _ in 0..3 {
        assert_eq!(proxy.get("/echo").await.status, 200);
    }
    proxy.metric_until(&count("primary"), 3.0).await;
    proxy.becomes(&Setup::tiers(&[&secondary, &primary])).await;
    assert_eq!(proxy.metric(&count("primary")).await, 3.0);
    let served = AtomicUsize::new(0);
    until(async || {
        served.fetch_add(1, Relaxed);
        match proxy.get("/echo").await.backend() {
            "secondary" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .await;
    proxy.metric_until(&count("secondary"), 1.0).await;
    let others = u32::try_from(served.load(Relaxed)).unwrap() - 1;
    proxy.metric_until(&count("primary"), 3.0 + f64::from(others)).await;
}
