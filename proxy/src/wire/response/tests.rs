use proptest::prelude::*;

use super::*;
use crate::wire::request::{CHUNK_END, chunk_head, last_chunk};

/// All that a response amounts to, however its bytes were cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) interim: Vec<u16>,
    pub(crate) head: Option<ResponseHead>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<Header>,
    pub(crate) end: Result<(), BadEnd>,
    pub(crate) is_reusable: bool,
}

pub(crate) fn read<'a>(method: &Method, parts: impl IntoIterator<Item = &'a [u8]>) -> Reading {
    let mut parser = ResponseParser::new(method);
    let mut buffer = BytesMut::new();
    let mut reading = Reading {
        interim: vec![],
        head: None,
        body: vec![],
        trailers: vec![],
        end: Ok(()),
        is_reusable: false,
    };
    for part in parts {
        buffer.extend_from_slice(part);
        loop {
            match parser.next(&mut buffer) {
                Ok(None) => break,
                Ok(Some(Event::Interim(head))) => reading.interim.push(head.status.as_u16()),
                Ok(Some(Event::Head(head))) => reading.head = Some(head),
                Ok(Some(Event::Data(data))) => {
                    assert!(!data.is_empty());
                    reading.body.extend_from_slice(&data);
                }
                Ok(Some(Event::Trailers(trailers))) => reading.trailers = trailers,
                Ok(Some(Event::End)) => assert!(parser.is_complete()),
                Err(garbage) => {
                    assert_eq!(parser.next(&mut buffer), Err(garbage));
                    reading.end = Err(garbage.into());
                    return reading;
                }
            }
        }
    }
    reading.is_reusable = parser.is_reusable(&buffer);
    reading.end = parser.at_eof(&buffer);
    reading
}

fn get(bytes: &[u8]) -> Reading {
    let whole = read(&Method::GET, [bytes]);
    assert_eq!(read(&Method::GET, bytes.chunks(1)), whole, "byte by byte");
    whole
}

/// Checks the body of a sound response, and whether its connection may be used again.
#[track_caller]
fn check(response: &str, body: &str, is_reusable: bool) {
    let reading = get(response.as_bytes());
    assert_eq!(reading.end, Ok(()), "{response:?}");
    assert_eq!(String::from_utf8(reading.body).unwrap(), body, "{response:?}");
    assert_eq!(reading.is_reusable, is_reusable, "{response:?}");
}

#[track_caller]
fn check_garbage(response: &str, expected: Garbage) {
    assert_eq!(get(response.as_bytes()).end, Err(expected.into()), "{response:?}");
}

#[track_caller]
fn check_cut(response: &str, expected: Cut) {
    assert_eq!(get(response.as_bytes()).end, Err(BadEnd::Cut(expected)), "{response:?}");
}

#[test]
fn a_head_for_a_client_leaves_its_end_open() {
    let head = |lines: &[(&str, &str)]| {
        let lines = lines.iter().map(|it| (it.0.as_bytes(), it.1.as_bytes()));
        let mut head = Vec::new();
        put_head(StatusCode::OK, "Fine", lines, &mut head);
        (has_date(&head), String::from_utf8(head).unwrap())
    };
    let dated = head(&[("A", "b"), ("DATE", "then"), ("connection", "x")]);
    assert_eq!(dated, (true, "HTTP/1.1 200 Fine\r\nA: b\r\nDATE: then\r\n".to_owned()));
    assert!(!head(&[("X-Date", "b"), ("Datex", "c"), ("x", "date: y")]).0);
    assert_eq!(head(&[]), (false, "HTTP/1.1 200 Fine\r\n".to_owned()));
}

