//! Rules about how paths change.

use crate::config::{
    file::route::{Rewrite, RewriteRegex, Route},
    path::Path,
    problem::Code,
    units::http::UrlPath,
    validate::{Review, routes::is_below},
};

pub(crate) fn review(route: &Route, path: &Path, review: &mut Review<'_>) {
    let Some(rewrite) = &route.rewrite else { return };
    let place = path.key("rewrite");
    if !review.is_whole(&place) {
        return;
    }
    let keys = [
        ("path", rewrite.path.is_some()),
        ("strip_prefix", rewrite.strip_prefix.is_some()),
        ("regex", rewrite.regex.is_some()),
    ];
    let given: Vec<&str> =
        keys.into_iter().filter_map(|(key, is_given)| is_given.then_some(key)).collect();
    match given[..] {
        [] => {
            let remedy = "give `path`, `strip_prefix` or `regex`, or remove `rewrite`";
            review.report(Code::NotExactlyOne, &place, "nothing is given here", remedy);
        }
        [_] => {
            let Rewrite { strip_prefix, regex, .. } = rewrite;
            if let Some(prefix) = strip_prefix {
                stripped(route, prefix, path, review);
            }
            if let Some(regex) = regex {
                put_together(regex, &place.key("regex").key("to"), review);
            }
        }
        [first, second] => {
            let message = format!("both `{first}` and `{second}` are given");
            review.report(Code::NotExactlyOne, &place, message, "keep one of the two");
        }
        _ => {
            let message = format!("`{}` are given", given.join("`, `"));
            review.report(Code::NotExactlyOne, &place, message, "keep one of the three");
        }
    }
}

fn stripped(route: &Route, prefix: &UrlPath, path: &Path, review: &mut Review<'_>) {
    // What a pattern matches is for whoever wrote it to know.
    if route.matches.path_regex.is_some() {
        return;
    }
    let matched = route.matches.path.as_ref().or(route.matches.path_prefix.as_ref());
    let always = matched.is_some_and(|it| is_below(&prefix.0, &it.0));
    let matches = path.key("match");
    let sound = ["path", "path_prefix", "path_regex"].map(|key| matches.key(key));
    if !always && sound.iter().all(|it| review.is_sound(&[it])) {
        let message = format!("not every path of this route begins with `{}`", prefix.0);
        let remedy = format!("match `path_prefix: {}` in this route", prefix.0);
        let place = path.key("rewrite").key("strip_prefix");
        review.report(Code::IdleRewrite, &place, message, remedy);
    }
}

fn put_together(regex: &RewriteRegex, place: &Path, review: &mut Review<'_>) {
    if let Some(name) = regex.pattern.0.missing_group(&regex.to.0) {
        let message = format!("the pattern has no group `{name}`");
        let remedy = "groups are counted from 1, or named by `(?<name>…)`; before a letter or a digit, write `$${1}`";
        review.report(Code::BadValue, place, message, remedy);
    }
}
