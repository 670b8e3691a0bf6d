//! The head of a response: what it says, and what follows it (RFC 9112 §6.3).

use std::{borrow::Cow, mem::MaybeUninit, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderValue, StatusCode};

use crate::wire::{
    Header,
    connection::{self, Nominated},
    fields::{Field, Fields, Places},
    grpc,
    response::Garbage,
};

/// Longest head, and most headers in it: Pingora's bounds.
const HEAD_MAX: usize = 1 << 20;
const HEADERS_MAX: usize = 256;
/// Most trailers: nobody has use for as many.
const TRAILERS_MAX: usize = 64;

/// The version of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.0: knows neither chunks nor, unless it says so, connections that stay.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2, where frames do what here is said in headers.
    Http2,
}

/// How long a body is, as far as its head tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// So many bytes; 0 also where the method or the status admits no body.
    Known(u64),
    /// Chunks tell.
    Chunked,
    /// The end of the connection tells. A body cut short cannot be told from a whole one.
    UntilClose,
}

/// A response's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// From 100 to 999.
    pub status: StatusCode,
    /// The backend's version.
    pub version: HttpVersion,
    /// All headers in order, but for a `Content-Length` that frames nothing: beside
    /// `Transfer-Encoding`, and with the statuses 1xx and 204.
    pub headers: Fields,
    reason: Bytes,
}

/// What a head says about everything after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Framing {
    pub(crate) body: BodyLength,
    pub(crate) is_persistent: bool,
}

impl ResponseHead {
    /// Returns a head that came in another way than in these bytes.
    pub fn new(status: StatusCode, version: HttpVersion, headers: Fields) -> Self {
        Self { status, version, headers, reason: Bytes::new() }
    }

    /// Returns the reason phrase; empty if there is none, or one that is not ASCII.
    pub fn reason(&self) -> &str {
        std::str::from_utf8(&self.reason).unwrap_or("")
    }

    /// Returns the values of a header.
    pub fn values(&self, name: &'static str) -> impl Iterator<Item = &[u8]> {
        self.headers.values(name)
    }

    /// Returns how a call ended, if the head says so.
    pub(crate) fn grpc_status(&self) -> Option<u16> {
        grpc::status(self.values(grpc::STATUS).next()?)
    }

