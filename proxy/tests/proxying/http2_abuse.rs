//! Clients that use HTTP/2 to do harm, frame by frame: each is bounded, and nobody else notices.

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    client::soon,
    proxy::Proxy,
    setup::{Setup, backend},
};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// More of anything than a client ever needs.
const MANY: u32 = 20_000;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// `GET /api/data` of the host `x`, in HPACK without a table.
fn request() -> Vec<u8> {
    [&[0x82, 0x86, 0x04, 9][..], b"/api/data", &[0x01, 1], b"x"].concat()
}

/// `POST /echo` of the host `x`.
fn post() -> Vec<u8> {
    [&[0x83, 0x86, 0x04, 5][..], b"/echo", &[0x01, 1], b"x"].concat()
}

/// A client that writes what it likes.
struct Abuser(TcpStream);

impl Abuser {
    async fn connect(proxy: &Proxy, settings: &[u8]) -> Self {
        let mut stream = soon(TcpStream::connect(proxy.public)).await.unwrap();
        let start = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, settings)];
        stream.write_all(&start.concat()).await.unwrap();
        Self(stream)
    }

    /// Sends frames until there are no more or the proxy takes no more, and reads meanwhile. Returns
    /// whether the proxy ended the connection.
    async fn play(self, frames: impl Iterator<Item = Vec<u8>> + Send + 'static) -> bool {
        let (mut from, mut to) = self.0.into_split();
        let sending = tokio::spawn(async move {
            for frame in frames {
                if to.write_all(&frame).await.is_err() {
                    return;
                }
            }
            // Kept open: who ends the connection is what matters.
            std::future::pending::<()>().await;
        });
        let is_ended = soon(async {
            let mut head = [0; 9];
            loop {
                if from.read_exact(&mut head).await.is_err() {
                    return true;
                }
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                let mut payload = vec![0; length];
                if head[3] == GOAWAY || from.read_exact(&mut payload).await.is_err() {
                    return true;
                }
            }
        })
        .await;
        sending.abort();
        is_ended
    }
}

async fn started() -> (bascule_backend::Running, Proxy) {
    let backend = backend("a");
    // What is not ended for what it does is ended for doing nothing.
    let proxy = Setup::tiers(&[&backend])
        .with("listeners.public.timeouts", json!({ "idle": "2s" }))
        .start()
        .await;
    (backend, proxy)
}

/// Plays a client to its end while another one is served.
async fn check(frames: impl Iterator<Item = Vec<u8>> + Send + 'static) {
    let (backend, proxy) = started().await;
    let abuser = Abuser::connect(&proxy, &[]).await;
    let others = async {
        for _ in 0..20 {
            assert_eq!(proxy.get("/api/data").await.status, 200);
        }
    };
    let (is_ended, ()) = tokio::join!(abuser.play(frames), others);
    assert!(is_ended);
    proxy.metric_until(r#"bascule_connections_open{listener="public"}"#, 0.0).await;
    proxy.metric_until(r#"bascule_requests_in_flight{listener="public"}"#, 0.0).await;
    assert!(backend.total() < u64::from(MANY) / 4, "{} reached the backend", backend.total());
}

fn odd() -> impl Iterator<Item = u32> + Send {
    (0..MANY).map(|number| 2 * number + 1)
}

#[tokio::test]
async fn streams_opened_and_reset_at_once_end_the_connection() {
    check(odd().map(|stream| {
        let opened = frame(HEADERS, END_STREAM | END_HEADERS, stream, &request());
        [opened, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
    }))
    .await;
}

#[tokio::test]
async fn streams_that_the_proxy_is_made_to_reset_end_the_connection() {
    check(odd().map(|stream| {
        let opened = frame(HEADERS, END_HEADERS, stream, &post());
        [opened, frame(WINDOW_UPDATE, 0, stream, &[0; 4])].concat()
    }))
    .await;
}

#[tokio::test]
async fn a_head_without_an_end_ends_the_connection() {
    let first = [frame(HEADERS, 0, 1, &request())].into_iter();
    // A literal header without indexing, again and again.
    let header = [&[0x00, 1, b'a', 100][..], &[b'b'; 100]].concat();
    check(first.chain((0..MANY).map(move |_| frame(CONTINUATION, 0, 1, &header)))).await;
}

#[tokio::test]
async fn empty_pieces_of_a_head_end_the_connection() {
    let first = [frame(HEADERS, 0, 1, &request())].into_iter();
    check(first.chain((0..MANY).map(|_| frame(CONTINUATION, 0, 1, &[])))).await;
}

#[tokio::test]
async fn a_head_that_is_too_large_costs_no_more_than_its_own_connection() {
    let header = [&[0x00, 1, b'a', 0x7f, 0x81, 0x07][..], &[b'b'; 1024]].concat();
    let block = [request(), header.repeat(15)].concat();
    let pieces = (0..8).map(move |piece| {
        let kind = if piece == 0 { HEADERS } else { CONTINUATION };
        let flags = if piece == 0 { END_STREAM } else { 0 };
        let flags = if piece == 7 { flags | END_HEADERS } else { flags };
        let header = [&[0x00, 1, b'a', 0x7f, 0x81, 0x07][..], &[b'b'; 1024]].concat();
        frame(kind, flags, 1, if piece == 0 { block.clone() } else { header.repeat(15) }.as_slice())
    });
    check(pieces).await;
}

#[tokio::test]
async fn endless_settings_do_not_keep_a_connection() {
    // The initial window, again and again.
    let setting = [0, 4, 0, 0, 0xff, 0xff];
    check((0..MANY).map(move |_| frame(SETTINGS, 0, 0, &setting))).await;
}

#[tokio::test]
async fn endless_pings_do_not_keep_a_connection() {
    check((0..MANY).map(|_| frame(PING, 0, 0, &[0; 8]))).await;
}

#[tokio::test]
async fn empty_pieces_of_a_body_end_the_connection() {
    let first = [frame(HEADERS, END_HEADERS, 1, &post())].into_iter();
    check(first.chain((0..MANY).map(|_| frame(DATA, 0, 1, &[])))).await;
}

#[tokio::test]
async fn more_streams_than_are_allowed_are_refused() {
    let (_backend, proxy) = started().await;
    let stream = soon(TcpStream::connect(proxy.public)).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let driver = tokio::spawn(connection);
    let client = soon(client.ready()).await.unwrap();
    // The proxy's settings have come with the first answer.
    let request = http::Request::get("http://x/api/data").body(()).unwrap();
    let mut client = client;
    let (response, _) = client.send_request(request, true).unwrap();
    assert_eq!(soon(response).await.unwrap().status(), 200);
    assert!(client.current_max_send_streams() <= 128);
    driver.abort();
}
