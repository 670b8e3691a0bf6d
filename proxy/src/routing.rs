//! Routing: which route does this request take, and what path does its backend see?
//!
//! **Paths are compared as they were sent.** Nothing is decoded, resolved or merged, neither for
//! the comparison nor for what is sent on: the backend sees the bytes that the client wrote, so
//! the two cannot disagree about bytes. They can still disagree about *meaning*: a backend may
//! resolve `/v1/../admin` to `/admin`, and a prefix that was written to expose `/v1/` would have
//! exposed everything. Normalising first is the usual answer, and the usual source of holes,
//! because every server normalises differently (`%2e`, `%2f`, `\`, `..;`). So a prefix claims
//! less instead: a path with a segment that any server is known to read as `..` lies below no
//! prefix but `/`, above which there is nothing. Such a request takes a route that admits any
//! path, if there is one, and otherwise none. It fits no pattern either, whatever that says. Clients that resolve paths themselves, as browsers
//! and HTTP libraries do, never send one.

mod host;
mod index;
mod path;
mod redirect;
mod rewrite;
pub mod split;
mod value;

use http::HeaderMap;

use crate::model::{Match, Mirror, PathMatch, Route, Topology};

pub use index::Index;
pub use redirect::location;
pub use rewrite::rewrite;

/// What routing may know of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFacts<'a> {
    /// The `Host` header or `:authority`, as sent: any case, perhaps with a port, perhaps an IPv6
    /// address in brackets. `None` when absent.
    pub host: Option<&'a str>,
    /// As sent, without the query.
    pub path: &'a str,
    /// As sent, without the `?`. `None` when absent.
    pub query: Option<&'a str>,
    /// As sent: methods are case-sensitive.
    pub method: &'a str,
    /// As sent.
    pub headers: &'a HeaderMap,
    /// Index of the listener that it came in on.
    pub listener: usize,
}

/// Returns the first route whose conditions all hold, with its index in [`Topology::routes`]: the
/// plain way, which takes longer the more routes there are. [`Index::route`] finds the same.
pub fn route<'a>(topology: &'a Topology, request: &RequestFacts<'_>) -> Option<(usize, &'a Route)> {
    topology.routes.iter().enumerate().find(|(_, route)| holds(&route.matches, request))
}

/// Draws whether a request is among the sample that is also sent elsewhere.
pub fn is_mirrored(mirror: &Mirror, random: &mut fastrand::Rng) -> bool {
    random.f64() < mirror.share
}

fn holds(matches: &Match, request: &RequestFacts<'_>) -> bool {
    let is_named = || matches.hosts.iter().any(|wanted| host::is_match(wanted, request.host));
    let is_host = || matches.hosts.is_empty() || is_named();
    let is_path = || matches.path.as_ref().is_none_or(|it| path::is_match(it, request.path));
    if matches!(matches.path, Some(PathMatch::Pattern(_))) {
        // Which takes longer than all the rest.
        is_host() && holds_otherwise(matches, request) && is_path()
    } else {
        is_path() && is_host() && holds_otherwise(matches, request)
    }
}

