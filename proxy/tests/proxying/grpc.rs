//! Calls of gRPC, end to end: messages both ways as they come, trailers, statuses, deadlines.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::{
    RecvStream, SendStream,
    client::{self, ResponseFuture, SendRequest},
    server::{self, SendResponse},
};
use http::{HeaderMap, Request, Response};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    client::{soon, until},
    setup::Setup,
};

/// A server of gRPC that does with a call what its path says.
struct Server {
    addr: SocketAddr,
    /// The heads of calls, in order.
    seen: Arc<Mutex<Vec<(String, HeaderMap)>>>,
    _task: JoinSet<()>,
}

impl Server {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<(String, HeaderMap)>>> = Arc::default();
        let mut task = JoinSet::new();
        let noted = Arc::clone(&seen);
        task.spawn(async move {
            let mut all = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let noted = Arc::clone(&noted);
                all.spawn(async move {
                    let Ok(mut connection) = server::handshake(stream).await else { return };
                    let mut calls = JoinSet::new();
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        let (head, body) = request.into_parts();
                        let path = head.uri.path().to_owned();
                        noted.lock().unwrap().push((path.clone(), head.headers));
                        calls.spawn(serve(path, body, respond));
                    }
                });
            }
        });
        Self { addr, seen, _task: task }
    }

    fn setup(&self) -> Setup {
        Setup::addresses(&[("only", self.addr)]).with("pools.api.protocol", "http2")
    }

    fn calls(&self) -> Vec<(String, HeaderMap)> {
        self.seen.lock().unwrap().clone()
    }
}

fn ended(status: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.parse().unwrap());
    trailers
}

fn head() -> http::response::Builder {
    Response::builder().header("content-type", "application/grpc")
}

async fn serve(path: String, mut body: RecvStream, mut respond: SendResponse<Bytes>) {
    if path == "/unavailable" {
        let head = head().header("grpc-status", "14").header("grpc-message", "later");
        respond.send_response(head.body(()).unwrap(), true).unwrap();
        return;
    }
    if path == "/silence" {
        while let Some(Ok(_)) = body.data().await {}
        std::future::pending::<()>().await;
    }
    if path == "/late-head" {
        // Answers only once everything has come, as servers of client streams do.
        while let Some(Ok(data)) = body.data().await {
            body.flow_control().release_capacity(data.len()).unwrap();
        }
    }
    let mut send = respond.send_response(head().body(()).unwrap(), false).unwrap();
    if path == "/break" {
        send.send_data("first".into(), false).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        send.send_reset(h2::Reason::INTERNAL_ERROR);
        return;
    }
    // An echo: each message comes back as it comes in.
    while let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).unwrap();
        if send.send_data(data, false).is_err() {
            return;
        }
    }
    _ = send.send_trailers(ended("0"));
}

/// A client's connection.
struct Client {
    send: SendRequest<Bytes>,
    _task: JoinSet<()>,
}

/// A call under way.
struct Call {
    up: SendStream<Bytes>,
    response: ResponseFuture,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (send, connection) = client::handshake(stream).await.unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move { _ = connection.await });
        Self { send, _task: task }
    }

    async fn call(&mut self, path: &str, headers: &[(&str, &str)]) -> Call {
        let mut request = Request::post(format!("http://shop.example{path}"))
            .header("content-type", "application/grpc+proto")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut send = self.send.clone();
        std::future::poll_fn(|cx| send.poll_ready(cx)).await.unwrap();
        let (response, up) = send.send_request(request.body(()).unwrap(), false).unwrap();
        Call { up, response }
    }

    /// One call with one message, to its end.
    async fn unary(&mut self, path: &str, headers: &[(&str, &str)]) -> Ended {
        let mut call = self.call(path, headers).await;
        call.say("message", true);
        let (head, body) = call.head().await;
        finish(head, body).await
    }
}

