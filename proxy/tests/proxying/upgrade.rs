//! Another process takes over: no connection is refused, no request is lost or executed twice.

use std::{
    fs,
    os::unix::fs::symlink,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use bascule_backend::Running;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinSet};
use tokio_tungstenite::{
    client_async,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};

use crate::{
    client::{Raw, soon, try_ask, until},
    proxy::{Proxy, free_address, program_at},
    setup::{Setup, backend},
};

/// Lets another process take over, and returns its id.
async fn upgrade(proxy: &Proxy) -> u64 {
    let before = proxy.sidecar("/process").await;
    let answer = try_ask(proxy.admin, "POST", "/upgrade", &[], "").await.unwrap();
    let changed = answer.json();
    assert_eq!(answer.status, 200, "{changed}");
    assert_eq!(changed["process"]["pid"], before["pid"]);
    let successor = changed["process"]["successor"].as_u64().unwrap();
    let after = until(async || match proxy.sidecar("/process").await {
        it if it["pid"] == successor => Ok(it),
        it => Err(it.to_string()),
    })
    .await;
    assert_eq!(after["generation"], before["generation"].as_u64().unwrap() + 1);
    assert_eq!(after["predecessor"], before["pid"]);
    successor
}

/// Waits until a process has ended. One that nobody waits for may stay as a zombie.
async fn gone(pid: &Value) {
    let pid = pid.as_u64().unwrap();
    until(async || match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) if !stat.contains(") Z ") => Err(stat),
        Ok(_) | Err(_) => Ok(()),
    })
    .await;
}

/// What clients have done so far, with ids of their own.
#[derive(Debug, Default)]
struct Tally {
    ids: AtomicU64,
    is_over: AtomicBool,
}

impl Tally {
    fn next(&self) -> Option<String> {
        (!self.is_over.load(Relaxed)).then(|| format!("u-{}", self.ids.fetch_add(1, Relaxed)))
    }
}

/// Asks again and again on connections that are kept, as clients' pools do.
async fn keep_asking(proxy: String, method: &'static str, tally: Arc<Tally>) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    while let Some(id) = tally.next() {
        let request = Request::builder().method(method).uri(format!("{proxy}/echo"));
        let request =
            request.header("x-request-id", &id).body(Full::new(Bytes::from("x"))).unwrap();
        let answer =
            soon(client.request(request)).await.unwrap_or_else(|it| panic!("{id}: {it:?}"));
        assert_eq!(answer.status(), 200, "{id}");
        soon(answer.into_body().collect()).await.unwrap_or_else(|it| panic!("{id}: {it:?}"));
    }
}

/// Asks again and again, each time on a connection of its own.
async fn keep_connecting(address: std::net::SocketAddr, tally: Arc<Tally>) {
    while let Some(id) = tally.next() {
        let answer = try_ask(address, "POST", "/echo", &[("x-request-id", &id)], "x").await;
        assert_eq!(answer.unwrap_or_else(|it| panic!("{id}: {it}")).status, 200, "{id}");
    }
}

/// Asks again and again over HTTP/2, and connects anew when told to go elsewhere.
async fn keep_streaming(address: std::net::SocketAddr, tally: Arc<Tally>) -> usize {
    let mut connections = 0;
    let mut again = None;
    'connecting: loop {
        connections += 1;
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        loop {
            // Told to go away: nothing was sent of what would come next.
            if std::future::poll_fn(|cx| client.poll_ready(cx)).await.is_err() {
                soon(connection).await.unwrap().unwrap();
                continue 'connecting;
            }
            let Some(id) = again.take().or_else(|| tally.next()) else { return connections };
            let request = Request::post("http://x/echo").header("x-request-id", &id).body(());
            let Ok((answer, mut body)) = client.send_request(request.unwrap(), false) else {
                // As above, in the instant between.
                soon(connection).await.unwrap().unwrap();
                again = Some(id);
                continue 'connecting;
            };
            _ = body.send_data(Bytes::from_static(b"x"), true);
            let answer = match soon(answer).await {
                Ok(answer) => answer,
                // The request and the second GOAWAY crossed: it is above the last that was taken, and
                // may be sent again (RFC 9113 §6.8).
                Err(error)
                    if error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR) =>
                {
                    soon(connection).await.unwrap().unwrap();
                    again = Some(id);
                    continue 'connecting;
                }
                Err(error) => panic!("{id}: {error}"),
            };
            assert_eq!(answer.status(), 200, "{id}");
            let mut body = answer.into_body();
            while let Some(data) = soon(body.data()).await {
                let length = data.unwrap_or_else(|it| panic!("{id}: {it}")).len();
                body.flow_control().release_capacity(length).unwrap();
            }
        }
    }
}

