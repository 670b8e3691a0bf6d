//! Can each route be reached, or does an earlier one take all its requests?

use crate::{
    config::{
        file::{
            File, Named,
            route::{Match, Route, ValueMatch},
        },
        path::Path,
        problem::Code,
        units::{Name, http::UrlPath, matching::HostPattern},
        validate::{Review, routes::is_below},
    },
    model::HostMatch,
};

pub(crate) fn review(file: &File, routes: &Path, review: &mut Review<'_>) {
    let intact: Vec<(usize, &Route)> = file
        .routes
        .iter()
        .enumerate()
        .filter(|(index, _)| is_intact(&routes.item(*index).key("match"), review))
        .collect();
    for (position, (index, route)) in intact.iter().enumerate() {
        let mut earlier = intact.iter().take(position);
        let covering = earlier.find(|(_, earlier)| covers(&earlier.matches, &route.matches));
        let Some((other, earlier)) = covering else { continue };
        let earlier = match &earlier.name {
            Some(name) => format!("`{}`", name.0),
            None => review.whereabouts(&routes.item(*other), &routes.item(*index)),
        };
        review.report(
            Code::UnreachableRoute,
            &routes.item(*index),
            format!(
                "the route never matches: the route {earlier} before it takes all its requests"
            ),
            "move it above that one, or remove it",
        );
    }
}

/// Returns whether a route's conditions are those that were meant.
fn is_intact(matches: &Path, review: &Review<'_>) -> bool {
    let keys =
        ["hosts", "path", "path_prefix", "path_regex", "methods", "headers", "query", "listeners"];
    keys.iter().all(|key| review.is_whole(&matches.key(key)))
}

/// Returns whether every request that `later` matches is matched by `earlier`.
fn covers(earlier: &Match, later: &Match) -> bool {
    let is_host_covered =
        |later: &HostPattern| earlier.hosts.iter().any(|it| covers_host(&it.0, &later.0));
    let hosts = earlier.hosts.is_empty()
        || (!later.hosts.is_empty() && later.hosts.iter().all(is_host_covered));
    hosts
        && covers_list(&earlier.methods, &later.methods)
        && covers_list(&earlier.listeners, &later.listeners)
        && covers_path(earlier, later)
        && covers_values(
            earlier.headers.as_ref(),
            later.headers.as_ref(),
            str::eq_ignore_ascii_case,
        )
        && covers_values(earlier.query.as_ref(), later.query.as_ref(), |a, b| a == b)
}

/// Returns whether each of `later` is among `earlier`. An empty list means any.
fn covers_list<T: PartialEq>(earlier: &[T], later: &[T]) -> bool {
    earlier.is_empty() || (!later.is_empty() && later.iter().all(|it| earlier.contains(it)))
}

fn covers_host(earlier: &HostMatch, later: &HostMatch) -> bool {
    let is_below = |host: &str, domain: &str| {
        host.strip_suffix(domain).is_some_and(|labels| labels.ends_with('.'))
    };
    match (earlier, later) {
        (HostMatch::Exact(_), _) => earlier == later,
        (HostMatch::Below(domain), HostMatch::Exact(host)) => is_below(host, domain),
        (HostMatch::Below(domain), HostMatch::Below(other)) => {
            other == domain || is_below(other, domain)
        }
    }
}

fn covers_path(earlier: &Match, later: &Match) -> bool {
    let is_regex_alone = later.path.is_none() && later.path_prefix.is_none();
    match (&earlier.path, &earlier.path_prefix, &earlier.path_regex) {
        (None, None, None) => true,
        (Some(path), None, None) => {
            later.path.as_ref() == Some(path) && later.path_prefix.is_none()
        }
        (None, Some(UrlPath(prefix)), None) => {
            let later = later.path.as_ref().or(later.path_prefix.as_ref());
            later.is_some_and(|it| is_below(prefix, &it.0))
        }
        (None, None, Some(pattern)) => later.path_regex.as_ref() == Some(pattern) && is_regex_alone,
        (_, _, _) => false,
    }
}

/// Returns whether each condition of `earlier` is one of `later`. Whether one implies another that
/// is written differently is not looked into.
fn covers_values(
    earlier: Option<&Named<ValueMatch>>,
    later: Option<&Named<ValueMatch>>,
    is_name: impl Fn(&str, &str) -> bool,
) -> bool {
    let later = later.map_or(&[][..], |it| &it.0);
    let is_among = |(name, condition): &(Name, ValueMatch)| {
        later.iter().any(|(other, it)| is_name(&name.0, &other.0) && it == condition)
    };
    earlier.is_none_or(|it| it.0.iter().all(is_among))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::units::{leaf::Leaf as _, matching::Pattern};

    /// Reads `prefix:/a`, `host:a`, `header:name`, which must be present, …, separated by spaces.
    fn matches(text: &str) -> Match {
        let mut matches = Match::default();
        for (kind, value) in text.split_whitespace().map(|it| it.split_once(':').unwrap()) {
            let value = value.to_owned();
            match kind {
                "prefix" => matches.path_prefix = Some(UrlPath(value)),
                "path" => matches.path = Some(UrlPath(value)),
                "regex" => matches.path_regex = Some(Pattern::parse(&value).unwrap()),
                "host" => matches.hosts.push(HostPattern::parse(&value).unwrap()),
                "listener" => matches.listeners.push(Name(value)),
                "header" => push(&mut matches.headers, value),
                "query" => push(&mut matches.query, value),
                "method" => matches.methods.push(crate::config::units::http::Method(value)),
                _ => panic!("{kind}"),
            }
        }
        matches
    }

    fn push(conditions: &mut Option<Named<ValueMatch>>, name: String) {
        let present = ValueMatch { present: Some(true), ..ValueMatch::default() };
        conditions.get_or_insert_with(|| Named(Vec::new())).0.push((Name(name), present));
    }

    #[test]
    fn a_route_covers_another_when_each_of_its_conditions_is_wider() {
        for (earlier, later, expected) in [
            ("", "prefix:/v1 host:a method:GET", true),
            ("", "", true),
            ("host:a", "", false),
            ("host:a", "host:a host:b", false),
            ("host:a host:b", "host:b prefix:/x", true),
            ("method:GET", "method:GET path:/x", true),
            ("method:GET", "method:POST", false),
            ("prefix:/v1", "prefix:/v1/x", true),
            ("prefix:/v1/x", "prefix:/v1", false),
            ("prefix:/v1", "path:/v1/x", true),
            ("prefix:/v1", "", false),
            ("path:/v1", "path:/v1", true),
            ("path:/v1", "prefix:/v1", false),
            ("prefix:/v1 method:GET", "prefix:/v1", false),
            ("host:*.a.b", "host:x.a.b host:*.a.b host:*.c.a.b", true),
            ("host:*.a.b", "host:a.b", false),
            ("host:*.a.b", "host:xa.b", false),
            ("host:*.a.b", "host:*.b", false),
            ("host:x.a.b", "host:*.a.b", false),
            ("regex:/v.*", "regex:/v.*", true),
            ("regex:/v.*", "prefix:/v1", false),
            ("prefix:/v", "regex:/v/.*", false),
            ("listener:a", "listener:a", true),
            ("listener:a", "", false),
            ("header:X-A", "header:x-a header:b", true),
            ("header:x-a", "header:b", false),
            ("query:a", "query:a host:a", true),
            ("query:a", "query:A", false),
            ("", "header:a query:b listener:c regex:/", true),
        ] {
            let found = covers(&matches(earlier), &matches(later));
            assert_eq!(found, expected, "`{earlier}` over `{later}`");
        }
    }
}
