//! Rules about pools: backends that differ, tiers without gaps, times that fit each other.

use std::collections::BTreeMap;

mod affinity;
mod bounds;
mod limits;
mod tiers;
mod transport;

use crate::config::{
    file::{File, pool::Pool, route::Route},
    path::Path,
    problem::Code,
    units::leaf::Leaf as _,
    validate::Review,
};

/// What metrics call requests that reach no pool.
const RESERVED: [&str; 2] = ["none", "sidecar"];

pub(crate) fn review(file: &File, review: &mut Review<'_>) {
    let users = users(file);
    for (name, pool) in &file.pools.0 {
        let path = Path::default().key("pools").key(&name.0);
        if RESERVED.contains(&name.0.as_str()) {
            let message = format!("metrics use `{}` for requests that reach no pool", name.0);
            review.report(Code::ReservedName, &path, message, "give the pool another name");
        }
        backends(pool, &path.key("backends"), review);
        tiers::review(pool, &path, review);
        bounds::review(pool, &path, review);
        affinity::review(pool, &path, review);
        transport::review(pool, &path, review);
        limits::review(pool, &path.key("limits"), review);
        let users = users.get(name.0.as_str()).map_or(&[][..], Vec::as_slice);
        attempts(users, pool, &path, review);
    }
}

fn backends(pool: &Pool, path: &Path, review: &mut Review<'_>) {
    let mut names: BTreeMap<&str, Path> = BTreeMap::new();
    let mut addresses: BTreeMap<String, Path> = BTreeMap::new();
    for (index, backend) in pool.backends.iter().enumerate() {
        let place = path.item(index).key("name");
        if review.is_sound(&[&place]) {
            match names.get(backend.name.0.as_str()) {
                None => drop(names.insert(&backend.name.0, place)),
                Some(other) => {
                    let name = &backend.name.0;
                    review.report_second(
                        Code::DuplicateBackend,
                        (&place, other),
                        |first| format!("`{name}` is already the name of the backend {first}"),
                        "give each backend its own name",
                    );
                }
            }
        }
        let place = path.item(index).key("url");
        if review.is_sound(&[&place]) {
            let location = backend.url.address.location();
            match addresses.get(&location) {
                None => drop(addresses.insert(location, place)),
                Some(other) => {
                    review.report_second(
                        Code::DuplicateAddress,
                        (&place, other),
                        |first| format!("`{location}` is already the address of the backend {first}"),
                        "keep one of the two; for a larger share of the traffic, raise its `weight`",
                    );
                }
            }
        }
    }
}

/// A route that leads to a pool.
struct User<'f> {
    route: &'f Route,
    path: Path,
    /// Where the route names the pool.
    target: Path,
}

/// Returns the routes that lead to each pool; of those that name it twice, the first place.
fn users(file: &File) -> BTreeMap<&str, Vec<User<'_>>> {
    let mut users: BTreeMap<&str, Vec<User<'_>>> = BTreeMap::new();
    let routes = Path::default().key("routes");
    for (index, route) in file.routes.iter().enumerate() {
        let path = routes.item(index);
        for (pool, target) in route.pools(&path) {
            let of_pool = users.entry(&pool.0).or_default();
            if of_pool.last().is_none_or(|it| it.path != path) {
                of_pool.push(User { route, path: path.clone(), target });
            }
        }
    }
    users
}

/// An attempt longer than its request leaves no time for another.
fn attempts(users: &[User<'_>], pool: &Pool, path: &Path, review: &mut Review<'_>) {
    let of_pool = path.key("retries").key("per_try_timeout");
    for User { route, path: route_path, target } in users {
        let timeout = route_path.key("timeout");
        let (attempt, whose, place) = match route.retries.per_try_timeout {
            Some(attempt) => (attempt, "its", route_path.key("retries").key("per_try_timeout")),
            None => (pool.retries.per_try_timeout, "the pool's", of_pool.clone()),
        };
        if route.timeout < attempt && review.is_sound(&[&place, target, &timeout]) {
            let message = format!(
                "timeout ({}) is shorter than {whose} per_try_timeout ({}), which leaves no time for a retry",
                route.timeout.write(),
                attempt.write()
            );
            let place = if review.is_written(&timeout) { &timeout } else { &place };
            review.report(
                Code::LongAttempt,
                place,
                message,
                "shorten `per_try_timeout` or lengthen `timeout`",
            );
        }
    }
}
