//! Request bodies: kept and sent again, asked for, refused early, answered while they come.

use std::time::Duration;

use bascule_backend::{Fault, FaultKind, Scope};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    client::{Raw, soon},
    setup::{Setup, backend},
    stub::{Stub, read_head},
};

const MEBIBYTE: usize = 1 << 20;

/// Text that is the same nowhere: a piece that is missing or out of place shows.
fn text(bytes: usize) -> String {
    (0..bytes / 8).map(|line| format!("{line:07}\n")).collect()
}

/// A request with this body, in chunks of an odd size if so wished.
fn put(path: &str, body: &str, is_chunked: bool) -> Vec<u8> {
    let head = format!("PUT {path} HTTP/1.1\r\nhost: x\r\n");
    if !is_chunked {
        return format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes();
    }
    let mut bytes = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for piece in body.as_bytes().chunks(30_011) {
        bytes.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        bytes.extend(piece);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

/// What `/echo` says arrived, by which backend.
async fn echoed(raw: &mut Raw) -> (String, Value) {
    let (head, body) = raw.answer().await;
    let from = head.lines().find_map(|line| line.strip_prefix("x-backend: ")).unwrap_or_default();
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    (from.to_owned(), serde_json::from_slice(&body).unwrap())
}

/// A backend that reads so much of a request and dies.
async fn dying_after(bytes: usize) -> Stub {
    Stub::serving(move |mut stream: TcpStream| async move {
        let mut left = vec![0; bytes];
        _ = stream.read_exact(&mut left).await;
    })
    .await
}

#[tokio::test]
async fn a_long_upload_is_sent_again_wherever_the_backend_dies() {
    let body = text(MEBIBYTE - 100_000);
    for (dies_after, is_chunked) in [
        (0, true),
        (MEBIBYTE / 2, false),
        (MEBIBYTE / 2, true),
        (body.len(), false),
        (body.len(), true),
    ] {
        let (stub, secondary) = (dying_after(dies_after).await, backend("secondary"));
        let proxy = Setup::addresses(&[("stub", stub.addr), ("secondary", secondary.addr())])
            .without_ejection()
            .start()
            .await;
        let mut raw = proxy.connect().await;
        raw.send(put("/echo", &body, is_chunked)).await;
        let (from, seen) = echoed(&mut raw).await;
        assert_eq!(from, "secondary");
        assert!(seen["body"] == body, "{} bytes, chunked={is_chunked}", seen["body_bytes"]);
    }
}

/// Ends of chunks that come by themselves are no pieces, and a backend that gives up in the middle
/// is followed by one that gets everything in order.
#[tokio::test]
async fn an_upload_that_comes_in_shreds_is_sent_again_in_order() {
    // Reads as far as the comma and dies.
    let stub = Stub::serving(|mut stream: TcpStream| async move {
        while stream.read_u8().await.is_ok_and(|it| it != b',') {}
    })
    .await;
    let secondary = backend("secondary");
    for _ in 0..5 {
        let proxy = Setup::addresses(&[("stub", stub.addr), ("secondary", secondary.addr())])
            .without_ejection()
            .start()
            .await;
        let mut raw = proxy.connect().await;
        raw.send("PUT /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await;
        for shred in
            ["5\r\nhello", "\r\n", "1\r\n,", "\r", "\n", "6\r\n worl", "d\r\n", "1\r\n!\r\n"]
        {
            raw.send(shred).await;
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
        raw.send("0\r\n\r\n").await;
        assert_eq!(echoed(&mut raw).await.1["body"], "hello, world!");
    }
}

#[tokio::test]
async fn an_empty_upload_in_chunks_is_sent_again_with_its_end() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).without_ejection().start().await;
    let fault = Fault::new(FaultKind::Reset, Duration::from_secs(60)).in_scope(Scope::Traffic);
    primary.inject(fault).await.unwrap();
    let mut raw = proxy.connect().await;
    raw.send(put("/echo", "", true)).await;
    let (from, seen) = echoed(&mut raw).await;
    assert_eq!((from.as_str(), &seen["body_bytes"]), ("secondary", &0.into()));
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_for_its_body_is_asked_once_whoever_answers() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary]).without_ejection().start().await;
    let fault = Fault::new(FaultKind::Reset, Duration::from_secs(60)).in_scope(Scope::Traffic);
    primary.inject(fault).await.unwrap();
    for (framing, body) in
        [("content-length: 5", "hello"), ("transfer-encoding: chunked", "5\r\nhello\r\n0\r\n\r\n")]
    {
        let mut raw = proxy.connect().await;
        let head = format!("PUT /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n{framing}");
        raw.send(format!("{head}\r\n\r\n")).await;
        assert!(raw.head().await.starts_with("http/1.1 100 "));
        raw.send(body).await;
        let (from, seen) = echoed(&mut raw).await;
        assert_eq!((from.as_str(), &seen["body"]), ("secondary", &"hello".into()), "{framing}");
    }
}

