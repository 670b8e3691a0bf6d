//! Rules about what is let in.

use crate::config::{file::File, path::Path, problem::Code, validate::Review};

pub(crate) fn review(file: &File, review: &mut Review<'_>) {
    let routes = Path::default().key("routes");
    for (index, route) in file.routes.iter().enumerate() {
        let path = routes.item(index).key("rate_limit").key("key");
        let Some(key) = route.rate_limit.as_ref().and_then(|it| it.key.as_ref()) else { continue };
        let flags = [("client_address", key.client_address), ("route", key.route)];
        exactly_one(&path, &flags, &[("header", key.header.is_some())], review);
    }
}

/// Reports a key that is made of none, or of several, of its parts.
pub(crate) fn exactly_one(
    path: &Path,
    flags: &[(&str, Option<bool>)],
    others: &[(&str, bool)],
    review: &mut Review<'_>,
) {
    let places: Vec<Path> = flags
        .iter()
        .map(|it| it.0)
        .chain(others.iter().map(|it| it.0))
        .map(|it| path.key(it))
        .collect();
    if !review.is_sound(&places.iter().collect::<Vec<_>>()) {
        return;
    }
    for (name, flag) in flags {
        if *flag == Some(false) {
            let message = format!("`{name}: false` says nothing");
            review.report(Code::NotExactlyOne, &path.key(name), message, "remove it");
            return;
        }
    }
    let names = flags.iter().map(|it| it.0).chain(others.iter().map(|it| it.0));
    let names = names.collect::<Vec<_>>().join("`, `");
    let count =
        flags.iter().filter(|it| it.1.is_some()).count() + others.iter().filter(|it| it.1).count();
    if count != 1 {
        let what = if count == 0 { "nothing is given" } else { "more than one is given" };
        review.report(Code::NotExactlyOne, path, what, format!("write exactly one of `{names}`"));
    }
}
