use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::wire::request::BodyFraming;

const LIMITS: Limits = Limits { head: 1024, headers: 8, target: 200 };

/// Judges a request of these lines; each is ended properly, and so is the head.
fn judge(lines: &[&str]) -> Result<Head, Refusal> {
    let mut head = lines.join("\r\n");
    head.push_str("\r\n\r\n");
    inspect(head.as_bytes(), &LIMITS)
}

fn first_line(line: &str) -> Result<Head, Refusal> {
    judge(&[line, "Host: a.example"])
}

/// Judges a POST with these headers beside its host.
fn with(headers: &[&str]) -> Result<BodyFraming, Refusal> {
    let mut lines = vec!["POST /x HTTP/1.1", "Host: a.example"];
    lines.extend(headers);
    judge(&lines).map(|it| it.framing)
}

#[test]
fn a_request_line_has_three_parts_with_one_space_between() {
    for line in [
        "GET / HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET http://a.example/x?y HTTP/1.1",
        "GET HTTPS://a.example HTTP/1.0",
        "M-SEARCH /a|b\"{}\\^`<> HTTP/1.1",
        "GET /%2e%2e/%2f?a=/?b HTTP/1.1",
    ] {
        assert!(first_line(line).is_ok(), "{line}");
    }
    for (line, refusal) in [
        ("GET  / HTTP/1.1", Refusal::RequestLine),
        (" GET / HTTP/1.1", Refusal::RequestLine),
        ("GET / HTTP/1.1 ", Refusal::RequestLine),
        ("GET\t/ HTTP/1.1", Refusal::RequestLine),
        ("GET /", Refusal::RequestLine),
        ("GET /a b HTTP/1.1", Refusal::RequestLine),
        ("GE(T / HTTP/1.1", Refusal::RequestLine),
        ("GET / http/1.1", Refusal::RequestLine),
        ("GET / HTTP/1.1.1", Refusal::RequestLine),
        ("GET / HTTP/2.0", Refusal::Version),
        ("GET / HTTP/1.2", Refusal::Version),
        ("GET / HTTP/0.9", Refusal::Version),
        ("CONNECT a.example:443 HTTP/1.1", Refusal::Tunnel),
        ("GET * HTTP/1.1", Refusal::Target),
        ("GET a.example/x HTTP/1.1", Refusal::Target),
        ("GET ftp://a.example/ HTTP/1.1", Refusal::Target),
        ("GET http:///x HTTP/1.1", Refusal::Target),
        ("GET http://u@a.example/ HTTP/1.1", Refusal::Target),
        ("GET /a#b HTTP/1.1", Refusal::Target),
        ("GET /\u{e4} HTTP/1.1", Refusal::Target),
        ("GET /\u{7f} HTTP/1.1", Refusal::Target),
        ("GET /\0 HTTP/1.1", Refusal::Target),
    ] {
        assert_eq!(first_line(line), Err(refusal), "{line:?}");
    }
    let long = format!("GET /{} HTTP/1.1", "x".repeat(200));
    assert_eq!(first_line(&long), Err(Refusal::TargetTooLong));
}

#[test]
fn a_header_is_a_token_a_colon_and_a_value() {
    for header in ["A:", "A: ", "a:b:c", "A:\tb\t", "!#$%&'*+-.^_`|~: x", "A: \u{e4}\u{fc}"] {
        assert_eq!(with(&[header]), Ok(BodyFraming::None), "{header:?}");
    }
    for (header, refusal) in [
        ("A : b", Refusal::HeaderName),
        ("A\t: b", Refusal::HeaderName),
        (": b", Refusal::HeaderName),
        ("A b", Refusal::HeaderName),
        ("A(b): c", Refusal::HeaderName),
        ("\u{e4}: c", Refusal::HeaderName),
        (" A: b", Refusal::Folded),
        ("\tb", Refusal::Folded),
        ("A: b\0c", Refusal::HeaderValue),
        ("A: b\u{1}", Refusal::HeaderValue),
        ("A: b\u{7f}", Refusal::HeaderValue),
        ("A: b\rC: d", Refusal::LineEnd),
        ("A: b\r", Refusal::LineEnd),
        ("A: b\nC: d", Refusal::LineEnd),
    ] {
        assert_eq!(with(&[header]), Err(refusal), "{header:?}");
    }
    assert_eq!(with(&["A: b"; 8]), Err(Refusal::HeadTooLarge));
}

