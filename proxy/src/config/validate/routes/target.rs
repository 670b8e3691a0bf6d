//! Rules about where a route leads.

use std::collections::BTreeSet;

use crate::config::{
    file::{
        File,
        route::{Redirect, Route},
    },
    path::Path,
    problem::Code,
    suggest::nearest,
    units::{matching::FieldValue, response::is_plain_path},
    validate::Review,
};

const KEYS: [&str; 5] = ["pool", "split", "redirect", "respond", "sidecar"];

pub(crate) fn review(file: &File, route: &Route, path: &Path, review: &mut Review<'_>) {
    if is_sound(path, review) {
        exactly_one(route, path, review);
    }
    for (name, place) in route.pools(path) {
        pool_exists(file, &name.0, &place, review);
    }
    split(route, path, review);
    if let Some(it) = &route.redirect {
        redirect(route, it, path, review);
    }
    respond(route, &path.key("respond"), review);
    mirror(file, route, path, review);
}

/// Returns whether all that says where the route at `path` leads is what was meant.
pub(crate) fn is_sound(path: &Path, review: &Review<'_>) -> bool {
    KEYS.iter().all(|key| review.is_whole(&path.key(key)))
}

fn exactly_one(route: &Route, path: &Path, review: &mut Review<'_>) {
    if route.sidecar == Some(false) {
        let remedy =
            "remove it; a route without `sidecar` needs `pool`, `split`, `redirect` or `respond`";
        let place = path.key("sidecar");
        review.report(Code::NotExactlyOne, &place, "`sidecar: false` says nothing", remedy);
        return;
    }
    let is_given = [
        route.pool.is_some(),
        route.split.is_some(),
        route.redirect.is_some(),
        route.respond.is_some(),
        route.sidecar.is_some(),
    ];
    let given: Vec<&str> = KEYS
        .into_iter()
        .zip(is_given)
        .filter_map(|(key, is_given)| is_given.then_some(key))
        .collect();
    match given[..] {
        [_] => {}
        [] => {
            let remedy = "add `pool:` with the name of a pool, or `split:`, `redirect:`, `respond:` or `sidecar: true`";
            review.report(Code::NotExactlyOne, path, "the route leads nowhere", remedy);
        }
        [first, second] => {
            let message = format!("both `{first}` and `{second}` are given");
            review.report(Code::NotExactlyOne, path, message, "keep one of the two");
        }
        _ => {
            let message = format!("`{}` are given", given.join("`, `"));
            review.report(Code::NotExactlyOne, path, message, "keep one of them");
        }
    }
}

/// Reports a pool that does not exist.
pub(crate) fn pool_exists(file: &File, name: &str, place: &Path, review: &mut Review<'_>) {
    // A pool whose name or contents are damaged may well be the one that is meant.
    let pools = Path::default().key("pools");
    let is_known = file.pools.0.iter().any(|(it, _)| it.0 == name);
    if is_known || !review.is_sound(&[place, &pools, &pools.key(name)]) {
        return;
    }
    let names: Vec<&str> = file.pools.0.iter().map(|(name, _)| name.0.as_str()).collect();
    let remedy = match nearest(name, names.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("write one of `{}`, or add the pool", names.join("`, `")),
    };
    review.report(Code::UnknownPool, place, format!("there is no pool `{name}`"), remedy);
}

fn split(route: &Route, path: &Path, review: &mut Review<'_>) {
    let (place, by_place) = (path.key("split"), path.key("split_by"));
    if let Some(by) = &route.split_by {
        if route.split.is_none() && review.is_sound(&[&place]) {
            let remedy = "add `split:`, or remove it";
            review.report(Code::NoEffect, &by_place, "there is no `split`", remedy);
        }
        let given = [by.header.is_some(), by.cookie.is_some(), by.client_address == Some(true)];
        let count = given.into_iter().filter(|it| *it).count();
        if count != 1 && review.is_whole(&by_place) {
            let message =
                if count == 0 { "nothing is given here" } else { "more than one is given" };
            let remedy = "give one of `header`, `cookie` and `client_address: true`";
            review.report(Code::NotExactlyOne, &by_place, message, remedy);
        }
    }
    let Some(parts) = &route.split else { return };
    if !review.is_whole(&place) {
        return;
    }
    if parts.iter().all(|part| part.weight == 0) {
        let remedy = "give at least one pool a weight above 0";
        review.report(Code::Contradiction, &place, "no pool has any weight", remedy);
    }
    let mut seen = BTreeSet::new();
    for (index, part) in parts.iter().enumerate() {
        if !seen.insert(&part.pool.0) {
            let message = format!("`{}` is in the list already", part.pool.0);
            let remedy = "name each pool once, with all its weight";
            review.report(Code::Contradiction, &place.item(index).key("pool"), message, remedy);
        }
    }
}

