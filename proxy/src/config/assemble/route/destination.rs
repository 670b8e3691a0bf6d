//! Where routes lead.

use bytes::Bytes;
use http::header::CONTENT_TYPE;

use crate::{
    config::{
        assemble::route::{Known, header_name, header_value},
        file::route::{Part, Redirect, Respond, Route, Scheme, SplitBy},
        units::{
            Name,
            http::{Host, UrlPath},
            response::{Body, Location, RedirectStatus},
        },
    },
    model,
};

/// Returns where `route` leads, and takes it out of it. `None` if that does not exist.
pub(crate) fn destination(route: &mut Route, known: Known<'_>) -> Option<model::Destination> {
    if let Some(pool) = &route.pool {
        return known.pool(pool).map(model::Destination::Pool);
    }
    if let Some(parts) = route.split.take() {
        let part = |it: Part| Some((known.pool(&it.pool)?, it.weight));
        let by = route.split_by.take().map(split_key);
        let parts = parts.into_iter().map(part).collect::<Option<_>>()?;
        return Some(model::Destination::Split(model::Split { parts, by: by.flatten() }));
    }
    if let Some(it) = route.redirect.take() {
        return Some(model::Destination::Redirect(redirect(it)));
    }
    if let Some(it) = route.respond.take() {
        return respond(it).map(model::Destination::Respond);
    }
    Some(model::Destination::Sidecar)
}

fn split_key(by: SplitBy) -> Option<model::SplitKey> {
    let header = by.header.and_then(|it| header_name(&it.0)).map(model::SplitKey::Header);
    let cookie = by.cookie.map(|Name(it)| model::SplitKey::Cookie(it));
    let address = by.client_address.map(|_| model::SplitKey::ClientAddress);
    header.or(cookie).or(address)
}

fn redirect(redirect: Redirect) -> model::Redirect {
    let RedirectStatus(status) = redirect.status;
    let to = match redirect.location {
        Some(Location(location)) => model::Location::Whole(location),
        None => model::Location::Changed {
            scheme: redirect.scheme.map(|it| match it {
                Scheme::Http => "http".to_owned(),
                Scheme::Https => "https".to_owned(),
            }),
            host: redirect.host.map(|Host(it)| it),
            port: redirect.port,
            path: redirect.path.map(|UrlPath(it)| it),
            keeps_query: redirect.keep_query,
        },
    };
    model::Redirect { status, to }
}

fn respond(respond: Respond) -> Option<model::FixedResponse> {
    let Body(body) = respond.body;
    let mut headers = Vec::new();
    if !body.is_empty() {
        headers.push((CONTENT_TYPE, header_value(&respond.content_type)?));
    }
    for (Name(name), value) in respond.headers.map_or_else(Vec::new, |it| it.0) {
        headers.push((header_name(&name)?, header_value(&value)?));
    }
    Some(model::FixedResponse { status: respond.status, body: Bytes::from(body), headers })
}