#[test]
fn a_body_is_framed_in_one_way_or_not_at_all() {
    use BodyFraming::{Chunked, Length, None};
    for (headers, expected) in [
        (&[][..], Ok(None)),
        (&["Content-Length: 0"], Ok(Length(0))),
        (&["content-length:\t007 "], Ok(Length(7))),
        (&["Content-Length: 9223372036854775807"], Ok(Length(u64::MAX / 2))),
        (&["Content-Length: 9223372036854775808"], Err(Refusal::Length)),
        (&["Content-Length: 99999999999999999999"], Err(Refusal::Length)),
        (&["Content-Length:"], Err(Refusal::Length)),
        (&["Content-Length: +1"], Err(Refusal::Length)),
        (&["Content-Length: -1"], Err(Refusal::Length)),
        (&["Content-Length: 1 1"], Err(Refusal::Length)),
        (&["Content-Length: 0x1"], Err(Refusal::Length)),
        (&["Content-Length: 1, 1"], Err(Refusal::Length)),
        (&["Content-Length: 1", "Content-Length: 1"], Err(Refusal::Length)),
        (&["Content-Length: 1", "Content-Length: 2"], Err(Refusal::Length)),
        (&["Content-Length: 1", "Transfer-Encoding: chunked"], Err(Refusal::Length)),
        (&["Transfer-Encoding: chunked", "Content-Length: 1"], Err(Refusal::Length)),
        (&["Transfer-Encoding: chunked"], Ok(Chunked)),
        (&["transfer-encoding:\tChunked\t"], Ok(Chunked)),
        (&["Transfer-Encoding: identity"], Err(Refusal::Coding)),
        (&["Transfer-Encoding:"], Err(Refusal::Coding)),
        (&["Transfer-Encoding: gzip"], Err(Refusal::Coding)),
        (&["Transfer-Encoding: chunked, gzip"], Err(Refusal::Coding)),
        (&["Transfer-Encoding: gzip, chunked"], Err(Refusal::UnknownCoding)),
        (&["Transfer-Encoding: chunked, chunked"], Err(Refusal::Coding)),
        (&["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], Err(Refusal::Coding)),
        (&["Transfer-Encoding: ,chunked"], Err(Refusal::Coding)),
        (&["Transfer-Encoding: chunked,"], Err(Refusal::Coding)),
        (&["Transfer-Encoding: \"chunked\""], Err(Refusal::Coding)),
        (&["Transfer-Encoding: chunked;q=1"], Err(Refusal::Coding)),
        (&["Transfer-Encoding: xchunked"], Err(Refusal::Coding)),
        (&["Transfer-Encoding: \u{b}chunked"], Err(Refusal::HeaderValue)),
    ] {
        assert_eq!(with(headers), expected, "{headers:?}");
    }
    let old = judge(&["POST / HTTP/1.0", "Transfer-Encoding: chunked"]);
    assert_eq!(old, Err(Refusal::Coding));
}

#[test]
fn there_is_one_host_and_it_names_one() {
    let host = |lines: &[&str]| judge(lines).map(|_| ());
    assert_eq!(host(&["GET / HTTP/1.1"]), Err(Refusal::Host));
    assert_eq!(host(&["GET / HTTP/1.0"]), Ok(()));
    assert_eq!(host(&["GET / HTTP/1.1", "Host: a", "Host: a"]), Err(Refusal::Host));
    assert_eq!(host(&["GET / HTTP/1.0", "Host: a", "host: b"]), Err(Refusal::Host));
    for value in ["a", "a.example:80", "a_b", "[::1]", "[::1]:80", "127.0.0.1", "", "a:", "%41"] {
        assert!(is_authority(value.as_bytes()), "{value}");
    }
    for value in [
        "a b", "a/b", "u@a", "a,b", "a:b", "a:80:80", "a:123456", "a:65536", "[::1", "::1", "[a]",
        "[::1]x", "a?", "a#", "a\\b", ":80", "\u{e4}", "%4", "%zz", "a]", "*",
    ] {
        assert!(!is_authority(value.as_bytes()), "{value}");
    }
}

#[test]
fn only_a_websocket_without_a_body_is_an_upgrade() {
    let upgrade = |line: &str, more: &[&str]| {
        let mut lines = vec![line, "Host: a", "Upgrade: WebSocket", "Connection: x, upgrade"];
        lines.extend(more);
        judge(&lines).map(|it| it.is_upgrade)
    };
    assert_eq!(upgrade("GET / HTTP/1.1", &[]), Ok(true));
    assert_eq!(upgrade("GET / HTTP/1.1", &["Content-Length: 0"]), Ok(true));
    assert_eq!(upgrade("POST / HTTP/1.1", &[]), Ok(false));
    assert_eq!(upgrade("GET / HTTP/1.0", &[]), Ok(false));
    let with_body = upgrade("GET / HTTP/1.1", &["Content-Length: 5"]);
    assert_eq!(with_body, Err(Refusal::UpgradeWithBody));
    let h2c = judge(&["GET / HTTP/1.1", "Host: a", "Upgrade: h2c", "Connection: upgrade"]);
    assert!(h2c.is_ok_and(|it| !it.is_upgrade));
}

#[test]
fn only_one_expectation_is_known() {
    assert_eq!(with(&["Expect: 100-Continue"]), Ok(BodyFraming::None));
    assert_eq!(with(&["Expect: 200-ok"]), Err(Refusal::Expectation));
}

/// Shows the bytes to a scan in pieces of this length.
fn scan(bytes: &[u8], piece: usize) -> Result<Option<usize>, Refusal> {
    let mut scan = Scan::default();
    let ends = (piece..bytes.len()).step_by(piece).chain([bytes.len()]);
    for end in ends {
        if let Some(length) = scan.end(&bytes[..end], &LIMITS)? {
            return Ok(Some(length));
        }
    }
    Ok(None)
}

#[test]
fn a_head_ends_with_its_first_empty_line() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for piece in 1..head.len() {
        assert_eq!(scan(head, piece), Ok(Some(head.len())));
        assert_eq!(scan(&head[..head.len() - 1], piece), Ok(None));
    }
    let followed = [&head[..], b"GET /"].concat();
    assert_eq!(scan(&followed, followed.len()), Ok(Some(head.len())));
}

#[test]
fn what_can_become_no_request_is_refused_before_it_is_whole() {
    assert_eq!(scan(b"\x16\x03\x01\x02", 1), Err(Refusal::RequestLine));
    assert_eq!(scan(b"GET / HTTP/1.1\nHo", 1), Err(Refusal::LineEnd));
    assert_eq!(scan(b"GET / HTTP/1.1\r\n\nx", 1), Err(Refusal::LineEnd));
    let long = [&b"GET /"[..], &[b'x'; 400]].concat();
    assert_eq!(scan(&long, 7), Err(Refusal::TargetTooLong));
    let wide = [&b"GET / HTTP/1.1\r\nA: "[..], &[b'x'; 1200]].concat();
    assert_eq!(scan(&wide, 7), Err(Refusal::HeadTooLarge));
    let many = [&b"GET / HTTP/1.1\r\n"[..], &b"A: b\r\n".repeat(300)].concat();
    assert_eq!(scan(&many, 7), Err(Refusal::HeadTooLarge));
}

/// Found by fuzzing: a first line that came as a whole was judged by what stands in it alone.
#[test]
fn a_first_line_is_too_long_however_it_comes() {
    let long = [&[b'x'; 400][..], b" / HTTP/1.1\r\n", b"Host: a\r\n\r\n"].concat();
    for piece in [1, 7, long.len()] {
        assert_eq!(scan(&long, piece), Err(Refusal::TargetTooLong));
    }
}

#[test]
fn empty_lines_before_a_request_are_counted() {
    assert_eq!(empty_lines(b""), Some(0));
    assert_eq!(empty_lines(b"\r"), None);
    assert_eq!(empty_lines(b"\r\n\r"), None);
    assert_eq!(empty_lines(b"\r\n\r\nGET"), Some(4));
    assert_eq!(empty_lines(b"\n"), Some(0));
}

/// Shows the bytes to a body in pieces of this length. Returns how many belong to it, and whether
/// it is over.
fn take(framing: BodyFraming, bytes: &[u8], piece: usize) -> Result<(usize, bool), Refusal> {
    let (mut body, mut come, mut left) =
        (Body::new(framing, &LIMITS), BytesMut::new(), bytes.len());
    for piece in bytes.chunks(piece) {
        come.extend_from_slice(piece);
        left -= piece.len();
        while body.take_content(&mut come)?.is_some() {}
    }
    Ok((bytes.len() - left - come.len(), body.is_over()))
}

/// Reads the content of a body that comes in pieces of this length, and what follows it.
fn content(
    framing: BodyFraming,
    bytes: &[u8],
    piece: usize,
) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
    let (mut body, mut come, mut content) =
        (Body::new(framing, &LIMITS), BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        come.extend_from_slice(piece);
        while let Some(data) = body.take_content(&mut come)? {
            assert!(!data.is_empty());
            content.extend_from_slice(&data);
        }
        assert!(come.is_empty() || body.is_over());
    }
    Ok((content, come.to_vec()))
}

