//! Rules about how backends are judged and what attempts may take: times and sizes that fit each
//! other.

use crate::config::{
    file::pool::{HealthCheck, OutlierDetection, Pool, Suspicion},
    path::Path,
    problem::Code,
    units::{duration::Length, leaf::Leaf as _, number::Factor, size::Size},
    validate::Review,
};

/// Checking more often tells nothing more, and keeps a core busy.
const SHORTEST_INTERVAL: Length = Length::millis(10);

/// With more, two checks in a row may come so close that the second tells nothing.
const LARGEST_JITTER: f64 = 0.5;

/// Pauses of this length are everyday: a scheduler's slice, a small collection of garbage, a packet
/// sent again.
const LOWEST_FLOOR: Length = Length::millis(5);

/// Two backends of one kind differ by less than this, whatever each of them is asked.
const LOWEST_LATENCY_FACTOR: Factor = Factor(2.0);

/// A larger body makes its client wait for seconds, and a few of them fill the memory.
const LARGEST_HELD: Size = Size::mebibytes(16);

pub(crate) fn review(pool: &Pool, path: &Path, review: &mut Review<'_>) {
    health_check(&pool.health_check, &path.key("health_check"), review);
    outlier_detection(&pool.outlier_detection, &path.key("outlier_detection"), review);
    suspicion(&pool.suspicion, &path.key("suspicion"), review);

    let (hold_back, held_path) = (&pool.hold_back, path.key("hold_back"));
    let place = held_path.key("size");
    if LARGEST_HELD < hold_back.size && review.is_sound(&[&place]) {
        let message = format!("`{}` is more than can be held back", hold_back.size.write());
        let remedy = format!("write at most `{}`", LARGEST_HELD.write());
        review.report(Code::OutOfRange, &place, message, remedy);
    }
    let (size, memory) = (("size", &hold_back.size), ("memory", &hold_back.memory));
    review.ordered(&held_path, size, memory, "larger");

    let replay = &pool.retries.replay;
    let (size, memory) = (("size", &replay.size), ("memory", &replay.memory));
    review.ordered(&path.key("retries").key("replay"), size, memory, "larger");
}

fn health_check(check: &HealthCheck, path: &Path, review: &mut Review<'_>) {
    let given = [
        ("http", check.http.is_some()),
        ("grpc", check.grpc.is_some()),
        ("tcp", check.tcp.is_some()),
    ];
    let given: Vec<&str> = given.into_iter().filter(|(_, is)| *is).map(|(key, _)| key).collect();
    if let [first, .., last] = given[..] {
        let message = format!("both `{first}` and `{last}` are given");
        review.report(Code::NotExactlyOne, &path.key(last), message, "keep one of them");
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

fn outlier_detection(outlier: &OutlierDetection, path: &Path, review: &mut Review<'_>) {
    let length = &outlier.eject_for;
    let (base, max) = (("base", &length.base), ("max", &length.max));
    review.ordered(&path.key("eject_for"), base, max, "longer");
    let (factor, place) = (outlier.latency_factor, path.key("latency_factor"));
    if factor < LOWEST_LATENCY_FACTOR && review.is_sound(&[&place]) {
        let message =
            format!("`{}` ejects backends that are only busier than others", factor.write());
        let remedy = format!("write at least `{}`", LOWEST_LATENCY_FACTOR.write());
        review.report(Code::FalseAlarms, &place, message, remedy);
    }
}

fn suspicion(suspicion: &Suspicion, path: &Path, review: &mut Review<'_>) {
    let (enabled, floor, hedge) = (path.key("enabled"), path.key("floor"), path.key("hedge"));
    if suspicion.enabled && suspicion.floor < LOWEST_FLOOR && review.is_sound(&[&enabled, &floor]) {
        let written = suspicion.floor.write();
        let message = format!("with `{written}`, every short pause makes its backend suspected");
        let remedy = format!("write at least `{}`; the default is `50ms`", LOWEST_FLOOR.write());
        review.report(Code::FalseAlarms, &floor, message, remedy);
    }
    let is_asked = suspicion.hedge && review.is_written(&hedge);
    if is_asked && !suspicion.enabled && review.is_sound(&[&enabled, &hedge]) {
        let message = "hedge does nothing: without `enabled`, no wait is judged";
        let remedy = "write `enabled: true`, or remove `hedge`";
        review.report(Code::NoEffect, &hedge, message, remedy);
    }
}
