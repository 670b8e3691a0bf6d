//! Messages in the words of the cases: what is compared, and how it is shown.

use crate::{
    message::Message,
    script::{Expected, Part},
};

/// What the proxy adds to every request. Compared if a case names it.
const ADDED_TO_REQUESTS: &[&str] = &[
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "forwarded",
    "via",
    "x-request-id",
];
/// What it adds to every response; of `Connection`, only `keep-alive`.
const ADDED_TO_RESPONSES: &[&str] = &["via", "x-request-id", "date", "proxy-status"];

/// Tells whether what came is what was expected. If not, returns it as it should have been written.
pub(crate) fn compare(expected: &Expected, seen: &Message) -> Result<(), Vec<u8>> {
    let Expected::Message { head, body, trailers, part } = expected else {
        return Err(show(seen));
    };
    let names = |name: &str| {
        let head = head.to_ascii_lowercase();
        head.split(|it| *it == b'\n').any(|line| line.starts_with(format!("{name}:").as_bytes()))
    };
    let is_response = seen.start.starts_with(b"HTTP/");
    let added = if is_response { ADDED_TO_RESPONSES } else { ADDED_TO_REQUESTS };
    let is_added = |(name, value): &(Vec<u8>, Vec<u8>)| {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let is_kept = is_response && name == "connection" && value == b"keep-alive";
        (is_kept || added.contains(&name.as_str())) && !names(&name)
    };
    let mut lines = vec![seen.start.clone()];
    for field in seen.fields.iter().filter(|it| !is_added(it)) {
        lines.push(line(field));
    }
    let is_head = same_lines(head, &lines);
    let is_body = *part == Part::Head || *body == seen.body;
    let is_end = same_lines(trailers, &seen.trailers.iter().map(line).collect::<Vec<_>>());
    if is_head && is_body && is_end { Ok(()) } else { Err(show(seen)) }
}

/// An expected request as a backend gets it that speaks HTTP/2.
pub(crate) fn in_http2(expected: &Expected) -> Vec<u8> {
    let Expected::Message { head, body, .. } = expected else { return expected_bytes(expected) };
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n").filter(|it| !it.is_empty());
    let words: Vec<&str> = lines.next().unwrap_or("").split(' ').collect();
    let (mut host, mut rest) = (String::new(), String::new());
    for line in lines {
        match line.strip_prefix("Host: ") {
            Some(name) => host = name.to_owned(),
            None => rest += &format!("{}\r\n", lower_name(line)),
        }
    }
    let (method, path) = (words[0], words.get(1).unwrap_or(&""));
    let start =
        format!(":method: {method}\r\n:scheme: http\r\n:authority: {host}\r\n:path: {path}\r\n");
    [start.as_bytes(), rest.as_bytes(), b"\r\n", body].concat()
}

/// The same text without the lines that the proxy adds, unless `wanted` has some of that name.
pub(crate) fn without_added(text: &[u8], wanted: &[u8]) -> Vec<u8> {
    let end = crate::message::find(text, b"\r\n\r\n").map_or(text.len(), |it| it + 2);
    let is_named = |name: &[u8]| {
        let line = [b"\n", name, b":"].concat();
        crate::message::find(wanted, &line).is_some()
    };
    let kept = text[..end].split_inclusive(|it| *it == b'\n').filter(|line| {
        let name = line.split(|it| *it == b':').next().unwrap_or(b"");
        !ADDED_TO_REQUESTS.iter().any(|it| it.as_bytes() == name) || is_named(name)
    });
    let kept: Vec<u8> = kept.flatten().copied().collect();
    [kept.as_slice(), &text[end..]].concat()
}

fn lower_name(line: &str) -> String {
    match line.split_once(':') {
        Some((name, value)) => format!("{}:{value}", name.to_ascii_lowercase()),
        None => line.to_owned(),
    }
}

/// An expected message as bytes, for the report.
pub(crate) fn expected_bytes(expected: &Expected) -> Vec<u8> {
    match expected {
        Expected::Bytes(bytes) => bytes.clone(),
        Expected::Message { head, body, trailers, part } => {
            let end = match part {
                Part::Whole | Part::Head => b"".as_slice(),
                Part::Broken => b" (broken off)",
            };
            [head.as_slice(), b"\r\n", body, trailers, end].concat()
        }
    }
}

fn line((name, value): &(Vec<u8>, Vec<u8>)) -> Vec<u8> {
    [name.as_slice(), if value.is_empty() { b":" } else { b": " }, value].concat()
}

fn same_lines(expected: &[u8], seen: &[Vec<u8>]) -> bool {
    let text = expected.strip_suffix(b"\r\n").unwrap_or(expected);
    let expected: Vec<&[u8]> = match text {
        [] => Vec::new(),
        _ => text.split(|it| *it == b'\n').map(|it| it.strip_suffix(b"\r").unwrap_or(it)).collect(),
    };
    let is_same = |expected: &[u8], seen: &[u8]| match expected.strip_suffix(b": *") {
        Some(name) => seen.starts_with(&[name, b": "].concat()),
        None => expected == seen || expected.trim_ascii_end() == seen,
    };
    expected.len() == seen.len() && expected.iter().zip(seen).all(|(a, b)| is_same(a, b))
}

/// Everything of a message, so that a report hides nothing.
pub(crate) fn show(seen: &Message) -> Vec<u8> {
    let mut text = [seen.start.as_slice(), b"\r\n"].concat();
    for field in &seen.fields {
        text.extend([line(field), b"\r\n".to_vec()].concat());
    }
    text.extend([b"\r\n", seen.body.as_slice()].concat());
    for field in &seen.trailers {
        text.extend([line(field), b"\r\n".to_vec()].concat());
    }
    text
}
