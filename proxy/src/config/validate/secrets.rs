//! Secrets do not stand in a configuration: it is copied, shown and committed.

use crate::config::{
    file::{File, route::HeaderEdits},
    locate::Kind,
    path::Path,
    problem::Code,
    units::Name,
    validate::Review,
};

/// Headers of which the value is a secret.
const SECRET: [&str; 5] =
    ["authorization", "proxy-authorization", "x-api-key", "api-key", "x-auth-token"];

pub(crate) fn review(file: &File, review: &mut Review<'_>) {
    let routes = Path::default().key("routes");
    for (index, route) in file.routes.iter().enumerate() {
        let headers = routes.item(index).key("headers");
        edits(&route.headers.request, &headers.key("request"), review);
        edits(&route.headers.response, &headers.key("response"), review);
    }
    for (Name(pool), it) in &file.pools.0 {
        let check = Path::default().key("pools").key(pool).key("health_check");
        let lines = it.health_check.http.iter().flat_map(|it| &it.headers);
        for (index, line) in lines.enumerate() {
            header(&line.name, &check.key("http").key("headers").item(index), review);
        }
    }
}

fn edits(edits: &HeaderEdits, path: &Path, review: &mut Review<'_>) {
    for (key, lines) in [("set", &edits.set), ("add", &edits.add)] {
        for (Name(name), _) in lines.iter().flat_map(|it| &it.0) {
            header(name, &path.key(key).key(name), review);
        }
    }
}

fn header(name: &str, path: &Path, review: &mut Review<'_>) {
    let is_literal = match review.root.find(path).map(|it| &it.kind) {
        Some(Kind::Plain(text) | Kind::Quoted(text)) => !text.contains("${"),
        Some(Kind::List(_) | Kind::Map(_) | Kind::Rejected) | None => false,
    };
    if is_literal
        && SECRET.contains(&name.to_ascii_lowercase().as_str())
        && review.is_sound(&[path])
    {
        review.report(
            Code::LiteralSecret,
            path,
            format!("the value of `{name}` is a secret, and stands in this file"),
            "put it in a variable of the environment and write `${NAME}` here",
        );
    }
}
