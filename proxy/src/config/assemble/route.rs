//! Routes as the proxy runs them.

use std::collections::BTreeSet;

use crate::{
    config::{
        file::route::Route,
        units::{
            Name,
            http::{Host, Method, UrlPath},
        },
    },
    model,
};

/// Returns the routes, whose pools are at these places. `None` if one does not exist.
pub(crate) fn routes(routes: Vec<Route>, pools: &[Name]) -> Option<Vec<model::Route>> {
    let mut names: BTreeSet<String> =
        routes.iter().filter_map(|route| route.name.as_ref().map(|it| it.0.clone())).collect();
    routes
        .into_iter()
        .enumerate()
        .map(|(index, route)| {
            let name = match route.name {
                Some(Name(name)) => name,
                None => unused_name(&mut names, index + 1),
            };
            let target = match route.pool {
                Some(pool) => {
                    model::Target::Pool(model::PoolId(pools.iter().position(|it| *it == pool)?))
                }
                None => model::Target::Sidecar,
            };
            let whole = |UrlPath(path)| model::Rewrite::Path(path);
            let prefix = |UrlPath(path)| model::Rewrite::StripPrefix(path);
            let rewrite =
                route.rewrite.and_then(|it| it.path.map(whole).or(it.strip_prefix.map(prefix)));
            let exact = |UrlPath(path)| model::PathMatch::Exact(path);
            let below = |UrlPath(path)| model::PathMatch::Prefix(path);
            let matches = model::Match {
                hosts: route.matches.hosts.into_iter().map(|Host(it)| it).collect(),
                path: route.matches.path.map(exact).or(route.matches.path_prefix.map(below)),
                methods: route.matches.methods.into_iter().map(|Method(it)| it).collect(),
            };
            Some(model::Route { name, matches, rewrite, target, timeout: route.timeout.0 })
        })
        .collect()
}

/// Returns `route-N`, lengthened until no route has that name, and takes it.
fn unused_name(names: &mut BTreeSet<String>, position: usize) -> String {
    let mut name = format!("route-{position}");
    while !names.insert(name.clone()) {
        name.push_str("-unnamed");
    }
    name
}
