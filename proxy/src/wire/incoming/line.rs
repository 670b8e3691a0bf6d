//! Single lines of a head.

use crate::wire::{
    incoming::{Limits, Refusal, target},
    is_token,
    request::is_value,
};

/// What the first line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestLine<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) is_http10: bool,
    /// Whom the target names, if it is a URL.
    pub(crate) authority: Option<&'a [u8]>,
}

/// Reads `METHOD target HTTP/1.1`: three parts with one space between (RFC 9112 §3).
pub(crate) fn request_line<'a>(
    line: &'a [u8],
    limits: &Limits,
) -> Result<RequestLine<'a>, Refusal> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::RequestLine);
    };
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        return Err(Refusal::RequestLine);
    }
    let is_http10 = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(Refusal::Version);
        }
        _ => return Err(Refusal::RequestLine),
    };
    if method == b"CONNECT" {
        return Err(Refusal::Tunnel);
    }
    if limits.target < target.len() {
        return Err(Refusal::TargetTooLong);
    }
    let authority = target::check(target, method)?;
    Ok(RequestLine { method, is_http10, authority })
}

/// Reads `Name: value`; the value comes without the white space around it (RFC 9112 §5).
pub(crate) fn header(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Refusal::Folded);
    }
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Refusal::HeaderName)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return Err(Refusal::HeaderName);
    }
    if !is_value(value) {
        return Err(Refusal::HeaderValue);
    }
    Ok((name, trim(value)))
}

/// Removes spaces and tabs at both ends.
pub(crate) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
