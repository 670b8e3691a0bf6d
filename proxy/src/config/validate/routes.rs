//! Rules about routes: each leads somewhere that exists, and each can be reached.

use std::collections::{BTreeMap, BTreeSet};

mod headers;
mod matching;
mod reach;
mod rewrite;
mod target;

use crate::config::{
    file::{
        File,
        admin::Anonymous,
        route::{Route, RouteRetries},
    },
    path::Path,
    problem::Code,
    units::Name,
    validate::Review,
};

pub(crate) fn review(file: &File, review: &mut Review<'_>) {
    let routes = Path::default().key("routes");
    for (index, route) in file.routes.iter().enumerate() {
        let path = routes.item(index);
        target::review(file, route, &path, review);
        matching::review(file, route, &path, review);
        headers::review(route, &path, review);
        rewrite::review(route, &path, review);
        terms(route, &path, review);
        exposed_sidecar(file, route, &path, review);
    }
    names(file, &routes, review);
    reach::review(file, &routes, review);
    unused_pools(file, &routes, review);
}

/// What only matters where a backend is asked.
fn terms(route: &Route, path: &Path, review: &mut Review<'_>) {
    let place = path.key("retries");
    let RouteRetries { max_attempts, statuses, per_try_timeout } = &route.retries;
    let is_given = max_attempts.is_some() || statuses.is_some() || per_try_timeout.is_some();
    let is_asked = route.pool.is_some() || route.split.is_some();
    if is_given && !is_asked && target::is_sound(path, review) {
        let remedy = "remove it; only pools are asked again";
        review.report(Code::NoEffect, &place, "the route leads to no pool", remedy);
    }
}

fn exposed_sidecar(file: &File, route: &Route, path: &Path, review: &mut Review<'_>) {
    let admin = Path::default().key("admin");
    let (token_file, auth) = (admin.key("token_file"), admin.key("auth"));
    let is_guarded = file.admin.token_file.is_some()
        || !file.admin.auth.tokens.is_empty()
        || file.admin.auth.anonymous == Anonymous::None;
    if route.sidecar != Some(true)
        || is_guarded
        || !review.is_sound(&[&token_file])
        || !review.is_whole(&auth)
    {
        return;
    }
    for (name, listener) in &file.listeners.0 {
        let address = Path::default().key("listeners").key(&name.0).key("address");
        let is_open = listener.address.0.tcp().is_some_and(|it| !it.ip().is_loopback());
        if is_open && review.is_sound(&[&address]) {
            let message =
                format!("every client of listener `{}` can read the proxy's state", name.0);
            let remedy = "remove the route, or set `admin.auth.tokens` so that only those who have one change state";
            review.report(Code::ExposedSidecar, &path.key("sidecar"), message, remedy);
            return;
        }
    }
}

fn names(file: &File, routes: &Path, review: &mut Review<'_>) {
    let mut first: BTreeMap<&str, Path> = BTreeMap::new();
    for (index, route) in file.routes.iter().enumerate() {
        let path = routes.item(index).key("name");
        let Some(name) = route.name.as_ref().filter(|_| review.is_sound(&[&path])) else {
            continue;
        };
        match first.get(name.0.as_str()) {
            None => drop(first.insert(&name.0, path)),
            Some(other) => {
                let name = &name.0;
                review.report_second(
                    Code::DuplicateRoute,
                    (&path, other),
                    |first| format!("`{name}` is already the name of the route {first}"),
                    "give each route its own name",
                );
            }
        }
    }
}

fn unused_pools(file: &File, routes: &Path, review: &mut Review<'_>) {
    if !(0..file.routes.len())
        .map(|index| routes.item(index))
        .all(|route| target::is_sound(&route, review) && review.is_whole(&route.key("mirror")))
        || !review.is_sound(&[routes])
    {
        return;
    }
    let named = |(index, route): (usize, &Route)| -> Vec<Name> {
        let pools = route.pools(&routes.item(index)).into_iter().map(|(name, _)| name.clone());
        pools.chain(route.mirror.as_ref().map(|it| it.pool.clone())).collect()
    };
    let used: BTreeSet<Name> = file.routes.iter().enumerate().flat_map(named).collect();
    let used: BTreeSet<&Name> = used.iter().collect();
    let pools: BTreeSet<&Name> = file.pools.0.iter().map(|(name, _)| name).collect();
    if !used.is_subset(&pools) {
        // The name that does not exist may be meant for the pool that is not used.
        return;
    }
    for name in pools.difference(&used) {
        let path = Path::default().key("pools").key(&name.0);
        if review.is_sound(&[&path]) {
            let remedy = "add a route with this pool, or remove the pool";
            review.report(Code::UnusedPool, &path, "no route leads to this pool", remedy);
        }
    }
}

/// Returns whether `path` is `prefix` or continues below it.
pub(crate) fn is_below(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_below_a_prefix_at_a_slash_only() {
        for (prefix, path, expected) in [
            ("/v1", "/v1", true),
            ("/v1", "/v1/x", true),
            ("/v1", "/v1x", false),
            ("/v1/", "/v1/x", true),
            ("/v1/", "/v1/", true),
            ("/v1/", "/v1x", false),
            ("/v1/", "/v1", false),
            ("/", "/x", true),
            ("/", "/", true),
            ("/a/b", "/a", false),
        ] {
            assert_eq!(is_below(prefix, path), expected, "{prefix} {path}");
        }
    }
}
