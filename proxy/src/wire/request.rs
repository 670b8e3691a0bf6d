//! Requests as bytes: the head with one `Host` and one framing, and the chunks of a body.

use bytes::{BufMut, BytesMut};
use http::Method;

use crate::wire::{
    connection::{BadNomination, Nominated, concerns_connection, is_protected},
    is_token,
};

/// What follows the head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    /// Nothing, and nothing is said of it.
    None,
    /// So many bytes. With 0, `Content-Length: 0` is said, as befits a `POST` without a body.
    Length(u64),
    /// Chunks: [`chunk_head`] before each, [`CHUNK_END`] behind it, [`last_chunk`] at the end.
    Chunked,
}

/// The first line of a request and whom it is for.
#[derive(Clone, Copy, Debug)]
pub struct RequestLine<'a> {
    /// Any but `CONNECT`.
    pub method: &'a Method,
    /// The target as the client sent it: `/path?query`, `*`, or `http://host/path?query`.
    pub target: &'a [u8],
    /// Takes the place of the request's `Host` headers: `:authority` of HTTP/2. `None` if the
    /// request names its host by header or target.
    pub authority: Option<&'a [u8]>,
}

/// Why a request cannot be put on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// `CONNECT` asks for a tunnel.
    #[error("the method is not for backends")]
    Method,
    /// Neither a path, nor `*` for `OPTIONS`, nor an absolute `http` or `https` URL; or it holds
    /// spaces or control bytes.
    #[error("the target is neither a path nor a URL")]
    Target,
    /// Several hosts, or something that is no host.
    #[error("the host is missing, ambiguous or malformed")]
    Host,
    /// A name that is no token.
    #[error("a header's name is malformed")]
    HeaderName,
    /// A value with control bytes.
    #[error("a header's value holds control bytes")]
    HeaderValue,
    /// A body in any transfer coding but `chunked`, which was taken off: what is left would be taken
    /// for the content.
    #[error("the body's transfer coding is not `chunked`")]
    TransferEncoding,
    /// What `Connection` lists.
    #[error(transparent)]
    Nomination(#[from] BadNomination),
}

/// Ends every chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// Appends the head of a request to `out`; what is refused leaves `out` as it was.
///
/// `headers` is asked twice for all headers, in order, names in the case that shall be sent. Left
/// out are those that concern the client's connection, by nature or because its `Connection` header
/// names them, and `Expect`: whoever reads the client's body answers that. `Host` and the framing
/// are written from `line` and `framing`; the target always as a path (RFC 9112 §3.2.1), so that an
/// absolute URL and a `Host` header cannot contradict each other.
pub fn request_head<'a, H>(
    line: RequestLine<'_>,
    headers: impl Fn() -> H,
    framing: BodyFraming,
    out: &mut BytesMut,
) -> Result<(), Unsendable>
where
    H: Iterator<Item = (&'a [u8], &'a [u8])>,
{
    let start = out.len();
    let written = write_head(line, &headers, framing, out);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Appends what stands before the bytes of a chunk. An empty chunk would end the body: it must not
/// be written, and is not.
pub fn chunk_head(length: usize, out: &mut BytesMut) {
    let digits = (usize::BITS - length.leading_zeros()).div_ceil(4);
    for digit in (0..digits).rev() {
        let nibble = (length >> (4 * digit)) & 0xf;
        out.put_u8(b"0123456789abcdef"[nibble]);
    }
    if length != 0 {
        out.put_slice(b"\r\n");
    }
}

/// Appends the end of a chunked body, with trailers. Those that would frame or route the message, or
/// are malformed, are left out: trailers are never needed to understand a message (RFC 9110 §6.5).
pub fn last_chunk<'a>(
    trailers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    out: &mut BytesMut,
) {
    out.put_slice(b"0\r\n");
    for (name, value) in trailers {
        if is_name(name) && is_value(value) && is_trailer(name) {
            put_header(name, value, out);
        }
    }
    out.put_slice(b"\r\n");
}

/// Tells whether a field may be a trailer: none that frames, routes, admits, changes or caches the
/// message may (RFC 9110 §6.5.1), because it was acted upon before the trailers came; nor one that
/// the proxy vouches for, because as a header it would have been written anew.
pub(crate) fn is_trailer(name: &[u8]) -> bool {
    const HEADERS_ONLY: &[&str] = &[
        "age",
        "authentication-info",
        "authorization",
        "cache-control",
        "content-encoding",
        "content-range",
        "content-type",
        "cookie",
        "date",
        "expires",
        "location",
        "max-forwards",
        "pragma",
        "proxy-authentication-info",
        "range",
        "retry-after",
        "set-cookie",
        "vary",
        "warning",
        "www-authenticate",
    ];
    const STARTS: &[&[u8]] = &[b"if-", b"x-forwarded-"];
    let begins =
        |start: &&[u8]| name.get(..start.len()).is_some_and(|it| it.eq_ignore_ascii_case(start));
    !concerns_connection(name)
        && !is_protected(name)
        && !stays_here(name)
        && !STARTS.iter().any(begins)
        && !HEADERS_ONLY.iter().any(|it| it.as_bytes().eq_ignore_ascii_case(name))
}

