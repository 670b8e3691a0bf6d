//! `refuse`: the listening socket goes away, and comes back.

use std::io::ErrorKind;
use std::time::Duration;

use axum::http::StatusCode;
use bascule_backend::{Fault, FaultKind, Running};

use crate::client::{Raw, get, post, primary, soon};

const MINUTE: Duration = Duration::from_secs(60);

async fn connect_error(running: &Running) -> Option<ErrorKind> {
    Raw::connect(running).await.err().map(|error| error.kind())
}

#[tokio::test]
async fn connections_are_refused_from_the_answer_on_and_accepted_again_when_it_ends() {
    let running = primary();
    let answer = post(&running, "/faults", r#"{"mode":"refuse","for_ms":1500}"#).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(connect_error(&running).await, Some(ErrorKind::ConnectionRefused));
    soon(running.until_listening(true)).await;
    assert_eq!(get(&running, "/health").await.status, StatusCode::OK);
}

#[tokio::test]
async fn idle_connections_close_and_requests_in_flight_finish() {
    let running = primary();
    let mut idle = Raw::asking(&running, "/status/200").await;
    let first = idle.answer(0).await;
    let length = first.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    soon(tokio::io::AsyncReadExt::read_exact(&mut idle.0, &mut body)).await.unwrap();
    let mut fresh = Raw::connect(&running).await.unwrap();
    let mut busy = Raw::asking(&running, "/blob?size=2&chunk=1&pace_ms=50").await;
    busy.answer(1).await;

    running.inject(Fault::new(FaultKind::Refuse, MINUTE)).await.unwrap();
    assert_eq!(idle.rest().await.unwrap(), "");
    assert_eq!(fresh.rest().await.unwrap(), "");
    let mut last = Vec::new();
    soon(tokio::io::AsyncReadExt::read_to_end(&mut busy.0, &mut last)).await.unwrap();
    assert_eq!(last, [bascule_backend::byte_at(1)]);
}

#[tokio::test]
async fn recovery_from_inside_ends_it_early_and_it_can_be_repeated() {
    let running = primary();
    for _ in 0..20 {
        running.inject(Fault::new(FaultKind::Refuse, MINUTE)).await.unwrap();
        assert_eq!(connect_error(&running).await, Some(ErrorKind::ConnectionRefused));
        running.recover().await;
        assert_eq!(get(&running, "/health").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn nobody_can_take_the_address_meanwhile() {
    let running = primary();
    running.inject(Fault::new(FaultKind::Refuse, MINUTE)).await.unwrap();
    // Without SO_REUSEADDR, as an outgoing connection binds.
    let taken = tokio::net::TcpSocket::new_v4().unwrap().bind(running.addr());
    assert_eq!(taken.unwrap_err().kind(), ErrorKind::AddrInUse);
}
