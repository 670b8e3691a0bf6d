//! Cases of clients that speak HTTP/2: frames as bytes, so that malformed ones can be sent as well.
//!
//! A client begins with the preface, without asking whether it may (RFC 9113 §3.3), and sends one
//! request on a stream. Fields are literals, which need no table and no Huffman code; of a response
//! only its status is looked at, which servers write as one byte.

use crate::{
    dialogue::{Dialogue, Failure, take},
    groups::Group,
    known,
    report::{Result, is_wanted},
    script::{Case, End, Expected, PLAIN, Part, unescape},
    stage::{Stage, Wire},
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Types of frames (RFC 9113 §6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
/// Flags of `HEADERS` and `DATA`.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// What the status 200 is as one byte (RFC 7541, appendix A).
const OK: u8 = 0x88;

/// What has become of the request, as its client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    Refused,
}

pub(crate) async fn run(
    group: &Group,
    stage: &mut Stage,
    proxy: std::net::SocketAddr,
) -> Vec<Result> {
    let mut results = Vec::new();
    let lines = group.text.lines().filter(|it| it.starts_with("rfc"));
    for (name, rest) in lines.filter_map(|it| it.split_once(' ')) {
        if is_wanted(group.name, name) {
            stage.prepare(proxy, known::reason(name).is_some());
            let failure = play(stage, name, rest).await.err();
            results.push(Result { group: group.name, name, failure });
        }
    }
    results
}

async fn play(
    stage: &mut Stage,
    name: &'static str,
    line: &str,
) -> std::result::Result<(), Failure> {
    let (word, rest) = line.split_once(' ').unwrap();
    let (request, seen) = rest.split_once(" => ").unwrap_or((rest, ""));
    stage
        .client()
        .await
        .send(&[PREFACE, &frame(SETTINGS, 0, 0, b""), &frames(request)].concat())
        .await;
    let played = match word {
        "passed" => passes(stage, seen).await,
        "malformed" => fate(stage, Fate::Refused).await,
        _ => panic!("{name}: what is {word:?}?"),
    };
    stage.client = None;
    let end = End { statuses: Vec::new(), is_open: false, may_begin: word == "malformed" };
    let marked = Dialogue::new(stage).mark(&Case { name, steps: Vec::new(), end }).await;
    stage.client = None;
    played.and(marked)
}

async fn passes(stage: &mut Stage, seen: &str) -> std::result::Result<(), Failure> {
    let bytes = unescape(&seen.replace('|', "\r\n"));
    let (head, body) = match crate::message::find(&bytes, b"\r\n\r\n") {
        Some(end) => (bytes[..end + 2].to_vec(), bytes[end + 4..].to_vec()),
        None => (bytes.clone(), Vec::new()),
    };
    let expected = Expected::Message { head, body, trailers: Vec::new(), part: Part::Whole };
    let look = |wire: &mut Wire| take(wire, &expected).map(|it| (wire.number, it));
    let (number, problem) = match stage.until_backend(look).await {
        Some((number, Ok(()))) => (number, None),
        Some((number, Err(seen))) => (number, Some(seen)),
        None => (0, Some(stage.client.as_ref().map_or(Vec::new(), |it| it.unread.clone()))),
    };
    if let Some(seen) = problem {
        return Err(Failure { what: "the backend gets".into(), expected: bytes, seen });
    }
    if let Some(wire) = stage.backend_of(number) {
        wire.send(PLAIN.as_bytes()).await;
    }
    fate(stage, Fate::Answered).await
}

async fn fate(stage: &mut Stage, expected: Fate) -> std::result::Result<(), Failure> {
    let found = stage.until_client(|wire| fate_in(&wire.unread)).await;
    if found == Some(expected) {
        return Ok(());
    }
    let seen = stage.client.as_ref().map_or(Vec::new(), |it| it.unread.clone());
    let what = format!("the client's request is {expected:?} by a frame, not {found:?}");
    Err(Failure { what, expected: Vec::new(), seen })
}

/// What the frames that a server sent mean for the only request. `None` while they do not say.
fn fate_in(mut bytes: &[u8]) -> Option<Fate> {
    while let Some((head, rest)) = bytes.split_at_checked(9) {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let (payload, after) = rest.split_at_checked(length)?;
        match (head[3], payload.first()) {
            (HEADERS, Some(&OK)) => return Some(Fate::Answered),
            (HEADERS | RST_STREAM | GOAWAY, _) => return Some(Fate::Refused),
            _ => bytes = after,
        }
    }
    None
}

/// The frames of a request: fields, and a body behind an empty line.
fn frames(request: &str) -> Vec<u8> {
    let (fields, body) = request.split_once("||").unwrap_or((request, ""));
    let mut block = Vec::new();
    for field in fields.split('|') {
        // A pseudo-header begins with a colon.
        let at = field[1..].find(':').unwrap() + 1;
        let value = unescape(field[at + 1..].strip_prefix(' ').unwrap_or(""));
        let name = &field.as_bytes()[..at];
        block.extend([&[0, length(name)], name, &[length(&value)], &value].concat());
    }
    let body = unescape(body);
    let flags = if body.is_empty() { END_HEADERS | END_STREAM } else { END_HEADERS };
    let mut bytes = frame(HEADERS, flags, 1, &block);
    if !body.is_empty() {
        bytes.extend(frame(DATA, END_STREAM, 1, &body));
    }
    bytes
}

/// Lengths are short here: a longer one would take more than a byte.
fn length(text: &[u8]) -> u8 {
    u8::try_from(text.len()).ok().filter(|it| *it < 127).unwrap()
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[0, length[0], length[1], kind, flags, 0, 0, 0, stream], payload].concat()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What a server makes of a request: the `h2` crate's, which answers whatever it accepts.
    async fn served(request: &str) -> (Option<String>, Option<Fate>) {
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        let sent = [PREFACE, &frame(SETTINGS, 0, 0, b""), &frames(request)].concat();
        client.write_all(&sent).await.unwrap();
        let serve = async {
            let mut connection = h2::server::handshake(server).await.unwrap();
            let mut path = None;
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                path = Some(request.uri().to_string());
                respond.send_response(http::Response::new(()), true).unwrap();
            }
            path
        };
        let receive = async {
            let mut bytes = Vec::new();
            while fate_in(&bytes).is_none() && client.read_buf(&mut bytes).await.unwrap() != 0 {}
            drop(client);
            fate_in(&bytes)
        };
        tokio::join!(serve, receive)
    }

    #[tokio::test]
    async fn frames_are_what_they_are_meant_to_be() {
        let request = ":method: POST|:scheme: http|:authority: a|:path: /x?y|x: 1||body";
        let (uri, fate) = served(request).await;
        assert_eq!((uri.as_deref(), fate), (Some("http://a/x?y"), Some(Fate::Answered)));
        let (uri, fate) = served(":method: GET|:scheme: http|:authority: a|:path: /|X: 1").await;
        assert_eq!((uri, fate), (None, Some(Fate::Refused)));
    }
}
