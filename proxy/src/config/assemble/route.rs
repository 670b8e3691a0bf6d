//! Routes as the proxy runs them.

use std::collections::BTreeSet;

mod destination;

use http::{HeaderName, HeaderValue};

use crate::{
    config::{
        assemble::{limits::rate_limit, route::destination::destination},
        file::{
            Named,
            route::{HeaderEdits, Match, Rewrite, RewriteRegex, Route, RouteRetries, ValueMatch},
        },
        units::{
            Name,
            http::{Method, UrlPath},
            matching::{FieldValue, HostPattern, PathTemplate, Pattern},
            size::Size,
        },
    },
    model,
};

/// What routes refer to by name.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) listeners: &'a [model::Listener],
    pub(crate) pools: &'a [model::Pool],
}

impl Known<'_> {
    fn pool(&self, name: &Name) -> Option<model::PoolId> {
        self.pools.iter().position(|it| it.name == name.0).map(model::PoolId)
    }

    fn listener(&self, name: &Name) -> Option<usize> {
        self.listeners.iter().position(|it| it.name == name.0)
    }
}

/// Returns the routes. `None` if one refers to what does not exist.
pub(crate) fn routes(routes: Vec<Route>, known: Known<'_>) -> Option<Vec<model::Route>> {
    let mut names: BTreeSet<String> =
        routes.iter().filter_map(|route| route.name.as_ref().map(|it| it.0.clone())).collect();
    let named = |(index, mut it): (usize, Route)| {
        let name = match it.name.take() {
            Some(Name(name)) => name,
            None => unused_name(&mut names, index + 1),
        };
        route(name, it, known)
    };
    routes.into_iter().enumerate().map(named).collect()
}

fn route(name: String, mut route: Route, known: Known<'_>) -> Option<model::Route> {
    let destination = destination(&mut route, known)?;
    Some(model::Route {
        name,
        matches: matches(route.matches, known)?,
        rewrite: route.rewrite.and_then(rewrite),
        retries: retries(&route.retries, &destination, known),
        destination,
        rate_limit: route.rate_limit.map(rate_limit),
        timeout: route.timeout.0,
        mirror: match &route.mirror {
            Some(it) => Some(model::Mirror { pool: known.pool(&it.pool)?, share: it.percent.0 }),
            None => None,
        },
        max_body: route.max_body.map(|Size(it)| it as u64),
        request_headers: edits(route.headers.request)?,
        response_headers: edits(route.headers.response)?,
    })
}

fn rewrite(rewrite: Rewrite) -> Option<model::Rewrite> {
    let whole = |UrlPath(path)| model::Rewrite::Path(path);
    let prefix = |UrlPath(path)| model::Rewrite::StripPrefix(path);
    let regex = |RewriteRegex { pattern: Pattern(pattern), to: PathTemplate(template) }| {
        model::Rewrite::Pattern { pattern, template }
    };
    let simple = rewrite.path.map(whole).or(rewrite.strip_prefix.map(prefix));
    simple.or(rewrite.regex.map(regex))
}

/// Returns the pools' policies with what the route changes of them; none if that is nothing.
fn retries(
    changes: &RouteRetries,
    destination: &model::Destination,
    known: Known<'_>,
) -> Vec<(model::PoolId, model::RetryPolicy)> {
    let RouteRetries { max_attempts, statuses, per_try_timeout } = changes;
    if max_attempts.is_none() && statuses.is_none() && per_try_timeout.is_none() {
        return Vec::new();
    }
    let changed = |pool: model::PoolId| {
        let policy = known.pools[pool.0].retries.clone();
        let changed = model::RetryPolicy {
            max_attempts: max_attempts.unwrap_or(policy.max_attempts),
            statuses: statuses.clone().unwrap_or(policy.statuses),
            per_try_timeout: per_try_timeout.map_or(policy.per_try_timeout, |it| it.0),
            ..policy
        };
        (pool, changed)
    };
    destination.pools().map(changed).collect()
}

fn matches(matches: Match, known: Known<'_>) -> Option<model::Match> {
    let exact = |UrlPath(path)| model::PathMatch::Exact(path);
    let below = |UrlPath(path)| model::PathMatch::Prefix(path);
    let pattern = |Pattern(pattern)| model::PathMatch::Pattern(pattern);
    let path = matches.path.map(exact).or(matches.path_prefix.map(below));
    let headers = conditions(matches.headers)?.into_iter();
    Some(model::Match {
        hosts: matches.hosts.into_iter().map(|HostPattern(it)| it).collect(),
        path: path.or(matches.path_regex.map(pattern)),
        methods: matches.methods.into_iter().map(|Method(it)| it).collect(),
        headers: headers
            .map(|(name, it)| Some((header_name(&name)?, it)))
            .collect::<Option<_>>()?,
        query: conditions(matches.query)?,
        listeners: matches.listeners.iter().map(|it| known.listener(it)).collect::<Option<_>>()?,
    })
}

fn conditions(conditions: Option<Named<ValueMatch>>) -> Option<Vec<(String, model::ValueMatch)>> {
    let condition = |(Name(name), it): (Name, ValueMatch)| {
        let exact = it.exact.map(|FieldValue(it)| model::ValueMatch::Exact(it));
        let pattern = it.regex.map(|Pattern(it)| model::ValueMatch::Pattern(it));
        let present = it.present.map(model::ValueMatch::Present);
        Some((name, exact.or(pattern).or(present)?))
    };
    conditions.map_or_else(Vec::new, |it| it.0).into_iter().map(condition).collect()
}

fn edits(edits: HeaderEdits) -> Option<model::HeaderEdits> {
    let lines = |lines: Option<Named<FieldValue>>| {
        let line = |(name, value): &(Name, FieldValue)| {
            Some((header_name(&name.0)?, header_value(value)?))
        };
        lines.map_or_else(Vec::new, |it| it.0).iter().map(line).collect::<Option<Vec<_>>>()
    };
    Some(model::HeaderEdits {
        remove: edits.remove.iter().map(|it| header_name(&it.0)).collect::<Option<_>>()?,
        set: lines(edits.set)?,
        add: lines(edits.add)?,
    })
}

fn header_value(FieldValue(text): &FieldValue) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}

fn header_name(name: &str) -> Option<HeaderName> {
    HeaderName::from_bytes(name.as_bytes()).ok()
}

/// Returns `route-N`, lengthened until no route has that name, and takes it.
fn unused_name(names: &mut BTreeSet<String>, position: usize) -> String {
    let mut name = format!("route-{position}");
    while !names.insert(name.clone()) {
        name.push_str("-unnamed");
    }
    name
}
