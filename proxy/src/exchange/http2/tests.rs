use http::{HeaderMap, Response, Uri};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::JoinHandle,
    time::timeout,
};

use super::*;
use crate::{
    event::Symptom,
    exchange::{
        http1::{Happened, INTERIMS},
        http2_leg::Http2Leg,
    },
    retry,
    wire::response::Event,
};

/// Longer than anything here takes; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(10);

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END: u8 = 1 | 4;
const NO_END: u8 = 4;
/// `:status: 200` in HPACK.
const OK: &[u8] = &[0x88];

async fn connect(io: DuplexStream) -> (Handle, JoinHandle<()>) {
    let (handle, driver) = handshake(io, Scheme::HTTP, None, LEGS_ASSUMED).await.unwrap();
    (handle, tokio::spawn(driver))
}

fn head(method: &str) -> Request<()> {
    Request::builder().method(method).uri("http://a.example/x").body(()).unwrap()
}

async fn within<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("nothing happened")
}

async fn final_head(leg: &mut Leg) -> Response<()> {
    match within(leg.down.head()).await.unwrap() {
        Head::Final(head) => head,
        Head::Interim(head) => panic!("interim {}", head.status()),
    }
}

async fn body(leg: &mut Leg) -> Result<Vec<u8>, LegError> {
    let mut body = Vec::new();
    while let Some(data) = within(leg.down.data()).await? {
        body.extend_from_slice(&data);
    }
    Ok(body)
}

/// A backend of h2's own that answers each request with its body, and puts its `x-trailer` behind it.
fn echo() -> DuplexStream {
    let (client, backend) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        let mut connection = h2::server::handshake(backend).await.unwrap();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            tokio::spawn(async move {
                let (parts, mut body) = request.into_parts();
                let mut bytes = Vec::new();
                while let Some(Ok(data)) = body.data().await {
                    body.flow_control().release_capacity(data.len()).unwrap();
                    bytes.extend_from_slice(&data);
                }
                let trailer = parts.headers.get("x-trailer").cloned();
                let response = Response::builder()
                    .header("x-method", parts.method.as_str())
                    .header("x-uri", parts.uri.to_string())
                    .header("x-te", parts.headers.get("te").map_or("", |it| it.to_str().unwrap()));
                let mut send = respond.send_response(response.body(()).unwrap(), false).unwrap();
                send.send_data(bytes.into(), trailer.is_none()).unwrap();
                if let Some(trailer) = trailer {
                    let mut trailers = HeaderMap::new();
                    trailers.insert("grpc-status", trailer);
                    send.send_trailers(trailers).unwrap();
                }
            });
        }
    });
    client
}

/// A backend in frames, for what a library does not do.
struct Raw {
    io: DuplexStream,
}

impl Raw {
    async fn accept(mut io: DuplexStream) -> Raw {
        let mut preface = [0; 24];
        io.read_exact(&mut preface).await.unwrap();
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut raw = Raw { io };
        raw.send(SETTINGS, 0, 0, &[]).await;
        raw
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.io.write_all(&frame).await.unwrap();
    }

    /// Reads up to the next frame of a kind. Returns its stream and payload.
    async fn next(&mut self, kind: u8) -> (u32, Vec<u8>) {
        loop {
            let mut head = [0; 9];
            within(self.io.read_exact(&mut head)).await.unwrap();
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            within(self.io.read_exact(&mut payload)).await.unwrap();
            if head[3] == kind {
                return (u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload);
            }
        }
    }

    async fn reset(&mut self, stream: u32, reason: Reason) {
        self.send(RST_STREAM, 0, stream, &u32::from(reason).to_be_bytes()).await;
    }

    async fn go_away(&mut self, last: u32, reason: Reason) {
        let payload = [last.to_be_bytes(), u32::from(reason).to_be_bytes()].concat();
        self.send(GOAWAY, 0, 0, &payload).await;
    }
}

/// Connects to a backend in frames and starts some legs, which it has seen.
async fn raw_with_legs(count: usize) -> (Raw, Handle, Vec<Leg>) {
    let (client, backend) = tokio::io::duplex(1 << 16);
    let (handle, _) = connect(client).await;
    let mut raw = Raw::accept(backend).await;
    let mut legs = Vec::new();
    for _ in 0..count {
        legs.push(handle.start(head("POST"), BodyFraming::Chunked).unwrap());
        raw.next(HEADERS).await;
    }
    (raw, handle, legs)
}

async fn failure(leg: &mut Leg) -> LegError {
    within(leg.down.head()).await.expect_err("an answer")
}

#[tokio::test]
async fn a_request_without_a_body_is_complete_at_once() {
    let (handle, _) = connect(echo()).await;
    let mut request = head("GET");
    request.headers_mut().insert("te", "trailers".parse().unwrap());
    let mut leg = handle.start(request, BodyFraming::None).unwrap();
    assert!(leg.up.is_ended());
    let answer = final_head(&mut leg).await;
    assert_eq!(answer.headers()["x-method"], "GET");
    assert_eq!(answer.headers()["x-te"], "trailers");
    let uri: Uri = answer.headers()["x-uri"].to_str().unwrap().parse().unwrap();
    assert_eq!(uri, "http://a.example/x");
    assert_eq!(body(&mut leg).await, Ok(vec![]));
    assert!(leg.down.is_complete());
    assert_eq!(handle.open_legs(), 1);
    drop(leg);
    assert_eq!(handle.open_legs(), 0);
    assert!(handle.is_usable());
}

