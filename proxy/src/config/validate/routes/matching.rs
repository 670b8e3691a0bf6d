//! Rules about what a route matches.

use crate::config::{
    file::{
        File, Named,
        route::{Route, ValueMatch},
    },
    path::Path,
    problem::Code,
    suggest::nearest,
    validate::Review,
};

pub(crate) fn review(file: &File, route: &Route, path: &Path, review: &mut Review<'_>) {
    let place = path.key("match");
    one_path(route, &place, review);
    if let Some(conditions) = &route.matches.headers {
        values(conditions, &place.key("headers"), review);
    }
    if let Some(conditions) = &route.matches.query {
        values(conditions, &place.key("query"), review);
    }
    listeners(file, route, &place.key("listeners"), review);
}

fn one_path(route: &Route, place: &Path, review: &mut Review<'_>) {
    let matches = &route.matches;
    let given: Vec<&str> = [
        ("path", matches.path.is_some()),
        ("path_prefix", matches.path_prefix.is_some()),
        ("path_regex", matches.path_regex.is_some()),
    ]
    .into_iter()
    .filter_map(|(key, is_given)| is_given.then_some(key))
    .collect();
    if let [_, .., last] = given[..] {
        let message = match given[..] {
            [first, second] => format!("both `{first}` and `{second}` are given"),
            _ => format!("`{}` are given", given.join("`, `")),
        };
        let remedy = format!("keep one of the {}", if given.len() == 2 { "two" } else { "three" });
        review.report(Code::NotExactlyOne, &place.key(last), message, remedy);
    }
}

fn values(conditions: &Named<ValueMatch>, place: &Path, review: &mut Review<'_>) {
    for (name, condition) in &conditions.0 {
        let place = place.key(&name.0);
        if !["exact", "regex", "present"].iter().all(|key| review.is_sound(&[&place.key(key)])) {
            continue;
        }
        let ValueMatch { exact, regex, present } = condition;
        let given = [exact.is_some(), regex.is_some(), present.is_some()];
        match given.into_iter().filter(|it| *it).count() {
            0 => {
                let remedy = "give `exact`, `regex` or `present: true`";
                review.report(Code::NotExactlyOne, &place, "nothing is given here", remedy);
            }
            1 => {}
            _ => {
                let message = "more than one of `exact`, `regex` and `present` is given";
                review.report(Code::NotExactlyOne, &place, message, "keep one of them");
            }
        }
    }
}

fn listeners(file: &File, route: &Route, place: &Path, review: &mut Review<'_>) {
    let known = Path::default().key("listeners");
    let names: Vec<&str> = file.listeners.0.iter().map(|(name, _)| name.0.as_str()).collect();
    for (index, name) in route.matches.listeners.iter().enumerate() {
        let place = place.item(index);
        let is_known = names.contains(&name.0.as_str());
        if is_known || !review.is_sound(&[&place, &known, &known.key(&name.0)]) {
            continue;
        }
        let remedy = match nearest(&name.0, names.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("write one of `{}`, or add the listener", names.join("`, `")),
        };
        let message = format!("there is no listener `{}`", name.0);
        review.report(Code::UnknownListener, &place, message, remedy);
    }
}
