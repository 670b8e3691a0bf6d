use proptest::prelude::*;

use super::*;

type Headers<'a> = &'a [(&'a str, &'a str)];

fn write(
    line: RequestLine<'_>,
    headers: Headers<'_>,
    framing: BodyFraming,
) -> Result<String, Unsendable> {
    let mut out = BytesMut::from("before ");
    let headers = || headers.iter().map(|it| (it.0.as_bytes(), it.1.as_bytes()));
    let written = request_head(line, headers, framing, &mut out);
    let text = String::from_utf8(out.to_vec()).unwrap();
    let text = text.strip_prefix("before ").unwrap().to_owned();
    assert!(written.is_ok() || text.is_empty());
    written.map(|()| text)
}

fn line<'a>(method: &'a Method, target: &'a str) -> RequestLine<'a> {
    RequestLine { method, target: target.as_bytes(), authority: None }
}

fn get(target: &str, headers: Headers<'_>) -> Result<String, Unsendable> {
    write(line(&Method::GET, target), headers, BodyFraming::None)
}

const HOST: (&str, &str) = ("Host", "a.example:80");

#[test]
fn a_head_has_one_host_and_one_framing_and_nothing_of_the_connection() {
    let headers = [
        ("aCCept", "*/*"),
        ("Connection", "keep-alive, X-Mine"),
        ("x-mine", "1"),
        ("Keep-Alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("TE", "trailers"),
        ("Trailer", "X-Sum"),
        ("Transfer-Encoding", "gzip"),
        ("content-length", "99"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMA"),
        ("Expect", "100-continue"),
        ("Proxy-Authorization", "Basic x"),
        HOST,
        ("Cookie", "a=b"),
        ("Cookie", "\u{e4}"),
    ];
    let expected = |framing: &str| {
        format!(
            "POST /p?q=1 HTTP/1.1\r\nHost: a.example:80\r\naCCept: */*\r\nCookie: a=b\r\nCookie: \u{e4}\r\n{framing}\r\n"
        )
    };
    for (framing, header) in [
        (BodyFraming::None, ""),
        (BodyFraming::Length(0), "Content-Length: 0\r\n"),
        (BodyFraming::Length(u64::MAX), "Content-Length: 18446744073709551615\r\n"),
        (BodyFraming::Chunked, "Transfer-Encoding: chunked\r\n"),
    ] {
        let written = write(line(&Method::POST, "/p?q=1"), &headers, framing);
        assert_eq!(written, Ok(expected(header)));
    }
}

#[test]
fn the_host_is_the_one_that_is_meant() {
    let first_lines = |written: Result<String, Unsendable>| {
        written.map(|it| it.lines().take(2).collect::<Vec<_>>().join("|"))
    };
    let check = |line: RequestLine<'_>, headers: Headers<'_>, expected: &str| {
        assert_eq!(first_lines(write(line, headers, BodyFraming::None)), Ok(expected.to_owned()));
    };
    let get = |target| line(&Method::GET, target);
    check(get("/"), &[], "GET / HTTP/1.1|Host: ");
    check(get("/"), &[("host", "b")], "GET / HTTP/1.1|Host: b");
    check(get("http://b/x?y"), &[HOST], "GET /x?y HTTP/1.1|Host: b");
    check(get("HTTPS://b:1?y"), &[HOST, HOST], "GET /?y HTTP/1.1|Host: b:1");
    check(get("http://[::1]:8"), &[], "GET / HTTP/1.1|Host: [::1]:8");
    let of_http2 = RequestLine { authority: Some(b"c"), ..get("/x") };
    check(of_http2, &[HOST], "GET /x HTTP/1.1|Host: c");
    check(line(&Method::OPTIONS, "*"), &[HOST], "OPTIONS * HTTP/1.1|Host: a.example:80");
    check(line(&Method::OPTIONS, "http://b"), &[], "OPTIONS * HTTP/1.1|Host: b");
    check(get("/\u{e4}//..;/%00"), &[HOST], "GET /\u{e4}//..;/%00 HTTP/1.1|Host: a.example:80");
}

#[test]
fn what_could_be_misread_is_refused() {
    for target in
        ["", "*", "x", "a:80", "ftp://b/", "http:///x", "/a b", "/a\r\n", "/a\0", "/a#b", "/\x7f"]
    {
        assert_eq!(get(target, &[HOST]), Err(Unsendable::Target), "{target:?}");
    }
    for host in ["u@h", "a/b", "a b", "a,b", "a\r\nX: y", "a\0", "\u{e4}", "a?b"] {
        assert_eq!(get("/", &[("Host", host)]), Err(Unsendable::Host), "{host:?}");
    }
    assert_eq!(get("http://u@h/", &[]), Err(Unsendable::Host));
    assert_eq!(get("/", &[HOST, HOST]), Err(Unsendable::Host));
    for name in ["", "a b", "a:", "a\r\nb", ":path", "a\0", "\u{e4}"] {
        assert_eq!(get("/", &[HOST, (name, "x")]), Err(Unsendable::HeaderName), "{name:?}");
    }
    for value in ["a\r\nb: c", "a\nb", "a\rb", "a\0", "\x7f", "\x1b"] {
        assert_eq!(get("/", &[HOST, ("a", value)]), Err(Unsendable::HeaderValue), "{value:?}");
    }
    let nominated = get("/", &[HOST, ("Connection", "close"), ("connection", "host")]);
    assert_eq!(nominated, Err(Unsendable::Nomination(BadNomination::Protected)));
    let connect = write(line(&Method::CONNECT, "a:80"), &[HOST], BodyFraming::None);
    assert_eq!(connect, Err(Unsendable::Method));
}

#[test]
fn chunks_are_written_with_their_size_in_hexadecimal() {
    let head = |length| {
        let mut out = BytesMut::new();
        chunk_head(length, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    };
    assert_eq!(head(0), "");
    assert_eq!(head(1), "1\r\n");
    assert_eq!(head(0xa0f), "a0f\r\n");
    assert_eq!(head(usize::MAX), "ffffffffffffffff\r\n");
    let mut out = BytesMut::new();
    let trailers: [(&[u8], &[u8]); 5] = [
        (b"X-Sum", b"1"),
        (b"content-length", b"1"),
        (b"te", b"x"),
        (b"x y", b"1"),
        (b"x-z", b"1\r\n"),
    ];
    last_chunk(trailers, &mut out);
    assert_eq!(out, &b"0\r\nX-Sum: 1\r\n\r\n"[..]);
}

proptest! {
    #[test]
    fn a_head_reads_as_it_was_meant(
        target in "/[!-\"$-~]{0,20}",
        headers in prop::collection::vec(("x-[A-Za-z0-9-]{1,9}", "([!-~]([ \t!-~]{0,9}[!-~])?)?"), 0..8),
        length in any::<u64>(),
    ) {
        let mut all: Vec<(&str, &str)> =
            headers.iter().map(|it| (it.0.as_str(), it.1.as_str())).collect();
        all.push(HOST);
        let written = write(line(&Method::PUT, &target), &all, BodyFraming::Length(length)).unwrap();
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut fields);
        let parsed = request.parse(written.as_bytes());
        prop_assert_eq!(parsed, Ok(httparse::Status::Complete(written.len())));
        prop_assert_eq!(request.path, Some(target.as_str()));
        let read: Vec<(String, String)> = request.headers[1..request.headers.len() - 1]
            .iter()
            .map(|it| (it.name.to_owned(), String::from_utf8(it.value.to_vec()).unwrap()))
            .collect();
        prop_assert_eq!(read, headers);
    }

    #[test]
    fn a_head_is_one_head_whatever_goes_in(
        target in prop::collection::vec(any::<u8>(), 0..12),
        name in prop::collection::vec(any::<u8>(), 0..6),
        value in prop::collection::vec(any::<u8>(), 0..12),
        host in prop::collection::vec(any::<u8>(), 0..6),
    ) {
        let mut out = BytesMut::new();
        let line = RequestLine { method: &Method::GET, target: &target, authority: Some(&host) };
        let headers = || [(&name[..], &value[..])].into_iter();
        if request_head(line, headers, BodyFraming::None, &mut out).is_ok() {
            let lines = out.iter().filter(|it| **it == b'\n').count();
            let returns = out.iter().filter(|it| **it == b'\r').count();
            prop_assert!(lines <= 4 && lines == returns && !out.contains(&0));
            prop_assert!(out.ends_with(b"\r\n\r\n"));
        }
    }
}
