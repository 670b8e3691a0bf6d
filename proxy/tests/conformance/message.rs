//! HTTP/1.1 messages read strictly, by a parser that shares nothing with the one under test.
//!
//! What RFC 9112 leaves to leniency is an error here: bare line feeds and carriage returns, folded
//! lines, spaces before colons, several lengths. Nothing the proxy sends may need any leniency, and
//! nothing that needs it may get past the proxy.

/// A message, or as much of one as was there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// The first line.
    pub(crate) start: Vec<u8>,
    /// Names as they were sent, values without white space around them.
    pub(crate) fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body, chunks undone.
    pub(crate) body: Vec<u8>,
    /// Fields behind the last chunk.
    pub(crate) trailers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The bytes that it took.
    pub(crate) length: usize,
}

/// What some bytes begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// A whole message; `length` bytes of it.
    Whole(Message),
    /// A message that goes on: what there is of it. `None` while its head is not complete.
    Partial(Option<Message>),
    /// No message, and why not.
    Wrong(&'static str),
}

/// How much of a message is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it.
    Whole,
    /// Its head alone: the answer to `HEAD`, or what comes before a body that is asked for.
    Head,
}

impl Message {
    /// The values of a field, in order.
    pub(crate) fn values(&self, name: &str) -> Vec<&[u8]> {
        let of_name = |it: &&(Vec<u8>, Vec<u8>)| it.0.eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().filter(of_name).map(|it| it.1.as_slice()).collect()
    }

    /// The second word of the first line: a request's target, or a status.
    pub(crate) fn second_word(&self) -> &[u8] {
        self.start.split(|it| *it == b' ').nth(1).unwrap_or(b"")
    }

    fn is_response(&self) -> bool {
        self.start.starts_with(b"HTTP/")
    }

    fn is_old(&self) -> bool {
        if self.is_response() {
            self.start.starts_with(b"HTTP/1.0")
        } else {
            self.start.ends_with(b"HTTP/1.0")
        }
    }

    /// Responses that end with their head (RFC 9112 §6.3, rule 1).
    fn ends_with_head(&self) -> bool {
        let status = self.second_word();
        self.is_response() && (status.starts_with(b"1") || status == b"204" || status == b"304")
    }
}

/// Reads the message that the bytes begin with. `is_ended` is whether no more will come.
pub(crate) fn read(bytes: &[u8], extent: Extent, is_ended: bool) -> Reading {
    let Some(end) = find(bytes, b"\r\n\r\n") else {
        return match wrong_line(bytes) {
            Some(wrong) => Reading::Wrong(wrong),
            None => Reading::Partial(None),
        };
    };
    match read_head(&bytes[..end + 2]) {
        Err(wrong) => Reading::Wrong(wrong),
        Ok(head) if extent == Extent::Head || head.ends_with_head() => {
            Reading::Whole(Message { length: end + 4, ..head })
        }
        Ok(head) => read_body(head, &bytes[end + 4..], end + 4, is_ended),
    }
}

fn read_head(head: &[u8]) -> Result<Message, &'static str> {
    if let Some(wrong) = wrong_line(head) {
        return Err(wrong);
    }
    let mut lines = lines_of(head);
    let start = lines.next().unwrap_or(b"").to_vec();
    check_start(&start)?;
    let fields = lines.map(read_field).collect::<Result<_, _>>()?;
    Ok(Message { start, fields, ..Message::default() })
}

fn check_start(start: &[u8]) -> Result<(), &'static str> {
    let words: Vec<&[u8]> = start.split(|it| *it == b' ').collect();
    let is_version = |it: &[u8]| it == b"HTTP/1.1" || it == b"HTTP/1.0";
    if start.starts_with(b"HTTP/") {
        let is_status = |it: &[u8]| it.len() == 3 && it.iter().all(u8::is_ascii_digit);
        let is_fine = 3 <= words.len() && is_version(words[0]) && is_status(words[1]);
        return if is_fine { Ok(()) } else { Err("the status line") };
    }
    let is_fine = words.len() == 3 && is_version(words[2]) && !words[1].is_empty();
    if is_fine && !words[0].is_empty() && words[0].iter().all(|it| is_token(*it)) {
        return Ok(());
    }
    Err("the request line")
}

fn read_field(line: &[u8]) -> Result<(Vec<u8>, Vec<u8>), &'static str> {
    let colon = line.iter().position(|it| *it == b':').ok_or("a field line without colon")?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || !name.iter().all(|it| is_token(*it)) {
        return Err("a field name");
    }
    Ok((name.to_vec(), value.trim_ascii().to_vec()))
}

fn read_body(head: Message, rest: &[u8], length: usize, is_ended: bool) -> Reading {
    let lengths = head.values("content-length");
    let codings = head.values("transfer-encoding");
    if !codings.is_empty() {
        let is_chunked = codings.len() == 1 && codings[0].eq_ignore_ascii_case(b"chunked");
        if !is_chunked || !lengths.is_empty() || head.is_old() {
            return Reading::Wrong("the transfer coding");
        }
        return read_chunks(head, rest, length);
    }
    match lengths[..] {
        [] if head.is_response() => {
            let whole = Message { body: rest.to_vec(), length: length + rest.len(), ..head };
            if is_ended { Reading::Whole(whole) } else { Reading::Partial(Some(whole)) }
        }
        [] => Reading::Whole(Message { length, ..head }),
        [one] => {
            let Some(wanted) = number(one, 10) else { return Reading::Wrong("the length") };
            if rest.len() < wanted {
                return Reading::Partial(Some(Message { body: rest.to_vec(), ..head }));
            }
            let body = rest[..wanted].to_vec();
            Reading::Whole(Message { body, length: length + wanted, ..head })
        }
        _ => Reading::Wrong("several lengths"),
    }
}

