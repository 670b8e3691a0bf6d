//! Health checks: what they say, and which answers pass.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use http::{HeaderMap, Response};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpListener, sync::mpsc, task::JoinSet};

use crate::{
    client::soon,
    setup::Setup,
    stub::{Stub, read_head, value},
};

fn checked(addr: SocketAddr, check: serde_json::Value) -> Setup {
    let mut setup = Setup::addresses(&[("only", addr)]);
    let section = setup.0["pools"]["api"]["health_check"].as_object_mut().unwrap();
    section.remove("tcp");
    section.extend(check.as_object().unwrap().clone());
    setup
}

/// A backend that answers each request with these words, and what it was asked.
async fn saying(body: &'static str) -> (Stub, mpsc::Receiver<String>) {
    let (sender, receiver) = mpsc::channel(100);
    let stub = Stub::serving(move |mut stream| {
        let sender = sender.clone();
        async move {
            while let Some(head) = read_head(&mut stream).await {
                _ = sender.try_send(head);
                let answer =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                _ = stream.write_all(answer.as_bytes()).await;
            }
        }
    })
    .await;
    (stub, receiver)
}

#[tokio::test]
async fn a_check_asks_for_the_host_and_sends_the_headers_that_were_given() {
    let (stub, mut asked) = saying("all is well").await;
    let check = json!({ "http": {
        "path": "/well", "host": "api.internal", "headers": ["X-Check: bascule"],
    }});
    let _proxy = checked(stub.addr, check).start().await;
    let head = soon(asked.recv()).await.unwrap();
    assert!(head.starts_with("GET /well HTTP/1.1\r\n"), "{head}");
    assert_eq!(value(&head, "host"), "api.internal");
    assert_eq!(value(&head, "x-check"), "bascule");
    assert_eq!(value(&head, "user-agent"), "bascule-health-check");
}

#[tokio::test]
async fn a_body_without_the_text_does_not_pass() {
    let (stub, _asked) = saying("all is well").await;
    let with = |text: &str| json!({ "http": { "body_contains": text } });
    let proxy = checked(stub.addr, with("is well")).start().await;
    assert_eq!(proxy.get("/").await.status, 200);
    let proxy = checked(stub.addr, with("is lost")).start().await;
    let pool = proxy.pool_until(|pool| pool["active_tier"].is_null()).await;
    let check = &pool["backends"][0]["last_check"];
    assert_eq!(check["detail"], "answer is not the one expected");
}

/// A server of gRPC that says of itself what it is told to.
async fn healthy(said: Arc<AtomicU8>) -> (SocketAddr, mpsc::Receiver<Bytes>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::channel(100);
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut all = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let (said, sender) = (Arc::clone(&said), sender.clone());
            all.spawn(async move {
                let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let (said, sender) = (Arc::clone(&said), sender.clone());
                    tokio::spawn(async move {
                        let (parts, mut body) = request.into_parts();
                        assert_eq!(parts.uri.path(), "/grpc.health.v1.Health/Check");
                        assert_eq!(parts.headers["content-type"], "application/grpc");
                        assert_eq!(parts.headers["te"], "trailers");
                        let asked = body.data().await.unwrap().unwrap();
                        _ = sender.try_send(asked);
                        let head = Response::builder().header("content-type", "application/grpc");
                        let mut send =
                            respond.send_response(head.body(()).unwrap(), false).unwrap();
                        let mut trailers = HeaderMap::new();
                        match said.load(Relaxed) {
                            // No such service.
                            5 => trailers.insert("grpc-status", 5.into()),
                            status => {
                                let message = [0, 0, 0, 0, 2, 8, status];
                                send.send_data(message.to_vec().into(), false).unwrap();
                                trailers.insert("grpc-status", 0.into())
                            }
                        };
                        _ = send.send_trailers(trailers);
                    });
                }
            });
        }
    });
    (addr, receiver, task)
}

#[tokio::test]
async fn a_service_of_grpc_is_asked_whether_it_serves() {
    let said = Arc::new(AtomicU8::new(1));
    let (addr, mut asked, _task) = healthy(Arc::clone(&said)).await;
    let check = json!({ "grpc": { "service": "shop" } });
    let proxy = checked(addr, check).with("pools.api.protocol", "http2").start().await;
    proxy.pool_until(|pool| pool["active_tier"] == 0).await;
    assert_eq!(soon(asked.recv()).await.unwrap(), &b"\0\0\0\0\x06\x0a\x04shop"[..]);
    for (status, detail) in [(2, "answer is not the one expected"), (5, "answered 404")] {
        said.store(status, Relaxed);
        let is_so = |pool: &serde_json::Value| {
            pool["active_tier"].is_null() && pool["backends"][0]["last_check"]["detail"] == detail
        };
        proxy.pool_until(is_so).await;
    }
    said.store(1, Relaxed);
    proxy.pool_until(|pool| pool["active_tier"] == 0).await;
}
