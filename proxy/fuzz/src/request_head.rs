//! Heads of requests: one verdict however they come, and one reading of what is accepted.

use bascule::wire::{
    incoming::{Head, Limits, Refusal, Scan, inspect},
    request::{BodyFraming, RequestLine, Unsendable, request_head},
};
use bytes::BytesMut;
use http::Method;

use super::cuts;

const LIMITS: Limits = Limits { head: 2048, headers: 20, target: 256 };

/// What is made of a connection's first bytes: a head of this length, a refusal, or nothing yet.
type Verdict = Result<Option<(usize, Head)>, Refusal>;

pub fn check(bytes: &[u8]) {
    let whole = judge([bytes.len()], bytes);
    for cut in cuts(bytes.len()) {
        assert_eq!(judge([cut, bytes.len()], bytes), whole, "in two parts, the first of {cut}");
    }
    assert_eq!(judge(0..=bytes.len(), bytes), whole, "byte by byte");
    if let Ok(Some((length, head))) = whole {
        has_one_reading(&bytes[..length], head);
    }
}

/// Shows the scan so many bytes, one number after another, until it can tell.
fn judge(lengths: impl IntoIterator<Item = usize>, bytes: &[u8]) -> Verdict {
    let mut scan = Scan::default();
    for length in lengths {
        if let Some(end) = scan.end(&bytes[..length], &LIMITS)? {
            assert!(end <= length, "the head ends in what has come");
            return inspect(&bytes[..end], &LIMITS).map(|head| Some((end, head)));
        }
    }
    Ok(None)
}

/// What the simplest reader makes of a head that was accepted, written anew, means the same.
fn has_one_reading(bytes: &[u8], head: Head) {
    let text = bytes.strip_suffix(b"\r\n\r\n").expect("a head ends with an empty line");
    assert!(!text.contains(&0), "no NUL");
    let mut lines = text.split(|byte| *byte == b'\n').map(|line| line.trim_ascii_end());
    let first: Vec<&[u8]> = lines.next().unwrap_or_default().split(|it| *it == b' ').collect();
    let [method, target, version] = first[..] else { panic!("three words in the first line") };
    let headers: Vec<(&[u8], &[u8])> = lines
        .map(|line| {
            let colon = line.iter().position(|it| *it == b':').expect("a colon in each line");
            (&line[..colon], line[colon + 1..].trim_ascii())
        })
        .collect();
    let count =
        |name: &str| headers.iter().filter(|it| it.0.eq_ignore_ascii_case(name.as_bytes())).count();
    assert!(count("host") <= 1);
    let (lengths, codings) = (count("content-length"), count("transfer-encoding"));
    assert!(lengths + codings <= 1, "one framing");
    assert_eq!(head.framing == BodyFraming::Chunked, codings == 1);
    assert_eq!(matches!(head.framing, BodyFraming::Length(_)), lengths == 1);

    let method = Method::from_bytes(method).expect("a token");
    let line = RequestLine { method: &method, target, authority: None };
    let mut written = BytesMut::new();
    match request_head(line, || headers.iter().copied(), head.framing, &mut written) {
        // HTTP/1.0 needs no host, and `Connection` may name what it must not.
        Err(Unsendable::Nomination(_)) => {}
        Err(Unsendable::Host) => assert_eq!(version, b"HTTP/1.0"),
        Err(error) => panic!("accepted, but not to be sent: {error}"),
        Ok(()) => {
            let limits = Limits { head: 8192, headers: 100, target: 1024 };
            let again = inspect(&written, &limits).expect("what is written is well-formed");
            assert_eq!(again.framing, head.framing, "written anew: {written:?}");
        }
    }
}