fn write_head<'a, H>(
    line: RequestLine<'_>,
    headers: &impl Fn() -> H,
    framing: BodyFraming,
    out: &mut BytesMut,
) -> Result<(), Unsendable>
where
    H: Iterator<Item = (&'a [u8], &'a [u8])>,
{
    if line.method == Method::CONNECT {
        return Err(Unsendable::Method);
    }
    let target = Target::of(line.target, line.method)?;
    let is = |it: &'static str| {
        move |header: &(&'a [u8], &'a [u8])| header.0.eq_ignore_ascii_case(it.as_bytes())
    };
    let nominated = Nominated::by_client(headers().filter(is("connection")).map(|it| it.1))?;
    let host = match line.authority.or(target.authority) {
        Some(authority) => authority,
        None => only(headers().filter(is("host")).map(|it| it.1))?,
    };
    if !is_host(host) {
        return Err(Unsendable::Host);
    }
    out.put_slice(line.method.as_str().as_bytes());
    out.put_u8(b' ');
    if target.needs_slash {
        out.put_u8(b'/');
    }
    out.put_slice(target.path);
    out.put_slice(b" HTTP/1.1\r\n");
    put_header(b"Host", host, out);
    for (name, value) in headers() {
        if !is_name(name) {
            return Err(Unsendable::HeaderName);
        }
        if !is_value(value) {
            return Err(Unsendable::HeaderValue);
        }
        if nominated.passes(name) && !stays_here(name) {
            put_header(name, value, out);
        }
    }
    match framing {
        BodyFraming::None => {}
        BodyFraming::Length(length) => {
            put_header(b"Content-Length", decimal(length, &mut [0; 20]), out);
        }
        BodyFraming::Chunked => put_header(b"Transfer-Encoding", b"chunked", out),
    }
    out.put_slice(b"\r\n");
    Ok(())
}

/// Tells whether a header is written anew or was meant for us: `Proxy-*` talks to a proxy.
pub(crate) fn stays_here(name: &[u8]) -> bool {
    const NAMES: &[&str] =
        &["host", "expect", "content-length", "proxy-authenticate", "proxy-authorization"];
    NAMES.iter().any(|it| it.as_bytes().eq_ignore_ascii_case(name))
}

fn put_header(name: &[u8], value: &[u8], out: &mut BytesMut) {
    out.reserve(name.len() + value.len() + 4);
    out.put_slice(name);
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b"0123456789"[(number % 10) as usize];
        number /= 10;
        if number == 0 {
            return &digits[start..];
        }
    }
}

/// Returns the value of the only `Host` header. Without one it is empty, which says that the target
/// has no authority (RFC 9112 §3.2).
fn only<'a>(mut hosts: impl Iterator<Item = &'a [u8]>) -> Result<&'a [u8], Unsendable> {
    let host = hosts.next().unwrap_or(b"");
    if hosts.next().is_some() { Err(Unsendable::Host) } else { Ok(host.trim_ascii()) }
}

/// A request's target, with what an absolute URL says of the host.
struct Target<'a> {
    authority: Option<&'a [u8]>,
    path: &'a [u8],
    needs_slash: bool,
}

impl<'a> Target<'a> {
    fn of(raw: &'a [u8], method: &Method) -> Result<Target<'a>, Unsendable> {
        if raw.iter().any(|byte| *byte <= b' ' || *byte == 0x7f || *byte == b'#') {
            return Err(Unsendable::Target);
        }
        let is_options = method == Method::OPTIONS;
        if raw.first() == Some(&b'/') || (raw == b"*" && is_options) {
            return Ok(Target { authority: None, path: raw, needs_slash: false });
        }
        let starts = |scheme: &[u8]| {
            let start = raw.get(..scheme.len())?;
            start.eq_ignore_ascii_case(scheme).then(|| &raw[scheme.len()..])
        };
        let rest = starts(b"http://").or_else(|| starts(b"https://")).ok_or(Unsendable::Target)?;
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.is_empty() {
            return Err(Unsendable::Target);
        }
        // RFC 9112 §3.2.4: a URL without a path asks about the server as a whole.
        if path.is_empty() && is_options {
            return Ok(Target { authority: Some(authority), path: b"*", needs_slash: false });
        }
        let needs_slash = path.first() != Some(&b'/');
        Ok(Target { authority: Some(authority), path, needs_slash })
    }
}

/// Tells whether a value can be a host with an optional port. User information, paths and lists
/// are none, and several parsers disagree about them.
pub(crate) fn is_host(host: &[u8]) -> bool {
    host.iter().all(|byte| HOST[usize::from(*byte)])
}

const HOST: [bool; 256] = {
    let others = b".-_~:[]%!$&'()*+;=";
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128_u8 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};

fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| is_token(*byte))
}

pub(crate) fn is_value(value: &[u8]) -> bool {
    // No way out in between: many bytes are looked at in one step.
    let bad = |byte: u8| (byte < b' ') & (byte != b'\t') | (byte == 0x7f);
    !value.iter().fold(false, |found, byte| found | bad(*byte))
}

#[cfg(test)]
mod tests;
