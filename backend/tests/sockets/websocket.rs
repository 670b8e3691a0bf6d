//! `/ws`.

use axum::http::StatusCode;
use bascule_backend::Running;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::client::{get, primary, soon};

async fn connect(running: &Running) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(running.addr()).await.unwrap();
    let url = format!("ws://{}/ws", running.addr());
    let (socket, answer) = soon(client_async(url, stream)).await.unwrap();
    assert_eq!(answer.headers()["x-backend"], "primary");
    socket
}

async fn echoed(socket: &mut WebSocketStream<TcpStream>, message: Message) -> Message {
    soon(socket.send(message)).await.unwrap();
    soon(socket.next()).await.unwrap().unwrap()
}

#[tokio::test]
async fn messages_come_back_as_they_went() {
    let running = primary();
    let mut socket = connect(&running).await;
    for message in [
        Message::text("héllo"),
        Message::binary(vec![0, 255]),
        Message::binary(vec![7; 1 << 20]),
        Message::text(""),
    ] {
        assert!(echoed(&mut socket, message.clone()).await == message);
    }
    let pong = echoed(&mut socket, Message::Ping("x".into())).await;
    assert_eq!(pong, Message::Pong("x".into()));
}

#[tokio::test]
async fn a_plain_request_is_told_to_use_a_websocket() {
    let running = primary();
    let answer = get(&running, "/ws").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json()["error"]["code"], "not_a_websocket");
}

#[tokio::test]
async fn shutting_down_says_goodbye_at_once() {
    let mut running = primary();
    let mut socket = connect(&running).await;
    echoed(&mut socket, Message::text("x")).await;
    let (_, message) = soon(async { tokio::join!(running.shutdown(), socket.next()) }).await;
    let Some(Ok(Message::Close(Some(frame)))) = message else { panic!("{message:?}") };
    assert_eq!(frame.code, CloseCode::Away);
}

#[tokio::test]
async fn being_killed_ends_it_without_a_word() {
    let mut running = primary();
    let mut socket = connect(&running).await;
    echoed(&mut socket, Message::text("x")).await;
    running.kill().await;
    let last = soon(socket.next()).await;
    assert!(matches!(last, Some(Err(_)) | None), "{last:?}");
}
