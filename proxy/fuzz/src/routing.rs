//! Routing: the same route as the plainest reading of the conditions finds.

use bascule::{
    model::{HostMatch, Match, PathMatch, Route, ValueMatch},
    routing::{Index, RequestFacts, rewrite, route},
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::sample::TOPOLOGY;

/// Lines: `r` begins a route, `h`, `w`, `e`, `p`, `m`, `v`, `V`, `q`, `l` are conditions of the last,
/// `H`, `P`, `M`, `X`, `L` what the request says.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut matches: Vec<Match> = Vec::new();
    let (mut host, mut target, mut method) = (None, "/", "GET");
    let (mut headers, mut listener) = (HeaderMap::new(), 0);
    let name = HeaderName::from_static("x-v");
    for line in text.lines().take(64) {
        let Some(kind) = line.chars().next() else { continue };
        let value = &line[kind.len_utf8()..];
        match kind {
            'r' => matches.push(Match::default()),
            'H' => host = Some(value),
            'P' if value.starts_with('/') => target = value,
            'M' => method = value,
            'L' => listener = value.len(),
            'X' => {
                let Ok(value) = HeaderValue::from_str(value) else { continue };
                headers.append(name.clone(), value);
            }
            _ => {
                let Some(last) = matches.last_mut() else { continue };
                condition(last, kind, value, &name);
            }
        }
    }
    let mut topology = TOPOLOGY.clone();
    let sample: Route = topology.routes[0].clone();
    let of = |matches: &Match| Route { matches: matches.clone(), ..sample.clone() };
    topology.routes = matches.iter().map(of).collect();
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let facts = RequestFacts { host, path, query, method, headers: &headers, listener };
    let found = route(&topology, &facts).map(|(index, _)| index);
    let expected = matches.iter().position(|it| holds(it, &facts));
    assert_eq!(found, expected, "{facts:?}");
    let indexed = Index::new(&topology).route(&topology, &facts).map(|(index, _)| index);
    assert_eq!(indexed, expected, "by the index: {facts:?}");
    if let Some(PathMatch::Prefix(prefix)) = found.and_then(|it| matches[it].path.as_ref()) {
        let rewritten = rewrite(target, &bascule::model::Rewrite::StripPrefix(prefix.clone()));
        assert!(rewritten.starts_with('/') && !rewritten.starts_with("//"), "{rewritten}");
        assert!(target.ends_with(rewritten.trim_start_matches('/')), "what is left is as it was");
    }
}

fn condition(matches: &mut Match, kind: char, value: &str, name: &HeaderName) {
    let value = value.to_owned();
    match kind {
        'h' => matches.hosts.push(HostMatch::Exact(value.to_ascii_lowercase())),
        'w' => matches.hosts.push(HostMatch::Below(value.to_ascii_lowercase())),
        'e' if value.starts_with('/') => matches.path = Some(PathMatch::Exact(value)),
        'p' if value.starts_with('/') => matches.path = Some(PathMatch::Prefix(value)),
        'm' => matches.methods.push(value),
        'v' => matches.headers.push((name.clone(), ValueMatch::Exact(value))),
        'V' => matches.headers.push((name.clone(), ValueMatch::Present(value.is_empty()))),
        'q' => {
            let (name, wanted) = match value.split_once('=') {
                Some((name, value)) => (name, ValueMatch::Exact(value.to_owned())),
                None => (value.as_str(), ValueMatch::Present(true)),
            };
            matches.query.push((name.to_owned(), wanted));
        }
        'l' => matches.listeners.push(value.len()),
        _ => {}
    }
}

