//! Two clients: one that speaks HTTP as a good client does, and one that sees every byte.

use std::io;
use std::time::Duration;

use axum::http::{HeaderMap, Request, StatusCode};
use bascule_backend::{Config, Running, spawn};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Far above what anything here takes: a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// A backend named `primary` on a free port.
pub(crate) fn primary() -> Running {
    spawn(Config::new("primary")).unwrap()
}

/// Waits for something that must happen.
pub(crate) async fn soon<T>(event: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, event).await {
        Ok(happened) => happened,
        Err(_) => panic!("did not happen within {PATIENCE:?}"),
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub(crate) async fn get(running: &Running, path: &str) -> Answer {
    ask(running, "GET", path, &[], "").await
}

pub(crate) async fn post(running: &Running, path: &str, body: &str) -> Answer {
    ask(running, "POST", path, &[], body.to_owned()).await
}

/// One request on a connection of its own; it must be answered in full.
pub(crate) async fn ask(
    running: &Running,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::builder().method(method).uri(running.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    let answered = soon(client.request(request)).await.unwrap();
    let (parts, body) = answered.into_parts();
    let body = soon(body.collect()).await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body }
}

/// A connection that shows what happens to it.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn connect(running: &Running) -> io::Result<Raw> {
        soon(TcpStream::connect(running.addr())).await.map(Raw)
    }

    /// A connection on which a request was sent.
    pub(crate) async fn asking(running: &Running, path: &str) -> Raw {
        let mut raw = Raw::connect(running).await.unwrap();
        raw.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nx-request-id: raw\r\n\r\n")).await;
        raw
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// All bytes until the connection is closed; an error when it is reset.
    pub(crate) async fn rest(&mut self) -> io::Result<String> {
        let mut bytes = Vec::new();
        soon(self.0.read_to_end(&mut bytes)).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The head of an answer and `body_bytes` of its body.
    pub(crate) async fn answer(&mut self, body_bytes: usize) -> String {
        let mut bytes = Vec::new();
        let head_end = loop {
            bytes.push(soon(self.0.read_u8()).await.unwrap());
            if bytes.ends_with(b"\r\n\r\n") {
                break bytes.len();
            }
        };
        bytes.resize(head_end + body_bytes, 0);
        soon(self.0.read_exact(&mut bytes[head_end..])).await.unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether nothing has arrived and the connection is open at this moment.
    pub(crate) fn is_silent(&self) -> bool {
        let mut byte = [0];
        let read = self.0.try_read(&mut byte);
        matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}
