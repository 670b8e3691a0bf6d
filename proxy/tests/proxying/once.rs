//! Requests that must not be repeated, over connections that backends close.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use crate::{
    client::soon,
    proxy::Proxy,
    setup::Setup,
    stub::{Stub, read_request, value},
};

/// How often each request was executed, by its id.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<BTreeMap<String, u32>>>);

impl Ledger {
    fn execute(&self, id: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *all.entry(id.to_owned()).or_default() += 1;
    }

    fn all(&self) -> BTreeMap<String, u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A backend that keeps its connections idle for no longer than this.
async fn impatient(ledger: Ledger, patience: Duration) -> Stub {
    Stub::serving(move |mut stream: TcpStream| {
        let ledger = ledger.clone();
        async move {
            let mut head = read_request(&mut stream).await;
            while let Some(asked) = head {
                ledger.execute(value(&asked, "x-request-id"));
                if stream.write_all(OK).await.is_err() || patience.is_zero() {
                    return;
                }
                head = timeout(patience, read_request(&mut stream)).await.unwrap_or(None);
            }
        }
    })
    .await
}

/// One client that posts again and again, with gaps. Returns the statuses it got.
async fn posts(
    proxy: &Proxy,
    client: usize,
    count: usize,
    gap: impl Fn() -> Duration,
) -> Vec<String> {
    let mut raw = proxy.connect().await;
    let mut statuses = Vec::new();
    for number in 0..count {
        let id = format!("{client}-{number}");
        let head = format!("POST / HTTP/1.1\r\nhost: x\r\nx-request-id: {id}\r\n");
        raw.send(format!("{head}content-length: 5\r\n\r\norder")).await;
        let status = raw.status().await;
        if status != "200" {
            // The proxy's own errors end the connection.
            raw = proxy.connect().await;
        }
        statuses.push(status);
        tokio::time::sleep(gap()).await;
    }
    statuses
}

fn assert_each_once(ledger: &Ledger, statuses: &[String], count: usize) {
    let lost: Vec<_> = statuses.iter().enumerate().filter(|it| it.1 != "200").collect();
    assert!(lost.is_empty(), "of {}: {lost:?}", statuses.len());
    let all = ledger.all();
    let twice: Vec<_> = all.iter().filter(|it| *it.1 != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert_eq!(all.len(), count);
}

#[tokio::test]
async fn no_post_is_lost_or_doubled_where_connections_close_after_each_answer() {
    let ledger = Ledger::default();
    let stub = impatient(ledger.clone(), Duration::ZERO).await;
    let proxy = Setup::addresses(&[("stub", stub.addr)]).without_ejection().start().await;
    let gap = || Duration::from_micros(fastrand::u64(0..3000));
    let statuses = posts(&proxy, 0, 500, gap).await;
    assert_each_once(&ledger, &statuses, 500);
}

#[tokio::test]
async fn no_post_is_lost_or_doubled_where_idle_connections_close_soon() {
    let ledger = Ledger::default();
    let stub = impatient(ledger.clone(), Duration::from_millis(50)).await;
    let proxy = Setup::addresses(&[("stub", stub.addr)]).without_ejection().start().await;
    // All around the moment of the close.
    let gap = || Duration::from_micros(fastrand::u64(40_000..56_000));
    let clients = (0..10).map(|client| posts(&proxy, client, 50, gap));
    let statuses = soon(join_all(clients)).await.concat();
    assert_each_once(&ledger, &statuses, 500);
}

#[tokio::test]
async fn a_post_that_was_read_is_not_sent_again_when_its_connection_closes() {
    let ledger = Ledger::default();
    let counts = ledger.clone();
    let stub = Stub::serving(move |mut stream: TcpStream| {
        let ledger = counts.clone();
        async move {
            while let Some(head) = read_request(&mut stream).await {
                ledger.execute(value(&head, "x-request-id"));
                if head.starts_with("POST /close") || stream.write_all(OK).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    let proxy = Setup::addresses(&[("stub", stub.addr)]).without_ejection().start().await;
    for number in 0..20 {
        // On a connection that has carried a request, and on a fresh one.
        let (warm, id) = (format!("warm-{number}"), format!("order-{number}"));
        if number % 2 == 0 {
            assert_eq!(proxy.ask("POST", "/", &[("x-request-id", &warm)], "x").await.status, 200);
        }
        let answer = proxy.ask("POST", "/close", &[("x-request-id", &id)], "an order").await;
        assert_eq!(answer.status, 502, "{id}");
        assert_eq!(ledger.all().get(&id), Some(&1), "{id}");
    }
}
