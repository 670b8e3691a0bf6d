//! Targets and hosts, to the letter of their grammars.

use crate::wire::{incoming::Refusal, request::is_host};

/// Checks a target (RFC 9112 §3.2) for a request of this method. Returns the authority that it names,
/// if it is a URL.
pub(crate) fn check<'a>(target: &'a [u8], method: &[u8]) -> Result<Option<&'a [u8]>, Refusal> {
    // Spaces end a target and `#` is for the client alone; bytes beyond ASCII and controls must be
    // percent-encoded (RFC 3986 §2), and are read in different ways where they are not.
    if target.is_empty() || !target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#') {
        return Err(Refusal::Target);
    }
    if target[0] == b'/' || (target == b"*" && method == b"OPTIONS") {
        return Ok(None);
    }
    let rest = after(target, b"http://").or_else(|| after(target, b"https://"));
    let authority = rest.map(|rest| {
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?'));
        &rest[..end.unwrap_or(rest.len())]
    });
    match authority {
        Some(authority) if !authority.is_empty() && is_authority(authority) => Ok(Some(authority)),
        Some(_) | None => Err(Refusal::Target),
    }
}

fn after<'a>(target: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = target.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Tells whether a value is a host with an optional port, or nothing: a target without an authority
/// has an empty `Host` (RFC 9112 §3.2).
pub(crate) fn is_authority(value: &[u8]) -> bool {
    let (host, port) = match value.iter().position(|byte| *byte == b']') {
        Some(end) if value[0] == b'[' => {
            let address = std::str::from_utf8(&value[1..end]).ok();
            if address.is_none_or(|it| it.parse::<std::net::Ipv6Addr>().is_err()) {
                return false;
            }
            let rest = &value[end + 1..];
            (&value[..=end], rest.strip_prefix(b":").or(rest.is_empty().then_some(rest)))
        }
        Some(_) => return false,
        None => match value.iter().position(|byte| *byte == b':') {
            Some(colon) => (&value[..colon], Some(&value[colon + 1..])),
            None => (value, Some(&value[value.len()..])),
        },
    };
    let Some(port) = port else { return false };
    let is_port = port.len() <= 5
        && port.iter().all(u8::is_ascii_digit)
        && port.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')) <= 0xffff;
    let is_named = !host.is_empty() || value.is_empty();
    is_port && is_named && is_host(host) && !host.contains(&b'*') && are_escapes_whole(host)
}

/// Tells whether two hexadecimal digits follow every percent sign.
fn are_escapes_whole(host: &[u8]) -> bool {
    host.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(at, _)| {
        host.get(at + 1..at + 3).is_some_and(|it| it.iter().all(u8::is_ascii_hexdigit))
    })
}