impl Call {
    fn say(&mut self, message: &'static str, is_last: bool) {
        self.up.send_data(message.into(), is_last).unwrap();
    }

    async fn head(self) -> (HeaderMap, RecvStream) {
        let response = soon(self.response).await.unwrap();
        assert_eq!(response.status(), 200);
        let (head, body) = response.into_parts();
        (head.headers, body)
    }
}

/// How a call ended.
#[derive(Debug)]
struct Ended {
    head: HeaderMap,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

impl Ended {
    /// The status, and whether it stood in the head, with nothing after it.
    fn status(&self) -> (&str, bool) {
        let of = |headers: &'_ HeaderMap| headers.get("grpc-status").is_some();
        match &self.trailers {
            Some(trailers) if of(trailers) => (trailers["grpc-status"].to_str().unwrap(), false),
            _ => (self.head["grpc-status"].to_str().unwrap(), true),
        }
    }
}

async fn finish(head: HeaderMap, mut body: RecvStream) -> Ended {
    let is_all = body.is_end_stream();
    let mut bytes = Vec::new();
    while let Some(data) = soon(body.data()).await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        bytes.extend_from_slice(&data);
    }
    let trailers = soon(body.trailers()).await.unwrap();
    // gRPC takes the head's status only where nothing follows.
    assert!(!head.contains_key("grpc-status") || is_all, "{head:?}");
    Ended { head, body: bytes, trailers }
}

