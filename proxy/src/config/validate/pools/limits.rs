//! Rules about limits: keys that do nothing alone or with this protocol.

use crate::config::{
    file::pool::{Pool, Protocol},
    path::Path,
    problem::Code,
    validate::Review,
};

pub(crate) fn review(pool: &Pool, path: &Path, review: &mut Review<'_>) {
    let limits = &pool.limits;
    let (requests, connections) = (path.key("max_requests"), path.key("max_connections"));
    if !review.is_sound(&[&requests, &connections]) {
        return;
    }
    let is_http2 = matches!(pool.protocol, Protocol::Http2);
    if is_http2 && limits.max_connections.is_some() {
        let message = "max_connections does nothing with `protocol: http2`, where one connection \
                       carries many requests";
        review.report(Code::NoEffect, &connections, message, "write `max_requests` instead");
    }
    let is_bounded = limits.max_requests.is_some() || limits.max_connections.is_some();
    for key in ["queue", "queue_timeout", "spill_over"] {
        let place = path.key(key);
        if !is_bounded && review.is_written(&place) && review.is_sound(&[&place]) {
            let message = format!("{key} does nothing: without a bound, no backend is ever full");
            let remedy = format!("add `max_requests`, or remove `{key}`");
            review.report(Code::NoEffect, &place, message, remedy);
        }
    }
}