fn mirror(file: &File, route: &Route, path: &Path, review: &mut Review<'_>) {
    let Some(mirror) = &route.mirror else { return };
    let place = path.key("mirror");
    pool_exists(file, &mirror.pool.0, &place.key("pool"), review);
    if !is_sound(path, review) || !review.is_whole(&place) {
        return;
    }
    let pools = route.pools(path);
    if pools.is_empty() {
        let remedy = "remove it; only what goes to a pool is copied";
        review.report(Code::NoEffect, &place, "the route leads to no pool", remedy);
    }
    if pools.iter().any(|(name, _)| **name == mirror.pool) {
        let message = format!("`{}` gets the requests themselves already", mirror.pool.0);
        let remedy = "name a pool that the route does not lead to";
        review.report(Code::Contradiction, &place.key("pool"), message, remedy);
    }
}

fn redirect(route: &Route, redirect: &Redirect, path: &Path, review: &mut Review<'_>) {
    let place = path.key("redirect");
    if !review.is_whole(&place) {
        return;
    }
    let parts = [
        ("scheme", redirect.scheme.is_some()),
        ("host", redirect.host.is_some()),
        ("port", redirect.port.is_some()),
        ("path", redirect.path.is_some()),
    ];
    let part = parts.into_iter().find_map(|(key, is_given)| is_given.then_some(key));
    let rewrite = path.key("rewrite");
    match (part, &redirect.location) {
        (Some(part), Some(_)) => {
            let message = format!("both `location` and `{part}` are given");
            review.report(Code::NotExactlyOne, &place.key(part), message, "keep one of the two");
        }
        (None, Some(_)) if route.rewrite.is_some() => {
            let message = "`redirect.location` says all of it already";
            review.report(Code::NoEffect, &rewrite, message, "remove one of the two");
        }
        (None, None) if route.rewrite.is_none() && redirect.keep_query => {
            let message = "the redirect leads back to where it came from";
            let remedy =
                "give `scheme`, `host`, `port`, `path` or `location`, or the route a `rewrite`";
            review.report(Code::NotExactlyOne, &place, message, remedy);
        }
        (_, _) => {}
    }
    if redirect.path.is_some() && route.rewrite.is_some() {
        let message = "`redirect.path` says all of the path already";
        review.report(Code::NoEffect, &rewrite, message, "remove one of the two");
    }
    if redirect.path.as_ref().is_some_and(|it| !is_plain_path(it)) {
        let message = "browsers would take the beginning of this path for a host";
        let remedy = "write one `/` at the beginning, and no `\\`";
        review.report(Code::BadValue, &place.key("path"), message, remedy);
    }
}

fn respond(route: &Route, place: &Path, review: &mut Review<'_>) {
    let Some(respond) = route.respond.as_ref().filter(|_| review.is_whole(place)) else { return };
    let status = respond.status;
    if matches!(status, 204 | 205 | 304) && !respond.body.0.is_empty() {
        let message = format!("a response with status {status} has no body");
        review.report(Code::Contradiction, &place.key("body"), message, "remove `body`");
    }
    if let FieldValue(text) = &respond.content_type
        && text.is_empty()
    {
        let remedy = "say what the body is: `text/plain; charset=utf-8`";
        review.report(Code::BadValue, &place.key("content_type"), "nothing is given here", remedy);
    }
}
