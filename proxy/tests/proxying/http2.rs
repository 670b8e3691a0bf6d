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

use crate::setup::Setup;

/// A backend that speaks HTTP/2 with prior knowledge, and does with a request what its path says.
pub(crate) struct Http2Backend {
    pub(crate) addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// `method path` of what was executed, in order; checks left out.
    executed: Arc<Mutex<Vec<String>>>,
    refusals: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl Http2Backend {
    pub(crate) async fn new(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let executed: Arc<Mutex<Vec<String>>> = Arc::default();
        let refusals = Arc::new(AtomicUsize::new(0));
        let mut task = JoinSet::new();
        let (seen, done, left) =
            (Arc::clone(&connections), Arc::clone(&executed), Arc::clone(&refusals));
        task.spawn(async move {
            let mut all = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (seen, done, left) = (Arc::clone(&seen), Arc::clone(&done), Arc::clone(&left));
                all.spawn(async move {
                    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                    let mut legs = JoinSet::new();
                    let mut is_counted = false;
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        if request.uri().path() != "/health" && !is_counted {
                            is_counted = true;
                            seen.fetch_add(1, Relaxed);
                        }
                        let (done, left) = (Arc::clone(&done), Arc::clone(&left));
                        legs.spawn(answer(name, request, respond, done, left));
                    }
                });
            }
        });
        Self { addr, connections, executed, refusals, _task: task }
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

fn setup(backends: &[(&str, SocketAddr)]) -> Setup {
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
    // As many as were begun before the first was there, at most.
    assert!(backend.connections.load(Relaxed) <= 50);
    let before = backend.connections.load(Relaxed);
    for _ in 0..20 {
        assert_eq!(proxy.get("/echo").await.status, 200);
    }
    assert_eq!(backend.connections.load(Relaxed), before);
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