/// Tells whether the conditions hold that are on neither the host nor the path.
fn holds_otherwise(matches: &Match, request: &RequestFacts<'_>) -> bool {
    let is_method = || matches.methods.iter().any(|method| method == request.method);
    let is_header = |(name, wanted): &(_, _)| value::is_header(name, wanted, request.headers);
    let is_query = |(name, wanted): &(String, _)| value::is_query(name, wanted, request.query);
    (matches.methods.is_empty() || is_method())
        && (matches.listeners.is_empty() || matches.listeners.contains(&request.listener))
        && matches.headers.iter().all(is_header)
        && matches.query.iter().all(is_query)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;
    use crate::model::{HostMatch, PoolId, ValueMatch, sample};

    fn topology(matches: Vec<Match>) -> Topology {
        let mut topology = sample::topology(vec![sample::pool("api", &[(0, 1)])]);
        topology.routes = matches.into_iter().map(|it| sample::route("r", it)).collect();
        topology
    }

    fn prefix(prefix: &str) -> Match {
        Match { path: Some(PathMatch::Prefix(prefix.to_owned())), ..Match::default() }
    }

    fn host(name: &str) -> HostMatch {
        HostMatch::Exact(name.to_owned())
    }

    fn facts<'a>(path: &'a str, headers: &'a HeaderMap) -> RequestFacts<'a> {
        RequestFacts { host: None, path, query: None, method: "GET", headers, listener: 0 }
    }

    fn check(topology: &Topology, host: &str, method: &str, path: &str, expected: Option<usize>) {
        let headers = HeaderMap::new();
        let request = RequestFacts { host: Some(host), method, ..facts(path, &headers) };
        let found = route(topology, &request).map(|(index, _)| index);
        assert_eq!(found, expected, "{method} {host} {path}");
    }

    #[test]
    fn the_first_match_wins() {
        let topology = topology(vec![prefix("/v1/"), prefix("/v1/users/"), Match::default()]);
        check(&topology, "a", "GET", "/v1/users/7", Some(0));
        check(&topology, "a", "GET", "/v2", Some(2));
    }

    #[test]
    fn all_conditions_of_a_route_must_hold() {
        let topology = topology(vec![Match {
            hosts: ["api.example.com", "localhost"].map(host).to_vec(),
            path: Some(PathMatch::Exact("/data".to_owned())),
            methods: vec!["GET".to_owned(), "POST".to_owned()],
            ..Match::default()
        }]);
        check(&topology, "api.example.com", "GET", "/data", Some(0));
        check(&topology, "LocalHost:8021", "POST", "/data", Some(0));
        check(&topology, "example.com", "GET", "/data", None);
        check(&topology, "localhost", "get", "/data", None);
        check(&topology, "localhost", "GET", "/data/", None);
    }

    #[test]
    fn without_a_host_only_routes_for_any_host_match() {
        let hosts = vec![host("localhost")];
        let topology =
            topology(vec![Match { hosts, ..Match::default() }, Match { ..Match::default() }]);
        let headers = HeaderMap::new();
        let found = route(&topology, &facts("/", &headers));
        assert_eq!(found.map(|(index, _)| index), Some(1));
    }

    #[test]
    fn headers_query_and_listener_are_conditions_like_any() {
        let stage = HeaderName::from_static("x-stage");
        let topology = topology(vec![
            Match {
                headers: vec![(stage.clone(), ValueMatch::Exact("beta".to_owned()))],
                query: vec![("debug".to_owned(), ValueMatch::Present(true))],
                ..Match::default()
            },
            Match { listeners: vec![1], ..Match::default() },
            Match::default(),
        ]);
        let (none, mut beta) = (HeaderMap::new(), HeaderMap::new());
        beta.insert(stage, HeaderValue::from_static("beta"));
        for (headers, query, listener, expected) in [
            (&beta, Some("debug"), 1, 0),
            (&beta, None, 0, 2),
            (&none, Some("debug"), 1, 1),
            (&none, Some("debug"), 0, 2),
        ] {
            let request = RequestFacts { query, listener, ..facts("/", headers) };
            let found = route(&topology, &request).map(|(index, _)| index);
            assert_eq!(found, Some(expected), "{request:?}");
        }
    }

    #[test]
    fn a_sample_is_as_large_as_asked() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut count = |share| {
            let mirror = Mirror { pool: PoolId(0), share };
            (0..10_000).filter(|_| is_mirrored(&mirror, &mut random)).count()
        };
        assert_eq!((count(0.0), count(1.0)), (0, 10_000));
        assert!((900..1100).contains(&count(0.1)));
    }

    #[test]
    fn a_path_that_climbs_is_left_to_routes_for_any_path() {
        let topology = topology(vec![prefix("/v1/"), Match::default()]);
        check(&topology, "a", "GET", "/v1/../admin", Some(1));
    }

    proptest! {
        #[test]
        fn no_route_before_the_chosen_one_matches_alone(
            prefixes in prop::collection::vec("(/[ab]{0,2}){1,2}", 1..5),
            path in "(/[ab]{0,2}){1,4}",
        ) {
            let all = topology(prefixes.iter().map(|it| prefix(it)).collect());
            let headers = HeaderMap::new();
            let request = facts(&path, &headers);
            let chosen = route(&all, &request).map(|(index, _)| index);
            let alone = prefixes.iter().position(|it| {
                route(&topology(vec![prefix(it)]), &request).is_some()
            });
            prop_assert_eq!(chosen, alone);
        }
    }
}