#[tokio::test]
async fn bodies_far_beyond_the_windows_pass_in_both_directions() {
    let (handle, _) = connect(echo()).await;
    let sent: Vec<u8> = (0..3_000_000_u32).map(|it| (it % 251) as u8).collect();
    let mut leg = handle.start(head("POST"), BodyFraming::Length(3_000_000)).unwrap();
    for piece in sent.chunks(1 << 20) {
        leg.up.offer(Bytes::copy_from_slice(piece), Rest::Follows);
        // A call that is dropped halfway loses nothing.
        let _ = timeout(Duration::from_micros(1), leg.up.flush()).await;
        within(leg.up.flush()).await.unwrap();
        assert!(leg.up.is_flushed());
    }
    leg.up.offer(Bytes::new(), Rest::Nothing);
    assert!(!leg.up.is_flushed());
    within(leg.up.flush()).await.unwrap();
    assert!(leg.up.is_ended());
    final_head(&mut leg).await;
    assert!(body(&mut leg).await.unwrap() == sent);
}

#[tokio::test]
async fn trailers_follow_the_body() {
    let (handle, _) = connect(echo()).await;
    let mut request = head("POST");
    request.headers_mut().insert("x-trailer", "0".parse().unwrap());
    let mut leg = handle.start(request, BodyFraming::Chunked).unwrap();
    leg.up.offer(Bytes::from_static(b"message"), Rest::Nothing);
    within(leg.up.flush()).await.unwrap();
    final_head(&mut leg).await;
    assert_eq!(body(&mut leg).await.unwrap(), b"message");
    let trailers = within(leg.down.trailers()).await.unwrap().unwrap();
    assert_eq!((trailers.len(), &trailers["grpc-status"]), (1, &"0".parse().unwrap()));
}

#[tokio::test]
async fn only_a_reset_that_says_so_is_a_refusal() {
    let (mut raw, handle, mut legs) = raw_with_legs(3).await;
    raw.reset(1, Reason::REFUSED_STREAM).await;
    raw.reset(3, Reason::INTERNAL_ERROR).await;
    assert_eq!(failure(&mut legs[0]).await, LegError::Refused);
    assert_eq!(failure(&mut legs[1]).await, LegError::Reset(Reason::INTERNAL_ERROR));
    // Whoever has answered has processed.
    raw.send(HEADERS, NO_END, 5, OK).await;
    final_head(&mut legs[2]).await;
    raw.reset(5, Reason::REFUSED_STREAM).await;
    let cut = within(legs[2].down.data()).await;
    assert_eq!(cut, Err(LegError::Reset(Reason::REFUSED_STREAM)));
    assert!(handle.is_usable());
}

#[tokio::test]
async fn a_backend_that_goes_away_refuses_the_legs_above_its_last_and_ends_the_others() {
    for reason in [Reason::NO_ERROR, Reason::ENHANCE_YOUR_CALM] {
        let (mut raw, handle, mut legs) = raw_with_legs(3).await;
        raw.go_away(3, reason).await;
        assert_eq!(failure(&mut legs[2]).await, LegError::Refused);
        assert!(!handle.is_usable());
        let refused = handle.start(head("GET"), BodyFraming::None).unwrap_err();
        assert_eq!(refused, LegError::Refused);
        raw.send(HEADERS, END, 1, OK).await;
        final_head(&mut legs[0]).await;
        assert_eq!(body(&mut legs[0]).await, Ok(vec![]));
        drop(raw);
        assert_eq!(failure(&mut legs[1]).await, LegError::Closed);
    }
}

#[tokio::test]
async fn a_graceful_farewell_refuses_nothing_that_is_under_way() {
    let (mut raw, handle, mut legs) = raw_with_legs(1).await;
    raw.go_away(u32::MAX >> 1, Reason::NO_ERROR).await;
    raw.go_away(1, Reason::NO_ERROR).await;
    raw.send(HEADERS, END, 1, OK).await;
    final_head(&mut legs[0]).await;
    assert!(!handle.is_usable());
}

#[tokio::test]
async fn an_end_without_a_word_proves_nothing() {
    let (mut raw, handle, mut legs) = raw_with_legs(2).await;
    raw.send(HEADERS, NO_END, 3, OK).await;
    final_head(&mut legs[1]).await;
    drop(raw);
    assert_eq!(failure(&mut legs[0]).await, LegError::Closed);
    assert_eq!(within(legs[1].down.data()).await, Err(LegError::Closed));
    assert!(!handle.is_usable());
}

