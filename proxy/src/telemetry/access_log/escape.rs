//! Texts of clients in lines of a log: nothing that they send can end a line, or a value, early.

use std::io::Write as _;

/// How a value is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// A string of JSON.
    Json,
    /// As it is if it is plain, else a string of JSON.
    Plain,
    /// As Apache does between its quotes: without them, other bytes than plain ASCII as `\xNN`.
    Apache,
}

/// Appends a text.
///
/// UTF-8 comes through to the letter. Other bytes are written as `\xNN`, and a backslash in such a
/// text as two, so that it can be told from them.
pub(crate) fn text(bytes: &[u8], style: Style, out: &mut Vec<u8>) {
    match style {
        Style::Json => json(bytes, out),
        Style::Plain if is_plain(bytes) => out.extend_from_slice(bytes),
        Style::Plain => json(bytes, out),
        Style::Apache => apache(bytes, out),
    }
}

/// Tells whether a text can stand in a line without quotes. A hyphen alone stands for nothing.
fn is_plain(bytes: &[u8]) -> bool {
    let is_plain = |it: &u8| it.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;%".contains(it);
    !bytes.is_empty() && bytes != b"-" && bytes.iter().all(is_plain)
}

fn json(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    match std::str::from_utf8(bytes) {
        Ok(text) => quoted(text, out),
        Err(_) => quoted(&readable(bytes), out),
    }
    out.push(b'"');
}

/// Appends the inside of a string of JSON. The rest of the control characters, and what some readers
/// take for the end of a line, is escaped, too.
fn quoted(text: &str, out: &mut Vec<u8>) {
    let mut plain_from = 0;
    for (at, it) in text.char_indices() {
        let is_odd =
            it.is_control() || matches!(it, '"' | '\\' | '\u{2028}' | '\u{2029}' | '\u{feff}');
        if !is_odd {
            continue;
        }
        out.extend_from_slice(&text.as_bytes()[plain_from..at]);
        plain_from = at + it.len_utf8();
        // Writing to memory cannot fail.
        _ = match it {
            '"' => out.write_all(b"\\\""),
            '\\' => out.write_all(b"\\\\"),
            '\n' => out.write_all(b"\\n"),
            '\r' => out.write_all(b"\\r"),
            '\t' => out.write_all(b"\\t"),
            _ => write!(out, "\\u{:04x}", u32::from(it)),
        };
    }
    out.extend_from_slice(&text.as_bytes()[plain_from..]);
}

/// Returns bytes that are not UTF-8 as text.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

fn apache(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        _ = match byte {
            b'"' => out.write_all(b"\\\""),
            b'\\' => out.write_all(b"\\\\"),
            0x20..=0x7e => out.write_all(&[byte]),
            _ => write!(out, "\\x{byte:02x}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(bytes: &[u8], style: Style) -> String {
        let mut out = Vec::new();
        text(bytes, style, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// Reads a value back, knowing whether it was UTF-8.
    fn read(line: &str, was_text: bool) -> Vec<u8> {
        let text: String = serde_json::from_str(line).unwrap();
        if was_text { text.into_bytes() } else { unescape(text.as_bytes()) }
    }

    fn unescape(mut text: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some((&first, rest)) = text.split_first() {
            (bytes, text) = match (first, rest) {
                (b'\\', [b'x', high, low, rest @ ..]) => {
                    let digits = [*high, *low];
                    let digits = std::str::from_utf8(&digits).unwrap();
                    bytes.push(u8::from_str_radix(digits, 16).unwrap());
                    (bytes, rest)
                }
                (b'\\', [escaped, rest @ ..]) => {
                    bytes.push(*escaped);
                    (bytes, rest)
                }
                (plain, rest) => {
                    bytes.push(plain);
                    (bytes, rest)
                }
            };
        }
        bytes
    }

    #[test]
    fn what_a_client_sends_stays_within_its_value() {
        let check = |value: &[u8], style, expected: &str| {
            assert_eq!(written(value, style), expected);
        };
        check(b"a\"b\\c\nd\re\tf\0", Style::Json, r#""a\"b\\c\nd\re\tf\u0000""#);
        check("ä\u{85}\u{2028}".as_bytes(), Style::Json, r#""ä\u0085\u2028""#);
        check(b"\xff\\x\xfe", Style::Json, r#""\\xff\\\\x\\xfe""#);
        check(b"/a?b[]", Style::Plain, "/a?b[]");
        check(b"a b", Style::Plain, r#""a b""#);
        check(b"a=b", Style::Plain, r#""a=b""#);
        check(b"", Style::Plain, r#""""#);
        check(b"-", Style::Plain, r#""-""#);
        check("a\"\\\n\u{e4}".as_bytes(), Style::Apache, r#"a\"\\\x0a\xc3\xa4"#);
    }

    proptest! {
        #[test]
        fn every_value_is_read_back(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let was_text = std::str::from_utf8(&bytes).is_ok();
            let json = written(&bytes, Style::Json);
            prop_assert_eq!(&read(&json, was_text), &bytes);
            prop_assert!(!json.chars().any(char::is_control));
            let plain = written(&bytes, Style::Plain);
            if plain.starts_with('"') {
                prop_assert_eq!(&read(&plain, was_text), &bytes);
            } else {
                prop_assert_eq!(plain.as_bytes(), &bytes);
                prop_assert!(!plain.contains([' ', '=', '"']));
            }
            let apache = written(&bytes, Style::Apache);
            prop_assert_eq!(&unescape(apache.as_bytes()), &bytes);
            prop_assert!(apache.bytes().all(|it| matches!(it, 0x20..=0x7e)));
        }
    }
}
