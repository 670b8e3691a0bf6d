use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::{prelude::*, sample::select};

use super::*;
use crate::model::{HostMatch, ValueMatch, sample};

const STAGE: HeaderName = HeaderName::from_static("x-stage");

fn topology(matches: Vec<Match>) -> Topology {
    let mut topology = sample::topology(vec![sample::pool("api", &[(0, 1)])]);
    topology.routes = matches.into_iter().map(|it| sample::route("r", it)).collect();
    topology
}

/// What a test says of a request.
#[derive(Clone, Debug)]
struct Sent {
    host: Option<String>,
    path: String,
    query: Option<String>,
    method: &'static str,
    stage: Option<&'static str>,
    listener: usize,
}

/// Asserts that the index, however few routes there are, finds what looking at one after the other finds.
fn check(topology: &Topology, sent: &Sent) -> Option<usize> {
    let mut headers = HeaderMap::new();
    if let Some(stage) = sent.stage {
        headers.insert(STAGE, HeaderValue::from_static(stage));
    }
    let request = RequestFacts {
        host: sent.host.as_deref(),
        path: &sent.path,
        query: sent.query.as_deref(),
        method: sent.method,
        headers: &headers,
        listener: sent.listener,
    };
    let plain = routing::route(topology, &request).map(|(number, _)| number);
    assert_eq!(first(&index(&topology.routes), &topology.routes, &request), plain, "{sent:?}");
    let chosen = Index::new(topology).route(topology, &request).map(|(number, _)| number);
    assert_eq!(chosen, plain, "{sent:?}");
    plain
}

fn hosts(names: &[&str]) -> Match {
    let host = |name: &&str| match name.strip_prefix("*.") {
        Some(domain) => HostMatch::Below(domain.to_owned()),
        None => HostMatch::Exact((*name).to_owned()),
    };
    Match { hosts: names.iter().map(host).collect(), ..Match::default() }
}

fn get(host: &str, path: &str) -> Sent {
    let (host, path) = (Some(host.to_owned()), path.to_owned());
    Sent { host, path, query: None, method: "GET", stage: None, listener: 0 }
}

#[test]
fn hosts_are_found_in_any_spelling_and_below_every_domain() {
    let topology = topology(vec![
        hosts(&["API.example.com:80", "::1"]),
        hosts(&["*.a.example.com"]),
        hosts(&["*.example.com", "[2001:db8::a]"]),
        hosts(&["b.example.com"]),
        hosts(&["*.com"]),
    ]);
    for (host, expected) in [
        ("api.Example.com.:8021", Some(0)),
        ("[0:0:0:0:0:0:0:1]:80", Some(0)),
        ("x.y.A.example.com", Some(1)),
        ("a.example.com", Some(2)),
        ("b.example.com", Some(2)),
        ("[2001:DB8::A]", Some(2)),
        ("example.com", Some(4)),
        ("x..example.com", None),
        ("user@x.a.example.com", None),
        ("com", None),
        ("", None),
    ] {
        assert_eq!(check(&topology, &get(host, "/")), expected, "{host}");
    }
}

#[test]
fn the_first_of_the_file_wins_over_one_that_says_more() {
    let path = |path| Match { path: Some(path), ..Match::default() };
    let prefix = |text: &str| path(PathMatch::Prefix(text.to_owned()));
    let topology = topology(vec![
        prefix("/v1/users"),
        path(PathMatch::Exact("/v1/users/7".to_owned())),
        path(PathMatch::Pattern(Pattern::new("/v[0-9]/x").unwrap())),
        prefix("/v1/"),
        prefix("/v2"),
        path(PathMatch::Exact("/v3/..".to_owned())),
        prefix("/"),
    ]);
    for (path, expected) in [
        ("/v1/users/7", Some(0)),
        ("/v1/users", Some(0)),
        ("/v1/usersx", Some(3)),
        ("/v1/x", Some(2)),
        ("/v1//", Some(3)),
        ("/v1", Some(6)),
        ("/v2", Some(4)),
        ("/v2/..", Some(6)),
        ("/v3/..", Some(5)),
        ("*", None),
        ("", None),
    ] {
        assert_eq!(check(&topology, &get("a", path)), expected, "{path}");
    }
}