fn read_chunks(mut head: Message, rest: &[u8], length: usize) -> Reading {
    let mut at = 0;
    loop {
        let Some(end) = find(&rest[at..], b"\r\n").map(|it| at + it) else {
            return match wrong_line(&rest[at..]) {
                Some(wrong) => Reading::Wrong(wrong),
                None => Reading::Partial(Some(head)),
            };
        };
        let line = &rest[at..end];
        // White space behind the size is "bad", and says nothing (RFC 9112 §7.1.1).
        let digits = line.split(|it| *it == b';').next().unwrap_or(b"").trim_ascii_end();
        let is_fine = !digits.is_empty() && digits.len() <= 16 && wrong_line(line).is_none();
        let Some(size) = number(digits, 16).filter(|_| is_fine) else {
            return Reading::Wrong("a chunk's size");
        };
        at = end + 2;
        if size == 0 {
            return read_trailers(head, &rest[at..], length + at);
        }
        let there = &rest[at..rest.len().min(at.saturating_add(size))];
        head.body.extend_from_slice(there);
        at += there.len();
        let end = &rest[at..rest.len().min(at + 2)];
        if there.len() < size || (end.len() < 2 && b"\r\n".starts_with(end)) {
            return Reading::Partial(Some(head));
        }
        if end != b"\r\n" {
            return Reading::Wrong("the end of a chunk");
        }
        at += 2;
    }
}

fn read_trailers(head: Message, rest: &[u8], length: usize) -> Reading {
    let section =
        if rest.starts_with(b"\r\n") { Some(0) } else { find(rest, b"\r\n\r\n").map(|it| it + 2) };
    let Some(end) = section else {
        return match wrong_line(rest) {
            Some(wrong) => Reading::Wrong(wrong),
            None => Reading::Partial(Some(head)),
        };
    };
    if let Some(wrong) = wrong_line(&rest[..end]) {
        return Reading::Wrong(wrong);
    }
    match lines_of(&rest[..end]).map(read_field).collect::<Result<_, _>>() {
        Ok(trailers) => Reading::Whole(Message { trailers, length: length + end + 2, ..head }),
        Err(wrong) => Reading::Wrong(wrong),
    }
}

/// Lines that end with carriage return and line feed, without those.
fn lines_of(section: &[u8]) -> impl Iterator<Item = &[u8]> {
    section
        .split(|it| *it == b'\n')
        .map(|it| it.strip_suffix(b"\r").unwrap_or(it))
        .filter(|it| !it.is_empty())
}

/// What is wrong with some lines, as far as they have come.
fn wrong_line(bytes: &[u8]) -> Option<&'static str> {
    bytes.iter().enumerate().find_map(|(at, byte)| match byte {
        b'\n' if at == 0 || bytes[at - 1] != b'\r' => Some("a bare line feed"),
        b'\r' if bytes.get(at + 1).is_some_and(|it| *it != b'\n') => Some("a bare carriage return"),
        b'\n' if bytes.get(at + 1).is_some_and(|it| matches!(it, b' ' | b'\t')) => {
            Some("a folded line")
        }
        b'\r' | b'\n' | b'\t' => None,
        0..=31 | 127 => Some("a control byte"),
        _ => None,
    })
}

/// A number that fits.
fn number(digits: &[u8], radix: u32) -> Option<usize> {
    let text = std::str::from_utf8(digits).ok()?;
    let is_plain = !text.is_empty() && text.bytes().all(|it| it.is_ascii_hexdigit());
    is_plain.then(|| usize::from_str_radix(text, radix).ok()).flatten()
}

pub(crate) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|it| it == wanted)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &str, expected: Result<(&str, usize), &str>) {
        match (read(bytes.as_bytes(), Extent::Whole, false), expected) {
            (Reading::Whole(it), Ok((body, rest))) => {
                assert_eq!((it.body, bytes.len() - it.length), (body.as_bytes().to_vec(), rest));
            }
            (Reading::Wrong(wrong), Err(expected)) => assert_eq!(wrong, expected, "{bytes:?}"),
            (Reading::Partial(_), Err("")) => {}
            (found, expected) => panic!("{bytes:?}: {found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn only_what_has_one_reading_is_read() {
        check("GET / HTTP/1.1\r\n\r\nrest", Ok(("", 4)));
        check("P / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabc", Ok(("ab", 1)));
        check(
            "P / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n0\r\nT: 1\r\n\r\nc",
            Ok(("ab", 1)),
        );
        check("P / HTTP/1.1\r\nContent-Length: 2\r\n\r\na", Err(""));
        check("GET / HTTP/1.1\r\nA", Err(""));
        check("GET / HTTP/1.1\nA: 1\r\n\r\n", Err("a bare line feed"));
        check("GET / HTTP/1.1\r\nA: 1\rB\r\n\r\n", Err("a bare carriage return"));
        check("GET / HTTP/1.1\r\nA: 1\r\n B\r\n\r\n", Err("a folded line"));
        check("GET / HTTP/1.1\r\nA : 1\r\n\r\n", Err("a field name"));
        check("GET /  HTTP/1.1\r\n\r\n", Err("the request line"));
        check(
            "P / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab",
            Err("several lengths"),
        );
        check("P / HTTP/1.1\r\nContent-Length: +2\r\n\r\nab", Err("the length"));
        check(
            "P / HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
            Err("the transfer coding"),
        );
        check(
            "P / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n",
            Err("a chunk's size"),
        );
        check(
            "P / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
            Err("the end of a chunk"),
        );
    }
}
