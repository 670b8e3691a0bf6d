//! Bodies of requests: they end at one place however they come, and chunks have one reading.

use bascule::wire::{
    incoming::{Body, Limits, Refusal},
    request::{BodyFraming, CHUNK_END, chunk_head, last_chunk},
    response::{Event, ResponseParser},
};
use bytes::BytesMut;
use http::Method;

use super::{cuts, first};

const LIMITS: Limits = Limits { head: 16 << 10, headers: 1 << 10, target: 1 << 10 };

/// How many bytes belong to the body, and whether it is over.
type Verdict = Result<(usize, bool), Refusal>;

pub fn check(bytes: &[u8]) {
    let (kind, bytes) = first(bytes);
    let framing = match kind {
        0..=31 => BodyFraming::Length(kind.into()),
        _ => BodyFraming::Chunked,
    };
    let whole = take(framing, [bytes]);
    for cut in cuts(bytes.len()) {
        let (before, behind) = bytes.split_at(cut);
        assert_eq!(take(framing, [before, behind]), whole, "in two parts, the first of {cut}");
    }
    assert_eq!(take(framing, bytes.chunks(1)), whole, "byte by byte");
    match (framing, whole) {
        (BodyFraming::Length(length), whole) => {
            let most = (length as usize).min(bytes.len());
            assert_eq!(whole, Ok((most, most as u64 == length)));
        }
        (_, Ok((length, true))) => has_one_reading(&bytes[..length]),
        (_, Ok((length, false))) => assert_eq!(length, bytes.len()),
        (_, Err(_)) => {}
    }
}

fn take<'a>(framing: BodyFraming, parts: impl IntoIterator<Item = &'a [u8]>) -> Verdict {
    let (content, taken, is_over) = read(framing, parts)?;
    assert!(content.len() <= taken);
    Ok((taken, is_over))
}

/// The content of a body, how many bytes belong to it, and whether it is over.
fn read<'a>(
    framing: BodyFraming,
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<u8>, usize, bool), Refusal> {
    let (mut body, mut come) = (Body::new(framing, &LIMITS), BytesMut::new());
    let (mut content, mut shown) = (Vec::new(), 0);
    for part in parts {
        let plain = usize::try_from(body.plain()).unwrap_or(usize::MAX).min(part.len());
        let before = content.len();
        come.extend_from_slice(part);
        shown += part.len();
        while let Some(data) = body.take_content(&mut come)? {
            assert!(!data.is_empty());
            content.extend_from_slice(&data);
        }
        assert!(before + plain <= content.len());
        assert!(come.is_empty() || body.is_over());
    }
    Ok((content, shown - come.len(), body.is_over()))
}

/// The reader of responses, which is another one, finds the same end, and what it finds, written
/// anew, is a body.
fn has_one_reading(body: &[u8]) {
    let mut response =
        BytesMut::from(&b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..]);
    response.extend_from_slice(body);
    let mut parser = ResponseParser::new(&Method::GET);
    let (mut written, mut is_ended, mut content) = (BytesMut::new(), false, Vec::new());
    loop {
        match parser.next(&mut response).expect("what a client may send, a backend may") {
            Some(Event::Data(data)) => {
                content.extend_from_slice(&data);
                chunk_head(data.len(), &mut written);
                written.extend_from_slice(&data);
                written.extend_from_slice(CHUNK_END);
            }
            Some(Event::Trailers(trailers)) => {
                let fields = trailers.iter().map(|it| (&it.name[..], it.value.as_bytes()));
                last_chunk(fields, &mut written);
                is_ended = true;
            }
            Some(Event::End) => break,
            Some(Event::Head(_)) => {}
            Some(Event::Interim(_)) | None => panic!("a whole body"),
        }
    }
    assert!(response.is_empty(), "both end at the same place");
    let read = read(BodyFraming::Chunked, [body]).expect("it was read before");
    assert_eq!(read.0, content, "both find the same content");
    if !is_ended {
        last_chunk([], &mut written);
    }
    let whole = take(BodyFraming::Chunked, [&written[..]]);
    assert!(matches!(whole, Ok((_, true))), "{written:?}");
}