#[test]
fn a_body_is_as_long_as_the_head_says() {
    check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", true);
    check("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", true);
    check("HTTP/1.1 200 OK\r\ncontent-length: 3, 3\r\nContent-Length:3\r\n\r\nabc", "abc", true);
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "abc",
        true,
    );
    check("HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end", false);
    check("HTTP/1.1 200\r\n\r\n", "", false);
    check("HTTP/1.1 204 No Content\r\n\r\n", "", true);
    check("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "", true);
    check("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", "", true);
    let head = read(&Method::HEAD, [&b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"[..]]);
    assert_eq!((head.end, head.is_reusable), (Ok(()), true));
    assert!(head.head.unwrap().values("content-length").next().is_some());
}

#[test]
fn a_connection_is_kept_only_if_nothing_speaks_against_it() {
    let with = |version: &str, header: &str| {
        format!("HTTP/{version} 200 OK\r\nContent-Length: 0\r\n{header}\r\n")
    };
    check(&with("1.1", "Connection: keep-alive\r\n"), "", true);
    check(&with("1.1", "Connection: x, CLOSE\r\n"), "", false);
    check(&with("1.1", "Connection: x\r\nConnection: close\r\n"), "", false);
    check(&with("1.0", ""), "", false);
    check(&with("1.0", "Connection: Keep-Alive\r\n"), "", true);
    check(&with("1.0", "Connection: keep-alive, close\r\n"), "", false);
    check(&with("1.0", "Connection: keep-alive\r\nConnection: close\r\n"), "", false);
    check(&with("1.0", "Connection: x, keep-alive\r\n"), "", false);
    // Bytes that nobody asked for.
    check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd", "abc", false);
    check("HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc", "", false);
    check("HTTP/1.1 304 Not Modified\r\n\r\n\n", "", false);
    check(&(with("1.1", "") + "HTTP/1.1 200 OK\r\n\r\n"), "", false);
}

#[test]
fn a_body_that_is_framed_twice_is_read_in_chunks_and_ends_the_connection() {
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    check(response, "abc", false);
    let head = get(response.as_bytes()).head.unwrap();
    assert_eq!(head.values("content-length").count(), 0);
    let head = get(b"HTTP/1.1 204 x\r\nContent-Length: 100\r\n\r\n").head.unwrap();
    assert!(head.headers.is_empty());
}

#[test]
fn framing_with_two_readings_is_garbage() {
    let with = |header: &str| format!("HTTP/1.1 200 OK\r\n{header}\r\n\r\n");
    for length in [
        "",
        "-1",
        "+1",
        "1 2",
        "0x1",
        "1,2",
        "1,",
        "18446744073709551616",
        "1\r\nContent-Length: 2",
    ] {
        check_garbage(&with(&format!("Content-Length: {length}")), Garbage::ContentLength);
    }
    for coding in [
        "",
        "gzip",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "xchunked",
        "\"chunked\"",
        "chunked;q=1",
        "chunked\r\nTransfer-Encoding: chunked",
        "identity",
    ] {
        check_garbage(&with(&format!("Transfer-Encoding: {coding}")), Garbage::TransferEncoding);
    }
    check_garbage(
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Garbage::TransferEncoding,
    );
}

#[test]
fn what_is_no_head_is_garbage() {
    for response in [
        "SSH-2.0-OpenSSH_9.9\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        "HTTP/1.1 200 OK\r\nna me: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nname: \0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nname: a\rb\r\n\r\n",
        "HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
        "{\"no\": \"HTTP\"}",
        "\x15\x03\x01\x00\x02\x02",
    ] {
        check_garbage(response, Garbage::Head);
    }
    check_garbage("HTTP/1.1 101 Switching Protocols\r\n\r\n", Garbage::SwitchedProtocols);
}

#[test]
fn heads_have_a_bound() {
    let of = |headers: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(headers));
    assert_eq!(get(of(256).as_bytes()).head.unwrap().headers.len(), 256);
    check_garbage(&of(257), Garbage::HeadTooLong);
    let of = |length: usize| format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(length));
    let too_long = of(1 << 20);
    for parts in [1 << 12, 1 << 16, 1 << 21] {
        let reading = read(&Method::GET, too_long.as_bytes().chunks(parts));
        assert_eq!(reading.end, Err(Garbage::HeadTooLong.into()));
    }
    let long = of((1 << 20) - 100);
    assert_eq!(read(&Method::GET, long.as_bytes().chunks(1000)).end, Ok(()));
}

#[test]
fn what_pingora_mends_in_heads_is_mended() {
    let reading = get(b"\r\nHTTP/1.1 299 Very  fine\nX-Folded: a\r\n  b\r\n\tc \r\nContent-Length : 1\r\nX-Raw: \xe4 \r\neMpTy:\r\n\r\nx");
    let head = reading.head.unwrap();
    let headers: Vec<(&[u8], &[u8])> = head.headers.iter().map(|it| (it.name, it.value)).collect();
    assert_eq!(
        headers,
        [
            (&b"X-Folded"[..], &b"a b c"[..]),
            (b"Content-Length", b"1"),
            (b"X-Raw", b"\xe4"),
            (b"eMpTy", b"")
        ]
    );
    assert_eq!((head.status.as_u16(), head.reason()), (299, "Very  fine"));
    assert_eq!((reading.body, reading.is_reusable), (b"x".to_vec(), true));
}

