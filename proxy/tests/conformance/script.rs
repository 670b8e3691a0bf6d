//! The language of the cases.
//!
//! A case begins at the start of a line with its name, which says the section that it comes from.
//! Beneath the name stands a dialogue, in the order in which things happen:
//!
//! ```text
//! rfc9112_7_1_chunks_are_passed_on
//! C> POST / HTTP/1.1               what the client sends: this line, and a line end
//! C> Transfer-Encoding: chunked
//! C>
//! C> 3\r\nabc\r\n0\r\n\r\n\        a backslash at the end: no line end
//! >B POST / HTTP/1.1               what the backend must have got: a whole message
//! >B Transfer-Encoding: chunked
//! >B
//! >B abc\                          the body with its chunks undone
//! B> HTTP/1.1 204 No Content       what that says on the same connection
//! B>
//! >C HTTP/1.1 204 No Content       what the client must have got: a whole message
//! >C
//! = open                           the connection takes another request; or `closed`
//! ```
//!
//! | Line | Means |
//! |---|---|
//! | `\r \n \t \0 \\ \xHH`, `\{N text}` | that byte; `text` so many times |
//! | `>B ...`, `>C ...` without a first line of a message | exactly these bytes |
//! | `>C (bytes)` as the first line | exactly these bytes, though they look like a message |
//! | `>B (head)`, `>C (head)` as the first line | of the message, only its head: no body may follow, or it comes later |
//! | `>C (broken)` as the first line | the message is cut off here, and looks so |
//! | `>B (trailers)`, `>C (trailers)` | fields behind the last chunk follow |
//! | `@get PATH`, `@get10`, `@head`, `@post` | a plain request is sent and arrives |
//! | `B closes`, `B resets`, `C closes` | that side ends its connection |
//! | `B is new`, `B is same` | on which connection the last request came, compared with the one before |
//! | `= refused 400` | the proxy itself answers so; the backend got nothing; closed |
//! | `= failed 502` | the same after the backend got the request |
//! | `= broken 400` | refused, but the backend may have got the beginning of the request |
//! | `= answered` | the backend says a plain 200, the client gets it; `= answered closed` |
//!
//! `refused`, `failed` and `answered` may say `open` or `closed`, and several statuses: `400|501`.
//!
//! Fields that the proxy adds to every message are compared only if the case names them; `*` stands
//! for any value. Everything else is compared to the byte, in order. What nobody expected, on any
//! connection, fails the case.
//!
//! Many cases fit one line, in which `|` is a line end:
//!
//! | Line after the name | Means |
//! |---|---|
//! | `refused 400 BYTES`, `broken 400 BYTES` | the client sends this, and is refused |
//! | `passed BYTES` | the client sends this, the backend gets the same |
//! | `target SENT => SEEN` | the target of a request, on either side |
//! | `fields SENT => SEEN` | fields of a request, beside `Host: a` |
//! | `answer SAID => GOT` | fields of a response, beside `Content-Length: 2` |
//! | `garbage BYTES`, `cut BYTES` | the backend answers so (and closes): a 502 |

/// A case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) steps: Vec<Step>,
    pub(crate) end: End,
}

impl Case {
    /// Whether the last request is a `HEAD`.
    pub(crate) fn is_head(&self) -> bool {
        let sent = |it: &Step| {
            let Step::ClientSends(bytes) = it else { return None };
            Some(bytes.starts_with(b"HEAD "))
        };
        self.steps.iter().rev().find_map(sent).unwrap_or(false)
    }
}

/// What happens, or must have happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    ClientSends(Vec<u8>),
    BackendGets(Expected),
    BackendSends(Vec<u8>),
    ClientGets(Expected),
    ClientCloses,
    BackendCloses,
    BackendResets,
    BackendIsNew,
    BackendIsSame,
}

/// What must have arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Exactly these bytes.
    Bytes(Vec<u8>),
    /// A message: its head, its body and its trailers.
    Message { head: Vec<u8>, body: Vec<u8>, trailers: Vec<u8>, part: Part },
}

