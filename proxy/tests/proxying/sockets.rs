//! Backends at Unix sockets, and backends that are told who connects.

use std::{net::SocketAddr, path::PathBuf};

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixListener},
    sync::mpsc,
    task::JoinSet,
};
use tokio_tungstenite::{client_async, tungstenite::Message};

use crate::{
    client::{Raw, soon, try_ask},
    http2::Http2Backend,
    proxy::folder,
    setup::{Setup, backend},
};

/// A Unix socket: what comes in is passed on over TCP.
struct UnixDoor {
    path: PathBuf,
    folder: PathBuf,
    _task: JoinSet<()>,
}

impl UnixDoor {
    fn new(to: SocketAddr) -> Self {
        let folder = folder();
        let path = folder.join("app.sock");
        // Paths of sockets are short: a relative one may not be used, so the system's folder is.
        let path = if 107 < path.as_os_str().len() {
            std::env::temp_dir().join(format!("bascule-{:08x}.sock", fastrand::u32(..)))
        } else {
            path
        };
        let listener = UnixListener::bind(&path).unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    let Ok(mut onward) = TcpStream::connect(to).await else { return };
                    _ = copy_bidirectional(&mut stream, &mut onward).await;
                });
            }
        });
        Self { path, folder, _task: task }
    }

    fn setup(&self) -> Setup {
        let mut setup = Setup::addresses(&[("only", "127.0.0.1:9".parse().unwrap())]);
        setup.0["pools"]["api"]["backends"][0]["url"] =
            format!("unix:{}", self.path.display()).into();
        setup.0["pools"]["api"]["health_check"].as_object_mut().unwrap().remove("tcp");
        setup
    }
}

impl Drop for UnixDoor {
    fn drop(&mut self) {
        _ = std::fs::remove_file(&self.path);
        _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn a_backend_at_a_unix_socket_is_served_checked_and_shown() {
    let primary = backend("primary");
    let door = UnixDoor::new(primary.addr());
    let mut proxy = door.setup().with("pools.api.when_down", "reject").start().await;
    let answer = proxy.ask("GET", "/echo", &[("host", "shop.example")], "").await;
    assert_eq!((answer.status, answer.backend()), (200, "primary"));
    assert_eq!(answer.seen("host"), ["shop.example"]);
    assert_eq!(proxy.ask("POST", "/echo", &[], "body").await.status, 200);
    let pool = proxy.pool_until(|pool| pool["backends"][0]["last_check"]["result"] == "pass").await;
    assert_eq!(pool["backends"][0]["url"], format!("unix:{}", door.path.display()));
    proxy.pool_until(|pool| pool["backends"][0]["requests"] == 2).await;

    let mut socket = proxy.conversation("/ws").await;
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::text("hello"));
    drop(socket);

    // An operator's order goes the same way.
    let headers = [("content-type", "application/json")];
    let order = json!({ "mode": "crash" }).to_string();
    let told = try_ask(proxy.admin, "POST", "/proxy/fail", &headers, order).await.unwrap();
    assert_eq!(told.status, 202, "{told:?}");
    proxy.pool_until(|pool| pool["active_tier"].is_null()).await;
    assert_eq!(proxy.get("/echo").await.status, 503);
    proxy.signal("-TERM").await;
    proxy.exited().await;
}

#[tokio::test]
async fn http2_is_spoken_at_a_unix_socket_too() {
    let primary = Http2Backend::new("primary").await;
    let door = UnixDoor::new(primary.addr);
    let proxy = door.setup().with("pools.api.protocol", "http2").start().await;
    assert_eq!(proxy.ask("POST", "/x", &[], "body").await.body, "body");
}

#[tokio::test]
async fn a_socket_that_is_not_there_refuses() {
    let door = UnixDoor::new("127.0.0.1:9".parse().unwrap());
    let setup = door.setup();
    drop(door);
    let proxy = setup.start().await;
    let pool = proxy.pool_until(|pool| pool["active_tier"].is_null()).await;
    assert!(pool.to_string().contains("connection refused"), "{pool}");
    assert_eq!(proxy.get("/echo").await.status, 503);
}

/// A backend that is told who connects: it tells what it was told, and serves.
async fn told(
    to: SocketAddr,
    is_text: bool,
) -> (SocketAddr, mpsc::Receiver<(Vec<u8>, Vec<u8>)>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::channel(1000);
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let sender = sender.clone();
            connections.spawn(async move {
                let mut header = vec![0; if is_text { 1 } else { 16 }];
                if stream.read_exact(&mut header).await.is_err() {
                    return;
                }
                if is_text {
                    while !header.ends_with(b"\r\n") {
                        header.push(stream.read_u8().await.unwrap());
                    }
                } else {
                    let length = u16::from_be_bytes([header[14], header[15]]);
                    let mut rest = vec![0; length.into()];
                    stream.read_exact(&mut rest).await.unwrap();
                    header.extend(rest);
                }
                // What follows must be a request; its first line says which.
                let mut line = Vec::new();
                while !line.ends_with(b"\n") {
                    match stream.read_u8().await {
                        Ok(byte) => line.push(byte),
                        Err(_) => return,
                    }
                }
                _ = sender.try_send((header, line.clone()));
                let Ok(mut onward) = TcpStream::connect(to).await else { return };
                onward.write_all(&line).await.unwrap();
                _ = copy_bidirectional(&mut stream, &mut onward).await;
            });
        }
    });
    (addr, receiver, task)
}