/// Talks again and again over a WebSocket, and opens another when told that it ends.
async fn keep_talking(proxy: (String, std::net::SocketAddr), tally: Arc<Tally>) -> usize {
    let mut conversations = 0;
    loop {
        conversations += 1;
        let stream = TcpStream::connect(proxy.1).await.unwrap();
        let mut socket = soon(client_async(&proxy.0, stream)).await.unwrap().0;
        loop {
            if tally.is_over.load(Relaxed) {
                return conversations;
            }
            // One that has been closed takes nothing more, and says by whom when it is read.
            _ = socket.send(Message::text("x")).await;
            match soon(socket.next()).await {
                Some(Ok(Message::Text(_))) => {}
                Some(Ok(Message::Close(Some(close)))) => {
                    assert_eq!(close.code, CloseCode::Away);
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upgrades_under_load_lose_nothing_and_execute_nothing_twice() {
    let (a, b) = (backend("a"), backend("b"));
    let proxy = Setup::one_tier(&[(&a, 1), (&b, 1)]).start().await;
    let tally = Arc::<Tally>::default();
    let mut clients = JoinSet::new();
    for _ in 0..3 {
        clients.spawn(keep_asking(proxy.url(""), "GET", Arc::clone(&tally)));
        clients.spawn(keep_asking(proxy.url(""), "POST", Arc::clone(&tally)));
    }
    clients.spawn(keep_connecting(proxy.public, Arc::clone(&tally)));
    let streaming = tokio::spawn(keep_streaming(proxy.public, Arc::clone(&tally)));
    let ws = (format!("ws://{}/ws", proxy.public), proxy.public);
    let talking = tokio::spawn(keep_talking(ws, Arc::clone(&tally)));
    const UPGRADES: usize = 3;
    for _ in 0..UPGRADES {
        let before = proxy.sidecar("/process").await["pid"].clone();
        upgrade(&proxy).await;
        gone(&before).await;
    }
    tally.is_over.store(true, Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    // Everybody met every process.
    assert!(UPGRADES < soon(streaming).await.unwrap());
    assert!(UPGRADES < soon(talking).await.unwrap());
    executed_once(&[&a, &b], tally.ids.load(Relaxed));
    assert!(!proxy.log().contains("are cut"), "{}", proxy.log());
}

/// Every id that was sent was executed once; ids that were drawn and not sent, not at all.
fn executed_once(backends: &[&Running], ids: u64) {
    for id in 0..ids {
        let id = format!("u-{id}");
        let times: u64 = backends.iter().map(|it| it.executed(&id).count).sum();
        assert!(times <= 1, "{id} was executed {times} times");
    }
}

#[tokio::test]
async fn what_waits_to_be_accepted_is_served_by_whoever_comes_to_it() {
    let primary = backend("primary");
    let mut proxy = Setup::tiers(&[&primary])
        .with("listeners.public.limits.connections", 1)
        .with("shutdown", json!({ "idle": "0s" }))
        .start()
        .await;
    let mut first = proxy.connect().await;
    first.get("/api/data", "").await;
    assert_eq!(first.status().await, "200");
    // There is room for one connection: these wait in the system's queue.
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut raw = proxy.connect().await;
        raw.get("/api/data", "connection: close\r\n").await;
        waiting.push(raw);
    }
    upgrade(&proxy).await;
    for mut raw in waiting {
        assert_eq!(raw.status().await, "200");
    }
    assert!(proxy.exited().await.success(), "the first process ends");
}

#[tokio::test]
async fn a_process_that_cannot_take_over_leaves_the_old_one_serving() {
    let primary = backend("primary");
    let proxy = Linked::start(Setup::tiers(&[&primary])).await;
    let pid = proxy.proxy.sidecar("/process").await["pid"].clone();
    let kept = proxy.proxy.connect().await;
    // A program that does not work, one that is not there, a configuration that is rejected.
    proxy.lead_to("/bin/false");
    proxy.fails("exit status: 1").await;
    proxy.lead_to("/nowhere");
    proxy.fails("could not start").await;
    proxy.lead_to(env!("CARGO_BIN_EXE_bascule"));
    let config = proxy.proxy.config();
    fs::write(proxy.proxy.config_file(), "version: 7").unwrap();
    proxy.fails("version").await;
    fs::write(proxy.proxy.config_file(), config).unwrap();
    let process = proxy.proxy.sidecar("/process").await;
    assert_eq!((&process["pid"], process["state"].as_str()), (&pid, Some("serving")));
    assert_eq!(process["latest_upgrade"]["result"], "failed");
    proxy.proxy.metric_until(r#"bascule_upgrades_total{result="failed"}"#, 3.0).await;
    proxy.proxy.log_until("this process goes on serving").await;
    still_there(kept).await;
    assert_eq!(proxy.proxy.get("/api/data").await.status, 200);
    // And back to what works, by a signal.
    proxy.proxy.signal("-USR2").await;
    until(async || match proxy.proxy.sidecar("/process").await {
        it if it["generation"] == 2 => Ok(()),
        it => Err(it.to_string()),
    })
    .await;
    assert_eq!(proxy.proxy.get("/api/data").await.status, 200);
}

async fn still_there(mut kept: Raw) {
    kept.get("/api/data", "").await;
    assert_eq!(kept.status().await, "200");
}

#[tokio::test]
async fn two_upgrades_at_once_are_refused_and_the_end_ends_both() {
    let primary = backend("primary");
    let mut proxy = Linked::start(Setup::tiers(&[&primary])).await;
    let slow = proxy.script("exec sleep 60");
    proxy.lead_to(&slow);
    let admin = proxy.proxy.admin;
    let first = tokio::spawn(async move { try_ask(admin, "POST", "/upgrade", &[], "").await });
    until(async || match proxy.proxy.sidecar("/process").await {
        it if it["state"] == "upgrading" => Ok(()),
        it => Err(it.to_string()),
    })
    .await;
    let second = try_ask(admin, "POST", "/upgrade", &[], r#"{"wait":"1s"}"#).await.unwrap();
    assert_eq!(second.status, 409);
    assert_eq!(second.json()["error"]["code"], "upgrade_untimely");
    assert_eq!(proxy.proxy.get("/api/data").await.status, 200);
    proxy.proxy.signal("-TERM").await;
    assert!(proxy.proxy.exited().await.success());
    first.abort();
}

#[tokio::test]
async fn an_upgrade_is_waited_for_no_longer_than_asked() {
    let primary = backend("primary");
    let proxy = Linked::start(Setup::tiers(&[&primary])).await;
    let slow = proxy.script("exec sleep 60");
    proxy.lead_to(&slow);
    let upgrade = async |wait: &str| {
        let body = json!({ "wait": wait }).to_string();
        try_ask(proxy.proxy.admin, "POST", "/upgrade", &[], body).await.unwrap()
    };
    assert_eq!(upgrade("soon").await.status, 400);
    let answer = upgrade("10ms").await;
    assert_eq!((answer.status, &answer.json()["is_done"]), (200, &json!(false)));
    // It goes on.
    assert_eq!(answer.json()["process"]["state"], "upgrading");
}

#[tokio::test]
async fn the_next_process_knows_who_was_ejected() {
    let (a, b) = (backend("a"), backend("b"));
    let proxy = Setup::tiers(&[&a, &b])
        .with("pools.api.outlier_detection", json!({ "eject_for": { "base": "1m" } }))
        .with("pools.api.tiers.failback.after", "4m")
        .start()
        .await;
    let order = json!({ "backend": "a", "mode": "error", "scope": "traffic", "for": "30s" });
    let answer = try_ask(proxy.admin, "POST", "/proxy/fail", &[], order.to_string()).await.unwrap();
    assert!(answer.status < 300, "{answer:?}");
    let ejected = proxy.pool_until(|pool| {
        pool["backends"][0]["state"] == "ejected" && pool["active_backend"] == "b"
    });
    let asking = async {
        loop {
            _ = try_ask(proxy.public, "GET", "/api/data", &[], "").await;
        }
    };
    tokio::select! { _ = ejected => {}, () = asking => {} }
    upgrade(&proxy).await;
    let pool = proxy.pool().await;
    assert_eq!(
        (&pool["backends"][0]["state"], &pool["active_backend"]),
        (&json!("ejected"), &json!("b"))
    );
    assert_eq!(proxy.get("/api/data").await.backend(), "b");
}

#[tokio::test]
async fn listeners_come_and_go_with_the_configuration_and_paths_stay() {
    let primary = backend("primary");
    let folder = std::env::temp_dir().join(format!("bascule-{:08x}", fastrand::u32(..)));
    fs::create_dir(&folder).unwrap();
    let path = folder.join("clients.sock");
    let (gone, new) = (free_address(), free_address());
    let proxy = Setup::tiers(&[&primary])
        .with("listeners.local", json!({ "address": format!("unix:{}", path.display()) }))
        .with("listeners.gone", json!({ "address": gone.to_string() }))
        .start()
        .await;
    let mut config: Value = serde_json::from_str(&proxy.config()).unwrap();
    config["listeners"].as_object_mut().unwrap().remove("gone");
    config["listeners"]["new"] = json!({ "address": new.to_string() });
    fs::write(proxy.config_file(), config.to_string()).unwrap();
    let before = proxy.sidecar("/process").await["pid"].clone();
    upgrade(&proxy).await;
    self::gone(&before).await;
    let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let mut stream = tokio::io::BufReader::new(stream);
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET /api/data HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    let mut line = String::new();
    soon(tokio::io::AsyncBufReadExt::read_line(&mut stream, &mut line)).await.unwrap();
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    assert_eq!(try_ask(new, "GET", "/api/data", &[], "").await.unwrap().status, 200);
    assert!(TcpStream::connect(gone).await.is_err());
    fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn an_operator_can_keep_traffic_away_from_a_process() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    for (path, is_ready) in [("/drain", false), ("/drain", false), ("/undrain", true)] {
        let answer = try_ask(proxy.admin, "POST", path, &[], "{}").await.unwrap();
        let changed = answer.json();
        assert_eq!((answer.status, &changed["process"]["is_ready"]), (200, &is_ready.into()));
        assert_eq!(changed["process"]["state"], "serving");
        let ready = try_ask(proxy.admin, "GET", "/readyz", &[], "").await.unwrap();
        assert_eq!(ready.status == 200, is_ready);
        assert_eq!(proxy.get("/api/data").await.status, 200, "what comes is served");
    }
    let wrong = try_ask(proxy.admin, "POST", "/drain", &[], r#"{"wait":"1s"}"#).await.unwrap();
    assert_eq!((wrong.status, &wrong.json()["error"]["code"]), (400, &json!("unknown_key")));
}

/// A proxy whose program was called by a link, which leads elsewhere later.
struct Linked {
    proxy: Proxy,
    link: PathBuf,
}

impl Linked {
    async fn start(setup: Setup) -> Self {
        let link = crate::proxy::folder().join("bascule");
        symlink(env!("CARGO_BIN_EXE_bascule"), &link).unwrap();
        let proxy = Proxy::start_by(setup, |args| program_at(&link, args)).await;
        Self { proxy, link }
    }

    fn lead_to(&self, program: &str) {
        fs::remove_file(&self.link).unwrap();
        symlink(program, &self.link).unwrap();
    }

    fn script(&self, text: &str) -> String {
        let path = self.link.with_extension("sh");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&path, mode).unwrap();
        path.display().to_string()
    }

    async fn fails(&self, reason: &str) {
        let answer = try_ask(self.proxy.admin, "POST", "/upgrade", &[], "").await.unwrap();
        let error = answer.json()["error"].clone();
        assert_eq!((answer.status, &error["code"]), (500, &json!("upgrade_failed")));
        assert!(error["message"].as_str().unwrap().contains(reason), "{error}");
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        if let Some(folder) = self.link.parent() {
            _ = fs::remove_dir_all(folder);
        }
    }
}
