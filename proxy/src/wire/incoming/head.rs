//! The head of a request: where it ends, and what it says of what follows.

use crate::wire::{
    incoming::{
        Limits, Refusal,
        line::{header, request_line, trim},
        target::is_authority,
    },
    is_token,
    request::BodyFraming,
};

/// What may stand in the first line beside the target: the longest of registered methods has 17
/// characters.
const AROUND_TARGET: usize = 64;

/// Looks for the end of a head while its bytes come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Where the line begins that has not ended yet.
    line: usize,
    /// In the bytes before this, no line of the head ends but those before `line`.
    seen: usize,
}

impl Scan {
    /// Returns how long the head at the start of `bytes` is, once it is all there. To be shown the
    /// same bytes and more each time.
    ///
    /// # Errors
    /// As soon as it is certain that no acceptable head can come of it.
    pub fn end(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, Refusal> {
        if self.line == 0 && bytes.first().is_some_and(|byte| !is_token(*byte)) {
            // Whoever speaks something else, such as TLS, is told at once.
            return Err(Refusal::RequestLine);
        }
        let lines = memchr::memchr_iter(b'\n', &bytes[self.seen..]).map(|at| self.seen + at);
        for feed in lines {
            // Judged alike whether or not the line came as a whole.
            if self.line == 0 && limits.target.saturating_add(AROUND_TARGET) < feed {
                return Err(Refusal::TargetTooLong);
            }
            if limits.head <= feed {
                return Err(Refusal::HeadTooLarge);
            }
            let Some(length) = (feed - self.line).checked_sub(1) else {
                return Err(Refusal::LineEnd);
            };
            if bytes[feed - 1] != b'\r' {
                return Err(Refusal::LineEnd);
            }
            self.line = feed + 1;
            if length == 0 {
                return Ok(Some(feed + 1));
            }
        }
        self.seen = bytes.len();
        if self.line == 0 && limits.target.saturating_add(AROUND_TARGET) < bytes.len() {
            return Err(Refusal::TargetTooLong);
        }
        if limits.head <= bytes.len() {
            return Err(Refusal::HeadTooLarge);
        }
        Ok(None)
    }
}

/// Returns how many bytes at the start are empty lines, which are skipped before a request
/// (RFC 9112 §2.2). `None` while that cannot be told.
pub(crate) fn empty_lines(bytes: &[u8]) -> Option<usize> {
    let mut start = 0;
    while bytes[start..].starts_with(b"\r\n") {
        start += 2;
    }
    (!matches!(bytes[start..], [b'\r'])).then_some(start)
}

/// What the head of a request says of what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How the body is framed; [`BodyFraming::None`] without one.
    pub framing: BodyFraming,
    /// Whether the client wants to speak WebSocket from here on (RFC 6455 §4.1).
    pub is_upgrade: bool,
}

/// Judges a head, from the request line to the empty line.
///
/// # Errors
/// When it does not follow the grammar, or leaves open how the message is framed or whom it is for.
pub fn inspect(head: &[u8], limits: &Limits) -> Result<Head, Refusal> {
    let mut lines = Lines { rest: head };
    let first = request_line(lines.next().unwrap_or(Err(Refusal::RequestLine))?, limits)?;
    let mut facts = Facts::default();
    for (count, line) in lines.enumerate() {
        if limits.headers <= count {
            return Err(Refusal::HeadTooLarge);
        }
        let (name, value) = header(line?)?;
        facts.take(name, value)?;
        // RFC 9112 §3.2.2: a client sends the same twice. Who is asked must not depend on which of
        // the two is read.
        if first.authority.is_some_and(|it| name.eq_ignore_ascii_case(b"host") && it != value) {
            return Err(Refusal::Host);
        }
    }
    let framing = facts.framing(first.is_http10)?;
    // RFC 9112 §3.2: needed since HTTP/1.1.
    if facts.hosts == 0 && !first.is_http10 {
        return Err(Refusal::Host);
    }
    let is_upgrade = facts.offers_websocket
        && facts.has_upgrade_option
        && first.method == b"GET"
        && !first.is_http10;
    if is_upgrade && !matches!(framing, BodyFraming::None | BodyFraming::Length(0)) {
        return Err(Refusal::UpgradeWithBody);
    }
    Ok(Head { framing, is_upgrade })
}