fn telling(addr: SocketAddr, version: &str) -> Setup {
    let mut setup = Setup::addresses(&[("only", addr)]).with("pools.api.proxy_protocol", version);
    setup.0["pools"]["api"]["health_check"].as_object_mut().unwrap().remove("tcp");
    setup
}

#[tokio::test]
async fn each_client_is_told_on_a_connection_of_its_own() {
    let primary = backend("primary");
    let (addr, mut seen, _task) = told(primary.addr(), true).await;
    let proxy = telling(addr, "v1").start().await;
    let mut clients = Vec::new();
    for local in ["127.0.0.1", "127.0.0.2", "127.0.0.3"] {
        let mut client = Raw::connect_from(local, proxy.public).await;
        for _ in 0..2 {
            client.get("/echo", "").await;
            assert_eq!(client.status().await, "200");
            clients.push(client.0.local_addr().unwrap());
        }
    }
    for client in clients {
        loop {
            let (header, line) = soon(seen.recv()).await.unwrap();
            let header = String::from_utf8(header).unwrap();
            if line.starts_with(b"GET /health ") {
                assert_eq!(header, "PROXY UNKNOWN\r\n");
                continue;
            }
            let (ip, port, to) = (client.ip(), client.port(), proxy.public.port());
            assert_eq!(header, format!("PROXY TCP4 {ip} 127.0.0.1 {port} {to}\r\n"));
            break;
        }
    }
}

#[tokio::test]
async fn the_binary_header_tells_the_same_and_the_proxy_for_itself() {
    let primary = backend("primary");
    let (addr, mut seen, _task) = told(primary.addr(), false).await;
    let proxy = telling(addr, "v2").start().await;
    let url = format!("ws://{}/ws", proxy.public);
    let client = Raw::connect_from("127.0.0.5", proxy.public).await;
    let mut socket = soon(client_async(url, client.0)).await.unwrap().0;
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::text("hello"));
    let mut has_checked = false;
    loop {
        let (header, line) = soon(seen.recv()).await.unwrap();
        assert_eq!(&header[..12], b"\r\n\r\n\0\r\nQUIT\n");
        if line.starts_with(b"GET /health ") {
            assert_eq!(&header[12..], [0x20, 0, 0, 0]);
            has_checked = true;
            continue;
        }
        assert_eq!(&header[12..24], [0x21, 0x11, 0, 12, 127, 0, 0, 5, 127, 0, 0, 1]);
        break;
    }
    assert!(has_checked);
}
