//! Responses that reach the client only when they are whole.

use std::time::Duration;

use bascule_backend::{Fault, FaultKind, Percent, Running, Scope};
use futures_util::future::join_all;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    client::{soon, try_ask},
    setup::{Setup, backend},
    stub::{Stub, read_head},
};

async fn cut(backend: &Running, percent: u8) {
    let fault = Fault::new(FaultKind::Truncate, Duration::from_secs(60))
        .in_scope(Scope::Traffic)
        .striking(Percent::new(percent).unwrap());
    backend.inject(fault).await.unwrap();
}

#[tokio::test]
async fn no_get_of_hundreds_meets_a_response_that_was_cut() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary])
        .without_ejection()
        .with("pools.api.retries.budget.min_per_second", 1000)
        .start()
        .await;
    cut(&primary, 20).await;
    for path in ["/blob?size=100", "/blob?size=20000", "/blob?size=20000&chunked=true"] {
        let length = if path.contains("20000") { 20_000 } else { 100 };
        for answer in soon(join_all((0..100).map(|_| proxy.get(path)))).await {
            assert_eq!((answer.status, answer.body.len()), (200, length), "{path}");
        }
    }
    assert!(0 < secondary.total(), "some were cut");
}

#[tokio::test]
async fn a_long_response_that_is_cut_never_looks_whole() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).without_ejection().start().await;
    cut(&primary, 100).await;
    let broken = try_ask(proxy.public, "GET", "/blob?size=300000", &[], "").await;
    assert!(broken.is_err(), "{} bytes", broken.unwrap().body.len());
    assert_eq!(secondary.total(), 0);
}

#[tokio::test]
async fn a_long_response_in_chunks_that_is_cut_never_looks_whole() {
    let stub = Stub::serving(|mut stream: TcpStream| async move {
        if read_head(&mut stream).await.is_some() {
            let start = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n186a0\r\n";
            // At the end of a chunk, where only the last one is missing.
            let words = format!("{start}{}\r\n", "x".repeat(100_000));
            _ = stream.write_all(words.as_bytes()).await;
        }
    })
    .await;
    let secondary = backend("secondary");
    let proxy = Setup::addresses(&[("stub", stub.addr), ("secondary", secondary.addr())])
        .without_ejection()
        .start()
        .await;
    let mut raw = proxy.connect().await;
    raw.get("/", "").await;
    assert!(raw.head().await.contains("transfer-encoding: chunked"));
    let rest = raw.rest().await.unwrap_or_default();
    assert!(!rest.ends_with(b"\r\n0\r\n\r\n"), "{} bytes", rest.len());
    assert_eq!(secondary.total(), 0);
}

/// Each takes memory until it is gone: more in all than there is.
#[tokio::test]
async fn clients_that_leave_take_no_memory_with_them() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).without_ejection().start().await;
    for _ in 0..24 {
        let clients = soon(join_all((0..50).map(|_| async {
            let mut raw = proxy.connect().await;
            raw.get("/blob?size=64000&chunk=60000&pace_ms=2000", "").await;
            raw
        })))
        .await;
        proxy.pool_until(|pool| pool["backends"][0]["in_flight"] == clients.len()).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(clients);
        proxy.pool_until(|pool| pool["backends"][0]["in_flight"] == 0).await;
    }
    cut(&primary, 100).await;
    let answer = proxy.get("/blob?size=60000").await;
    assert_eq!((answer.status, answer.backend()), (200, "secondary"), "there is room to hold back");
    assert_eq!(proxy.pool().await["last_minute"]["lost"], 0);
}