#[test]
fn content_is_told_from_what_frames_it_and_from_what_follows() {
    let check = |framing, bytes: &str, expected: Result<(&str, &str), Refusal>| {
        let expected = expected.map(|it| (it.0.as_bytes().to_vec(), it.1.as_bytes().to_vec()));
        for piece in 1..=bytes.len() {
            let found = content(framing, bytes.as_bytes(), piece);
            assert_eq!(found, expected, "{bytes:?} in pieces of {piece}");
        }
    };
    check(BodyFraming::None, "GET", Ok(("", "GET")));
    check(BodyFraming::Length(3), "abcGET", Ok(("abc", "GET")));
    check(BodyFraming::Length(9), "abc", Ok(("abc", "")));
    let chunks = "3;x\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\nGET";
    check(BodyFraming::Chunked, chunks, Ok(("abcde", "GET")));
    check(BodyFraming::Chunked, "0\r\n\r\n", Ok(("", "")));
    check(BodyFraming::Chunked, "1\r\nab\r\n", Err(Refusal::Chunk));
}

#[test]
fn a_head_is_taken_apart_as_it_was_judged() {
    let head = b"PUT /a?b HTTP/1.0\r\nHost:x\r\nx-Y: \t a: b \t\r\nempty:\r\n\r\n";
    assert!(inspect(head, &LIMITS).is_ok());
    let parts = Parts::of(head).unwrap();
    assert_eq!((parts.method, parts.target, parts.is_http10), (&b"PUT"[..], &b"/a?b"[..], true));
    let headers: Vec<_> = parts.headers().collect();
    let expected: [(&[u8], &[u8]); 3] = [(b"Host", b"x"), (b"x-Y", b"a: b"), (b"empty", b"")];
    assert_eq!((headers.as_slice(), parts.count()), (&expected[..], 3));
    let bare = Parts::of(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!((bare.headers().count(), bare.count(), bare.is_http10), (0, 0, false));
}

fn check_chunks(bytes: &str, expected: Result<(usize, bool), Refusal>) {
    for piece in 1..=bytes.len() {
        let found = take(BodyFraming::Chunked, bytes.as_bytes(), piece);
        assert_eq!(found, expected, "{bytes:?} in pieces of {piece}");
    }
}

#[test]
fn a_chunked_body_ends_behind_its_trailers() {
    check_chunks("0\r\n\r\n", Ok((5, true)));
    check_chunks("0\r\n\r\nGET", Ok((5, true)));
    check_chunks("3\r\nabc\r\n0\r\n\r\n", Ok((13, true)));
    check_chunks("A;x=\"y\" ;z\r\n0123456789\r\n00\r\n\r\n", Ok((30, true)));
    check_chunks("0\r\nA: b\r\nC:\r\n\r\nX", Ok((15, true)));
    check_chunks("3\r\nab", Ok((5, false)));
}

#[test]
fn a_malformed_chunk_is_refused() {
    for bytes in [
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "0x1\r\n",
        "1\nabc",
        "1\r\nab\r\n",
        "1\r\na\n",
        "1\r\na\rb",
        "0\r\n\n",
        "0\r\nA: b\n",
        "0\r\n A: b\r\n",
        "0\r\nA : b\r\n",
        "0\r\nA: \u{1}\r\n",
        "11111111111111111\r\n",
        "1 1\r\n",
        "1;a\rb\r\n",
        "1;\0\r\n",
    ] {
        check_chunks(bytes, Err(Refusal::Chunk));
    }
}

#[test]
fn trailers_are_held_against_the_bounds_of_headers() {
    let Limits { head, headers, .. } = LIMITS;
    let many = |count: usize| format!("0\r\n{}\r\n", "A: b\r\n".repeat(count));
    let fits = many(headers);
    assert_eq!(take(BodyFraming::Chunked, fits.as_bytes(), 7), Ok((fits.len(), true)));
    let one_more = many(headers + 1);
    let refused = Err(Refusal::HeadTooLarge);
    assert_eq!(take(BodyFraming::Chunked, one_more.as_bytes(), 7), refused);
    // With its line ends, and the empty line.
    let long = |length: usize| format!("0\r\nA:{}\r\n\r\n", "b".repeat(length - 6));
    let fits = long(head);
    assert_eq!(take(BodyFraming::Chunked, fits.as_bytes(), 7), Ok((fits.len(), true)));
    assert_eq!(take(BodyFraming::Chunked, long(head + 1).as_bytes(), 7), refused);
}

#[test]
fn a_counted_body_ends_when_it_has_been_counted() {
    for piece in 1..6 {
        assert_eq!(take(BodyFraming::Length(3), b"abcde", piece), Ok((3, true)));
        assert_eq!(take(BodyFraming::Length(9), b"abcde", piece), Ok((5, false)));
        assert_eq!(take(BodyFraming::None, b"abcde", piece), Ok((0, true)));
    }
}

/// Pieces of requests, good and bad, of which heads are made.
fn fragment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "GET ",
        "POST ",
        "/",
        "/x",
        "*",
        " HTTP/1.1",
        " HTTP/1.0",
        "\r\n",
        "\r\n",
        "\r\n",
        "\n",
        "\r",
        "Host: a",
        "Host:",
        "Content-Length: 3",
        "Transfer-Encoding: chunked",
        "A: b",
        ":",
        " ",
        "\t",
        "\0",
        "\u{e4}",
        "A",
        "Connection: upgrade",
        "Upgrade: websocket",
        "http://a",
    ])
}

