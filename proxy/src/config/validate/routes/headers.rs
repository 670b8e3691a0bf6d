//! Rules about headers: some are not the operator's to change.

use std::collections::BTreeSet;

use crate::config::{
    file::{
        Named,
        route::{HeaderEdits, Route},
    },
    path::Path,
    problem::Code,
    units::matching::FieldValue,
    validate::Review,
};

/// Those that messages are framed by, and that concern one connection only (RFC 9110 §7.6.1).
const FRAMING: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// Which way a message goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToBackend,
    ToClient,
}

pub(crate) fn review(route: &Route, path: &Path, review: &mut Review<'_>) {
    let place = path.key("headers");
    let (request, response) = (&route.headers.request, &route.headers.response);
    edits(request, &place.key("request"), Way::ToBackend, review);
    edits(response, &place.key("response"), Way::ToClient, review);
    if !request.is_empty() && (route.redirect.is_some() || route.respond.is_some()) {
        let message = "no backend sees the requests of this route";
        let remedy = "remove it; `headers.response` changes the answer";
        review.report(Code::NoEffect, &place.key("request"), message, remedy);
    }
    let of_answer = route.respond.as_ref().and_then(|it| it.headers.as_ref());
    if let Some(headers) = of_answer {
        let place = path.key("respond").key("headers");
        names(headers, &place, Way::ToClient, false, review);
        for (name, _) in &headers.0 {
            if name.0.eq_ignore_ascii_case("content-type") {
                let message = "`Content-Type` has a key of its own";
                let remedy = "write `content_type:`, beside `body`";
                review.report(Code::ReservedHeader, &place.key(&name.0), message, remedy);
            }
        }
    }
}

fn edits(edits: &HeaderEdits, place: &Path, way: Way, review: &mut Review<'_>) {
    if let Some(lines) = &edits.add {
        names(lines, &place.key("add"), way, false, review);
    }
    if let Some(lines) = &edits.set {
        let set = place.key("set");
        names(lines, &set, way, true, review);
        let mut seen = BTreeSet::new();
        for (name, _) in &lines.0 {
            if !seen.insert(name.0.to_ascii_lowercase()) {
                let message = format!("`{}` is set already; case makes no difference", name.0);
                let remedy = "keep one of the two; for two lines, use `add`";
                review.report(Code::Contradiction, &set.key(&name.0), message, remedy);
            }
        }
    }
    for (index, name) in edits.remove.iter().enumerate() {
        let place = place.key("remove").item(index);
        if review.is_sound(&[&place]) {
            free(&name.0, &place, way, false, review);
        }
    }
}

fn names(lines: &Named<FieldValue>, place: &Path, way: Way, is_set: bool, review: &mut Review<'_>) {
    for (name, _) in &lines.0 {
        free(&name.0, &place.key(&name.0), way, is_set, review);
    }
}

/// Reports a header that must be left to the proxy.
fn free(name: &str, place: &Path, way: Way, is_set: bool, review: &mut Review<'_>) {
    let lower = name.to_ascii_lowercase();
    let (message, remedy) = if FRAMING.contains(&lower.as_str()) {
        ("the proxy frames each message for each connection itself", "remove it")
    } else if lower == "host" && !(is_set && way == Way::ToBackend) {
        match way {
            Way::ToBackend => ("every request has exactly one `Host`", "write it in `request.set`"),
            Way::ToClient => ("no response has a `Host`", "remove it"),
        }
    } else if lower == "via" || lower == "forwarded" || lower.starts_with("x-forwarded-") {
        (
            "the proxy writes from what it knows who forwarded a message, for whom",
            "remove it; `listeners.*.trusted_proxies` says who else is believed",
        )
    } else if lower.starts_with("proxy-") {
        ("such a header is between two neighbours and goes no further", "remove it")
    } else if lower.starts_with("x-bascule-") {
        ("such a header is between parts of the proxy", "give it another name")
    } else {
        return;
    };
    let message = format!("`{name}` is not to be changed: {message}");
    review.report(Code::ReservedHeader, place, message, remedy);
}
