//! Backends that are asked in HTTP/2, and understand nothing else.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, RecvStream, server::SendResponse};
use http::{Request, Response};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{client::until, setup::Setup};

/// A backend that speaks HTTP/2 with prior knowledge, and does with a request what its path says.
pub(crate) struct Http2Backend {
    pub(crate) addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// Of these, those that are open.
    open: Arc<AtomicUsize>,
    /// `method path` of what was executed, in order; checks left out.
    executed: Arc<Mutex<Vec<String>>>,
    refusals: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl Http2Backend {
    pub(crate) async fn new(name: &'static str) -> Self {
        Self::admitting(name, 100).await
    }

    /// One that admits so many requests at a time on a connection.
    async fn admitting(name: &'static str, streams: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let executed: Arc<Mutex<Vec<String>>> = Arc::default();
        let refusals = Arc::new(AtomicUsize::new(0));
        let open = Arc::new(AtomicUsize::new(0));
        let mut task = JoinSet::new();
        let (seen, done, left) =
            (Arc::clone(&connections), Arc::clone(&executed), Arc::clone(&refusals));
        let counted = Arc::clone(&open);
        task.spawn(async move {
            let mut all = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (seen, done, left) = (Arc::clone(&seen), Arc::clone(&done), Arc::clone(&left));
                let counted = Arc::clone(&counted);
                all.spawn(async move {
                    let mut builder = h2::server::Builder::new();
                    let accepted = builder.max_concurrent_streams(streams).handshake(stream);
                    let Ok(mut connection) = accepted.await else { return };
                    let mut legs = JoinSet::new();
                    let mut is_counted = false;
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        if request.uri().path() != "/health" && !is_counted {
                            is_counted = true;
                            seen.fetch_add(1, Relaxed);
                            counted.fetch_add(1, Relaxed);
                        }
                        let (done, left) = (Arc::clone(&done), Arc::clone(&left));
                        legs.spawn(answer(name, request, respond, done, left));
                    }
                    counted.fetch_sub(usize::from(is_counted), Relaxed);
                });
            }
        });
        Self { addr, connections, open, executed, refusals, _task: task }
    }

    fn executed(&self) -> Vec<String> {
        self.executed.lock().unwrap().clone()
    }
}

async fn answer(
    name: &'static str,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    executed: Arc<Mutex<Vec<String>>>,
    refusals: Arc<AtomicUsize>,
) {
    let (parts, mut body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    if path == "/refuse" && refusals.fetch_update(Relaxed, Relaxed, |it| it.checked_sub(1)).is_ok()
    {
        respond.send_reset(Reason::REFUSED_STREAM);
        return;
    }
    if path != "/health" {
        executed.lock().unwrap().push(format!("{} {path}", parts.method));
    }
    if path == "/reset" {
        respond.send_reset(Reason::INTERNAL_ERROR);
        return;
    }
    let mut bytes = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).unwrap();
        bytes.extend_from_slice(&data);
    }
    let host = parts.uri.authority().map_or("", |it| it.as_str());
    let head = Response::builder()
        .header("x-backend", name)
        .header("x-authority", host)
        .header("x-executed", &path)
        .body(())
        .unwrap();
    if path == "/empty" {
        respond.send_response(head, true).unwrap();
        return;
    }
    if path == "/slow" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut send = respond.send_response(head, false).unwrap();
    if path == "/cut" {
        send.send_data("half".into(), false).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        send.send_reset(Reason::INTERNAL_ERROR);
        return;
    }
    send.reserve_capacity(bytes.len());
    _ = send.send_data(bytes.into(), true);
}

pub(crate) fn setup(backends: &[(&str, SocketAddr)]) -> Setup {
    let mut setup = Setup::addresses(backends).with("pools.api.protocol", "http2");
    let check = setup.0["pools"]["api"]["health_check"].as_object_mut().unwrap();
    check.remove("tcp");
    setup
}

#[tokio::test]
async fn many_requests_share_a_connection() {
    let backend = Http2Backend::new("only").await;
    let proxy = setup(&[("only", backend.addr)]).start().await;
    let all = (0..50).map(|_| proxy.ask("POST", "/echo", &[("host", "shop.example")], "body"));
    for answer in futures_util::future::join_all(all).await {
        assert_eq!((answer.status, &answer.body[..]), (200, &b"body"[..]));
        assert_eq!(answer.headers["x-authority"], "shop.example");
        assert_eq!(answer.headers["via"], "2 bascule");
    }
    for _ in 0..20 {
        assert_eq!(proxy.get("/echo").await.status, 200);
    }
    // Those that come while it is being made wait for it.
    assert_eq!(backend.connections.load(Relaxed), 1);
}

