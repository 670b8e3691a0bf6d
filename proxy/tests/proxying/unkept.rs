//! Request bodies that may not be kept: they arrive whole, once, or the client hears that they did
//! not.

use std::time::Duration;

use bascule_backend::{Fault, FaultKind, Scope};
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::{
    http2::{self, Http2Backend},
    proxy::Proxy,
    setup::{Setup, backend},
    stub::{Refusing, Stub},
};

/// `replay.size` and `replay.memory`: nothing is kept, little, and everything.
const RULES: [(&str, &str); 4] =
    [("0B", "64MiB"), ("10B", "64MiB"), ("1KiB", "1KiB"), ("1MiB", "64MiB")];

fn keeping(setup: Setup, (size, memory): (&str, &str)) -> Setup {
    setup
        .with("pools.api.retries.replay.size", size)
        .with("pools.api.retries.replay.memory", memory)
}

/// Text that is the same nowhere: a piece that is missing or out of place shows.
fn text(bytes: usize) -> String {
    (0..=bytes / 8).map(|line| format!("{line:07}\n")).collect::<String>()[..bytes].to_owned()
}

/// Sends bodies of several lengths by several methods, on connections that are used again.
async fn assert_whole(proxy: &Proxy, body_of: impl Fn(&bytes::Bytes) -> Vec<u8>) {
    for method in ["POST", "PUT", "GET"] {
        for length in [1, 10, 11, 1000, 60_000, 65_536, 65_537] {
            let sent = text(length);
            let answer = proxy.ask(method, "/echo", &[], sent.clone()).await;
            assert_eq!(answer.status, 200, "{method} {length}: {:?}", answer.body);
            assert!(body_of(&answer.body) == sent.as_bytes(), "{method} {length}");
        }
        assert_eq!(proxy.get("/echo").await.status, 200);
    }
}

/// The body that `/echo` says it got.
fn echoed(answer: &bytes::Bytes) -> Vec<u8> {
    let seen: serde_json::Value = serde_json::from_slice(answer).unwrap();
    seen["body"].as_str().unwrap().as_bytes().to_vec()
}

#[tokio::test]
async fn a_body_that_may_not_be_kept_arrives_whole() {
    let primary = backend("primary");
    for rule in RULES {
        let proxy = keeping(Setup::tiers(&[&primary]), rule).start().await;
        assert_whole(&proxy, echoed).await;
    }
}

#[tokio::test]
async fn a_body_that_may_not_be_kept_arrives_whole_over_http2() {
    let only = Http2Backend::new("only").await;
    for rule in RULES {
        let proxy = keeping(http2::setup(&[("only", only.addr)]), rule).start().await;
        assert_whole(&proxy, |body| body.to_vec()).await;
    }
}

/// Clients that do not go on take the room in which others' bodies would be kept.
#[tokio::test]
async fn bodies_arrive_whole_where_stalled_clients_have_filled_the_memory() {
    let primary = backend("primary");
    let rule = ("64KiB", "70KiB");
    let proxy = keeping(Setup::tiers(&[&primary]), rule).start().await;
    let mut stalled = proxy.connect().await;
    stalled.send("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 65000\r\n\r\nbegun").await;
    assert_whole(&proxy, echoed).await;
}

/// A backend that reads a whole request and dies.
async fn dying() -> Stub {
    Stub::serving(|mut stream: TcpStream| async move {
        let mut read = Vec::new();
        while !read.ends_with(b"end") {
            if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                return;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_body_that_may_not_be_kept_is_sent_elsewhere_only_if_it_was_not_sent() {
    let (refusing, dying) = (Refusing::new(), dying().await);
    let body = text(50_000) + "end";
    for rule in [("0B", "64MiB"), ("1KiB", "1KiB")] {
        for method in ["POST", "PUT"] {
            for (first, status, executed) in [(refusing.addr(), 200, 1), (dying.addr, 502, 0)] {
                let second = backend("second");
                let setup = Setup::addresses(&[("first", first), ("second", second.addr())])
                    .without_ejection()
                    .with("pools.api.tiers", serde_json::json!({}))
                    .with("pools.api.health_check.interval", "60s");
                let proxy = keeping(setup, rule).start().await;
                let answer = proxy.ask(method, "/echo", &[], body.clone()).await;
                assert_eq!(answer.status, status, "{method} {rule:?}: {:?}", answer.body);
                assert_eq!(second.total(), executed);
                if status == 200 {
                    assert!(echoed(&answer.body) == body.as_bytes());
                }
            }
        }
    }
}

/// What waits too long is sent to a second backend as well, but for what cannot be.
#[tokio::test]
async fn only_a_body_that_is_kept_is_sent_to_a_second_backend() {
    for (rule, status) in [(("0B", "64MiB"), 504), (("1MiB", "64MiB"), 200)] {
        let (primary, secondary) = (backend("primary"), backend("secondary"));
        let setup = Setup::tiers(&[&primary, &secondary])
            .without_ejection()
            .with("pools.api.retries.per_try_timeout", "2s");
        let proxy = keeping(setup, rule).start().await;
        for _ in 0..40 {
            assert_eq!(proxy.ask("PUT", "/echo", &[], "warm").await.status, 200);
        }
        let fault = Fault::new(FaultKind::Hang, Duration::from_secs(60)).in_scope(Scope::Traffic);
        primary.inject(fault).await.unwrap();
        let answer = proxy.ask("PUT", "/echo", &[], "hello").await;
        assert_eq!(answer.status, status, "{rule:?}: {:?}", answer.body);
        assert_eq!(secondary.total(), u64::from(status == 200));
    }
}
