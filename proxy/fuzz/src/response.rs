//! Responses: the same events however they come, and nothing in them that could be two things.

use bascule::wire::response::{BadEnd, Event, ResponseHead, ResponseParser};
use bytes::BytesMut;
use http::Method;

use super::{cuts, first};

/// What was read of a response.
#[derive(Debug, Default, PartialEq)]
struct Reading {
    heads: Vec<ResponseHead>,
    data: Vec<u8>,
    trailers: usize,
    is_over: bool,
    /// What is said when nothing more comes; garbage may be noticed before.
    at_end: Option<Result<(), BadEnd>>,
    left: usize,
    is_reusable: bool,
}

pub fn check(bytes: &[u8]) {
    let (kind, bytes) = first(bytes);
    let method = if kind % 2 == 0 { Method::GET } else { Method::HEAD };
    let whole = read(&method, [bytes]);
    for cut in cuts(bytes.len()) {
        let (before, behind) = bytes.split_at(cut);
        let parts = read(&method, [before, behind]);
        assert_eq!(parts, whole, "in two parts, the first of {cut}");
    }
    assert_eq!(read(&method, bytes.chunks(1)), whole, "byte by byte");
    for head in &whole.heads {
        is_plain(head);
    }
    if method == Method::HEAD {
        assert!(whole.data.is_empty(), "no body follows a head that was asked for alone");
    }
    assert!(!whole.is_reusable || (whole.is_over && whole.left == 0));
}

fn read<'a>(method: &Method, parts: impl IntoIterator<Item = &'a [u8]>) -> Reading {
    let mut parser = ResponseParser::new(method);
    let (mut reading, mut buffer) = (Reading::default(), BytesMut::new());
    for part in parts {
        buffer.extend_from_slice(part);
        loop {
            match parser.next(&mut buffer) {
                Ok(Some(Event::Head(head) | Event::Interim(head))) => reading.heads.push(head),
                Ok(Some(Event::Data(data))) => {
                    assert!(!data.is_empty());
                    reading.data.extend_from_slice(&data);
                }
                Ok(Some(Event::Trailers(trailers))) => reading.trailers += trailers.len(),
                Ok(Some(Event::End)) => reading.is_over = true,
                Ok(None) => break,
                Err(garbage) => {
                    reading.at_end = Some(Err(BadEnd::Garbage(garbage)));
                    return reading;
                }
            }
        }
    }
    reading.is_reusable = parser.is_reusable(&buffer);
    reading.left = if parser.is_complete() { buffer.len() } else { 0 };
    reading.at_end = Some(parser.at_eof(&buffer));
    reading
}

/// Nothing that a client gets could end a line, or frame the message a second time.
fn is_plain(head: &ResponseHead) {
    let mut lengths = 0;
    for it in head.headers_for_client() {
        assert!(!it.name.is_empty());
        assert!(it.value.iter().all(|byte| !matches!(byte, b'\r' | b'\n' | 0)));
        assert!(!it.is("transfer-encoding") && !it.is("connection") && !it.is("keep-alive"));
        lengths += usize::from(it.is("content-length"));
    }
    assert!(lengths <= 1);
    assert!(!head.reason().contains(['\r', '\n', '\0']));
}
