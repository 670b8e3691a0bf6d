use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use pingora::protocols::http::ServerSession;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;
use crate::{
    client_connection::{ClientConnection, SaidHead},
    edge::stream::tests::connected,
    wire::{
        incoming::{Limits, Scan, inspect},
        request::last_chunk,
        response::BodyLength,
    },
};

const LIMITS: Limits = Limits { head: 4096, headers: 50, target: 1024 };

/// A client that has sent this, and the session of its first request.
async fn begun(sent: &str) -> (TcpStream, ServerSession, Home) {
    let (mut client, mut front) = connected().await;
    client.write_all(sent.as_bytes()).await.unwrap();
    let length = loop {
        poll_fn(|cx| front.poll_fill(cx)).await.unwrap();
        let incoming = front.incoming();
        if let Some(length) = Scan::default().end(incoming, &LIMITS).unwrap() {
            break length;
        }
    };
    let head = inspect(&front.incoming()[..length], &LIMITS).unwrap();
    front.admit(length, head, &LIMITS);
    let home = Home::default();
    let session = Session::begin(Box::new(front), &home, false).unwrap();
    (client, ServerSession::new_custom(session), home)
}

fn head(field: HeaderName, value: &'static str) -> Box<ResponseHeader> {
    let mut header = ResponseHeader::build(200, None).unwrap();
    header.insert_header("date", "now").unwrap();
    header.insert_header(field, value).unwrap();
    Box::new(header)
}

fn end_of(session: ServerSession, home: &Home) -> (End, Box<Front>) {
    drop(session);
    let returned = home.take().unwrap();
    (returned.end, returned.front)
}

#[tokio::test]
async fn a_request_and_its_answer_leave_the_connection_to_the_next() {
    let request = "POST /a?b HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n0\r\nT: 1\r\n\r\nGET /";
    let (mut client, mut session, home) = begun(request).await;
    assert_eq!(session.req_header().raw_path(), b"/a?b");
    let names: Vec<_> = session.req_header().headers.keys().map(|it| it.as_str()).collect();
    assert_eq!(names, ["host", "x-one", "transfer-encoding"]);
    let aside = &ClientConnection::of(session.digest()).unwrap().aside;
    assert_eq!(aside.request().unwrap(), request[..request.find("3\r\n").unwrap()]);
    assert!(!session.is_body_empty());
    assert_eq!(session.read_request_body().await.unwrap().unwrap(), "abc");
    assert!(session.is_body_done());
    assert_eq!(session.read_request_body().await.unwrap(), None);
    session.write_response_header(head(CONTENT_LENGTH, "2")).await.unwrap();
    session.write_response_body(Bytes::from_static(b"ok!"), false).await.unwrap();
    session.finish_body().await.unwrap();
    assert_eq!((session.body_bytes_read(), session.body_bytes_sent()), (3, 2));
    let (end, mut front) = end_of(session, &home);
    assert_eq!((end, front.finish(), &front.incoming()[..]), (End::Kept, true, &b"GET /"[..]));
    let mut read = vec![0; 256];
    let length = client.read(&mut read).await.unwrap();
    let read = String::from_utf8_lossy(&read[..length]).to_lowercase();
    assert!(read.starts_with("http/1.1 200 ok\r\n") && read.ends_with("\r\n\r\nok"), "{read}");
    assert!(read.contains("connection: keep-alive\r\n"), "{read}");
}

#[tokio::test]
async fn the_last_answer_says_that_it_is() {
    for request in [
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: a, Close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        // Its body is still to come.
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab",
    ] {
        let (mut client, mut session, home) = begun(request).await;
        session.write_response_header(head(CONTENT_LENGTH, "0")).await.unwrap();
        session.finish_body().await.unwrap();
        let (end, front) = end_of(session, &home);
        assert_eq!(end, End::Last, "{request}");
        drop(front);
        let mut read = String::new();
        client.read_to_string(&mut read).await.unwrap_or_default();
        assert!(read.contains("onnection: close\r\n"), "{read}");
    }
}

