//! Rules about pools: backends that differ, tiers without gaps, times that fit each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{
    file::{
        File,
        pool::{HealthCheck, Pool},
    },
    path::Path,
    problem::Code,
    units::{duration::Length, leaf::Leaf as _},
    validate::Review,
};

/// Checking more often tells nothing more, and keeps a core busy.
const SHORTEST_INTERVAL: Length = Length::millis(10);

/// With more, two checks in a row may come so close that the second tells nothing.
const LARGEST_JITTER: f64 = 0.5;

/// What metrics call requests that reach no pool.
const RESERVED: [&str; 2] = ["none", "sidecar"];

pub(crate) fn review(file: &File, review: &mut Review<'_>) {
    for (name, pool) in &file.pools.0 {
        let path = Path::default().key("pools").key(&name.0);
        if RESERVED.contains(&name.0.as_str()) {
            let message = format!("metrics use `{}` for requests that reach no pool", name.0);
            review.report(Code::ReservedName, &path, message, "give the pool another name");
        }
        backends(pool, &path.key("backends"), review);
        tiers(pool, &path, review);
        health_check(&pool.health_check, &path.key("health_check"), review);
        ejection(pool, &path.key("outlier_detection").key("eject_for"), review);
        attempts(file, pool, &name.0, &path, review);
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
                    let line = review.line(other);
                    let message = format!(
                        "`{}` is already the name of the backend in line {line}",
                        backend.name.0
                    );
                    review.report(
                        Code::DuplicateBackend,
                        &place,
                        message,
                        "give each backend its own name",
                    );
                }
            }
        }
        let place = path.item(index).key("url");
        if review.is_sound(&[&place]) {
            let authority = backend.url.address.authority();
            match addresses.get(&authority) {
                None => drop(addresses.insert(authority, place)),
                Some(other) => {
                    let line = review.line(other);
                    let message = format!(
                        "`{authority}` is already the address of the backend in line {line}"
                    );
                    let remedy = "keep one of the two; for a larger share of the traffic, raise its `weight`";
                    review.report(Code::DuplicateAddress, &place, message, remedy);
                }
            }
        }
    }
}

fn tiers(pool: &Pool, path: &Path, review: &mut Review<'_>) {
    let backends = path.key("backends");
    let all_sound =
        (0..pool.backends.len()).all(|it| review.is_sound(&[&backends.item(it).key("tier")]));
    if !all_sound || !review.is_sound(&[&backends]) {
        return;
    }
    let used: BTreeSet<usize> = pool.backends.iter().map(|backend| backend.tier).collect();
    for (index, backend) in pool.backends.iter().enumerate() {
        let missing = (0..backend.tier).find(|tier| !used.contains(tier));
        if let Some(missing) = missing {
            let message =
                format!("tier {} is used, but no backend is in tier {missing}", backend.tier);
            let remedy = format!("write `tier: {missing}`; tiers count up from 0 without gaps");
            review.report(Code::TierGap, &backends.item(index).key("tier"), message, remedy);
            return;
        }
    }
    let needed = pool.tiers.fail_over_below.get();
    let place = path.key("tiers").key("fail_over_below");
    for tier in used {
        let size = pool.backends.iter().filter(|backend| backend.tier == tier).count();
        if size < needed && review.is_sound(&[&place]) {
            let message =
                format!("tier {tier} can never serve: it needs {needed} backends and has {size}");
            let remedy = format!("write at most {size}, or add backends to tier {tier}");
            review.report(Code::TierTooSmall, &place, message, remedy);
        }
    }
}

fn health_check(check: &HealthCheck, path: &Path, review: &mut Review<'_>) {
    if check.http.is_some() && check.tcp.is_some() {
        let message = "both `http` and `tcp` are given";
        review.report(Code::NotExactlyOne, &path.key("tcp"), message, "keep one of the two");
    }
    let (interval, fast) = (path.key("interval"), path.key("fast_interval"));
    let (timeout, jitter) = (path.key("timeout"), path.key("jitter"));
    for (length, place) in [(check.interval, &interval), (check.fast_interval, &fast)] {
        if length < SHORTEST_INTERVAL && review.is_sound(&[place]) {
            let shortest = SHORTEST_INTERVAL.write();
            let message = format!("`{}` is too often", length.write());
            review.report(Code::OutOfRange, place, message, format!("write at least `{shortest}`"));
        }
    }
    if LARGEST_JITTER < check.jitter.0 && review.is_sound(&[&jitter]) {
        let message = format!("`{}` leaves no regular interval", check.jitter.write());
        review.report(Code::OutOfRange, &jitter, message, "write at most `50%`");
    }
    let is_slow = check.interval < check.fast_interval;
    if is_slow && review.is_written(&fast) && review.is_sound(&[&interval, &fast]) {
        let (written, slow) = (check.fast_interval.write(), check.interval.write());
        let message = format!(
            "fast_interval ({written}) is longer than interval ({slow}), which is used instead"
        );
        review.report(Code::FastIntervalSlow, &fast, message, "write a shorter `fast_interval`");
    }
    if check.interval < check.timeout && review.is_sound(&[&interval, &timeout]) {
        let (allowed, slow) = (check.timeout.write(), check.interval.write());
        let message =
            format!("timeout ({allowed}) is longer than interval ({slow}), so checks come late");
        let place = if review.is_written(&timeout) { &timeout } else { &interval };
        review.report(Code::SlowCheck, place, message, "shorten `timeout` or lengthen `interval`");
    }
}

fn ejection(pool: &Pool, path: &Path, review: &mut Review<'_>) {
    let length = &pool.outlier_detection.eject_for;
    let (base, max) = (path.key("base"), path.key("max"));
    if length.max < length.base && review.is_sound(&[&base, &max]) {
        let message =
            format!("base ({}) is longer than max ({})", length.base.write(), length.max.write());
        let place = if review.is_written(&base) { &base } else { &max };
        review.report(Code::Contradiction, place, message, "write a `base` of at most `max`");
    }
}

/// An attempt longer than its request leaves no time for another.
fn attempts(file: &File, pool: &Pool, name: &str, path: &Path, review: &mut Review<'_>) {
    let place = path.key("retries").key("per_try_timeout");
    let routes = Path::default().key("routes");
    let attempt = pool.retries.per_try_timeout;
    for (index, route) in file.routes.iter().enumerate() {
        let route_path = routes.item(index);
        let (target, timeout) = (route_path.key("pool"), route_path.key("timeout"));
        let is_ours = route.pool.as_ref().is_some_and(|pool| pool.0 == name);
        if is_ours && route.timeout < attempt && review.is_sound(&[&place, &target, &timeout]) {
            let message = format!(
                "timeout ({}) is shorter than the pool's per_try_timeout ({}), which leaves no time for a retry",
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