    /// Returns the headers that are for the client, in order: all but those that concern the
    /// backend's connection, by nature or because `Connection` names them, and those with which a
    /// proxy is asked who it is (RFC 9110 §11.7.1).
    pub fn headers_for_client(&self) -> impl Iterator<Item = Field<'_>> {
        let nominated = Nominated::by_backend(self.values("connection"));
        self.headers.iter().filter(move |it| nominated.passes(it.name) && !is_for_proxies(*it))
    }

    /// Returns how long the backend keeps the idle connection, if it says so: `timeout` of
    /// `Keep-Alive`, in seconds.
    pub fn idle_timeout(&self) -> Option<Duration> {
        let values = self.values("keep-alive").filter_map(|value| std::str::from_utf8(value).ok());
        values
            .flat_map(|value| value.split(','))
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("timeout"))
            .and_then(|(_, seconds)| seconds.trim().parse().ok().map(Duration::from_secs))
    }

    /// Works out the framing, and removes what would contradict it.
    ///
    /// With both `Transfer-Encoding` and `Content-Length` the former holds (RFC 9112 §6.3); refusing
    /// would break backends that work elsewhere. Whoever is on the other side may have meant the
    /// latter, so what follows on the connection is not believed: it is not used again.
    pub(crate) fn settle_framing(&mut self, is_head_request: bool) -> Result<Framing, Garbage> {
        let told = content_length(self.values("content-length"))?;
        let length = told.map(|it| it.length);
        let is_coded = self.values("transfer-encoding").next().is_some();
        let status = self.status.as_u16();
        let body = if is_head_request || status < 200 || matches!(status, 204 | 304) {
            BodyLength::Known(0)
        } else if is_coded {
            self.check_coding()?;
            BodyLength::Chunked
        } else {
            length.map_or(BodyLength::UntilClose, BodyLength::Known)
        };
        let is_told_twice = is_coded && length.is_some();
        if length.is_some() && (is_coded || status < 200 || status == 204) {
            self.headers.retain(|it| !it.is("content-length"));
        } else if told.is_some_and(|it| it.is_repeated) {
            self.tell_once();
        }
        let is_coding_unknown = is_coded && self.version == HttpVersion::Http10;
        let is_persistent = self.is_persistent()
            && !is_told_twice
            && !is_coding_unknown
            && body != BodyLength::UntilClose;
        Ok(Framing { body, is_persistent })
    }

    /// Makes one `Content-Length` of several that agree: whoever reads the message next might take
    /// them for garbage (RFC 9110 §8.6).
    fn tell_once(&mut self) {
        let mut is_told = false;
        self.headers
            .retain(|it| !it.is("content-length") || !std::mem::replace(&mut is_told, true));
        self.headers.narrow_values("content-length", |value| {
            let first = value.split(|byte| *byte == b',').next().unwrap_or(value);
            let length = first.trim_ascii_end().len();
            let zeros = first.iter().take_while(|byte| **byte == b'0').count();
            zeros.min(length.saturating_sub(1))..length
        });
    }

    fn check_coding(&self) -> Result<(), Garbage> {
        let mut codings = self.values("transfer-encoding");
        let is_chunked = codings.next().is_some_and(|it| it.eq_ignore_ascii_case(b"chunked"));
        if is_chunked && codings.next().is_none() && self.version == HttpVersion::Http11 {
            Ok(())
        } else {
            Err(Garbage::TransferEncoding)
        }
    }

    fn is_persistent(&self) -> bool {
        let options = || self.values("connection");
        let is_kept = match self.version {
            HttpVersion::Http11 | HttpVersion::Http2 => true,
            // Exactly that, as in Pingora: what else an old backend may mean is not worth guessing.
            HttpVersion::Http10 => {
                options().next().is_some_and(|it| it.eq_ignore_ascii_case(b"keep-alive"))
            }
        };
        is_kept && !connection::lists(options(), "close")
    }
}

/// The length that a head tells.
#[derive(Clone, Copy, Debug)]
struct Told {
    length: u64,
    is_repeated: bool,
}

/// Returns the one length that all values agree on, in however many lines or lists; `None` without
/// any (RFC 9110 §8.6).
fn content_length<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Option<Told>, Garbage> {
    let mut agreed: Option<Told> = None;
    for value in values.flat_map(|value| value.split(|byte| *byte == b',')) {
        let length = decimal(value.trim_ascii()).ok_or(Garbage::ContentLength)?;
        if agreed.is_some_and(|it| it.length != length) {
            return Err(Garbage::ContentLength);
        }
        agreed = Some(Told { length, is_repeated: agreed.is_some() });
    }
    Ok(agreed)
}