/// A head that [`inspect`] has found nothing wrong with, part by part.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The method.
    pub method: &'a [u8],
    /// The target as it was sent.
    pub target: &'a [u8],
    /// Whether it says HTTP/1.0; else 1.1.
    pub is_http10: bool,
    rest: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Takes a head apart. `None` if it is none.
    pub fn of(head: &'a [u8]) -> Option<Self> {
        let mut lines = Lines { rest: head };
        let mut first = lines.next()?.ok()?.split(|byte| *byte == b' ');
        let (method, target, version) = (first.next()?, first.next()?, first.next()?);
        Some(Self { method, target, is_http10: version == b"HTTP/1.0", rest: lines.rest })
    }

    /// Returns the headers, names as they were spelled.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut rest = self.rest;
        std::iter::from_fn(move || {
            let colon = memchr::memchr(b':', rest)?;
            let (name, after) = (&rest[..colon], &rest[colon + 1..]);
            let feed = memchr::memchr(b'\n', after)?;
            rest = &after[feed + 1..];
            Some((name, trim(after[..feed].strip_suffix(b"\r")?)))
        })
    }

    /// Returns how many headers there are.
    pub fn count(&self) -> usize {
        // Each has a line, and so has the end.
        memchr::memchr_iter(b'\n', self.rest).count().saturating_sub(1)
    }
}

/// The lines of a head without their ends, up to the empty one.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<&'a [u8], Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        let feed = memchr::memchr(b'\n', self.rest)?;
        let (line, rest) = self.rest.split_at(feed + 1);
        self.rest = rest;
        let Some(line) = line.strip_suffix(b"\r\n") else { return Some(Err(Refusal::LineEnd)) };
        // What `is_value` lets through elsewhere is refused here for what it is.
        if line.contains(&b'\r') {
            return Some(Err(Refusal::LineEnd));
        }
        (!line.is_empty()).then_some(Ok(line))
    }
}

/// What matters of the headers.
#[derive(Debug, Default)]
struct Facts {
    hosts: u8,
    length: Option<u64>,
    /// Whether there is a transfer coding; the only one accepted is `chunked`.
    is_chunked: bool,
    offers_websocket: bool,
    has_upgrade_option: bool,
}

impl Facts {
    fn take(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        // Told apart by length first: most headers are none of these.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                self.hosts += 1;
                if 1 < self.hosts || !is_authority(value) {
                    return Err(Refusal::Host);
                }
            }
            6 if name.eq_ignore_ascii_case(b"expect")
                && !value.eq_ignore_ascii_case(b"100-continue") =>
            {
                return Err(Refusal::Expectation);
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.offers_websocket |= lists(value, b"websocket");
            }
            10 if name.eq_ignore_ascii_case(b"connection") => {
                self.has_upgrade_option |= lists(value, b"upgrade");
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                // Even one that repeats the first: whoever sends that has something in mind.
                let length = number(value).filter(|_| self.length.is_none());
                self.length = Some(length.ok_or(Refusal::Length)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(self.coding_fault(value));
                }
                self.is_chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// Another coding under a final `chunked` is merely not supported; all else is malformed.
    fn coding_fault(&self, value: &[u8]) -> Refusal {
        let mut codings = value.rsplit(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let is_final = codings.next().is_some_and(|it| it.eq_ignore_ascii_case(b"chunked"));
        let is_other = |coding: &[u8]| {
            !coding.is_empty()
                && coding.iter().all(|byte| is_token(*byte))
                && !coding.eq_ignore_ascii_case(b"chunked")
        };
        let mut others = codings.peekable();
        if !self.is_chunked && is_final && others.peek().is_some() && others.all(is_other) {
            Refusal::UnknownCoding
        } else {
            Refusal::Coding
        }
    }

    fn framing(&self, is_http10: bool) -> Result<BodyFraming, Refusal> {
        match (self.is_chunked, self.length) {
            (true, Some(_)) => Err(Refusal::Length),
            // RFC 9112 §6.1: HTTP/1.0 knows no transfer codings, whoever sends one is not to be
            // believed.
            (true, None) if is_http10 => Err(Refusal::Coding),
            (true, None) => Ok(BodyFraming::Chunked),
            (false, Some(length)) => Ok(BodyFraming::Length(length)),
            (false, None) => Ok(BodyFraming::None),
        }
    }
}

/// Tells whether a list of words, separated by commas, holds this one.
fn lists(value: &[u8], word: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|it| it.trim_ascii().eq_ignore_ascii_case(word))
}

/// Reads a decimal number that fits 63 bits: others count in signed integers.
fn number(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    i64::try_from(number).is_ok().then_some(number)
}
