//! An index of the routes: which of thousands can a request take at all?
//!
//! Looking at one route after the other takes longer the more there are. The index is made once for
//! each topology. Host and path of a request are looked up in tables, which yields the few routes whose
//! conditions on both hold; only those are asked for the rest of their conditions. What no table can
//! answer is asked one by one, as far as it comes before what has been found: patterns for paths, and
//! routes that share host and path.
//!
//! It decides nothing of its own: what was looked up is compared by the same functions as without an
//! index, and the first route of the file still wins. Neither allocates.

mod hosts;
mod paths;
mod table;

use std::{cell::LazyCell, collections::BTreeMap};

use crate::{
    model::{Match, PathMatch, Pattern, Route, Topology},
    routing::{
        self, RequestFacts, holds_otherwise,
        index::{
            hosts::{Hosts, Named},
            paths::{Paths, Place},
        },
        path,
    },
};

/// What looking up a route takes at most, in nanoseconds, by `make microbench`: where looking at half of
/// them takes no longer, they are looked at one by one.
const LOOKED_UP: usize = 75;

/// Returns about how long it takes to see that a route is not the one, in nanoseconds: as far as tables
/// spare it. What they cannot tell apart is looked at in any case.
fn cost(matches: &Match) -> usize {
    match &matches.path {
        // Its hosts are looked at only if its path fits.
        Some(PathMatch::Exact(_) | PathMatch::Prefix(_)) => 3 + 3 * matches.hosts.len(),
        None | Some(PathMatch::Pattern(_)) => 20 * matches.hosts.len(),
    }
}

/// Finds the route of a request in about the same time, however many there are.
#[derive(Debug)]
pub struct Index {
    /// `None` where it would not pay.
    hosts: Option<Hosts<Claims>>,
}

impl Index {
    /// Makes the index of a topology's routes.
    pub fn new(topology: &Topology) -> Self {
        let whole: usize = topology.routes.iter().map(|route| cost(&route.matches)).sum();
        Self { hosts: (LOOKED_UP < whole / 2).then(|| index(&topology.routes)) }
    }

    /// Returns what [`routing::route`] does. The topology must be the one that this was made of.
    pub fn route<'a>(
        &self,
        topology: &'a Topology,
        request: &RequestFacts<'_>,
    ) -> Option<(usize, &'a Route)> {
        match &self.hosts {
            None => routing::route(topology, request),
            Some(hosts) => {
                let number = first(hosts, &topology.routes, request)?;
                topology.routes.get(number).map(|route| (number, route))
            }
        }
    }
}

/// The routes for one host, for one domain, or for any host: indices, ascending.
#[derive(Debug)]
struct Claims {
    /// Those that name a path or a prefix.
    paths: Paths,
    /// Those for any path.
    any: Vec<usize>,
    /// Those for paths that fit a pattern.
    patterns: Vec<usize>,
}

/// The same while it is being collected.
#[derive(Default)]
struct Draft<'a> {
    paths: BTreeMap<&'a str, Place>,
    any: Vec<usize>,
    patterns: Vec<usize>,
}

impl<'a> Draft<'a> {
    fn add(&mut self, number: usize, matches: &'a Match) {
        match &matches.path {
            Some(PathMatch::Exact(exact)) => {
                self.paths.entry(exact).or_default().exact.push(number);
            }
            Some(PathMatch::Prefix(prefix)) => {
                self.paths.entry(prefix).or_default().below.push(number);
            }
            None => self.any.push(number),
            Some(PathMatch::Pattern(_)) => self.patterns.push(number),
        }
    }

    fn finish(self) -> Claims {
        Claims { paths: Paths::new(self.paths), any: self.any, patterns: self.patterns }
    }
}

fn index(routes: &[Route]) -> Hosts<Claims> {
    let mut any = Draft::default();
    let mut named: BTreeMap<Named, Draft<'_>> = BTreeMap::new();
    for (number, Route { matches, .. }) in routes.iter().enumerate() {
        if matches.hosts.is_empty() {
            any.add(number, matches);
        }
        // Twice the same name in other spellings changes nothing but the time that it takes.
        for host in &matches.hosts {
            named.entry(Named::by(host)).or_default().add(number, matches);
        }
    }
    Hosts::new(any.finish(), named.into_iter().map(|(host, draft)| (host, draft.finish())))
}

/// Returns the index of the first route whose conditions all hold.
fn first(hosts: &Hosts<Claims>, routes: &[Route], request: &RequestFacts<'_>) -> Option<usize> {
    let mut search = Search { routes, request, first: routes.len() };
    let found = hosts.find(request.host);
    for claims in found.all() {
        claims.paths.each(request.path, |numbers| search.ask(numbers));
        search.ask(&claims.any);
    }
    // Last and in the order of the file, because patterns take long: none is asked in vain that comes
    // after what is found.
    let climbs = LazyCell::new(|| path::climbs(request.path));
    let after = |number: usize| {
        let later =
            |it: &Claims| it.patterns.get(it.patterns.partition_point(|it| *it < number)).copied();
        found.all().filter_map(later).min()
    };
    let mut next = after(0);
    while let Some(number) = next.filter(|number| *number < search.first) {
        let matches = &routes[number].matches;
        let fits = |it: &Pattern| !*climbs && it.is_match(request.path);
        if holds_otherwise(matches, request)
            && matches!(&matches.path, Some(PathMatch::Pattern(pattern)) if fits(pattern))
        {
            return Some(number);
        }
        next = after(number + 1);
    }
    (search.first < routes.len()).then_some(search.first)
}

/// The first route found so far.
struct Search<'a> {
    routes: &'a [Route],
    request: &'a RequestFacts<'a>,
    first: usize,
}

impl Search<'_> {
    /// Asks those of `numbers` that come before what was found, and whose conditions on hosts and paths
    /// hold.
    fn ask(&mut self, numbers: &[usize]) {
        let earlier = numbers.iter().take_while(|&&number| number < self.first);
        let holds = |number: &usize| holds_otherwise(&self.routes[*number].matches, self.request);
        self.first = earlier.copied().find(holds).unwrap_or(self.first);
    }
}

#[cfg(test)]
mod tests;
