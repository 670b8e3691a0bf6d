//! The same bytes for Pingora's client and for this parser: neither knows of the other.

use http::Method;
use pingora::{http::RequestHeader, protocols::http::v1::client::HttpSession};
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use crate::wire::response::tests::{read, response};

/// How this parser differs from Pingora's on a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parity {
    Same,
    Refused,
    NotReused,
}

/// Status, body, and whether the connection is used again; `None` without a complete response.
type Answer = Option<(u16, Vec<u8>, bool)>;

async fn pingora(method: &Method, bytes: &[u8]) -> Answer {
    let (client, mut backend) = tokio::io::duplex(1 << 16);
    let mut session = HttpSession::new(Box::new(client));
    let mut request = RequestHeader::build(method.clone(), b"/", None).unwrap();
    request.insert_header("Host", "x").unwrap();
    session.write_request_header(Box::new(request)).await.unwrap();
    backend.write_all(bytes).await.unwrap();
    drop(backend);
    let status = loop {
        session.read_response().await.ok()?;
        let status = session.get_status()?.as_u16();
        if !(100..200).contains(&status) || status == 101 {
            break status;
        }
    };
    let mut body = Vec::new();
    while let Some(data) = session.read_body_bytes().await.ok()? {
        body.extend_from_slice(&data);
    }
    session.respect_keepalive();
    Some((status, body, session.reuse().await.is_some()))
}

fn ours(method: &Method, bytes: &[u8]) -> Answer {
    let reading = read(method, [bytes]);
    reading.end.ok()?;
    Some((reading.head?.status.as_u16(), reading.body, reading.is_reusable))
}

fn parity(pingora: &Answer, ours: &Answer) -> Option<Parity> {
    match (pingora, ours) {
        (None, None) => Some(Same),
        (Some(_), None) => Some(Refused),
        (None, Some(_)) => None,
        (Some(theirs), Some(ours)) if (theirs.0, &theirs.1) != (ours.0, &ours.1) => None,
        (Some((.., true)), Some((.., false))) => Some(NotReused),
        (Some((.., false)), Some((.., true))) => None,
        (Some(_), Some(_)) => Some(Same),
    }
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

use Parity::{NotReused, Refused, Same};

const RESPONSES: &[(&str, Parity)] = &[
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", Same),
    ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Same),
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd", Same),
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", Same),
    ("HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\nContent-Length: 3\r\n\r\nabc", Same),
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", Same),
    ("HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc", Same),
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", Same),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x\r\nConnection: close\r\n\r\n",
        NotReused,
    ),
    ("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", Same),
    ("HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc", Same),
    ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused),
    ("HTTP/1.1 200 OK\r\n\r\nabc", Same),
    ("HTTP/1.1 204 No Content\r\n\r\n", Same),
    ("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", Same),
    ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Same),
    ("HTTP/1.1 101 Switching Protocols\r\n\r\nraw", Refused),
    ("HTTP/1.1 200 OK\nContent-Length : 3\nX: a\n b\n\nabc", Same),
    ("HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", Same),
    ("HTTP/1.1 200 OK\r\nX X: a\r\n\r\n", Same),
    ("nonsense\r\n\r\n", Same),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        NotReused,
    ),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", Refused),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nabc", Refused),
];

/// Bodies behind a head that announces chunks.
const CHUNKED_BODIES: &[(&str, Parity)] = &[
    ("3\r\nabc\r\n0\r\n\r\n", Same),
    ("3;a=b\r\nabc\r\nA ;\"x\"\r\n0123456789\r\n0\r\n\r\n", Same),
    ("3;a=\x01b\r\nabc\r\n0\r\n\r\n", Refused),
    ("0\r\nX: y\r\n\r\n", Same),
    ("0\r\nX: y\n\r\n\r\n", Same),
    ("0\r\nno colon\r\n\r\n", Refused),
    ("0\r\n\r\nsurplus", Same),
    ("3\r\nabcd\r\n0\r\n\r\n", Same),
    ("3\r\nabc\n0\r\n\r\n", Same),
    ("3\nabc\r\n0\r\n\r\n", Same),
    ("-3\r\nabc\r\n0\r\n\r\n", Same),
    ("00000000000000003\r\nabc\r\n0\r\n\r\n", Same),
    ("3\r\nabc\r\n", Same),
    ("3\r\nab", Same),
];

#[tokio::test]
async fn responses_are_read_as_pingora_reads_them_or_more_strictly() {
    let chunked = CHUNKED_BODIES.iter().map(|(body, parity)| (format!("{CHUNKED}{body}"), *parity));
    let table = RESPONSES.iter().map(|(response, parity)| ((*response).to_owned(), *parity));
    for (response, expected) in table.chain(chunked) {
        for method in [Method::GET, Method::HEAD] {
            let theirs = pingora(&method, response.as_bytes()).await;
            let ours = ours(&method, response.as_bytes());
            let found = parity(&theirs, &ours);
            // Without a body there is less to disagree about.
            let is_expected =
                found == Some(expected) || (method == Method::HEAD && found == Some(Same));
            assert!(is_expected, "{method} {response:?}: {theirs:?}, {ours:?}");
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_read_more_leniently_than_by_pingora(
        bytes in response(),
        is_head in any::<bool>(),
    ) {
        let method = if is_head { Method::HEAD } else { Method::GET };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let theirs = runtime.block_on(pingora(&method, &bytes));
        let ours = ours(&method, &bytes);
        prop_assert!(parity(&theirs, &ours).is_some(), "{}: {:?}, {:?}", bytes.escape_ascii(), theirs, ours);
    }
}
