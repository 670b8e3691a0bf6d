use std::{sync::Arc, time::Duration};

use socket2::SockRef;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    exchange::connection::Terms,
    model::{BackendId, Place, PoolId},
};

const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\norder";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A connection to a backend, and the backend's end of it.
async fn connected() -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let id = BackendId { pool: PoolId(0), index: 0 };
    let (place, limit) = (Arc::new(Place::Ip(address)), Duration::from_secs(5));
    let terms = Terms { place, preamble: Bytes::new(), tls: None, limit };
    let opened = Connection::open(id, 0, terms);
    let (connection, accepted) = tokio::join!(opened, listener.accept());
    (connection.unwrap(), accepted.unwrap().0)
}

fn leg(connection: Connection) -> Http1Leg {
    let mut leg = Http1Leg::new(connection, &Method::POST, true);
    leg.send(Bytes::from_static(REQUEST));
    leg.end();
    leg
}

async fn read(backend: &mut TcpStream, count: usize) {
    backend.read_exact(&mut vec![0; count]).await.unwrap();
}

/// A connection that has carried a request, as most have.
async fn warm() -> (Connection, TcpStream) {
    let (connection, mut backend) = connected().await;
    let mut leg = leg(connection);
    assert!(matches!(leg.next().await, Ok(Happened::Sent)));
    read(&mut backend, REQUEST.len()).await;
    backend.write_all(ANSWER).await.unwrap();
    loop {
        match leg.next().await.unwrap() {
            Happened::Said(Event::End) => return (leg.into_idle().unwrap(), backend),
            Happened::Said(_) | Happened::Sent => {}
        }
    }
}

/// How the leg fails.
async fn failure(leg: &mut Http1Leg) -> LegError {
    loop {
        match leg.next().await {
            Ok(Happened::Sent) => {}
            Ok(Happened::Said(event)) => panic!("{event:?}"),
            Err(error) => return error,
        }
    }
}

fn closed(delivery: Delivery) -> LegError {
    LegError { symptom: Symptom::ConnectionClosed, delivery }
}

#[tokio::test]
async fn a_close_from_before_the_request_proves_that_nothing_was_received() {
    for _ in 0..50 {
        let (connection, backend) = warm().await;
        drop(backend);
        let mut leg = leg(connection);
        assert_eq!(failure(&mut leg).await, closed(Delivery::Disproved));
    }
    let (connection, backend) = connected().await;
    drop(backend);
    assert_eq!(failure(&mut leg(connection)).await, closed(Delivery::Disproved));
}

#[tokio::test]
async fn what_the_kernel_would_not_take_was_not_received() {
    for _ in 0..50 {
        let (connection, backend) = warm().await;
        SockRef::from(&backend).set_linger(Some(Duration::ZERO)).unwrap();
        drop(backend);
        // The reset has arrived: this is one machine.
        let mut leg = leg(connection);
        assert_eq!(failure(&mut leg).await, closed(Delivery::Disproved));
        assert_eq!(leg.sent, 0);
    }
}

/// The backend has read so many bytes of the request when it goes, with or without a reset.
async fn after_reading(count: usize, is_reset: bool) -> LegError {
    let (connection, mut backend) = warm().await;
    let mut leg = leg(connection);
    assert!(matches!(leg.next().await, Ok(Happened::Sent)));
    read(&mut backend, count).await;
    if is_reset {
        SockRef::from(&backend).set_linger(Some(Duration::ZERO)).unwrap();
    }
    drop(backend);
    failure(&mut leg).await
}

#[tokio::test]
async fn whatever_was_read_may_have_been_executed() {
    for _ in 0..50 {
        for is_reset in [false, true] {
            // All of it; the head; nothing, which looks the same from here.
            for count in [REQUEST.len(), REQUEST.len() - 5, 0] {
                let error = after_reading(count, is_reset).await;
                assert_eq!(error, closed(Delivery::Possible), "{count} bytes, {is_reset}");
            }
        }
    }
}

#[tokio::test]
async fn whoever_has_begun_to_answer_has_received() {
    for words in [&b"H"[..], b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"]
    {
        let (connection, mut backend) = warm().await;
        // Said before the request: an answer to nothing, and yet no proof.
        backend.write_all(words).await.unwrap();
        drop(backend);
        let mut leg = leg(connection);
        let error = loop {
            match leg.next().await {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error, closed(Delivery::Possible), "{words:?}");
    }
}

#[tokio::test]
async fn without_the_wish_for_proof_there_is_none() {
    let (connection, backend) = warm().await;
    drop(backend);
    let mut leg = Http1Leg::new(connection, &Method::POST, false);
    leg.send(Bytes::from_static(REQUEST));
    let error = failure(&mut leg).await;
    // The kernel may have taken the request before it knew.
    let expected = if leg.sent == 0 { Delivery::Disproved } else { Delivery::Possible };
    assert_eq!(error, closed(expected));
}

#[tokio::test]
async fn a_connection_on_which_something_is_owed_is_not_used_again() {
    let told = |leg: &Http1Leg| (leg.is_sent(), leg.is_whole());
    // Answered before all of the request was given.
    let (connection, mut backend) = connected().await;
    let mut early = Http1Leg::new(connection, &Method::POST, true);
    early.send(Bytes::from_static(&REQUEST[..REQUEST.len() - 1]));
    assert!(matches!(early.next().await, Ok(Happened::Sent)));
    backend.write_all(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    assert!(matches!(early.next().await, Ok(Happened::Said(Event::Head(_)))));
    assert!(matches!(early.next().await, Ok(Happened::Said(Event::End))));
    assert_eq!(told(&early), (true, false));
    assert!(early.into_idle().is_none());
    // More was said than the response.
    let (connection, mut backend) = connected().await;
    let mut more = leg(connection);
    assert!(matches!(more.next().await, Ok(Happened::Sent)));
    backend.write_all(&[ANSWER, b"H"].concat()).await.unwrap();
    while !matches!(more.next().await, Ok(Happened::Said(Event::End))) {}
    assert!(more.into_idle().is_none());
}

/// Many small reads must not keep a large buffer each.
#[tokio::test]
async fn small_pieces_share_their_memory() {
    let (connection, mut backend) = connected().await;
    let mut leg = leg(connection);
    assert!(matches!(leg.next().await, Ok(Happened::Sent)));
    backend.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await.unwrap();
    assert!(matches!(leg.next().await, Ok(Happened::Said(Event::Head(_)))));
    let mut kept = Vec::new();
    let mut blocks = std::collections::BTreeSet::new();
    for _ in 0..1000 {
        backend.write_all(b"x").await.unwrap();
        let Ok(Happened::Said(Event::Data(data))) = leg.next().await else { panic!("no data") };
        blocks.insert(data.as_ptr() as usize / ROOM);
        kept.push(data);
    }
    assert!(blocks.len() <= 3, "{} blocks of {ROOM} bytes for {} bytes", blocks.len(), kept.len());
}
