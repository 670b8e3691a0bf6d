//! Two clients: one that speaks HTTP as a good client does, and one that sees every byte.

use std::{io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

/// Far above what anything here takes: a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for something that must happen.
pub(crate) async fn soon<T>(event: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, event).await {
        Ok(happened) => happened,
        Err(_) => panic!("did not happen within {PATIENCE:?}"),
    }
}

/// Looks again and again until `look` finds what must come about. It is told why not.
pub(crate) async fn until<T>(mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut turns = tokio::time::interval(Duration::from_millis(5));
    loop {
        turns.tick().await;
        match look().await {
            Ok(found) => return found,
            Err(seen) if deadline < tokio::time::Instant::now() => {
                panic!("did not come about within {PATIENCE:?}; last seen: {seen}")
            }
            Err(_) => {}
        }
    }
}

/// An answer that arrived in full.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// The header's value; empty when it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The backend that answered; empty when the proxy did.
    pub(crate) fn backend(&self) -> &str {
        self.header("x-backend")
    }

    /// The headers that the backend saw, of an answer from `/echo`.
    pub(crate) fn seen(&self, name: &str) -> Vec<String> {
        let headers = self.json()["headers"].as_array().unwrap().clone();
        let of_name = headers.iter().filter(|it| it[0] == name);
        of_name.map(|it| it[1].as_str().unwrap().to_owned()).collect()
    }
}

/// One request on a connection of its own. `Err` when the answer did not arrive in full.
pub(crate) async fn try_ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Answer, String> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::builder().method(method).uri(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    let answered = soon(client.request(request)).await.map_err(|error| format!("{error:?}"))?;
    let (parts, body) = answered.into_parts();
    let body = soon(body.collect()).await.map_err(|error| format!("{error:?}"))?.to_bytes();
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
}

/// A connection that shows what happens to it.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(soon(TcpStream::connect(address)).await.unwrap())
    }

    /// A connection whose other end sees it come from this address of the loopback interface.
    pub(crate) async fn connect_from(local: &str, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{local}:0").parse().unwrap()).unwrap();
        Self(soon(socket.connect(address)).await.unwrap())
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.0.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Sends a request without a body.
    pub(crate) async fn get(&mut self, path: &str, headers: &str) {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n")).await;
    }

    /// Everything until the connection is closed; an error when it is reset.
    pub(crate) async fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        soon(self.0.read_to_end(&mut bytes)).await?;
        Ok(bytes)
    }

    /// The next head: everything up to the next empty line, in small letters.
    pub(crate) async fn head(&mut self) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            match soon(self.0.read_u8()).await {
                Ok(byte) => bytes.push(byte),
                Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&bytes)),
            }
        }
        String::from_utf8_lossy(&bytes).to_ascii_lowercase()
    }

    pub(crate) async fn exactly(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        soon(self.0.read_exact(&mut bytes)).await.unwrap();
        bytes
    }

    /// An answer framed by `Content-Length`, in full: its head in small letters, and its body.
    pub(crate) async fn answer(&mut self) -> (String, Vec<u8>) {
        let head = self.head().await;
        let body = self.exactly(content_length(&head)).await;
        (head, body)
    }

    /// The status of an answer framed by `Content-Length`, which is read in full.
    pub(crate) async fn status(&mut self) -> String {
        self.answer().await.0.split(' ').nth(1).unwrap_or_default().to_owned()
    }
}

pub(crate) fn content_length(head: &str) -> usize {
    let line = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    line.unwrap_or_else(|| panic!("no content-length in {head}")).trim().parse().unwrap()
}