#[tokio::test]
async fn what_is_told_past_the_frame_is_what_the_client_gets() {
    let (mut client, mut session, home) = begun("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let digest = session.digest().unwrap();
    let aside = ClientConnection::of(Some(digest)).unwrap().aside.clone();
    let head_bytes = b"HTTP/1.1 203 Hm\r\nA: b\r\ndate: then\r\nTransfer-Encoding: chunked\r\n";
    aside.say_head(SaidHead { bytes: head_bytes.to_vec(), length: BodyLength::Chunked });
    session.write_response_header(head(TRANSFER_ENCODING, "chunked")).await.unwrap();
    session.write_response_body(Bytes::from_static(b"hello"), false).await.unwrap();
    let mut chunk = BytesMut::new();
    last_chunk([(&b"T"[..], &b"1"[..])], &mut chunk);
    aside.say_last_chunk(chunk.freeze());
    session.finish_body().await.unwrap();
    assert_eq!(end_of(session, &home).0, End::Kept);
    let mut read = String::new();
    client.read_to_string(&mut read).await.unwrap();
    assert_eq!(
        read,
        "HTTP/1.1 203 Hm\r\nA: b\r\ndate: then\r\nTransfer-Encoding: chunked\r\n\
         Connection: keep-alive\r\n\r\n5\r\nhello\r\n0\r\nT: 1\r\n\r\n"
    );
}

#[tokio::test]
async fn an_answer_that_is_not_whole_is_broken() {
    for (field, value) in [(CONTENT_LENGTH, "9"), (TRANSFER_ENCODING, "chunked")] {
        let (_client, mut session, home) = begun("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        session.write_response_header(head(field, value)).await.unwrap();
        session.write_response_body(Bytes::from_static(b"part"), false).await.unwrap();
        assert_eq!(end_of(session, &home).0, End::Broken, "{value}");
    }
    let (_client, session, home) = begun("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(end_of(session, &home).0, End::Broken, "none at all");
    let (_client, mut session, home) = begun("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    session.write_response_header(head(CONTENT_LENGTH, "9")).await.unwrap();
    assert!(session.finish_body().await.is_err(), "shorter than it says");
    assert_eq!(end_of(session, &home).0, End::Broken);
}

/// A connection on which some of it is left would carry the next answer behind half of this one.
#[tokio::test(start_paused = true)]
async fn an_answer_that_the_client_does_not_take_is_broken() {
    let (_client, mut session, home) = begun("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    session.set_write_timeout(Some(Duration::from_secs(1)));
    session.write_response_header(head(CONTENT_LENGTH, "100000000")).await.unwrap();
    let body = Bytes::from(vec![b'x'; 10_000]);
    let mut error = None;
    while error.is_none() {
        error = session.write_response_body(body.clone(), false).await.err();
    }
    assert_eq!(*error.unwrap().etype(), ErrorType::WriteTimedout);
    assert_eq!(end_of(session, &home).0, End::Broken);
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed() {
    let (client, mut session, _home) = begun("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    drop(client);
    let error = session.read_body_or_idle(true).await.unwrap_err();
    assert_eq!(*error.etype(), ErrorType::ConnectionClosed);
    let (mut client, mut session, _home) =
        begun("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc").await;
    client.shutdown().await.unwrap();
    assert_eq!(session.read_request_body().await.unwrap().unwrap(), "abc");
    let error = session.read_request_body().await.unwrap_err();
    assert_eq!(*error.etype(), ErrorType::ConnectionClosed);
}

#[tokio::test]
async fn what_may_be_sent_again_is_kept_up_to_a_bound() {
    let length = KEPT + 1;
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    let (mut client, mut session, _home) = begun(&head).await;
    session.enable_retry_buffering();
    client.write_all(b"abc").await.unwrap();
    assert_eq!(session.read_request_body().await.unwrap().unwrap(), "abc");
    assert_eq!(session.get_retry_buffer().unwrap(), "abc");
    client.write_all(&vec![b'x'; length - 3]).await.unwrap();
    session.drain_request_body().await.unwrap();
    assert!(session.retry_buffer_truncated());
    assert_eq!(session.get_retry_buffer(), None);
}
