//! From a file without mistakes to what keeps requests together.

use std::path::Path;

use crate::{
    config::{
        file::pool::{Hash, SameSite, Sticky},
        units::{FilePath, Name},
    },
    model,
};

/// Returns what requests have in common that belong together.
pub(crate) fn hash(hash: Hash) -> model::HashKey {
    match hash {
        Hash { header: Some(Name(header)), .. } => {
            model::HashKey::Header(header.to_ascii_lowercase())
        }
        Hash { cookie: Some(Name(cookie)), .. } => model::HashKey::Cookie(cookie),
        Hash { path: Some(true), .. } => model::HashKey::Path,
        Hash { .. } => model::HashKey::ClientAddress,
    }
}

/// Returns how a client is kept at one backend; relative paths start at `base`.
pub(crate) fn sticky(sticky: Sticky, base: &Path) -> model::Sticky {
    let secret = match (sticky.secret_file, sticky.secret_env) {
        (Some(FilePath(file)), _) => model::Secret::File(base.join(file)),
        (None, Some(Name(name))) => model::Secret::Environment(name),
        (None, None) => model::Secret::Random,
    };
    model::Sticky {
        cookie: sticky.cookie.0,
        ttl: sticky.ttl.0,
        secure: sticky.secure,
        same_site: match sticky.same_site {
            SameSite::Strict => model::SameSite::Strict,
            SameSite::Lax => model::SameSite::Lax,
            SameSite::None => model::SameSite::None,
        },
        secret,
    }
}