fn is_for_proxies(header: Field<'_>) -> bool {
    header.is("proxy-authenticate") || header.is("proxy-authentication-info")
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Finds the end of a head in a buffer that grows.
///
/// Parsing costs as much as the bytes there are, and a head may come byte by byte. So it is tried
/// when an end may have come, and otherwise only when the bytes have doubled, which finds out soon
/// that a backend speaks something else altogether: the cost stays proportional to the bytes.
#[derive(Debug, Default)]
pub(crate) struct HeadReader {
    /// Bytes in which no empty line begins.
    scanned: usize,
    /// Try again with so many bytes.
    next_try: usize,
}

impl HeadReader {
    /// Takes a head off the front of the buffer, once it is there.
    pub(crate) fn read(&mut self, buffer: &mut BytesMut) -> Result<Option<ResponseHead>, Garbage> {
        let length = buffer.len();
        if length == self.scanned + 2 || length == 0 {
            return Ok(None);
        }
        let may_end = has_empty_line(&buffer[self.scanned..]);
        // The line end before an empty line may be the last but one byte.
        self.scanned = length.saturating_sub(2);
        if !may_end && length < self.next_try && length <= HEAD_MAX {
            return Ok(None);
        }
        self.next_try = length.saturating_mul(2);
        let head = parse(buffer)?;
        if head.is_none() && HEAD_MAX < length {
            return Err(Garbage::HeadTooLong);
        }
        Ok(head)
    }
}

/// Finds out whether an unfinished head could still become one.
pub(crate) fn check_beginning(bytes: &[u8]) -> Result<(), Garbage> {
    parse(&mut BytesMut::from(bytes)).map(drop)
}

/// Parses header lines that end with an empty one, and takes them off the front of the buffer.
pub(crate) fn parse_trailers(buffer: &mut BytesMut, length: usize) -> Option<Vec<Header>> {
    let mut fields = [httparse::EMPTY_HEADER; TRAILERS_MAX];
    let parsed = httparse::parse_headers(buffer.get(..length)?, &mut fields).ok()?;
    let httparse::Status::Complete((end, fields)) = parsed else { return None };
    if end != length {
        return None;
    }
    let trailers = fields
        .iter()
        .map(|field| {
            let value = HeaderValue::from_bytes(field.value).ok()?;
            Some(Header { name: Bytes::copy_from_slice(field.name.as_bytes()), value })
        })
        .collect::<Option<Vec<_>>>();
    buffer.advance(length);
    trailers
}

fn has_empty_line(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'\n', rest) {
        rest = &rest[at + 1..];
        if matches!(rest, [b'\n', ..] | [b'\r', b'\n', ..]) {
            return true;
        }
    }
    false
}

fn parse(buffer: &mut BytesMut) -> Result<Option<ResponseHead>, Garbage> {
    let limit = buffer.len().min(HEAD_MAX);
    let mut fields = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let mut config = httparse::ParserConfig::default();
    // Both as in Pingora: RFC 9112 §5.1 and §5.2 have a proxy mend them in responses.
    config.allow_spaces_after_header_name_in_responses(true);
    config.allow_obsolete_multiline_headers_in_responses(true);
    let bytes = &buffer[..limit];
    let end = match config.parse_response_with_uninit_headers(&mut response, bytes, &mut fields) {
        Ok(httparse::Status::Complete(end)) => end,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Garbage::HeadTooLong),
        Err(_) => return Err(Garbage::Head),
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Garbage::Head)?;
    let version =
        if response.version == Some(0) { HttpVersion::Http10 } else { HttpVersion::Http11 };
    let headers = response.headers.iter().map(|it| (it.name.as_bytes(), it.value));
    let places = Places::of(bytes, headers.clone());
    let folded = headers.clone().any(|(_, value)| is_folded(value));
    let unfolded = folded.then(|| {
        let headers: Vec<_> = headers.map(|(name, value)| (name, unfold(value))).collect();
        Fields::copied(headers.iter().map(|(name, value)| (*name, &value[..])))
    });
    let reason = match (response.reason.unwrap_or(""), status.canonical_reason()) {
        (told, Some(usual)) if told == usual => Bytes::from_static(usual.as_bytes()),
        (told, _) => Bytes::copy_from_slice(told.as_bytes()),
    };
    let bytes = buffer.split_to(end).freeze();
    let headers = unfolded.unwrap_or_else(|| Fields::within(bytes, places));
    Ok(Some(ResponseHead { status, version, headers, reason }))
}

fn is_folded(value: &[u8]) -> bool {
    memchr::memchr2(b'\n', b'\r', value).is_some()
}

/// Replaces each line fold by a space (RFC 9112 §5.2).
fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    if !is_folded(value) {
        return Cow::Borrowed(value);
    }
    let lines = value.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(&b' ').into()
}