#[test]
fn few_routes_are_looked_at_one_by_one() {
    let is_made = |matches: Vec<Match>| Index::new(&topology(matches)).hosts.is_some();
    let path = |number: usize| Match {
        path: Some(PathMatch::Prefix(format!("/{number}/"))),
        ..Match::default()
    };
    assert!(!is_made((0..16).map(path).collect()));
    assert!(is_made((0..100).map(path).collect()));
    // Names take longer to compare.
    assert!(!is_made((0..4).map(|_| hosts(&["example.com"])).collect()));
    assert!(is_made((0..16).map(|_| hosts(&["example.com"])).collect()));
    // No table tells patterns from each other, but for their hosts.
    let pattern = Some(PathMatch::Pattern(Pattern::new("/x").unwrap()));
    let pattern = Match { path: pattern, ..hosts(&[]) };
    assert!(!is_made(vec![pattern.clone(); 100]));
    assert!(is_made(vec![Match { path: pattern.path, ..hosts(&["example.com"]) }; 16]));
}

fn a_host() -> impl Strategy<Value = HostMatch> {
    let exact = "[ab]|[ab](\\.[ab]){1,2}|A\\.b:80|b\\.|::1|\\[::1\\]|0:0::1|";
    prop_oneof![
        exact.prop_map(HostMatch::Exact),
        "([abü]|user@a)?(\\.[ab]){0,2}".prop_map(HostMatch::Below),
    ]
}

fn a_path() -> impl Strategy<Value = PathMatch> {
    let patterns = ["/a/.*", "/[ab]", ".*b", "/ü*"].map(|it| Pattern::new(it).unwrap()).to_vec();
    prop_oneof![
        "(/[ab]{0,2}){1,3}|/ü".prop_map(PathMatch::Exact),
        "(/[ab]{0,2}){1,3}/?|/ü|/a/\\.\\.".prop_map(PathMatch::Prefix),
        select(patterns).prop_map(PathMatch::Pattern),
    ]
}

fn a_value() -> impl Strategy<Value = ValueMatch> {
    prop_oneof![
        "[ab]".prop_map(ValueMatch::Exact),
        any::<bool>().prop_map(ValueMatch::Present),
        Just(ValueMatch::Pattern(Pattern::new("a*").unwrap())),
    ]
}

fn a_match() -> impl Strategy<Value = Match> {
    let methods = prop::collection::vec(select(vec!["GET".to_owned(), "PUT".to_owned()]), 0..2);
    (
        prop::collection::vec(a_host(), 0..3),
        prop::option::of(a_path()),
        methods,
        prop::option::weighted(0.2, a_value()),
        prop::option::weighted(0.2, a_value()),
        prop::collection::vec(0_usize..2, 0..2),
    )
        .prop_map(|(hosts, path, methods, header, query, listeners)| Match {
            hosts,
            path,
            methods,
            headers: header.map(|it| (STAGE, it)).into_iter().collect(),
            query: query.map(|it| ("q".to_owned(), it)).into_iter().collect(),
            listeners,
        })
}

fn a_request() -> impl Strategy<Value = Sent> {
    let host = "([abAB]|ü|user@)?(\\.?[abAB]){0,3}\\.?(:80)?|\\[::1\\](:80)?|0::1|::ffff:1\\.a\\.b";
    let path = "(/([ab]{0,2}|ü|\\.\\.|%2e\\.)){1,4}|\\*|[ab]?/?";
    (
        prop::option::of(host),
        path,
        prop::option::of("q(=[ab])?|r"),
        select(vec!["GET", "PUT"]),
        prop::option::of(select(vec!["a", "b"])),
        0_usize..2,
    )
        .prop_map(|(host, path, query, method, stage, listener)| Sent {
            host,
            path,
            query,
            method,
            stage,
            listener,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn the_index_finds_what_looking_at_one_route_after_the_other_finds(
        matches in prop::collection::vec(a_match(), 0..24),
        requests in prop::collection::vec(a_request(), 1..24),
    ) {
        let topology = topology(matches);
        for request in &requests {
            check(&topology, request);
        }
    }
}
