//! What is changed in a valid request, and how.

use fastrand::Rng;

/// Names one request: no other of the run has the same path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marker {
    pub(crate) seed: u64,
    pub(crate) number: u32,
}

impl Marker {
    pub(crate) fn path(self) -> String {
        format!("/sent-{}-{}", self.seed, self.number)
    }

    /// A request that stands in a body. Nobody may take it for one.
    fn hidden(self) -> String {
        format!("GET /smuggled-{}-{} HTTP/1.1\r\nHost: a\r\n\r\n", self.seed, self.number)
    }
}

/// Bytes that parsers disagree about.
const BYTES: &[u8] = b"\0\x01\t\n\x0b\x0c\r \"#%()+,-/019:;=@AZaz\\_|~\x7f\x80\xa0\xff";

/// Lines that have smuggled requests past somebody, and some that should be harmless.
const LINES: &[&str] = &[
    "Transfer-Encoding: chunked",
    "transfer-encoding: CHUNKED",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding:chunked",
    "Transfer-Encoding:\x0bchunked",
    "Transfer-Encoding: \tchunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding\r\n: chunked",
    "X: y\r\n Transfer-Encoding: chunked",
    "X: y\rTransfer-Encoding: chunked",
    "X: y\nTransfer-Encoding: chunked",
    "X: y\0Transfer-Encoding: chunked",
    " Transfer-Encoding: chunked",
    "Transfer_Encoding: chunked",
    "Transfer-Encoding\0: chunked",
    "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding: \"chunked\"",
    "Content-Length: 0",
    "Content-Length: 5",
    "Content-Length: 99999",
    "Content-Length : 0",
    "Content-Length: +5",
    "Content-Length: -1",
    "Content-Length: 0x5",
    "Content-Length: 5, 5",
    "Content-Length: 5,6",
    "Content-Length: 5\r\nContent-Length: 6",
    "Content-Length: 18446744073709551621",
    "Content-Length:",
    "Content-Length: 5\x0b",
    "Content_Length: 0",
    "Connection: Content-Length",
    "Connection: Transfer-Encoding",
    "Connection: close",
    "Connection: keep-alive, Host",
    "Connection: Upgrade\r\nUpgrade: websocket",
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
    "Expect: 100-continue",
    "Expect: x",
    "Host: b",
    "Host : b",
    "Host: a\r\n b",
    "TE: chunked",
    "Trailer: Content-Length",
    "X-HTTP-Method-Override: CONNECT",
    ":",
    ": x",
    "",
    "GET /smuggled HTTP/1.1",
    "X: y\r\n\r\nGET /smuggled-line HTTP/1.1\r\nHost: a",
];

/// What may stand in place of a line end.
const ENDS: &[&str] = &["\n", "\r", "\r\r\n", "\n\r", "\0\r\n", " \r\n", "\r\n ", "\t\r\n", ""];

/// What may stand before and behind the size of a chunk.
const SIZES: &[(&str, &str)] = &[
    ("0", ""),
    ("0000000000000000000", ""),
    ("0x", ""),
    ("+", ""),
    ("-", ""),
    (" ", ""),
    ("", " "),
    ("", ";a=b"),
    ("", ";a=\"\r\n\""),
    ("", ";\n"),
    ("", "\0"),
    ("", "g"),
    ("f", ""),
    ("ffffffffffffffff", ""),
    ("", ", 0"),
];

/// The bytes of a mutation, and the lengths of the pieces in which they are sent.
pub(crate) fn mutated(seed: u64) -> (Vec<u8>, Vec<usize>) {
    let mut rng = Rng::with_seed(seed);
    let mut bytes = Vec::new();
    let count = rng.u32(1..=3);
    let changed = rng.u32(0..count);
    for number in 0..count {
        let mut request = valid(Marker { seed, number }, &mut rng);
        if number == changed {
            for _ in 0..rng.u32(1..=3) {
                change(&mut request, &mut rng);
            }
        }
        bytes.extend(request);
    }
    let pieces = (0..rng.usize(0..4)).map(|_| rng.usize(1..60)).collect();
    (bytes, pieces)
}

