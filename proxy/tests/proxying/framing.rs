//! Framing and hygiene: what each side may hear of the other's connection.

use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    client::{Raw, soon},
    proxy::Proxy,
    setup::{Setup, backend},
    stub::{Stub, read_head, read_request},
};

/// A backend that answers everything with these bytes, and keeps or closes the connection.
async fn saying(words: &'static str, and_closes: bool) -> Stub {
    Stub::serving(move |mut stream: TcpStream| async move {
        while read_request(&mut stream).await.is_some() {
            if stream.write_all(words.as_bytes()).await.is_err() || and_closes {
                return;
            }
        }
    })
    .await
}

/// A backend whose answer is the head that it got.
async fn mirror() -> Stub {
    Stub::serving(|mut stream: TcpStream| async move {
        while let Some(head) = read_head(&mut stream).await {
            let start = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", head.len());
            if stream.write_all((start + &head).as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await
}

async fn before(stub: &Stub) -> Proxy {
    Setup::addresses(&[("stub", stub.addr)]).without_ejection().start().await
}

/// What the backend behind a mirror saw of these bytes; empty if they did not get there.
async fn seen(proxy: &Proxy, bytes: &str) -> String {
    let mut raw = proxy.connect().await;
    raw.send(bytes).await;
    let (head, body) = raw.answer().await;
    let is_seen = head.starts_with("http/1.1 200 ");
    if is_seen { String::from_utf8(body).unwrap() } else { String::new() }
}

#[tokio::test]
async fn interim_responses_reach_who_understands_them() {
    let stub = saying(
        "HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n\
         HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        false,
    )
    .await;
    let proxy = before(&stub).await;
    for method in ["GET", "POST"] {
        let mut raw = proxy.connect().await;
        raw.send(format!("{method} / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")).await;
        let hints = raw.head().await;
        assert!(
            hints.starts_with("http/1.1 103 ") && hints.contains("link: </style.css>"),
            "{hints}"
        );
        let (head, body) = raw.answer().await;
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        assert_eq!(body, b"ok");
    }
    let mut old = proxy.connect().await;
    old.send("GET / HTTP/1.0\r\n\r\n").await;
    let bytes = String::from_utf8(old.rest().await.unwrap()).unwrap();
    assert!(bytes.contains(" 200 ") && !bytes.contains("103"), "{bytes}");
}

#[tokio::test]
async fn a_body_that_ends_with_its_connection_arrives_whole() {
    for words in ["HTTP/1.1 200 OK\r\n\r\nhello", "HTTP/1.0 200 OK\r\n\r\nhello"] {
        let stub = saying(words, true).await;
        let proxy = before(&stub).await;
        let mut raw = proxy.connect().await;
        for _ in 0..2 {
            raw.get("/", "").await;
            let head = raw.head().await;
            assert!(head.contains("transfer-encoding: chunked"), "{head}");
            assert_eq!(raw.exactly(15).await, b"5\r\nhello\r\n0\r\n\r\n");
        }
        let mut old = proxy.connect().await;
        old.send("GET / HTTP/1.0\r\n\r\n").await;
        let bytes = String::from_utf8(old.rest().await.unwrap()).unwrap();
        assert!(bytes.ends_with("\r\n\r\nhello") && !bytes.contains("chunked"), "{bytes}");
    }
}

#[tokio::test]
async fn answers_that_have_no_body_have_none_whatever_they_say() {
    for words in [
        "HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\netag: \"a\"\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    ] {
        let stub = saying(words, false).await;
        let proxy = before(&stub).await;
        let mut raw = proxy.connect().await;
        for _ in 0..3 {
            raw.get("/", "").await;
            let head = raw.head().await;
            assert!(head.starts_with(&words[..12].to_ascii_lowercase()), "{head}");
        }
    }
    let stub = saying("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", false).await;
    let proxy = before(&stub).await;
    for version in ["1.1", "1.0"] {
        let mut raw = proxy.connect().await;
        raw.send(format!("HEAD / HTTP/{version}\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
        let bytes = String::from_utf8(raw.rest().await.unwrap()).unwrap();
        assert!(bytes.contains(" 200 ") && bytes.ends_with("\r\n\r\n"), "{bytes}");
    }
}

#[tokio::test]
async fn what_concerns_the_backends_connection_stays_there() {
    let stub = saying(
        "HTTP/1.1 200 OK\r\nconnection: keep-alive, x-internal\r\nkeep-alive: timeout=5\r\n\
         x-internal: 1\r\nproxy-connection: close\r\nupgrade: h2c\r\nx-end: 1\r\n\
         content-length: 2\r\n\r\nok",
        false,
    )
    .await;
    let proxy = before(&stub).await;
    let mut raw = proxy.connect().await;
    raw.get("/", "").await;
    let (head, _) = raw.answer().await;
    for name in ["x-internal:", "\nkeep-alive:", "proxy-connection:", "upgrade:"] {
        assert!(!head.contains(name), "{name} in {head}");
    }
    assert!(head.contains("x-end: 1"), "{head}");
}

#[tokio::test]
async fn a_message_told_to_be_long_in_two_ways_has_one_length_behind_the_proxy() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    let mut raw = proxy.connect().await;
    raw.send(
        "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n\
         5\r\nhello\r\n0\r\n\r\nGET /status/404 HTTP/1.1\r\nhost: x\r\n\r\n",
    )
    .await;
    let bytes = String::from_utf8(raw.rest().await.unwrap_or_default()).unwrap();
    // Read as chunks and the connection closed, or refused: what follows is no request.
    assert_eq!(bytes.matches("HTTP/1.1 ").count(), 1, "{bytes}");
    if bytes.starts_with("HTTP/1.1 200 ") {
        assert!(bytes.contains(r#""body":"hello""#) && !bytes.contains(r#""content-length""#));
    }
    assert!(primary.total() <= 1);
}

/// What is left when only the chunks are taken off would be taken for the content.
#[tokio::test]
async fn a_body_in_another_transfer_coding_is_not_passed_on() {
    let stub = mirror().await;
    let proxy = before(&stub).await;
    for coding in ["gzip, chunked", "gzip\r\ntransfer-encoding: chunked", "identity"] {
        let head = format!("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: {coding}\r\n\r\n");
        let mut raw = proxy.connect().await;
        raw.send(head + "5\r\nhello\r\n0\r\n\r\n").await;
        let head = raw.head().await;
        assert!(!head.contains(" 200 ") && head.contains("connection: close"), "{coding}: {head}");
    }
}

#[tokio::test]
async fn the_length_of_an_answer_is_told_once() {
    for told in ["content-length: 2, 2", "content-length: 2\r\nContent-Length: 2"] {
        let words = format!("HTTP/1.1 200 OK\r\n{told}\r\n\r\nok").leak();
        let stub = saying(words, false).await;
        let proxy = before(&stub).await;
        let mut raw = proxy.connect().await;
        for _ in 0..2 {
            raw.get("/", "").await;
            let head = raw.head().await;
            let lengths: Vec<_> =
                head.lines().filter(|it| it.starts_with("content-length")).collect();
            assert_eq!(lengths, ["content-length: 2"], "{told}");
            assert_eq!(raw.exactly(2).await, b"ok");
        }
    }
}

/// A backend must see what makes the request repeatable.
#[tokio::test]
async fn a_client_cannot_keep_its_idempotency_key_from_backends() {
    let stub = mirror().await;
    let proxy = before(&stub).await;
    let key = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nidempotency-key: 1\r\n";
    let seen_of = async |bytes: String| seen(&proxy, &bytes).await;
    assert!(seen_of(format!("{key}\r\n")).await.contains("idempotency-key: 1"));
    assert_eq!(seen_of(format!("{key}connection: idempotency-key\r\n\r\n")).await, "");
}

#[tokio::test]
async fn a_host_is_named_once() {
    let stub = mirror().await;
    let proxy = before(&stub).await;
    let seen_of = async |bytes: &str| seen(&proxy, bytes).await;
    let both = "GET http://shop.example/a?b HTTP/1.1\r\nhost: shop.example\r\n\r\n";
    let both = seen_of(both).await;
    assert!(both.starts_with("GET /a?b HTTP/1.1\r\n"), "{both}");
    let hosts: Vec<_> = both.lines().filter(|it| it.to_lowercase().starts_with("host:")).collect();
    assert_eq!(hosts, ["Host: shop.example"]);
    for (target, several) in [
        ("/", "host: a\r\nhost: b\r\n"),
        ("/", "host: a\r\nHost: a\r\n"),
        ("/", "host: a, b\r\n"),
        ("/", "host: a/b\r\n"),
        ("http://shop.example/", "host: other.example\r\n"),
    ] {
        let bytes = format!("GET {target} HTTP/1.1\r\n{several}\r\n");
        assert_eq!(seen_of(&bytes).await, "", "{target} {several:?}");
    }
}

#[tokio::test]
async fn names_keep_their_case_both_ways() {
    let stub = mirror().await;
    let proxy = before(&stub).await;
    let seen =
        seen(&proxy, "GET / HTTP/1.1\r\nHost: x\r\nX-CamelCase: 1\r\nx-lower: 2\r\n\r\n").await;
    assert!(
        seen.contains("\r\nX-CamelCase: 1\r\n") && seen.contains("\r\nx-lower: 2\r\n"),
        "{seen}"
    );
    let stub =
        saying("HTTP/1.1 200 OK\r\nX-CamelCase: 1\r\nContent-Length: 0\r\n\r\n", false).await;
    let proxy = before(&stub).await;
    let mut raw = proxy.connect().await;
    raw.get("/", "connection: close\r\n").await;
    let bytes = String::from_utf8(raw.rest().await.unwrap()).unwrap();
    assert!(bytes.contains("\r\nX-CamelCase: 1\r\n"), "{bytes}");
}

#[tokio::test]
async fn a_connection_outlives_the_errors_of_backends() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).without_ejection().start().await;
    let mut raw = proxy.connect().await;
    for status in ["503", "404", "500", "200"] {
        raw.get(&format!("/status/{status}"), "").await;
        assert_eq!(raw.status().await, status);
    }
}

/// Requests sent without waiting for answers (RFC 9112 §9.3.2).
#[tokio::test]
async fn requests_in_a_row_are_answered_in_a_row() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    // In one piece, then the second while the first is waited for.
    let mut raw = proxy.connect().await;
    raw.send(ask("/status/201") + &ask("/status/202") + &ask("/status/203")).await;
    for status in ["201", "202", "203"] {
        assert_eq!(raw.status().await, status);
    }
    let mut raw = proxy.connect().await;
    raw.send(ask("/delay/200")).await;
    soon(primary.received_at_least(4)).await;
    raw.send(ask("/status/202")).await;
    for status in ["200", "202"] {
        assert_eq!(raw.status().await, status);
    }
    let mut raw: Raw = proxy.connect().await;
    let post = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello";
    raw.send(post.to_owned() + &ask("/status/202")).await;
    for status in ["200", "202"] {
        assert_eq!(raw.status().await, status);
    }
}
