//! The edge: who may connect, how long a client may take, and what of it reaches a backend.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use crate::{
    client::{Raw, soon, until},
    proxy::{Proxy, folder},
    setup::{Setup, backend},
};

const REQUEST: &str = "GET /api/data HTTP/1.1\r\nhost: x\r\n\r\n";

async fn started(
    key: &str,
    value: impl Into<serde_json::Value>,
) -> (bascule_backend::Running, Proxy) {
    let backend = backend("a");
    let proxy = Setup::tiers(&[&backend]).with(key, value).start().await;
    (backend, proxy)
}

/// Sends these bytes. Returns the status that they are answered with, and asserts that the
/// connection ends and says so.
async fn refused(proxy: &Proxy, bytes: &[u8]) -> String {
    let mut raw = proxy.connect().await;
    raw.send(bytes).await;
    let text = String::from_utf8(raw.rest().await.unwrap()).unwrap();
    assert!(text.contains("Connection: close\r\n"), "{text}");
    assert!(text.contains("\"remedy\""), "{text}");
    text.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn what_has_two_readings_is_refused_and_reaches_no_backend() {
    let (backend, proxy) = started("threads", 2).await;
    for (bytes, status) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "400"),
        (b"GET / HTTP/1.1\nHost: x\n\n", "400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", "400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", "400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501"),
        (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", "405"),
        (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", "505"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400"),
    ] {
        assert_eq!(refused(&proxy, bytes).await, status, "{:?}", bytes.escape_ascii().to_string());
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(9000));
    assert_eq!(refused(&proxy, long.as_bytes()).await, "414");
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(101));
    assert_eq!(refused(&proxy, many.as_bytes()).await, "431");
    let series = r#"bascule_requests_refused_total{listener="public",reason="length"}"#;
    assert_eq!(proxy.metric(series).await, 2.0);
    assert_eq!(proxy.get("/api/data").await.status, 200);
    drop(backend);
}

#[tokio::test]
async fn a_head_request_that_is_refused_is_answered_without_a_body() {
    let (_backend, proxy) = started("threads", 2).await;
    for rest in ["HTTP/1.1\r\n\r\n", "HTTP/3.0\r\nHost: x\r\n\r\n"] {
        let mut raw = proxy.connect().await;
        raw.send(format!("HEAD / {rest}")).await;
        let text = String::from_utf8(raw.rest().await.unwrap()).unwrap();
        assert!(text.starts_with("HTTP/1.1 ") && text.ends_with("\r\n\r\n"), "{text}");
        assert!(text.contains("Content-Length: ") && !text.contains("Content-Length: 0"), "{text}");
    }
}

#[tokio::test]
async fn trailers_have_the_bounds_of_headers() {
    let bounds = json!({ "headers": 5, "head": "1KiB", "target": "512B" });
    let (backend, proxy) = started("listeners.public.limits", bounds).await;
    let head =
        "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n";
    for (trailers, status) in [
        ("a: b\r\n".repeat(5), "200"),
        ("a: b\r\n".repeat(6), "431"),
        (format!("a: {}\r\n", "b".repeat(1_000)), "200"),
        (format!("a: {}\r\n", "b".repeat(1_100)), "431"),
    ] {
        let mut raw = proxy.connect().await;
        raw.send(format!("{head}{trailers}\r\n")).await;
        assert_eq!(raw.status().await, status, "{}", trailers.len());
    }
    drop(backend);
}

#[tokio::test]
async fn a_malformed_chunk_ends_the_request_before_its_backend_believes_it() {
    let (_backend, proxy) = started("threads", 2).await;
    let mut raw = proxy.connect().await;
    raw.send(
        "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nX\r\n",
    )
    .await;
    let rest = raw.rest().await.unwrap_or_default();
    let text = String::from_utf8_lossy(&rest);
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 400 "), "{text}");
}