/// An attempt's time is the backend's, not the client's.
#[tokio::test]
async fn an_upload_may_take_longer_than_an_attempt() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary])
        .with("pools.api.retries.per_try_timeout", "500ms")
        .start()
        .await;
    let mut raw = proxy.connect().await;
    raw.send("PUT /delay/100 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await;
    for _ in 0..5 {
        raw.send("5\r\nhello\r\n").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    raw.send("0\r\n\r\n").await;
    let (head, _) = raw.answer().await;
    assert!(head.starts_with("http/1.1 200 ") && head.contains("x-backend: primary"), "{head}");
    assert_eq!(proxy.pool().await["backends"][0]["failures"], 0);
    assert_eq!(secondary.total(), 0);
}

/// A backend that says no to a body before it has come, and then does this.
async fn refusing(and_reads_on: bool) -> Stub {
    Stub::serving(move |mut stream: TcpStream| async move {
        while let Some(head) = read_head(&mut stream).await {
            // Whatever comes after a refusal is a body, even if it looks like a request.
            let words = if head.starts_with("POST ") {
                "HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n"
            } else {
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
            };
            if stream.write_all(words.as_bytes()).await.is_err() {
                return;
            }
            if head.starts_with("POST ") {
                if and_reads_on {
                    _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                }
                return;
            }
        }
    })
    .await
}

#[tokio::test]
async fn an_answer_that_comes_before_the_body_is_passed_on() {
    for and_reads_on in [true, false] {
        let stub = refusing(and_reads_on).await;
        let proxy = Setup::addresses(&[("stub", stub.addr)]).without_ejection().start().await;
        for framing in ["content-length: 500000", "transfer-encoding: chunked"] {
            let mut raw = proxy.connect().await;
            let head = format!("POST / HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n");
            raw.send(format!("{head}5\r\nhello\r\n")).await;
            let head = raw.head().await;
            assert!(head.starts_with("http/1.1 413 "), "{framing} {and_reads_on}: {head}");
            assert!(head.contains("connection: close"), "{head}");
            // The rest of the body is still owed on that connection: nothing else may ride on it.
            let next = proxy.get("/").await;
            assert_eq!((next.status, &next.body[..]), (200, &b"ok"[..]), "{framing}");
        }
    }
}

/// The answer is not destroyed by what the client has sent and nobody has read.
#[tokio::test]
async fn a_client_that_sends_all_before_it_reads_hears_an_early_answer() {
    let stub = refusing(true).await;
    let proxy = Setup::addresses(&[("stub", stub.addr)]).without_ejection().start().await;
    for _ in 0..10 {
        let mut raw = proxy.connect().await;
        raw.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 300000\r\n\r\n").await;
        raw.send(vec![b'x'; 100_000]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        // The proxy may have closed by now.
        _ = soon(raw.0.write_all(&vec![b'x'; 200_000])).await;
        let head = raw.head().await;
        assert!(head.starts_with("http/1.1 413 "), "{head}");
    }
}

#[tokio::test]
async fn a_body_is_answered_while_it_comes() {
    let stub = Stub::serving(|mut stream: TcpStream| async move {
        let Some(_) = read_head(&mut stream).await else { return };
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        if stream.write_all(head.as_bytes()).await.is_ok() {
            // What comes is in chunks, and so is what goes.
            let (mut from, mut to) = stream.split();
            _ = tokio::io::copy(&mut from, &mut to).await;
        }
    })
    .await;
    let proxy = Setup::addresses(&[("stub", stub.addr)]).without_ejection().start().await;
    for method in ["POST", "PUT"] {
        let mut raw = proxy.connect().await;
        let head = "/ HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
        raw.send(format!("{method} {head}5\r\nfirst\r\n")).await;
        assert!(raw.head().await.starts_with("http/1.1 200 "));
        assert_eq!(raw.exactly(10).await, b"5\r\nfirst\r\n");
        for word in ["ping", "pong", "last"] {
            raw.send(format!("4\r\n{word}\r\n")).await;
            assert_eq!(raw.exactly(9).await, format!("4\r\n{word}\r\n").into_bytes());
        }
        raw.send("0\r\n\r\n").await;
        assert_eq!(raw.exactly(5).await, b"0\r\n\r\n");
    }
}

/// A second attempt that is answered before all that was kept has been sent to it.
#[tokio::test]
async fn what_was_kept_and_what_still_comes_stay_in_order_under_an_early_answer() {
    let first = dying_after(200_000).await;
    let second = Stub::serving(|mut stream: TcpStream| async move {
        let Some(_) = read_head(&mut stream).await else { return };
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        if stream.write_all(head.as_bytes()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let (mut from, mut to) = stream.split();
            _ = tokio::io::copy(&mut from, &mut to).await;
        }
    })
    .await;
    let proxy = Setup::addresses(&[("first", first.addr), ("second", second.addr)])
        .without_ejection()
        .start()
        .await;
    let raw = proxy.connect().await;
    let body = text(900_000);
    let request = put("/", &body, true);
    let (mut from, mut to) = raw.0.into_split();
    let sending = async {
        let (before, after) = request.split_at(400_000);
        to.write_all(before).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        to.write_all(after).await.unwrap();
    };
    let receiving = async {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n0\r\n\r\n") {
            if from.read_buf(&mut bytes).await.unwrap() == 0 {
                break;
            }
        }
        bytes
    };
    let ((), seen) = soon(async { tokio::join!(sending, receiving) }).await;
    assert!(unchunked(&seen) == body.as_bytes(), "{} bytes seen", seen.len());
}

/// The body of a response in chunks.
fn unchunked(response: &[u8]) -> Vec<u8> {
    let start = response.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
    let (mut rest, mut body) = (&response[start..], Vec::new());
    loop {
        let Some(end) = rest.windows(2).position(|it| it == b"\r\n") else { return body };
        let size = std::str::from_utf8(&rest[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        let Some(data) = rest.get(end + 2..end + 2 + size) else { return body };
        body.extend(data);
        rest = rest.get(end + 4 + size..).unwrap_or_default();
    }
}