/// How much of a message must have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    Head,
    /// Not all of it, and then the end of the connection.
    Broken,
}

/// How a case ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Statuses of which the proxy must have answered with one.
    pub(crate) statuses: Vec<u16>,
    pub(crate) is_open: bool,
    /// Whether the backend may have got a request that does not end.
    pub(crate) may_begin: bool,
}

impl End {
    fn of(statuses: Vec<u16>, is_open: bool) -> Self {
        Self { statuses, is_open, may_begin: false }
    }
}

/// The response of a backend that has nothing to say.
pub(crate) const PLAIN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Reads the cases of a file.
pub(crate) fn parse(text: &'static str) -> Vec<Case> {
    let mut blocks: Vec<Vec<&'static str>> = Vec::new();
    for line in text.lines().filter(|it| !it.is_empty() && !it.starts_with('#')) {
        match blocks.last_mut() {
            Some(block) if !line.starts_with("rfc") => block.push(line),
            _ => blocks.push(vec![line]),
        }
    }
    blocks.iter().map(|block| read_case(block)).collect()
}

fn read_case(block: &[&'static str]) -> Case {
    let (name, rest) = block[0].split_once(' ').unwrap_or((block[0], ""));
    let is_name =
        |it: &str| it.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    assert!(is_name(name), "{name:?} is no name of a case");
    let rest = rest.trim();
    if !rest.is_empty() {
        assert!(block.len() == 1, "{name}: one line or several");
        return read_line(name, rest);
    }
    let mut case = Case { name, steps: Vec::new(), end: End::of(Vec::new(), true) };
    let Some((last, lines)) = block[1..].split_last() else { panic!("{name} is empty") };
    let mut lines = lines.iter().peekable();
    while let Some(line) = lines.next() {
        let mark = line.get(..2).unwrap_or(line);
        if !matches!(mark, "C>" | ">C" | "B>" | ">B") {
            case.steps.extend(plain_step(name, line));
            continue;
        }
        let mut texts = vec![content(line)];
        let begins =
            |it: &str| matches!(mark, ">C" | ">B") && it[2..].trim_start().starts_with("HTTP/1.1 ");
        while let Some(more) = lines.next_if(|it| {
            it.starts_with(mark) && !(begins(it) && texts.last().is_some_and(|it| it.is_empty()))
        }) {
            texts.push(content(more));
        }
        case.steps.extend(match mark {
            "C>" => vec![Step::ClientSends(bytes_of(&texts))],
            "B>" => vec![Step::BackendSends(bytes_of(&texts))],
            ">C" => expected(&texts).into_iter().map(Step::ClientGets).collect(),
            _ => expected(&texts).into_iter().map(Step::BackendGets).collect(),
        });
    }
    let end = last.strip_prefix("= ").unwrap_or_else(|| panic!("{name} has no end"));
    finish(&mut case, end);
    case
}

fn content(line: &'static str) -> &'static str {
    let rest = &line[2..];
    rest.strip_prefix(' ').unwrap_or(rest)
}

fn plain_step(name: &str, line: &str) -> Vec<Step> {
    let (word, path) = line.split_once(' ').unwrap_or((line, "/"));
    let asked = |line: String, more: &str, seen: &str| {
        let sent = format!("{line}\r\nHost: a\r\n{more}\r\n").into_bytes();
        let head = format!("{}\r\nHost: a\r\n{seen}", line.replace("/1.0", "/1.1")).into_bytes();
        let (body, trailers, part) = (Vec::new(), Vec::new(), Part::Whole);
        let gets = Expected::Message { head, body, trailers, part };
        vec![Step::ClientSends(sent), Step::BackendGets(gets)]
    };
    match (word, line) {
        ("@get", _) => asked(format!("GET {path} HTTP/1.1"), "", ""),
        ("@get10", _) => asked(format!("GET {path} HTTP/1.0"), "", ""),
        ("@head", _) => asked(format!("HEAD {path} HTTP/1.1"), "", ""),
        ("@post", _) => {
            let length = "Content-Length: 0\r\n";
            asked(format!("POST {path} HTTP/1.1"), length, length)
        }
        (_, "B closes") => vec![Step::BackendCloses],
        (_, "B resets") => vec![Step::BackendResets],
        (_, "C closes") => vec![Step::ClientCloses],
        (_, "B is new") => vec![Step::BackendIsNew],
        (_, "B is same") => vec![Step::BackendIsSame],
        _ => panic!("{name}: what is {line:?}?"),
    }
}

/// Reads how a case ends.
fn finish(case: &mut Case, end: &str) {
    let words: Vec<&str> = end.split(' ').collect();
    let said = |wanted: &str| words.last() == Some(&wanted);
    let statuses = || -> Vec<u16> { words[1].split('|').map(|it| it.parse().unwrap()).collect() };
    case.end = match words[0] {
        "refused" => End::of(statuses(), said("open")),
        "failed" => End::of(statuses(), said("open")),
        "broken" => End { statuses: statuses(), is_open: false, may_begin: true },
        "answered" => {
            let is_open = !said("closed");
            case.steps.extend(answered(is_open));
            End::of(Vec::new(), is_open)
        }
        "open" | "closed" => End::of(Vec::new(), said("open")),
        _ => panic!("{}: what is {end:?}?", case.name),
    };
}

fn answered(is_open: bool) -> [Step; 2] {
    let close = if is_open { "" } else { "Connection: close\r\n" };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{close}").into_bytes();
    let (body, trailers, part) = (b"ok".to_vec(), Vec::new(), Part::Whole);
    let gets = Expected::Message { head, body, trailers, part };
    [Step::BackendSends(PLAIN.into()), Step::ClientGets(gets)]
}

/// Reads a case of one line.
fn read_line(name: &'static str, line: &str) -> Case {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim_start();
    let split = || rest.split_once("=>").map_or((rest, rest), |(a, b)| (a.trim(), b.trim()));
    let mut case = Case { name, steps: Vec::new(), end: End::of(Vec::new(), true) };
    let inline = |text: &str| unescape(&text.replace('|', "\r\n"));
    let gets = |head: Vec<u8>| {
        let (body, trailers, part) = (Vec::new(), Vec::new(), Part::Whole);
        Expected::Message { head, body, trailers, part }
    };
    let fields = |text: &str| match text {
        "" => Vec::new(),
        _ => [inline(text), b"\r\n".to_vec()].concat(),
    };
    let get = |target: &[u8], fields: &[u8]| {
        [b"GET ", target, b" HTTP/1.1\r\nHost: a\r\n", fields].concat()
    };
    match word {
        "refused" | "broken" => {
            let (status, bytes) = rest.split_once(' ').unwrap();
            case.steps.push(Step::ClientSends(inline(bytes)));
            finish(&mut case, &format!("{word} {status}"));
        }
        "passed" => {
            let bytes = inline(rest);
            case.steps.push(Step::ClientSends(bytes.clone()));
            case.steps.push(Step::BackendGets(message(&bytes, Part::Whole)));
            finish(&mut case, "answered");
        }
        "target" => {
            let (sent, seen) = split();
            case.steps
                .push(Step::ClientSends([get(&inline(sent), b""), b"\r\n".to_vec()].concat()));
            case.steps.push(Step::BackendGets(gets(get(&inline(seen), b""))));
            finish(&mut case, "answered");
        }
        "fields" => {
            let (sent, seen) = split();
            case.steps
                .push(Step::ClientSends([get(b"/", &fields(sent)), b"\r\n".to_vec()].concat()));
            case.steps.push(Step::BackendGets(gets(get(b"/", &fields(seen)))));
            finish(&mut case, "answered");
        }
        "answer" => {
            let (said, got) = split();
            case.steps.extend(plain_step(name, "@get"));
            let start = b"HTTP/1.1 200 OK\r\n".as_slice();
            let rest = b"Content-Length: 2\r\n\r\nok".as_slice();
            case.steps.push(Step::BackendSends([start, &fields(said), rest].concat()));
            let got = [start, &fields(got), rest].concat();
            case.steps.push(Step::ClientGets(message(&got, Part::Whole)));
        }
        "garbage" | "cut" => {
            case.steps.extend(plain_step(name, "@get"));
            case.steps.push(Step::BackendSends(inline(rest)));
            case.steps.extend((word == "cut").then_some(Step::BackendCloses));
            finish(&mut case, "failed 502");
        }
        _ => panic!("{name}: what is {word:?}?"),
    }
    case
}

/// The bytes of some lines.
fn bytes_of(lines: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines {
        match line.strip_suffix('\\').filter(|it| !it.ends_with('\\')) {
            Some(line) => bytes.extend(unescape(line)),
            None => bytes.extend([unescape(line), b"\r\n".to_vec()].concat()),
        }
    }
    bytes
}

fn expected(lines: &[&str]) -> Vec<Expected> {
    if lines[0] == "(bytes)" {
        return vec![Expected::Bytes(bytes_of(&lines[1..]))];
    }
    let part = match lines[0] {
        "(head)" => Part::Head,
        "(broken)" => Part::Broken,
        _ => Part::Whole,
    };
    let lines = if part == Part::Whole { lines } else { &lines[1..] };
    let at = lines.iter().position(|it| *it == "(trailers)").unwrap_or(lines.len());
    let bytes = bytes_of(&lines[..at]);
    let first = bytes.split(|it| *it == b'\r').next().unwrap_or(b"");
    if part == Part::Whole && !first.starts_with(b"HTTP/") && !first.ends_with(b" HTTP/1.1") {
        return vec![Expected::Bytes(bytes)];
    }
    let mut expected = message(&bytes, part);
    if let (Expected::Message { trailers, .. }, Some(lines)) = (&mut expected, lines.get(at + 1..))
    {
        *trailers = bytes_of(lines);
    }
    // What follows a head that is looked at alone comes as it is.
    if let (Expected::Message { body, .. }, Part::Head) = (&mut expected, part)
        && !body.is_empty()
    {
        let rest = Expected::Bytes(std::mem::take(body));
        return vec![expected, rest];
    }
    vec![expected]
}

fn message(bytes: &[u8], part: Part) -> Expected {
    let end = crate::message::find(bytes, b"\r\n\r\n").unwrap_or(bytes.len() - 2);
    let (head, body) = (bytes[..end + 2].to_vec(), bytes.get(end + 4..).unwrap_or(b"").to_vec());
    Expected::Message { head, body, trailers: Vec::new(), part }
}

/// Replaces what begins with a backslash.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            bytes.push(*byte);
            continue;
        }
        let (kind, after) = rest.split_first().unwrap_or_else(|| panic!("{text:?} ends early"));
        rest = after;
        match kind {
            b'r' => bytes.push(b'\r'),
            b'n' => bytes.push(b'\n'),
            b't' => bytes.push(b'\t'),
            b'0' => bytes.push(0),
            b'\\' => bytes.push(b'\\'),
            b'x' => {
                let digits = std::str::from_utf8(&rest[..2]).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                rest = &rest[2..];
            }
            b'{' => {
                let end = rest.iter().position(|it| *it == b'}').unwrap();
                let inner = std::str::from_utf8(&rest[..end]).unwrap();
                let (count, text) = inner.split_once(' ').unwrap();
                let count: usize = count.parse().unwrap();
                bytes.extend(unescape(text).repeat(count));
                rest = &rest[end + 1..];
            }
            other => panic!("{text:?}: what is \\{}?", char::from(*other)),
        }
    }
    bytes
}