proptest! {
    /// What passes here must mean the same to those who read it next.
    #[test]
    fn what_is_accepted_is_read_alike_by_the_parser_behind(
        fragments in prop::collection::vec(fragment(), 0..14),
    ) {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", fragments.concat());
        let mut scan = Scan::default();
        if let Ok(Some(end)) = scan.end(text.as_bytes(), &LIMITS)
            && inspect(&text.as_bytes()[..end], &LIMITS).is_ok()
        {
            let mut headers = [httparse::EMPTY_HEADER; 16];
            let mut request = httparse::Request::new(&mut headers);
            let parsed = request.parse(text.as_bytes());
            prop_assert_eq!(parsed, Ok(httparse::Status::Complete(end)));
            prop_assert_eq!(request.headers.len(), text[..end].matches("\r\n").count() - 2);
        }
    }

    #[test]
    fn any_split_gives_the_same_end(
        fragments in prop::collection::vec(fragment(), 0..14),
        piece in 1_usize..20,
    ) {
        let text = format!("{}\r\n\r\nrest", fragments.concat());
        let whole = scan(text.as_bytes(), text.len());
        let split = scan(text.as_bytes(), piece);
        if let (Ok(Some(_)), Ok(Some(_))) | (Ok(None), Ok(None)) = (whole, split) {
            prop_assert_eq!(whole, split);
        } else {
            prop_assert!(whole.is_err() == split.is_err(), "{:?} {:?}", whole, split);
        }
    }

    #[test]
    fn nothing_a_client_sends_panics(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        piece in 1_usize..20,
    ) {
        _ = scan(&bytes, piece);
        _ = inspect(&bytes, &LIMITS);
        _ = empty_lines(&bytes);
        _ = take(BodyFraming::Chunked, &bytes, piece);
        _ = is_authority(&bytes);
    }
}
