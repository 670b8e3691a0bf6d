//! Cases before a backend that speaks HTTP/2: frames are the `h2` crate's, words are the cases'.
//!
//! What the backend gets is shown with its pseudo-headers as lines: `:method: GET`. What it says is
//! written as in HTTP/1.1, with lines at its head that begin with a colon for what only HTTP/2 has:
//! `:trailers: NAME: VALUE`; `:reset: NUMBER`, after the body, for the end of the stream; and
//! `:leave:` for the end of the connection, once its streams are done.

use bytes::Bytes;
use h2::{Reason, server::SendResponse};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};

use crate::{
    dialogue::{Failure, take},
    groups::{Group, setup},
    known,
    message::{self, Extent, Reading},
    report::Result,
    script::{Case, Expected, PLAIN, Part, Step},
    stage::{PATIENCE, Stage, Wire},
    wording,
};

/// Requests that may wait to be looked at; more than any case sends.
const WAITING: usize = 16;

/// A request that has come whole, or as much of it as there was.
#[derive(Debug)]
struct Asked {
    text: Vec<u8>,
    respond: SendResponse<Bytes>,
    leave: mpsc::Sender<()>,
}

pub(crate) async fn run(group: &Group, cases: &[Case]) -> Vec<Result> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = [("stub", listener.local_addr().unwrap())];
    let (asked, mut questions) = mpsc::channel(WAITING);
    let mut backend = JoinSet::new();
    backend.spawn(serve(listener, asked));
    let proxy = setup(&addresses).with("pools.api.protocol", "http2").start().await;
    let mut stage = Stage::new().await;
    let mut results = Vec::new();
    for case in cases {
        stage.prepare(proxy.public, known::reason(case.name).is_some());
        let failure = play(&mut stage, &mut questions, case).await.err();
        results.push(Result { group: group.name, name: case.name, failure });
    }
    results
}

async fn serve(listener: TcpListener, asked: mpsc::Sender<Asked>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(speak(stream, asked.clone()));
    }
}

/// Speaks HTTP/2 until the connection is over.
async fn speak(stream: TcpStream, asked: mpsc::Sender<Asked>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let (leave, mut leaving) = mpsc::channel(1);
    let mut requests = JoinSet::new();
    loop {
        tokio::select! {
            Some(()) = leaving.recv() => connection.graceful_shutdown(),
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    requests.spawn(listen(request, respond, leave.clone(), asked.clone()));
                }
                Some(Err(_)) | None => return,
            },
        }
    }
}

async fn listen(
    request: Request<h2::RecvStream>,
    respond: SendResponse<Bytes>,
    leave: mpsc::Sender<()>,
    asked: mpsc::Sender<Asked>,
) {
    let (head, mut body) = request.into_parts();
    let mut text = format!(
        ":method: {}\r\n:scheme: {}\r\n:authority: {}\r\n:path: {}\r\n",
        head.method,
        head.uri.scheme_str().unwrap_or(""),
        head.uri.authority().map_or("", |it| it.as_str()),
        head.uri.path_and_query().map_or("", |it| it.as_str()),
    )
    .into_bytes();
    text.extend(lines(&head.headers));
    text.extend(b"\r\n");
    while let Some(Ok(piece)) = body.data().await {
        _ = body.flow_control().release_capacity(piece.len());
        text.extend_from_slice(&piece);
    }
    if let Ok(Some(trailers)) = body.trailers().await {
        text.extend(lines(&trailers));
    }
    _ = asked.send(Asked { text, respond, leave }).await;
}