#[test]
fn interim_responses_come_before_the_final_one() {
    let reading = get(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(reading.interim, [100, 103]);
    assert_eq!((reading.body, reading.is_reusable, reading.end), (b"x".to_vec(), true, Ok(())));
}

#[test]
fn chunks_are_read_to_the_letter() {
    let with = |body: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    check(&with("3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"), "abc0123456789", true);
    check(&with("0003;a=\"\t;b\"\r\nabc\r\n00 ;x\r\n\r\n"), "abc", true);
    check(&with("3 \t;x\r\nabc\r\n0\r\n\r\n"), "abc", true);
    check(&with("0\r\n\r\nx"), "", false);
    for body in [
        "\r\n",
        ";x\r\n",
        "+3\r\nabc",
        "-3\r\nabc",
        " 3\r\nabc",
        "0x3\r\nabc",
        "3 3\r\nabc",
        "3\nabc",
        "3\r\r\nabc",
        "3;\0\r\nabc",
        "3;a\nb\r\nabc",
        "g\r\n",
        "3\r\nabcd\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabc\r0\r\n",
        "00000000000000003\r\nabc",
        "10000000000000000\r\nabc",
    ] {
        check_garbage(&with(body), Garbage::Chunk);
    }
    check(&with(&format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(8000))), "abc", true);
    check_garbage(&with(&format!("3;{}", "x".repeat(8192))), Garbage::Chunk);
    check_cut(&with("ffffffffffffffff\r\nabc"), Cut::InBody);
}

#[test]
fn trailers_are_told_without_those_that_frame_or_route() {
    let with = |trailers: &str| {
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n{trailers}\r\n"
        )
    };
    let reading = get(with(
        "Grpc-Status: 0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nhost: x\r\nX-Sum: a b\r\n",
    )
    .as_bytes());
    let names: Vec<&[u8]> = reading.trailers.iter().map(|it| it.name.as_ref()).collect();
    assert_eq!(names, [&b"Grpc-Status"[..], b"X-Sum"]);
    assert_eq!((reading.end, reading.is_reusable), (Ok(()), true));
    check(&with("Content-Length: 5\r\n"), "x", true);
    for trailers in ["\n", "a: b\n", "a: b\nc: d\r\n", "no colon\r\n", ": x\r\n", "a: \0\r\n"] {
        check_garbage(&with(trailers), Garbage::Trailers);
    }
    check_garbage(&with(&"a: b\r\n".repeat(65)), Garbage::Trailers);
    check_garbage(&with(&format!("a: {}\r\n", "b".repeat(1 << 16))), Garbage::Trailers);
    check_cut(&with("a: b\r"), Cut::InBody);
}