#[tokio::test]
async fn what_is_no_http2_is_garbage() {
    let (client, mut backend) = tokio::io::duplex(1 << 16);
    let (handle, _) = connect(client).await;
    let mut leg = handle.start(head("GET"), BodyFraming::None).unwrap();
    backend.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    assert_eq!(failure(&mut leg).await, LegError::Garbage);
    // Headers that HTTP/2 forbids: `connection: x`, after `:status: 200`.
    let (mut raw, _handle, mut legs) = raw_with_legs(1).await;
    let forbidden = [OK, b"\x00\x0aconnection\x01x"].concat();
    raw.send(HEADERS, END, 1, &forbidden).await;
    assert_eq!(failure(&mut legs[0]).await, LegError::Garbage);
}

#[tokio::test]
async fn interim_heads_come_before_the_final_one() {
    let (mut raw, _handle, mut legs) = raw_with_legs(1).await;
    raw.send(HEADERS, NO_END, 1, b"\x08\x03103").await;
    raw.send(HEADERS, END, 1, OK).await;
    match within(legs[0].down.head()).await.unwrap() {
        Head::Interim(head) => assert_eq!(head.status(), 103),
        Head::Final(head) => panic!("final {}", head.status()),
    }
    assert_eq!(final_head(&mut legs[0]).await.status(), 200);
}

#[tokio::test]
async fn an_early_answer_ends_the_upload_and_is_whole() {
    let (mut raw, _handle, mut legs) = raw_with_legs(1).await;
    let leg = &mut legs[0];
    leg.up.offer(Bytes::from(vec![0; 1 << 20]), Rest::Nothing);
    let waits = timeout(Duration::from_millis(20), leg.up.flush()).await;
    assert!(waits.is_err(), "more than the window went out");
    raw.send(HEADERS, END, 1, OK).await;
    raw.reset(1, Reason::NO_ERROR).await;
    assert_eq!(within(leg.up.flush()).await, Err(leg::Unwanted));
    assert!(leg.up.is_ended());
    final_head(leg).await;
    assert_eq!(body(leg).await, Ok(vec![]));
}

#[tokio::test]
async fn a_leg_that_is_dropped_is_reset() {
    let (mut raw, handle, legs) = raw_with_legs(1).await;
    drop(legs);
    let (stream, reason) = raw.next(RST_STREAM).await;
    assert_eq!((stream, reason), (1, u32::from(Reason::CANCEL).to_be_bytes().to_vec()));
    assert!(handle.is_usable());
    assert_eq!(handle.open_legs(), 0);
}

#[tokio::test]
async fn a_full_connection_refuses_more() {
    let (client, backend) = tokio::io::duplex(1 << 16);
    let (handle, _) = connect(client).await;
    let mut raw = Raw::accept(backend).await;
    // Two concurrent streams at most. The echo of a ping shows that it has been read.
    raw.send(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 2]).await;
    raw.send(6, 0, 0, &[7; 8]).await;
    raw.next(6).await;
    assert_eq!(handle.max_legs(), 2);
    let start = || handle.start(head("GET"), BodyFraming::None);
    let first = start().unwrap();
    let _second = start().unwrap();
    assert_eq!(start().unwrap_err(), LegError::Refused);
    drop(first);
    assert!(start().is_ok());
}

#[tokio::test]
async fn a_backend_that_answers_no_ping_is_given_up() {
    let (client, backend) = tokio::io::duplex(1 << 16);
    let pings = Pings { interval: Duration::from_millis(5), timeout: Duration::from_millis(50) };
    let (handle, driver) =
        handshake(client, Scheme::HTTP, Some(pings), LEGS_ASSUMED).await.unwrap();
    let driver = tokio::spawn(driver);
    let mut leg = handle.start(head("GET"), BodyFraming::None).unwrap();
    let _raw = Raw::accept(backend).await;
    assert_eq!(failure(&mut leg).await, LegError::Closed);
    within(driver).await.unwrap();
    assert!(!handle.is_usable());
}

#[tokio::test]
async fn a_connection_ends_when_nobody_holds_it() {
    let (handle, driver) = connect(echo()).await;
    let mut leg = handle.start(head("GET"), BodyFraming::None).unwrap();
    drop(handle);
    final_head(&mut leg).await;
    drop(leg);
    within(driver).await.unwrap();
}

/// A flood of them would keep a request from noticing that time passes.
#[tokio::test]
async fn interim_responses_are_bounded() {
    // `:status: 103` in HPACK.
    const HINTS: &[u8] = &[0x08, 3, b'1', b'0', b'3'];
    let (mut raw, _handle, mut legs) = raw_with_legs(1).await;
    let leg = legs.pop().unwrap();
    let mut leg = Http2Leg::new(leg, retry::Connection::Fresh, false);
    for _ in 0..=INTERIMS {
        raw.send(HEADERS, NO_END, 1, HINTS).await;
    }
    for _ in 0..INTERIMS {
        let happened = within(leg.next()).await;
        assert!(matches!(happened, Ok(Happened::Said(Event::Interim(_)))), "{happened:?}");
    }
    assert_eq!(within(leg.next()).await.unwrap_err().symptom, Symptom::Garbage);
}
