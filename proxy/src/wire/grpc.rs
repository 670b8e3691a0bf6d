//! gRPC over HTTP/2, as far as a proxy must know it: what a call looks like, how long it may take,
//! and how a status is said (grpc.io, `PROTOCOL-HTTP2.md` and `http-grpc-status-mapping.md`).

use std::{fmt::Write as _, time::Duration};

use http::{HeaderMap, header::CONTENT_TYPE};

/// The header, or trailer, that says how a call ended.
pub const STATUS: &str = "grpc-status";
/// What was wrong, for people.
pub const MESSAGE: &str = "grpc-message";
/// How long a call may take.
pub const TIMEOUT: &str = "grpc-timeout";

/// A call's end that says that nobody could serve it.
pub const UNAVAILABLE: u16 = 14;
/// The last of the statuses that gRPC names.
pub const STATUS_MAX: u16 = 16;

/// Tells whether the headers are those of a call or of its answer. gRPC-Web, which is framed
/// otherwise, is not meant.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
    let rest = kind.and_then(|kind| kind.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Reads a `grpc-timeout`: up to eight digits and a unit. `None` for anything else.
pub fn timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || 8 < digits.len() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// Reads a status; `None` where none is said that gRPC knows.
pub fn status(value: &[u8]) -> Option<u16> {
    let number = std::str::from_utf8(value).ok()?.trim().parse().ok()?;
    (number <= STATUS_MAX).then_some(number)
}

/// Returns the status that says in gRPC what an HTTP status of the proxy's own says.
pub fn status_of_http(status: u16) -> u16 {
    match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        // Who was too slow to ask, and who waited in vain.
        408 | 504 => 4,
        413 => 8,
        429 | 502 | 503 => UNAVAILABLE,
        _ => 2,
    }
}

/// Returns the HTTP status that says what a status of gRPC says, for those who count in HTTP.
pub fn http_of_status(status: u16) -> u16 {
    match status {
        0 => 200,
        1 => 499,
        3 | 9 | 11 => 400,
        4 => 504,
        5 | 12 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        14 => 503,
        16 => 401,
        _ => 500,
    }
}

/// Writes a message as gRPC wants it: what is neither visible nor a space, and `%`, in hexadecimal.
pub fn message(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | ..0x20 | 0x7f.. => _ = write!(written, "%{byte:02X}"),
            _ => written.push(char::from(byte)),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_call_is_known_by_its_content_type() {
        let check = |kind: &'static str, expected| {
            let kind = HeaderValue::from_static(kind);
            assert_eq!(is_grpc(&HeaderMap::from_iter([(CONTENT_TYPE, kind)])), expected);
        };
        check("application/grpc", true);
        check("application/grpc+proto", true);
        check("application/grpc;charset=x", true);
        check("application/grpc-web", false);
        check("application/json", false);
        assert!(!is_grpc(&HeaderMap::new()));
    }

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        let check = |value: &[u8], expected: Option<u64>| {
            assert_eq!(timeout(value), expected.map(Duration::from_nanos), "{value:?}");
        };
        check(b"1H", Some(3_600_000_000_000));
        check(b"2M", Some(120_000_000_000));
        check(b"3S", Some(3_000_000_000));
        check(b"100m", Some(100_000_000));
        check(b"5u", Some(5000));
        check(b"7n", Some(7));
        for bad in [&b""[..], b"S", b"1", b"1s", b"-1S", b"+1S", b"123456789S", b"1 S"] {
            check(bad, None);
        }
        assert!(timeout(b"99999999H").is_some());
    }

    #[test]
    fn own_errors_have_their_status() {
        let pairs = [(503, 14), (504, 4), (404, 12), (400, 13), (429, 14), (502, 14), (418, 2)];
        for (http, grpc) in pairs {
            assert_eq!(status_of_http(http), grpc, "{http}");
        }
        assert_eq!(status(b"14"), Some(14));
        assert_eq!(status(b"17"), None);
        assert_eq!(http_of_status(14), 503);
    }

    /// Reads a message as gRPC does.
    fn read(written: &str) -> Vec<u8> {
        let (mut bytes, mut rest) = (Vec::new(), written.as_bytes());
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            if *first == b'%' {
                let hex = std::str::from_utf8(&rest[..2]).unwrap();
                bytes.push(u8::from_str_radix(hex, 16).unwrap());
                rest = &rest[2..];
            } else {
                bytes.push(*first);
            }
        }
        bytes
    }

    proptest! {
        #[test]
        fn a_message_is_read_as_it_was_meant(text: String) {
            let written = message(&text);
            prop_assert!(written.bytes().all(|it| matches!(it, 0x20..=0x7e)));
            prop_assert_eq!(read(&written), text.as_bytes());
        }

        #[test]
        fn no_timeout_makes_the_reader_panic(value: Vec<u8>) {
            timeout(&value);
            status(&value);
        }
    }
}
