//! Bodies and their framing, both ways.

use bascule_backend::fill;

use crate::setup::{Setup, backend};

const MEGABYTE: usize = 1 << 20;

/// Text that is the same nowhere: a piece that is missing or out of place shows.
fn text(bytes: usize) -> String {
    let mut text: String = (0..bytes / 8).map(|line| format!("{line:07}\n")).collect();
    text.extend(std::iter::repeat_n('.', bytes - text.len()));
    text
}

fn blob(from: usize, to: usize) -> Vec<u8> {
    let mut bytes = vec![0; to - from];
    fill(from as u64, &mut bytes);
    bytes
}

#[tokio::test]
async fn large_bodies_arrive_byte_for_byte_in_both_directions() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    let sent = text(3 * MEGABYTE + 5);
    let answer = proxy.ask("POST", "/echo", &[], sent.clone()).await;
    // Compared as a whole, because a difference of megabytes is no message.
    assert!(answer.json()["body"] == sent);
    for size in [0, 1, 65_535, 65_536, 65_537, 5 * MEGABYTE + 3] {
        for framing in ["false", "true"] {
            let answer = proxy.get(&format!("/blob?size={size}&chunked={framing}")).await;
            assert!(answer.body == blob(0, size), "{size} chunked={framing}");
        }
    }
}

#[tokio::test]
async fn a_chunked_upload_arrives_whole() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    let mut raw = proxy.connect().await;
    raw.send("POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let sent = text(200_000);
    for piece in sent.as_bytes().chunks(30_011) {
        raw.send(format!("{:x}\r\n", piece.len())).await;
        raw.send(piece).await;
        raw.send("\r\n").await;
    }
    raw.send("0\r\n\r\n").await;
    let (head, body) = raw.answer().await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(serde_json::from_slice::<serde_json::Value>(&body).unwrap()["body"] == sent);
}

#[tokio::test]
async fn answers_without_a_body_leave_the_connection_in_step() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    let mut raw = proxy.connect().await;
    raw.send("HEAD /blob?size=1000 HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let head = raw.head().await;
    assert!(head.contains("\r\ncontent-length: 1000\r\n"), "{head}");
    for code in ["204", "304"] {
        raw.get(&format!("/status/{code}"), "").await;
        let head = raw.head().await;
        assert!(head.starts_with(&format!("http/1.1 {code} ")), "{head}");
        assert!(!head.contains("transfer-encoding"), "{head}");
    }
    raw.get("/blob?size=10", "").await;
    assert_eq!(raw.answer().await.1, blob(0, 10));
}

#[tokio::test]
async fn a_part_is_asked_for_and_answered_as_a_part() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    let part = proxy.ask("GET", "/blob?size=1000", &[("range", "bytes=100-199")], "").await;
    assert_eq!((part.status, part.header("content-range")), (206, "bytes 100-199/1000"));
    assert_eq!(part.body, blob(100, 200));
    let stale = [("range", "bytes=100-199"), ("if-range", "\"other\"")];
    let whole = proxy.ask("GET", "/blob?size=1000", &stale, "").await;
    assert_eq!((whole.status, whole.body.len()), (200, 1000));
    let beyond = proxy.ask("GET", "/blob?size=1000", &[("range", "bytes=1000-")], "").await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */1000"));
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_hears_it() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    let mut raw = proxy.connect().await;
    let expecting = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\
                     expect: 100-continue\r\n\r\n";
    raw.send(expecting).await;
    assert!(raw.head().await.starts_with("http/1.1 100 "));
    raw.send("hello").await;
    let (head, body) = raw.answer().await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap()["body"], "hello");
}

#[tokio::test]
async fn a_client_of_http_1_0_is_answered_and_let_go() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    let mut raw = proxy.connect().await;
    raw.send("GET /blob?size=100&chunked=true HTTP/1.0\r\n\r\n").await;
    let bytes = raw.rest().await.unwrap();
    assert!(bytes.ends_with(&blob(0, 100)), "{:?}", String::from_utf8_lossy(&bytes));
}