fn valid(marker: Marker, rng: &mut Rng) -> Vec<u8> {
    let (path, hidden) = (marker.path(), marker.hidden());
    let length = hidden.len();
    let text = match rng.u32(0..5) {
        0 => format!("GET {path} HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n"),
        1 => format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{hidden}"),
        2 => format!("PUT {path} HTTP/1.1\r\nContent-Length: 5\r\nHost: a\r\nX: y\r\n\r\nhello"),
        3 => format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
             {length:x}\r\n{hidden}\r\n0\r\n\r\n"
        ),
        _ => format!(
            "POST {path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\nX: y\r\n\r\n\
             3\r\nabc\r\n{length:X};x=y\r\n{hidden}\r\n0\r\nT: u\r\n\r\n"
        ),
    };
    text.into_bytes()
}

/// Makes one change.
fn change(bytes: &mut Vec<u8>, rng: &mut Rng) {
    if bytes.is_empty() {
        return;
    }
    let at = rng.usize(0..bytes.len());
    match rng.u32(0..12) {
        0 => bytes[at] = *rng.choice(BYTES).unwrap(),
        1 => bytes.insert(at, *rng.choice(BYTES).unwrap()),
        2 => drop(bytes.remove(at)),
        3 => {
            let end = (at + rng.usize(1..40)).min(bytes.len());
            let slice = bytes[at..end].to_vec();
            let to = rng.usize(0..=bytes.len());
            bytes.splice(to..to, slice);
        }
        4 => {
            let end = (at + rng.usize(1..20)).min(bytes.len());
            bytes.drain(at..end);
        }
        5..=7 => insert_line(bytes, rng),
        8 => replace_one(bytes, b"\r\n", rng.choice(ENDS).unwrap().as_bytes(), rng),
        9 => change_size(bytes, rng),
        10 => {
            let version = *rng.choice(&["HTTP/1.0", "HTTP/1.2", "HTTP/0.9", "http/1.1"]).unwrap();
            replace_one(bytes, b"HTTP/1.1", version.as_bytes(), rng);
        }
        _ => {
            let (from, to) = *rng
                .choice(&[
                    (": ", " : "),
                    (": ", ":"),
                    (": ", ":\t"),
                    ("-", "_"),
                    (" ", "  "),
                    (" ", "\t"),
                ])
                .unwrap();
            replace_one(bytes, from.as_bytes(), to.as_bytes(), rng);
        }
    }
}

/// Inserts a line somewhere in the head.
fn insert_line(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let head = places(bytes, b"\r\n\r\n").first().map_or(bytes.len(), |it| it + 2);
    let ends: Vec<usize> = places(&bytes[..head], b"\r\n").iter().map(|it| it + 2).collect();
    let Some(at) = rng.choice(&ends).copied() else { return };
    let line = format!("{}\r\n", rng.choice(LINES).unwrap());
    bytes.splice(at..at, line.into_bytes());
}

/// Changes a number that frames: a length, or the size of a chunk.
fn change_size(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let is_digit = |at: &usize| bytes[*at].is_ascii_hexdigit();
    let is_first = |at: &usize| *at != 0 && matches!(bytes[at - 1], b'\n' | b' ');
    let starts: Vec<usize> = (0..bytes.len()).filter(|at| is_digit(at) && is_first(at)).collect();
    let Some(start) = rng.choice(&starts).copied() else { return };
    let length = bytes[start..].iter().take_while(|it| it.is_ascii_hexdigit()).count();
    let (before, behind) = *rng.choice(SIZES).unwrap();
    bytes.splice(start + length..start + length, behind.bytes());
    bytes.splice(start..start, before.bytes());
}

fn replace_one(bytes: &mut Vec<u8>, from: &[u8], to: &[u8], rng: &mut Rng) {
    if let Some(at) = rng.choice(&places(bytes, from)).copied() {
        bytes.splice(at..at + from.len(), to.iter().copied());
    }
}

fn places(bytes: &[u8], wanted: &[u8]) -> Vec<usize> {
    let windows = bytes.windows(wanted.len()).enumerate();
    windows.filter(|(_, it)| *it == wanted).map(|(at, _)| at).collect()
}