fn lines(headers: &HeaderMap) -> Vec<u8> {
    let line = |(name, value): (&HeaderName, &HeaderValue)| {
        [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat()
    };
    headers.iter().flat_map(line).collect()
}

/// Acts out a case, and proves that the backend got nothing else.
async fn play(
    stage: &mut Stage,
    questions: &mut mpsc::Receiver<Asked>,
    case: &Case,
) -> std::result::Result<(), Failure> {
    let mut played = steps(stage, questions, case).await;
    if played.is_ok() && case.end.is_open {
        played = follow(stage, questions, "/still-open").await;
    } else if played.is_ok() {
        let is_closed =
            stage.until_client(|it| (it.is_ended && it.unread.is_empty()).then_some(())).await;
        played = is_closed.ok_or_else(|| fail("the client's connection is closed", b"", b"open"));
    }
    stage.client = None;
    let marked = follow(stage, questions, &format!("/marker/{}", case.name)).await;
    stage.client = None;
    played.and(marked)
}

async fn follow(
    stage: &mut Stage,
    questions: &mut mpsc::Receiver<Asked>,
    path: &str,
) -> std::result::Result<(), Failure> {
    let sent = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    stage.client().await.send(sent.as_bytes()).await;
    let Ok(Some(asked)) = timeout(PATIENCE, questions.recv()).await else {
        return Err(fail("the proxy goes on serving", path.as_bytes(), b""));
    };
    if message::find(&asked.text, format!(":path: {path}\r\n").as_bytes()).is_none() {
        return Err(fail("the backend gets nothing else", b"", &asked.text));
    }
    respond(asked, PLAIN.as_bytes()).await;
    let whole = Expected::Message {
        head: b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n".to_vec(),
        body: b"ok".to_vec(),
        trailers: Vec::new(),
        part: Part::Whole,
    };
    client_gets(stage, &whole).await
}

async fn steps(
    stage: &mut Stage,
    questions: &mut mpsc::Receiver<Asked>,
    case: &Case,
) -> std::result::Result<(), Failure> {
    let mut open = None;
    for step in &case.steps {
        match step {
            Step::ClientSends(bytes) => stage.client().await.send(bytes).await,
            Step::ClientCloses => stage.client().await.close().await,
            Step::ClientGets(expected) => client_gets(stage, expected).await?,
            Step::BackendSends(bytes) => {
                if let Some(asked) = open.take() {
                    open = respond(asked, bytes).await;
                }
            }
            Step::BackendGets(expected) => {
                let wanted = wording::in_http2(expected);
                let asked = timeout(PATIENCE, questions.recv()).await.ok().flatten();
                let Some(asked) = asked else {
                    return Err(fail("the backend gets", &wanted, b""));
                };
                let seen = wording::without_added(&asked.text, &wanted);
                if seen != wanted {
                    return Err(fail("the backend gets", &wanted, &asked.text));
                }
                open = Some(asked);
            }
            Step::BackendCloses
            | Step::BackendResets
            | Step::BackendIsNew
            | Step::BackendIsSame => panic!("{}: {step:?} is not for HTTP/2", case.name),
        }
    }
    if !case.end.statuses.is_empty() {
        own_answer(stage, &case.end.statuses).await?;
    }
    Ok(())
}

async fn client_gets(stage: &mut Stage, expected: &Expected) -> std::result::Result<(), Failure> {
    let wanted = wording::expected_bytes(expected);
    match stage.until_client(|wire| take(wire, expected)).await {
        Some(Ok(())) => Ok(()),
        Some(Err(seen)) => Err(fail("the client gets", &wanted, &seen)),
        None => {
            let seen = stage.client.as_ref().map_or(Vec::new(), |it| it.unread.clone());
            Err(fail("the client gets", &wanted, &seen))
        }
    }
}

async fn own_answer(stage: &mut Stage, statuses: &[u16]) -> std::result::Result<(), Failure> {
    let look = |wire: &mut Wire| match message::read(&wire.unread, Extent::Whole, false) {
        Reading::Whole(it) => Some(wire.unread.drain(..it.length).collect::<Vec<u8>>()),
        Reading::Partial(_) | Reading::Wrong(_) => None,
    };
    let seen = stage.until_client(look).await.unwrap_or_default();
    let is_it = statuses.iter().any(|it| seen.starts_with(format!("HTTP/1.1 {it} ").as_bytes()));
    let expected = format!("an answer of the proxy's own, {statuses:?}");
    if is_it { Ok(()) } else { Err(fail("the client gets", expected.as_bytes(), &seen)) }
}

fn fail(what: &str, expected: &[u8], seen: &[u8]) -> Failure {
    Failure { what: what.to_owned(), expected: expected.to_vec(), seen: seen.to_vec() }
}

/// Says a response. Returns the request if it is still to be answered.
async fn respond(mut asked: Asked, text: &[u8]) -> Option<Asked> {
    let end = message::find(text, b"\r\n\r\n").unwrap_or(text.len());
    let (head, body) = (&text[..end], text.get(end + 4..).unwrap_or(b""));
    let head = String::from_utf8_lossy(head);
    let lines = head.split("\r\n");
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|it| it.get(..3));
    let mut response = Response::builder().status(status.unwrap_or("200"));
    let (mut trailers, mut reset) = (HeaderMap::new(), None);
    for line in lines {
        if let Some(number) = line.strip_prefix(":reset: ") {
            reset = Some(Reason::from(number.parse::<u32>().unwrap()));
        } else if line.starts_with(":leave:") {
            _ = asked.leave.send(()).await;
        } else if let Some((name, value)) =
            line.strip_prefix(":trailers: ").and_then(|it| it.split_once(": "))
        {
            trailers
                .append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        } else if let Some((name, value)) = line.split_once(": ") {
            response = response.header(name, value);
        }
    }
    if status.is_none() {
        asked.respond.send_reset(reset.unwrap_or(Reason::CANCEL));
        return None;
    }
    let response = response.body(()).unwrap();
    if response.status().is_informational() {
        _ = asked.respond.send_informational(response);
        return Some(asked);
    }
    let is_all = body.is_empty() && trailers.is_empty() && reset.is_none();
    let Ok(mut stream) = asked.respond.send_response(response, is_all) else { return None };
    if !is_all {
        let ends = trailers.is_empty() && reset.is_none();
        _ = stream.send_data(Bytes::copy_from_slice(body), ends);
    }
    if !trailers.is_empty() {
        _ = stream.send_trailers(trailers);
    }
    if let Some(reason) = reset {
        // What has been said goes out before.
        tokio::task::yield_now().await;
        stream.send_reset(reason);
    }
    None
}