#[tokio::test]
async fn connections_that_nobody_needs_any_more_are_closed() {
    let backend = Http2Backend::admitting("only", 2).await;
    let proxy =
        setup(&[("only", backend.addr)]).with("pools.api.timeouts.idle", "500ms").start().await;
    let all = (0..20).map(|_| proxy.get("/slow"));
    for answer in futures_util::future::join_all(all).await {
        assert_eq!(answer.status, 200);
    }
    assert!(1 < backend.connections.load(Relaxed));
    until(async || match backend.open.load(Relaxed) {
        0 => Ok(()),
        open => Err(format!("{open} open")),
    })
    .await;
    assert_eq!(proxy.get("/echo").await.status, 200);
}

/// Many at once for few places: who finds a place taken finds another.
#[tokio::test]
async fn a_place_that_somebody_else_got_is_no_failure_of_the_backend() {
    let backend = Http2Backend::admitting("only", 1).await;
    let proxy = setup(&[("only", backend.addr)]).start().await;
    for _ in 0..5 {
        let all = (0..60).map(|_| proxy.ask("POST", "/slow", &[], "body"));
        for answer in futures_util::future::join_all(all).await {
            assert_eq!((answer.status, &answer.body[..]), (200, &b"body"[..]));
        }
    }
    assert_eq!(proxy.pool().await["backends"][0]["failures"], 0);
    assert_eq!(backend.executed().len(), 300);
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_is_its_clients_fault() {
    let backend = Http2Backend::new("only").await;
    let proxy = setup(&[("only", backend.addr)]).start().await;
    for request in [
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: [\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: u@x\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nconnection: host\r\n\r\n",
    ] {
        for _ in 0..10 {
            let mut raw = proxy.connect().await;
            raw.send(request).await;
            let head = raw.head().await;
            assert!(head.contains(" 400 "), "{request:?}: {head}");
        }
    }
    let pool = proxy.pool().await;
    assert_eq!(
        (&pool["backends"][0]["failures"], &pool["backends"][0]["state"]),
        (&0.into(), &"up".into())
    );
    assert_eq!(proxy.get("/echo").await.status, 200);
}

#[tokio::test]
async fn an_empty_answer_says_that_it_is_empty() {
    let backend = Http2Backend::new("only").await;
    let proxy = setup(&[("only", backend.addr)]).start().await;
    let mut raw = proxy.connect().await;
    for _ in 0..3 {
        raw.get("/empty", "").await;
        let (head, body) = raw.answer().await;
        assert!(head.contains("connection: keep-alive") && body.is_empty(), "{head}");
        raw.send("HEAD /empty HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(!raw.head().await.contains("content-length"));
    }
}

#[tokio::test]
async fn a_long_body_passes_both_ways() {
    let backend = Http2Backend::new("only").await;
    let proxy = setup(&[("only", backend.addr)]).start().await;
    let sent = "0123456789abcdef".repeat(1 << 17);
    let answer = proxy.ask("PUT", "/echo", &[], sent.clone()).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body == sent.as_bytes(), "{} bytes came back", answer.body.len());
}

#[tokio::test]
async fn a_refused_post_is_sent_again_and_executed_once() {
    let (first, second) = (Http2Backend::new("first").await, Http2Backend::new("second").await);
    let proxy = setup(&[("first", first.addr), ("second", second.addr)]).start().await;
    first.refusals.store(1, Relaxed);
    let answer = proxy.ask("POST", "/refuse", &[], "body").await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"body"[..]));
    assert_eq!([first.executed(), second.executed()].concat(), ["POST /refuse"]);
}

#[tokio::test]
async fn what_may_have_been_executed_is_sent_again_only_if_it_may_be() {
    let (first, second) = (Http2Backend::new("first").await, Http2Backend::new("second").await);
    let start = || setup(&[("first", first.addr), ("second", second.addr)]).start();
    assert_eq!(start().await.ask("POST", "/reset", &[], "").await.status, 502);
    assert_eq!((first.executed().len(), second.executed().len()), (1, 0));
    // Both are asked, and then the first again.
    assert_eq!(start().await.get("/reset").await.status, 502);
    assert_eq!((first.executed().len(), second.executed().len()), (3, 1));
}

#[tokio::test]
async fn a_response_that_breaks_off_is_not_delivered() {
    let (first, second) = (Http2Backend::new("first").await, Http2Backend::new("second").await);
    let start = || setup(&[("first", first.addr), ("second", second.addr)]).start();
    for method in ["GET", "POST"] {
        assert_eq!(start().await.ask(method, "/cut", &[], "").await.status, 502, "{method}");
    }
    assert_eq!((first.executed().len(), second.executed().len()), (3, 1));
}