#[tokio::test]
async fn requests_sent_ahead_are_answered_in_order() {
    let (_backend, proxy) = started("threads", 2).await;
    let mut raw = proxy.connect().await;
    let ask = |id: &str, body: &str| {
        format!(
            "POST /echo HTTP/1.1\r\nhost: x\r\nx-request-id: {id}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    // An empty line between requests is skipped, as old clients need it.
    let ahead = format!("{}\r\n{}{}", ask("id-1", "one"), ask("id-2", "twotwo"), ask("id-3", ""));
    raw.send(ahead).await;
    for id in ["id-1", "id-2", "id-3"] {
        let (head, _) = raw.answer().await;
        assert!(head.contains(&format!("x-request-id: {id}\r\n")), "{head}");
    }
    raw.send(REQUEST).await;
    assert_eq!(raw.status().await, "200");
}

#[tokio::test]
async fn a_head_that_drips_is_answered_with_408() {
    let (_backend, proxy) = started("listeners.public.timeouts", json!({ "head": "300ms" })).await;
    let mut raw = proxy.connect().await;
    let mut bytes = b"GET / HTTP/1.1\r\nHost: x\r\nA: ".to_vec();
    bytes.resize(400, b'x');
    let began = Instant::now();
    let dripped = async {
        for byte in bytes {
            if raw.0.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        raw.rest().await
    };
    let answer = dripped.await.unwrap_or_default();
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 408 ") || text.is_empty(), "{text}");
    assert!(Duration::from_millis(300) <= began.elapsed());
    let series = r#"bascule_requests_refused_total{listener="public",reason="too_slow"}"#;
    proxy.metric_until(series, 1.0).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let (_backend, proxy) = started("listeners.public.timeouts", json!({ "idle": "300ms" })).await;
    let mut unused = proxy.connect().await;
    let mut used = proxy.connect().await;
    used.send(REQUEST).await;
    assert_eq!(used.status().await, "200");
    assert_eq!(used.rest().await.unwrap(), b"");
    assert_eq!(unused.rest().await.unwrap(), b"");
    proxy.metric_until(r#"bascule_connections_open{listener="public"}"#, 0.0).await;
}

#[tokio::test]
async fn a_client_has_so_many_connections_and_others_have_theirs() {
    let limits = json!({ "connections_per_client": 2 });
    let (_backend, proxy) = started("listeners.public.limits", limits).await;
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut raw = Raw::connect_from("127.0.0.2", proxy.public).await;
        raw.send(REQUEST).await;
        assert_eq!(raw.status().await, "200");
        kept.push(raw);
    }
    let mut third = Raw::connect_from("127.0.0.2", proxy.public).await;
    assert_eq!(third.rest().await.unwrap_or_default(), b"");
    let mut other = Raw::connect_from("127.0.0.3", proxy.public).await;
    other.send(REQUEST).await;
    assert_eq!(other.status().await, "200");
    kept.clear();
    until(async || {
        let mut again = Raw::connect_from("127.0.0.2", proxy.public).await;
        _ = again.0.write_all(REQUEST.as_bytes()).await;
        let mut piece = [0; 12];
        match soon(again.0.read_exact(&mut piece)).await {
            Ok(_) if piece.ends_with(b"200") => Ok(()),
            seen => Err(format!("{seen:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn beyond_the_bound_clients_wait_for_a_connection_to_end() {
    let (_backend, proxy) = started("listeners.public.limits", json!({ "connections": 1 })).await;
    let mut first = proxy.connect().await;
    first.send(REQUEST).await;
    assert_eq!(first.status().await, "200");
    let mut second = proxy.connect().await;
    second.send(REQUEST).await;
    // Both are still asked in order: the first is served on while the second waits.
    first.send(REQUEST).await;
    assert_eq!(first.status().await, "200");
    drop(first);
    assert_eq!(second.status().await, "200");
}

/// What the backend is told of the client of this request.
async fn seen_client(raw: &mut Raw) -> String {
    raw.get("/echo", "").await;
    let (_, body) = raw.answer().await;
    let echo: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let headers = echo["headers"].as_array().unwrap();
    let of_name = headers.iter().find(|it| it[0] == "x-forwarded-for").unwrap();
    of_name[1].as_str().unwrap().to_owned()
}

fn proxy_header_2(from: [u8; 4]) -> Vec<u8> {
    let start = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c";
    [&start[..], &from, &[127, 0, 0, 1, 0x10, 0, 0x20, 0]].concat()
}

#[tokio::test]
async fn a_trusted_peer_says_who_the_client_is() {
    let backend = backend("a");
    let proxy = Setup::tiers(&[&backend])
        .with("listeners.public.proxy_protocol", "accept")
        .with("listeners.public.trusted_proxies", json!(["127.0.0.1"]))
        .start()
        .await;
    let mut first = proxy.connect().await;
    first.send("PROXY TCP4 192.0.2.7 127.0.0.1 4000 80\r\n").await;
    assert_eq!(seen_client(&mut first).await, "192.0.2.7");
    assert_eq!(seen_client(&mut first).await, "192.0.2.7");
    let mut second = proxy.connect().await;
    second.send(proxy_header_2([192, 0, 2, 8])).await;
    assert_eq!(seen_client(&mut second).await, "192.0.2.8");
    let mut none = proxy.connect().await;
    assert_eq!(seen_client(&mut none).await, "127.0.0.1");
    // Whoever is not trusted is not listened to.
    let mut stranger = Raw::connect_from("127.0.0.2", proxy.public).await;
    stranger.send("PROXY TCP4 192.0.2.7 127.0.0.1 4000 80\r\n\r\n").await;
    assert!(stranger.head().await.starts_with("http/1.1 400 "));
}

#[tokio::test]
async fn where_a_proxy_header_is_required_nobody_is_served_without() {
    let backend = backend("a");
    let proxy = Setup::tiers(&[&backend])
        .with("listeners.public.proxy_protocol", "require")
        .with("listeners.public.trusted_proxies", json!(["127.0.0.1"]))
        .start()
        .await;
    let mut said = proxy.connect().await;
    said.send(proxy_header_2([192, 0, 2, 9])).await;
    assert_eq!(seen_client(&mut said).await, "192.0.2.9");
    for bytes in [REQUEST, "PROXY TCP4 nonsense\r\n"] {
        let mut raw = proxy.connect().await;
        raw.send(bytes).await;
        assert_eq!(raw.rest().await.unwrap_or_default(), b"", "{bytes}");
    }
    let mut stranger = Raw::connect_from("127.0.0.2", proxy.public).await;
    assert_eq!(stranger.rest().await.unwrap_or_default(), b"");
}

#[tokio::test]
async fn a_unix_socket_is_served_and_replaces_what_a_process_has_left_behind() {
    let backend = backend("a");
    let path = folder().join("s");
    // Dropped without being removed, as by a process that was killed.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let address = format!("unix:{}", path.display());
    let proxy = Setup::tiers(&[&backend])
        .with("listeners.local", json!({ "address": address }))
        .start()
        .await;
    let mut stream = soon(UnixStream::connect(&path)).await.unwrap();
    stream.write_all(REQUEST.as_bytes()).await.unwrap();
    let mut piece = [0; 12];
    soon(stream.read_exact(&mut piece)).await.unwrap();
    assert_eq!(&piece, b"HTTP/1.1 200");
    let series = r#"bascule_connections_total{listener="local"}"#;
    assert_eq!(proxy.metric(series).await, 1.0);
}

#[tokio::test]
async fn http2_with_prior_knowledge_shares_the_port_with_http1() {
    let (_backend, proxy) = started("threads", 2).await;
    let stream = proxy.connect().await.0;
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    let driver = tokio::spawn(connection);
    for id in ["h-1", "h-2"] {
        let request = http::Request::post(format!("http://x.example/echo?{id}"))
            .header("x-request-id", id)
            .body(())
            .unwrap();
        let (response, mut body) = client.send_request(request, false).unwrap();
        body.send_data(Bytes::from_static(b"hello"), true).unwrap();
        let response = soon(response).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["x-request-id"], id);
        let mut body = response.into_body();
        while let Some(data) = soon(body.data()).await {
            let length = data.unwrap().len();
            body.flow_control().release_capacity(length).unwrap();
        }
    }
    drop(client);
    driver.abort();
    // The shortest of HTTP/1 requests, which has fewer bytes than HTTP/2's preface.
    let mut raw = proxy.connect().await;
    raw.send("OPTIONS / HTTP/1.0\r\n\r\n").await;
    assert!(raw.head().await.starts_with("http/1.1 "));
}