#[tokio::test]
async fn a_call_comes_back_with_its_trailers() {
    let server = Server::new().await;
    let proxy = server.setup().start().await;
    let mut client = Client::connect(proxy.public).await;
    let ended = client.unary("/echo", &[("grpc-timeout", "5S"), ("x-mine", "1")]).await;
    assert_eq!((ended.status(), &ended.body[..]), (("0", false), &b"message"[..]));
    assert_eq!(ended.head["content-type"], "application/grpc");
    let (path, headers) = server.calls().pop().unwrap();
    assert_eq!(path, "/echo");
    for (name, value) in [
        ("te", "trailers"),
        ("content-type", "application/grpc+proto"),
        ("grpc-timeout", "5S"),
        ("x-mine", "1"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
}

#[tokio::test]
async fn messages_are_passed_on_as_they_come_in_both_directions() {
    let server = Server::new().await;
    // A response held back for this long, or a request judged late, would be noticed.
    let setup = server
        .setup()
        .with("pools.api.hold_back.patience", "60s")
        .with("pools.api.timeouts.between_reads", "200ms")
        .with("pools.api.retries.per_try_timeout", "200ms");
    let proxy = setup.start().await;
    let mut client = Client::connect(proxy.public).await;
    for _ in 0..2 {
        let mut call = client.call("/echo", &[]).await;
        call.say("one", false);
        let Call { mut up, response } = call;
        let mut body = soon(response).await.unwrap().into_body();
        for (at, message) in ["two", "three", "four"].into_iter().enumerate() {
            let before = ["one", "two", "three"][at];
            assert_eq!(soon(body.data()).await.unwrap().unwrap(), before);
            // Longer than any message may take elsewhere.
            tokio::time::sleep(Duration::from_millis(300)).await;
            up.send_data(message.into(), false).unwrap();
        }
        up.send_data(Bytes::new(), true).unwrap();
        assert_eq!(soon(body.data()).await.unwrap().unwrap(), "four");
        assert!(soon(body.data()).await.is_none());
        assert_eq!(soon(body.trailers()).await.unwrap().unwrap()["grpc-status"], "0");
    }
    assert_eq!(proxy.pool().await["backends"][0]["failures"], 0);
}

#[tokio::test]
async fn a_client_may_send_messages_for_longer_than_a_response_may_take() {
    let server = Server::new().await;
    let setup = server
        .setup()
        .with("pools.api.retries.per_try_timeout", "100ms")
        .with("routes", json!([{ "pool": "api", "timeout": "300ms" }]));
    let proxy = setup.start().await;
    let mut client = Client::connect(proxy.public).await;
    let mut call = client.call("/late-head", &[]).await;
    for _ in 0..4 {
        call.say("x", false);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    call.say("x", true);
    let (head, body) = call.head().await;
    assert_eq!(finish(head, body).await.status(), ("0", false));
}

#[tokio::test]
async fn the_proxys_own_errors_are_in_the_place_of_trailers() {
    let server = Server::new().await;
    let routes = json!([
        { "match": { "path_prefix": "/nobody/" }, "pool": "empty" },
        { "match": { "path_prefix": "/silence" }, "pool": "api", "timeout": "200ms" },
        { "match": { "path": "/echo" }, "pool": "api" },
    ]);
    let mut setup =
        server.setup().with("pools.api.retries.per_try_timeout", "100ms").with("routes", routes);
    setup.0["pools"]["empty"] = json!({
        "protocol": "http2",
        "backends": [{ "name": "gone", "url": "http://127.0.0.1:9" }],
        "health_check": { "tcp": {} },
    });
    let proxy = setup.start().await;
    let mut client = Client::connect(proxy.public).await;
    let no_route = client.unary("/elsewhere", &[]).await;
    assert_eq!(no_route.status(), ("12", true));
    let message = no_route.head["grpc-message"].to_str().unwrap();
    assert_eq!(message, "no route matches this host, path and method");
    let status = no_route.head["proxy-status"].to_str().unwrap();
    assert_eq!(status, "bascule; error=destination_not_found; details=\"no_route\"");
    assert_eq!(client.unary("/silence", &[]).await.status(), ("4", true));
    until(async || {
        let ended = client.unary("/nobody/x", &[]).await;
        if ended.status() == ("14", true) { Ok(()) } else { Err(format!("{ended:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_call_takes_no_longer_than_its_client_waits() {
    let server = Server::new().await;
    let proxy = server.setup().start().await;
    let mut client = Client::connect(proxy.public).await;
    let began = Instant::now();
    let ended = client.unary("/silence", &[("grpc-timeout", "250m")]).await;
    assert_eq!(ended.status(), ("4", true));
    assert!(Duration::from_millis(250) <= began.elapsed());
    // The route would have waited for 15 seconds.
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn unavailable_is_a_failed_attempt_that_only_a_repeatable_call_outlives() {
    let (first, second) = (Server::new().await, Server::new().await);
    let setup = || {
        Setup::addresses(&[("first", first.addr), ("second", second.addr)])
            .with("pools.api.protocol", "http2")
            .without_ejection()
    };
    let proxy = setup().start().await;
    let mut client = Client::connect(proxy.public).await;
    // One that may not be repeated gets the answer as it is.
    let ended = client.unary("/unavailable", &[]).await;
    assert_eq!(ended.status(), ("14", true));
    assert_eq!(ended.head["grpc-message"], "later");
    assert_eq!((first.calls().len(), second.calls().len()), (1, 0));
    let ended = client.unary("/unavailable", &[("idempotency-key", "1")]).await;
    assert_eq!(ended.status(), ("14", true));
    assert!(!second.calls().is_empty(), "{:?}", second.calls());

    let proxy = setup().with("pools.api.retries.grpc_statuses", json!([])).start().await;
    let mut client = Client::connect(proxy.public).await;
    let before = second.calls().len();
    client.unary("/unavailable", &[("idempotency-key", "1")]).await;
    assert_eq!(second.calls().len(), before);
}

#[tokio::test]
async fn an_answer_that_breaks_off_says_so_in_its_trailers() {
    let server = Server::new().await;
    let proxy = server.setup().start().await;
    let mut client = Client::connect(proxy.public).await;
    let ended = client.unary("/break", &[]).await;
    assert_eq!((ended.status(), &ended.body[..]), (("14", false), &b"first"[..]));
}