#[test]
fn an_end_that_comes_too_early_is_told_apart() {
    check_cut("", Cut::BeforeFirstByte);
    check_cut("HTTP/1.1 200 OK\r\nContent-", Cut::InHead);
    check_cut("HTTP/1.1 100 Continue\r\n\r\n", Cut::InHead);
    check_cut("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", Cut::InBody);
    check_cut("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Cut::InBody);
    check_cut("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", Cut::InBody);
}

#[test]
fn clients_get_the_headers_that_are_meant_for_them() {
    let head = get(b"HTTP/1.1 200 OK\r\nConnection: close, X-Internal\r\nKeep-Alive: max=5, timeout=7\r\nProxy-Connection: a\r\nProxy-Authenticate: a\r\nTE: a\r\nTrailer: a\r\nUpgrade: h2c\r\nX-Internal: a\r\nSet-Cookie: a\r\nset-cookie: b\r\nContent-Length: 0\r\n\r\n").head.unwrap();
    let names: Vec<&[u8]> = head.headers_for_client().map(|it| it.name).collect();
    assert_eq!(names, [&b"Set-Cookie"[..], b"set-cookie", b"Content-Length"]);
    assert_eq!(head.idle_timeout(), Some(std::time::Duration::from_secs(7)));
}

#[test]
fn a_length_told_several_times_alike_is_told_once() {
    for lengths in
        ["Content-Length: 2\r\ncontent-length: 2", "Content-Length: 2, 2", "Content-Length: 02,2"]
    {
        let reading = get(format!("HTTP/1.1 200 OK\r\n{lengths}\r\nA: b\r\n\r\nok").as_bytes());
        let head = reading.head.unwrap();
        let values: Vec<_> = head.values("content-length").collect();
        assert_eq!(values, [b"2"], "{lengths}");
        assert_eq!((head.headers.len(), reading.body.as_slice()), (2, &b"ok"[..]), "{lengths}");
    }
}

/// Responses, most of them with something wrong.
pub(crate) fn response() -> impl Strategy<Value = Vec<u8>> {
    let some_of = |texts: &[&'static str], most: usize| {
        let text = prop::sample::select(texts.to_vec()).prop_map(|it| it.as_bytes().to_vec());
        let any = prop::collection::vec(any::<u8>(), 0..8);
        prop::collection::vec(prop_oneof![30 => text, 1 => any], 0..=most)
            .prop_map(|texts| texts.concat())
    };
    let interim = some_of(&["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.0 199 x\n\n", "\r\n"], 1);
    let start = prop::sample::select(vec![
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 299\n",
        "HTTP/1.0 404 Not Found\r\n",
        "HTTP/1.1 204 No Content\r\n",
        "HTTP/1.1 304 Not Modified\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n",
        "",
    ]);
    let headers = some_of(
        &[
            "Content-Length: 5\r\n",
            "content-length:5, 5\n",
            "Content-Length: 7\r\n",
            "Content-Length\t: +5\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding:\r\n gzip, chunked\r\n",
            "Transfer-Encoding: chunked, x\r\n",
            "Connection: close\r\n",
            "Connection: x, keep-alive\r\n",
            "Connection: keep-alive\r\n",
            "X-Other: a\r\n b\r\n",
        ],
        3,
    );
    let gap = prop::sample::select(vec!["\r\n", "\r\n", "\r\n", "\n", "\r", ""]);
    let chunks = some_of(&["5\r\nabcde\r\n", "A;x\r\n0123456789\r\n", "5", "\r\n", "\n", ";x"], 4);
    let end = some_of(&["0\r\n", "0\r\n\r\n", "X: y\r\n", "\r\n", "\r", "abcde"], 3);
    (interim, start, headers, gap, chunks, end).prop_map(
        |(interim, start, headers, gap, chunks, end)| {
            [&interim[..], start.as_bytes(), &headers, gap.as_bytes(), &chunks, &end].concat()
        },
    )
}

proptest! {
    #[test]
    fn the_split_of_the_input_makes_no_difference(
        bytes in response(),
        is_head in any::<bool>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let method = if is_head { Method::HEAD } else { Method::GET };
        let whole = read(&method, [&bytes[..]]);
        let mut cuts: Vec<usize> = cuts.iter().map(|it| it.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.push(bytes.len());
        let mut start = 0;
        let parts = cuts.into_iter().map(|end| &bytes[std::mem::replace(&mut start, end)..end]);
        prop_assert_eq!(&read(&method, parts), &whole);
        prop_assert_eq!(&read(&method, bytes.chunks(1)), &whole);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read(&Method::GET, [&bytes[..]]);
        let after = |start: &str| [start.as_bytes(), &bytes[..]].concat();
        read(&Method::GET, [&after("HTTP/1.1 200 OK\r\n")[..]]);
        let chunked = after("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        read(&Method::GET, [&chunked[..]]);
    }

    #[test]
    fn chunks_that_are_written_are_read(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6),
        trailers in prop::collection::vec(("x-[a-z]{1,5}", "[!-~]{0,9}"), 0..4),
        part in 1_usize..50,
    ) {
        let mut out = BytesMut::from("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for chunk in chunks.iter().filter(|it| !it.is_empty()) {
            chunk_head(chunk.len(), &mut out);
            out.extend_from_slice(chunk);
            out.extend_from_slice(CHUNK_END);
        }
        last_chunk(trailers.iter().map(|it| (it.0.as_bytes(), it.1.as_bytes())), &mut out);
        let reading = read(&Method::GET, out.chunks(part));
        prop_assert_eq!(reading.end, Ok(()));
        prop_assert_eq!(reading.body, chunks.concat());
        prop_assert!(reading.is_reusable);
        let read: Vec<(String, String)> = reading
            .trailers
            .iter()
            .map(|it| {
                (String::from_utf8(it.name.to_vec()).unwrap(), it.value.to_str().unwrap().to_owned())
            })
            .collect();
        prop_assert_eq!(read, trailers);
    }
}