fn holds(it: &Match, facts: &RequestFacts<'_>) -> bool {
    let sent = facts.host.map(plain_host).unwrap_or_default();
    let is_host = it.hosts.is_empty() || it.hosts.iter().any(|wanted| is_host(wanted, &sent));
    let is_path = match &it.path {
        None => true,
        Some(PathMatch::Exact(exact)) => exact == facts.path,
        Some(PathMatch::Prefix(prefix)) => {
            let whole = format!("{}/", prefix.trim_end_matches('/'));
            let is_below = if prefix.ends_with('/') {
                facts.path.starts_with(prefix.as_str())
            } else {
                facts.path == prefix || facts.path.starts_with(&whole)
            };
            let rest = facts.path.get(prefix.len()..).unwrap_or_default();
            is_below && (prefix == "/" || !climbs(rest))
        }
        Some(PathMatch::Pattern(_)) => unreachable!("none is made"),
    };
    let values: Vec<&[u8]> = facts.headers.get_all("x-v").iter().map(|it| it.as_bytes()).collect();
    let is_headers = it.headers.iter().all(|(_, wanted)| is_value(wanted, &values));
    let parameters: Vec<(&str, &str)> = facts
        .query
        .map(|query| {
            query
                .split('&')
                .filter(|it| !it.is_empty())
                .filter(|it| !it.is_empty())
                .map(|it| it.split_once('=').unwrap_or((it, "")))
                .collect()
        })
        .unwrap_or_default();
    let is_query = it.query.iter().all(|(name, wanted)| {
        let values = parameters.iter().filter(|it| it.0 == name).map(|it| it.1.as_bytes());
        is_value(wanted, &values.collect::<Vec<_>>())
    });
    let is_method = it.methods.is_empty() || it.methods.iter().any(|it| it == facts.method);
    let is_listener = it.listeners.is_empty() || it.listeners.contains(&facts.listener);
    is_host && is_path && is_headers && is_query && is_method && is_listener
}

fn is_value(wanted: &ValueMatch, values: &[&[u8]]) -> bool {
    match wanted {
        ValueMatch::Exact(exact) => values.contains(&exact.as_bytes()),
        ValueMatch::Present(is_wanted) => values.is_empty() != *is_wanted,
        ValueMatch::Pattern(_) => unreachable!("none is made"),
    }
}

fn is_host(wanted: &HostMatch, sent: &str) -> bool {
    if sent.is_empty() {
        return false;
    }
    match wanted {
        HostMatch::Exact(name) => {
            let name = plain_host(name);
            let address = |it: &str| it.parse::<std::net::Ipv6Addr>().ok();
            name == sent || address(&name).is_some_and(|it| Some(it) == address(sent))
        }
        HostMatch::Below(domain) => {
            let letters = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
            sent.strip_suffix(domain.as_str())
                .and_then(|it| it.strip_suffix('.'))
                .is_some_and(|it| it.split('.').all(|it| !it.is_empty() && it.chars().all(letters)))
        }
    }
}

/// A host's name in lower case, without port, brackets and the root's dot.
fn plain_host(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    if let Some((inner, _)) = host.strip_prefix('[').and_then(|it| it.split_once(']')) {
        return inner.to_owned();
    }
    match host.matches(':').count() {
        0 => host.strip_suffix('.').unwrap_or(&host).to_owned(),
        1 => {
            let name = host.split(':').next().unwrap_or_default();
            name.strip_suffix('.').unwrap_or(name).to_owned()
        }
        _ => host,
    }
}

/// Decodes first and looks then, unlike the one that is tested.
fn climbs(path: &str) -> bool {
    let bytes = path.as_bytes();
    let (mut decoded, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).filter(|it| it.iter().all(u8::is_ascii_hexdigit));
        match digits.filter(|_| bytes[at] == b'%') {
            Some(digits) => {
                let digits = std::str::from_utf8(digits).expect("ASCII");
                decoded.push(u8::from_str_radix(digits, 16).expect("hexadecimal"));
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    let mut segments = decoded.split(|it| matches!(it, b'/' | b'\\'));
    segments.any(|it| it.split(|it| *it == b';').next() == Some(b".."))
}
